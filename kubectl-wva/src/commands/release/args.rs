//! The flags of `install`, `upgrade` and `uninstall`.

use std::path::PathBuf;
use std::time::Duration;

use chart_render::Values;
use chart_render::cli::{Kind, ProfileFlags};
use clap::Args;

use crate::commands::add_model::{DryRun, release_name};
use crate::writers::install;
use crate::{Error, duration};

/// Values of a controller, each kind of source over the one before.
#[derive(Args, Clone, Debug, Default)]
pub struct ControllerValues {
    /// Id of the controller instance.
    #[arg(long, value_name = "ID")]
    pub instance: Option<String>,
    /// Address of Prometheus.
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    /// Namespaces to watch; all when left out.
    #[arg(long, value_delimiter = ',', value_name = "NAMESPACES")]
    pub watch: Vec<String>,
    /// Read values of the chart from a file, as helm does (repeatable).
    #[arg(short = 'f', long, value_name = "FILE")]
    pub values: Vec<PathBuf>,
    /// Set a value of the chart, as helm does (repeatable).
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ControllerValues {
    /// The values to install with: those of `values --profile controller`, then the files, then the settings.
    pub(crate) fn of_install(&self) -> Result<Values, Error> {
        let flags = ProfileFlags {
            instance: self.instance.clone().unwrap_or_default(),
            prometheus: self.prometheus.clone(),
            watch: self.watch.clone(),
            ..ProfileFlags::default()
        };
        let profile = flags.values(Kind::Controller).map_err(install::Error::from)?;
        Ok(install::values(Some(&profile), &self.values, &self.set)?)
    }

    /// The values that an upgrade changes: only what is given.
    pub(super) fn of_upgrade(&self) -> Result<Values, Error> {
        let mut sets = Vec::new();
        let quoted = |text: &String| text.replace(',', "\\,");
        sets.extend(self.prometheus.iter().map(|url| format!("wva.prometheus.baseURL={}", quoted(url))));
        sets.extend(self.instance.iter().map(|id| format!("wva.controllerInstance={}", quoted(id))));
        if !self.watch.is_empty() {
            sets.push(format!("wva.namespaceScoped=true,wva.watchNamespaces={{{}}}", self.watch.join(",")));
        }
        sets.extend(self.set.iter().cloned());
        Ok(install::values(None, &self.values, &sets)?)
    }
}

/// What `install` and `upgrade` share.
#[derive(Args, Clone, Debug, Default)]
pub struct HowArgs {
    /// Take over fields that somebody else manages.
    #[arg(long)]
    pub force_conflicts: bool,
    /// Only show what would happen: client renders the objects for this cluster, server also has it check them.
    #[arg(long, value_enum, value_name = "WHERE")]
    pub dry_run: Option<DryRun>,
    /// Wait until the controller's pods are ready.
    #[arg(long)]
    pub wait: bool,
    /// How long to wait.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    pub timeout: Duration,
}

/// Flags of `install`.
#[derive(Args, Clone, Debug, Default)]
pub struct InstallArgs {
    /// Name of the release.
    #[arg(value_name = "NAME", value_parser = release_name, default_value = "wva")]
    pub name: String,
    /// Make the namespace if it does not exist.
    #[arg(long)]
    pub create_namespace: bool,
    /// Values over those of `kubectl wva values --profile controller`.
    #[command(flatten)]
    pub given: ControllerValues,
    /// How to go about it.
    #[command(flatten)]
    pub how: HowArgs,
}

/// Flags of `upgrade`.
#[derive(Args, Clone, Debug, Default)]
pub struct UpgradeArgs {
    /// Name of the release.
    #[arg(value_name = "NAME", value_parser = release_name, default_value = "wva")]
    pub name: String,
    /// Forget what was given before; without it that stays in force where nothing else is given, over the defaults of
    /// the new chart, as with helm's --reset-then-reuse-values.
    #[arg(long)]
    pub reset_values: bool,
    /// Bring the definition of variants (`VariantAutoscaling`) to that of this program too, which helm leaves as it is.
    #[arg(long)]
    pub crds: bool,
    /// Values over those of before.
    #[command(flatten)]
    pub given: ControllerValues,
    /// How to go about it.
    #[command(flatten)]
    pub how: HowArgs,
}

/// Flags of `uninstall`.
#[derive(Args, Clone, Debug, Default)]
pub struct UninstallArgs {
    /// Name of the release.
    #[arg(value_name = "NAME", value_parser = release_name, default_value = "wva")]
    pub name: String,
    /// Keep helm's record of the release.
    #[arg(long)]
    pub keep_history: bool,
    /// Only show what would be deleted: client lists it, server also has the API server check it.
    #[arg(long, value_enum, value_name = "WHERE")]
    pub dry_run: Option<DryRun>,
}
