//! What is kept of the objects that follow the published numbers: `HorizontalPodAutoscaler`s and KEDA's `ScaledObject`s.

use wva_api::{ScaleTargetRef, metrics};
use wva_engine::snapshot::{AutoscalerStatus, Bounds, ScalingRules};

use super::{Index, ObjectKey, Record, Table};

/// A `HorizontalPodAutoscaler`.
#[derive(Clone, Debug, PartialEq)]
pub struct Hpa {
    /// API group of its target; `None` when it does not say.
    pub group: Option<String>,
    /// Kind of its target.
    pub kind: String,
    /// Name of its target.
    pub name: String,
    /// How far it scales.
    pub bounds: Bounds,
    /// The `ScaledObject` that KEDA made it of. Its lower limit says nothing then: KEDA never writes less than 1.
    pub scaled_object: Option<String>,
    /// Which numbers it follows.
    pub reads: Reads,
    /// How it scales up.
    pub up: ScalingRules,
    /// How it scales down.
    pub down: ScalingRules,
    /// What it says it did.
    pub status: AutoscalerStatus,
}

/// A KEDA `ScaledObject`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledObject {
    /// API group of its target.
    pub group: String,
    /// Kind of its target.
    pub kind: String,
    /// Name of its target.
    pub name: String,
    /// Replicas while a trigger is active, at least and at most.
    pub bounds: Bounds,
    /// Replicas while no trigger is active.
    pub idle: u32,
    /// How it is paused.
    pub paused: Pause,
    /// Which numbers it follows.
    pub reads: Reads,
    /// How its HPA scales up.
    pub up: ScalingRules,
    /// How its HPA scales down.
    pub down: ScalingRules,
}

/// What the annotations of a `ScaledObject` forbid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pause {
    /// Nothing.
    #[default]
    No,
    /// To scale at all.
    Everything,
    /// Anything but so many replicas.
    At(u32),
    /// One direction, or both.
    Directions {
        /// To scale up.
        up: bool,
        /// To scale down.
        down: bool,
    },
}

/// Which of the published numbers an autoscaler follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// None: it scales by something else.
    #[default]
    None,
    /// Those of these variants.
    Of(Vec<String>),
    /// One that it does not tell by a variant's name.
    Any,
}

/// Label that KEDA gives its HPAs.
pub(crate) const KEDA_LABEL: &str = "scaledobject.keda.sh/name";

impl Reads {
    /// Whether the number of this variant is among them.
    pub fn includes(&self, variant: &str) -> bool {
        match self {
            Self::None => false,
            Self::Of(variants) => variants.iter().any(|name| name == variant),
            Self::Any => true,
        }
    }

    /// Adds another one, `None` if it names no variant.
    pub(super) fn add(self, variant: Option<&str>) -> Self {
        match (self, variant) {
            (Self::Any, _) | (_, None) => Self::Any,
            (Self::None, Some(variant)) => Self::Of(vec![variant.to_owned()]),
            (Self::Of(mut variants), Some(variant)) => {
                variants.push(variant.to_owned());
                Self::Of(variants)
            }
        }
    }
}

/// Whether a metric of this name carries a published number: under its own name, or with what an adapter puts around it.
pub(super) fn is_published(metric: &str) -> bool {
    metric.contains(metrics::DESIRED_REPLICAS)
}

/// Whether a reference to a target, as an autoscaler writes it, means the target of a variant. A group that is not given
/// fits any.
pub(crate) fn refers_to(group: Option<&str>, (kind, name): (&str, &str), target: &ScaleTargetRef) -> bool {
    let of_target = target.api_version.split_once('/').map_or("apps", |(group, _)| group);
    target.kind == kind && target.name == name && group.is_none_or(|group| group == of_target)
}

impl Record for Hpa {
    fn table(index: &mut Index) -> &mut Table<Self> {
        &mut index.hpas
    }

    /// What it did changes nothing that could be decided otherwise.
    fn matters(index: &Index, key: &ObjectKey, before: Option<&Self>, after: Option<&Self>) -> bool {
        let said = |hpa: Option<&Self>| hpa.map(|hpa| Self { status: AutoscalerStatus::default(), ..hpa.clone() });
        let on_target = |hpa: &Self| index.is_target(&hpa.kind, &ObjectKey::new(&*key.namespace, &*hpa.name));
        [before, after].into_iter().flatten().any(on_target) && said(before) != said(after)
    }
}

impl Record for ScaledObject {
    fn table(index: &mut Index) -> &mut Table<Self> {
        &mut index.scaled_objects
    }

    fn matters(index: &Index, key: &ObjectKey, before: Option<&Self>, after: Option<&Self>) -> bool {
        let mut both = [before, after].into_iter().flatten();
        both.any(|it| index.is_target(&it.kind, &ObjectKey::new(&*key.namespace, &*it.name)))
    }
}
