//! The Workload Variant Autoscaler controller.
//!
//! The folders are the way of a decision:
//!
//! - [`cluster`]: watches fill an in-memory index;
//! - [`triggers`]: what wakes a [`cycle`] before its interval ends;
//! - [`observe`]: the index and a constant number of grouped queries become a snapshot, of which `wva_engine::decide` makes
//!   a plan;
//! - [`actuate`]: its numbers are published, which an HPA or KEDA follows;
//! - [`report`]: it becomes status and events;
//! - [`ownership`]: for which variants all this is done, and by which process;
//! - [`config`]: flags, environment and `ConfigMap`s; what of them may change meanwhile is [`config::live`];
//! - [`serve`]: probes, state and metrics over HTTP;
//! - [`run`](mod@run): wiring, and how the process ends; [`entry`](mod@entry): the command line.
//!
//! The ground below: [`shared`] is the state that several of these look at, [`ledger`] what was said last, [`metrics`] the process's own, [`tasks`] what
//! runs, by name; [`readiness`] is what is still waited for, [`pulse`] whether the cycle beats, [`trouble`] what does not
//! work at the moment; [`telemetry`] are logs, [`api_error`] the API server's errors in words.

pub mod actuate;
pub mod api_error;
pub mod cluster;
pub mod config;
pub mod cycle;
pub mod entry;
#[cfg(test)]
mod fixtures;
pub mod ledger;
mod lock;
pub mod metrics;
pub mod observe;
pub mod ownership;
pub mod pulse;
pub mod readiness;
pub mod report;
pub mod run;
pub mod serve;
pub mod shared;
pub mod tasks;
pub mod telemetry;
pub mod triggers;
pub mod trouble;
mod trust;

/// Makes ring the provider of cryptography for all TLS of the process. A second call changes nothing.
pub fn install_crypto() {
    let _already_installed = rustls::crypto::ring::default_provider().install_default().is_err();
}
