//! Up when a model is short, down when it is idle, by way of a real HPA.

use wva_e2e::instances::with_instance;
use wva_e2e::workload::A100;

#[tokio::test(flavor = "multi_thread")]
async fn a_model_grows_under_load_and_shrinks_to_its_minimum_when_the_load_ends() {
    with_instance(async |wva| {
        let llama = wva.add_model("llama", A100, "10", 3).await;
        llama.desired("a first decision", |desired| desired == 1).await;

        llama.saturate().await;
        llama.desired("more than one replica", |desired| desired > 1).await;
        llama.ready("more than one ready server", |ready| ready > 1).await;

        llama.idle().await;
        llama.desired("the minimum", |desired| desired == 1).await;
        llama.ready("one ready server", |ready| ready == 1).await;
    })
    .await;
}
