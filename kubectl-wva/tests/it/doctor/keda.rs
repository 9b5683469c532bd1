//! What `doctor` says of `ScaledObjects`, which no cluster of ours runs.

use kubectl_wva::Verdict;
use kubectl_wva::commands::doctor::{Cause, Facts, Installed, examine};
use kubectl_wva::output::Format;
use rstest::rstest;
use serde_json::{Value, json};

use super::{causes, facts, printed, scaled_object, with_object};
use crate::objects::{controller, decided, typed, variant, variants};

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

#[rstest]
#[case::value("metricType", json!("Value"))]
#[case::utilisation("metricType", json!("Utilization"))]
fn a_scaled_object_that_makes_another_number_is_named(#[case] key: &str, #[case] value: Value) {
    let view = with_object(|object| object["spec"]["triggers"][0][key] = value);
    assert_eq!(causes(&view), [Cause::HpaTargetMisread]);
    let view = with_object(|object| object["spec"]["triggers"][0]["metadata"]["threshold"] = json!("5"));
    assert_eq!(causes(&view), [Cause::HpaTargetMisread]);
}
