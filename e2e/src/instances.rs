//! Isolated instances in the cluster of the run: what a test of one or several controllers begins with, and what is left
//! of it at the end, which is nothing.
//!
//! ```no_run
//! # use wva_e2e::instances::with_instance;
//! # use wva_e2e::workload::A100;
//! #[tokio::test(flavor = "multi_thread")]
//! async fn load_makes_a_model_grow() {
//!     with_instance(async |wva| {
//!         let llama = wva.add_model("llama", A100, "10", 4).await;
//!         llama.saturate().await;
//!         llama.desired("more than one replica", |desired| desired > 1).await;
//!     })
//!     .await;
//! }
//! ```
//!
//! Every instance has the release name `wva`, so all their objects have equal names; what tells them apart is the id, and
//! namespaces that begin with it. `CONTROLLER_INSTANCE=test-a` gives a test that asks for one instance the id `test-a`; while
//! another test has it, and where a test asks for several, ids begin with it: `test-a-4x2c0`.

#![expect(clippy::panic, reason = "a test fails by panicking, and this is the beginning and the end of one")]

mod cleanup;
mod model;

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt as _;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use wva_api::labels;

pub use cleanup::{RUN_LABEL, remove_orphans, sweep};
pub use model::Model;

use crate::environment::Environment;
use crate::evidence;
use crate::harness;
use crate::instance::Controller;
use crate::kubectl::Kubectl;
use crate::run;
use crate::wait::{self, Look};
use crate::workload::{Gpu, Vllm};

/// Release name of every instance.
pub const RELEASE: &str = "wva";
/// Name of the controller's Deployment of every instance.
pub const DEPLOYMENT: &str = "wva-workload-variant-autoscaler-controller-manager";
/// What ids begin with where `CONTROLLER_INSTANCE` says nothing.
const PREFIX: &str = "e2e";
/// How long the embedded cluster takes at most for anything a test waits for.
const PATIENCE: Duration = Duration::from_mins(1);

/// How an instance is installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Install {
    /// Rendered by chart-render, applied by kubectl.
    #[default]
    ChartRender,
    /// By helm.
    Helm,
    /// Later, by the test.
    Nothing,
}

/// An isolated instance: one controller, and namespaces for its models.
pub struct Wva<'a> {
    environment: &'a Environment,
    id: String,
    /// Whether its namespace is there already, made to claim the id.
    claimed: bool,
}

