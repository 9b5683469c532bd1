//! Where the cluster of a run comes from: the embedded one, kind, or whatever a kubeconfig points at.
//!
//! A [`Provider`] makes a cluster, or connects to one, and says in its [`Facts`] what there is to know about it. Facts
//! are plain data: a run writes them to a file, and every process of the run works with the cluster by them alone. What
//! a suite uses beyond the Kubernetes API and the facts is a [`Capability`]; a suite that needs one says so.
//!
//! # What a provider promises
//! When [`Provider::start`] returns:
//! - the API server answers to the kubeconfig of the facts, as somebody who may do everything, with TLS verified where
//!   it speaks TLS; roles are enforced unless [`Settings::authorization`] says otherwise and the cluster is the provider's own;
//! - there are nodes with GPUs of the kinds in [`nodes`], ready, with product labels;
//! - the images of [`images`] run on them, whatever their tag, without a registry ([`images`] says which program stands
//!   for each);
//! - nothing of ours is installed: definitions, monitoring and adapter are [`crate::monitoring`]'s.
//!
//! On an error it has removed what it made. [`Cluster::stop`] removes the rest, and only that: in a cluster that was
//! there before, nothing but what the run made. Every wait is bounded, and its error says what was waited for.
//!
//! # Adding a provider
//! A module below this one with a type that implements [`Provider`], a variant of [`Choice`], an arm in
//! [`Choice::provider`], and what it can do in its [`Facts::capabilities`]. A cluster whose pods cannot reach this
//! machine's loopback adds a variant to [`Monitoring`] and serves it in [`crate::monitoring`].

pub mod embedded;
pub mod envtest;
pub mod existing;
pub mod kind;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use futures::future::BoxFuture;
use kubesim::apiserver::Control;
use kubesim::node::{Images, NodeConfig, Program};
use serde::{Deserialize, Serialize};

use crate::environment::Settings;
use crate::programs;
use crate::workload::{A100, Gpu, H100};

