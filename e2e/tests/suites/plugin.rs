//! What people change and look at with the plugin while a controller scales: pause, set, move, history, cost, top, logs.

use serde_json::Value;
use wva_e2e::instances::{RELEASE, Wva, with_instance, with_instances};
use wva_e2e::kubectl::Answer;
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, H100, Vllm};

/// Runs the plugin in the namespace of the models.
async fn plugin(wva: &Wva<'_>, line: &[&str]) -> Answer {
    let namespace = wva.models();
    wva.kubectl().answer(&[line, &["-n", &namespace]].concat()).await.unwrap()
}

/// The same, where only success is an answer.
pub(crate) async fn done(wva: &Wva<'_>, line: &[&str]) -> String {
    let answer = plugin(wva, line).await;
    assert_eq!(answer.code, Some(0), "{line:?}: {answer:?}");
    answer.out
}

async fn json(wva: &Wva<'_>, line: &[&str]) -> Value {
    serde_json::from_str(&done(wva, &[line, &["-o", "json"]].concat()).await).unwrap()
}

async fn field(wva: &Wva<'_>, object: &str, path: &str) -> String {
    let line = ["get", object, "-n", &wva.models(), "-o", &format!("jsonpath={path}")];
    wva.kubectl().run(&line).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_variant_keeps_its_number_under_load_and_grows_when_resumed() {
    with_instance(async |wva| {
        let llama = wva.add_model("llama", A100, "10", 4).await;
        llama.desired("a first decision", |desired| desired == 1).await;
        done(wva, &["pause", "llama", "--at", "2", "--reason", "upgrade of nodes"]).await;
        llama.ready("the number of the pause", |ready| ready == 2).await;
        llama.saturate().await;
        // It has seen the load, and holds all the same.
        wait::until("the load to be seen while it is paused", wva.patience(), || async {
            match plugin(wva, &["status", "llama", "-o", "json"]).await.out {
                seen if seen.contains("\"level\": \"saturated\"") => Look::Done(()),
                seen => Look::NotYet(seen),
            }
        })
        .await
        .unwrap();
        assert_eq!(llama.desired("any decision", |_| true).await, 2);
        let told = plugin(wva, &["status", "llama"]).await.out;
        assert!(told.contains("Paused") && told.contains("upgrade of nodes"), "{told}");
        assert!(plugin(wva, &["doctor", "llama"]).await.out.contains("paused"), "doctor tells of it");

        done(wva, &["resume", "llama"]).await;
        llama.desired("more than what was held", |desired| desired > 2).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_holds_at_once_and_survives_the_next_add_model_with_the_users_own_settings() {
    with_instance(async |wva| {
        let llama = wva.add_model("llama", A100, "10", 2).await;
        // Somebody else's setting of the same object.
        let patch = r#"{"spec":{"behavior":{"scaleDown":{"stabilizationWindowSeconds":77}}}}"#;
        let namespace = wva.models();
        let line = ["patch", "hpa", "llama-hpa", "-n", &namespace, "--type=merge", "-p", patch];
        wva.kubectl().run(&line).await.unwrap();

        let shown = done(wva, &["set", "llama", "--max", "5", "--cost", "35", "--dry-run=server"]).await;
        assert!(shown.contains("- spec.maxReplicas: 2\n+ spec.maxReplicas: 5"), "{shown}");
        assert_eq!(field(wva, "hpa/llama-hpa", "{.spec.maxReplicas}").await, "2", "a dry run writes nothing");
        done(wva, &["set", "llama", "--max", "5", "--cost", "35"]).await;
        assert_eq!(field(wva, "hpa/llama-hpa", "{.spec.maxReplicas}").await, "5");
        assert_eq!(field(wva, "va/llama-va", "{.spec.variantCost}").await, "35");
        let window = "{.spec.behavior.scaleDown.stabilizationWindowSeconds}";
        assert_eq!(field(wva, "hpa/llama-hpa", window).await, "77");
        assert_eq!(done(wva, &["set", "llama", "--max", "5"]).await.matches("unchanged").count(), 2);

        // The next add-model mentions neither, and takes nothing back of what was set.
        let again = done(wva, &["add-model", "llama", "--force-conflicts"]).await;
        assert!(again.contains("configured") || again.contains("unchanged"), "{again}");
        assert_eq!(field(wva, "hpa/llama-hpa", "{.spec.maxReplicas}").await, "5");
        assert_eq!(field(wva, "va/llama-va", "{.spec.variantCost}").await, "35");

        llama.saturate().await;
        llama.ready("what it might have before", |ready| ready == 2).await;
        llama.saturate().await;
        llama.desired("more than it might have before", |desired| desired > 2).await;
        let refused = plugin(wva, &["set", "llama", "--min", "9"]).await;
        assert!(refused.code == Some(2) && refused.err.contains("contradicts the maximum of 5"), "{refused:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_moves_to_another_instance_without_a_change_of_its_replicas() {
    with_instances(async |[a, b]: &[Wva<'_>; 2]| {
        let llama = a.add_model("llama", A100, "10", 2).await;
        llama.saturate().await;
        llama.ready("both replicas", |ready| ready == 2).await;
        llama.saturate().await;
        let before = field(a, "deployment/llama", "{.metadata.generation}").await;

        let refused = plugin(a, &["move", "llama", "--to", &format!("{}x", b.id())]).await;
        let meant = format!("did you mean {}?", b.id());
        assert!(refused.code == Some(2) && refused.err.contains(&meant), "{refused:?}");
        let moved = json(a, &["move", "llama", "--to", b.id()]).await;
        assert_eq!((&moved["published"], &moved["to"]), (&Value::Bool(true), &Value::from(b.id())));

        let selected = "{.spec.metrics[0].external.metric.selector.matchLabels.controller_instance}";
        assert_eq!(field(a, "hpa/llama-hpa", selected).await, b.id());
        a.series(
            &format!(
                "wva_desired_replicas{{exported_namespace=\"{}\",controller_instance=\"{}\"}}",
                a.models(),
                a.id()
            ),
            0,
        )
        .await;
        done(a, &["doctor", "llama", "--wait"]).await;
        assert_eq!(llama.desired("a decision of the new controller", |desired| desired == 2).await, 2);
        assert_eq!(field(a, "deployment/llama", "{.metadata.generation}").await, before, "its replicas were touched");
        let again = done(a, &["move", "llama", "--to", b.id()]).await;
        assert!(again.contains("already"), "{again}");
        // What add-model renders next is for the new instance, and nothing conflicts.
        let rendered = done(a, &["add-model", "llama"]).await;
        assert!(!rendered.contains("created"), "{rendered}");
        assert_eq!(field(a, "hpa/llama-hpa", selected).await, b.id());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_cost_top_and_logs_tell_of_a_model_that_grew() {
    with_instance(async |wva| {
        let llama = wva.add_model("llama", A100, "10", 3).await;
        llama.desired("a first decision", |desired| desired == 1).await;
        llama.saturate().await;
        llama.ready("more than one replica", |ready| ready > 1).await;

        let history = json(wva, &["history", "llama", "--since", "10m"]).await;
        let changes = history["changes"].as_array().unwrap();
        let grows = |change: &&Value| change["from"].as_u64().is_some_and(|from| change["to"].as_u64() > Some(from));
        let grew = changes.iter().find(grows);
        let grew = grew.unwrap_or_else(|| panic!("no growth in {history:#}"));
        assert!(grew["kvUsage"].as_f64().unwrap() > 0.9 && grew["costPerHour"].as_f64().unwrap() >= 20.0, "{grew}");
        assert!(!grew["reason"].as_str().unwrap().is_empty(), "{grew}");
        let chart = done(wva, &["history", "llama", "--chart"]).await;
        assert!(chart.contains('█') && chart.contains("KV cache up to 95%"), "{chart}");

        let cost = json(wva, &["cost", "--since", "1h"]).await;
        let variant = &cost["models"][0]["variants"][0];
        let current = variant["current"].as_f64().unwrap();
        assert_eq!(variant["perHour"].as_f64(), Some(10.0 * current), "{variant}");
        assert!(variant["spent"].as_f64().unwrap() > 0.0, "{variant}");
        let top = done(wva, &["top", "--sort-by", "load"]).await;
        assert!(top.contains("llama"), "{top}");
        let logs = plugin(wva, &["logs", "--instance", wva.id(), "--since", "10m"]).await;
        assert!(logs.code == Some(0) && logs.out.lines().count() > 0, "{logs:?}");
        let of_variant = plugin(wva, &["logs", "llama", "--since", "10m"]).await;
        assert_eq!(of_variant.code, Some(0), "{of_variant:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cheapest_mix_of_two_variants_is_told_from_what_their_replicas_take() {
    with_instance(async |wva| {
        let models = wva.models();
        let patch = r#"{"data":{"default":"analyzerName: saturation\n"}}"#;
        let settings = format!("{RELEASE}-saturation-scaling-config");
        let line = ["patch", "configmap", &settings, "-n", &wva.namespace(), "--type=merge", "-p", patch];
        wva.kubectl().run(&line).await.unwrap();
        let cheap = wva.add(&models, &Vllm::new(&models, "cheap", "example/llama", A100), A100, "10", 6).await;
        let dear = wva.add(&models, &Vllm::new(&models, "dear", "example/llama", H100), H100, "80", 6).await;
        cheap.desired("a first decision", |desired| desired >= 1).await;
        dear.desired("a first decision", |desired| desired >= 1).await;
        // Somebody holds more of the dear ones than the load needs.
        done(wva, &["pause", "dear", "--at", "2"]).await;
        done(wva, &["pause", "cheap", "--at", "1"]).await;
        dear.ready("what is held", |ready| ready == 2).await;

        let model = wait::until("the mix to be known", wva.patience(), || async {
            let model = json(wva, &["cost"]).await["models"][0].clone();
            let decided = model["perHourDecided"].as_f64() == Some(10.0 + 2.0 * 80.0);
            match model["cheapest"]["state"].as_str() {
                Some("known") if decided && model["cheapest"]["savesPerHour"].as_f64() > Some(0.0) => Look::Done(model),
                _ => Look::NotYet(format!("{model:#}")),
            }
        })
        .await
        .unwrap();
        let mix = &model["cheapest"];
        let of = |name: &str| mix["replicas"][name].as_f64().unwrap();
        assert_eq!(
            (mix["unit"].as_str(), of("dear")),
            (Some("tokens"), 1.0),
            "no more dear ones than there must be: {model:#}"
        );
        assert!(of("cheap") > 1.0 && of("cheap") <= 6.0, "{model:#}");
        let per_hour = 10.0 * of("cheap") + 80.0;
        assert_eq!((mix["perHour"].as_f64(), mix["savesPerHour"].as_f64()), (Some(per_hour), Some(170.0 - per_hour)));
        let told = done(wva, &["cost"]).await;
        assert!(told.contains("cheapest mix for the same") && told.contains("less than what is decided"), "{told}");
    })
    .await;
}
