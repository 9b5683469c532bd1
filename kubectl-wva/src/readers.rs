//! What several commands read from the cluster.
//!
//! - [`controllers`], [`variants`], [`workload`], [`pods`], [`servers`]: who decides, for what, and what runs;
//! - [`hpas`], [`external`], [`followers`]: what carries a decision out, and by which metric;
//! - [`definition`]: the kind `VariantAutoscaling` as the cluster knows it; [`lists`]: lists of which each may fail alone;
//! - [`debug_state`]: what a leader knows, by [`forward`], the way to a pod's own port; `prometheus`: where
//!   Prometheus is; [`recorded`]: the replicas it recorded.

pub mod controllers;
pub mod debug_state;
pub mod definition;
pub mod external;
pub mod followers;
pub mod forward;
pub mod hpas;
pub mod lists;
pub mod pods;
pub(crate) mod prometheus;
pub mod recorded;
pub mod servers;
pub mod variants;
pub mod workload;
