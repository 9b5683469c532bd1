//! What `doctor` says of a variant's servers and of the way their metrics take.

use jiff::Timestamp;
use kubectl_wva::Verdict;
use kubectl_wva::commands::doctor::{Cause, Facts, examine};
use kubectl_wva::output::Format;
use kubectl_wva::readers::pods::Nodes;
use kubectl_wva::readers::servers::Servers;
use rstest::rstest;
use serde_json::{Value, json};

use super::series::chart_rules;
use super::{causes, monitor, plain, printed};
use crate::objects::{NOW, condition, decided, deployment, deployments, typed, variant, variants};

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
fn what_a_change_of_the_servers_made_impossible_is_taken_back() {
    let pending = json!({"phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node matches",
    }]});
    let pods = vec![server("llama-decode-5d4f8c7b9-x", &pending)];
    let servers = Servers { pods: [("models".to_owned(), Ok(pods))].into(), nodes: Nodes::default() };
    let mut rolling = deployment("models", "llama-decode", 2);
    rolling["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "2"});
    rolling["status"] = json!({"replicas": 3, "readyReplicas": 2, "updatedReplicas": 1});
    let view =
        examine(&Facts { servers: servers.clone(), deployments: Ok(deployments(&[rolling.clone()])), ..plain() });
    assert_eq!(causes(&view), [Cause::PodsPending]);
    assert_eq!(view.findings[0].fix, ["kubectl rollout undo deployment/llama-decode -n models"]);
    // All are of the newest version: more were asked for than there is room for.
    rolling["status"]["updatedReplicas"] = json!(3);
    let view = examine(&Facts { servers, deployments: Ok(deployments(&[rolling])), ..plain() });
    assert!(view.findings[0].fix[0].contains("maxReplicas"), "{:?}", view.findings);
}

#[test]
fn a_server_on_its_way_is_starting_and_no_finding() {
    let pods = vec![server("llama-decode-5d4f8c7b9-x", &json!({"phase": "Running"}))];
    let servers = Servers { pods: [("models".to_owned(), Ok(pods))].into(), nodes: Nodes::default() };
    let view = examine(&Facts { servers, ..plain() });
    assert_eq!((causes(&view), view.verdict()), (vec![], Verdict::Fine));
    insta::assert_snapshot!("doctor_starting", printed(&view, Format::Table));
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
    let endpoints = json!([{"metricRelabelings": chart_rules()}]);
    let controller_spec = json!({"namespaceSelector": {"any": true}, "selector": {}, "podMetricsEndpoints": endpoints});
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
    let endpoints = json!([{"interval": "15s", "metricRelabelings": chart_rules()}]);
    let spec = json!({"namespaceSelector": {"any": true}, "selector": {}, "podMetricsEndpoints": endpoints});
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
