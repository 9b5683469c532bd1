//! The command line.

use clap::{Parser, Subcommand};

use crate::commands::add_model::AddModelArgs;
use crate::commands::cost::CostArgs;
use crate::commands::dashboard::DashboardArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::explain::ExplainArgs;
use crate::commands::history::HistoryArgs;
use crate::commands::instances::InstancesArgs;
use crate::commands::list_models::ListModelsArgs;
use crate::commands::logs::LogsArgs;
use crate::commands::migrate::MigrateArgs;
use crate::commands::move_variant::MoveArgs;
use crate::commands::pause::{PauseArgs, ResumeArgs};
use crate::commands::preflight::CheckArgs;
use crate::commands::release::{InstallArgs, UninstallArgs, UpgradeArgs};
use crate::commands::remove_model::RemoveModelArgs;
use crate::commands::render::{RenderArgs, ValuesArgs};
use crate::commands::replay::ReplayArgs;
use crate::commands::report::ReportArgs;
use crate::commands::set::SetArgs;
use crate::commands::simulate::SimulateArgs;
use crate::commands::status::StatusArgs;
use crate::commands::top::TopArgs;
use crate::commands::version::VersionArgs;
use crate::connection::Connection;
use crate::output::Output;

/// Scale variants of LLM inference servers: add models to a controller, see what it decides and why.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-wva",
    bin_name = "kubectl wva",
    version,
    max_term_width = 110,
    after_help = "Exit codes: 0 fine, 1 something found, 2 could not tell."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Which cluster to talk to.
    #[command(flatten)]
    pub connection: Connection,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look for what a cluster lacks before an install: versions, rights, kinds, metrics, GPUs.
    Check(CheckArgs),
    /// Install a controller from the chart in this program, as helm install does.
    Install(InstallArgs),
    /// Bring an installed controller to the chart in this program, as helm upgrade does.
    Upgrade(UpgradeArgs),
    /// Take a controller away, as helm uninstall does; variants stay.
    Uninstall(UninstallArgs),
    /// Have a controller scale one more Deployment that serves a model.
    AddModel(AddModelArgs),
    /// Take away what add-model made.
    RemoveModel(RemoveModelArgs),
    /// Change cost or model of a variant, or the limits of what follows it, and show the difference.
    Set(SetArgs),
    /// Hand a variant over to another controller instance, without a gap.
    Move(MoveArgs),
    /// Hold a variant at a number of replicas, for a while or until resume.
    Pause(PauseArgs),
    /// Let a paused variant be decided again.
    Resume(ResumeArgs),
    /// List the models there are, each with its variants.
    ListModels(ListModelsArgs),
    /// Show controllers and variants: what is wrong, and what was decided last.
    Status(StatusArgs),
    /// Show variants by load, change, cost or name.
    Top(TopArgs),
    /// Show what variants and models cost, now and as decided, and what the cheapest mix would.
    Cost(CostArgs),
    /// Show load, replicas, decisions and cost in the browser, live.
    Dashboard(DashboardArgs),
    /// Show every controller of the cluster, what it takes, and what nobody or more than one takes.
    Instances(InstancesArgs),
    /// Explain one variant's replicas: from the servers' load to the HPA, with the numbers of the last decision.
    Explain(ExplainArgs),
    /// Show what was decided of one variant lately, and why, as a table or a chart.
    History(HistoryArgs),
    /// Look for everything that may be wrong, and say what fixes it.
    Doctor(DoctorArgs),
    /// Show what the leader of a controller logs, of one variant or of all.
    Logs(LogsArgs),
    /// Write a zip with objects, events, logs, metrics and decisions for whoever helps.
    Report(ReportArgs),
    /// Take a recorded decision again, with other thresholds if asked.
    Replay(ReplayArgs),
    /// Simulate what policies and thresholds would make of a load, on a cluster's models, costs and limits.
    Simulate(Box<SimulateArgs>),
    /// Move an install of the releases 0.4.1 to 0.5.1 to this one, or back.
    Migrate(MigrateArgs),
    /// Print what an install of the chart consists of, as helm template does.
    Render(RenderArgs),
    /// Print the chart's values with what is given laid over them.
    Values(ValuesArgs),
    /// Say how shell completion is set up.
    Completion,
    /// Print the versions of this program, its chart and the controllers.
    Version(VersionArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn connection_flags_stand_before_or_after_the_command() {
        for line in [["kubectl-wva", "-n", "models", "status"], ["kubectl-wva", "status", "-n", "models"]] {
            assert_eq!(Cli::parse_from(line).connection.namespace.as_deref(), Some("models"));
        }
    }
}
