//! The fault suite: what goes wrong in clusters, done to real processes, and what the autoscaler makes of it.
//!
//! One environment, a controller with a standby, and one variant for each fault. All variants carry a load that needs
//! two replicas. While a fault lasts, the load of its variant rises to what needs three; after the fault the
//! controller has to find that out within two cycles, or four intervals. All the time nobody may scale below what the load needs, write
//! without leading, or lose a variant.

mod cases;
pub mod process;
mod report;
mod scene;
mod watchdog;

use std::path::{Path, PathBuf};
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
    /// A name that no fault has.
    #[error("no fault has {only:?} in its name; there are: {names}")]
    NoSuchFault {
        /// What was asked for.
        only: String,
        /// All names.
        names: String,
    },
    /// A log could not be written.
    #[error("keeping a log in {}: {source}", path.display())]
    Log {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
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

/// Carries out the faults whose name contains `only`, with files in `dir`. `progress` hears of each that is done. For a fault
/// that was not borne, `dir` has the logs of the controllers afterwards.
///
/// # Errors
/// When no fault has such a name, the environment cannot be started or a fault cannot be carried out; the environment is
/// stopped in any case.
pub async fn run(dir: &Path, only: &str, mut progress: impl FnMut(&str)) -> Result<Report, Error> {
    let cases: Vec<Case> = Case::ALL.into_iter().filter(|case| case.name().contains(only)).collect();
    if cases.is_empty() {
        let names = Case::ALL.map(Case::name).join("; ");
        return Err(Error::NoSuchFault { only: only.to_owned(), names });
    }
    let settings = Settings {
        gpus_per_node: 40,
        authorization: Authorization::AlwaysAllow,
        crash_backoff: Duration::from_secs(1),
        ..Settings::quick(dir)
    };
    let environment = Environment::start(&settings, |_| {}).await?;
    let report = all(&environment, &cases, dir, &mut progress).await;
    environment.stop().await;
    report
}

async fn all(
    environment: &Environment,
    cases: &[Case],
    dir: &Path,
    progress: &mut impl FnMut(&str),
) -> Result<Report, Error> {
    // However few of the faults, what they meet is the same.
    let variants = Case::ALL.len();
    let scene = Arc::new(Scene::install(environment, variants).await?);
    let watchdog = Watchdog::start(environment, &scene);
    watchdog.settled(variants).await?;
    progress(&format!("{variants} variants with two replicas each, a leader and a standby"));
    let mut outcomes = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let outcome = case.carry_out(environment, &scene, &watchdog, index).await?;
        progress(&outcome.to_string());
        if !outcome.passed() {
            for path in scene.keep_logs(dir, index).await? {
                progress(&format!("       see {}", path.display()));
            }
        }
        outcomes.push(outcome);
    }
    Ok(Report::new(outcomes))
}
