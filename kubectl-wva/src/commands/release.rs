//! The controller's release: `install`, `upgrade` and `uninstall` of the chart in this program, as helm does it. helm's
//! record of the release is written as helm writes it, so that `helm list` shows it and either program takes over what
//! the other one made.
//!
//! The chart is rendered for the cluster it goes to (`cluster` answers `lookup` and `.Capabilities`); its objects are
//! marked and applied (`objects`) server-side with helm's field manager; `store` keeps the `record`s.

mod args;
mod cluster;
mod install;
mod objects;
mod outcome;
mod record;
mod refusal;
mod store;
mod uninstall;
mod upgrade;
mod wait;

pub use args::{ControllerValues, InstallArgs, UninstallArgs, UpgradeArgs};
pub(crate) use cluster::{Served, render};
pub use install::run as install;
pub(crate) use objects::{mark, rehearse};
pub(crate) use record::unpack;
pub use refusal::Refusal;
pub use uninstall::run as uninstall;
pub use upgrade::run as upgrade;

/// helm's own field manager. Whoever of the two applies next must not meet a conflict.
const FIELD_MANAGER: &str = "helm";
