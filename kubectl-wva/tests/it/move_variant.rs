//! `move` as a shell sees it, on a cluster whose controllers publish at once, or never.

use rstest::rstest;
use serde_json::{Value, json};

use crate::cli::wva;
use crate::fake_api::{FakeApi, list, refusal};
use crate::objects::{deployment, hpa, variant};

const VARIANTS: &str = "/apis/llmd.ai/v1alpha1/namespaces/models/variantautoscalings";
const HPAS: &str = "/apis/autoscaling/v2/namespaces/models/horizontalpodautoscalers";

fn controller(id: &str, ready: i32, args: &[&str]) -> Value {
    let mut object = deployment(&format!("wva-{id}"), "wva-controller-manager", 1);
    object["metadata"]["labels"] = json!({"control-plane": "controller-manager"});
    object["status"]["readyReplicas"] = json!(ready);
    object["spec"]["template"]["spec"]["containers"] =
        json!([{"name": "manager", "args": args, "env": [{"name": "CONTROLLER_INSTANCE", "value": id}]}]);
    object
}

fn follower() -> Value {
    let mut object = hpa("models", "llama", 2);
    object["spec"]["metrics"] = json!([{"type": "External", "external": {
        "metric": {"name": "wva_desired_replicas", "selector": {"matchLabels": {"variant_name": "llama-va", "controller_instance": "team-a"}}},
        "target": {"type": "AverageValue", "averageValue": "1"},
    }}]);
    object
}

/// A variant of team-a; team-b publishes where it is said to.
fn cluster(publishes: bool) -> impl Fn(&str, &str) -> (u16, Value) + Send + 'static {
    move |_, path| match path {
        VARIANTS => list(&[variant("models", "llama", "llama", "team-a")]),
        HPAS => list(&[follower()]),
        "/apis/apps/v1/deployments" => list(&[
            controller("team-a", 1, &[]),
            controller("team-b", 1, &[]),
            controller("asleep", 0, &[]),
            controller("elsewhere", 1, &["--watch-namespace=other"]),
        ]),
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/models/wva_desired_replicas" => {
            let id = if publishes { "team-b" } else { "team-a" };
            (
                200,
                json!({"items": [{"metricLabels": {"variant_name": "llama-va", "controller_instance": id}, "value": "2"}]}),
            )
        }
        path if path.starts_with(VARIANTS) => (200, variant("models", "llama", "llama", "team-a")),
        path if path.starts_with(HPAS) => (200, follower()),
        _ => refusal(404, "NotFound", "the server could not find the requested resource"),
    }
}

fn writes(api: &FakeApi) -> Vec<String> {
    let real = |line: &String| line.starts_with("PATCH") && !line.contains("dry run");
    api.asked().into_iter().filter(real).map(|line| line.rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn the_variant_goes_first_and_its_autoscaler_once_the_new_controller_publishes() {
    let api = FakeApi::start(cluster(true));
    let answer = wva(&["move", "llama", "--to", "team-b"], Some(&api.kubeconfig));
    assert_eq!(answer.code, 0, "{}", answer.err);
    let expect = "variantautoscaling.llmd.ai/llama-va handed over\ninstance team-b publishes its number\n\
                  horizontalpodautoscaler.autoscaling/llama-hpa handed over\n";
    assert_eq!(answer.out, expect);
    let asked = api.asked();
    let at = |what: &str| asked.iter().rposition(|line| line.starts_with(what)).unwrap();
    let (relabelled, published) = (at(&format!("PATCH {VARIANTS}")), at("GET /apis/external"));
    assert!(relabelled < published && published < at(&format!("PATCH {HPAS}")), "{asked:#?}");
    let bodies = api.bodies();
    assert_eq!(bodies[2]["metadata"]["labels"]["wva.llmd.ai/controller-instance"], "team-b");
    let selector = &bodies[3]["spec"]["metrics"][0]["external"]["metric"]["selector"]["matchLabels"];
    assert_eq!(*selector, json!({"variant_name": "llama-va", "controller_instance": "team-b"}));
}

#[test]
fn while_the_new_controller_does_not_publish_the_autoscaler_stays_and_the_way_back_is_told() {
    let api = FakeApi::start(cluster(false));
    let answer = wva(&["move", "llama", "--to", "team-b", "--timeout", "10ms"], Some(&api.kubeconfig));
    assert_eq!(answer.code, 1, "{}", answer.err);
    assert_eq!(writes(&api), ["llama-va"]);
    assert!(answer.err.contains("back: kubectl wva move llama -n models --to team-a"), "{}", answer.err);
}

#[test]
fn a_dry_run_writes_nothing_and_waits_for_nothing() {
    let api = FakeApi::start(cluster(false));
    let answer = wva(&["move", "llama", "--to", "team-b", "--dry-run", "server"], Some(&api.kubeconfig));
    assert_eq!(answer.code, 0, "{}", answer.err);
    assert_eq!(answer.out.matches("handed over (server dry run)").count(), 2, "{}", answer.out);
    assert!(writes(&api).is_empty());
}

#[rstest]
#[case::unknown_variant(&["move", "lama", "--to", "team-b"], "did you mean llama?")]
#[case::unknown_instance(&["move", "llama", "--to", "team-c"], "there is no controller instance \"team-c\"")]
#[case::meant(&["move", "llama", "--to", "teamb"], "did you mean team-b?")]
#[case::not_running(&["move", "llama", "--to", "asleep"], "does not run: 0 of 1 replicas are ready")]
#[case::not_watching(&["move", "llama", "--to", "elsewhere"], "watches namespace other")]
#[case::no_instance(&["move", "llama"], "--to <INSTANCE>")]
#[case::no_id(&["move", "llama", "--to", "a b"], "a b")]
fn an_instance_that_would_not_take_it_is_refused(#[case] words: &[&str], #[case] expect: &str) {
    let api = FakeApi::start(cluster(true));
    let answer = wva(words, Some(&api.kubeconfig));
    assert_eq!(answer.code, 2, "{}", answer.out);
    assert!(answer.err.contains(expect), "{}", answer.err);
    assert!(writes(&api).is_empty());
}

#[test]
fn who_insists_may_hand_it_to_a_controller_that_does_not_run() {
    let api = FakeApi::start(cluster(false));
    let answer = wva(&["move", "llama", "--to", "asleep", "--force"], Some(&api.kubeconfig));
    assert_eq!((answer.code, writes(&api)), (0, vec!["llama-va".to_owned(), "llama-hpa".to_owned()]), "{}", answer.err);
}
