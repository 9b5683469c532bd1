//! Which variants are mine, and which of them can be decided. Pure, and without metrics.

use std::collections::{BTreeMap, BTreeSet};

use wva_api::{Claim, Instance, Scope};

use super::conflict::{Refusal, Refusals};
use crate::cluster::index::target::Target;
use crate::cluster::index::{Index, ObjectKey};

/// Who is mine, and in what state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Standing of each variant this controller decides for.
    pub mine: BTreeMap<ObjectKey, Eligibility>,
    /// Of these, variants that are labelled for an instance this controller is not.
    pub adopted: BTreeSet<ObjectKey>,
    /// Variants that were seen but belong to somebody else, by the reason.
    pub ignored: BTreeMap<ObjectKey, Ignored>,
}

/// Whether a variant can be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eligibility {
    /// Its target is there and only its own.
    Ready,
    /// Its target does not exist, or is being deleted.
    TargetMissing,
    /// Its target cannot be scaled; the reason, as a sentence.
    Unscalable(String),
    /// Its target has not been read yet; what was said before holds until then.
    Unread,
    /// Another instance writes its status.
    InstanceConflict(Refusal),
    /// Other variants, named here, have the same target.
    TargetConflict(Vec<String>),
    /// It names no model.
    NoModel,
}

/// Why a variant is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ignored {
    /// Its label names another instance.
    OtherInstance,
    /// Its namespace is not watched.
    OutsideNamespaces,
    /// Its namespace is excluded.
    Excluded,
}

impl Ignored {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::OtherInstance, Self::OutsideNamespaces, Self::Excluded];

    /// Name of the reason, as a metric label.
    pub fn class(self) -> &'static str {
        match self {
            Self::OtherInstance => "other_instance",
            Self::OutsideNamespaces => "outside_namespaces",
            Self::Excluded => "excluded",
        }
    }
}

impl Ownership {
    /// Looks at every variant. `refused` are those that are left alone because of another instance.
    pub fn take(index: &Index, scope: &Scope, refused: &Refusals) -> Self {
        let mut ownership = Self::default();
        let mut by_target: BTreeMap<(&str, &str, &str), Vec<&ObjectKey>> = BTreeMap::new();
        for (key, variant) in &index.variants {
            let ignored = match index.claim(scope, key, variant) {
                Claim::Mine => {
                    let target = (&*key.namespace, &*variant.target.kind, &*variant.target.name);
                    by_target.entry(target).or_default().push(key);
                    if Instance::of_labels(&variant.labels) != scope.instance {
                        ownership.adopted.insert(key.clone());
                    }
                    continue;
                }
                Claim::OtherInstance(_) => Ignored::OtherInstance,
                Claim::OutsideNamespaces => Ignored::OutsideNamespaces,
                Claim::Excluded => Ignored::Excluded,
            };
            ownership.ignored.insert(key.clone(), ignored);
        }
        for variants in by_target.values() {
            for &key in variants {
                let others = variants.iter().filter(|&&other| other != key).map(|other| other.name.clone()).collect();
                ownership.mine.insert(key.clone(), eligibility(index, key, refused.get(key), others));
            }
        }
        ownership
    }

    /// The variants that can be decided.
    pub fn ready(&self) -> impl Iterator<Item = &ObjectKey> {
        self.mine.iter().filter(|(_, eligibility)| **eligibility == Eligibility::Ready).map(|(key, _)| key)
    }
}

fn eligibility(index: &Index, key: &ObjectKey, refused: Option<&Refusal>, others: Vec<String>) -> Eligibility {
    let variant = &index.variants[key];
    match (index.target(&key.namespace, &variant.target), refused) {
        (Target::Unread, _) => Eligibility::Unread,
        (Target::Unscalable(why), _) => Eligibility::Unscalable(why.to_owned()),
        (Target::Missing, _) => Eligibility::TargetMissing,
        (Target::Found(_), Some(refusal)) => Eligibility::InstanceConflict(refusal.clone()),
        (Target::Found(_), None) if !others.is_empty() => Eligibility::TargetConflict(others),
        (Target::Found(_), None) if variant.model.is_none() => Eligibility::NoModel,
        (Target::Found(_), None) => Eligibility::Ready,
    }
}
