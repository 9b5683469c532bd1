//! End-to-end framework of the Workload Variant Autoscaler.
//!
//! It brings up a whole environment (an embedded Kubernetes cluster with emulated GPU nodes, a real Prometheus that
//! scrapes what the `ServiceMonitors` in the cluster select, and an external-metrics adapter that HPAs read), installs
//! any number of isolated controllers and models into it the way a user would, drives real HTTP load, and checks
//! what came of it.
//!
//! - [`providers`]: where the cluster comes from;
//! - [`environment`]: cluster + Prometheus + adapter, started and stopped as one;
//! - [`monitoring`]: Prometheus and adapter, for whatever cluster;
//! - [`prometheus`], [`scrape`]: the Prometheus process, and its targets from the objects in the cluster;
//! - [`adapter`]: `external.metrics.k8s.io` answered from Prometheus;
//! - [`inventory`]: what is in a cluster, by name;
//! - [`instance`], [`workload`]: what is installed: controllers by the chart, models by the plugin, vLLM Deployments;
//! - [`instances`]: tests as closures over isolated instances in the cluster of the run;
//! - [`demo`]: the guided tour that `make demo` runs;
//! - [`bench`](mod@bench): figures of what a controller costs;
//! - [`faults`](mod@faults): what goes wrong in clusters, and what the autoscaler makes of it;
//! - [`conformance`]: the embedded API server held to the answers of a real one;
//! - [`session`]: `up` and `down`, an environment that outlives the command;
//! - [`run`]: one cluster for all tests of a run;
//! - [`rights`]: what a service account may do, compared with what it did;
//! - [`harness`]: tests as closures over an environment of their own;
//! - [`evidence`]: what a failed test leaves behind;
//! - [`hunt`](mod@hunt): the suites again and again, and what nextest's result says;
//! - [`neighbours`]: releases with names that would meet if names could;
//! - [`image`]: container images of our binaries, for clusters of containers;
//! - [`endpoints`]: which servers are ready, as a gateway would follow them;
//! - [`gateway`], [`picker`]: an `InferencePool` with an emulated endpoint picker, which runs as a pod;
//! - [`kubectl`], [`helm`], [`programs`], [`manifest`], [`wait`]: the programs we drive, our own manifests, and waiting
//!   for a named condition.

pub mod adapter;
pub mod bench;
pub mod conformance;
pub mod demo;
pub mod endpoints;
pub mod environment;
pub mod evidence;
pub mod faults;
pub mod gateway;
pub mod harness;
pub mod helm;
pub mod hunt;
pub mod image;
pub mod instance;
pub mod instances;
pub mod inventory;
pub mod kubectl;
pub mod manifest;
pub mod monitoring;
pub mod neighbours;
pub mod picker;
pub mod programs;
pub mod prometheus;
pub mod providers;
pub mod rights;
pub mod run;
pub mod scrape;
pub mod session;
pub mod wait;
#[cfg(test)]
mod workflows;
pub mod workload;
