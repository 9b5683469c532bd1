//! A Kubernetes control plane and node agent as local processes, for tests without containers.
//!
//! Three parts, each of which only talks to the next through the Kubernetes API:
//! - [`apiserver`] keeps the objects, in memory, and serves them to kubectl, helm and client libraries;
//! - [`controllers`] turn what users write into pods, addresses and replica counts;
//! - [`node`] makes pods real: each container is a local process with a loopback address of its own.
//!
//! [`cluster`] starts all of them in one process, and the `kubesim` program does so for a shell; it ends when one of their tasks
//! fails ([`supervision`]); aggregated APIs are served by [`serving`]. Controllers and node
//! agent also run against a real API server. Objects end with the process that keeps them.

pub mod apiserver;
pub mod cluster;
pub mod controllers;
mod machinery;
mod metrics_server;
pub mod node;
pub mod serving;
pub mod supervision;
