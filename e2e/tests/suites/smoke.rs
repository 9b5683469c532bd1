//! The shortest way through everything: install, add a model, and the autoscaler follows a number of ours.

use rstest::rstest;
use wva_e2e::instances::{Install, Wva, with_instances_by};
use wva_e2e::workload::A100;

#[rstest]
#[case::chart_render(Install::ChartRender)]
#[case::helm(Install::Helm)]
#[tokio::test(flavor = "multi_thread")]
async fn an_installed_controller_decides_on_a_model_and_its_autoscaler_reads_the_decision(#[case] install: Install) {
    with_instances_by(install, &[], async |[wva]: &[Wva<'_>; 1]| {
        let llama = wva.add_model("llama", A100, "10", 3).await;
        assert_eq!(llama.desired("a decision", |desired| desired > 0).await, 1);

        let series = wva.series(&format!("wva_desired_replicas{{controller_instance=\"{}\"}}", wva.id()), 1).await;
        let label = |name: &str| series[0].labels.get(name).map(String::as_str);
        assert_eq!(label("variant_name"), Some("llama-va"));
        assert_eq!(label("exported_namespace"), Some(wva.models().as_str()));

        let path = "jsonpath={.status.currentMetrics[0].external.current.averageValue}";
        let followed = ["get", "hpa", "llama-hpa", "-n", &wva.models(), "-o", path];
        wva.kubectl().eventually(wva.patience(), &followed, |seen| seen == "1").await.unwrap();
    })
    .await;
}
