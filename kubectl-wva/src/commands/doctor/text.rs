//! The answer for people: the verdict, then each finding with evidence and fixing command.

use anstyle::AnsiColor;

use super::{CheckView, DoctorView, Finding, Outcome};
use crate::Error;
use crate::output::Format;
use crate::output::console::{Console, counted};

/// Variants named below a finding before the rest is only counted.
const NAMED: usize = 5;

/// Prints a view.
///
/// # Errors
/// When it cannot be written.
pub fn print(view: &DoctorView, console: &mut Console<'_>) -> Result<(), Error> {
    match console.format {
        Format::Json => console.json(view),
        Format::Yaml => console.yaml(view),
        Format::Name => console.lines(view.findings.iter().map(|finding| finding.cause.name())),
        Format::Table | Format::Wide => {
            let wide = console.format == Format::Wide;
            console.prose([verdict(view)])?;
            if wide {
                console.prose(view.checks.iter().map(check_line))?;
            } else {
                console.prose(unknown_lines(view))?;
            }
            let cyan = AnsiColor::Cyan.on_default();
            console.prose(view.paused.iter().map(|what| format!("  {cyan}paused{cyan:#}   {what}")))?;
            console.prose(view.starting.iter().map(|what| format!("  {cyan}starting{cyan:#} {what}")))?;
            view.findings.iter().enumerate().try_for_each(|(at, finding)| {
                // Commands stay whole, to be copied.
                let (prose, commands): (Vec<String>, Vec<String>) = lines(at + 1, finding);
                console.prose(prose)?;
                console.lines(commands)
            })
        }
    }
}

fn verdict(view: &DoctorView) -> String {
    let problems = view.findings.iter().filter(|finding| finding.cause.is_problem()).count();
    let unknown = view.checks.iter().filter(|check| check.outcome == Outcome::Unknown).count();
    let (colour, verdict) = match (problems, unknown) {
        (0, 0) => (AnsiColor::Green, "nothing found".to_owned()),
        (0, _) => (AnsiColor::Yellow, "nothing found in what could be read".to_owned()),
        (problems, _) => (AnsiColor::Red, format!("{} found", counted(problems, "problem"))),
    };
    let verdict = match view.starting.len() {
        0 => verdict,
        count => format!("{verdict}, {count} starting"),
    };
    let style = colour.on_default();
    let place = view.namespace.as_ref().map_or("the cluster".to_owned(), |name| format!("namespace {name}"));
    let controllers = view.controllers.map_or("unknown controllers".to_owned(), |count| counted(count, "controller"));
    format!(
        "{style}{verdict}{style:#} in {place}: {}, {controllers}, {}",
        counted(view.variants, "variant"),
        counted(view.checks.len(), "check")
    )
}

/// One line for each reason why something could not be told, with all that it left open.
fn unknown_lines(view: &DoctorView) -> Vec<String> {
    let mut open: Vec<(&str, Vec<String>)> = Vec::new();
    for check in view.checks.iter().filter(|check| check.outcome == Outcome::Unknown) {
        let why = check.why.as_deref().unwrap_or_default();
        match open.iter_mut().find(|(known, _)| *known == why) {
            Some((_, causes)) => causes.push(check.cause.name()),
            None => open.push((why, vec![check.cause.name()])),
        }
    }
    let style = AnsiColor::Yellow.on_default();
    let line = |(why, causes): (&str, Vec<String>)| format!("  {style}unknown{style:#}  {}: {why}", causes.join(", "));
    open.into_iter().map(line).collect()
}

fn check_line(check: &CheckView) -> String {
    let (colour, word) = match check.outcome {
        Outcome::Fine => (AnsiColor::Green, "ok"),
        Outcome::Found => (AnsiColor::Red, "found"),
        Outcome::Unknown => (AnsiColor::Yellow, "unknown"),
    };
    let (style, name) = (colour.on_default(), check.cause.name());
    let line = format!("  {style}{word:<7}{style:#}  {name:<22} {}", check.checked);
    match &check.why {
        Some(why) => format!("{line}: {why}"),
        None => line,
    }
}

fn lines(number: usize, finding: &Finding) -> (Vec<String>, Vec<String>) {
    let Finding { cause, subject, finding, evidence, fix, look, advice, affects } = finding;
    let colour = if cause.is_problem() { AnsiColor::Red } else { AnsiColor::Cyan };
    let (style, bold) = (colour.on_default(), anstyle::Style::new().bold());
    let mut lines = vec![
        String::new(),
        format!("{number}. {style}{}{style:#}: {finding}", cause.name()),
        format!("   where:    {subject}"),
    ];
    lines.extend(evidence.iter().map(|one| format!("   evidence: {one}")));
    if !affects.is_empty() {
        let named = affects.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        let more = affects.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        lines.push(format!("   affects:  {named}{more}"));
    }
    lines.extend(advice.iter().map(|advice| format!("   note:     {advice}")));
    let mut commands = Vec::new();
    for (at, command) in fix.iter().enumerate() {
        let word = if at == 0 { "fix:     " } else { "or:      " };
        commands.push(format!("   {word} {bold}{command}{bold:#}"));
    }
    commands.extend(look.iter().map(|command| format!("   look:     {bold}{command}{bold:#}")));
    (lines, commands)
}
