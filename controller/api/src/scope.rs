//! "Is this variant mine?", answered in one place for watches, mappings, the decision loop and the status writer.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Instance, labels, mutation};

/// What one controller takes care of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Who this controller is.
    pub instance: Instance,
    /// Namespaces to watch; empty means all. An explicit namespace beats its exclusion annotation.
    pub namespaces: BTreeSet<String>,
    /// Without an id: also take variants that are labelled for an instance.
    pub manage_all: bool,
}

/// Whether a variant is taken, and if not, why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This controller decides for the variant.
    Mine,
    /// The variant's label names another controller instance.
    OtherInstance(Instance),
    /// The variant's namespace is not among the watched ones.
    OutsideNamespaces,
    /// The variant's namespace carries the exclusion annotation.
    Excluded,
}

impl Scope {
    /// Answers for a variant with `labels` in `namespace`, whose Namespace carries `namespace_annotations`
    /// (`None` when the Namespace is not known: then it counts as not excluded).
    pub fn claim(
        &self,
        labels: &BTreeMap<String, String>,
        namespace: &str,
        namespace_annotations: Option<&BTreeMap<String, String>>,
    ) -> Claim {
        let owner = Instance::of_labels(labels);
        if owner != self.instance && !self.takes_all_instances() && !mutation::is("ownership") {
            return Claim::OtherInstance(owner);
        }
        if self.watches_by_name(namespace) {
            return Claim::Mine;
        }
        if !self.namespaces.is_empty() {
            return Claim::OutsideNamespaces;
        }
        if namespace_annotations.is_some_and(is_excluded) {
            return Claim::Excluded;
        }
        Claim::Mine
    }

    /// Label selector for variants; `None` when this controller takes the variants of all instances.
    pub fn selector(&self) -> Option<String> {
        let all = self.takes_all_instances() || mutation::is("selector") || mutation::is("ownership");
        (!all).then(|| self.instance.selector())
    }

    /// Whether the namespace was named explicitly.
    pub fn watches_by_name(&self, namespace: &str) -> bool {
        self.namespaces.contains(namespace)
    }

    /// `manage_all` means something only without an id: an instance never takes what belongs to another.
    fn takes_all_instances(&self) -> bool {
        self.manage_all && self.instance.id().is_none()
    }
}

/// Whether a Namespace with these annotations is excluded.
pub fn is_excluded(namespace_annotations: &BTreeMap<String, String>) -> bool {
    namespace_annotations.get(labels::EXCLUDE).is_some_and(|value| value == "true")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn scope(id: &str, namespaces: &[&str], manage_all: bool) -> Scope {
        Scope {
            instance: Instance::parse(id).unwrap(),
            namespaces: namespaces.iter().map(|&n| n.to_owned()).collect(),
            manage_all,
        }
    }

    fn other(id: &str) -> Claim {
        Claim::OtherInstance(Instance::parse(id).unwrap())
    }

    #[rstest]
    #[case::same_id(scope("a", &[], false), "a", "ns", None, Claim::Mine)]
    #[case::other_id(scope("a", &[], false), "b", "ns", None, other("b"))]
    #[case::unlabelled_for_an_id(scope("a", &[], false), "", "ns", None, other(""))]
    #[case::unlabelled_without_id(scope("", &[], false), "", "ns", None, Claim::Mine)]
    #[case::labelled_without_id(scope("", &[], false), "a", "ns", None, other("a"))]
    #[case::labelled_but_all_are_taken(scope("", &[], true), "a", "ns", None, Claim::Mine)]
    #[case::all_means_nothing_with_an_id(scope("a", &[], true), "b", "ns", None, other("b"))]
    #[case::watched(scope("", &["ns", "m"], false), "", "m", None, Claim::Mine)]
    #[case::not_watched(scope("", &["ns"], false), "", "m", None, Claim::OutsideNamespaces)]
    #[case::excluded(scope("", &[], false), "", "ns", Some("true"), Claim::Excluded)]
    #[case::excluded_means_exactly_true(scope("", &[], false), "", "ns", Some("True"), Claim::Mine)]
    #[case::watched_beats_excluded(scope("", &["ns"], false), "", "ns", Some("true"), Claim::Mine)]
    fn a_variant_is_claimed_by_instance_then_namespace_then_exclusion(
        #[case] scope: Scope,
        #[case] label: &str,
        #[case] namespace: &str,
        #[case] exclude: Option<&str>,
        #[case] expect: Claim,
    ) {
        let labels = Instance::parse(label).unwrap().labels();
        let annotations = exclude.map(|v| BTreeMap::from([(labels::EXCLUDE.to_owned(), v.to_owned())]));
        assert_eq!(scope.claim(&labels, namespace, annotations.as_ref()), expect);
    }

    #[test]
    fn the_selector_is_dropped_only_when_all_instances_are_taken() {
        assert_eq!(scope("", &[], true).selector(), None);
        assert_eq!(scope("", &[], false).selector().unwrap(), "!wva.llmd.ai/controller-instance");
        assert_eq!(scope("a", &[], true).selector().unwrap(), "wva.llmd.ai/controller-instance=a");
    }
}
