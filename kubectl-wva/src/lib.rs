//! `kubectl wva`: add models to a Workload Variant Autoscaler, and see what it does with them.
//!
//! Every command goes the same way: *gather* what the cluster says, build a serialisable *view* of it, *print* the
//! view. Text shows nothing that JSON lacks, because both come from the view. Data goes to standard output,
//! everything else to standard error.
//!
//! - [`cli`]: the command line; [`run`] carries it out; [`connection`] and [`mod@output`] have flags of every command;
//! - [`commands`]: one module a command, of the command's name;
//! - [`readers`]: what several commands read from the cluster, from Prometheus and from the controllers;
//! - [`writers`]: what several commands write: the chart rendered, objects applied, single fields edited;
//! - [`mod@output`]: the way out: console, tables, screens;
//! - [`session`]: the connection to one cluster, and the sentences for what can go wrong with it;
//! - [`duration`] and [`suggest`]: durations as a person reads them, the name that was meant;
//! - [`error`]: one sentence and one hint for everything that stops a command.

pub mod cli;
pub mod commands;
pub mod connection;
pub mod duration;
pub mod error;
pub mod output;
pub mod readers;
pub mod session;
pub mod suggest;
pub mod writers;

use cli::{Cli, Command};
pub use error::Error;
use output::console::Console;

/// What a command that ran to its end has to say by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to report: exit code 0.
    Fine,
    /// The command found something that wants attention: exit code 1.
    Found,
    /// A part of the answer could not be read: exit code 2, as for an [`Error`].
    Unknown,
}

impl Verdict {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Found => 1,
            Self::Unknown => 2,
        }
    }
}

/// Carries out one command line.
///
/// # Errors
/// When the command could not do its work; see [`Error`].
pub async fn run(cli: &Cli, console: &mut Console<'_>) -> Result<Verdict, Error> {
    match &cli.command {
        Command::AddModel(args) => Box::pin(commands::add_model::run(&cli.connection, args, console)).await,
        Command::RemoveModel(args) => commands::remove_model::run(&cli.connection, args, console).await,
        Command::Set(args) => commands::set::run(&cli.connection, args, console).await,
        Command::Move(args) => Box::pin(commands::move_variant::run(&cli.connection, args, console)).await,
        Command::Pause(args) => commands::pause::run(&cli.connection, args, console).await,
        Command::Resume(args) => commands::pause::resume(&cli.connection, args, console).await,
        Command::ListModels(args) => commands::list_models::run(&cli.connection, args, console).await,
        Command::Instances(args) => commands::instances::run(&cli.connection, args, console).await,
        Command::Explain(args) => commands::explain::run(&cli.connection, args, console).await,
        Command::History(args) => commands::history::run(&cli.connection, args, console).await,
        Command::Top(args) => commands::top::run(&cli.connection, args, console).await,
        Command::Cost(args) => Box::pin(commands::cost::run(&cli.connection, args, console)).await,
        Command::Dashboard(args) => Box::pin(commands::dashboard::run(&cli.connection, args, console)).await,
        Command::Logs(args) => commands::logs::run(&cli.connection, args, console).await,
        Command::Doctor(args) => commands::doctor::run(&cli.connection, args, console).await,
        Command::Report(args) => commands::report::run(&cli.connection, args, console).await,
        Command::Replay(args) => commands::replay::run(args, console),
        Command::Simulate(args) => Box::pin(commands::simulate::run(&cli.connection, args, console)).await,
        Command::Migrate(args) => commands::migrate::run(&cli.connection, args, console).await,
        Command::Install(args) => Box::pin(commands::release::install(&cli.connection, args, console)).await,
        Command::Check(args) => commands::preflight::run(&cli.connection, args, console).await,
        Command::Upgrade(args) => Box::pin(commands::release::upgrade(&cli.connection, args, console)).await,
        Command::Uninstall(args) => commands::release::uninstall(&cli.connection, args, console).await,
        Command::Render(args) => commands::render::run(&cli.connection, args, console),
        Command::Values(args) => commands::render::values(args, console),
        Command::Status(args) => commands::status::run(&cli.connection, args, console).await,
        Command::Completion => {
            console.lines(commands::complete::SETUP.lines().map(str::to_owned)).map(|()| Verdict::Fine)
        }
        Command::Version(args) => commands::version::run(&cli.connection, args, console).await,
    }
}
