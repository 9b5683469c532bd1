//! Which pods belong to which target.

use std::collections::HashMap;

use kube::core::Expression;

use crate::index::selector::{pairs, selects};
use crate::index::target::PodsOf;
use crate::index::{Index, ObjectKey, Pod, Scaled};

/// One pod, by its name.
type Found<'a> = (&'a ObjectKey, &'a Pod);

/// A namespace, and name and value of a label in it.
type Label<'a> = (&'a str, &'a str, &'a str);

/// The pods that are not on their way out, ready to be looked up.
#[derive(Debug, Default)]
pub(super) struct Pods<'a> {
    /// By uid of their Deployment, by the chain of owners. Label selectors are no substitute: those of two Deployments
    /// may overlap.
    owned: HashMap<&'a str, Vec<Found<'a>>>,
    /// By namespace and one label; only labels that selectors name.
    labelled: HashMap<Label<'a>, Vec<Found<'a>>>,
}

impl<'a> Pods<'a> {
    pub(super) fn of(index: &'a Index) -> Self {
        let deployment_of: HashMap<&str, &str> =
            index.replica_sets.values().map(|set| (set.uid.as_str(), set.owner.as_str())).collect();
        let named: Vec<&str> = {
            let selectors = index.scaled.values().filter_map(Scaled::found).filter_map(|scale| scale.pods.as_deref());
            let mut names: Vec<&str> = selectors.flat_map(pairs).map(|(name, _)| name).collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        let mut pods = Self::default();
        for (key, pod) in index.pods.iter().filter(|(_, pod)| !pod.leaving) {
            if let Some(labels) = &pod.labels {
                for &name in &named {
                    if let Some((name, value)) = labels.get_key_value(name) {
                        pods.labelled.entry((&key.namespace, name, value)).or_default().push((key, pod));
                    }
                }
            } else if let Some(&deployment) = deployment_of.get(pod.owner.as_str()) {
                pods.owned.entry(deployment).or_default().push((key, pod));
            }
        }
        pods
    }

    /// The pods of a target in `namespace`.
    pub(super) fn find(&self, namespace: &str, of: PodsOf<'_>) -> Vec<Found<'a>> {
        match of {
            PodsOf::Owner(uid) => self.owned.get(uid).cloned().unwrap_or_default(),
            PodsOf::Selector(None) => Vec::new(),
            PodsOf::Selector(Some(selector)) => self.selected(namespace, selector),
        }
    }

    /// Looks among the pods with the rarest of the labels that the selector demands. A selector that demands none is
    /// not used by any kind whose replicas serve models.
    fn selected(&self, namespace: &str, selector: &[Expression]) -> Vec<Found<'a>> {
        let with = |(name, value)| self.labelled.get(&(namespace, name, value)).map_or(&[][..], Vec::as_slice);
        let candidates = pairs(selector).map(with).min_by_key(|candidates| candidates.len());
        let selected = candidates.unwrap_or_default().iter();
        selected
            .filter(|(_, pod)| pod.labels.as_ref().is_some_and(|labels| selects(selector, labels)))
            .copied()
            .collect()
    }
}
