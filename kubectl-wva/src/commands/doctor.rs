//! `doctor`: every known cause of trouble, looked for in order; for each one found what shows it and what fixes it.
//!
//! *Facts* are gathered once; [`examine`] concludes from them alone. Whatever is found early explains what follows from
//! it: a variant that no controller takes is not also reported for the metric that nobody publishes.

mod apply;
mod checks;
mod examination;
mod examine;
mod facts;
mod finding;
mod fixes;
mod gather;
mod text;
mod view;

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, sleep};

pub use examine::examine;
pub use facts::{External, Facts, Installed, Labels};
pub use finding::{Cause, Finding, Subject};
pub use text::print;
pub use view::{CheckView, DoctorView, Outcome};

use crate::connection::Connection;
use crate::output::console::Console;
use crate::session::Session;
use crate::{Error, Verdict, duration};

/// Pause between two looks with `--wait`.
const PAUSE: Duration = Duration::from_secs(1);

/// Flags of `doctor`.
#[derive(Args, Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each switch of the command line")]
pub struct DoctorArgs {
    /// Only this variant; the NAME given to add-model will do.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Carry out the commands that fix what was found, after asking for each; asking needs a terminal.
    #[arg(long)]
    pub fix: bool,
    /// Do not ask.
    #[arg(short = 'y', long, requires = "fix")]
    pub yes: bool,
    /// Look again until nothing is found, e.g. after an install.
    #[arg(long)]
    pub wait: bool,
    /// How long to wait.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration::parse)]
    pub timeout: Duration,
}

/// Carries out `doctor`.
///
/// # Errors
/// When the variants cannot be listed, or the one asked for does not exist, or there is nobody to ask.
pub async fn run(flags: &Connection, args: &DoctorArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    if args.fix && !args.yes && !std::io::stdin().is_terminal() {
        return Err(Error::NobodyToAsk);
    }
    let session = Session::open(flags).await?;
    let namespace = (!args.all_namespaces).then(|| session.namespace.clone());
    let end = Instant::now() + args.timeout;
    let mut said = Vec::new();
    loop {
        let view = Box::pin(look(&session, namespace.as_deref(), args.name.as_deref())).await?;
        let settled = view.verdict() == Verdict::Fine && view.starting.is_empty();
        if !args.wait || settled || Instant::now() >= end {
            print(&view, console)?;
            if args.fix {
                return apply::carry_out(&view, args.yes, flags, console);
            }
            return Ok(view.verdict());
        }
        let waits_for: Vec<String> = view
            .findings
            .iter()
            .filter(|finding| finding.cause.is_problem())
            .map(|finding| finding.finding.clone())
            .chain(view.starting.iter().map(|what| what.split(" (").next().unwrap_or(what).to_owned()))
            .collect();
        if waits_for != said {
            for finding in &waits_for {
                console.note(&format!("waiting: {finding}"))?;
            }
            said = waits_for;
        }
        sleep(PAUSE).await;
    }
}

pub(crate) async fn look(session: &Session, namespace: Option<&str>, name: Option<&str>) -> Result<DoctorView, Error> {
    let facts = Box::pin(gather::gather(session, namespace, name)).await?;
    match name {
        Some(name) if facts.chosen().next().is_none() => Err(Error::no_such_variant(name, namespace, &facts.variants)),
        _ => Ok(examine(&facts)),
    }
}
