mod log;
mod safety_net;

use serde_json::Value;
use wva_api::Instance;
use wva_engine::plan::Note;

use super::*;
use crate::cluster::index::{Deployment, Effect, Index, Unreadable, Variant};
use crate::config::sources::Sources;
use crate::fixtures::{FakeApi, FakePrometheus, Recorded, eventually, variant, variant_on};
use crate::observe::prometheus::{Queries, Selector, Transport};
use crate::report::events::{EventWriter, ReportingController};
use crate::report::status_writer::StatusWriter;

/// A running controller without watches: the test fills the index itself.
struct Scene {
    prometheus: FakePrometheus,
    api: FakeApi,
    shared: Arc<Shared>,
    metrics: Metrics,
    stop: CancellationToken,
}

impl Scene {
    async fn start(index: Index, interval: Duration) -> Self {
        Self::start_with(FakePrometheus::default(), index, interval).await
    }

    /// A controller that has watched the load for long enough.
    async fn start_with(prometheus: FakePrometheus, index: Index, interval: Duration) -> Self {
        Self::begin(prometheus, index, interval, Duration::ZERO).await
    }

    /// A controller that decides by loads of the moment for a while.
    async fn begin(prometheus: FakePrometheus, index: Index, interval: Duration, look_back: Duration) -> Self {
        let (api, shared) = (FakeApi::default(), Arc::new(Shared::default()));
        let metrics = Metrics::new(&Instance::default());
        let mut config = Config { prometheus: prometheus.start().await, ..any_config() };
        config.live.interval = interval;
        *shared.index() = index;
        let transport = Transport::new(&config.prometheus).unwrap();
        let queries =
            Queries::new(config.metrics_window, Selector::new(&config.scope.namespaces, &config.prometheus.matchers));
        let (status, writer) = StatusWriter::new(
            api.client(),
            Scope::default(),
            Duration::from_secs(1),
            Leadership::always(),
            Arc::clone(&shared),
            metrics.status.clone(),
        );
        tokio::spawn(writer.run());
        let asked = Prometheus::new(transport, queries, metrics.prometheus.clone());
        let reporter = ReportingController { manager: "wva-controller".to_owned(), identity: "wva-0".to_owned() };
        let limit = Duration::from_secs(1);
        let (events, writer) =
            EventWriter::new(api.client(), reporter, limit, Leadership::always(), metrics.events.clone());
        tokio::spawn(writer.run());
        let settings = LiveSettings::new(&config, sources(), events.clone());
        let reporter = Reporter::new(status, events, Arc::clone(&shared), metrics.cycle.safety_net_activations.clone());
        let partners = Partners {
            prometheus: asked,
            prometheus_answers: shared.answers.gate("first answer of Prometheus"),
            settings,
            reporter,
            waker: Waker::idle(),
        };
        let mut cycle = Cycle::new(&config, partners, Arc::clone(&shared), metrics.clone(), Leadership::always());
        cycle.look_back = look_back;
        let stop = CancellationToken::new();
        tokio::spawn(cycle.run(stop.child_token()));
        Self { prometheus, api, shared, metrics, stop }
    }

    fn change(&self, change: impl FnOnce(&mut Index) -> Effect) {
        let _effect = change(&mut self.shared.index());
        self.shared.wake.notify_one();
    }

    /// The value of a gauge of variant `a`; `None` when there is no such series.
    fn gauge(&self, name: &str, variant: &str) -> Option<String> {
        let text = self.metrics.encode(true).unwrap();
        let line = text.lines().find(|l| l.starts_with(name) && l.contains(&format!("variant_name=\"{variant}\"")))?;
        Some(line.rsplit(' ').next().unwrap().to_owned())
    }

    async fn desired(&self, variant: &str, expect: Option<&str>) {
        let what = format!("wva_desired_replicas of {variant} is {expect:?}");
        eventually(&what, || self.gauge("wva_desired_replicas", variant).as_deref() == expect).await;
    }

    /// The last status written for a variant.
    fn written(&self, variant: &str) -> Option<Value> {
        let path = format!("/variantautoscalings/{variant}/status");
        let requests = self.api.requests();
        Some(requests.into_iter().rev().find(|request| request.line.contains(&path))?.body["status"].take())
    }

    /// Reasons of the events recorded so far, oldest first.
    fn events(&self) -> Vec<String> {
        let created = |request: &Recorded| request.line.starts_with("POST /apis/events.k8s.io");
        let requests = self.api.requests().into_iter().filter(created);
        requests.map(|request| request.body["reason"].as_str().unwrap().to_owned()).collect()
    }

