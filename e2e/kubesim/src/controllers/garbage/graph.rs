//! Who owns whom, and what follows from it for one object.

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// Finalizer of an object that waits for its dependants to go first.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an object whose dependants are to be kept.
pub(super) const ORPHAN: &str = "orphan";

/// Identity of an object for its lifetime.
pub(super) type Uid = String;

/// Index into the catalog of kinds.
pub(super) type KindIndex = usize;

/// What garbage collection needs to know of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) kind: KindIndex,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) finalizers: Vec<String>,
    pub(super) deleting: bool,
}

impl Node {
    pub(super) fn new(kind: KindIndex, meta: &ObjectMeta) -> Self {
        Self {
            kind,
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            owners: meta.owner_references.clone().unwrap_or_default(),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
        }
    }

    fn has(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|known| known == finalizer)
    }
}

/// All objects and their dependants.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: HashMap<Uid, Node>,
    dependants: HashMap<Uid, BTreeSet<Uid>>,
}

/// What to do about an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    Nothing,
    /// Its owners look gone; asks the server before anything is deleted, for the picture may be old.
    Verify {
        missing: Vec<OwnerReference>,
    },
    /// An owner waits for it to go first.
    Delete,
    /// Its dependants go before it does.
    DeleteDependants {
        dependants: Vec<Uid>,
    },
    /// Its dependants stay without it.
    OrphanDependants {
        dependants: Vec<Uid>,
    },
    /// Nothing holds it any longer.
    RemoveFinalizer(&'static str),
}

impl Graph {
    pub(super) fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// Adds or replaces an object; returns whom to look at.
    pub(super) fn put(&mut self, uid: Uid, node: Node) -> Vec<Uid> {
        let old = self.nodes.insert(uid.clone(), node.clone());
        if old.as_ref() == Some(&node) {
            return Vec::new();
        }
        let old_owners = old.map(|old| old.owners).unwrap_or_default();
        for owner in &old_owners {
            self.unlink(&owner.uid, &uid);
        }
        for owner in &node.owners {
            self.dependants.entry(owner.uid.clone()).or_default().insert(uid.clone());
        }
        // Owners that wait for this object may have lost it as a dependant.
        let waiting = old_owners.into_iter().chain(node.owners).map(|owner| owner.uid);
        std::iter::once(uid).chain(waiting).collect()
    }

