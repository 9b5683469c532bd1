//! Autoscalers of others, from what they publish of how they decide.

mod aibrix;
mod dynamo_load;
mod dynamo_rate;
mod hpa;
mod knative;

pub(super) use self::aibrix::Apa;
pub(super) use self::dynamo_load::DynamoLoad;
pub use self::dynamo_load::DynamoTarget;
pub(super) use self::dynamo_rate::DynamoRate;
pub use self::dynamo_rate::Predictor;
pub(super) use self::hpa::{HpaOnMetrics, Metric};
pub(super) use self::knative::Kpa;
use super::View;
use crate::capacity::AtKnee;
use crate::fleet::Pod;

/// Requests that wait in front of the servers, as far as they fall to one variant: by its share of the ready replicas. A
/// gateway knows no variants, and an autoscaler of one scales only that one.
fn at_gateway(view: &View<'_>, variant: usize) -> f64 {
    let ready = f64::from(view.fleet.count(Pod::is_ready));
    let share = if ready > 0.0 {
        f64::from(view.fleet.ready(variant)) / ready
    } else {
        1.0 / crate::number::float(view.scenario.variants.len().max(1))
    };
    f64::from(view.fleet.at_gateway()) * share
}

/// What one replica of each variant has when it is as busy as it may be.
pub(super) fn at_knee(view: &View<'_>) -> Vec<AtKnee> {
    let variants = view.scenario.variants.iter().zip(view.capacity);
    variants.map(|(variant, rate)| crate::capacity::at_knee(&variant.server, view.workload, *rate)).collect()
}

/// Share of what a replica has at its knee that tuned settings aim at.
pub(super) const TUNED: f64 = 0.8;

/// One more replica of the cheapest variant that may grow, or one less of the most expensive that may shrink; for those who
/// know one pool of workers.
fn one_of_the_pool(view: &View<'_>, up: bool) -> Vec<u32> {
    let mut wanted: Vec<u32> = (0..view.scenario.variants.len()).map(|variant| view.fleet.spec(variant)).collect();
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    let cost = |place: &usize| view.scenario.variants[*place].cost;
    order.sort_by(|a, b| if up { cost(a).total_cmp(&cost(b)) } else { cost(b).total_cmp(&cost(a)) });
    let may = |place: &&usize| {
        let of = &view.scenario.variants[**place];
        if up { wanted[**place] < of.max } else { wanted[**place] > of.min }
    };
    if let Some(place) = order.iter().find(may).copied() {
        wanted[place] = if up { wanted[place] + 1 } else { wanted[place] - 1 };
    }
    wanted
}
