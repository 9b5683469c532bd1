//! Changes of leader as an autoscaler sees them: through a real Prometheus and the external-metrics adapter there is never
//! more than one number for a variant, and nothing is scaled.
//!
//! One leader is stopped and one killed. `WVA_HANDOVERS=20` stops and kills as many, and as many again with a scrape
//! configuration that is not the chart's, where each pod has a series of its own.
//!
//! In a cluster of its own, where a killed container starts again after 50 ms.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::task::JoinHandle;
use wva_e2e::environment::{Environment, Settings};
use wva_e2e::faults::process;
use wva_e2e::harness::with_settings;
use wva_e2e::instance::{Controller, Model, make_namespace};
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

const SYSTEM: &str = "wva-handover";
const TEAM: &str = "team-a";
const MONITOR: &str = "wva-workload-variant-autoscaler-controller-manager-metrics-monitor";
const PATIENCE: Duration = Duration::from_secs(40);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// A pod that is killed once more in each round would soon wait for minutes before it starts again.
const CRASH_BACKOFF: Duration = Duration::from_millis(50);
/// For how long one number and one replica must have been seen before a round counts.
const CALM: u32 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn at_no_change_of_leader_a_variant_has_two_numbers() {
    let rounds: Option<u32> = std::env::var("WVA_HANDOVERS").ok().and_then(|text| text.parse().ok());
    let soon_again = |settings| Settings { crash_backoff: CRASH_BACKOFF, ..settings };
    with_settings(soon_again, async |environment: &Environment| {
        let variant = install(environment).await;
        watch_rounds(environment, &variant, "one series for all leaders", rounds.unwrap_or(1)).await;
        let Some(rounds) = rounds else { return };
        // As a scrape configuration has it that is not the chart's.
        let none = r#"[{"op": "remove", "path": "/spec/endpoints/0/metricRelabelings"}]"#;
        let patch = ["patch", "servicemonitor", MONITOR, "-n", SYSTEM, "--type=json", "-p", none];
        environment.kubectl().run(&patch).await.expect("the monitor is patched");
        labels_of_pods_appear(environment).await;
        watch_rounds(environment, &variant, "a series for each pod", rounds).await;
    })
    .await;
}

/// Stops and kills leaders while somebody looks at the numbers all the time.
async fn watch_rounds(environment: &Environment, variant: &str, way: &str, rounds: u32) {
    let watcher = Watcher::start(environment.client(), variant);
    watcher.is_calm().await;
    for round in 0..rounds {
        for killed in [false, true] {
            hand_over(environment, killed).await;
            watcher.sees_one_number().await;
            let ended = if killed { "killed" } else { "stopped" };
            let Seen { looks, replicas, .. } = watcher.seen();
            anstream::println!("{way}: leader {ended}, round {round}: looks {looks:?}, replicas {replicas:?}");
        }
    }
    let Seen { looks, replicas, odd } = watcher.stop();
    assert_eq!(looks.keys().max().copied(), Some(1), "{way}: looks by how many numbers they saw: {looks:?}\n{odd:#?}");
    assert_eq!(replicas.keys().collect::<Vec<_>>(), [&1], "{way}: the autoscaler moved: {replicas:?}\n{odd:#?}");
}

/// A controller with a standby, and a variant whose autoscaler follows at once.
async fn install(environment: &Environment) -> String {
    let kubectl = environment.kubectl();
    let mut controller = Controller::quick("wva", SYSTEM, "", environment.prometheus().url());
    controller.set.extend(
        [
            "wva.replicaCount=2",
            "wva.reconcileInterval=1s",
            "wva.leaderElection.leaseDuration=3s",
            "wva.leaderElection.renewDeadline=2s",
            "wva.leaderElection.retryPeriod=500ms",
        ]
        .map(str::to_owned),
    );
    controller.install(kubectl).await.expect("the controller installs");
    make_namespace(kubectl, TEAM).await.expect("the namespace is made");
    let server = Vllm::new(TEAM, "llama", "example/llama", A100);
    kubectl.apply(&server.manifest().expect("a manifest")).await.expect("the server is applied");
    let model = Model { release: "llama", server: &server, accelerator: A100.name, cost: "10", max: 4, instance: "" };
    model.add(kubectl).await.expect("the model is added");
    "llama-va".to_owned()
}

/// Waits until Prometheus tells the pods apart again: the relabelled series has ended.
async fn labels_of_pods_appear(environment: &Environment) {
    let prometheus = environment.prometheus();
    wait::until("series with the labels of pods only", PATIENCE, || async {
        match prometheus.query("wva_desired_replicas").await {
            Ok(series) if series.len() == 1 && series[0].labels.contains_key("pod") => Look::Done(()),
            seen => Look::NotYet(format!("{seen:?}")),
        }
    })
    .await
    .expect("the monitor is followed");
}

/// Stops or kills the leader, and waits until another pod leads and a standby is there.
async fn hand_over(environment: &Environment, killed: bool) {
    let client = environment.client();
    let (holder, pod) = leader(&client, None).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    if killed {
        let found = pods.get(&pod).await.expect("the leader's pod");
        let ip = found.status.and_then(|status| status.pod_ip).expect("an address").parse().expect("an address");
        process::signal(process::at(ip).expect("the leader's process"), Signal::SIGKILL).expect("it is killed");
    } else {
        pods.delete(&pod, &DeleteParams::default()).await.expect("the leader's pod is deleted");
    }
    leader(&client, Some(&holder)).await;
    wait::until("a leader and a standby", PATIENCE, || async {
        let selected = ListParams::default().labels("control-plane=controller-manager");
        let found = pods.list(&selected).await.map(|list| list.items).unwrap_or_default();
        let ready = found.iter().filter(|pod| is_ready(pod)).count();
        if (found.len(), ready) == (2, 2) { Look::Done(()) } else { Look::NotYet(format!("{ready} ready")) }
    })
    .await
    .expect("the killed one is replaced");
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|it| it.type_ == "Ready" && it.status == "True"))
}

