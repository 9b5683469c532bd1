//! `doctor --fix`: the first command that fixes each thing found is carried out, in the order of the causes, by a shell
//! and kubectl's own connection flags.

use std::io::BufRead as _;
use std::process::Command;

use super::DoctorView;
use crate::connection::Connection;
use crate::output::console::Console;
use crate::{Error, Verdict};

/// Carries the remedies out. What has none is left to the person.
///
/// # Errors
/// When a command cannot be started or the answer cannot be written.
pub(super) fn carry_out(
    view: &DoctorView,
    yes: bool,
    flags: &Connection,
    console: &mut Console<'_>,
) -> Result<Verdict, Error> {
    let problems: Vec<_> = view.findings.iter().filter(|finding| finding.cause.is_problem()).collect();
    let mut left = 0;
    for finding in problems {
        let Some(command) = finding.fix.first() else {
            console.note(&format!("left to you: {}", finding.finding))?;
            left += 1;
            continue;
        };
        console.note(&format!("{}: {}", finding.cause.name(), finding.finding))?;
        console.note(&format!("  {command}"))?;
        if !yes && !agreed(console)? {
            left += 1;
            continue;
        }
        if !shell(command, flags)? {
            console.note("  this did not work")?;
            left += 1;
        }
    }
    if left == 0 { Ok(Verdict::Fine) } else { Ok(Verdict::Found) }
}

fn agreed(console: &mut Console<'_>) -> Result<bool, Error> {
    write!(console.err, "  carry it out? [y/N] ").map_err(Error::Output)?;
    console.err.flush().map_err(Error::Output)?;
    let mut answer = String::new();
    // An input that ends without an answer means no.
    let read = std::io::stdin().lock().read_line(&mut answer).unwrap_or(0);
    if read == 0 {
        console.note("")?;
    }
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Runs a command as a person would type it; kubectl there talks to the cluster that doctor looked at.
fn shell(command: &str, flags: &Connection) -> Result<bool, Error> {
    let mut given = String::new();
    for (flag, value) in [
        ("--kubeconfig", flags.kubeconfig.as_ref().map(|path| path.display().to_string())),
        ("--context", flags.context.clone()),
    ] {
        if let Some(value) = value {
            given = format!("{given} {flag} {}", super::fixes::quoted(&value));
        }
    }
    let alias = format!("kubectl() {{ command \"${{KUBECTL:-kubectl}}\"{given} \"$@\"; }}\n");
    // kubectl takes these flags before the name of a plugin only from some versions on.
    let own = std::env::current_exe().map_or_else(|_| "kubectl-wva".to_owned(), |path| path.display().to_string());
    let script =
        format!("{alias}{}", command.replace("kubectl wva ", &format!("{}{given} ", super::fixes::quoted(&own))));
    let failed = |source| Error::File { path: "sh".into(), source };
    Ok(Command::new("sh").arg("-c").arg(script).status().map_err(failed)?.success())
}