    /// Forgets an object; returns whom to look at: its dependants, and owners that waited for it.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<Uid> {
        let Some(node) = self.nodes.remove(uid) else { return Vec::new() };
        for owner in &node.owners {
            self.unlink(&owner.uid, uid);
        }
        let dependants = self.dependants.get(uid).into_iter().flatten().cloned();
        dependants.chain(node.owners.iter().map(|owner| owner.uid.clone())).collect()
    }

    /// All objects of a kind, for a fresh list to be compared with.
    pub(super) fn of_kind(&self, kind: KindIndex) -> Vec<Uid> {
        self.nodes.iter().filter(|(_, node)| node.kind == kind).map(|(uid, _)| uid.clone()).collect()
    }

    fn unlink(&mut self, owner: &str, dependant: &str) {
        if let Some(dependants) = self.dependants.get_mut(owner) {
            dependants.remove(dependant);
            if dependants.is_empty() {
                self.dependants.remove(owner);
            }
        }
    }

    fn dependants(&self, uid: &str) -> impl Iterator<Item = (&Uid, &Node)> {
        self.dependants.get(uid).into_iter().flatten().filter_map(|uid| Some((uid, self.nodes.get(uid)?)))
    }

    /// What is to be done about the object now.
    pub(super) fn action(&self, uid: &str) -> Action {
        let Some(node) = self.nodes.get(uid) else { return Action::Nothing };
        if node.deleting && node.has(ORPHAN) {
            let dependants: Vec<Uid> = self.dependants(uid).map(|(uid, _)| uid.clone()).collect();
            return if dependants.is_empty() {
                Action::RemoveFinalizer(ORPHAN)
            } else {
                Action::OrphanDependants { dependants }
            };
        }
        if node.deleting && node.has(FOREGROUND) {
            return self.foreground(uid);
        }
        if node.deleting || node.owners.is_empty() {
            return Action::Nothing;
        }
        let missing: Vec<OwnerReference> =
            node.owners.iter().filter(|owner| !self.is_reachable(node, owner)).cloned().collect();
        let waiting = node.owners.iter().filter(|owner| self.waits_for_dependants(&owner.uid)).count();
        if waiting > 0 && waiting + missing.len() == node.owners.len() {
            Action::Delete
        } else if missing.is_empty() {
            Action::Nothing
        } else {
            Action::Verify { missing }
        }
    }

    /// An owner is in the namespace of what it owns, or in none.
    fn is_reachable(&self, node: &Node, owner: &OwnerReference) -> bool {
        let found = self.nodes.get(&owner.uid);
        found.is_some_and(|owner| owner.namespace.is_empty() || owner.namespace == node.namespace)
    }

    fn waits_for_dependants(&self, uid: &str) -> bool {
        self.nodes.get(uid).is_some_and(|owner| owner.deleting && owner.has(FOREGROUND))
    }

    /// Only dependants that say so hold their owner back.
    fn foreground(&self, uid: &str) -> Action {
        let blocks =
            |node: &Node| node.owners.iter().any(|owner| owner.uid == uid && owner.block_owner_deletion == Some(true));
        let remaining: Vec<(&Uid, &Node)> = self.dependants(uid).collect();
        if !remaining.iter().any(|(_, node)| blocks(node)) {
            return Action::RemoveFinalizer(FOREGROUND);
        }
        let to_delete = remaining.into_iter().filter(|(_, node)| !node.deleting).map(|(uid, _)| uid.clone()).collect();
        Action::DeleteDependants { dependants: to_delete }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(uid: &str) -> OwnerReference {
        OwnerReference {
            uid: uid.into(),
            name: uid.into(),
            block_owner_deletion: Some(true),
            ..OwnerReference::default()
        }
    }

    fn node(owners: &[&str]) -> Node {
        Node {
            kind: 0,
            namespace: "ns".into(),
            name: "n".into(),
            owners: owners.iter().map(|uid| owner(uid)).collect(),
            finalizers: Vec::new(),
            deleting: false,
        }
    }

    fn leaving(finalizer: &str, owners: &[&str]) -> Node {
        Node { finalizers: vec![finalizer.into()], deleting: true, ..node(owners) }
    }

    fn graph(nodes: Vec<(&str, Node)>) -> Graph {
        let mut graph = Graph::default();
        for (uid, node) in nodes {
            graph.put(uid.into(), node);
        }
        graph
    }

    #[test]
    fn an_object_follows_its_only_owner() {
        let mut graph = graph(vec![("deployment", node(&[])), ("set", node(&["deployment"]))]);
        assert_eq!(graph.action("set"), Action::Nothing);
        assert_eq!(graph.remove("deployment"), ["set"]);
        assert_eq!(graph.action("set"), Action::Verify { missing: vec![owner("deployment")] });
    }

    #[test]
    fn foreground_deletion_goes_bottom_up() {
        let mut graph = graph(vec![("deployment", leaving(FOREGROUND, &[])), ("set", node(&["deployment"]))]);
        assert_eq!(graph.action("deployment"), Action::DeleteDependants { dependants: vec!["set".into()] });
        assert_eq!(graph.action("set"), Action::Delete);
        graph.put("set".into(), leaving(FOREGROUND, &["deployment"]));
        assert_eq!(graph.action("deployment"), Action::DeleteDependants { dependants: vec![] });
        assert_eq!(graph.action("set"), Action::RemoveFinalizer(FOREGROUND));
        assert_eq!(graph.remove("set"), ["deployment"]);
        assert_eq!(graph.action("deployment"), Action::RemoveFinalizer(FOREGROUND));
    }

    #[test]
    fn orphans_are_released_before_their_owner_goes() {
        let mut graph = graph(vec![("deployment", leaving(ORPHAN, &[])), ("set", node(&["deployment"]))]);
        assert_eq!(graph.action("deployment"), Action::OrphanDependants { dependants: vec!["set".into()] });
        let again = graph.put("set".into(), node(&[]));
        assert!(again.contains(&"deployment".to_owned()));
        assert_eq!(graph.action("deployment"), Action::RemoveFinalizer(ORPHAN));
        assert_eq!(graph.action("set"), Action::Nothing);
    }

    #[test]
    fn an_object_with_another_living_owner_stays() {
        let graph = graph(vec![("a", leaving(FOREGROUND, &[])), ("b", node(&[])), ("shared", node(&["a", "b"]))]);
        assert_eq!(graph.action("shared"), Action::Nothing);
    }
}
