//! What `doctor` says of the published number's series: one for a variant, whichever pod leads.

use kubectl_wva::Verdict;
use kubectl_wva::commands::doctor::{Cause, DoctorView, External, Facts, examine};
use kubectl_wva::output::Format;
use rstest::rstest;
use serde_json::{Value, json};

use super::{causes, facts, monitor, plain, printed};
use crate::objects::{controller, decided, variant, variants};

#[test]
fn of_two_controllers_the_one_that_came_later_or_does_not_work_is_to_go_and_both_are_one_finding() {
    let twin = |namespace: &str, made: &str, ready: i32| {
        let mut one = facts().controllers.unwrap().remove(0);
        one.controller = controller(namespace, "team-a", &[]);
        one.controller.ready = ready;
        one.controller.created = Some(made.parse().unwrap());
        one
    };
    for (old, stray) in [("zzz", "aaa"), ("aaa", "zzz")] {
        let mut facts = plain();
        let mut intruder = twin(stray, "2026-01-02T03:00:00Z", 1);
        intruder.controller.by_helm = true;
        intruder.controller.release = Some("stray".to_owned());
        facts.controllers = Ok(vec![twin(old, "2026-01-01T00:00:00Z", 1), intruder]);
        let mut other = decided(variant("models", "other", "other-decode", "team-a"), 1);
        other["spec"]["variantCost"] = json!("80");
        facts.variants.extend(variants(&[other]));
        let view = examine(&facts);
        assert_eq!(causes(&view), [Cause::DuplicateSeries]);
        assert_eq!(view.findings[0].fix, [format!("helm uninstall stray -n {stray}")]);
        assert_eq!(view.findings[0].affects.len(), 2);
        // Whoever does not work is the intruder, however old it is.
        facts.controllers = Ok(vec![twin(old, "2026-01-01T00:00:00Z", 0), twin(stray, "2026-01-02T03:00:00Z", 1)]);
        assert!(examine(&facts).findings[0].fix[0].ends_with(&format!("-n {old}")));
    }
}

/// A monitor of the controller's pods with these `metricRelabelings`.
fn of_the_controller(rules: &Value) -> Value {
    json!({
        "selector": {"matchLabels": {"app": "wva"}},
        "podMetricsEndpoints": [{"port": "https", "metricRelabelings": rules}],
    })
}

/// The rules of the chart's monitor.
pub(super) fn chart_rules() -> Value {
    json!(["pod", "instance"].map(|label| json!({
        "sourceLabels": ["__name__"], "regex": "wva_desired_replicas|wva_current_replicas|wva_desired_ratio",
        "targetLabel": label, "action": "replace",
    })))
}

