//! What happens to a variant in its life, with real controllers on a cluster: handed over, contested, lost and found.

use std::time::Duration;

use wva_e2e::instances::{Install, Wva, with_instance, with_instances_by};
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

const MODEL_ID: &str = "meta-llama/Llama-3.1-8B";
/// What a person perceives as at once, on a machine that does other things besides.
const SOON: Duration = Duration::from_secs(5);

/// Waits until the `Ready` condition of a variant holds these words.
async fn ready(wva: &Wva<'_>, limit: Duration, variant: &str, words: &str) -> String {
    let path = "jsonpath={.status.conditions[?(@.type==\"Ready\")]}";
    let line = ["get", "va", variant, "-n", &wva.models(), "-o", path];
    wva.kubectl().eventually(limit, &line, |seen| seen.contains(words)).await.unwrap()
}

/// Waits until an event with this reason is recorded on a variant.
async fn event(wva: &Wva<'_>, variant: &str, type_: &str, reason: &str) {
    let selector = format!("involvedObject.name={variant},type={type_},reason={reason}");
    let args = ["get", "events", "-n", &wva.models(), "--field-selector", &selector];
    wva.kubectl().eventually(SOON, &args, |seen| seen.contains(reason)).await.unwrap();
}

/// Waits until Prometheus has exactly this many numbers for variants of the instance's namespace that match.
async fn series(wva: &Wva<'_>, selector: &str, count: usize) {
    let query = format!("wva_desired_replicas{{exported_namespace=\"{}\",{selector}}}", wva.models());
    wva.series(&query, count).await;
}

/// Waits until this pod of the controller has finished `more` cycles more than now.
pub(crate) async fn cycles(wva: &Wva<'_>, pod: &str, more: f64) {
    let prometheus = wva.environment().prometheus();
    let query = format!("wva_cycle_duration_seconds_count{{pod=\"{pod}\"}}");
    let count = async || prometheus.query(&query).await.ok().and_then(|series| Some(series.first()?.value));
    let before = count().await.unwrap_or_default();
    wait::until(&format!("{more} cycles of {pod}"), wva.patience(), || async {
        match count().await {
            Some(count) if count >= before + more => Look::Done(()),
            seen => Look::NotYet(format!("{seen:?}, before {before}")),
        }
    })
    .await
    .unwrap();
}

fn variant(wva: &Wva<'_>, name: &str, target: &str) -> String {
    let (id, namespace) = (wva.id(), wva.models());
    format!(
        "{{apiVersion: llmd.ai/v1alpha1, kind: VariantAutoscaling, metadata: {{name: {name}, namespace: {namespace}, \
         labels: {{wva.llmd.ai/controller-instance: {id}}}}}, \
         spec: {{modelID: {MODEL_ID}, scaleTargetRef: {{kind: Deployment, name: {target}}}}}}}"
    )
}

async fn serve(wva: &Wva<'_>, name: &str) {
    let server = Vllm::new(&wva.models(), name, MODEL_ID, A100);
    wva.kubectl().apply(&server.manifest().unwrap()).await.unwrap();
}

