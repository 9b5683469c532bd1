//! The fault suite: what goes wrong in clusters, done to real processes, and what the autoscaler makes of it.
//!
//! One environment, a controller with a standby, and one variant for each fault. All variants carry a load that needs
//! two replicas. While a fault lasts, the load of its variant rises to what needs three; after the fault the
//! controller has to find that out within two cycles. All the time nobody may scale below what the load needs, write
//! without leading, or lose a variant.

mod cases;
mod process;
mod report;
mod scene;
mod watchdog;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kubesim::apiserver::Authorization;

use self::cases::Case;
pub use self::report::{Outcome, Report};
use self::scene::Scene;
use self::watchdog::Watchdog;
use crate::environment::{self, Environment, Settings};
use crate::{instance, kubectl, manifest, wait};

/// The suite could not be carried out; what the controller does wrong is in the [`Report`] instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment.
    #[error(transparent)]
    Environment(#[from] environment::Error),
    /// An install.
    #[error(transparent)]
    Instance(#[from] instance::Error),
    /// kubectl.
    #[error(transparent)]
    Kubectl(#[from] kubectl::Error),
    /// A template.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// Something did not settle before or between the faults.
    #[error(transparent)]
    TimedOut(#[from] wait::TimedOut),
    /// The cluster.
    #[error("{what}: {source}")]
    Kube {
        /// What was done.
        what: &'static str,
        /// Why it failed.
        source: kube::Error,
    },
    /// A model server.
    #[error("pinning the load of {server}: {source}")]
    Pin {
        /// Its URL.
        server: String,
        /// Why it failed.
        source: reqwest::Error,
    },
    /// A process.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// The API server did not come back.
    #[error("starting the API server again: {0}")]
    ApiServer(#[source] std::io::Error),
}

/// Time between two decisions.
const INTERVAL: Duration = Duration::from_secs(1);

/// Carries out all faults, with files in `dir`. `progress` hears of each that is done.
///
/// # Errors
/// When the environment cannot be started or a fault cannot be carried out; the environment is stopped in any case.
pub async fn run(dir: &Path, mut progress: impl FnMut(&str)) -> Result<Report, Error> {
    let settings = Settings {
        gpus_per_node: 40,
        authorization: Authorization::AlwaysAllow,
        crash_backoff: Duration::from_secs(1),
        ..Settings::quick(dir)
    };
    let environment = Environment::start(&settings, |_| {}).await?;
    let report = all(&environment, &mut progress).await;
    environment.stop().await;
    report
}

async fn all(environment: &Environment, progress: &mut impl FnMut(&str)) -> Result<Report, Error> {
    let scene = Arc::new(Scene::install(environment, Case::ALL.len()).await?);
    let watchdog = Watchdog::start(environment, &scene);
    watchdog.settled(Case::ALL.len()).await?;
    progress(&format!("{} variants with two replicas each, a leader and a standby", Case::ALL.len()));
    let mut outcomes = Vec::new();
    for (index, case) in Case::ALL.into_iter().enumerate() {
        let outcome = case.carry_out(environment, &scene, &watchdog, index).await?;
        progress(&outcome.to_string());
        outcomes.push(outcome);
    }
    Ok(Report::new(outcomes))
}