#[rstest]
#[case::both_as_the_chart_scrapes(chart_rules(), &[])]
#[case::the_second_keeps_the_labels_of_the_pod(json!(null), &[("pod", "wva-1"), ("instance", "10.0.0.1:8443")])]
fn series_of_one_pod_scraped_twice_name_the_second_monitor(#[case] rules: Value, #[case] kept: &[(&str, &str)]) {
    let mut facts = plain();
    let External::Answers(series) = &mut facts.external else { panic!("it answers") };
    let series = series.get_mut("models").unwrap().as_mut().unwrap();
    let mut twice = series[0].clone();
    twice.extend(kept.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    twice.insert("job".to_owned(), "fleet".to_owned());
    series.push(twice);
    let installed = &mut facts.controllers.as_mut().unwrap()[0];
    installed.controller.pod_labels = [("app".to_owned(), "wva".to_owned())].into();
    installed.controller.release = Some("wva".to_owned());
    facts.monitors = Ok(vec![
        monitor("PodMonitor", "wva-a", "wva-own", "wva", &of_the_controller(&chart_rules())),
        monitor("PodMonitor", "wva-a", "fleet", "fleet", &of_the_controller(&rules)),
    ]);
    let view = examine(&facts);
    assert_eq!(causes(&view)[0], Cause::DuplicateSeries);
    assert_eq!(view.findings[0].fix, ["kubectl delete podmonitor fleet -n wva-a"]);
}

/// What doctor says where a monitor of the controller has these rules.
fn with_rules(rules: &Value) -> DoctorView {
    let mut facts = plain();
    facts.controllers.as_mut().unwrap()[0].controller.pod_labels = [("app".to_owned(), "wva".to_owned())].into();
    facts.monitors = Ok(vec![monitor("PodMonitor", "wva-a", "own", "wva", &of_the_controller(rules))]);
    examine(&facts)
}

#[rstest]
#[case::as_the_chart_has_it(chart_rules(), 0)]
#[case::dropped_for_all_series(json!([{"action": "labeldrop", "regex": "pod|instance"}]), 0)]
#[case::only_some_labels_kept(json!([{"action": "labelkeep", "regex": "__name__|variant_name|exported_namespace"}]), 0)]
#[case::the_number_is_not_scraped_here(
    json!([{"action": "drop", "sourceLabels": ["__name__"], "regex": "wva_.*"}]), 0
)]
#[case::only_other_series_are_kept(
    json!([{"action": "keep", "sourceLabels": ["__name__"], "regex": "controller_runtime_.*"}]), 0
)]
#[case::no_rules(json!(null), 2)]
#[case::one_of_the_two(json!([{"action": "labeldrop", "regex": "pod"}]), 1)]
#[case::rules_for_another_series(
    json!([{"sourceLabels": ["__name__"], "regex": "up", "targetLabel": "pod", "replacement": ""}]), 2
)]
#[case::another_value_for_each_pod(
    json!([{"sourceLabels": ["__address__"], "targetLabel": "instance"}, {"action": "labeldrop", "regex": "pod"}]), 1
)]
fn a_monitor_that_tells_the_controllers_pods_apart_is_advised_against(#[case] rules: Value, #[case] missing: usize) {
    let view = with_rules(&rules);
    assert_eq!(causes(&view), vec![Cause::SeriesPerPod; usize::from(missing > 0)]);
    assert_eq!(view.verdict(), Verdict::Fine, "advice keeps nothing from working");
    if missing > 0 {
        let fix = &view.findings[0].fix[0];
        assert!(fix.starts_with("kubectl patch podmonitor own -n wva-a"), "{fix}");
        assert_eq!(fix.matches("targetLabel").count(), missing, "{fix}");
        assert_eq!(view.findings[0].affects, ["models/llama-va"]);
    }
}

#[test]
fn the_patch_of_a_monitor_mends_it() {
    let view = with_rules(&json!([{"action": "labeldrop", "regex": "node"}]));
    insta::assert_snapshot!("doctor_series_per_pod", printed(&view, Format::Table));
    let (_, patch) = view.findings[0].fix[0].split_once("-p '").unwrap();
    let changes: Vec<Value> = serde_json::from_str(patch.trim_end_matches('\'')).unwrap();
    let added = changes.iter().map(|change| change["value"].clone());
    assert!(changes.iter().all(|change| change["path"] == "/spec/podMetricsEndpoints/0/metricRelabelings/-"));
    let rules: Vec<Value> = std::iter::once(json!({"action": "labeldrop", "regex": "node"})).chain(added).collect();
    assert_eq!(causes(&with_rules(&json!(rules))), []);
}

#[test]
fn without_a_monitor_the_series_itself_tells() {
    let scraped = |labels: &[(&str, &str)]| {
        let mut facts = plain();
        let External::Answers(series) = &mut facts.external else { panic!("it answers") };
        let own = &mut series.get_mut("models").unwrap().as_mut().unwrap()[0];
        own.extend(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        examine(&facts)
    };
    let view = scraped(&[("pod", "wva-1"), ("instance", "10.0.0.1:8443")]);
    assert_eq!(causes(&view), [Cause::SeriesPerPod]);
    assert_eq!(view.findings[0].evidence, ["the series of variant llama-va has pod=wva-1, instance=10.0.0.1:8443"]);
    assert_eq!(view.findings[0].fix, Vec::<String>::new());
    let advice = view.findings[0].advice.as_ref().unwrap();
    assert!(advice.contains("metric_relabel_configs"), "{advice}");
    assert_eq!(causes(&scraped(&[])), []);
}

#[test]
fn whether_pods_are_told_apart_is_unknown_where_neither_monitors_nor_series_can_be_read() {
    let no = || "forbidden".to_owned();
    let view = examine(&Facts { monitors: Err(no()), external: External::Unread(no()), ..plain() });
    assert!(super::unread::unknown(&view).contains(&Cause::SeriesPerPod), "{:?}", view.checks);
}
