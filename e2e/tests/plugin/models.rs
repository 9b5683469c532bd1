//! Adding and removing models, by the plugin and by helm.

use std::collections::BTreeMap;

use wva_e2e::environment::Environment;
use wva_e2e::harness::with_controller;
use wva_e2e::programs;
use wva_e2e::wait::{self, Look};

use crate::fixture::{ADD, MODEL_ID, PATIENCE, chart, healthy, serve, versions};

fn helm() -> String {
    programs::helm().unwrap().display().to_string()
}

/// helm's words for the same install as [`ADD`].
fn helm_install(more: &str) -> String {
    format!(
        "{} upgrade -i llama {} -n models {more} --set controller.enabled=false,fullnameOverride=llama,llmd.namespace=models,llmd.modelName=llama,\
         llmd.deploymentName=llama,llmd.modelID={MODEL_ID},va.accelerator=,va.variantCost=40,vllmService.interval=1s,\
         vllmService.port=8000,vllmService.targetPort=8000",
        helm(),
        chart()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_a_model_twice_changes_nothing_and_removing_it_leaves_nothing() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        serve(environment).await;
        let planned = kubectl.answer(&[&ADD[..], &["--diff"]].concat()).await.unwrap();
        assert!(planned.code == Some(1) && planned.out.contains("+kind: VariantAutoscaling"), "{planned:?}");
        kubectl.wva(&[&ADD[..], &["--wait"]].concat()).await.unwrap();
        healthy(kubectl).await;
        // Now and then the controller writes the status, which is part of the version; a repeat in between changes none.
        let again = wait::until("a repeat that changes nothing", PATIENCE, || async {
            let before = versions(kubectl).await;
            let again = kubectl.wva(&ADD).await.unwrap();
            let after = versions(kubectl).await;
            if before == after { Look::Done(again) } else { Look::NotYet(format!("{again}{before:?}\n{after:?}")) }
        })
        .await
        .unwrap();
        assert_eq!(again.matches(" unchanged").count(), 7, "{again}");
        let same = kubectl.answer(&[&ADD[..], &["--diff"]].concat()).await.unwrap();
        assert_eq!((same.code, same.out.as_str()), (Some(0), ""), "{same:?}");
        let changed = kubectl.answer(&[&ADD[..], &["--max", "5", "--diff"]].concat()).await.unwrap();
        assert!(changed.out.contains("-  maxReplicas: 10\n+  maxReplicas: 5"), "{changed:?}");

        let listed = kubectl.wva(&["list-models", "-n", "models"]).await.unwrap();
        assert!(listed.contains(MODEL_ID) && listed.contains("1-10"), "{listed}");
        let dry = kubectl.wva(&["remove-model", "llama", "-n", "models", "--dry-run=server"]).await.unwrap();
        assert_eq!(dry.matches("deleted (server dry run)").count(), 7, "{dry}");
        assert_eq!(versions(kubectl).await.len(), 7);
        kubectl.wva(&["remove-model", "llama", "-n", "models"]).await.unwrap();
        assert_eq!(versions(kubectl).await, BTreeMap::new());
        let gone = kubectl.answer(&["remove-model", "llama", "-n", "models"]).await.unwrap();
        assert!(gone.code == Some(2) && gone.err.contains("hint: "), "{gone:?}");
        assert!(kubectl.run(&["get", "deployment", "llama", "-n", "models"]).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_adopts_what_add_model_made_and_the_other_way_round() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        serve(environment).await;
        kubectl.wva(&ADD).await.unwrap();
        kubectl.shell(&helm_install("--take-ownership")).await.unwrap();
        let refused = kubectl.answer(&["remove-model", "llama", "-n", "models"]).await.unwrap();
        assert!(refused.err.contains("helm uninstall llama -n models"), "{refused:?}");
        // Helm's objects are the same, so there is nothing to argue about.
        let again = kubectl.answer(&ADD).await.unwrap();
        assert_eq!(again.code, Some(0), "{again:?}");
        kubectl.shell(&format!("{} uninstall llama -n models", helm())).await.unwrap();
        assert_eq!(versions(kubectl).await, BTreeMap::new());

        kubectl.shell(&helm_install("")).await.unwrap();
        let answer = kubectl.answer(&[&ADD[..], &["--max", "5"]].concat()).await.unwrap();
        assert!(answer.code == Some(2) && answer.err.contains("--force-conflicts"), "{answer:?}");
        kubectl.wva(&[&ADD[..], &["--max", "5", "--force-conflicts"]].concat()).await.unwrap();
        let most = kubectl.shell("kubectl get hpa -n models -o jsonpath='{.items[0].spec.maxReplicas}'").await.unwrap();
        assert_eq!(most, "5");
        kubectl.shell(&format!("{} uninstall llama -n models", helm())).await.unwrap();
        assert_eq!(versions(kubectl).await, BTreeMap::new());
    })
    .await;
}
