//! From what was gathered to the view. Pure.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use wva_api::{Claim, Instance, VariantAutoscaling, conditions};

use super::verdict::Asked;
use super::{ConditionView, Filter, HpaView, ReplicasView, StatusView, TargetView, Unread, VariantView, verdict};
use crate::commands::status::Gathered;
use crate::commands::status::problem::{self, Problem, ProblemKind};
use crate::readers::controllers::Controller;
use crate::readers::followers::KEDA;
use crate::readers::hpas;
use crate::readers::lists::Part;
use crate::readers::variants::{self, Guarded};

impl StatusView {
    /// Builds the view of the variants that `filter` lets through. With `everything`, controllers without a variant
    /// are shown too.
    pub fn build(gathered: &Gathered, filter: &Filter, everything: bool, now: Timestamp) -> Self {
        let Gathered { variants, deployments, hpas, controllers, loads, servers, troubles } = gathered;
        let related = Related::new(deployments, hpas, controllers);
        let mut shown: Vec<VariantView> =
            variants.iter().map(|variant| related.view(variant, now)).filter(|view| filter.accepts(view)).collect();
        for view in &mut shown {
            view.load = loads.of(&view.namespace, &view.name);
            if view.problems.iter().all(|problem| problem.kind != ProblemKind::NoController) {
                problem::of_load(view, now);
                problem::of_servers(view, servers, now);
            }
        }
        shown.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        let parts = [
            ("Deployments", deployments.as_ref().err()),
            ("HPAs", hpas.as_ref().err()),
            ("controllers", controllers.as_ref().err()),
        ];
        let mut unread: Vec<Unread> =
            parts.into_iter().filter_map(|(what, error)| Some(Unread { what, error: error?.clone() })).collect();
        let asked = Asked { filter, everything: everything || shown.is_empty(), troubles };
        let instances = verdict::instances(&shown, controllers, &asked);
        let hidden = servers.pods.values().find_map(|pods| pods.as_ref().err());
        unread.extend(hidden.map(|why| Unread { what: "pods", error: why.clone() }));
        Self { as_of: now, instances, variants: shown, unread, notes: loads.notes.clone() }
    }
}

impl Filter {
    fn accepts(&self, view: &VariantView) -> bool {
        let Self { name, instance, model } = self;
        name.as_ref().is_none_or(|name| view.name == *name || view.release.as_ref() == Some(name))
            && instance.as_ref().is_none_or(|instance| view.instance.as_deref() == instance.id())
            && model.as_ref().is_none_or(|model| view.model.as_ref() == Some(model))
    }
}

/// Namespace, kind and name of a scale target.
type TargetKey = (String, String, String);

/// What belongs to variants, found by their targets: with 500 variants a search for each would show.
struct Related<'a> {
    deployments: HashMap<TargetKey, &'a Deployment>,
    hpas: HashMap<TargetKey, &'a HorizontalPodAutoscaler>,
    hpas_known: bool,
    controllers: Option<&'a [Controller]>,
}