    /// Status and reason of a condition in the last status written for a variant.
    fn condition(&self, variant: &str, type_: &str) -> Option<String> {
        let status = self.written(variant)?;
        let conditions = status["conditions"].as_array()?;
        let found = conditions.iter().find(|condition| condition["type"] == type_)?;
        Some(format!("{} {}", found["status"].as_str()?, found["reason"].as_str()?))
    }

    async fn reported(&self, variant: &str, type_: &str, expect: &str) {
        let what = format!("{type_} of {variant} is {expect}");
        eventually(&what, || self.condition(variant, type_).as_deref() == Some(expect)).await;
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn sources() -> Sources {
    let environment = [("PROMETHEUS_BASE_URL".to_owned(), "http://replaced".to_owned())].into();
    Sources { environment, ..Default::default() }
}

fn any_config() -> Config {
    Config::resolve(&sources()).unwrap()
}

fn one_variant() -> Index {
    Index::default().with_variant(&variant("a")).with_deployment("a", 1).with_pod("a", "a-1")
}

const LONG: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_scale_down_that_waits_for_its_follower_is_taken_back_under_load_and_the_status_says_so() {
    let index = Index::default().with_variant(&variant("a")).with_deployment("a", 2);
    let prometheus = FakePrometheus::default();
    let load = |kv_usage, queue| ["a-1", "a-2"].iter().for_each(|pod| prometheus.set(pod, kv_usage, queue));
    load(0.05, 0.0);
    let index = index.with_pod("a", "a-1").with_pod("a", "a-2");
    let scene = Scene::start_with(prometheus.clone(), index, Duration::from_millis(50)).await;
    scene.desired("a", Some("1")).await;

    load(0.95, 9.0);

    scene.desired("a", Some("3")).await;
    let said = || scene.written("a").is_some_and(|status| status.to_string().contains("(target: 3 replicas)"));
    eventually("status with the growth", said).await;
}

#[tokio::test]
async fn a_saturated_variant_gets_a_replica_and_a_status() {
    let prometheus = FakePrometheus::default();
    prometheus.set("a-1", 0.95, 9.0);
    let scene = Scene::start_with(prometheus, one_variant(), LONG).await;
    scene.desired("a", Some("2")).await;
    assert_eq!(scene.gauge("wva_current_replicas", "a").as_deref(), Some("1"));
    assert_eq!(scene.gauge("wva_replica_scaling_total", "a").as_deref(), Some("1"));
    scene.reported("a", "Ready", "True DeploymentFound").await;
    scene.reported("a", "OptimizationReady", "True SaturationOnlyMode").await;
    let written = scene.written("a").unwrap();
    assert_eq!(written["desiredOptimizedAlloc"]["numReplicas"], 2);
    assert_eq!(written["actuation"]["applied"], false);
    eventually("events", || scene.events() == ["TargetFound", "ScaledUp"]).await;
}

#[tokio::test]
async fn a_pause_is_obeyed_at_once_and_told_in_status_events_and_a_series_until_it_is_taken_back() {
    let prometheus = FakePrometheus::default();
    prometheus.set("a-1", 0.95, 9.0);
    let scene = Scene::start_with(prometheus, one_variant(), LONG).await;
    scene.desired("a", Some("2")).await;
    let annotated = |annotations: &str| {
        variant("a").replace("generation: 1,", &format!("generation: 1, annotations: {{{annotations}}},"))
    };
    let paused = "wva.llmd.ai/paused: 'true', wva.llmd.ai/paused-replicas: '4', wva.llmd.ai/paused-by: alice";
    scene.change(|index| index.apply_variant(&annotated(paused)));
    scene.desired("a", Some("4")).await;
    scene.reported("a", "Paused", "True PausedByAnnotation").await;
    scene.reported("a", "OptimizationReady", "False OptimizationPaused").await;
    let written = scene.written("a").unwrap().to_string();
    assert!(written.contains("Paused by alice: 4 replicas are held"), "{written}");
    assert_eq!(scene.gauge("wva_variant_paused", "a").as_deref(), Some("1"));

    scene.change(|index| index.apply_variant(&annotated(&paused.replace("'4'", "four"))));
    scene.reported("a", "Paused", "False InvalidPause").await;
    assert_eq!(scene.gauge("wva_variant_paused", "a"), None);

    scene.change(|index| index.apply_variant(&annotated(paused)));
    scene.reported("a", "Paused", "True PausedByAnnotation").await;
    scene.change(|index| index.apply_variant(&variant("a")));
    eventually("no condition any more", || scene.condition("a", "Paused").is_none()).await;
    let of_pauses = || {
        let events = scene.events().into_iter().filter(|it| ["Paused", "InvalidPause", "Resumed"].contains(&&**it));
        events.collect::<Vec<_>>()
    };
    // The pause that is repeated is a series on its first event.
    eventually("events", || of_pauses() == ["Paused", "InvalidPause", "Resumed"]).await;
}

#[tokio::test]
async fn a_pause_that_ends_by_itself_ends_on_time_and_not_with_the_next_interval() {
    let scene = Scene::start(one_variant(), LONG).await;
    scene.prometheus.set("a-1", 0.3, 0.0);
    scene.desired("a", Some("1")).await;
    let until = Timestamp::now() + SignedDuration::from_secs(3);
    let paused =
        format!("wva.llmd.ai/paused: 'true', wva.llmd.ai/paused-replicas: '4', wva.llmd.ai/paused-until: '{until}'");
    let paused = variant("a").replace("generation: 1,", &format!("generation: 1, annotations: {{{paused}}},"));
    scene.change(|index| index.apply_variant(&paused));
    scene.desired("a", Some("4")).await;
    eventually("no series of a pause", || scene.gauge("wva_variant_paused", "a").is_none()).await;
    assert!(Timestamp::now() >= until, "it lasted as long as was asked");
}

#[tokio::test]
async fn what_was_decided_is_kept_for_whoever_asks_and_forgotten_with_the_variant() {
    let scene = Scene::start(one_variant(), LONG).await;
    scene.prometheus.set("a-1", 0.95, 9.0);
    scene.desired("a", Some("2")).await;
    let key = VariantKey { namespace: "ns".to_owned(), name: "a".to_owned() };
    let kept = || scene.shared.history().of(&key).and_then(|of| of.decisions.back().cloned());
    eventually("a decision that is kept", || kept().is_some()).await;
    let last = kept().unwrap();
    assert_eq!((last.to, last.current, last.kv_usage), (2, 1, Some(0.95)), "{last:?}");
    scene.change(|index| index.delete::<Variant>(&ObjectKey::new("ns", "a")));
    eventually("nothing of a variant that is gone", || kept().is_none()).await;
}

#[tokio::test]
async fn a_lost_target_is_reported_while_prometheus_is_down_and_found_again_at_once() {
    let scene = Scene::start(one_variant(), LONG).await;
    scene.prometheus.set("a-1", 0.3, 0.0);
    scene.desired("a", Some("1")).await;
    scene.prometheus.break_down(true);
    scene.change(|index| index.delete::<Deployment>(&ObjectKey::new("ns", "a")));
    scene.reported("a", "Ready", "False DeploymentNotFound").await;
    scene.reported("a", "TargetResolved", "False TargetNotFound").await;
    scene.desired("a", None).await;
    assert_eq!(scene.gauge("wva_current_replicas", "a"), None);
    assert_eq!(scene.gauge("wva_desired_ratio", "a"), None);
    scene.prometheus.break_down(false);
    scene.change(|index| index.apply_deployment("a", 1));
    scene.reported("a", "Ready", "True DeploymentFound").await;
    scene.desired("a", Some("1")).await;
}

#[tokio::test]
async fn a_variant_that_goes_takes_its_series_along() {
    let scene = Scene::start(one_variant(), LONG).await;
    scene.desired("a", Some("1")).await;
    scene.change(|index| index.delete::<Variant>(&ObjectKey::new("ns", "a")));
    scene.desired("a", None).await;
}

#[tokio::test]
async fn a_failing_prometheus_holds_the_last_target_and_says_so() {
    let stored = variant("a").replace("spec: {", "status: {desiredOptimizedAlloc: {numReplicas: 3}}, spec: {");
    let index = Index::default().with_variant(&stored).with_deployment("a", 1).with_pod("a", "a-1");
    let prometheus = FakePrometheus::default();
    prometheus.break_down(true);
    let scene = Scene::start_with(prometheus, index, LONG).await;
    scene.desired("a", Some("3")).await;
    scene.reported("a", "MetricsAvailable", "False PrometheusError").await;
    scene.reported("a", "OptimizationReady", "False MetricsUnavailable").await;
    let text = scene.metrics.encode(true).unwrap();
    assert!(text.contains("wva_safety_net_active 1"), "{text}");
    assert_eq!(scene.shared.answers.waits_for(), ["first answer of Prometheus"]);
}

#[tokio::test]
async fn a_new_leader_starts_from_the_published_number_and_says_when_it_takes_it_back() {
    let stored = variant("a").replace("spec: {", "status: {desiredOptimizedAlloc: {numReplicas: 1}}, spec: {");
    let index =
        Index::default().with_variant(&stored).with_deployment("a", 2).with_pod("a", "a-1").with_pod("a", "a-2");
    let prometheus = FakePrometheus::default();
    prometheus.set("a-1", 0.95, 9.0);
    prometheus.set("a-2", 0.95, 9.0);
    let scene = Scene::start_with(prometheus, index, LONG).await;
    eventually("a decision", || scene.gauge("wva_desired_replicas", "a").is_some()).await;
    let cycle = scene.shared.last_cycle();
    let cycle = cycle.as_ref().unwrap();
    assert_eq!(cycle.snapshot.models[0].variants[0].desired, Some(1));
    // Both replicas are full: what was published would take one away.
    assert_eq!(cycle.plan.targets[0].notes, [Note::TakenBack { published: 1 }], "{:?}", cycle.plan.targets);
}

#[tokio::test]
async fn a_new_leader_grows_by_the_load_that_is_there_and_not_by_that_of_the_last_minute() {
    let stored = variant("a").replace("spec: {", "status: {desiredOptimizedAlloc: {numReplicas: 2}}, spec: {");
    let index = || {
        let index = Index::default().with_variant(&stored).with_deployment("a", 2);
        index.with_pod("a", "a-1").with_pod("a", "a-2")
    };
    let prometheus = FakePrometheus::default();
    for pod in ["a-1", "a-2"] {
        prometheus.set(pod, 0.95, 9.0);
        prometheus.set_now(pod, 0.05, 0.0);
    }
    let scene = Scene::begin(prometheus.clone(), index(), LONG, LONG).await;
    scene.desired("a", Some("2")).await;
    scene.reported("a", "OptimizationReady", "True SaturationOnlyMode").await;
    assert!(scene.written("a").unwrap().to_string().contains("has not been watched for long enough"));
    drop(scene);

    for pod in ["a-1", "a-2"] {
        prometheus.set_now(pod, 0.95, 9.0);
    }
    let scene = Scene::begin(prometheus, index(), LONG, LONG).await;
    scene.desired("a", Some("3")).await;
}

#[tokio::test]
async fn two_variants_on_one_target_are_both_refused() {
    let index = Index::default()
        .with_variant(&variant("a"))
        .with_variant(&variant_on("b", "a"))
        .with_deployment("a", 1)
        .with_pod("a", "a-1");
    let scene = Scene::start(index, LONG).await;
    scene.reported("a", "Ready", "False TargetConflict").await;
    scene.reported("b", "Ready", "False TargetConflict").await;
    assert_eq!(scene.gauge("wva_desired_replicas", "a"), None);
}

#[tokio::test]
async fn a_status_written_by_another_instance_is_told_and_nothing_is_published_meanwhile() {
    let scene = Scene::start(one_variant(), LONG).await;
    scene.prometheus.set("a-1", 0.3, 0.0);
    scene.desired("a", Some("1")).await;
    let foreign = "generation: 1, managedFields: [{manager: wva-controller/team-b, subresource: status, \
                   time: '2026-01-01T00:00:07Z'}]";
    let status = "status: {desiredOptimizedAlloc: {numReplicas: 1}}, spec: {";
    let contested = variant("a").replace("generation: 1", foreign).replace("spec: {", status);
    scene.change(|index| index.apply_variant(&contested));
    scene.reported("a", "Ready", "False InstanceConflict").await;
    scene.desired("a", None).await;
    assert!(scene.metrics.encode(true).unwrap().contains("wva_conflicts{kind=\"instance\"} 1"));
    eventually("an event", || scene.events().contains(&"InstanceConflict".to_owned())).await;
    let written = scene.written("a").unwrap();
    assert_eq!(written["desiredOptimizedAlloc"]["numReplicas"], 1, "the last decision is not lost");
}

#[tokio::test]
async fn prometheus_is_asked_as_often_for_a_hundred_models_as_for_one() {
    let mut counts = Vec::new();
    for models in [1, 100] {
        let mut index = Index::default();
        for model in 0..models {
            let name = format!("v{model}");
            let text = variant(&name).replace("modelID: llama", &format!("modelID: model-{model}"));
            index = index.with_variant(&text).with_deployment(&name, 1).with_pod(&name, &format!("{name}-1"));
        }
        let scene = Scene::start(index, LONG).await;
        scene.desired("v0", Some("1")).await;
        assert_eq!(scene.shared.last_cycle().as_ref().unwrap().snapshot.models.len(), models);
        let before = scene.prometheus.requests();
        let first = scene.shared.last_cycle().as_ref().map(|cycle| cycle.at);
        scene.shared.wake.notify_one();
        let next = || scene.shared.last_cycle().as_ref().map(|cycle| cycle.at) != first;
        eventually("another cycle", next).await;
        counts.push(scene.prometheus.requests() - before);
    }
    // A fourth looks for series without a pod, as long as a model has no metrics.
    assert_eq!(counts, [4, 4]);
}

#[tokio::test]
async fn the_state_of_a_cycle_is_enough_to_take_its_decision_again() {
    let prometheus = FakePrometheus::default();
    prometheus.set("a-1", 0.95, 9.0);
    let scene = Scene::start_with(prometheus, one_variant(), Duration::from_millis(50)).await;
    let at = || scene.shared.last_cycle().as_ref().map(|cycle| cycle.at);
    eventually("a first cycle", || at().is_some()).await;
    let first = at();
    eventually("a cycle with a memory", || at() != first).await;
    let dumped = serde_json::to_string(&*scene.shared.last_cycle()).unwrap();
    let LastCycle { at, settings, snapshot, before, memory: _, plan } = serde_json::from_str(&dumped).unwrap();
    assert_ne!(before, wva_engine::Memory::default());
    assert_eq!(decide(&snapshot, &mut before.clone(), &settings, at), plan);
}

#[tokio::test]
async fn the_interval_is_honoured() {
    let interval = Duration::from_millis(200);
    let scene = Scene::start(one_variant(), interval).await;
    let mut decided: Vec<jiff::Timestamp> = Vec::new();
    eventually("eight cycles", || {
        decided.extend(scene.shared.last_cycle().as_ref().map(|cycle| cycle.at));
        decided.dedup();
        decided.len() > 8
    })
    .await;
    // Not the longest: a busy machine may be late once.
    let mut pauses: Vec<_> = decided.windows(2).map(|two| two[1].duration_since(two[0])).skip(1).collect();
    pauses.sort();
    let usual = pauses[pauses.len() / 2];
    assert!((interval / 2..interval * 2).contains(&usual.unsigned_abs()), "{pauses:?}");
    let idle = Scene::start(one_variant(), LONG).await;
    idle.desired("a", Some("1")).await;
    let asked = idle.prometheus.requests();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(idle.prometheus.requests(), asked);
}

#[tokio::test]
async fn a_quiet_cycle_writes_nothing() {
    let scene = Scene::start(one_variant(), Duration::from_millis(50)).await;
    scene.prometheus.set("a-1", 0.3, 0.0);
    scene.reported("a", "MetricsAvailable", "True MetricsFound").await;
    // What the watch would bring back.
    let status = serde_json::from_value(scene.written("a").unwrap()).unwrap();
    scene.shared.index().variants.get_mut(&ObjectKey::new("ns", "a")).unwrap().status = status;
    let asked = scene.prometheus.requests();
    eventually("a cycle in between", || scene.prometheus.requests() > asked + 6).await;
    let written = scene.api.requests().len();
    let asked = scene.prometheus.requests();
    eventually("ten more cycles", || scene.prometheus.requests() > asked + 30).await;
    assert_eq!(scene.api.requests().len(), written);
}

#[tokio::test]
async fn a_variant_that_cannot_be_read_is_told_on_the_object_once_and_again_when_it_is_another_fault() {
    let scene = Scene::start(one_variant(), LONG).await;
    scene.desired("a", Some("1")).await;
    let old = |why: &str| Unreadable { uid: "u".to_owned(), why: why.to_owned(), ..Unreadable::default() };
    let enter = |why: &str| {
        scene.change(|index| {
            index.unreadable.insert((crate::cluster::index::VARIANTS, ObjectKey::new("ns", "llama")), old(why));
            Effect::Now
        });
    };
    let told = || scene.events().into_iter().filter(|reason| reason == "InvalidSpec").count();
    enter("missing field `scaleTargetRef`");
    eventually("an event", || told() == 1).await;
    enter("missing field `scaleTargetRef`");
    scene.change(|index| index.delete::<Variant>(&ObjectKey::new("ns", "a")));
    scene.desired("a", None).await;
    assert_eq!(told(), 1);
    enter("invalid type: integer `7`");
    eventually("another event", || told() == 2).await;
    // What belongs to others is theirs to tell.
    let labels = [("wva.llmd.ai/controller-instance".to_owned(), "other".to_owned())].into();
    let foreign = Unreadable { labels, ..old("missing field `scaleTargetRef`") };
    let index = {
        let mut index = Index::default();
        index.unreadable.insert((crate::cluster::index::VARIANTS, ObjectKey::new("ns", "theirs")), foreign);
        index
    };
    assert_eq!(index.unreadable_variants(&Scope::default()).count(), 0);
}
