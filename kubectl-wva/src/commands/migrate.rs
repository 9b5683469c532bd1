//! `migrate`: from an install of the releases 0.4.1 to 0.5.1 to this one, and back. A `survey` of the cluster, a
//! `plan` that follows from it, and a `journal` of what was there, by which `undo` goes back.

mod journal;
mod perform;
mod plan;
mod releases;
mod survey;
mod undo;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::connection::Connection;

use crate::output::Format;
use crate::output::console::{Console, counted};
use crate::session::Session;
use crate::{Error, Verdict};
use journal::Journal;
use plan::Plan;

/// Why a migration stopped.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A record of a release cannot be read.
    #[error("could not read the helm release in secret {secret}: {why}")]
    Release {
        /// `namespace/name` of the Secret.
        secret: String,
        /// What is wrong with it.
        why: String,
    },
    /// helm did not do what it was asked.
    #[error("could not run `{command}`: {why}")]
    Helm {
        /// The command.
        command: String,
        /// What it said.
        why: String,
    },
    /// A journal is there already.
    #[error("the journal {} is that of another migration", .0.display())]
    JournalExists(PathBuf),
    /// The journal cannot be understood.
    #[error("could not read the journal {}: {why}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something has to be done first.
    #[error("{0}")]
    Blocked(String),
}

impl Failure {
    /// What to do next, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Helm { .. } => Some("what was done before is in the journal: `kubectl wva migrate back`".to_owned()),
            Self::JournalExists(path) => Some(format!(
                "go back with `kubectl wva migrate back --journal {0}`, or move {0} away to start anew",
                path.display()
            )),
            Self::Release { .. } | Self::Journal { .. } | Self::Blocked(_) => None,
        }
    }
}

/// Flags of `migrate`.
#[derive(Args, Clone, Debug)]
pub struct MigrateArgs {
    /// What to do.
    #[arg(value_enum, value_name = "VERB")]
    pub verb: Verb,
    /// File that keeps what was there before, for the way back.
    #[arg(long, value_name = "FILE", default_value = "wva-migration.json")]
    pub journal: PathBuf,
    /// The helm to run.
    #[arg(long, value_name = "PROGRAM", default_value = "helm")]
    pub helm: PathBuf,
}

/// What `migrate` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Verb {
    /// Look at the cluster and print each step with its command; change nothing. Exit code 1 when there are any.
    Plan,
    /// Take these steps, and keep what was there before.
    Apply,
    /// Undo them: the definition first, by which the objects of before are judged, then the last step first.
    Back,
}

/// Carries out `migrate`.
///
/// # Errors
/// When the cluster cannot be read, a step fails, or the journal is missing; what was done before stays in the journal.
pub async fn run(flags: &Connection, args: &MigrateArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let tool = perform::Helm::new(&args.helm, flags);
    match args.verb {
        Verb::Plan => {
            let plan = Plan::of(&survey::take(&session).await?);
            print(&plan, console)?;
            Ok(if plan.steps.is_empty() { Verdict::Fine } else { Verdict::Found })
        }
        Verb::Apply => {
            let plan = Plan::of(&survey::take(&session).await?);
            if let Some(blocked) = plan.blocked.first() {
                return Err(Failure::Blocked(blocked.clone()).into());
            }
            let mut journal = Journal::begin(&args.journal, !plan.steps.is_empty())?;
            for step in &plan.steps {
                console.note(&step.title)?;
                perform::step(&session, &tool, step, &mut journal).await?;
            }
            let count = counted(plan.steps.len(), "step");
            console.note(&format!("{count} taken; `kubectl wva doctor` looks whether all is well"))?;
            Ok(Verdict::Fine)
        }
        Verb::Back => {
            let mut journal = Journal::read(&args.journal)?;
            while let Some(done) = journal.next_to_undo().cloned() {
                console.note(&format!("Undo: {}", done.title()))?;
                undo::step(&session, &tool, &done).await?;
                journal.forget(&done)?;
            }
            console.note("Everything is as it was")?;
            Ok(Verdict::Fine)
        }
    }
}

fn print(plan: &Plan, console: &mut Console<'_>) -> Result<(), Error> {
    match console.format {
        Format::Json => return console.json(plan),
        Format::Yaml => return console.yaml(plan),
        Format::Name => return console.lines(plan.steps.iter().map(|step| step.title.clone())),
        Format::Table | Format::Wide => {}
    }
    if plan.steps.is_empty() && plan.notes.is_empty() && plan.blocked.is_empty() {
        return console.lines(["Nothing of an earlier release is here".to_owned()]);
    }
    for (number, step) in plan.steps.iter().enumerate() {
        console.lines([format!("{}. {}", number + 1, step.title), format!("   {}", step.command)])?;
    }
    console.lines(plan.blocked.iter().map(|text| format!("First: {text}")))?;
    console.lines(plan.notes.iter().map(|text| format!("By hand: {text}")))
}
