//! What a user does with kubectl to a model of an instance.

use wva_e2e::instances::with_instance;
use wva_e2e::workload::A100;

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_added_seen_scaled_and_removed_with_kubectl() {
    with_instance(async |wva| {
        let (kubectl, patience, namespace) = (wva.kubectl(), wva.patience(), wva.models());
        let model = wva.add_model("llama-a100", A100, "40", 3).await;
        let (va, namespace) = (model.variant(), namespace.as_str());
        let va = va.as_str();

        let list = ["get", "va", "-n", namespace];
        let listed = kubectl.eventually(patience, &list, |seen| seen.contains("True")).await.unwrap();
        for header in ["TARGET", "MODEL", "OPTIMIZED", "METRICSREADY", "AGE"] {
            assert!(listed.contains(header), "{listed}");
        }
        assert!(kubectl.run(&["get", "va", "-A"]).await.unwrap().contains(namespace));
        let wide = kubectl.run(&["get", "va", va, "-n", namespace, "-o", "wide"]).await.unwrap();
        assert!(wide.contains("INSTANCE") && wide.contains("40"), "{wide}");
        let described = kubectl.run(&["describe", "va", va, "-n", namespace]).await.unwrap();
        assert!(described.contains("Model Id:") && described.contains("Optimization"), "{described}");

        let path = format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/wva_desired_replicas");
        let raw = format!("{path}?labelSelector=variant_name%3D{va}");
        let metric =
            kubectl.eventually(patience, &["get", "--raw", &raw], |seen| seen.contains("metricLabels")).await.unwrap();
        let place = format!(r#""exported_namespace":"{namespace}""#);
        assert!(metric.contains(r#""value":"1""#) && metric.contains(&place), "{metric}");
        let resources = kubectl.run(&["get", "--raw", "/apis/external.metrics.k8s.io/v1beta1"]).await.unwrap();
        assert!(resources.contains("wva_desired_replicas"), "{resources}");

        kubectl.run(&["label", "va", va, "-n", namespace, "team=research"]).await.unwrap();
        let selected = kubectl.run(&["get", "va", "-n", namespace, "-l", "team=research", "-o", "name"]).await.unwrap();
        assert_eq!(selected.trim(), format!("variantautoscaling.llmd.ai/{va}"));

        kubectl.run(&["scale", "deployment", "llama-a100", "-n", namespace, "--replicas=2"]).await.unwrap();
        // Nobody asked for two: the idle model is brought back to the number that was published.
        model.ready("the number that was published", |ready| ready == 1).await;

        let logs = kubectl.run(&["logs", "-n", namespace, "deployment/llama-a100"]).await.unwrap();
        assert!(!logs.is_empty());
        kubectl.run(&["delete", "va", va, "-n", namespace]).await.unwrap();
        wva.series(&format!("wva_desired_replicas{{exported_namespace=\"{namespace}\"}}"), 0).await;
    })
    .await;
}
