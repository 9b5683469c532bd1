//! What `doctor` concludes from facts: those of KEDA, which no cluster of ours runs, and those that could not be read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kubectl_wva::Verdict;
use kubectl_wva::cli::Format;
use kubectl_wva::console::Console;
use kubectl_wva::doctor::{Cause, DoctorView, External, Facts, Installed, Outcome, examine, print};
use rstest::rstest;
use serde_json::{Value, json};

use crate::objects::{
    NOW, condition, controller, decided, deployment, deployments, hpa, hpas, typed, variant, variants,
};

/// A healthy cluster: one variant, followed by an HPA that KEDA made.
fn facts() -> Facts {
    let mut hpa = hpa("models", "llama-decode", 2);
    hpa["metadata"]["labels"] = json!({"scaledobject.keda.sh/name": "llama"});
    Facts {
        now: NOW.parse::<Timestamp>().unwrap(),
        namespace: Some("models".to_owned()),
        name: None,
        variants: variants(&[decided(variant("models", "llama", "llama-decode", "team-a"), 2)]),
        namespaces: Ok(vec![typed(&json!({"metadata": {"name": "models"}}))]),
        controllers: Ok(vec![Installed {
            controller: controller("wva-a", "team-a", &[]),
            pods: Ok(vec![]),
            lease: Ok(None),
            log: None,
        }]),
        broken: vec![],
        deployments: Ok(deployments(&[deployment("models", "llama-decode", 2)])),
        hpas: Ok(hpas(&[hpa])),
        scaled_objects: Ok(vec![typed(&scaled_object())]),
        config_maps: Ok(vec![]),
        services: Ok(vec![]),
        monitors: Ok(vec![]),
        external: External::Answers(BTreeMap::new()),
    }
}

/// What the chart renders, and what KEDA says of it when all is well.
fn scaled_object() -> Value {
    let query = "sum(wva_desired_replicas{variant_name=\"llama-va\",exported_namespace=\"models\",controller_instance=\"team-a\"})";
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"namespace": "models", "name": "llama", "annotations": {}},
        "spec": {
            "scaleTargetRef": {"name": "llama-decode"},
            "triggers": [{"type": "prometheus", "metadata": {"serverAddress": "http://prometheus:9090", "query": query}}],
        },
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "ScaledObjectReady", "message": "ok"}]},
    })
}

fn with_object(change: impl FnOnce(&mut Value)) -> DoctorView {
    let mut object = scaled_object();
    change(&mut object);
    examine(&Facts { scaled_objects: Ok(vec![typed(&object)]), ..facts() })
}

fn causes(view: &DoctorView) -> Vec<Cause> {
    view.findings.iter().map(|finding| finding.cause).collect()
}

fn printed(view: &DoctorView, format: Format) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut plain = anstream::StripStream::new(&mut out);
    print(view, &mut Console { out: &mut plain, err: &mut err, format, headers: true, width: None }).unwrap();
    String::from_utf8(out).unwrap()
}

#[rstest]
#[case::table(Format::Table)]
#[case::wide(Format::Wide)]
fn nothing_is_found_where_keda_follows_the_number(#[case] format: Format) {
    let view = examine(&facts());
    assert_eq!(view.verdict(), Verdict::Fine);
    insta::assert_snapshot!(format!("doctor_healthy_{format:?}").to_lowercase(), printed(&view, format));
}

#[test]
fn a_scaled_object_that_asks_for_another_series_is_named_with_the_query_that_is_right() {
    let view = with_object(|object| {
        object["spec"]["triggers"][0]["metadata"]["query"] =
            json!("sum(wva_desired_replicas{variant_name=\"other\",controller_instance=\"team-a\"})");
    });
    insta::assert_snapshot!("doctor_keda_query", printed(&view, Format::Table));
    let unlabelled = variants(&[decided(variant("models", "llama", "llama-decode", ""), 2)]);
    let owner = Installed { controller: controller("wva", "", &[]), ..facts().controllers.unwrap().remove(0) };
    let view = examine(&Facts { variants: unlabelled, controllers: Ok(vec![owner]), ..facts() });
    assert_eq!(
        causes(&view),
        [Cause::HpaSelectorMismatch],
        "the series of a controller without an id has no such label"
    );
    let view = with_object(|object| object["spec"]["triggers"] = json!([{"type": "cpu", "metadata": {"value": "50"}}]));
    assert_eq!(causes(&view), [Cause::HpaSelectorMismatch]);
}

