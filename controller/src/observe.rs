//! The first step of a cycle: from the index and the readings to a snapshot. Pure.
//!
//! [`Census`] needs no metrics: it says which variants are mine and which of them can be decided. [`snapshot`] adds
//! the readings.

mod limits;
mod members;
mod pods;

use std::collections::{BTreeMap, BTreeSet};

use wva_api::{Claim, Instance, Scope};
use wva_engine::snapshot::{Model, Pod, Source, Variant as Observed};
use wva_engine::{ModelKey, Snapshot};

use self::limits::{Limits, Of};
pub use self::members::{Member, Members};
use self::pods::Pods;
pub use self::pods::serving;
use crate::conflict::Refusal;
use crate::index::target::Target;
use crate::index::{Index, ObjectKey, Variant, workload};
use crate::prometheus::{QueryError, Readings};

/// Who is mine, and in what state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Standing of each variant this controller decides for.
    pub standings: BTreeMap<ObjectKey, Standing>,
    /// Of these, variants that are labelled for an instance this controller is not.
    pub adopted: BTreeSet<ObjectKey>,
    /// Variants that were seen but belong to somebody else, by the reason.
    pub ignored: BTreeMap<ObjectKey, Ignored>,
}

/// Whether a variant can be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
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

impl Census {
    /// Takes the census.
    pub fn take(index: &Index, scope: &Scope) -> Self {
        let mut census = Self::default();
        let mut by_target: BTreeMap<(&str, &str, &str), Vec<&ObjectKey>> = BTreeMap::new();
        for (key, variant) in &index.variants {
            let ignored = match index.claim(scope, key, variant) {
                Claim::Mine => {
                    let target = (&*key.namespace, &*variant.target.kind, &*variant.target.name);
                    by_target.entry(target).or_default().push(key);
                    if Instance::of_labels(&variant.labels) != scope.instance {
                        census.adopted.insert(key.clone());
                    }
                    continue;
                }
                Claim::OtherInstance(_) => Ignored::OtherInstance,
                Claim::OutsideNamespaces => Ignored::OutsideNamespaces,
                Claim::Excluded => Ignored::Excluded,
            };
            census.ignored.insert(key.clone(), ignored);
        }
        for variants in by_target.values() {
            for &key in variants {
                let others = variants.iter().filter(|&&other| other != key).map(|other| other.name.clone()).collect();
                census.standings.insert(key.clone(), standing(index, key, &index.variants[key], others));
            }
        }
        census
    }

    /// The variants that can be decided.
    pub fn ready(&self) -> impl Iterator<Item = &ObjectKey> {
        self.standings.iter().filter(|(_, standing)| **standing == Standing::Ready).map(|(key, _)| key)
    }
}

fn standing(index: &Index, key: &ObjectKey, variant: &Variant, others: Vec<String>) -> Standing {
    match index.target(&key.namespace, &variant.target) {
        Target::Unread => Standing::Unread,
        Target::Unscalable(why) => Standing::Unscalable(why.to_owned()),
        Target::Missing => Standing::TargetMissing,
        Target::Found(_) if index.refused.contains_key(key) => Standing::InstanceConflict(index.refused[key].clone()),
        Target::Found(_) if !others.is_empty() => Standing::TargetConflict(others),
        Target::Found(_) if variant.model.is_none() => Standing::NoModel,
        Target::Found(_) => Standing::Ready,
    }
}

/// Everything the decision needs to know of the variants that can be decided. `published` is what this process
/// published last for a variant; before it published anything, the stored status says what an earlier one did.
pub fn snapshot(
    index: &Index,
    census: &Census,
    readings: &Result<Readings, QueryError>,
    published: impl Fn(&ObjectKey) -> Option<u32>,
) -> Snapshot {
    let source = |model: &str| match readings {
        Ok(readings) => readings.unlabelled(model).map_or(Source::Answered, |labels| Source::Unlabelled { labels }),
        Err(error) => Source::Failed { message: error.to_string() },
    };
    let pods = Pods::of(index);
    let limits = Limits::of(index);
    let mut models: BTreeMap<ModelKey, Vec<Observed>> = BTreeMap::new();
    for key in census.ready() {
        let variant = &index.variants[key];
        let target = index.target(&key.namespace, &variant.target);
        let (Target::Found(workload), Some(model)) = (target, &variant.model) else { continue };
        let sample = |pod: &ObjectKey| readings.as_ref().ok().and_then(|readings| readings.of(pod, model));
        let pods = pods.find(&key.namespace, workload.pods).into_iter();
        let spec_replicas = workload.spec_replicas;
        let (bounds, autoscaler) = limits.find(Of { key, target: &variant.target, spec_replicas });
        let observed = Observed {
            name: key.name.clone(),
            accelerator: accelerator(variant, workload.accelerator),
            cost: variant.cost,
            spec_replicas,
            current: current(workload.spec_replicas, workload.status_replicas),
            desired: published(key).or_else(|| stored_target(variant)),
            bounds,
            autoscaler,
            gpus_per_replica: workload.gpus_per_replica,
            server: workload.server.cloned(),
            pods: pods
                .map(|(pod, found)| Pod {
                    name: pod.name.clone(),
                    ready: found.ready,
                    obstacle: found.obstacle.as_deref().cloned(),
                    sample: sample(pod),
                })
                .collect(),
        };
        let key = ModelKey { namespace: key.namespace.clone(), model_id: model.clone() };
        models.entry(key).or_default().push(observed);
    }
    let models = models.into_iter().map(|(key, variants)| {
        let source = source(&key.model_id);
        Model { key, source, variants, ..Model::default() }
    });
    Snapshot { models: models.collect(), ..Snapshot::default() }
}

/// Replicas the target reports, or asks for while it reports none (just created, or its controller is behind).
fn current(spec_replicas: u32, status_replicas: u32) -> u32 {
    if status_replicas == 0 { spec_replicas } else { status_replicas }
}

/// The variant's label, or else what its target asks for. A missing name never stops scaling.
fn accelerator(variant: &Variant, of_target: Option<&str>) -> String {
    variant.accelerator.as_deref().or(of_target).unwrap_or(workload::UNKNOWN_ACCELERATOR).to_owned()
}

/// What an earlier process published, as the stored status tells it. A new leader goes on from there, as the earlier one
/// would have: replicas that are there besides are ones that nobody has taken away yet, and the load that made them may be
/// over.
fn stored_target(variant: &Variant) -> Option<u32> {
    u32::try_from(variant.status.desired_optimized_alloc.as_ref()?.num_replicas?).ok()
}

#[cfg(test)]
mod tests;
