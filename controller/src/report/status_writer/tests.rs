use wva_api::{Actuation, Instance};

use super::*;
use crate::cluster::index::Variant;
use crate::fixtures::{FakeApi, eventually, variant, yaml};
use crate::metrics::Metrics;

struct Scene {
    api: FakeApi,
    sender: StatusSender,
    metrics: WriteMetrics,
    shared: Arc<Shared>,
    writer: Option<StatusWriter>,
}

/// A writer of instance `team-a` that knows the variants `a`, `b` and `c`, not running yet.
fn scene(leadership: Leadership) -> Scene {
    let (api, shared) = (FakeApi::default(), Arc::new(Shared::default()));
    let instance = Instance::parse("team-a").unwrap();
    for name in ["a", "b", "c"] {
        appear(&shared, &variant(name), &instance);
    }
    let metrics = Metrics::new(&instance).status;
    let timeout = Duration::from_millis(200);
    let scope = Scope { instance, ..Scope::default() };
    let (sender, writer) =
        StatusWriter::new(api.client(), scope, timeout, leadership, Arc::clone(&shared), metrics.clone());
    Scene { api, sender, metrics, shared, writer: Some(writer) }
}

/// A variant appears or changes, labelled for an instance.
fn appear(shared: &Shared, text: &str, owner: &Instance) {
    let object: VariantAutoscaling = yaml(text);
    let key = convert::key(&object.metadata);
    let labelled = Variant { labels: owner.labels(), ..convert::variant(object) };
    let _effect = shared.index().apply(key, labelled);
}

fn update(variant: &str, applied: bool) -> StatusUpdate {
    let status =
        VariantAutoscalingStatus { actuation: Some(Actuation { applied }), ..VariantAutoscalingStatus::default() };
    StatusUpdate { variant: ObjectKey::new("ns", variant), status }
}

impl Scene {
    fn start(&mut self) {
        tokio::spawn(self.writer.take().unwrap().run());
    }

    fn lines(&self) -> Vec<String> {
        self.api.requests().into_iter().map(|request| request.line).collect()
    }

    async fn counted(&self, outcome: WriteOutcome, count: u64) {
        eventually(&format!("{count} writes {outcome:?}"), || self.metrics.counted(outcome) == count).await;
    }
}

#[tokio::test]
async fn a_status_is_applied_by_its_own_field_manager() {
    let mut scene = scene(Leadership::always());
    scene.start();
    scene.sender.send(update("a", true));
    scene.counted(WriteOutcome::Ok, 1).await;
    let request = scene.api.requests().remove(0);
    let line = "PATCH /apis/llmd.ai/v1alpha1/namespaces/ns/variantautoscalings/a/status\
                ?&force=true&fieldManager=wva-controller%2Fteam-a";
    assert_eq!(request.line, line);
    let body = json!({
        "apiVersion": "llmd.ai/v1alpha1",
        "kind": "VariantAutoscaling",
        "metadata": {"name": "a", "namespace": "ns", "resourceVersion": "1"},
        "status": {"actuation": {"applied": true}},
    });
    assert_eq!(request.body, body);
}

#[tokio::test]
async fn of_several_updates_of_one_variant_only_the_newest_is_written() {
    let mut scene = scene(Leadership::always());
    for applied in [true, false, true, false] {
        scene.sender.send(update("a", applied));
    }
    scene.sender.send(update("b", true));
    scene.start();
    scene.counted(WriteOutcome::Ok, 2).await;
    let a = scene.api.requests().into_iter().find(|request| request.line.contains("/a/")).unwrap();
    assert_eq!(a.body["status"]["actuation"]["applied"], false);
    assert_eq!(scene.lines().len(), 2);
}

#[tokio::test]
async fn who_does_not_lead_writes_nothing() {
    let mut scene = scene(Leadership::never());
    scene.start();
    scene.sender.send(update("a", true));
    scene.counted(WriteOutcome::Dropped, 1).await;
    assert_eq!(scene.lines(), [""; 0]);
}

#[tokio::test]
async fn a_variant_that_is_gone_or_no_longer_mine_is_not_written() {
    let mut scene = scene(Leadership::always());
    scene.sender.send(update("a", true));
    scene.sender.send(update("b", true));
    let _effect = scene.shared.index().delete::<Variant>(&ObjectKey::new("ns", "a"));
    appear(&scene.shared, &variant("b"), &Instance::parse("team-b").unwrap());
    scene.start();
    scene.counted(WriteOutcome::Dropped, 2).await;
    assert_eq!(scene.lines(), [""; 0]);
}

#[tokio::test]
async fn a_write_that_fails_is_repeated_and_one_refused_for_good_is_not() {
    let mut scene = scene(Leadership::always());
    scene.api.refuse(&[500]);
    scene.start();
    scene.sender.send(update("a", true));
    scene.counted(WriteOutcome::Failed, 1).await;
    scene.counted(WriteOutcome::Ok, 1).await;

    scene.api.refuse(&[422]);
    scene.sender.send(update("b", true));
    scene.counted(WriteOutcome::Failed, 2).await;
    scene.sender.send(update("c", true));
    scene.counted(WriteOutcome::Ok, 2).await;
    assert_eq!(scene.lines().iter().filter(|line| line.contains("/b/")).count(), 1);
}

#[tokio::test]
async fn a_variant_that_changed_meanwhile_is_written_again_over_its_new_version() {
    let mut scene = scene(Leadership::always());
    scene.api.refuse(&[409]);
    scene.start();
    scene.sender.send(update("a", true));
    scene.counted(WriteOutcome::Conflict, 1).await;
    let changed = variant("a").replace("resourceVersion: '1'", "resourceVersion: '2'");
    appear(&scene.shared, &changed, &Instance::parse("team-a").unwrap());
    scene.counted(WriteOutcome::Ok, 1).await;
    let versions: Vec<_> =
        scene.api.requests().iter().map(|it| it.body["metadata"]["resourceVersion"].clone()).collect();
    assert_eq!(versions, ["1", "2"]);
}

#[tokio::test]
async fn a_write_is_known_before_the_watch_tells_of_it() {
    let mut scene = scene(Leadership::always());
    scene.start();
    scene.sender.send(update("a", true));
    scene.counted(WriteOutcome::Ok, 1).await;
    let a = scene.shared.index().variants[&ObjectKey::new("ns", "a")].clone();
    assert_eq!(a.version, "2");
    assert_eq!(a.status.actuation, Some(Actuation { applied: true }));
}

#[tokio::test]
async fn an_api_server_that_hangs_is_given_up_on_and_asked_again() {
    let mut scene = scene(Leadership::always());
    scene.api.fall_silent(true);
    scene.start();
    scene.sender.send(update("a", true));
    scene.counted(WriteOutcome::TimedOut, 1).await;
    scene.api.fall_silent(false);
    scene.counted(WriteOutcome::Ok, 1).await;
}

#[tokio::test]
async fn updates_beyond_the_capacity_are_dropped_and_counted() {
    let scene = scene(Leadership::always());
    for _ in 0..CAPACITY + 3 {
        scene.sender.send(update("a", true));
    }
    assert_eq!(scene.metrics.counted(WriteOutcome::Dropped), 3);
}
