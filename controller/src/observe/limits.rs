//! Who follows the number of a target, and how far.
//!
//! Limits are read where they are true: of a target that KEDA scales from its `ScaledObject`, because the HPA that KEDA makes
//! never has a lower limit below 1; of any other from its HPA. What is paused, or may not scale in one direction, reaches no
//! further than the workload is.

use std::collections::HashMap;

use wva_api::ScaleTargetRef;
use wva_engine::snapshot::{Autoscaler, Bounds, ScalingRules, Zero};

use crate::cluster::index::autoscaler::{Hpa, Pause, ScaledObject, refers_to};
use crate::cluster::index::{Index, ObjectKey};

/// Autoscalers by namespace, and kind and name of their target.
pub(super) struct Limits<'a> {
    followers: HashMap<(&'a str, &'a str, &'a str), Vec<Follower<'a>>>,
}

/// An object that scales a target.
#[derive(Clone, Copy)]
enum Follower<'a> {
    Hpa(&'a str, &'a Hpa),
    /// An HPA that KEDA made, whose `ScaledObject` is not known.
    HpaOfKeda(&'a str, &'a Hpa),
    /// With the HPA that KEDA made of it, while there is one.
    Keda(&'a str, &'a ScaledObject, Option<&'a Hpa>),
}

/// The variant whose target is asked for.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) key: &'a ObjectKey,
    pub(super) target: &'a ScaleTargetRef,
    pub(super) spec_replicas: u32,
}

impl<'a> Limits<'a> {
    pub(super) fn of(index: &'a Index) -> Self {
        let mut followers: HashMap<_, Vec<_>> = HashMap::new();
        let mut made: HashMap<(&str, &str), &Hpa> = HashMap::new();
        for (key, hpa) in &index.hpas {
            let follower = match &hpa.scaled_object {
                None => Follower::Hpa(&key.name, hpa),
                Some(name) => {
                    made.insert((&key.namespace, name), hpa);
                    if index.scaled_objects.contains_key(&ObjectKey::new(&*key.namespace, &**name)) {
                        continue;
                    }
                    Follower::HpaOfKeda(name, hpa)
                }
            };
            followers.entry((&*key.namespace, &*hpa.kind, &*hpa.name)).or_default().push(follower);
        }
        for (key, scaled) in &index.scaled_objects {
            let hpa = made.get(&(&*key.namespace, &*key.name)).copied();
            let target = (&*key.namespace, &*scaled.kind, &*scaled.name);
            followers.entry(target).or_default().push(Follower::Keda(&key.name, scaled, hpa));
        }
        Self { followers }
    }

    /// How far the target of a variant can be scaled, and by whom. Several autoscalers on one target are a mistake; their
    /// common range is then all that is safe to assume.
    pub(super) fn find(&self, of: Of<'_>) -> (Bounds, Option<Autoscaler>) {
        let target = (&*of.key.namespace, &*of.target.kind, &*of.target.name);
        let followers = self.followers.get(&target).into_iter().flatten().filter(|follower| follower.is_on(of.target));
        let mut all = followers.map(|follower| follower.reach(of)).collect::<Vec<_>>();
        // Whoever follows the number has the word; the others have limits only.
        all.sort_by_key(|(_, autoscaler)| !autoscaler.follows);
        let bounds = all
            .iter()
            .map(|(bounds, _)| *bounds)
            .reduce(|a, b| Bounds { min: a.min.max(b.min), max: [a.max, b.max].into_iter().flatten().min() });
        let zero = all.iter().map(|(_, autoscaler)| autoscaler.zero).reduce(least).unwrap_or_default();
        let first = all.into_iter().next().map(|(_, autoscaler)| Autoscaler { zero, ..autoscaler });
        (bounds.unwrap_or_default(), first)
    }
}

/// Of two autoscalers on one target: one that keeps a replica keeps it, and where one has to be helped, help is needed.
fn least(a: Zero, b: Zero) -> Zero {
    match (a, b) {
        (Zero::Never, _) | (_, Zero::Never) => Zero::Never,
        (Zero::Controller, _) | (_, Zero::Controller) => Zero::Controller,
        (Zero::Autoscaler, Zero::Autoscaler) => Zero::Autoscaler,
    }
}

