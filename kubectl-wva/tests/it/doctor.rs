//! What `doctor` concludes from facts: those of KEDA, which no cluster of ours runs, and those that could not be read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kubectl_wva::Verdict;
use kubectl_wva::console::Console;
use kubectl_wva::doctor::{Cause, DoctorView, External, Facts, Installed, Outcome, examine, print};
use kubectl_wva::output::Format;
use kubectl_wva::pods::Nodes;
use kubectl_wva::servers::Servers;
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
            nodes: Nodes::default(),
            lease: Ok(None),
            log: None,
        }]),
        broken: vec![],
        deployments: Ok(deployments(&[deployment("models", "llama-decode", 2)])),
        servers: Servers::default(),
        events: Ok(vec![]),
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
            "triggers": [{"type": "prometheus", "metricType": "AverageValue", "metadata": {
                "serverAddress": "http://prometheus:9090", "query": query, "threshold": "1",
            }}],
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
        events: Err(no()),
        servers: Servers { pods: [("models".to_owned(), Err(no()))].into(), nodes: Nodes::default() },
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

/// A healthy cluster whose variant an HPA of the chart's follows, as a plain HPA.
fn plain() -> Facts {
    let mut hpa = hpa("models", "llama-decode", 2);
    hpa["spec"]["metrics"] = json!([{"type": "External", "external": {
        "metric": {"name": "wva_desired_replicas", "selector": {"matchLabels": {
            "variant_name": "llama-va", "exported_namespace": "models", "controller_instance": "team-a",
        }}},
        "target": {"type": "AverageValue", "averageValue": "1"},
    }}]);
    let series = BTreeMap::from([
        ("variant_name", "llama-va"),
        ("exported_namespace", "models"),
        ("controller_instance", "team-a"),
        ("pod", "wva-1"),
        ("instance", "10.0.0.1:8443"),
    ]);
    let series = series.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Facts {
        hpas: Ok(hpas(&[hpa])),
        scaled_objects: Ok(vec![]),
        external: External::Answers(BTreeMap::from([("models".to_owned(), Ok(vec![series]))])),
        ..facts()
    }
}

fn with_hpa(change: impl FnOnce(&mut Value)) -> DoctorView {
    let facts = plain();
    let mut hpa = serde_json::to_value(&facts.hpas.as_ref().unwrap()[0]).unwrap();
    change(&mut hpa);
    examine(&Facts { hpas: Ok(hpas(&[hpa])), ..facts })
}

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

#[rstest]
#[case::value("metricType", json!("Value"))]
#[case::utilisation("metricType", json!("Utilization"))]
fn a_scaled_object_that_makes_another_number_is_named(#[case] key: &str, #[case] value: Value) {
    let view = with_object(|object| object["spec"]["triggers"][0][key] = value);
    assert_eq!(causes(&view), [Cause::HpaTargetMisread]);
    let view = with_object(|object| object["spec"]["triggers"][0]["metadata"]["threshold"] = json!("5"));
    assert_eq!(causes(&view), [Cause::HpaTargetMisread]);
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

fn server(name: &str, status: &Value) -> k8s_openapi::api::core::v1::Pod {
    typed(&json!({
        "metadata": {"name": name, "namespace": "models", "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "llama-decode-5d4f8c7b9", "uid": "u"},
        ]},
        "spec": {"containers": []}, "status": status,
    }))
}

#[rstest]
#[case::pending(
    json!({"phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/2 nodes are available: 1 Insufficient nvidia.com/gpu",
    }]}),
    Cause::PodsPending,
    "1 Insufficient nvidia.com/gpu"
)]
#[case::image(
    json!({"phase": "Pending", "containerStatuses": [{
        "name": "vllm", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}},
    }]}),
    Cause::PodsFailing,
    "ErrImagePull: not found"
)]
fn servers_that_do_not_run_are_named_with_the_words_of_whoever_knows(
    #[case] status: Value,
    #[case] cause: Cause,
    #[case] words: &str,
) {
    let pods = vec![server("llama-decode-5d4f8c7b9-x", &status)];
    let servers = Servers { pods: [("models".to_owned(), Ok(pods))].into(), nodes: Nodes::default() };
    let view = examine(&Facts { servers, ..plain() });
    assert_eq!(causes(&view), [cause]);
    assert!(view.findings[0].finding.contains(words), "{:?}", view.findings);
    assert_eq!(view.findings[0].affects, ["models/llama-va"]);
}

