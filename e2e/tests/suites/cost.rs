//! Of two variants that could help, the cheaper one grows.

use wva_e2e::instances::with_instance;
use wva_e2e::workload::{A100, H100, Vllm};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_saturated_variants_of_a_model_the_cheaper_one_grows() {
    with_instance(async |wva| {
        let models = wva.models();
        let cheap = Vllm::new(&models, "cheap", "example/llama", A100);
        let dear = Vllm::new(&models, "dear", "example/llama", H100);
        let cheap = wva.add(&models, &cheap, A100, "10", 4).await;
        let dear = wva.add(&models, &dear, H100, "80", 4).await;
        cheap.desired("a first decision", |desired| desired == 1).await;
        dear.desired("a first decision", |desired| desired == 1).await;

        dear.saturate().await;
        cheap.saturate().await;

        cheap.desired("more than one replica", |desired| desired > 1).await;
        assert_eq!(dear.desired("any decision", |_| true).await, 1, "the dear variant stays");
        cheap.ready("more than one ready server", |ready| ready > 1).await;
        assert_eq!(dear.replicas().await, 1, "the dear variant stays");
    })
    .await;
}
