//! What a `HorizontalPodAutoscaler` says of itself.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerStatus,
    MetricSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use wva_api::metrics::LABEL_VARIANT_NAME;
use wva_engine::snapshot::{AutoscalerCondition, AutoscalerStatus, Bounds, Change, ScalingPolicy, ScalingRules};

use super::autoscaler::{Hpa, KEDA_LABEL, Reads, is_published};
use super::convert::count;

/// Kind of the owner of an HPA that KEDA made.
const SCALED_OBJECT: &str = "ScaledObject";

/// A `HorizontalPodAutoscaler`; `None` when it has no spec.
pub fn read(object: HorizontalPodAutoscaler) -> Option<Hpa> {
    let spec = object.spec?;
    let target = spec.scale_target_ref;
    let (up, down) = rules(spec.behavior.as_ref());
    Some(Hpa {
        group: target.api_version.map(|version| version.split_once('/').map_or("", |(group, _)| group).to_owned()),
        kind: target.kind,
        name: target.name,
        bounds: Bounds { min: Some(spec.min_replicas.map_or(1, count)), max: Some(count(spec.max_replicas)) },
        scaled_object: scaled_object(&object.metadata),
        reads: spec.metrics.iter().flatten().fold(Reads::None, reads),
        up,
        down,
        status: object.status.map(status).unwrap_or_default(),
    })
}

/// By its label, or by its owner: KEDA can be told which labels not to pass on, and may take an HPA over.
fn scaled_object(metadata: &ObjectMeta) -> Option<String> {
    let owner = metadata.owner_references.iter().flatten();
    let owner = owner.filter(|owner| owner.kind == SCALED_OBJECT && owner.api_version.starts_with("keda.sh/"));
    let label = metadata.labels.as_ref().and_then(|labels| labels.get(KEDA_LABEL));
    owner.map(|owner| &owner.name).next().or(label).cloned()
}

fn reads(before: Reads, metric: &MetricSpec) -> Reads {
    let Some(source) = metric.external.as_ref().filter(|source| is_published(&source.metric.name)) else {
        return before;
    };
    let labels = source.metric.selector.as_ref().and_then(|selector| selector.match_labels.as_ref());
    before.add(labels.and_then(|labels| labels.get(LABEL_VARIANT_NAME)).map(String::as_str))
}

/// Rules for both directions, up first, with the defaults of Kubernetes.
pub(super) fn rules(behavior: Option<&HorizontalPodAutoscalerBehavior>) -> (ScalingRules, ScalingRules) {
    let of = |rules: Option<&HPAScalingRules>, default: ScalingRules| {
        rules.map_or(default.clone(), |it| read_rules(it, default))
    };
    let (up, down) = behavior.map(|it| (it.scale_up.as_ref(), it.scale_down.as_ref())).unwrap_or_default();
    (of(up, ScalingRules::up()), of(down, ScalingRules::down()))
}

fn read_rules(rules: &HPAScalingRules, default: ScalingRules) -> ScalingRules {
    let policies = rules.policies.iter().flatten().map(|policy| {
        let value = count(policy.value);
        let change = if policy.type_ == "Percent" { Change::Percent(value) } else { Change::Pods(value) };
        ScalingPolicy { change, period_seconds: count(policy.period_seconds) }
    });
    let policies: Vec<_> = policies.collect();
    let tolerance = rules.tolerance.as_ref().and_then(|tolerance| quantity(&tolerance.0));
    ScalingRules {
        window_seconds: rules.stabilization_window_seconds.map_or(default.window_seconds, count),
        tolerance: tolerance.unwrap_or(default.tolerance),
        disabled: rules.select_policy.as_deref() == Some("Disabled"),
        smallest: rules.select_policy.as_deref() == Some("Min"),
        policies: if policies.is_empty() { default.policies } else { policies },
    }
}

/// A quantity that is a share: plain, or in thousandths as the API server writes it.
fn quantity(text: &str) -> Option<f64> {
    let (digits, divisor) = text.strip_suffix('m').map_or((text, 1.0), |digits| (digits, 1000.0));
    digits.parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0).map(|value| value / divisor)
}

