//! From capacity that is short, or to spare, to replicas.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::number::whole;

/// A variant that may grow or shrink.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<'a> {
    /// Its name.
    pub variant: &'a str,
    /// Cost of a replica.
    pub cost: f64,
    /// What a replica has room for: tokens, or requests per second; one without room is passed over.
    pub per_replica: f64,
    /// Replicas it has.
    pub current: u32,
    /// Least replicas it may get.
    pub floor: u32,
    /// Most replicas it may get.
    pub ceiling: u32,
    /// Nobody followed when it was to grow last: the others come first.
    pub refused: bool,
}

impl<'a> Candidate<'a> {
    /// A variant without limits.
    pub fn new(variant: &'a str, cost: f64, per_replica: f64, current: u32) -> Self {
        Self { variant, cost, per_replica, current, floor: 0, ceiling: u32::MAX, refused: false }
    }
}

/// Replicas for every candidate, by name.
///
/// Capacity that is `required` is bought where a token of room costs least; the first variant takes all it may. 5,000
/// tokens are one replica of 10,000 at cost 5 rather than one of 20,000 at cost 15.
///
/// Capacity to `spare` is given up where a replica costs most, in whole replicas. The cheapest variant keeps one replica
/// when no other has any.
pub fn optimize<'a>(candidates: &[Candidate<'a>], required: f64, spare: f64) -> BTreeMap<&'a str, u32> {
    let mut targets: BTreeMap<_, _> = candidates.iter().map(|it| (it.variant, it.current)).collect();
    if required > 0.0 {
        grow(candidates, required, &mut targets);
    } else if spare > 0.0 {
        shrink(candidates, spare, &mut targets);
    }
    targets
}

fn grow<'a>(candidates: &[Candidate<'a>], mut required: f64, targets: &mut BTreeMap<&'a str, u32>) {
    let mut usable: Vec<_> = candidates.iter().filter(|it| it.per_replica > 0.0).collect();
    usable.sort_by(|a, b| {
        let price = |it: &Candidate<'_>| it.cost / it.per_replica;
        let by_price = a.refused.cmp(&b.refused).then_with(|| by_number(price(a), price(b)));
        by_price.then_with(|| a.variant.cmp(b.variant))
    });
    for Candidate { variant, per_replica, current, ceiling, .. } in usable {
        if required <= 0.0 {
            break;
        }
        let wanted = whole((required / per_replica).ceil());
        let added = u32::try_from(wanted).unwrap_or(u32::MAX).min(ceiling.saturating_sub(*current));
        targets.insert(variant, current.saturating_add(added));
        required -= f64::from(added) * per_replica;
    }
}

fn shrink<'a>(candidates: &[Candidate<'a>], mut spare: f64, targets: &mut BTreeMap<&'a str, u32>) {
    let by_cost =
        |a: &&Candidate<'_>, b: &&Candidate<'_>| by_number(a.cost, b.cost).then_with(|| a.variant.cmp(b.variant));
    let cheapest = candidates.iter().min_by(by_cost).map(|it| it.variant);
    let mut most_expensive_first: Vec<_> = candidates.iter().filter(|it| it.per_replica > 0.0).collect();
    most_expensive_first.sort_by(|a, b| by_cost(b, a));
    for Candidate { variant, per_replica, current, floor, .. } in most_expensive_first {
        if spare <= 0.0 {
            break;
        }
        let alone = !targets.iter().any(|(other, replicas)| other != variant && *replicas > 0);
        let floor = (*floor).max(u32::from(alone && cheapest == Some(*variant)));
        let fitting = whole((spare / per_replica).floor());
        let removed = u32::try_from(fitting).unwrap_or(u32::MAX).min(current.saturating_sub(floor));
        targets.insert(variant, current - removed);
        spare -= f64::from(removed) * per_replica;
    }
}

/// What is not a number comes after all numbers.
fn by_number(a: f64, b: f64) -> Ordering {
    a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(&b).unwrap_or(Ordering::Equal))
}
