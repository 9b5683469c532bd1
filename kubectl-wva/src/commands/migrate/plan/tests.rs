use rstest::rstest;

use super::*;
use crate::commands::migrate::releases::{Chart, Metadata};

fn object(kind: Kind, text: &str) -> DynamicObject {
    let mut object: DynamicObject = serde_saphyr::from_str(text).unwrap();
    let (group, version, kind, _) = kind;
    object.types = Some(kube::api::TypeMeta { api_version: format!("{group}/{version}"), kind: kind.to_owned() });
    object
}

fn release(version: &str, manifest: &str) -> Release {
    let chart = Chart { metadata: Metadata { name: "workload-variant-autoscaler".into(), version: version.into() } };
    let (name, namespace) = ("wva".to_owned(), "wva-system".to_owned());
    Release { name, namespace, version: 3, chart, manifest: manifest.to_owned(), config: None }
}

fn titles(survey: &Survey) -> Vec<String> {
    Plan::of(survey).steps.into_iter().map(|step| step.title).collect()
}

#[rstest]
#[case("0.4.1", true)]
#[case("0.5.0", true)]
#[case("0.6.0", false)]
#[case("1.5.0", false)]
fn only_earlier_releases_are_upgraded(#[case] version: &str, #[case] upgraded: bool) {
    let survey = Survey { releases: vec![release(version, "")], ..Survey::default() };
    assert_eq!(!titles(&survey).is_empty(), upgraded);
}

#[test]
fn a_variant_by_hand_gets_the_target_it_meant_once_the_definition_knows_targets() {
    let variant = object(survey::VARIANT, "{metadata: {name: llama, namespace: m}, spec: {modelID: a/b}}");
    let of_helm = object(
        survey::VARIANT,
        "{metadata: {name: x, namespace: m, annotations: {meta.helm.sh/release-name: wva}}, spec: {}}",
    );
    let missing_fields = vec!["spec.scaleTargetRef".to_owned()];
    let survey = Survey { variants: vec![variant, of_helm], missing_fields, ..Survey::default() };
    let plan = Plan::of(&survey);
    assert!(matches!(plan.steps[0].action, Action::Define), "{plan:?}");
    assert_eq!(
        plan.steps[1].command,
        r#"kubectl -n m patch variantautoscalings/llama --type merge -p '{"spec":{"scaleTargetRef":{"name":"llama"}}}'"#
    );
    assert_eq!(plan.steps.len(), 2);
}

#[test]
fn what_follows_or_watches_the_old_series_reads_the_new_ones() {
    let hpa = object(
        survey::AUTOSCALER,
        "{metadata: {name: h, namespace: m}, spec: {scaleTargetRef: {kind: Deployment, name: d}, metrics: [{type: \
         External, external: {metric: {name: inferno_desired_replicas}}}]}}",
    );
    let fine = object(survey::AUTOSCALER, "{metadata: {name: cpu, namespace: m}, spec: {metrics: [{type: Resource}]}}");
    let keda = object(
        survey::SCALED_OBJECT,
        "{metadata: {name: k, namespace: m}, spec: {triggers: [{metadata: {query: sum(inferno_desired_replicas)}}]}}",
    );
    let rule = object(
        survey::RULE,
        "{metadata: {name: r, namespace: m}, spec: {groups: [{rules: [{expr: inferno_current_replicas > 3}]}]}}",
    );
    let survey = Survey {
        autoscalers: vec![hpa, fine],
        scaled_objects: vec![keda],
        rules: vec![rule],
        config_maps: vec!["monitoring/prometheus-adapter".to_owned()],
        ..Survey::default()
    };
    let plan = Plan::of(&survey);
    assert_eq!(plan.steps.len(), 3);
    assert!(plan.steps.iter().all(|step| step.command.contains("wva_") && !step.command.contains("inferno_")));
    assert!(plan.notes[0].contains("monitoring/prometheus-adapter"), "{:?}", plan.notes);
}

#[test]
fn a_second_autoscaler_of_what_a_release_scales_goes() {
    let spec = "spec: {scaleTargetRef: {kind: Deployment, name: d}, metrics: [{external: {metric: {name: \
                inferno_desired_replicas}}}]}";
    let own =
        format!("{{metadata: {{name: a, namespace: m, annotations: {{meta.helm.sh/release-name: wva}}}}, {spec}}}");
    let by_hand = format!("{{metadata: {{name: b, namespace: m}}, {spec}}}");
    let autoscalers = vec![object(survey::AUTOSCALER, &own), object(survey::AUTOSCALER, &by_hand)];
    let survey = Survey { releases: vec![release("0.4.1", "")], autoscalers, ..Survey::default() };
    let plan = Plan::of(&survey);
    assert_eq!(plan.steps[0].command, "kubectl -n m delete horizontalpodautoscalers/b");
    assert!(matches!(plan.steps[1].action, Action::Upgrade(_)));
}

#[test]
fn roles_of_releases_that_are_gone_or_lost_them_are_left_over() {
    let role = |name: &str, of: &str| {
        let text = format!(
            "{{metadata: {{name: {name}, annotations: {{meta.helm.sh/release-name: {of}, meta.helm.sh/release-namespace: \
             wva-system}}}}}}"
        );
        object(survey::ROLE, &text)
    };
    let unmarked = object(survey::ROLE, "{metadata: {name: mine}}");
    let roles = vec![role("lost", "wva"), role("used", "wva"), role("orphan", "gone"), unmarked];
    let survey = Survey { releases: vec![release("0.6.0", "name: used")], roles, ..Survey::default() };
    let commands: Vec<String> = Plan::of(&survey).steps.into_iter().map(|step| step.command).collect();
    assert_eq!(commands, ["kubectl delete clusterroles/lost", "kubectl delete clusterroles/orphan"]);
}
