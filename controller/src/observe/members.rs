//! Which pods a model's requests are counted at: those of its variants, and those that were until a moment ago.
//!
//! A pod that goes takes its series along only minutes later, and its requests have been served all the same. A model's
//! name alone does not tell whose pods they are: other instances, other clusters and workloads without a variant may serve
//! the same.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use wva_engine::snapshot::Variant;
use wva_engine::{ModelKey, Snapshot};

use crate::cluster::index::{Index, ObjectKey};

/// A pod at which requests for a model are counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member<'a> {
    /// The pod.
    pub pod: &'a ObjectKey,
    /// Seconds since it was created.
    pub age: f64,
    /// Whether it is gone, or going.
    pub gone: bool,
}

impl Member<'_> {
    /// Whether it was created within so many seconds.
    pub fn is_younger_than(self, seconds: f64) -> bool {
        self.age < seconds
    }
}

/// The pods of each variant.
#[derive(Clone, Debug, Default)]
pub struct Members(BTreeMap<ObjectKey, BTreeMap<ObjectKey, Known>>);

#[derive(Clone, Copy, Debug)]
struct Known {
    created: Timestamp,
    /// When it was seen last.
    seen: Timestamp,
}

impl Members {
    /// Takes note of the pods of this moment. Pods that are gone are kept for a while, as long as their variant is there.
    pub fn note(&mut self, snapshot: &Snapshot, index: &Index, keep: SignedDuration, now: Timestamp) {
        let mut before = std::mem::take(&mut self.0);
        for model in &snapshot.models {
            let namespace = &*model.key.namespace;
            for variant in &model.variants {
                let key = ObjectKey::new(namespace, &*variant.name);
                let mut pods = before.remove(&key).unwrap_or_default();
                pods.retain(|_, known| now.duration_since(known.seen) <= keep);
                for pod in &variant.pods {
                    let pod = ObjectKey::new(namespace, &*pod.name);
                    let created = index.pods.get(&pod).map_or(Timestamp::UNIX_EPOCH, |pod| pod.created);
                    pods.insert(pod, Known { created, seen: now });
                }
                self.0.insert(key, pods);
            }
        }
    }

    /// The pods of a model's variants.
    pub fn of<'a>(
        &'a self,
        model: &'a ModelKey,
        variants: &'a [Variant],
        now: Timestamp,
    ) -> impl Iterator<Item = Member<'a>> {
        let of_variant = move |variant: &'a Variant| {
            self.0.get(&ObjectKey::new(&*model.namespace, &*variant.name)).into_iter().flatten()
        };
        variants.iter().flat_map(of_variant).map(move |(pod, known)| Member {
            pod,
            age: now.duration_since(known.created).as_secs_f64(),
            gone: known.seen < now,
        })
    }
}

#[cfg(test)]
mod tests {
    use wva_api::Scope;

    use super::*;
    use crate::cluster::index::Pod;
    use crate::fixtures::variant;
    use crate::observe::prometheus::Readings;
    use crate::observe::snapshot::snapshot;
    use crate::ownership::conflict::Refusals;
    use crate::ownership::variants::Ownership;

    const KEEP: SignedDuration = SignedDuration::from_mins(10);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::constant(1_800_000_000 + seconds, 0)
    }

    /// Names of the pods of the only model, with a mark on those that are gone.
    fn noted(members: &mut Members, index: &Index, seconds: i64) -> Vec<String> {
        let ownership = Ownership::take(index, &Scope::default(), &Refusals::new());
        let snapshot = snapshot(index, &ownership, &Ok(Readings::default()), |_| None, Timestamp::UNIX_EPOCH);
        members.note(&snapshot, index, KEEP, at(seconds));
        let all = snapshot.models.iter().flat_map(|model| members.of(&model.key, &model.variants, at(seconds)));
        all.map(|it| format!("{}{}", it.pod.name, if it.gone { " gone" } else { "" })).collect()
    }

    #[test]
    fn a_pod_that_is_gone_counts_for_a_while_unless_its_variant_is_no_longer_mine() {
        let mut index = Index::default().with_variant(&variant("a")).with_deployment("a", 1).with_pod("a", "a-1");
        let mut members = Members::default();
        assert_eq!(noted(&mut members, &index, 0), ["a-1"]);
        let _effect = index.delete::<Pod>(&ObjectKey::new("ns", "a-1"));
        index = index.with_pod("a", "a-2");
        assert_eq!(noted(&mut members, &index, 60), ["a-1 gone", "a-2"]);
        assert_eq!(noted(&mut members, &index, 601), ["a-2"]);
        let _effect = index
            .apply_variant(&variant("a").replace("labels: {", "labels: {wva.llmd.ai/controller-instance: team-b, "));
        assert_eq!(noted(&mut members, &index, 602), Vec::<String>::new());
    }
}
