//! Which pods belong to which target.

use std::collections::{BTreeSet, HashMap, HashSet};

use kube::core::Expression;

use crate::cluster::index::target::{PodsOf, Target, Workload};
use crate::cluster::index::{Index, ObjectKey, Pod, Scaled, Variant};
use crate::cluster::selector::{pairs, selects};

/// One pod, by its name.
type Found<'a> = (&'a ObjectKey, &'a Pod);

/// A namespace, and name and value of a label in it.
type Label<'a> = (&'a str, &'a str, &'a str);

/// Owners that are followed from a pod on.
const LONGEST_CHAIN: usize = 8;

/// The pods that are not on their way out, ready to be looked up.
#[derive(Debug, Default)]
pub(super) struct Pods<'a> {
    /// By uid of what controls their `ReplicaSet`. For a Deployment, label selectors are no substitute: those of two may
    /// overlap.
    owned: HashMap<&'a str, Vec<Found<'a>>>,
    /// By namespace and one label; only labels that selectors name.
    labelled: HashMap<Label<'a>, Vec<Found<'a>>>,
    owners: Owners<'a>,
}

/// Who owns what, as far as pods may lead to targets.
#[derive(Debug, Default)]
struct Owners<'a> {
    /// What controls a `ReplicaSet` or a Deployment, by uid.
    of: HashMap<&'a str, &'a str>,
    /// Uids of targets.
    targets: HashSet<&'a str>,
}

/// The pods of all variants' targets.
pub fn serving(index: &Index) -> BTreeSet<ObjectKey> {
    let pods = Pods::of(index);
    let of = |(key, variant): (&ObjectKey, &Variant)| match index.target(&key.namespace, &variant.target) {
        Target::Found(workload) => pods.find(&key.namespace, workload.pods),
        Target::Missing | Target::Unread | Target::Unscalable(_) => Vec::new(),
    };
    index.variants.iter().flat_map(of).map(|(pod, _)| pod.clone()).collect()
}

impl<'a> Pods<'a> {
    pub(super) fn of(index: &'a Index) -> Self {
        let sets = index.replica_sets.values().map(|set| (set.uid.as_str(), set.owner.as_str()));
        let mut owners = Owners { of: sets.collect(), targets: HashSet::new() };
        let named: Vec<&str> = {
            let selectors = index.scaled.values().filter_map(Scaled::found).filter_map(|scale| scale.pods.as_deref());
            let mut names: Vec<&str> = selectors.flat_map(pairs).map(|(name, _)| name).collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        let mut pods = Self::default();
        for (key, pod) in index.pods.iter().filter(|(_, pod)| !pod.leaving) {
            if let Some(&owner) = owners.of.get(pod.owner.as_str()) {
                pods.owned.entry(owner).or_default().push((key, pod));
            }
            for &name in &named {
                if let Some((name, value)) = pod.labels.get_key_value(name) {
                    pods.labelled.entry((&key.namespace, name, value)).or_default().push((key, pod));
                }
            }
        }
        if !named.is_empty() {
            owners.add_targets(index);
        }
        Self { owners, ..pods }
    }

    /// The pods of a target in `namespace`.
    pub(super) fn find(&self, namespace: &str, of: PodsOf<'_>) -> Vec<Found<'a>> {
        match of {
            PodsOf::Owner(uid) => self.owned.get(uid).cloned().unwrap_or_default(),
            PodsOf::Selector { selector: None, .. } => Vec::new(),
            PodsOf::Selector { uid, selector: Some(selector) } => self.selected(namespace, uid, selector),
        }
    }

    /// Looks among the pods with the rarest of the labels that the selector demands. A selector that demands none is
    /// not used by any kind whose replicas serve models.
    fn selected(&self, namespace: &str, uid: &str, selector: &[Expression]) -> Vec<Found<'a>> {
        let with = |(name, value)| self.labelled.get(&(namespace, name, value)).map_or(&[][..], Vec::as_slice);
        let candidates = pairs(selector).map(with).min_by_key(|candidates| candidates.len());
        let selected = candidates.unwrap_or_default().iter();
        selected
            .filter(|(_, pod)| selects(selector, &pod.labels) && self.owners.may_belong(pod, uid))
            .copied()
            .collect()
    }
}

impl<'a> Owners<'a> {
    fn add_targets(&mut self, index: &'a Index) {
        let owned = |it: &'a crate::cluster::index::Deployment| Some((it.uid.as_str(), it.owner.as_deref()?));
        self.of.extend(index.deployments.values().filter_map(owned));
        let uid = |(key, variant): (&'a ObjectKey, &'a crate::cluster::index::Variant)| {
            let Target::Found(Workload { pods, .. }) = index.target(&key.namespace, &variant.target) else {
                return None;
            };
            match pods {
                PodsOf::Owner(uid) | PodsOf::Selector { uid, .. } => Some(uid),
            }
        };
        self.targets = index.variants.iter().filter_map(uid).collect();
    }

    /// Whether the nearest target among the owners of a pod, if there is one, is the one with this uid. An Argo Rollout is
    /// found behind its `ReplicaSet`s, another kind perhaps behind its Deployments, and many kinds only by labels.
    fn may_belong(&self, pod: &Pod, uid: &str) -> bool {
        let owners = std::iter::successors(Some(pod.owner.as_str()), |owner| self.of.get(owner).copied());
        // No real chain is longer; one that leads in a circle ends as well.
        let mut owners = owners.take(LONGEST_CHAIN);
        owners.find(|owner| self.targets.contains(owner)).is_none_or(|owner| owner == uid)
    }
}

#[cfg(test)]
mod tests;
