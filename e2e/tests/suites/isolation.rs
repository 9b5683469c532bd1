//! Instances of equal names in one cluster with one Prometheus: each has what is its own, and touches nothing else.

use serde_json::Value;
use wva_e2e::instances::{Wva, with_instances};
use wva_e2e::workload::{A100, Vllm};

async fn object(wva: &Wva<'_>, args: &[&str]) -> Value {
    let text = wva.kubectl().run(&[&["get", "-o", "json", "--show-managed-fields"], args].concat()).await.unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Field managers of ours that ever wrote an object.
fn controllers(object: &Value) -> Vec<String> {
    let fields = object["metadata"]["managedFields"].as_array().unwrap();
    let mut managers: Vec<String> =
        fields.iter().filter_map(|entry| entry["manager"].as_str()).map(str::to_owned).collect();
    managers.retain(|manager| manager.starts_with("wva-controller"));
    managers.sort();
    managers.dedup();
    managers
}

/// What no other instance may change: the settings, the autoscaler's own, the holder of the Lease.
async fn own_state(wva: &Wva<'_>) -> Vec<String> {
    let config = ["configmap", "wva-variantautoscaling-config", "-n", &wva.namespace()];
    let config = object(wva, &config).await["metadata"]["resourceVersion"].to_string();
    let hpa = object(wva, &["hpa", "llama-hpa", "-n", &wva.models()]).await;
    let lease = object(wva, &["leases", "-n", &wva.namespace()]).await;
    let leases = lease["items"].as_array().unwrap();
    assert_eq!(leases.len(), 1, "one Lease: {leases:?}");
    assert_eq!(leases[0]["metadata"]["name"], format!("{}.72dd1cf1.llm-d.ai", wva.id()));
    vec![config, hpa["spec"].to_string(), leases[0]["spec"]["holderIdentity"].to_string()]
}

#[tokio::test(flavor = "multi_thread")]
async fn four_instances_of_equal_names_scale_their_own_models_and_touch_nothing_of_one_another() {
    with_instances(async |instances: &[Wva<'_>; 4]| {
        let mut models = Vec::new();
        for wva in instances {
            models.push(wva.add_model("llama", A100, "10", 3).await);
        }
        let mut before = Vec::new();
        for (wva, model) in instances.iter().zip(&models) {
            model.desired("a first decision", |desired| desired == 1).await;
            before.push(own_state(wva).await);
        }

        models[0].saturate().await;
        models[0].desired("more than one replica", |desired| desired > 1).await;
        models[0].ready("more than one ready server", |ready| ready > 1).await;

        for (wva, model) in instances.iter().zip(&models) {
            let (id, namespace) = (wva.id(), wva.models());
            let own = format!("wva-controller/{id}");
            let variant = object(wva, &["va", "llama-va", "-n", &namespace]).await;
            assert_eq!(controllers(&variant), [own], "writers of the status of {id}");
            // One series, and it is its own: no other instance publishes a number for this variant.
            let series = wva.series(&format!("wva_desired_replicas{{exported_namespace=\"{namespace}\"}}"), 1).await;
            assert_eq!(series[0].labels["controller_instance"], id);
            let published = format!("wva_desired_replicas{{controller_instance=\"{id}\"}}");
            assert_eq!(wva.series(&published, 1).await[0].labels["exported_namespace"], namespace);
            let selector = object(wva, &["hpa", "llama-hpa", "-n", &namespace]).await;
            let selector = &selector["spec"]["metrics"][0]["external"]["metric"]["selector"]["matchLabels"];
            assert_eq!(selector["controller_instance"], id, "what the autoscaler of {id} asks for: {selector}");
            // The API server sends it nobody else's variants.
            let seen = format!("wva_variants{{namespace=\"{}\",claim=\"other_instance\"}} > 0", wva.namespace());
            let foreign = wva.environment().prometheus().query(&seen).await.unwrap();
            assert!(foreign.is_empty(), "{id} sees variants of others: {foreign:?}");
            if model.namespace() != models[0].namespace() {
                assert_eq!(model.desired("any decision", |_| true).await, 1, "the model of {id} has no load");
                assert_eq!(model.replicas().await, 1);
            }
        }
        for (wva, before) in instances.iter().zip(before) {
            assert_eq!(own_state(wva).await, before, "settings, autoscaler and leader of {}", wva.id());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_with_variants_of_one_model_in_one_namespace_count_their_own_servers_only() {
    with_instances(async |[one, two]: &[Wva<'_>; 2]| {
        let shared = one.models();
        let first = one.add(&shared, &Vllm::new(&shared, "first", "example/llama", A100), A100, "10", 3).await;
        let second = two.add(&shared, &Vllm::new(&shared, "second", "example/llama", A100), A100, "10", 3).await;
        first.desired("a first decision", |desired| desired == 1).await;
        second.desired("a first decision", |desired| desired == 1).await;

        first.saturate().await;
        first.desired("more than one replica", |desired| desired > 1).await;
        first.ready("more than one ready server", |ready| ready > 1).await;

        assert_eq!(second.desired("any decision", |_| true).await, 1, "the load is on the other instance's server");
        assert_eq!(second.replicas().await, 1);
        for (wva, name) in [(one, "first"), (two, "second")] {
            let variant = object(wva, &["va", &format!("{name}-va"), "-n", &shared]).await;
            assert_eq!(controllers(&variant), [format!("wva-controller/{}", wva.id())]);
            let query = format!("wva_desired_replicas{{exported_namespace=\"{shared}\",variant_name=\"{name}-va\"}}");
            assert_eq!(wva.series(&query, 1).await[0].labels["controller_instance"], wva.id());
        }
    })
    .await;
}
