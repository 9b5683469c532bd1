//! What `doctor` says of the HPA that follows a variant.

use kubectl_wva::Verdict;
use kubectl_wva::commands::doctor::Cause;
use rstest::rstest;
use serde_json::{Value, json};

use super::{causes, with_hpa};

#[rstest]
#[case::value(json!({"type": "Value", "value": "1"}), true)]
#[case::two(json!({"type": "AverageValue", "averageValue": "2"}), true)]
#[case::half(json!({"type": "AverageValue", "averageValue": "500m"}), true)]
#[case::one(json!({"type": "AverageValue", "averageValue": "1"}), false)]
#[case::one_in_thousandths(json!({"type": "AverageValue", "averageValue": "1000m"}), false)]
fn an_hpa_that_makes_another_number_of_the_one_published_is_named(#[case] target: Value, #[case] wrong: bool) {
    let view = with_hpa(|hpa| hpa["spec"]["metrics"][0]["external"]["target"] = target);
    assert_eq!(causes(&view), vec![Cause::HpaTargetMisread; usize::from(wrong)]);
    if wrong {
        assert!(view.findings[0].fix[0].contains(r#""averageValue":"1""#), "{:?}", view.findings);
    }
}

#[test]
fn a_window_before_growth_and_the_tolerance_of_many_replicas_are_advice() {
    let view = with_hpa(|hpa| {
        hpa["spec"]["maxReplicas"] = json!(20);
        hpa["spec"]["behavior"] = json!({"scaleUp": {"stabilizationWindowSeconds": 240}});
    });
    assert_eq!((causes(&view), view.verdict()), (vec![Cause::HpaFollowsSlowly], Verdict::Fine));
    let fix = &view.findings[0].fix[0];
    assert!(fix.contains(r#""tolerance":"0""#) && fix.contains(r#""stabilizationWindowSeconds":0"#), "{fix}");
    let exact = with_hpa(|hpa| {
        hpa["spec"]["maxReplicas"] = json!(20);
        hpa["spec"]["behavior"] = json!({"scaleUp": {"tolerance": "0"}, "scaleDown": {"tolerance": "0"}});
    });
    assert_eq!(causes(&exact), []);
}

#[test]
fn an_hpa_that_was_left_behind_by_a_hand_over_is_named_before_a_clean_up_deletes_it() {
    let label = "wva.llmd.ai/controller-instance";
    let relabel = format!("kubectl label hpa llama-decode-hpa -n models {label}=team-a --overwrite");
    let view = with_hpa(|hpa| hpa["metadata"]["labels"] = json!({label: "team-old"}));
    assert_eq!(causes(&view), [Cause::HpaSelectorMismatch]);
    assert_eq!(view.findings[0].fix, std::slice::from_ref(&relabel));
    let view = with_hpa(|hpa| {
        hpa["metadata"]["labels"] = json!({label: "team-old"});
        let selector = &mut hpa["spec"]["metrics"][0]["external"]["metric"]["selector"];
        selector["matchLabels"]["controller_instance"] = json!("team-old");
    });
    let fix = &view.findings[0].fix[0];
    assert!(fix.starts_with("kubectl patch hpa") && fix.ends_with(&format!(" && {relabel}")), "{fix}");
    let own = with_hpa(|hpa| hpa["metadata"]["labels"] = json!({label: "team-a"}));
    assert_eq!(causes(&own), []);
}
