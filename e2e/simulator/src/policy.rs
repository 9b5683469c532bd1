//! Who sets the number of replicas.

mod early;
mod fixed;
mod follower;
mod observe;
mod rivals;
mod spec;
mod wva;

use std::time::Duration;

pub use self::follower::Follower;
pub use self::rivals::{DynamoTarget, Predictor};
pub use self::spec::{Policy, UnknownPolicy};
use crate::fleet::Fleet;
use crate::load::Workload;
use crate::monitoring::Monitoring;
use crate::scenario::Scenario;

/// What somebody who scales may look at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The time.
    pub now: Duration,
    /// What is simulated.
    pub scenario: &'a Scenario,
    /// What is there. What a real autoscaler reads from the API server, or from the servers themselves.
    pub fleet: &'a Fleet<'a>,
    /// What the metric source knows.
    pub monitoring: &'a Monitoring,
    /// What arrives. Only for those that are to know better than anybody can.
    pub workload: &'a Workload,
    /// Requests per second that one replica of each variant takes within the promises, measured beforehand.
    pub capacity: &'a [f64],
}

/// What somebody who scales does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Act {
    /// Replicas to set, by the place of the variant.
    pub scale: Vec<(usize, u32)>,
    /// Replicas that it decided on, by the place of the variant; `None` when it decided nothing now. Those who follow may
    /// come later to it.
    pub wanted: Option<Vec<u32>>,
    /// Why, in a sentence for each variant; empty when it does not say.
    pub reasons: Vec<String>,
}

/// Who sets the number of replicas.
pub trait Autoscaler {
    /// When it looks next; `None` when never again.
    fn next(&self) -> Option<Duration>;

    /// Looks, decides, acts.
    fn act(&mut self, view: &View<'_>) -> Act;
}
