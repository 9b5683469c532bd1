//! What the demo installs: two teams, each with a controller of its own and one model in two variants. Names of
//! variants and model are the same in both teams; only the instance keeps them apart.

use std::fmt;
use std::time::Duration;

use vllm_sim::load::{self, Shape};

use crate::environment::Environment;
use crate::instance::{self, Controller, Model};
use crate::wait::{self, Look};
use crate::workload::{A100, Gpu, H100, Vllm};
use crate::{endpoints, kubectl, manifest};

/// The model both teams serve.
const MODEL_ID: &str = "meta-llama/Llama-3.1-8B";
/// The team that gets load.
pub const LOADED_TEAM: &str = "team-a";
/// The team that gets none.
pub const IDLE_TEAM: &str = "team-b";
/// Deployment of the variant at cost 40.
pub const CHEAP: &str = "llama-a100";
/// Deployment of the variant at cost 80.
pub const DEAR: &str = "llama-h100";
/// Most replicas of a variant: low, so that the dear variant's turn comes soon.
pub(super) const MAX_REPLICAS: u32 = 2;
/// Requests per second of the load.
const REQUESTS_PER_SECOND: f64 = 10.0;
/// Tokens of a prompt, and of an answer.
const TOKENS: (u32, u32) = (256, 128);
/// The load, for the headline.
pub const LOAD_IN_WORDS: &str = "10 requests/s, 256 tokens in, 128 tokens out";
/// Longest a request may take; the queue of a saturated server is part of it.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// How long installs may take to settle.
const PATIENCE: Duration = Duration::from_mins(1);

/// The scene could not be set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An install.
    #[error(transparent)]
    Instance(#[from] instance::Error),
    /// kubectl.
    #[error(transparent)]
    Kubectl(#[from] kubectl::Error),
    /// A template.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// Something did not settle.
    #[error(transparent)]
    TimedOut(#[from] wait::TimedOut),
    /// The load generator.
    #[error("starting the load: {0}")]
    Load(#[from] load::LoadError),
}

/// One team.
#[derive(Clone, Debug)]
pub struct Team {
    /// Instance id, and namespace of its models.
    pub namespace: String,
    /// Its model servers.
    servers: Vec<Vllm>,
}

/// Both teams.
pub struct Scene {
    teams: Vec<Team>,
}

/// Names of the teams.
pub fn team_names() -> [&'static str; 2] {
    [LOADED_TEAM, IDLE_TEAM]
}

impl Scene {
    /// Installs everything and waits until every variant has been decided on once.
    ///
    /// # Errors
    /// When an install fails or does not settle.
    pub async fn install(environment: &Environment, mut progress: impl FnMut(&str)) -> Result<Self, Error> {
        let kubectl = environment.kubectl();
        let teams = team_names().map(Team::new);
        let prometheus = environment.prometheus();
        let controller = |Team { namespace: name, .. }: &Team| {
            Controller::quick("wva", &format!("wva-{name}"), name, prometheus.url())
        };
        instance::install_all(&teams.each_ref().map(controller), kubectl).await?;
        for team in &teams {
            let name = &team.namespace;
            progress(&format!("Controller of {name}: release wva in namespace wva-{name}"));
            instance::make_namespace(kubectl, name).await?;
            for server in &team.servers {
                kubectl.apply(&server.manifest()?).await?;
            }
        }
        for team in &teams {
            for (server, gpu, cost) in [(&team.servers[0], A100, "40"), (&team.servers[1], H100, "80")] {
                team.add_model(environment, server, gpu, cost).await?;
                progress(&format!(
                    "kubectl wva add-model {} --namespace {} (cost {cost})",
                    server.name, team.namespace
                ));
            }
        }
        for team in &teams {
            decided(environment, &team.namespace).await?;
        }
        progress("Metrics flow and every variant has been decided on");
        Ok(Self { teams: teams.to_vec() })
    }

    /// Both teams.
    pub fn teams(&self) -> &[Team] {
        &self.teams
    }

    /// Starts the load on every ready server of the loaded team, following its endpoints.
    ///
    /// # Errors
    /// When the generator cannot be started.
    pub fn start_load(&self, environment: &Environment) -> Result<Load, Error> {
        let endpoints = endpoints::follow(environment.client(), LOADED_TEAM, "vllm");
        let (prompt_tokens, max_tokens) = TOKENS;
        let plan = load::Plan {
            model: MODEL_ID.to_owned(),
            shape: Shape::Rate { per_second: REQUESTS_PER_SECOND },
            prompt_tokens,
            max_tokens,
            timeout: REQUEST_TIMEOUT,
        };
        Ok(Load { generator: load::Load::start(&plan, endpoints.urls())?, _endpoints: endpoints })
    }
}

impl Team {
    fn new(name: &str) -> Self {
        let server = |deployment, gpu| Vllm::new(name, deployment, MODEL_ID, gpu);
        Self { namespace: name.to_owned(), servers: vec![server(CHEAP, A100), server(DEAR, H100)] }
    }

    async fn add_model(
        &self,
        environment: &Environment,
        server: &Vllm,
        gpu: Gpu,
        cost: &str,
    ) -> Result<(), kubectl::Error> {
        let model = Model {
            release: &server.name,
            server,
            accelerator: gpu.name,
            cost,
            max: MAX_REPLICAS,
            instance: &self.namespace,
        };
        model.add(environment.kubectl()).await.map(drop)
    }
}

/// Waits until all variants of a namespace have metrics and a published number.
async fn decided(environment: &Environment, namespace: &str) -> Result<(), wait::TimedOut> {
    let kubectl = environment.kubectl();
    let path = "{range .items[*]}{.spec.scaleTargetRef.name}={.status.desiredOptimizedAlloc.numReplicas}/\
                {.status.conditions[?(@.type==\"MetricsAvailable\")].status} {end}";
    let output = format!("jsonpath={path}");
    let args = ["get", "va", "--namespace", namespace, "-o", &output];
    wait::until(&format!("metrics and a first decision for both variants of {namespace}"), PATIENCE, || async {
        match kubectl.run(&args).await {
            Ok(seen) if seen.split_whitespace().filter(|variant| variant.ends_with("=1/True")).count() == 2 => {
                Look::Done(())
            }
            Ok(seen) => Look::NotYet(seen),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
    .await
}

/// A running load.
pub struct Load {
    generator: load::Load,
    _endpoints: endpoints::Follower,
}

/// What came of the load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// Requests answered.
    pub ok: u64,
    /// Requests not answered, refused ones among them.
    pub failed: u64,
    /// Median time to a full answer.
    pub median: Duration,
    /// Ninety-fifth percentile of it.
    pub p95: Duration,
    /// What the last failed request failed with.
    pub last_failure: Option<String>,
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ok, failed, median, p95, last_failure } = self;
        let (median, p95) = (median.as_secs_f64(), p95.as_secs_f64());
        write!(f, "{ok} requests answered, {failed} not; median {median:.1} s, 95th percentile {p95:.1} s")?;
        last_failure.as_ref().map_or(Ok(()), |why| write!(f, "; last failure: {why}"))
    }
}

impl Load {
    /// Sends nothing more, waits for what is under way, and sums up.
    pub async fn stop(self) -> LoadReport {
        let report = self.generator.stop(REQUEST_TIMEOUT).await;
        LoadReport {
            ok: report.ok,
            failed: report.sent - report.ok,
            median: report.latencies.percentile(50.0).unwrap_or_default(),
            p95: report.latencies.percentile(95.0).unwrap_or_default(),
            last_failure: report.last_failure,
        }
    }
}
