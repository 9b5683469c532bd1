//! The report: what is in it, and what must not be.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use serde_json::{Value, json};
use wva_e2e::environment::{Environment, Settings};
use wva_e2e::harness::with_settings;
use wva_e2e::instance::Controller;
use wva_e2e::kubectl::Kubectl;
use wva_e2e::session::{CONTROLLER_NAMESPACE, CONTROLLER_RELEASE};

use crate::fixture::{ADD, MODEL_ID, PATIENCE, healthy, serve};

/// What must not leave the cluster, wherever it stands.
const PLANTED: &str = "planted-0123456789";

/// Objects of a careless team: a password in a model's address, keys in environments, arguments, files and events.
fn careless() -> String {
    let metadata = |name: &str| json!({"name": name, "namespace": "models"});
    let container = json!({
        "name": "vllm", "image": "vllm/vllm-openai:v0.11.0", "args": ["--api-key", PLANTED, format!("--token={PLANTED}")],
        "env": [{"name": "HF_TOKEN", "value": PLANTED}],
    });
    let spec = json!({
        "replicas": 0, "selector": {"matchLabels": {"app": "careless"}},
        "template": {"metadata": {"labels": {"app": "careless"}}, "spec": {"containers": [container]}},
    });
    let target = json!({"kind": "Deployment", "name": "careless"});
    let involved = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "careless", "namespace": "models"});
    let objects = [
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("careless"), "spec": spec}),
        json!({
            "apiVersion": "llmd.ai/v1alpha1", "kind": "VariantAutoscaling", "metadata": metadata("careless"),
            "spec": {"scaleTargetRef": target, "modelID": format!("https://me:{PLANTED}@hub.example/model")},
        }),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("careless"),
            "data": {"password": PLANTED, "app.json": format!("{{\"apiKey\": \"{PLANTED}\"}}"), "app.yaml": format!("secret: {PLANTED}\n")},
        }),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata("careless"), "stringData": {"key": PLANTED}}),
        json!({
            "apiVersion": "v1", "kind": "Event", "metadata": metadata("careless"), "involvedObject": involved,
            "reason": "Failed", "type": "Warning", "message": format!("401 for Authorization: Bearer {PLANTED}"),
        }),
    ];
    objects.map(|object| object.to_string()).join("\n---\n")
}

/// The files of an archive.
fn unpacked(path: &str) -> BTreeMap<String, String> {
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let (name, mut text) = (file.name().unwrap().into_owned(), String::new());
        file.read_to_string(&mut text).unwrap();
        files.insert(name, text);
    }
    files
}