/// A Lease of six seconds.
const SHORT_LEASE: [&str; 3] =
    ["wva.leaderElection.leaseDuration=6s", "wva.leaderElection.renewDeadline=4s", "wva.leaderElection.retryPeriod=1s"];

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_is_handed_over_by_its_label_and_contested_by_a_foreign_write() {
    with_instances_by(Install::ChartRender, &SHORT_LEASE, async |[a, b]: &[Wva<'_>; 2]| {
        let (kubectl, namespace) = (a.kubectl(), a.models());
        let of = |wva: &Wva<'_>| format!(r#"variant_name="llama",controller_instance="{}""#, wva.id());
        serve(a, "llama").await;
        kubectl.apply(&variant(a, "llama", "llama")).await.unwrap();
        ready(a, a.patience(), "llama", "DeploymentFound").await;
        series(a, &of(a), 1).await;
        let selector =
            format!("control-plane=controller-manager,wva.llmd.ai/controller-instance in ({},{})", a.id(), b.id());
        let pods = ["get", "pods", "-A", "-l", &selector, "-o", "jsonpath={.items[*].metadata.uid}"];
        let before = kubectl.run(&pods).await.unwrap();
        assert_eq!(before.split(' ').count(), 2, "a pod of each controller: {before}");

        let label = format!("wva.llmd.ai/controller-instance={}", b.id());
        kubectl.run(&["label", "va", "llama", "-n", &namespace, "--overwrite", &label]).await.unwrap();
        series(a, &of(b), 1).await;
        series(a, &of(a), 0).await;
        assert_eq!(kubectl.run(&pods).await.unwrap(), before, "neither controller was restarted");
        assert!(ready(a, SOON, "llama", "DeploymentFound").await.contains("True"), "a hand-over is no conflict");

        let patch = r#"{"status":{"actuation":{"applied":false}}}"#;
        let intrude = "--field-manager=wva-controller/intruder";
        let intruded =
            ["patch", "va", "llama", "-n", &namespace, "--subresource=status", "--type=merge", intrude, "-p", patch];
        kubectl.run(&intruded).await.unwrap();
        let conflict = ready(a, a.patience(), "llama", "InstanceConflict").await;
        assert!(conflict.contains("Controller instance intruder wrote the status"), "{conflict}");
        event(a, "llama", "Warning", "InstanceConflict").await;
        series(a, r#"variant_name="llama""#, 0).await;
        ready(a, a.patience(), "llama", "DeploymentFound").await;
        series(a, &of(b), 1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_are_lost_found_exchanged_and_contested_and_events_tell() {
    with_instance(async |wva| {
        let (kubectl, namespace) = (wva.kubectl(), wva.models());
        kubectl.apply(&variant(wva, "llama", "llama")).await.unwrap();
        ready(wva, wva.patience(), "llama", "DeploymentNotFound").await;
        event(wva, "llama", "Warning", "TargetNotFound").await;
        serve(wva, "llama").await;
        ready(wva, SOON, "llama", "DeploymentFound").await;
        event(wva, "llama", "Normal", "TargetFound").await;
        series(wva, r#"variant_name="llama""#, 1).await;

        kubectl.run(&["delete", "deployment", "llama", "-n", &namespace]).await.unwrap();
        let gone = ready(wva, SOON, "llama", "DeploymentNotFound").await;
        assert!(gone.contains("Target deployment 'llama' no longer exists"), "{gone}");
        let allocation = ["get", "va", "llama", "-n", &namespace, "-o", "jsonpath={.status.desiredOptimizedAlloc}"];
        assert_eq!(kubectl.run(&allocation).await.unwrap(), "{}", "cleared, as the guide shows it");
        series(wva, r#"variant_name="llama""#, 0).await;

        serve(wva, "other").await;
        let edit = r#"{"spec":{"scaleTargetRef":{"name":"other"}}}"#;
        kubectl.run(&["patch", "va", "llama", "-n", &namespace, "--type=merge", "-p", edit]).await.unwrap();
        ready(wva, SOON, "llama", "Target deployment 'other' found").await;
        series(wva, r#"variant_name="llama""#, 1).await;

        kubectl.apply(&variant(wva, "second", "other")).await.unwrap();
        for name in ["llama", "second"] {
            ready(wva, SOON, name, "TargetConflict").await;
            event(wva, name, "Warning", "TargetConflict").await;
        }
        series(wva, r#"variant_name=~"llama|second""#, 0).await;
        kubectl.run(&["delete", "va", "second", "-n", &namespace]).await.unwrap();
        ready(wva, SOON, "llama", "DeploymentFound").await;
        series(wva, r#"variant_name="llama""#, 1).await;
        let described = kubectl.run(&["describe", "va", "llama", "-n", &namespace]).await.unwrap();
        for reason in ["TargetNotFound", "TargetFound", "TargetConflict"] {
            assert!(described.contains(reason), "{reason}: {described}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_controller_finds_the_same_state_and_writes_nothing() {
    with_instance(async |wva| {
        let (kubectl, namespace) = (wva.kubectl(), wva.models());
        let model = wva.add_model("llama", A100, "40", 3).await;
        let va = model.variant();
        let reasons = ["get", "va", &va, "-n", &namespace, "-o", "jsonpath={.status.conditions[*].reason}"];
        let decided = |seen: &str| seen.contains("MetricsFound") && seen.contains("Optimization");
        kubectl.eventually(wva.patience(), &reasons, decided).await.unwrap();
        let system = wva.namespace();
        let controller = ["-n", &system, "-l", "control-plane=controller-manager"];
        let pods = [&["get", "pods", "-o", "jsonpath={.items[*].metadata.name}"][..], &controller].concat();
        let before = kubectl.run(&pods).await.unwrap();
        let version = ["get", "va", &va, "-n", &namespace, "-o", "jsonpath={.metadata.resourceVersion} {.status}"];
        let settled = wait::until("a status that stays for two cycles", wva.patience(), || async {
            let first = kubectl.run(&version).await.unwrap();
            cycles(wva, before.trim(), 2.0).await;
            let second = kubectl.run(&version).await.unwrap();
            if first == second { Look::Done(first) } else { Look::NotYet(second) }
        })
        .await
        .unwrap();
        kubectl.run(&[&["delete", "pod"][..], &controller].concat()).await.unwrap();
        let replaced = |seen: &str| !seen.is_empty() && !seen.contains(before.trim());
        let after = kubectl.eventually(wva.patience(), &pods, replaced).await.unwrap();
        series(wva, &format!("variant_name=\"{va}\""), 1).await;
        cycles(wva, after.trim(), 3.0).await;
        assert_eq!(kubectl.run(&version).await.unwrap(), settled);
    })
    .await;
}
