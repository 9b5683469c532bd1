//! `kubectl wva`: add models to a Workload Variant Autoscaler, and see what it does with them.
//!
//! Every command goes the same way: *gather* what the cluster says, build a serialisable *view* of it, *print* the
//! view. Text shows nothing that JSON lacks, because both come from the view. Data goes to standard output,
//! everything else to standard error.
//!
//! - [`cli`]: the command line; [`run`] carries it out; [`connection`] and [`mod@output`] are flags of every command;
//! - [`session`]: the connection to one cluster, and the sentences for what can go wrong with it;
//! - [`add_model`]: a model-only install: facts, then a plan, then [`install`] (the chart rendered), then [`apply`];
//! - [`status`]: a verdict per controller instance, then the variants;
//! - [`cost`]: what variants and models cost, and the cheapest mix;
//! - [`top`]: variants in order of load, change or cost; [`logs`]: what the leader says of one;
//! - [`remove_model`], [`list_models`]: the way back, and what there is;
//! - [`mod@set`]: cost, model and limits changed, as an [`edit`] of single fields;
//! - [`move_variant`]: a variant handed over to another controller instance;
//! - [`mod@pause`]: variants held at a number, and let go again;
//! - [`instances`]: every controller and what it takes;
//! - [`explain`]: the chain from the servers to the replicas of one variant, with the numbers of the last decision, which
//!   [`debug_state`] fetches; [`replay`]: a decision taken again;
//! - [`history`]: what was decided of one variant before;
//! - [`report`]: a zip for whoever helps; [`render`]: the chart as text; [`complete`]: shell completion;
//! - [`doctor`]: every known cause of trouble, with what fixes it;
//! - [`version`]: of this program, of its chart, of the controllers;
//! - [`preflight`]: what a cluster lacks before an install;
//! - [`release`]: the controller installed, upgraded and uninstalled as helm does it, helm's record included;
//! - [`migrate`]: from the releases 0.4.1 to 0.5.1 to this one, and back;
//! - [`watch`]: answers printed again and again;
//! - [`forward`]: the way to a pod's own port;
//! - [`controllers`], [`variants`], [`definition`], [`pods`], [`servers`], [`workload`], [`external`], [`hpas`], [`followers`], [`lists`]: what several commands read from the
//!   cluster;
//! - [`console`] and [`table`]: the way out;
//! - [`suggest`]: the name that was meant;
//! - [`error`]: one sentence and one hint for everything that stops a command.

pub mod add_model;
pub mod apply;
pub mod cli;
pub mod complete;
pub mod connection;
pub mod console;
pub mod controllers;
pub mod cost;
pub mod debug_state;
pub mod definition;
pub mod doctor;
pub mod duration;
pub mod edit;
pub mod error;
pub mod explain;
pub mod external;
pub mod followers;
pub mod forward;
pub mod history;
pub mod hpas;
pub mod install;
pub mod instances;
pub mod list_models;
pub mod lists;
pub mod logs;
pub mod migrate;
pub mod move_variant;
pub mod output;
pub mod pause;
pub mod pods;
pub mod preflight;
mod prometheus;
pub mod release;
pub mod remove_model;
pub mod render;
pub mod replay;
pub mod report;
pub mod servers;
pub mod session;
pub mod set;
pub mod status;
pub mod suggest;
pub mod table;
pub mod top;
pub mod variants;
pub mod version;
pub mod watch;
pub mod workload;

use cli::{Cli, Command};
use console::Console;
pub use error::Error;

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
        Command::AddModel(args) => Box::pin(add_model::run(&cli.connection, args, console)).await,
        Command::RemoveModel(args) => remove_model::run(&cli.connection, args, console).await,
        Command::Set(args) => set::run(&cli.connection, args, console).await,
        Command::Move(args) => Box::pin(move_variant::run(&cli.connection, args, console)).await,
        Command::Pause(args) => pause::run(&cli.connection, args, console).await,
        Command::Resume(args) => pause::resume(&cli.connection, args, console).await,
        Command::ListModels(args) => list_models::run(&cli.connection, args, console).await,
        Command::Instances(args) => instances::run(&cli.connection, args, console).await,
        Command::Explain(args) => explain::run(&cli.connection, args, console).await,
        Command::History(args) => history::run(&cli.connection, args, console).await,
        Command::Top(args) => top::run(&cli.connection, args, console).await,
        Command::Cost(args) => Box::pin(cost::run(&cli.connection, args, console)).await,
        Command::Logs(args) => logs::run(&cli.connection, args, console).await,
        Command::Doctor(args) => doctor::run(&cli.connection, args, console).await,
        Command::Report(args) => report::run(&cli.connection, args, console).await,
        Command::Replay(args) => replay::run(args, console),
        Command::Migrate(args) => migrate::run(&cli.connection, args, console).await,
        Command::Install(args) => Box::pin(release::install(&cli.connection, args, console)).await,
        Command::Check(args) => preflight::run(&cli.connection, args, console).await,
        Command::Upgrade(args) => Box::pin(release::upgrade(&cli.connection, args, console)).await,
        Command::Uninstall(args) => release::uninstall(&cli.connection, args, console).await,
        Command::Render(args) => render::run(&cli.connection, args, console),
        Command::Values(args) => render::values(args, console),
        Command::Status(args) => status::run(&cli.connection, args, console).await,
        Command::Completion => console.lines(complete::SETUP.lines().map(str::to_owned)).map(|()| Verdict::Fine),
        Command::Version(args) => version::run(&cli.connection, args, console).await,
    }
}
