//! What the tests of the plugin share.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;
use wva_e2e::environment::Environment;
use wva_e2e::instance::make_namespace;
use wva_e2e::kubectl::Kubectl;
use wva_e2e::programs;
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

pub(crate) const MODEL_ID: &str = "meta-llama/Llama-3.1-8B";
pub(crate) const ADD: [&str; 10] =
    ["add-model", "llama", "-n", "models", "--model-id", MODEL_ID, "--cost", "40", "--set", "vllmService.interval=1s"];
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A model server in namespace `models`, not yet known to the autoscaler.
pub(crate) async fn serve(environment: &Environment) {
    let kubectl = environment.kubectl();
    make_namespace(kubectl, "models").await.unwrap();
    let server = Vllm::new("models", "llama", MODEL_ID, A100);
    kubectl.apply(&server.manifest().unwrap()).await.unwrap();
}

/// What the install of the model consists of, with the version each object has.
pub(crate) async fn versions(kubectl: &Kubectl) -> BTreeMap<String, String> {
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

pub(crate) fn chart() -> String {
    format!("{}/../charts/workload-variant-autoscaler", env!("CARGO_MANIFEST_DIR"))
}

/// A folder with the plugin under the names kubectl looks for.
pub(crate) fn installed(dir: &Path) -> PathBuf {
    let plugin = programs::ours("kubectl-wva").unwrap();
    symlink(&plugin, dir.join("kubectl-wva")).unwrap();
    symlink(&plugin, dir.join("kubectl_complete-wva")).unwrap();
    dir.to_owned()
}

/// Waits until doctor finds nothing in namespace `models`.
pub(crate) async fn healthy(kubectl: &Kubectl) {
    wait::until("doctor to find nothing", PATIENCE, || async {
        let answer = kubectl.answer(&["doctor", "-n", "models"]).await.unwrap();
        if answer.code == Some(0) && !answer.out.contains("starting") {
            Look::Done(())
        } else {
            Look::NotYet(format!("{answer:?}"))
        }
    })
    .await
    .unwrap();
}

/// Waits until nothing is wrong or starting: the load of the idle server is in the decision, and its HPA has the number.
pub(crate) async fn settled(kubectl: &Kubectl) {
    healthy(kubectl).await;
    wait::until("the load to be shown", PATIENCE, || async {
        let text = kubectl.wva(&["status", "-n", "models"]).await.unwrap_or_default();
        let settled = text.contains("0% kv, 0 queued") && text.contains(": healthy;");
        if settled { Look::Done(()) } else { Look::NotYet(text) }
    })
    .await
    .unwrap();
}

/// An answer without what differs from run to run: ages, times, names of pods, and the widths that follow from them.
pub(crate) fn steady(text: &str) -> String {
    let patterns = [
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "[time]"),
        (r"-[a-z0-9]{6,10}-[a-z0-9]{5}\b", "-[pod]"),
        (r"\b\d+(?:ms|s|m|h|d)\b", "[age]"),
        (r"https?://[0-9.:]+", "[server]"),
        (r"(\S)  +", "$1  "),
    ];
    patterns
        .into_iter()
        .fold(text.to_owned(), |text, (pattern, by)| Regex::new(pattern).unwrap().replace_all(&text, by).into_owned())
}
