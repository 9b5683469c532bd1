//! What a KEDA `ScaledObject` says of itself.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior;
use kube::api::DynamicObject;
use serde::Deserialize;
use wva_engine::snapshot::Bounds;

use super::autoscaler::{Pause, Reads, ScaledObject, is_published};
use super::convert::count;
use super::hpa;

/// Most replicas where a `ScaledObject` does not say.
const DEFAULT_MAX: u32 = 100;

const PAUSED: &str = "autoscaling.keda.sh/paused";
const PAUSED_REPLICAS: &str = "autoscaling.keda.sh/paused-replicas";
const PAUSED_OUT: &str = "autoscaling.keda.sh/paused-scale-out";
/// The second name is that of the first release that had it.
const PAUSED_IN: [&str; 2] = ["autoscaling.keda.sh/paused-scale-in", "autoscaling.keda.sh/paused-scale-down"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    scale_target_ref: Target,
    min_replica_count: Option<i32>,
    max_replica_count: Option<i32>,
    idle_replica_count: Option<i32>,
    #[serde(default)]
    triggers: Vec<Trigger>,
    #[serde(default)]
    advanced: Advanced,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    name: String,
}

#[derive(Deserialize)]
struct Trigger {
    #[serde(default)]
    metadata: BTreeMap<String, serde_json::Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Advanced {
    horizontal_pod_autoscaler_config: HpaConfig,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HpaConfig {
    behavior: Option<HorizontalPodAutoscalerBehavior>,
}

/// A `ScaledObject`.
///
/// # Errors
/// When it does not have the form its kind should have.
pub fn read(object: &DynamicObject) -> Result<ScaledObject, serde_json::Error> {
    let Spec { scale_target_ref: target, min_replica_count, max_replica_count, idle_replica_count, triggers, advanced } =
        Spec::deserialize(&object.data["spec"])?;
    let min = min_replica_count.map_or(0, count);
    let (up, down) = hpa::rules(advanced.horizontal_pod_autoscaler_config.behavior.as_ref());
    Ok(ScaledObject {
        group: target.api_version.split_once('/').map_or("apps", |(group, _)| group).to_owned(),
        kind: if target.kind.is_empty() { "Deployment".to_owned() } else { target.kind },
        name: target.name,
        bounds: Bounds { min: Some(min), max: Some(max_replica_count.map_or(DEFAULT_MAX, count)) },
        idle: idle_replica_count.map_or(min, count),
        paused: pause(object.metadata.annotations.as_ref()),
        reads: triggers.iter().fold(Reads::None, reads),
        up,
        down,
    })
}

fn pause(annotations: Option<&BTreeMap<String, String>>) -> Pause {
    let value = |name: &str| annotations.and_then(|annotations| annotations.get(name)).map(|value| value.trim());
    // As KEDA has it: what is no boolean counts as true.
    let set =
        |name: &str| value(name).is_some_and(|value| !matches!(value, "false" | "False" | "FALSE" | "f" | "F" | "0"));
    if let Some(replicas) = value(PAUSED_REPLICAS) {
        return replicas.parse().map_or(Pause::Everything, Pause::At);
    }
    match (set(PAUSED), set(PAUSED_OUT), PAUSED_IN.into_iter().any(set)) {
        (true, _, _) => Pause::Everything,
        (false, false, false) => Pause::No,
        (false, up, down) => Pause::Directions { up, down },
    }
}

/// A query names its variant as `variant_name="a"`, if it does.
fn reads(before: Reads, trigger: &Trigger) -> Reads {
    let Some(query) = trigger.metadata.values().filter_map(|value| value.as_str()).find(|text| is_published(text))
    else {
        return before;
    };
    let named = query.split_once("variant_name").and_then(|(_, rest)| {
        let value = rest.trim_start().strip_prefix('=')?.trim_start();
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\'' | '`'))?;
        value[1..].split_once(quote).map(|(name, _)| name)
    });
    before.add(named)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::fixtures::yaml;

    fn scaled(annotations: &str, spec: &str) -> ScaledObject {
        read(&yaml(&format!(
            "{{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {{name: so, annotations: {{{annotations}}}}}, \
             spec: {{scaleTargetRef: {{name: a}}{spec}}}}}"
        )))
        .unwrap()
    }

    #[rstest]
    #[case::nothing_said("", (0, 100), 0)]
    #[case::zero("minReplicaCount: 0, maxReplicaCount: 4", (0, 4), 0)]
    #[case::one("minReplicaCount: 1, maxReplicaCount: 4", (1, 4), 1)]
    #[case::idle("minReplicaCount: 2, maxReplicaCount: 4, idleReplicaCount: 0", (2, 4), 0)]
    #[case::null("minReplicaCount: null", (0, 100), 0)]
    fn limits_are_those_that_keda_keeps(#[case] spec: &str, #[case] (min, max): (u32, u32), #[case] idle: u32) {
        let read = scaled("", &format!(", {spec}"));
        assert_eq!((read.bounds, read.idle), (Bounds { min: Some(min), max: Some(max) }, idle));
        assert_eq!((&*read.group, &*read.kind, &*read.name), ("apps", "Deployment", "a"));
    }

    #[rstest]
    #[case("", Pause::No)]
    #[case("autoscaling.keda.sh/paused: 'true'", Pause::Everything)]
    #[case("autoscaling.keda.sh/paused: yes please", Pause::Everything)]
    #[case("autoscaling.keda.sh/paused: 'false'", Pause::No)]
    #[case("autoscaling.keda.sh/paused-replicas: '3'", Pause::At(3))]
    #[case("autoscaling.keda.sh/paused-replicas: '0', autoscaling.keda.sh/paused: 'true'", Pause::At(0))]
    #[case("autoscaling.keda.sh/paused-scale-in: 'true'", Pause::Directions { up: false, down: true })]
    #[case("autoscaling.keda.sh/paused-scale-down: 'true'", Pause::Directions { up: false, down: true })]
    #[case("autoscaling.keda.sh/paused-scale-out: 'true'", Pause::Directions { up: true, down: false })]
    fn annotations_pause_it_as_keda_reads_them(#[case] annotations: &str, #[case] expect: Pause) {
        assert_eq!(scaled(annotations, "").paused, expect);
    }

    #[test]
    fn its_query_says_whose_number_it_follows() {
        let reads = |query: &str| {
            scaled("", &format!(", triggers: [{{type: prometheus, metadata: {{query: '{query}'}}}}]")).reads
        };
        assert_eq!(
            reads("max(wva_desired_replicas{variant_name=\"a\",exported_namespace=\"ns\"})"),
            Reads::Of(vec!["a".into()])
        );
        assert_eq!(reads("max(wva_desired_replicas)"), Reads::Any);
        assert_eq!(reads("sum(vllm:num_requests_waiting)"), Reads::None);
        assert_eq!(scaled("", ", triggers: [{type: cpu, metadata: {value: '80'}}]").reads, Reads::None);
    }

    #[test]
    fn the_behavior_of_its_hpa_is_its_own() {
        let read = scaled(
            "",
            ", advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {stabilizationWindowSeconds: 240}}}}",
        );
        assert_eq!((read.up.window_seconds, read.down.window_seconds), (240, 300));
    }
}
