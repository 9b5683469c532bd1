//! Targets that are no Deployment: whatever has a scale subresource.

use std::collections::BTreeMap;

use wva_api::ScaleTargetRef;
use wva_engine::vllm::ServerArguments;

use super::{Effect, Index, ObjectKey, workload};
use crate::cluster::selector::Selector;

/// Which target.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetKey {
    /// Its kind.
    pub kind: TargetKind,
    /// Its namespace and name.
    pub object: ObjectKey,
}

/// API version and kind of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetKind {
    /// API group and version, e.g. `apps/v1`.
    pub api_version: String,
    /// Kind, e.g. `StatefulSet`.
    pub kind: String,
}

/// What is known of such a target.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaled {
    /// It is there.
    Found(Box<Scale>),
    /// It does not exist.
    Missing,
    /// Its kind cannot be scaled here; the reason, as a sentence.
    Unscalable(String),
}

/// A target with a scale subresource.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// `metadata.uid`.
    pub uid: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// `spec.replicas` of the scale subresource.
    pub spec_replicas: u32,
    /// `status.replicas` of the scale subresource.
    pub status_replicas: u32,
    /// Which pods are its own; `None` when the scale subresource does not say.
    pub pods: Option<Selector>,
    /// Labels of its pods, as far as its template says.
    pub pod_labels: BTreeMap<String, String>,
    /// Accelerator its pods ask for, as far as its template says.
    pub accelerator: Option<String>,
    /// GPUs one replica requests.
    pub gpus_per_replica: u32,
    /// How its servers are started; `None` when its kind has no pod template that is known.
    pub server: Option<ServerArguments>,
}

impl TargetKey {
    /// The target of a variant in `namespace`; `None` when it is a Deployment.
    pub fn of(namespace: &str, target: &ScaleTargetRef) -> Option<Self> {
        if workload::is_deployment(target) {
            return None;
        }
        Some(Self { kind: TargetKind::of(target), object: ObjectKey::new(namespace, &*target.name) })
    }
}

impl TargetKind {
    /// The kind of a target, whichever it is.
    pub fn of(target: &ScaleTargetRef) -> Self {
        let ScaleTargetRef { api_version, kind, name: _ } = target.clone();
        let api_version = if api_version.is_empty() { "apps/v1".to_owned() } else { api_version };
        Self { api_version, kind }
    }
}

impl std::fmt::Display for TargetKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.kind, self.api_version)
    }
}

impl Scaled {
    /// The target, if it is there to stay.
    pub fn found(&self) -> Option<&Scale> {
        match self {
            Self::Found(scale) if !scale.deleting => Some(scale),
            _ => None,
        }
    }
}

impl Index {
    /// Takes over what was found out about a target.
    pub fn set_scaled(&mut self, key: TargetKey, found: Scaled) -> Effect {
        let told = |scaled: Option<&Scaled>| match scaled {
            Some(scaled @ Scaled::Found(_)) => scaled.found().map(|scale| scale.uid.clone()).ok_or_else(String::new),
            Some(Scaled::Unscalable(why)) => Err(why.clone()),
            Some(Scaled::Missing) | None => Err(String::new()),
        };
        let before = self.scaled.get(&key);
        let matters = before.is_none() || told(before) != told(Some(&found));
        self.revision += u64::from(before != Some(&found));
        self.scaled.insert(key, found);
        if matters { Effect::Now } else { Effect::Later }
    }
}
