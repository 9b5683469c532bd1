use wva_api::{Instance, events};

use super::*;
use crate::fixtures::{FakeApi, eventually};
use crate::metrics::Metrics;

struct Scene {
    api: FakeApi,
    sender: EventSender,
    metrics: WriteMetrics,
}

fn scene(leadership: Leadership) -> Scene {
    let api = FakeApi::default();
    let metrics = Metrics::new(&Instance::default()).events;
    let reporter = ReportingController { manager: "wva-controller/team-a".to_owned(), identity: "wva-0".to_owned() };
    let timeout = Duration::from_millis(200);
    let (sender, writer) = EventWriter::new(api.client(), reporter, timeout, leadership, metrics.clone());
    tokio::spawn(writer.run());
    Scene { api, sender, metrics }
}

fn lost(name: &str) -> Event {
    let on = ObjectReference {
        api_version: Some("llmd.ai/v1alpha1".to_owned()),
        kind: Some("VariantAutoscaling".to_owned()),
        namespace: Some("ns".to_owned()),
        name: Some(name.to_owned()),
        uid: Some(format!("uid-{name}")),
        ..ObjectReference::default()
    };
    Event { on, warning: true, reason: events::TARGET_NOT_FOUND, message: "Target not found".to_owned() }
}

impl Scene {
    async fn counted(&self, outcome: WriteOutcome, count: u64) {
        eventually(&format!("{count} writes {outcome:?}"), || self.metrics.counted(outcome) == count).await;
    }
}

#[tokio::test]
async fn an_event_is_created_by_the_instances_field_manager_and_says_what_happened() {
    let scene = scene(Leadership::always());
    scene.sender.send(lost("a"));
    scene.counted(WriteOutcome::Ok, 1).await;
    let request = scene.api.requests().remove(0);
    let path = "POST /apis/events.k8s.io/v1/namespaces/ns/events?&fieldManager=wva-controller%2Fteam-a";
    assert_eq!(request.line, path);
    assert_eq!(request.body["type"], "Warning");
    assert_eq!(request.body["reason"], "TargetNotFound");
    assert_eq!(request.body["note"], "Target not found");
    assert_eq!(request.body["regarding"]["uid"], "uid-a");
    assert_eq!(request.body["reportingController"], "wva-controller/team-a");
    assert_eq!(request.body["reportingInstance"], "wva-0");
}

#[tokio::test]
async fn a_repetition_updates_the_series_of_the_first() {
    let scene = scene(Leadership::always());
    scene.sender.send(lost("a"));
    scene.sender.send(lost("a"));
    scene.counted(WriteOutcome::Ok, 2).await;
    let requests = scene.api.requests();
    let name = requests[0].body["metadata"]["name"].as_str().unwrap();
    assert!(requests[1].line.starts_with(&format!("PATCH /apis/events.k8s.io/v1/namespaces/ns/events/{name}?")));
    assert_eq!(requests[1].body["series"]["count"], 2);
}

#[tokio::test]
async fn without_leadership_no_event_is_written() {
    let scene = scene(Leadership::never());
    scene.sender.send(lost("a"));
    scene.counted(WriteOutcome::Dropped, 1).await;
    assert_eq!(scene.api.requests(), []);
}

#[tokio::test]
async fn a_server_error_is_tried_again_and_a_refusal_is_not() {
    let scene = scene(Leadership::always());
    scene.api.refuse(&[500, 429]);
    scene.sender.send(lost("a"));
    scene.counted(WriteOutcome::Ok, 1).await;
    scene.api.refuse(&[403]);
    scene.sender.send(lost("b"));
    scene.sender.send(lost("c"));
    scene.counted(WriteOutcome::Ok, 2).await;
    assert_eq!(scene.metrics.counted(WriteOutcome::Failed), 3);
    assert_eq!(scene.api.requests().len(), 5);
}

#[tokio::test]
async fn a_silent_api_server_blocks_nobody_who_sends() {
    let scene = scene(Leadership::always());
    scene.api.fall_silent(true);
    for number in 0..CAPACITY + 10 {
        scene.sender.send(lost(&format!("v{number}")));
    }
    assert!(scene.metrics.counted(WriteOutcome::Dropped) >= 9, "what does not fit is dropped and counted");
}