#[test]
fn a_server_on_its_way_is_starting_and_no_finding() {
    let pods = vec![server("llama-decode-5d4f8c7b9-x", &json!({"phase": "Running"}))];
    let servers = Servers { pods: [("models".to_owned(), Ok(pods))].into(), nodes: Nodes::default() };
    let view = examine(&Facts { servers, ..plain() });
    assert_eq!((causes(&view), view.verdict()), (vec![], Verdict::Fine));
    insta::assert_snapshot!("doctor_starting", printed(&view, Format::Table));
}

/// The pod of a controller; `age` in seconds.
fn controller_pod(name: &str, set: &str, age: i64, status: &Value) -> k8s_openapi::api::core::v1::Pod {
    let made = NOW.parse::<Timestamp>().unwrap() - jiff::SignedDuration::from_secs(age);
    typed(&json!({
        "metadata": {"name": name, "namespace": "wva-a", "creationTimestamp": made.to_string(), "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": "u"},
        ]},
        "spec": {"containers": []}, "status": status,
    }))
}

fn crash() -> Value {
    json!({"phase": "Running", "containerStatuses": [{
        "name": "manager", "image": "i", "imageID": "", "ready": false, "restartCount": 4,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": {"exitCode": 1}},
    }]})
}

fn serving() -> Value {
    json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
}

#[test]
fn a_roll_out_that_is_stuck_beside_an_old_pod_is_named_at_once() {
    let mut facts = plain();
    let installed = &mut facts.controllers.as_mut().unwrap()[0];
    installed.controller.falls_short = true;
    installed.pods = Ok(vec![
        controller_pod("old", "wva-controller-manager-1", 900, &serving()),
        controller_pod("new", "wva-controller-manager-2", 60, &crash()),
    ]);
    installed.log = Some("error: PROMETHEUS_BASE_URL is missing\n".to_owned());
    let view = examine(&facts);
    assert_eq!(causes(&view), [Cause::RolloutStuck]);
    insta::assert_snapshot!("doctor_rollout_stuck", printed(&view, Format::Table));
}

#[rstest]
#[case::just_started(3, json!({"phase": "Running"}), false)]
#[case::for_a_minute(60, json!({"phase": "Running"}), true)]
#[case::crashed(3, crash(), true)]
fn a_controller_may_take_a_moment_to_start(#[case] age: i64, #[case] status: Value, #[case] found: bool) {
    let mut facts = plain();
    let installed = &mut facts.controllers.as_mut().unwrap()[0];
    (installed.controller.ready, installed.controller.falls_short) = (0, true);
    installed.pods = Ok(vec![controller_pod("new", "wva-controller-manager-1", age, &status)]);
    let view = examine(&facts);
    assert_eq!(causes(&view), vec![Cause::ControllerDown; usize::from(found)]);
    assert_eq!(view.starting.is_empty(), found);
}

