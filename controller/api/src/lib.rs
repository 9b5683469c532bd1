//! The words the Workload Variant Autoscaler shares with the cluster.
//!
//! Everything that leaves one of our processes and is read by another program (a label, a condition,
//! a metric, a ConfigMap key, the custom resource itself) is named here, once:
//!
//! - [`variant_autoscaling`]: the `VariantAutoscaling` custom resource, and [`crd`] the definition made from it;
//! - [`instance`]: the identity of one controller, and everything derived from it;
//! - [`scope`]: the one answer to "is this variant mine?";
//! - [`conditions`]: condition types, reasons, messages, and how they are updated;
//! - [`pause`]: how a person holds a variant at a number;
//! - [`labels`], [`metrics`], [`events`], [`config_keys`], [`config_maps`]: names, one file per kind.
//!
//! The crate has no client and does no input or output.

pub mod conditions;
pub mod config_keys;
pub mod config_maps;
pub mod crd;
pub mod events;
pub mod instance;
pub mod labels;
pub mod metrics;
mod mutation;
pub mod pause;
pub mod scope;
pub mod variant_autoscaling;

pub use instance::{Instance, InvalidInstance};
pub use pause::Pause;
pub use scope::{Claim, Scope};
pub use variant_autoscaling::{
    Actuation, DesiredAllocation, ScaleTargetRef, VariantAutoscaling, VariantAutoscalingSpec, VariantAutoscalingStatus,
};