/// Who holds the Lease, besides `not`: identity and pod.
async fn leader(client: &Client, not: Option<&str>) -> (String, String) {
    let leases: Api<Lease> = Api::namespaced(client.clone(), SYSTEM);
    wait::until("a leader", PATIENCE, || async {
        let found = leases.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
        let holder = found.first().and_then(|lease| lease.spec.as_ref()?.holder_identity.clone()).unwrap_or_default();
        match holder.split_once('_') {
            Some((pod, _)) if Some(holder.as_str()) != not => Look::Done((holder.clone(), pod.to_owned())),
            _ => Look::NotYet(format!("held by {holder:?}")),
        }
    })
    .await
    .expect("somebody leads")
}

/// Looks all the time at what an autoscaler would see, and at what it did.
struct Watcher {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    /// Looks, by how many numbers they saw.
    looks: BTreeMap<usize, u32>,
    /// Looks, by how many replicas the target was to have.
    replicas: BTreeMap<i32, u32>,
    /// The first looks that saw more than one number, another number than 1 or other replicas than one: when, and what.
    odd: Vec<String>,
}

impl Seen {
    fn note(&mut self, numbers: Option<&[Value]>, replicas: Option<i32>) {
        if let Some(numbers) = numbers {
            *self.looks.entry(numbers.len()).or_default() += 1;
        }
        if let Some(replicas) = replicas {
            *self.replicas.entry(replicas).or_default() += 1;
        }
        let is_odd = numbers.is_some_and(|all| all.len() > 1 || all.iter().any(|it| it["value"] != "1"));
        if (is_odd || replicas.is_some_and(|it| it != 1)) && self.odd.len() < 20 {
            let now = jiff::Timestamp::now();
            let numbers: Vec<_> = numbers
                .unwrap_or_default()
                .iter()
                .map(|it| format!("{} {}", it["value"], it["metricLabels"]))
                .collect();
            self.odd.push(format!("{now}: {replicas:?} replicas, {numbers:?}"));
        }
    }

    /// Whether one number and one replica, and nothing else, have been seen for a while.
    fn is_calm(&self) -> bool {
        self.looks.keys().eq([&1]) && self.replicas.keys().eq([&1]) && self.looks[&1] >= CALM
    }
}

impl Watcher {
    fn start(client: Client, variant: &str) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let task = tokio::spawn(look(client, variant.to_owned(), Arc::clone(&seen)));
        Self { seen, task }
    }

    fn seen(&self) -> Seen {
        self.seen.lock().expect("the watcher runs").clone()
    }

    /// Waits until one number and one replica have been seen for a while, and counts from there: a monitor that was changed
    /// shows the series of before and of after for two scrapes, and an autoscaler without a window follows both.
    async fn is_calm(&self) {
        wait::until("one number and one replica for a while", PATIENCE, || async {
            let mut seen = self.seen.lock().expect("the watcher runs");
            if seen.is_calm() {
                return Look::Done(());
            }
            if seen.looks.keys().any(|numbers| *numbers != 1) || seen.replicas.keys().any(|it| *it != 1) {
                let odd = std::mem::take(&mut *seen);
                return Look::NotYet(format!("{odd:?}"));
            }
            Look::NotYet(format!("{seen:?}"))
        })
        .await
        .expect("it calms down");
        *self.seen.lock().expect("the watcher runs") = Seen::default();
    }

    /// Waits for a look after now that sees one number, and a scrape's time longer.
    async fn sees_one_number(&self) {
        let ones = || self.seen().looks.get(&1).copied().unwrap_or(0);
        let before = ones();
        wait::until("looks that see one number", PATIENCE, || async {
            if ones() > before + CALM { Look::Done(()) } else { Look::NotYet(format!("{:?}", self.seen())) }
        })
        .await
        .expect("the number is there again");
    }

    fn stop(self) -> Seen {
        self.task.abort();
        self.seen()
    }
}

async fn look(client: Client, variant: String, seen: Arc<Mutex<Seen>>) {
    let selector = format!("variant_name%3D{variant}%2Cexported_namespace%3D{TEAM}");
    let path = format!(
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/{TEAM}/wva_desired_replicas?labelSelector={selector}"
    );
    let targets: Api<Deployment> = Api::namespaced(client.clone(), TEAM);
    loop {
        let request = axum::http::Request::get(&path).body(Vec::new()).expect("a request");
        let answer = client.request::<Value>(request).await.ok();
        let target = targets.get("llama").await.ok();
        let numbers = answer.as_ref().map(|answer| answer["items"].as_array().map(Vec::as_slice).unwrap_or_default());
        let replicas = target.map(|target| target.spec.and_then(|spec| spec.replicas).unwrap_or(1));
        seen.lock().expect("nobody panics").note(numbers, replicas);
        tokio::time::sleep(PAUSE).await;
    }
}
