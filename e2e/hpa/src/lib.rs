//! What a `HorizontalPodAutoscaler` (`autoscaling/v2`) computes, without a cluster: time and metrics are arguments.
//!
//! - [`metric`]: from a metric and its target to a number of replicas, unless that is within the tolerance;
//! - [`pods`]: which of the target's pods count, and what their metrics ask for;
//! - [`behavior`]: how far, and how soon, that number is followed: stabilisation windows, policies, bounds;
//! - [`quantity`]: numbers as Kubernetes writes them.
//!
//! The embedded cluster's HPA and the simulator's are both made of it.

pub mod behavior;
pub mod metric;
pub mod pods;
pub mod quantity;

pub use self::behavior::{Behavior, Bounds, Decision, Limit, Memory, Stability};
pub use self::metric::Tolerance;