fn status(status: HorizontalPodAutoscalerStatus) -> AutoscalerStatus {
    let time = |time: Option<Time>| -> Option<Timestamp> { time.map(|time| time.0) };
    let conditions = status.conditions.unwrap_or_default().into_iter().map(|condition| AutoscalerCondition {
        kind: condition.type_,
        holds: condition.status == "True",
        reason: condition.reason.unwrap_or_default(),
        since: time(condition.last_transition_time),
    });
    AutoscalerStatus {
        desired: count(status.desired_replicas),
        last_scale: time(status.last_scale_time),
        conditions: conditions.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::yaml;

    fn hpa(rest: &str) -> Hpa {
        let target = "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: a}";
        read(yaml(&format!("{{metadata: {{name: h}}, spec: {{{target}, maxReplicas: 9{rest}"))).unwrap()
    }

    #[test]
    fn an_hpa_that_says_nothing_has_the_defaults_of_kubernetes() {
        let silent = hpa("}}");
        assert_eq!((silent.bounds, silent.group.as_deref()), (Bounds { min: Some(1), max: Some(9) }, Some("apps")));
        assert_eq!((silent.up, silent.down), (ScalingRules::up(), ScalingRules::down()));
        assert_eq!((silent.reads, silent.scaled_object), (Reads::None, None));
    }

    #[test]
    fn windows_tolerances_and_policies_are_those_of_its_behavior() {
        let said = hpa(
            ", behavior: {scaleUp: {stabilizationWindowSeconds: 240, tolerance: 50m, policies: [{type: Pods, value: 10, periodSeconds: 150}]}, \
             scaleDown: {tolerance: '0', selectPolicy: Disabled, policies: [{type: Percent, value: 50, periodSeconds: 60}]}}}}",
        );
        assert_eq!((said.up.window_seconds, said.up.tolerance.to_bits()), (240, 0.05_f64.to_bits()));
        assert_eq!(said.up.policies, [ScalingPolicy { change: Change::Pods(10), period_seconds: 150 }]);
        assert_eq!((said.down.window_seconds, said.down.tolerance.to_bits()), (300, 0.0_f64.to_bits()));
        assert!(said.down.disabled && !said.up.disabled);
        assert_eq!(said.down.policies, [ScalingPolicy { change: Change::Percent(50), period_seconds: 60 }]);
    }

    #[test]
    fn an_hpa_says_when_it_scaled_last_and_what_holds_it() {
        let said = hpa(
            "}, status: {desiredReplicas: 3, currentReplicas: 2, lastScaleTime: '2026-01-01T00:00:00Z', conditions: \
             [{type: AbleToScale, status: 'True', reason: ScaleUpStabilized, lastTransitionTime: '2026-01-01T00:00:05Z'}]}}",
        );
        let since = Some("2026-01-01T00:00:05Z".parse().unwrap());
        let condition =
            AutoscalerCondition { kind: "AbleToScale".into(), holds: true, reason: "ScaleUpStabilized".into(), since };
        let last_scale = Some("2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(said.status, AutoscalerStatus { desired: 3, last_scale, conditions: vec![condition] });
    }

    #[test]
    fn an_hpa_follows_the_variants_that_its_metrics_name() {
        let metric = |name: &str, labels: &str| {
            format!(
                "{{type: External, external: {{metric: {{name: {name}, selector: {{matchLabels: {{{labels}}}}}}}, \
                 target: {{type: AverageValue, averageValue: '1'}}}}}}"
            )
        };
        let reads = |metrics: &[String]| hpa(&format!(", metrics: [{}]}}}}", metrics.join(", "))).reads;
        let own = metric("wva_desired_replicas", "variant_name: a");
        let cpu =
            "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}".to_owned();
        assert!(reads(&[cpu.clone(), own]).includes("a"));
        assert_eq!(reads(&[cpu]), Reads::None);
        assert!(!reads(&[metric("wva_desired_replicas", "variant_name: b")]).includes("a"));
        assert!(reads(&[metric("wva_desired_replicas", "exported_namespace: ns")]).includes("a"));
        assert!(!reads(&[metric("queue_length", "variant_name: a")]).includes("a"));
    }

    #[test]
    fn an_hpa_of_keda_is_known_by_its_label_or_by_its_owner() {
        let of = |metadata: &str| {
            let spec = "spec: {scaleTargetRef: {kind: Deployment, name: a}, maxReplicas: 9}";
            read(yaml(&format!("{{metadata: {{name: h, {metadata}}}, {spec}}}"))).unwrap().scaled_object
        };
        assert_eq!(of("labels: {scaledobject.keda.sh/name: so}").as_deref(), Some("so"));
        let owner =
            |api: &str| format!("ownerReferences: [{{apiVersion: {api}, kind: ScaledObject, name: so, uid: u}}]");
        assert_eq!(of(&owner("keda.sh/v1alpha1")).as_deref(), Some("so"));
        assert_eq!(of(&owner("example.com/v1")), None);
    }
}