impl<'a> Related<'a> {
    fn new(
        deployments: &'a Part<Deployment>,
        hpas: &'a Part<HorizontalPodAutoscaler>,
        controllers: &'a Part<Controller>,
    ) -> Self {
        let by_name = |deployment: &'a Deployment| {
            let metadata = &deployment.metadata;
            Some(((metadata.namespace.clone()?, "Deployment".to_owned(), metadata.name.clone()?), deployment))
        };
        let by_target = |hpa: &'a HorizontalPodAutoscaler| {
            let target = &hpa.spec.as_ref()?.scale_target_ref;
            Some(((hpa.metadata.namespace.clone()?, target.kind.clone(), target.name.clone()), hpa))
        };
        Self {
            deployments: deployments.iter().flatten().filter_map(by_name).collect(),
            hpas: hpas.iter().flatten().filter_map(by_target).collect(),
            hpas_known: hpas.is_ok(),
            controllers: controllers.as_deref().ok(),
        }
    }

    fn view(&self, variant: &Guarded, now: Timestamp) -> VariantView {
        match &variant.0 {
            Ok(variant) => self.of_variant(variant, now),
            Err(invalid) => VariantView {
                problems: vec![Problem::new(ProblemKind::Unreadable, format!("cannot be read: {}", invalid.error))],
                ..named(&invalid.metadata)
            },
        }
    }

    fn of_variant(&self, variant: &VariantAutoscaling, now: Timestamp) -> VariantView {
        let reference = &variant.spec.scale_target_ref;
        let target = TargetView { kind: reference.kind.clone(), name: reference.name.clone() };
        let status = variant.status.clone().unwrap_or_default();
        let decided = status.desired_optimized_alloc.unwrap_or_default();
        let named = named(&variant.metadata);
        let key = (named.namespace.clone(), target.kind.clone(), target.name.clone());
        let found = self.hpas.get(&key).copied();
        let decided_at = decided.last_run_time.as_ref().map(|time| time.0);
        let mut hpa = found.and_then(hpa_view);
        if let (Some(view), Some(found), Some(desired)) = (&mut hpa, found, decided.num_replicas) {
            view.waits = hpas::waits(found, desired, decided_at, now);
        }
        let mut replicas = self.deployments.get(&key).copied().map(replicas).unwrap_or_default();
        // Of a target that is no Deployment, only its HPA tells the replicas.
        replicas.current = replicas.current.or(hpa.as_ref().and_then(|hpa| hpa.current));
        replicas.desired = decided.num_replicas;
        let mut view = VariantView {
            target,
            model: variant.spec.model().map(str::to_owned),
            accelerator: variant.accelerator_label().map(str::to_owned).or(decided.accelerator),
            cost: variant.spec.variant_cost.clone(),
            replicas,
            hpa,
            ready: condition(&status.conditions, conditions::READY),
            metrics: condition(&status.conditions, conditions::METRICS_AVAILABLE),
            decision: condition(&status.conditions, conditions::OPTIMIZATION_READY),
            decided_at,
            created_at: variant.metadata.creation_timestamp.as_ref().map(|time| time.0),
            ..named
        };
        view.problems = match self.orphaned(variant, &view) {
            Some(problem) => vec![problem],
            None => problem::of_variant(&mut view, self.hpas_known, now),
        };
        view
    }

    fn orphaned(&self, variant: &VariantAutoscaling, view: &VariantView) -> Option<Problem> {
        let labels = variant.metadata.labels.clone().unwrap_or_default();
        let taken = self
            .controllers?
            .iter()
            .any(|controller| controller.scope.claim(&labels, &view.namespace, None) == Claim::Mine);
        let message = format!("no controller takes variants of {} in this namespace", Instance::of_labels(&labels));
        (!taken).then(|| Problem::new(ProblemKind::NoController, message))
    }
}

/// The parts that metadata tell.
fn named(metadata: &ObjectMeta) -> VariantView {
    let labels = metadata.labels.clone().unwrap_or_default();
    VariantView {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        release: variants::release(metadata).map(str::to_owned),
        instance: Instance::of_labels(&labels).id().map(str::to_owned),
        ..VariantView::default()
    }
}

fn replicas(deployment: &Deployment) -> ReplicasView {
    // The API leaves out counts that are zero, so an absent count of a Deployment that exists is a zero.
    let status = deployment.status.clone().unwrap_or_default();
    ReplicasView {
        current: Some(status.replicas.unwrap_or(0)),
        ready: Some(status.ready_replicas.unwrap_or(0)),
        desired: None,
    }
}

fn hpa_view(hpa: &HorizontalPodAutoscaler) -> Option<HpaView> {
    let spec = hpa.spec.as_ref()?;
    let status = hpa.status.as_ref();
    Some(HpaView {
        name: hpa.metadata.name.clone()?,
        current: status.map(|status| status.current_replicas.unwrap_or(0)),
        desired: status.map(|status| status.desired_replicas),
        min: spec.min_replicas.unwrap_or(1),
        max: spec.max_replicas,
        scaled_object: hpa.metadata.labels.as_ref().and_then(|labels| labels.get(KEDA)).cloned(),
        inactive: hpas::inactive(hpa).map(hpas::message),
        inactive_since: hpas::inactive(hpa).and_then(|one| Some(one.last_transition_time.as_ref()?.0)),
        waits: None,
    })
}

fn condition(stored: &[Condition], type_: &str) -> Option<ConditionView> {
    let found = conditions::find(stored, type_)?;
    Some(ConditionView {
        status: found.status.clone(),
        reason: found.reason.clone(),
        message: found.message.clone(),
        since: found.last_transition_time.0,
    })
}