/// The files that hold what was planted.
fn tell(files: &BTreeMap<String, String>) -> Vec<&str> {
    files.iter().filter(|(_, text)| text.contains(PLANTED)).map(|(name, _)| name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_holds_all_that_helps_and_no_secret() {
    let quick = |settings| Settings { crash_backoff: Duration::from_millis(200), ..settings };
    with_settings(quick, async |environment: &Environment| {
        let kubectl = environment.kubectl();
        let url = environment.prometheus().url().to_owned();
        Controller::quick(CONTROLLER_RELEASE, CONTROLLER_NAMESPACE, "", &url).install(kubectl).await.unwrap();
        serve(environment).await;
        kubectl.wva(&[&ADD[..], &["--wait"]].concat()).await.unwrap();
        healthy(kubectl).await;
        kubectl.apply(&careless()).await.unwrap();
        decided(kubectl).await;
        crashing(kubectl).await;

        let dir = tempfile::tempdir().unwrap();
        let token = ["create", "token", "kube-prometheus-stack-prometheus", "-n", "monitoring"];
        let token = kubectl.run(&token).await.unwrap();
        let report = async |name: &str, more: &[&str]| {
            let path = dir.path().join(name).display().to_string();
            let line = [&["report", "-n", "models", "-f", &path, "-o", "json"], more].concat();
            let view: Value = serde_json::from_str(&kubectl.wva(&line).await.unwrap()).unwrap();
            (view, unpacked(&path))
        };
        let (view, files) = report("report.zip", &["--token", token.trim()]).await;
        assert_eq!(view["unread"], json!([]), "{view:#}");
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        let has =
            |beginning: &str, end: &str| names.iter().any(|name| name.starts_with(beginning) && name.ends_with(end));
        for (beginning, end) in [
            ("cluster/", "version.json"),
            ("cluster/", "crd.json"),
            ("objects/models/", "variantautoscalings.json"),
            ("objects/models/", "events.json"),
            ("objects/workload-variant-autoscaler-system/", "leases.json"),
            ("decisions/", ".json"),
            ("logs/", ".log"),
            ("logs/", ".previous.log"),
            ("metrics/workload-variant-autoscaler-system/", ".txt"),
            ("metrics/external/", "models.json"),
            ("status.json", ""),
            ("doctor.json", ""),
            ("instances.json", ""),
            ("report.json", ""),
        ] {
            assert!(has(beginning, end), "{beginning}…{end}: {names:#?}");
        }
        assert!(!names.iter().any(|name| name.contains("secret")), "{names:#?}");
        assert_eq!(tell(&files), Vec::<&str>::new());
        assert!(!files.values().any(|text| text.contains(token.trim())), "the token itself");
        let metrics = names.iter().find(|name| name.starts_with("metrics/workload")).unwrap();
        assert!(files[*metrics].contains("wva_desired_replicas{"), "{}", files[*metrics]);
        // What is blackened can still be replayed.
        let decisions = names.iter().find(|name| name.starts_with("decisions/")).unwrap();
        let state = dir.path().join("state.json").display().to_string();
        std::fs::write(&state, &files[*decisions]).unwrap();
        let replayed = kubectl.answer(&["replay", &state, "--model", MODEL_ID]).await.unwrap();
        assert!(replayed.code == Some(0) && replayed.out.contains("the same numbers"), "{replayed:?}");

        // Without a token the metrics are missing, and said to be; and what was planted was really there to be found.
        let kubeconfig = std::fs::read_to_string(environment.kubeconfig()).unwrap();
        let tokenless = dir.path().join("kubeconfig").display().to_string();
        let lines = kubeconfig.lines().filter(|line| !line.contains("token:"));
        std::fs::write(&tokenless, lines.collect::<Vec<_>>().join("\n")).unwrap();
        let (view, files) = report("open.zip", &["--no-redact", "--kubeconfig", &tokenless]).await;
        assert!(view["unread"].to_string().contains("only to the bearer of a token"), "{view:#}");
        let telling = tell(&files).join(" ");
        for place in [
            "deployments.json",
            "variantautoscalings.json",
            "configmaps.json",
            "events.json",
            "decisions/",
            "status.json",
        ] {
            assert!(telling.contains(place), "{place}: {telling}");
        }
    })
    .await;
}

/// Waits until the controller has decided on the careless variant.
async fn decided(kubectl: &Kubectl) {
    let path = "jsonpath={.status.conditions[?(@.type==\"OptimizationReady\")].status}";
    let status = ["get", "va", "careless", "-n", "models", "-o", path];
    kubectl.eventually(PATIENCE, &status, |seen| !seen.is_empty()).await.unwrap();
}

/// Has a second replica of the controller come up that does not start, and waits until it was started again.
async fn crashing(kubectl: &Kubectl) {
    let deployment = format!("deployment/{CONTROLLER_RELEASE}-controller-manager");
    let change = ["set", "env", &deployment, "-n", CONTROLLER_NAMESPACE, "REST_CLIENT_TIMEOUT=soon"];
    kubectl.run(&change).await.unwrap();
    let path = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
    let restarts = ["get", "pods", "-n", CONTROLLER_NAMESPACE, "-o", path];
    let restarted = |seen: &str| seen.split_whitespace().any(|count| count != "0");
    kubectl.eventually(PATIENCE, &restarts, restarted).await.unwrap();
}
