//! Figures of `kubectl wva`: how soon it answers about a large fleet, and how soon it prints its help.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Error;
use super::fleet::Fleet;
use super::summary::Summary;
use crate::environment::{Environment, Settings};
use crate::instance::Controller;
use crate::kubectl::{self, Kubectl};
use crate::session::{CONTROLLER_NAMESPACE, CONTROLLER_RELEASE};
use crate::wait::{self, Look};

/// The fleet asked about, without pods: only its objects count.
const FLEET: Fleet = Fleet { variants: 500, pods: 0 };
/// How often each command is run.
const RUNS: usize = 20;
/// Whom the plugin acts as, so that its requests are told from all others.
const COUNTED: &str = "counted";
/// How long the controller may take to have seen the fleet.
const PATIENCE: Duration = Duration::from_mins(2);

/// What was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// `status -A`.
    pub status: Summary,
    /// Requests of one `status -A`.
    pub requests: u64,
    /// `--help`.
    pub help: Summary,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, requests, help } = self;
        let variants = FLEET.variants;
        writeln!(f, "kubectl wva, median / p90 / max of {RUNS}")?;
        writeln!(f, "  status -A, {variants} variants in 50 namespaces  {status}, {requests} requests (goal: 1 s)")?;
        write!(f, "  --help                                   {help} (goal: 50 ms)")
    }
}

/// Takes the figures of the plugin beside this program, with files in `dir`, against an environment with `controller`.
///
/// # Errors
/// When something cannot be started; the environment is stopped in any case.
pub async fn measure(dir: PathBuf, controller: PathBuf) -> Result<Figures, Error> {
    // 500 HPAs that look every second would be measured as well.
    let settings = Settings { controller: Some(controller), hpa_sync_period: PATIENCE, ..Settings::quick(&dir) };
    let environment = Environment::start(&settings, |_| {}).await?;
    let figures = figures(&environment).await;
    environment.stop().await;
    figures
}

async fn figures(environment: &Environment) -> Result<Figures, Error> {
    let kubectl = environment.kubectl();
    let url = environment.prometheus().url().to_owned();
    Controller::quick(CONTROLLER_RELEASE, CONTROLLER_NAMESPACE, "", &url).install(kubectl).await?;
    FLEET.create(&environment.client()).await?;
    wait::until("the controller to have seen the fleet", PATIENCE, || async {
        let seen = ["get", "va", "-A", "-o", "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}"];
        match kubectl.run(&seen).await.map(|text| text.split_whitespace().count()) {
            Ok(count) if count >= FLEET.variants => Look::Done(()),
            seen => Look::NotYet(format!("{seen:?}")),
        }
    })
    .await?;
    let status = timed(kubectl, &["status", "-A"]).await?;
    environment.control()?.clear_requests();
    kubectl.answer(&["status", "-A", "--as", COUNTED]).await?;
    let requests = environment.control()?.requests();
    let counted = requests.iter().filter(|seen| seen.request.user == COUNTED);
    let help = timed(kubectl, &["--help"]).await?;
    Ok(Figures { status, requests: counted.map(|seen| seen.count).sum(), help })
}

async fn timed(kubectl: &Kubectl, args: &[&str]) -> Result<Summary, kubectl::Error> {
    let mut took = Vec::new();
    for _ in 0..RUNS {
        let started = Instant::now();
        kubectl.answer(args).await?;
        took.push(started.elapsed());
    }
    Ok(Summary::of(took))
}