#[rstest]
#[case::eight_seconds_after_a_roll_out(8, 12, false)]
#[case::a_long_time_after(300, 300, true)]
#[case::somebody_else_goes_on_renewing_it(60, 1, true)]
fn a_new_pod_may_take_a_moment_to_take_the_lease_over(#[case] age: i64, #[case] renewed: i64, #[case] found: bool) {
    let mut facts = plain();
    let renewed = NOW.parse::<Timestamp>().unwrap() - jiff::SignedDuration::from_secs(renewed);
    let installed = &mut facts.controllers.as_mut().unwrap()[0];
    let arguments = json!({"name": "manager", "args": ["--leader-elect=true", "--controller-instance=team-a"]});
    installed.controller.container = Some(typed(&arguments));
    installed.lease = Ok(Some(typed(&json!({"metadata": {"name": "lease"}, "spec": {
        "holderIdentity": "gone_1", "leaseDurationSeconds": 15, "renewTime": format!("{renewed:.6}"),
    }}))));
    installed.pods = Ok(vec![controller_pod("new", "wva-controller-manager-2", age, &serving())]);
    let view = examine(&facts);
    assert_eq!(causes(&view), vec![Cause::NoLeader; usize::from(found)]);
    assert_eq!(view.starting.is_empty(), found, "{:?}", view.starting);
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

#[test]
fn what_variants_of_different_instances_cost_is_not_compared() {
    let equal = |instance: &str| {
        let of = |name: &str, instance: &str| decided(variant("models", name, &format!("{name}-decode"), instance), 1);
        let variants = variants(&[of("a", "team-a"), of("b", instance)]);
        causes(&examine(&Facts { variants, ..plain() })).contains(&Cause::CostsEqual)
    };
    assert!(equal("team-a"));
    assert!(!equal("team-b"));
}

fn main_map(data: &Value) -> k8s_openapi::api::core::v1::ConfigMap {
    typed(&json!({
        "metadata": {"namespace": "wva-a", "name": "wva-variantautoscaling-config", "uid": "m"}, "data": data,
    }))
}

fn said(reason: &str, message: &str) -> k8s_openapi::api::core::v1::Event {
    typed(&json!({
        "metadata": {"namespace": "wva-a", "name": "e"}, "eventTime": "2026-01-02T03:03:35.000000Z",
        "involvedObject": {"kind": "ConfigMap", "namespace": "wva-a", "name": "wva-variantautoscaling-config", "uid": "m"},
        "reason": reason, "message": message,
    }))
}

#[test]
fn a_setting_that_cannot_be_used_is_found_in_the_config_map_and_in_its_event() {
    let bad = || main_map(&json!({"GLOBAL_OPT_INTERVAL": "20"}));
    let alone = examine(&Facts { config_maps: Ok(vec![bad()]), ..plain() });
    assert_eq!(causes(&alone), [Cause::ConfigInvalid]);
    assert!(alone.findings[0].fix[0].contains(r#""GLOBAL_OPT_INTERVAL":"20s""#), "{:?}", alone.findings);
    let message = r#"WVA_LIMITER_FAIL_MODE="shut" is none of hold, open. The value "hold" stays in force; correct the ConfigMap."#;
    let event = || Ok(vec![said("InvalidConfig", message)]);
    let held = main_map(&json!({"WVA_LIMITER_FAIL_MODE": "shut"}));
    let view = examine(&Facts { config_maps: Ok(vec![held]), events: event(), ..plain() });
    assert_eq!(causes(&view), [Cause::ConfigInvalid]);
    assert!(view.findings[0].fix[0].contains(r#""WVA_LIMITER_FAIL_MODE":"hold""#), "{:?}", view.findings);
    let fixed = main_map(&json!({"WVA_LIMITER_FAIL_MODE": "open"}));
    assert_eq!(causes(&examine(&Facts { config_maps: Ok(vec![fixed]), events: event(), ..plain() })), []);
}

#[test]
fn a_refused_change_waits_for_a_restart_until_it_is_taken_back_or_taken_up() {
    let message = "ConfigMap wva-a/wva-variantautoscaling-config changes parameters that only a restart of the controller \
                   can change: PROMETHEUS_BASE_URL (old: \"http://a:9090\", new: \"http://b:9090\"). The old values stay \
                   in force; all other changes of this edit apply.";
    let with = |url: &str, age: i64| {
        let mut facts = plain();
        let pod = controller_pod("one", "wva-controller-manager-1", age, &serving());
        let started = NOW.parse::<Timestamp>().unwrap() - jiff::SignedDuration::from_secs(age);
        let mut pod = serde_json::to_value(pod).unwrap();
        pod["status"]["startTime"] = json!(started.to_string());
        facts.controllers.as_mut().unwrap()[0].pods = Ok(vec![typed(&pod)]);
        facts.config_maps = Ok(vec![main_map(&json!({"PROMETHEUS_BASE_URL": url}))]);
        facts.events = Ok(vec![said("ImmutableConfigChangeRejected", message)]);
        examine(&facts)
    };
    let view = with("http://b:9090", 600);
    assert_eq!(causes(&view), [Cause::ConfigNeedsRestart]);
    assert!(view.findings[0].fix[1].contains(r#""PROMETHEUS_BASE_URL":"http://a:9090""#), "{:?}", view.findings);
    assert_eq!(causes(&with("http://a:9090", 600)), [], "taken back");
    assert_eq!(causes(&with("http://b:9090", 5)), [], "taken up by a restart");
}

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

fn monitor(kind: &str, namespace: &str, name: &str, release: &str, spec: &Value) -> kube::api::DynamicObject {
    typed(&json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": kind,
        "metadata": {"namespace": namespace, "name": name, "labels": {"app.kubernetes.io/instance": release}},
        "spec": spec,
    }))
}

#[test]
fn series_of_one_pod_scraped_twice_name_the_second_monitor() {
    let mut facts = plain();
    let External::Answers(series) = &mut facts.external else { panic!("it answers") };
    let series = series.get_mut("models").unwrap().as_mut().unwrap();
    let mut twice = series[0].clone();
    twice.insert("job".to_owned(), "fleet".to_owned());
    series.push(twice);
    let installed = &mut facts.controllers.as_mut().unwrap()[0];
    installed.controller.pod_labels = [("app".to_owned(), "wva".to_owned())].into();
    installed.controller.release = Some("wva".to_owned());
    let spec = json!({"selector": {"matchLabels": {"app": "wva"}}, "podMetricsEndpoints": [{"port": "https"}]});
    facts.monitors = Ok(vec![
        monitor("PodMonitor", "wva-a", "wva-own", "wva", &spec),
        monitor("PodMonitor", "wva-a", "fleet", "fleet", &spec),
    ]);
    let view = examine(&facts);
    assert_eq!(causes(&view), [Cause::DuplicateSeries]);
    assert_eq!(view.findings[0].fix, ["kubectl delete podmonitor fleet -n wva-a"]);
}

#[test]
fn a_service_that_selects_nothing_is_seen_while_old_metrics_still_arrive() {
    let mut facts = plain();
    let service = |selector: &str| {
        typed(&json!({
            "metadata": {"namespace": "models", "name": "llama-vllm", "labels": {"app.kubernetes.io/instance": "llama"}},
            "spec": {"selector": {"llm-d.ai/model": selector}, "ports": [{"name": "http", "port": 8000}]},
        }))
    };
    let spec = json!({
        "selector": {"matchLabels": {"app.kubernetes.io/instance": "llama"}}, "endpoints": [{"port": "http"}],
    });
    facts.monitors = Ok(vec![monitor("ServiceMonitor", "models", "llama-vllm-monitor", "llama", &spec)]);
    let controller_spec = json!({"namespaceSelector": {"any": true}, "selector": {}, "podMetricsEndpoints": [{}]});
    facts.monitors.as_mut().unwrap().push(monitor("PodMonitor", "wva-a", "own", "wva", &controller_spec));
    facts.monitors.as_mut().unwrap()[1].data["spec"]["namespaceSelector"] = json!({"matchNames": ["wva-a"]});
    facts.services = Ok(vec![service("llama")]);
    assert_eq!(causes(&examine(&facts)), []);
    facts.services = Ok(vec![service("lama")]);
    let view = examine(&facts);
    assert_eq!(causes(&view), [Cause::ServiceMonitorMissing]);
    assert!(view.findings[0].fix[0].contains(r#""value":{"llm-d.ai/model":"llama"}"#), "{:?}", view.findings);
    facts.services = Ok(vec![service("llama")]);
    facts.monitors.as_mut().unwrap().remove(0);
    assert_eq!(causes(&examine(&facts)), [Cause::ServiceMonitorMissing], "the monitor is gone");
}

#[rstest]
#[case::at_first(5, &[])]
#[case::for_a_while(120, &[Cause::MetricsMissing])]
fn metrics_may_take_a_moment_to_arrive(#[case] age: i64, #[case] expect: &[Cause]) {
    let mut facts = plain();
    let mut blind = decided(variant("models", "llama", "llama-decode", "team-a"), 2);
    blind["status"]["conditions"][1] = condition("MetricsAvailable", "False", "MetricsMissing", "none yet");
    let since = NOW.parse::<Timestamp>().unwrap() - jiff::SignedDuration::from_secs(age);
    blind["status"]["conditions"][1]["lastTransitionTime"] = json!(since.to_string());
    facts.variants = variants(&[blind]);
    let spec =
        json!({"namespaceSelector": {"any": true}, "selector": {}, "podMetricsEndpoints": [{"interval": "15s"}]});
    facts.monitors = Ok(vec![monitor("PodMonitor", "models", "m", "", &spec)]);
    let view = examine(&facts);
    assert_eq!(causes(&view), expect);
    if expect.is_empty() {
        assert_eq!(view.starting, ["variant llama-va: starting (5s; first scrape expected within 15s)"]);
    }
}

#[test]
fn another_model_on_the_command_line_is_named_at_once() {
    let mut facts = plain();
    let mut blind = decided(variant("models", "llama", "llama-decode", "team-a"), 2);
    blind["status"]["conditions"][1] = condition("MetricsAvailable", "False", "MetricsMissing", "none yet");
    facts.variants = variants(&[blind]);
    let mut target = deployment("models", "llama-decode", 2);
    target["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--served-model-name", "meta/other", "alias"]);
    facts.deployments = Ok(deployments(&[target.clone()]));
    let view = examine(&facts);
    assert_eq!(causes(&view), [Cause::ModelNameMismatch]);
    assert!(view.findings[0].fix[0].contains("meta/other"), "{:?}", view.findings);
    target["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--served-model-name", "other", "meta/llama"]);
    facts.deployments = Ok(deployments(&[target]));
    assert!(!causes(&examine(&facts)).contains(&Cause::ModelNameMismatch), "one of its names is the model's");
}
