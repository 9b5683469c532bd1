//! Watches all the time what must never happen: fewer replicas than the load needs, a variant that is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::task::JoinSet;
use wva_api::{VariantAutoscaling, conditions, metrics};

use super::Error;
use super::scene::{ControllerPod, NAMESPACE, NEEDED, Scene};
use crate::environment::Environment;
use crate::wait::{self, Look};

/// Pause between two readings of the controllers' metrics.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a controller may take to answer before it counts as not answering.
const ANSWER: Duration = Duration::from_millis(500);
/// How long the start may take to settle.
const PATIENCE: Duration = Duration::from_mins(1);
/// Cycles after which a leader must have decided on every variant.
const FIRST_CYCLES: u64 = 2;

/// What one controller says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) leads: bool,
    /// Cycles done.
    pub(super) cycles: u64,
    /// Published replicas, by variant.
    pub(super) desired: BTreeMap<String, f64>,
}

/// Watches until dropped.
pub(super) struct Watchdog {
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Seen {
    pods: Vec<ControllerPod>,
    /// By pod; only those that answered the last time.
    readings: BTreeMap<String, Reading>,
    /// Cycles of the leader when it was first seen leading.
    led_since: BTreeMap<String, u64>,
    /// Variants whose status says that every replica reports its load.
    measured: BTreeSet<String>,
    /// Deployment of each variant.
    variants: BTreeMap<String, String>,
    /// Replicas each Deployment asks for.
    replicas: BTreeMap<String, i32>,
    /// Replicas in the status of the variant of each Deployment.
    recorded: BTreeMap<String, i32>,
    /// What must not be less, by Deployment; [`NEEDED`] for all others.
    floors: BTreeMap<String, i32>,
    wrong: BTreeSet<String>,
    lost: BTreeSet<String>,
}

impl Watchdog {
    /// Starts watching.
    pub(super) fn start(environment: &Environment, scene: &Arc<Scene>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(follow_variants(environment.client(), Arc::clone(&seen)));
        tasks.spawn(follow_deployments(environment.client(), Arc::clone(&seen)));
        tasks.spawn(follow_controllers(Arc::clone(scene), Arc::clone(&seen)));
        Self { seen, _tasks: tasks }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// Waits until a leader has published all variants, knowing the load of every replica, and a standby is there. A fault
    /// that struck before Prometheus has found the replicas would be one more than is meant.
    pub(super) async fn settled(&self, count: usize) -> Result<(), Error> {
        wait::until("a leader that has published and measured every variant, and a standby", PATIENCE, || async {
            let seen = self.lock();
            if seen.measured.len() != count {
                return Look::NotYet(format!("measured: {:?}", seen.measured));
            }
            let leader = seen.readings.values().find(|reading| reading.leads);
            let published = leader.map_or(0, |reading| reading.desired.len());
            let steady =
                leader.is_some_and(|reading| reading.desired.values().all(|desired| *desired >= f64::from(NEEDED)));
            if published == count && steady && seen.readings.len() == 2 && seen.variants.len() == count {
                Look::Done(())
            } else {
                Look::NotYet(format!("{:?}", seen.readings))
            }
        })
        .await?;
        let mut seen = self.lock();
        seen.wrong.clear();
        seen.lost.clear();
        Ok(())
    }

    /// The pod that says that it leads, if there is one, and its place.
    pub(super) fn leader(&self) -> Option<ControllerPod> {
        let seen = self.lock();
        let leads = |pod: &&ControllerPod| seen.readings.get(&pod.name).is_some_and(|reading| reading.leads);
        seen.pods.iter().find(leads).cloned()
    }

    /// Cycles done, by pod.
    pub(super) fn cycles(&self) -> BTreeMap<String, u64> {
        self.lock().readings.iter().map(|(pod, reading)| (pod.clone(), reading.cycles)).collect()
    }

    /// Replicas the leader publishes for a Deployment, and the leader's name and cycles.
    pub(super) fn desired(&self, deployment: &str) -> Option<(String, u64, f64)> {
        let seen = self.lock();
        let (pod, reading) = seen.readings.iter().find(|(_, reading)| reading.leads)?;
        let (variant, _) = seen.variants.iter().find(|(_, target)| *target == deployment)?;
        Some((pod.clone(), reading.cycles, *reading.desired.get(variant)?))
    }

    /// Replicas a Deployment asks for, and those in the status of its variant.
    pub(super) fn replicas(&self, deployment: &str) -> (Option<i32>, Option<i32>) {
        let seen = self.lock();
        (seen.replicas.get(deployment).copied(), seen.recorded.get(deployment).copied())
    }

    /// From now on the load of a Deployment needs this many replicas.
    pub(super) fn needs(&self, deployment: &str, replicas: i32) {
        self.lock().floors.insert(deployment.to_owned(), replicas);
    }

    /// What must not have happened since the last call: scale-downs, and variants lost.
    pub(super) fn take(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut seen = self.lock();
        (std::mem::take(&mut seen.wrong), std::mem::take(&mut seen.lost))
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    fn floor(&self, deployment: &str) -> i32 {
        self.floors.get(deployment).copied().unwrap_or(NEEDED)
    }

    fn variant(&mut self, variant: &VariantAutoscaling) {
        let (name, target) = (variant.name_any(), variant.spec.scale_target_ref.name.clone());
        let desired = variant.status.as_ref().and_then(|status| status.desired_optimized_alloc.as_ref()?.num_replicas);
        if let Some(desired) = desired.filter(|desired| *desired < self.floor(&target)) {
            self.wrong.insert(format!("status of {name}: {desired}"));
        }
        if let Some(desired) = desired {
            self.recorded.insert(target.clone(), desired);
        }
        let status = variant.status.as_ref();
        let measured = status.and_then(|status| conditions::find(&status.conditions, conditions::METRICS_AVAILABLE));
        if measured.is_some_and(|condition| condition.status == "True") {
            self.measured.insert(name.clone());
        } else {
            self.measured.remove(&name);
        }
        self.variants.insert(name, target);
    }

    fn deployment(&mut self, deployment: &Deployment) {
        let name = deployment.name_any();
        let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        // Between the rise of the load and the decision the old number is right.
        if replicas < NEEDED {
            self.wrong.insert(format!("Deployment {name}: {replicas}"));
        }
        self.replicas.insert(name, replicas);
    }

    fn reading(&mut self, pod: &ControllerPod, reading: Option<Reading>) {
        let Some(reading) = reading else {
            self.readings.remove(&pod.name);
            return;
        };
        for (variant, desired) in &reading.desired {
            let floor = self.variants.get(variant).map_or(NEEDED, |target| self.floor(target));
            if *desired < f64::from(floor) {
                self.wrong.insert(format!("gauge of {variant} in {}: {desired}", pod.name));
            }
        }
        if reading.leads {
            let since = *self.led_since.entry(pod.name.clone()).or_insert(reading.cycles);
            if reading.cycles >= since + FIRST_CYCLES {
                let absent = self.variants.keys().filter(|variant| !reading.desired.contains_key(*variant));
                self.lost.extend(absent.map(|variant| format!("no series of {variant} in {}", pod.name)));
            }
        } else {
            self.led_since.remove(&pod.name);
        }
        self.readings.insert(pod.name.clone(), reading);
    }
}

async fn follow_variants(client: Client, seen: Arc<Mutex<Seen>>) {
    let api: Api<VariantAutoscaling> = Api::namespaced(client, NAMESPACE);
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(variant) | watcher::Event::InitApply(variant)) => lock(&seen).variant(&variant),
            Ok(watcher::Event::Delete(variant)) => {
                lock(&seen).lost.insert(format!("{} was deleted", variant.name_any()));
            }
            Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => {}
        }
    }
}

