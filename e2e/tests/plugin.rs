//! `kubectl wva` with the real kubectl and helm on the embedded cluster.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and prints what it measured")]

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wva_e2e::environment::Environment;
use wva_e2e::harness::{with_controller, with_environment};
use wva_e2e::instance::make_namespace;
use wva_e2e::kubectl::Kubectl;
use wva_e2e::programs;
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

const MODEL_ID: &str = "meta-llama/Llama-3.1-8B";
const VA: &str = "llama-workload-variant-autoscaler-va";
const ADD: [&str; 10] =
    ["add-model", "llama", "-n", "models", "--model-id", MODEL_ID, "--cost", "40", "--set", "vllmService.interval=1s"];
const PATIENCE: Duration = Duration::from_mins(1);

/// A model server in namespace `models`, not yet known to the autoscaler.
async fn serve(environment: &Environment) {
    let kubectl = environment.kubectl();
    make_namespace(kubectl, "models").await.unwrap();
    let server = Vllm::new("models", "llama", MODEL_ID, A100);
    kubectl.apply(&server.manifest().unwrap()).await.unwrap();
}

/// What the install of the model consists of, with the version each object has.
async fn versions(kubectl: &Kubectl) -> BTreeMap<String, String> {
    let kinds = "va,hpa,service,servicemonitor,clusterrole";
    let line = format!(
        "kubectl get {kinds} -n models -l app.kubernetes.io/instance=llama -o \
         jsonpath='{{range .items[*]}}{{.kind}}/{{.metadata.name}}={{.metadata.resourceVersion}}{{\"\\n\"}}{{end}}'"
    );
    let text = kubectl.shell(&line).await.unwrap();
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

fn chart() -> String {
    format!("{}/../charts/workload-variant-autoscaler", env!("CARGO_MANIFEST_DIR"))
}

fn helm() -> String {
    programs::helm().unwrap().display().to_string()
}

/// helm's words for the same install as [`ADD`].
fn helm_install(more: &str) -> String {
    format!(
        "{} upgrade -i llama {} -n models {more} --set controller.enabled=false,llmd.namespace=models,llmd.modelName=llama,\
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
        // The controller writes the status, which is part of the version; it has nothing more to say once it has decided.
        let settled = async || {
            let mut last = versions(kubectl).await;
            wait::until("the objects to settle", PATIENCE, || {
                let before = last.clone();
                let kubectl = kubectl.clone();
                async move {
                    tokio::time::sleep(Duration::from_secs(3)).await;
                    let now = versions(&kubectl).await;
                    if now == before { Look::Done(()) } else { Look::NotYet(format!("{before:?}\n{now:?}")) }
                }
            })
            .await
            .ok();
            last = versions(kubectl).await;
            last
        };
        let before = settled().await;
        assert_eq!(before.len(), 7, "{before:?}");
        let again = kubectl.wva(&ADD).await.unwrap();
        assert_eq!(again.matches(" unchanged").count(), 7, "{again}");
        assert_eq!(versions(kubectl).await, before);
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

/// A folder with the plugin under the names kubectl looks for.
fn installed(dir: &Path) -> PathBuf {
    let plugin = programs::ours("kubectl-wva").unwrap();
    symlink(&plugin, dir.join("kubectl-wva")).unwrap();
    symlink(&plugin, dir.join("kubectl_complete-wva")).unwrap();
    dir.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_explained_replayed_reported_and_completed() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        serve(environment).await;
        kubectl.wva(&[&ADD[..], &["--wait"]].concat()).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state.json").display().to_string();

        let explained = wait::until("the chain to be whole", PATIENCE, || async {
            let answer =
                kubectl.answer(&["explain", "llama", "-n", "models", "-o", "json", "--save", &state]).await.unwrap();
            let view: Value = serde_json::from_str(&answer.out).unwrap_or_default();
            let whole = answer.code == Some(0) && view["whatIf"]["kvGrowsAt"].is_number();
            if whole { Look::Done(view) } else { Look::NotYet(format!("{answer:?}")) }
        })
        .await
        .unwrap();
        let states: Vec<&str> =
            explained["chain"].as_array().unwrap().iter().map(|link| link["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["fine"; 6], "{explained:#}");
        // One idle replica: it grows when the spare KV cache falls below 0.10, that is, above 0.80 - 0.10.
        let grows = explained["whatIf"]["kvGrowsAt"].as_f64().unwrap();
        assert!((0.70..=0.72).contains(&grows), "{explained:#}");
        let text = kubectl.wva(&["explain", "llama", "-n", "models"]).await.unwrap();
        assert!(text.contains("it would grow at a mean KV cache use of 0.7"), "{text}");

        let same = kubectl.answer(&["replay", &state]).await.unwrap();
        assert!(same.code == Some(0) && same.out.contains("the same numbers"), "{same:?}");
        let other = kubectl.answer(&["replay", &state, "--kv-spare-trigger", "0.9"]).await.unwrap();
        assert!(other.code == Some(1) && other.out.contains("another number for 1 variant"), "{other:?}");

        let overview = kubectl.wva(&["status", "-n", "models"]).await.unwrap();
        assert!(overview.contains("% kv, 0 queued"), "{overview}");
        let instances = kubectl.wva(&["instances"]).await.unwrap();
        assert!(instances.contains("all namespaces"), "{instances}");

        let zip = dir.path().join("report.zip").display().to_string();
        let report = kubectl.wva(&["report", "-n", "models", "-f", &zip, "-o", "json"]).await.unwrap();
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["unread"], json!([]), "{report:#}");
        let contents = report["contents"].to_string();
        for part in ["objects/models/variantautoscalings.json", "decisions/", "logs/", "doctor.json", "events.json"] {
            assert!(contents.contains(part), "{contents}");
        }
        assert!(std::fs::read(&zip).unwrap().starts_with(b"PK"));

        let path = installed(dir.path());
        let run = async |line: &str| {
            let line = format!("PATH={}:$(dirname \"$KUBECTL\"):/usr/bin:/bin; {line}", path.display());
            kubectl.shell(&line).await.unwrap()
        };
        let listed = run("kubectl plugin list 2>&1").await;
        assert!(listed.contains("kubectl-wva") && !listed.to_lowercase().contains("warning"), "{listed}");
        assert!(run("kubectl wva version --client").await.contains("client: "));
        let completed = run("kubectl __complete wva explain -n models ''").await;
        assert!(completed.starts_with("llama\n"), "{completed}");
        let completed = run("kubectl __complete wva status --model ''").await;
        assert!(!completed.contains(MODEL_ID), "the namespace of the context holds no model: {completed}");
        let completed = run("kubectl __complete wva status -A --model ''").await;
        assert!(completed.starts_with(MODEL_ID), "{completed}");
        let completed = run("kubectl __complete wva status -n mod").await;
        assert!(completed.starts_with("models\n"), "{completed}");
        assert!(kubectl.run(&["get", "va", VA, "-n", "models"]).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_500_variants_in_50_namespaces_is_one_prompt_answer() {
    with_environment(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        let definition = std::fs::read_to_string(format!("{}/crds/llmd.ai_variantautoscalings.yaml", chart())).unwrap();
        kubectl.apply(&definition).await.unwrap();
        kubectl.run(&["wait", "--for=condition=Established", "crd/variantautoscalings.llmd.ai"]).await.unwrap();
        let mut objects = Vec::new();
        for namespace in 0..50 {
            let namespace = format!("team-{namespace:02}");
            objects.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
            for variant in 0..10 {
                let name = format!("model-{variant}");
                let metadata = json!({"name": name, "namespace": namespace});
                let reference = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name});
                objects.push(json!({
                    "apiVersion": "llmd.ai/v1alpha1", "kind": "VariantAutoscaling", "metadata": metadata,
                    "spec": {"scaleTargetRef": reference, "modelID": "meta/llama"},
                }));
                objects.push(json!({
                    "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata,
                    "spec": {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 3},
                }));
            }
        }
        let documents: Vec<String> = objects.iter().map(Value::to_string).collect();
        kubectl.apply(&documents.join("\n---\n")).await.unwrap();
        let started = Instant::now();
        let answer = kubectl.answer(&["status", "-A", "-o", "json"]).await.unwrap();
        let took = started.elapsed();
        let view: Value = serde_json::from_str(&answer.out).unwrap();
        assert_eq!(view["variants"].as_array().unwrap().len(), 500, "{}", answer.err);
        eprintln!("bench: status -A of 500 variants in 50 namespaces took {took:?} (goal: 1 s)");
        let help = Instant::now();
        kubectl.wva(&["--help"]).await.unwrap();
        eprintln!("bench: --help took {:?} (goal: 50 ms, release build)", help.elapsed());
    })
    .await;
}