/// Runs a test with an instance of its own.
///
/// # Panics
/// When the cluster cannot be reached or the instance does not become ready, or the test panics; then what it looked
/// like is told first.
pub async fn with_instance<F>(test: F)
where
    F: AsyncFnOnce(&Wva<'_>),
{
    with_instances::<1, _>(async |[wva]: &[Wva<'_>; 1]| test(wva).await).await;
}

/// Runs a test with several instances.
///
/// # Panics
/// As [`with_instance`].
pub async fn with_instances<const N: usize, F>(test: F)
where
    F: AsyncFnOnce(&[Wva<'_>; N]),
{
    with_instances_by(Install::ChartRender, &[], test).await;
}

/// Runs a test with several instances that are installed this way, with these settings (as for `--set`).
///
/// # Panics
/// As [`with_instance`].
pub async fn with_instances_by<const N: usize, F>(install: Install, set: &[&str], test: F)
where
    F: AsyncFnOnce(&[Wva<'_>; N]),
{
    let _ = rustls::crypto::ring::default_provider().install_default();
    let environment = run::environment().await.unwrap_or_else(|error| panic!("{error}"));
    let given = std::env::var("CONTROLLER_INSTANCE").ok().filter(|id| !id.is_empty());
    let prefix = given.as_deref().unwrap_or(PREFIX);
    let mut instances: [Wva<'_>; N] =
        std::array::from_fn(|_| Wva { environment: &environment, id: new_id(prefix), claimed: false });
    if let ([wva], Some(given)) = (&mut instances[..], &given) {
        wva.claimed = claim(&environment.client(), given).await;
        if wva.claimed {
            wva.id.clone_from(given);
        }
    }
    let body = async {
        let started = join_all(instances.iter().map(|wva| wva.install(install, set)));
        started.await;
        test(&instances).await;
    };
    let begun = SystemTime::now();
    let outcome = AssertUnwindSafe(body).catch_unwind().await;
    if let Err(cause) = &outcome {
        for wva in &instances {
            harness::explain(environment.kubectl(), &[&wva.namespace(), &wva.models()], &wva.namespace()).await;
        }
        let namespaces: Vec<String> = instances.iter().flat_map(|wva| [wva.namespace(), wva.models()]).collect();
        let namespaces: Vec<&str> = namespaces.iter().map(String::as_str).collect();
        evidence::keep(&environment, evidence::Scope { namespaces: &namespaces, begun }, cause.as_ref()).await;
    }
    if outcome.is_ok() || !run::keep() {
        let client = environment.client();
        let gone = join_all(instances.iter().map(|wva| cleanup::remove(&client, &wva.id)));
        let failures: Vec<String> = gone.await.into_iter().filter_map(Result::err).map(|e| e.to_string()).collect();
        // A test that failed has a better story to tell.
        assert!(outcome.is_err() || failures.is_empty(), "removing the instances: {}", failures.join("; "));
    } else {
        let kubeconfig = environment.kubeconfig().display();
        let ids: Vec<&str> = instances.iter().map(Wva::id).collect();
        harness::note(&format!("kept: instances {} in the cluster of KUBECONFIG={kubeconfig}", ids.join(", ")));
    }
    if let Err(cause) = outcome {
        panic::resume_unwind(cause);
    }
}

/// The mistake that `make mutations` has made, see `hack/mutations.sh`.
fn mutation() -> Option<String> {
    std::env::var("WVA_MUTATION").ok().filter(|name| !name.is_empty() && name != "none")
}

/// Whether this test may have the id as it was given: it is the one that made the namespace of that name. Which is gone
/// last, after all else of the id.
async fn claim(client: &kube::Client, id: &str) -> bool {
    let api: Api<Namespace> = Api::all(client.clone());
    let models = api.get_opt(&models_of(id)).await;
    matches!(models, Ok(None)) && api.create(&PostParams::default(), &namespace(id, id)).await.is_ok()
}

/// Where the models of an instance are.
fn models_of(id: &str) -> String {
    format!("{id}-models")
}

/// A namespace that goes with an instance.
fn namespace(name: &str, id: &str) -> Namespace {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.to_owned());
    namespace.metadata.labels = Some(BTreeMap::from([
        (labels::CONTROLLER_INSTANCE.to_owned(), id.to_owned()),
        (RUN_LABEL.to_owned(), std::process::id().to_string()),
    ]));
    namespace
}

/// An id nobody else has: a prefix, the time in milliseconds, a number of this process and its own.
fn new_id(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    let unique = (millis % 10_000_000) * 100_000 + u128::from(std::process::id() % 100_000);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}{count}", base36(unique))
}

fn base36(mut number: u128) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(char::from_digit(u32::try_from(number % 36).unwrap_or(0), 36).unwrap_or('0'));
        number /= 36;
    }
    digits.iter().rev().collect()
}

impl<'a> Wva<'a> {
    /// Its instance id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Namespace of the controller.
    pub fn namespace(&self) -> String {
        self.id.clone()
    }

    /// Namespace of its models.
    pub fn models(&self) -> String {
        models_of(&self.id)
    }

    /// The label by which everything of it is found.
    pub fn selector(&self) -> String {
        format!("{}={}", labels::CONTROLLER_INSTANCE, self.id)
    }

    /// The cluster.
    pub fn environment(&self) -> &'a Environment {
        self.environment
    }

    /// kubectl and the plugin.
    pub fn kubectl(&self) -> &'a Kubectl {
        self.environment.kubectl()
    }

    /// How long to wait for anything in this cluster.
    pub fn patience(&self) -> Duration {
        self.environment.facts().patience(PATIENCE)
    }

    /// The install of its controller, to be changed by a test that installs it itself.
    pub fn controller(&self) -> Controller {
        let prometheus = self.environment.prometheus();
        let mut controller = Controller::quick(RELEASE, &self.namespace(), &self.id, prometheus.url());
        if let Some(mutation) = mutation() {
            let name = "wva.extraEnv[0].name=WVA_MUTATION".to_owned();
            controller.set.extend([name, format!("wva.extraEnv[0].value={mutation}")]);
        }
        controller
    }

    /// Waits until its controller can do its work.
    ///
    /// # Panics
    /// When it cannot in time.
    pub async fn ready(&self) {
        let deployment = format!("deployment/{DEPLOYMENT}");
        let path = "jsonpath={.status.availableReplicas}";
        let args = ["get", &deployment, "-n", &self.namespace(), "-o", path];
        let ready = self.kubectl().eventually(self.patience(), &args, |seen| !seen.is_empty() && seen != "0").await;
        ready.unwrap_or_else(|error| panic!("instance {}: {error}", self.id));
    }

    async fn install(&self, install: Install, set: &[&str]) {
        let failed = |what: &str, error: &dyn std::fmt::Display| panic!("{what} instance {}: {error}", self.id);
        if !self.claimed {
            self.make_namespace(&self.namespace()).await;
        }
        self.make_namespace(&self.models()).await;
        let mut controller = self.controller();
        controller.set.extend(set.iter().map(|set| (*set).to_owned()));
        match install {
            Install::Nothing => return,
            Install::ChartRender => {
                if let Err(error) = controller.install(self.kubectl()).await {
                    failed("installing", &error);
                }
            }
            Install::Helm => {
                let helm = self.environment.helm().unwrap_or_else(|error| failed("looking for helm for", &error));
                if let Err(error) = controller.install_with(&helm, self.kubectl()).await {
                    failed("installing with helm", &error);
                }
            }
        }
        self.ready().await;
    }

    /// Makes a namespace that goes with this instance.
    ///
    /// # Panics
    /// When the cluster refuses it.
    pub async fn make_namespace(&self, name: &str) {
        let api: Api<Namespace> = Api::all(self.environment.client());
        let made = api.create(&PostParams::default(), &namespace(name, &self.id)).await;
        made.unwrap_or_else(|error| panic!("making namespace {name}: {error}"));
    }

    /// A model of its own namespace: a server with one replica, added by the plugin, with an HPA that follows at once.
    ///
    /// # Panics
    /// When the cluster refuses it or the controller does not take it.
    pub async fn add_model(&self, name: &str, gpu: Gpu, cost: &str, max: u32) -> Model<'_> {
        self.add(&self.models(), &Vllm::new(&self.models(), name, &format!("example/{name}"), gpu), gpu, cost, max)
            .await
    }

    /// A variant, served in a namespace by this server, that this instance is to manage.
    ///
    /// # Panics
    /// As [`Wva::add_model`].
    pub async fn add(&self, namespace: &str, server: &Vllm, gpu: Gpu, cost: &str, max: u32) -> Model<'_> {
        let name = &server.name;
        let failed = |error: &dyn std::fmt::Display| panic!("adding {name} to instance {}: {error}", self.id);
        let manifest = server.manifest().unwrap_or_else(|error| failed(&error));
        if let Err(error) = self.kubectl().apply(&manifest).await {
            failed(&error);
        }
        let accelerator = gpu.name;
        let added = crate::instance::Model { release: name, server, accelerator, cost, max, instance: &self.id };
        if let Err(error) = added.add(self.kubectl()).await {
            failed(&error);
        }
        if mutation().as_deref() == Some("hpa-selector") {
            // What a chart would render that forgot the id.
            let forgotten = "/spec/metrics/0/external/metric/selector/matchLabels/controller_instance";
            let patch = format!(r#"[{{"op": "remove", "path": "{forgotten}"}}]"#);
            let line = ["patch", "hpa", &format!("{name}-hpa"), "-n", namespace, "--type=json", "-p", &patch];
            if let Err(error) = self.kubectl().run(&line).await {
                failed(&error);
            }
        }
        Model { wva: self, namespace: namespace.to_owned(), name: name.clone() }
    }

    /// A model in the namespace of this instance's models whose objects the test has applied itself.
    pub fn model(&self, name: &str) -> Model<'_> {
        Model { wva: self, namespace: self.models(), name: name.to_owned() }
    }

    /// Waits until Prometheus has exactly this many series of this query.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn series(&self, promql: &str, count: usize) -> Vec<crate::prometheus::Series> {
        let prometheus = self.environment.prometheus();
        let what = format!("{count} series of {promql}");
        let seen = wait::until(&what, self.patience(), || async {
            match prometheus.query(promql).await {
                Ok(series) if series.len() == count => Look::Done(series),
                seen => Look::NotYet(format!("{seen:?}")),
            }
        });
        seen.await.unwrap_or_else(|error| panic!("{error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_label_values_and_namespace_names_and_no_two_are_equal() {
        let ids: Vec<String> = (0..50).map(|_| new_id(PREFIX)).collect();
        let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(ids.iter().all(|id| id.len() < 40 && id.chars().all(good)), "{ids:?}");
    }
}
