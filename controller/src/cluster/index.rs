//! The part of the cluster this controller decides on, in memory.
//!
//! Watches call [`Index::apply`] and [`Index::delete`]; both are synchronous and say whether the change is one that a
//! cycle should not wait for. Only what decisions need is kept of each object ([`records`]), made from the API's
//! types in [`convert`] and [`workload`]. Targets that are no Deployments are read one by one ([`scaled`]).

pub mod autoscaler;
pub mod convert;
pub mod hpa;
pub mod keda;
pub mod obstacle;
pub mod records;
pub mod scaled;
pub mod target;
pub mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use wva_api::{Claim, Scope};

pub use self::autoscaler::{Hpa, ScaledObject};
pub use self::records::{Deployment, Namespace, Pod, ReplicaSet, StatusWrite, Variant};
pub use self::scaled::{Scale, Scaled, TargetKey, TargetKind};

/// Namespace and name of an object. Cluster-scoped objects have an empty namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ObjectKey {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// The kind of variants, as watches and [`Index::unreadable`] name it.
pub(crate) const VARIANTS: &str = "variantautoscalings";

/// Objects of one kind.
pub type Table<R> = BTreeMap<ObjectKey, R>;

/// What is known of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// `VariantAutoscaling`s that match the instance's selector.
    pub variants: Table<Variant>,
    /// Deployments.
    pub deployments: Table<Deployment>,
    /// `ReplicaSet`s: the link between a pod and its Deployment.
    pub replica_sets: Table<ReplicaSet>,
    /// Pods that serve for longer: not those of Jobs and `DaemonSet`s, and none without an owner.
    pub pods: Table<Pod>,
    /// `HorizontalPodAutoscaler`s.
    pub hpas: Table<Hpa>,
    /// KEDA's `ScaledObject`s, where the cluster serves them.
    pub scaled_objects: Table<ScaledObject>,
    /// Targets of other kinds, as far as variants name them.
    pub scaled: BTreeMap<TargetKey, Scaled>,
    /// Namespaces; empty when the namespaces to watch are given by name.
    pub namespaces: Table<Namespace>,
    /// Rises with every change.
    pub revision: u64,
    /// Objects (kind and key) whose last version could not be read, with the reason. A version read before stays
    /// in force.
    pub unreadable: BTreeMap<(&'static str, ObjectKey), Unreadable>,
}

/// An object that does not have the form its kind should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// What is wrong with it.
    pub why: String,
}

/// Whether a change calls for a cycle at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// The next regular cycle is early enough.
    Later,
    /// Somebody waits for the consequence: a target came or went, a variant or a limit changed.
    Now,
}

/// A kind of object the index holds.
pub trait Record: PartialEq + Sized {
    /// The table of that kind.
    fn table(index: &mut Index) -> &mut Table<Self>;

    /// Whether going from `before` to `after` (`None`: not there) calls for a cycle at once.
    fn matters(index: &Index, key: &ObjectKey, before: Option<&Self>, after: Option<&Self>) -> bool;
}

impl ObjectKey {
    /// A key from its parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

impl Index {
    /// Takes over the new state of an object.
    pub fn apply<R: Record>(&mut self, key: ObjectKey, record: R) -> Effect {
        let before = R::table(self).remove(&key);
        self.revision += u64::from(before.as_ref() != Some(&record));
        let effect = self.effect(&key, before.as_ref(), Some(&record));
        R::table(self).insert(key, record);
        effect
    }

    /// Forgets an object.
    pub fn delete<R: Record>(&mut self, key: &ObjectKey) -> Effect {
        match R::table(self).remove(key) {
            Some(before) => {
                self.revision += 1;
                self.effect(key, Some(&before), None)
            }
            None => Effect::Later,
        }
    }

    /// After a complete list: forgets the objects of `namespace` (`None`: of all) that the list did not hold.
    pub fn keep_only<R: Record>(&mut self, namespace: Option<&str>, listed: &BTreeSet<ObjectKey>) -> Effect {
        let in_scope = |key: &ObjectKey| namespace.is_none_or(|namespace| key.namespace == namespace);
        let gone: Vec<ObjectKey> =
            R::table(self).keys().filter(|key| in_scope(key) && !listed.contains(key)).cloned().collect();
        gone.iter().map(|key| self.delete::<R>(key)).fold(Effect::Later, Effect::or)
    }

    /// Whose a variant is.
    pub fn claim(&self, scope: &Scope, key: &ObjectKey, variant: &Variant) -> Claim {
        let namespace = self.namespaces.get(&ObjectKey::new("", &*key.namespace));
        scope.claim(&variant.labels, &key.namespace, namespace.map(|namespace| &namespace.annotations))
    }

    /// The variants within `scope` that cannot be read.
    pub fn unreadable_variants(&self, scope: &Scope) -> impl Iterator<Item = (&ObjectKey, &Unreadable)> {
        let variants = self.unreadable.iter().filter(|((kind, _), _)| *kind == VARIANTS);
        variants.map(|((_, key), unreadable)| (key, unreadable)).filter(move |(key, unreadable)| {
            let namespace = self.namespaces.get(&ObjectKey::new("", &*key.namespace));
            let annotations = namespace.map(|namespace| &namespace.annotations);
            scope.claim(&unreadable.labels, &key.namespace, annotations) == Claim::Mine
        })
    }

    /// Whether any variant names an object of this kind and name as its target.
    pub(crate) fn is_target(&self, kind: &str, object: &ObjectKey) -> bool {
        self.variants.iter().any(|(key, variant)| {
            key.namespace == object.namespace && variant.target.name == object.name && variant.target.kind == kind
        })
    }

    fn effect<R: Record>(&self, key: &ObjectKey, before: Option<&R>, after: Option<&R>) -> Effect {
        if before != after && R::matters(self, key, before, after) { Effect::Now } else { Effect::Later }
    }
}

impl Effect {
    /// The more urgent of two.
    pub fn or(self, other: Self) -> Self {
        if self == Self::Now { self } else { other }
    }
}

#[cfg(test)]
mod tests;