impl Follower<'_> {
    fn is_on(&self, target: &ScaleTargetRef) -> bool {
        match self {
            Self::Hpa(_, hpa) | Self::HpaOfKeda(_, hpa) => {
                refers_to(hpa.group.as_deref(), (&hpa.kind, &hpa.name), target)
            }
            Self::Keda(_, scaled, _) => refers_to(Some(&scaled.group), (&scaled.kind, &scaled.name), target),
        }
    }

    fn reach(&self, of: Of<'_>) -> (Bounds, Autoscaler) {
        match *self {
            Self::Hpa(name, hpa) => by_hpa(name, hpa, of),
            Self::HpaOfKeda(name, hpa) => {
                // KEDA writes its own lower limit if that is above 1, and 1 for 0.
                let bounds = Bounds { min: hpa.bounds.min.filter(|min| *min > 1), max: hpa.bounds.max };
                let zero = if bounds.min.is_none() { Zero::Autoscaler } else { Zero::Never };
                (bounds, Autoscaler { kind: "ScaledObject".to_owned(), zero, ..of_hpa(name, hpa, of) })
            }
            Self::Keda(name, scaled, hpa) => by_keda(name, scaled, hpa, of),
        }
    }
}

fn of_hpa(name: &str, hpa: &Hpa, of: Of<'_>) -> Autoscaler {
    Autoscaler {
        kind: "HorizontalPodAutoscaler".to_owned(),
        name: name.to_owned(),
        follows: hpa.reads.includes(&of.key.name),
        paused: None,
        zero: Zero::Never,
        up: hpa.up.clone(),
        down: hpa.down.clone(),
        status: Some(hpa.status.clone()),
    }
}

/// An HPA with a lower limit of 1 keeps one replica of a workload that runs, and leaves one without replicas alone: it goes
/// to zero if somebody else takes it there. One that scales by something else, or keeps more, is not interfered with.
fn by_hpa(name: &str, hpa: &Hpa, of: Of<'_>) -> (Bounds, Autoscaler) {
    let autoscaler = of_hpa(name, hpa, of);
    let zero = match hpa.bounds.min {
        _ if hpa.down.disabled => Zero::Never,
        Some(0) => Zero::Autoscaler,
        Some(1) if autoscaler.follows => Zero::Controller,
        _ => Zero::Never,
    };
    (within(hpa.bounds, &hpa.up, &hpa.down, of.spec_replicas), Autoscaler { zero, ..autoscaler })
}

fn by_keda(name: &str, scaled: &ScaledObject, hpa: Option<&Hpa>, of: Of<'_>) -> (Bounds, Autoscaler) {
    let (mut bounds, replicas) = (within(scaled.bounds, &scaled.up, &scaled.down, of.spec_replicas), of.spec_replicas);
    let (mut up, mut down) = (scaled.up.clone(), scaled.down.clone());
    let mut zero = if scaled.idle == 0 { Zero::Autoscaler } else { Zero::Never };
    let paused = match scaled.paused {
        Pause::No => None,
        Pause::Everything => {
            (bounds, zero) = (Bounds { min: Some(replicas), max: Some(replicas) }, Zero::Never);
            Some(format!("ScaledObject {name} is paused"))
        }
        Pause::At(paused) => {
            bounds = Bounds { min: Some(paused), max: Some(paused) };
            zero = if paused == 0 { Zero::Autoscaler } else { Zero::Never };
            Some(format!("ScaledObject {name} is paused at {paused} replicas"))
        }
        Pause::Directions { up: no_up, down: no_down } => {
            (up.disabled, down.disabled) = (up.disabled || no_up, down.disabled || no_down);
            let Bounds { min, max } = bounds;
            if no_up {
                bounds.max = max.min(Some(replicas)).max(min);
            }
            if no_down {
                (bounds.min, zero) = (min.max(Some(replicas)).min(max), Zero::Never);
            }
            let direction = match (no_up, no_down) {
                (true, false) => " for scaling up",
                (false, true) => " for scaling down",
                _ => "",
            };
            Some(format!("ScaledObject {name} is paused{direction}"))
        }
    };
    let autoscaler = Autoscaler {
        kind: "ScaledObject".to_owned(),
        name: name.to_owned(),
        follows: scaled.reads.includes(&of.key.name),
        paused,
        zero,
        up,
        down,
        status: hpa.map(|hpa| hpa.status.clone()),
    };
    (bounds, autoscaler)
}

/// What a direction that is disabled takes from the limits, which an HPA keeps whatever is disabled: it takes a workload
/// below its lower limit up, and one above its upper limit down. A workload that is woken gets its replica by no autoscaler.
fn within(bounds: Bounds, up: &ScalingRules, down: &ScalingRules, replicas: u32) -> Bounds {
    Bounds {
        min: if down.disabled { bounds.min.max(Some(replicas)).min(bounds.max) } else { bounds.min },
        max: if up.disabled { bounds.max.min(Some(replicas.max(1))).max(bounds.min) } else { bounds.max },
    }
}

#[cfg(test)]
mod tests;