async fn follow_deployments(client: Client, seen: Arc<Mutex<Seen>>) {
    let api: Api<Deployment> = Api::namespaced(client, NAMESPACE);
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    while let Some(event) = events.next().await {
        if let Ok(watcher::Event::Apply(deployment) | watcher::Event::InitApply(deployment)) = event {
            lock(&seen).deployment(&deployment);
        }
    }
}

async fn follow_controllers(scene: Arc<Scene>, seen: Arc<Mutex<Seen>>) {
    let http = reqwest::Client::builder().timeout(ANSWER).build().unwrap_or_default();
    loop {
        if let Ok(Ok(pods)) = tokio::time::timeout(ANSWER, scene.controller_pods()).await {
            lock(&seen).pods = pods;
        }
        let pods = lock(&seen).pods.clone();
        let answers = futures::future::join_all(pods.iter().map(|pod| read(&http, pod))).await;
        for (pod, reading) in pods.iter().zip(answers) {
            lock(&seen).reading(pod, reading);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn read(http: &reqwest::Client, pod: &ControllerPod) -> Option<Reading> {
    let answer = http.get(format!("http://{}:8443/metrics", pod.ip)).send().await.ok()?;
    Some(parse(&answer.error_for_status().ok()?.text().await.ok()?))
}

/// Reads what is needed from the text of `/metrics`.
fn parse(text: &str) -> Reading {
    let mut reading = Reading::default();
    for line in text.lines() {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        match series.split_once('{') {
            Some((metrics::DESIRED_REPLICAS, labels)) => {
                let name = labels.split_once(&format!("{}=\"", metrics::LABEL_VARIANT_NAME));
                if let Some((name, _)) = name.and_then(|(_, rest)| rest.split_once('"')) {
                    reading.desired.insert(name.to_owned(), value);
                }
            }
            None if series == "wva_leader" => reading.leads = value > 0.0,
            // A count, and far from where floats stop to be exact.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
            None if series == "wva_cycle_duration_seconds_count" => reading.cycles = value as u64,
            _ => {}
        }
    }
    reading
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_has_leadership_cycles_and_the_replicas_of_each_variant() {
        let text = "# TYPE wva_leader gauge\nwva_leader 1\nwva_cycle_duration_seconds_count 7\n\
            wva_desired_replicas{variant_name=\"a-va\",namespace=\"x\"} 2\n\
            wva_desired_replicas{namespace=\"x\",variant_name=\"b-va\"} 3.0\n# EOF\n";
        let desired = BTreeMap::from([("a-va".to_owned(), 2.0), ("b-va".to_owned(), 3.0)]);
        assert_eq!(parse(text), Reading { leads: true, cycles: 7, desired });
    }
}
