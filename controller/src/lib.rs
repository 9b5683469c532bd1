//! The Workload Variant Autoscaler controller.
//!
//! Watches fill an in-memory [`index`] ([`watch`]; [`targets`] of other kinds than Deployment through [`scale`]). A [`cycle`] begins when its interval ends or something wakes it:
//! [`observe`] reads the index and asks [`prometheus`] a constant number of grouped queries; `wva_engine::decide` turns
//! that into a plan; [`actuate`] publishes the plan's numbers as [`metrics`], which an HPA or KEDA follows; [`report`]
//! turns it into status and [`transitions`] into events; the [`teller`] hands these to the tasks that write
//! ([`status_writer`], [`events`]). Only the [`leader`] does so.
//!
//! - `keda`: KEDA's `ScaledObject`s, where there are any;
//! - [`zero`]: to zero and back, by what waits at gateways ([`pools`]); [`inventory`]: the GPUs there are;
//! - [`config`]: flags, environment and the main ConfigMap, resolved once; [`settings`]: what may change meanwhile;
//!   [`telemetry`]: logs;
//! - [`server`]: probes, state and metrics over HTTP; [`readiness`]: what is still waited for;
//! - [`conflict`]: two controllers on one variant;
//! - [`shared`]: the state that several of these look at; [`api_error`]: the API server's errors in words;
//! - [`handover`]: a change of leader as others see it; [`tasks`]: what runs, by name; [`pulse`]: whether the cycle beats;
//!   [`trouble`]: what does not work at the moment;
//! - [`run`](mod@run): wiring; [`main`](mod@entry): the command line;
//! - [`check`]: asks running controllers whether they are ready, for `helm test`.

pub mod actuate;
pub mod api_error;
pub mod check;
pub mod config;
pub mod conflict;
pub mod cycle;
mod ending;
pub mod entry;
pub mod events;
#[cfg(test)]
mod fixtures;
pub mod handover;
pub mod index;
pub mod inventory;
mod keda;
pub mod leader;
mod lock;
pub mod lookout;
pub mod metrics;
mod mirror;
pub mod observe;
pub mod pools;
pub mod prometheus;
pub mod pulse;
pub mod readiness;
pub mod report;
pub mod run;
pub mod scale;
pub mod server;
pub mod settings;
pub mod shared;
pub mod status_writer;
pub mod targets;
pub mod tasks;
pub mod telemetry;
pub mod teller;
pub mod transitions;
pub mod trouble;
mod trust;
pub mod watch;
pub mod zero;

/// Makes ring the provider of cryptography for all TLS of the process. A second call changes nothing.
pub fn install_crypto() {
    let _already_installed = rustls::crypto::ring::default_provider().install_default().is_err();
}
