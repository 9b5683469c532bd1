//! `check --pre`: what a cluster lacks for an install of the controller, each with the command that brings it. Nothing is
//! written; where the chart renders, the API server is asked to admit its objects in a dry run.

mod chart;
mod rights;
mod surroundings;

use anstyle::AnsiColor;
use clap::Args;
use serde::Serialize;

use crate::commands::add_model::release_name;
use crate::commands::release::{ControllerValues, Served};
use crate::connection::Connection;
use crate::output::Format;
use crate::output::console::{Console, counted};
use crate::session::{self, Session};
use crate::{Error, Verdict};

/// Flags of `check`.
#[derive(Args, Clone, Debug, Default)]
pub struct CheckArgs {
    /// Look before an install. After it, `kubectl wva doctor` looks.
    #[arg(long, required = true)]
    pub pre: bool,
    /// Name that the release is to have.
    #[arg(value_name = "NAME", value_parser = release_name, default_value = "wva")]
    pub name: String,
    /// What is to be installed: as for `install`.
    #[command(flatten)]
    pub given: ControllerValues,
}

/// What a check has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// The install would fail, or not work.
    Missing,
    /// It works, and something is worth knowing.
    Advice,
    /// It could not be found out.
    Unknown,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, in a word or two.
    pub name: &'static str,
    /// What it has come to.
    pub state: State,
    /// One sentence.
    pub finding: String,
    /// Commands that bring what is missing; where there are several ways, each is one command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fix: Vec<String>,
}

impl Check {
    fn new(name: &'static str, state: State, finding: impl Into<String>) -> Self {
        Self { name, state, finding: finding.into(), fix: Vec::new() }
    }

    fn fixed_by(mut self, commands: impl IntoIterator<Item = String>) -> Self {
        self.fix.extend(commands);
        self
    }

    /// What a request has said, or why it could not.
    fn of<T>(name: &'static str, answer: Result<T, session::Error>, check: impl FnOnce(T) -> Self) -> Self {
        answer.map_or_else(|error| Self::new(name, State::Unknown, error.to_string()), check)
    }
}

/// All checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreflightView {
    /// The namespace of the install.
    pub namespace: String,
    /// The checks, in order.
    pub checks: Vec<Check>,
}

impl PreflightView {
    fn count(&self, state: State) -> usize {
        self.checks.iter().filter(|check| check.state == state).count()
    }

    /// What the exit code is to say.
    pub fn verdict(&self) -> Verdict {
        match (self.count(State::Missing), self.count(State::Unknown)) {
            (0, 0) => Verdict::Fine,
            (0, _) => Verdict::Unknown,
            _ => Verdict::Found,
        }
    }
}

/// Carries out `check --pre`.
///
/// # Errors
/// When the cluster does not answer at all, or the values cannot be read.
pub async fn run(flags: &Connection, args: &CheckArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let values = args.given.of_install()?;
    let session = Session::open(flags).await?;
    let served = Served::ask(&session).await?;
    let mut checks = vec![surroundings::version(&served), surroundings::namespace(&session).await];
    checks.extend(surroundings::kinds(&session, &served).await);
    checks.extend(chart::checks(&session, &served, &args.name, values.clone()).await);
    checks.push(surroundings::instance(&session, values.tree()).await);
    let (prometheus, addresses) = surroundings::prometheus(&session, values.tree()).await;
    checks.push(prometheus);
    checks.push(surroundings::external_metrics(&session, addresses.first().map(String::as_str)).await);
    checks.push(surroundings::gpus(&session).await);
    let view = PreflightView { namespace: session.namespace.clone(), checks };
    match console.format {
        Format::Json => console.json(&view)?,
        Format::Yaml => console.yaml(&view)?,
        Format::Name => console.lines(view.checks.iter().map(|check| check.name.replace(' ', "-")))?,
        Format::Table | Format::Wide => print(&view, args, console)?,
    }
    Ok(view.verdict())
}

fn print(view: &PreflightView, args: &CheckArgs, console: &mut Console<'_>) -> Result<(), Error> {
    for check in &view.checks {
        let (colour, word) = match check.state {
            State::Ok => (AnsiColor::Green, "ok"),
            State::Missing => (AnsiColor::Red, "missing"),
            State::Advice => (AnsiColor::Yellow, "advice"),
            State::Unknown => (AnsiColor::Yellow, "unknown"),
        };
        let style = colour.on_default();
        console.prose([format!("{style}{word:<8}{style:#} {:<18} {}", check.name, check.finding)])?;
        // Commands stay whole, to be copied.
        let fixes = check.fix.iter().enumerate();
        console.lines(fixes.map(|(at, command)| format!("    {}: {command}", if at == 0 { "fix" } else { "or" })))?;
    }
    let place = &view.namespace;
    console.prose([match (view.count(State::Missing), view.count(State::Unknown)) {
        (0, 0) => format!("ready: kubectl wva install {} -n {place} --create-namespace --wait", args.name),
        (0, unknown) => {
            format!("nothing missing in what could be read; {} could not be made", counted(unknown, "check"))
        }
        (missing, _) => format!("{} would keep the install from working", counted(missing, "thing")),
    }])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[State::Ok, State::Advice], Verdict::Fine)]
    #[case(&[State::Ok, State::Unknown], Verdict::Unknown)]
    #[case(&[State::Unknown, State::Missing], Verdict::Found)]
    fn what_is_missing_counts_before_what_is_unknown(#[case] states: &[State], #[case] expect: Verdict) {
        let checks = states.iter().map(|state| Check::new("x", *state, "")).collect();
        assert_eq!(PreflightView { namespace: String::new(), checks }.verdict(), expect);
    }
}