/// A cluster could not be made or reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The embedded cluster.
    #[error(transparent)]
    Embedded(#[from] kubesim::cluster::Error),
    /// The control plane of `KUBEBUILDER_ASSETS`.
    #[error(transparent)]
    Envtest(#[from] Box<envtest::Error>),
    /// kind.
    #[error(transparent)]
    Kind(#[from] Box<kind::Error>),
    /// The images for kind's nodes.
    #[error(transparent)]
    Images(#[from] Box<kind::images::Error>),
    /// A program is missing.
    #[error(transparent)]
    Program(#[from] programs::Error),
    /// A provider that is not known.
    #[error(transparent)]
    Choice(#[from] UnknownProvider),
    /// The cluster that was there before.
    #[error(transparent)]
    Existing(#[from] existing::Misconfigured),
    /// The kubeconfig leads nowhere.
    #[error("connecting to the cluster of {}: {source}", kubeconfig.display())]
    Connect {
        /// The kubeconfig.
        kubeconfig: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A name that is no provider.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("PROVIDER={0} is none of: {names}", names = Choice::ALL.map(Choice::name).join(", "))]
pub struct UnknownProvider(String);

/// Which provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// An embedded cluster of this machine's processes.
    #[default]
    Embedded,
    /// The cluster of `KUBECONFIG`.
    Existing,
    /// A cluster of containers, made by kind.
    Kind,
    /// The control plane of `KUBEBUILDER_ASSETS`.
    Envtest,
}

impl Choice {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Embedded, Self::Existing, Self::Kind, Self::Envtest];

    /// What `PROVIDER` is set to, or the embedded one.
    ///
    /// # Errors
    /// When it is set to something that is no provider.
    pub fn from_environment() -> Result<Self, UnknownProvider> {
        match std::env::var("PROVIDER") {
            Ok(name) if !name.is_empty() => name.parse(),
            _ => Ok(Self::default()),
        }
    }

    /// Its name, as `PROVIDER` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Existing => "existing",
            Self::Kind => "kind",
            Self::Envtest => "envtest",
        }
    }

    /// How long the start of an environment may take.
    pub fn start_limit(self) -> Duration {
        match self {
            Self::Embedded => Duration::from_secs(90),
            Self::Existing | Self::Envtest => Duration::from_mins(3),
            // A node image to fetch, and a busy machine.
            Self::Kind => Duration::from_mins(20),
        }
    }

    /// The provider itself.
    pub fn provider(self) -> Box<dyn Provider> {
        match self {
            Self::Embedded => Box::new(embedded::Embedded),
            Self::Existing => Box::new(existing::Existing),
            Self::Kind => Box::new(kind::Kind),
            Self::Envtest => Box::new(envtest::Envtest),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Choice {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|choice| choice.name() == text).ok_or_else(|| UnknownProvider(text.to_owned()))
    }
}

/// Makes clusters, or connects to one.
pub trait Provider: Send + Sync {
    /// A cluster that keeps the promise above. `progress` hears of steps that take long, in words for a person.
    fn start<'a>(
        &'a self,
        settings: &'a Settings,
        progress: &'a mut (dyn FnMut(&str) + Send),
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, Error>>;
}

/// A cluster for as long as a run uses it. Dropping it kills what is left of it at once.
pub trait Cluster: Send + Sync {
    /// What there is to know about it.
    fn facts(&self) -> &Facts;

    /// The API server's record of requests, and faults on purpose: with [`Capability::Faults`], in the process that
    /// started the cluster.
    fn control(&self) -> Option<Control> {
        None
    }

    /// Writes what only the provider can get at (logs of nodes, the audit log) into `dir`, before anything is removed.
    /// What cannot be had is left out, with a line that says so.
    fn collect<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()> {
        let _ = dir;
        Box::pin(async {})
    }

    /// Ends it in order: pods, then what the provider made. Returns when no process and no object of it is left.
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// What there is to know about a cluster, for every process of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Name of the provider.
    pub provider: String,
    /// Kubeconfig of somebody who may do everything; kubectl, helm and the plugin get this file and no other.
    pub kubeconfig: PathBuf,
    /// Where Prometheus and the external-metrics adapter run, and how pods and the API server reach them.
    pub monitoring: Monitoring,
    /// How a test speaks to a pod.
    pub pods: PodAccess,
    /// What can be done with it beyond the Kubernetes API.
    pub capabilities: BTreeSet<Capability>,
    /// Whether the cluster ends with its [`Cluster::stop`]. If not, what the run makes in it is removed one by one, and
    /// what was there before stays as it was.
    pub temporary: bool,
    /// How much longer than on the embedded cluster everything takes: 1 there. Patience is multiplied by it, see
    /// [`Facts::patience`].
    pub pace: u32,
}

impl Facts {
    /// How long to wait here for what the embedded cluster does within `there`.
    pub fn patience(&self, there: Duration) -> Duration {
        there * self.pace
    }

    /// Whether it can do that.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}

/// Where Prometheus and the external-metrics adapter run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Monitoring {
    /// Beside the cluster, as processes of the run that listen on these addresses; pods and the API server of the
    /// cluster reach them there, and so does every process of the run.
    Beside {
        /// Address for Prometheus, free.
        prometheus: SocketAddr,
        /// Address for the adapter, free.
        adapter: SocketAddr,
    },
    /// In the cluster, as one pod of the image [`crate::monitoring::IMAGE`].
    Inside {
        /// Where Prometheus answers, to pods and to this machine alike: a port of a node.
        prometheus: SocketAddr,
    },
}

/// How a test speaks to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PodAccess {
    /// At the IP in its status.
    Direct,
    /// Through the API server: `/api/v1/namespaces/NAMESPACE/pods/NAME:PORT/proxy/`.
    ApiProxy,
}

/// What a cluster can do beyond the Kubernetes API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Capability {
    /// The API server makes mistakes and goes away when it is asked to ([`Cluster::control`]).
    Faults,
    /// The API server tells which user asked for what: at `/debug/requests` and `/debug/writes` of its URL.
    RequestRecord,
    /// A test may have a cluster for itself, with settings of its own, within seconds.
    OwnCluster,
    /// Pods are processes of this machine: a test may signal them by their process id.
    LocalPods,
    /// HPAs look once a second, and the run may wait for them in seconds.
    QuickHpa,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Faults => "faults of the API server on purpose",
            Self::RequestRecord => "the API server's record of requests",
            Self::OwnCluster => "a cluster for one test",
            Self::LocalPods => "pods that are processes of this machine",
            Self::QuickHpa => "HPAs that look once a second",
        })
    }
}

/// The nodes that suites schedule on: one for each kind of GPU.
pub fn nodes(gpus_per_node: u32) -> Vec<NodeConfig> {
    let node = |gpu: Gpu| {
        NodeConfig::new(format!("gpu-{}", gpu.name.to_lowercase())).with_gpus(
            gpus_per_node,
            gpu.product,
            gpu.memory_mib,
        )
    };
    vec![node(A100), node(H100)]
}

/// The images that suites use, by repository, each with the program that is its entry point; `controller` instead of our
/// own when given.
///
/// # Errors
/// When a program has not been built.
pub fn image_programs(controller: Option<&Path>) -> Result<[(&'static str, Program); 3], programs::Error> {
    let controller = match controller {
        Some(program) => program.to_owned(),
        None => programs::ours("wva-controller")?,
    };
    // The endpoint picker is this framework's own program.
    let picker = Program { path: programs::ours("wva-e2e")?, args: vec!["epp".to_owned()] };
    Ok([
        ("localhost/wva-controller", Program::new(controller)),
        ("vllm/vllm-openai", Program::new(programs::ours("vllm-sim")?)),
        ("ghcr.io/llm-d/llm-d-inference-scheduler", picker),
    ])
}

/// The same for nodes whose pods are processes.
///
/// # Errors
/// As [`image_programs`].
pub fn images(controller: Option<&Path>) -> Result<Images, programs::Error> {
    let programs = image_programs(controller)?;
    Ok(programs.into_iter().fold(Images::default(), |images, (repository, program)| images.with(repository, program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_found_by_its_name_and_an_unknown_one_is_told_the_names_there_are() {
        for choice in Choice::ALL {
            assert_eq!(choice.name().parse(), Ok(choice));
        }
        let error = "minikube".parse::<Choice>().unwrap_err().to_string();
        assert!(error.starts_with("PROVIDER=minikube is none of: embedded"), "{error}");
    }
}