#[test]
fn a_pattern_in_a_query_is_not_judged() {
    let view = with_object(|object| {
        object["spec"]["triggers"][0]["metadata"]["query"] = json!(
            "max(wva_desired_replicas{variant_name=~\"llama.*\",exported_namespace=\"models\",controller_instance=\"team-a\"})"
        );
    });
    assert_eq!(causes(&view), []);
}

#[test]
fn a_scaled_object_that_is_paused_or_gets_no_answer_is_named() {
    let paused = with_object(|object| object["metadata"]["annotations"]["autoscaling.keda.sh/paused"] = json!("true"));
    insta::assert_snapshot!("doctor_keda_paused", printed(&paused, Format::Table));
    let failing = with_object(|object| {
        object["status"]["conditions"] = json!([{
            "type": "Ready", "status": "False", "reason": "ScaledObjectCheckFailed",
            "message": "error requesting metrics from Prometheus",
        }]);
    });
    insta::assert_snapshot!("doctor_keda_failing", printed(&failing, Format::Table));
}

#[test]
fn a_scaled_object_without_an_hpa_or_an_hpa_without_its_scaled_object_is_named() {
    let unseen = Facts { hpas: Ok(vec![]), ..facts() };
    let mut object = scaled_object();
    object["status"] = json!({});
    let view = examine(&Facts { scaled_objects: Ok(vec![typed(&object)]), ..unseen.clone() });
    insta::assert_snapshot!("doctor_keda_without_hpa", printed(&view, Format::Table));
    assert_eq!(causes(&examine(&Facts { scaled_objects: Ok(vec![]), ..unseen })), [Cause::HpaMissing]);
    let view = examine(&Facts { scaled_objects: Ok(vec![]), ..facts() });
    assert_eq!(causes(&view), [Cause::MetricNotServed]);
}

/// What could not be looked for, in the order of the causes.
fn unknown(view: &DoctorView) -> Vec<Cause> {
    view.checks.iter().filter(|check| check.outcome == Outcome::Unknown).map(|check| check.cause).collect()
}

#[test]
fn whatever_cannot_be_read_is_named_and_never_counts_as_fine() {
    let no = || "forbidden".to_owned();
    let view = examine(&Facts {
        namespaces: Err(no()),
        controllers: Err(no()),
        deployments: Err(no()),
        hpas: Err(no()),
        scaled_objects: Err(no()),
        config_maps: Err(no()),
        services: Err(no()),
        monitors: Err(no()),
        external: External::Unread(no()),
        ..facts()
    });
    assert_eq!((causes(&view), view.verdict()), (vec![], Verdict::Unknown));
    insta::assert_snapshot!("doctor_unread", printed(&view, Format::Table));
}

#[test]
fn each_unread_part_leaves_open_only_what_it_would_have_told() {
    let no = || "forbidden".to_owned();
    let left_open = |facts: Facts| unknown(&examine(&facts));
    assert_eq!(
        left_open(Facts { scaled_objects: Err(no()), ..facts() }),
        [Cause::HpaSelectorMismatch, Cause::MetricNotServed]
    );
    assert_eq!(left_open(Facts { deployments: Err(no()), ..facts() }), [Cause::TargetMissing]);
    let mut unmeasured = decided(variant("models", "llama", "llama-decode", "team-a"), 2);
    unmeasured["status"]["conditions"][1] = condition("MetricsAvailable", "False", "MetricsMissing", "none");
    let unmeasured = || variants(&[unmeasured.clone()]);
    assert_eq!(
        left_open(Facts { deployments: Err(no()), variants: unmeasured(), ..facts() }),
        [Cause::TargetMissing, Cause::ServiceMonitorMissing, Cause::MetricsMissing]
    );
    // The external metrics API is gone whether or not HPAs may be read.
    let view = examine(&Facts { hpas: Err(no()), external: External::Absent("404".to_owned()), ..facts() });
    assert_eq!((causes(&view), view.verdict()), (vec![Cause::ExternalMetricsAbsent], Verdict::Found));
}
