use axum::Router;
use axum::extract::{Request, State as Extract};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Json, Response};
use kube::Client;
use serde_json::{Value, json};
use wva_api::Instance;

use super::*;
use crate::fixtures::{FakeApi, eventually, variant};
use crate::metrics::Metrics;
use crate::report::events::{EventWriter, ReportingController};

/// A scale subresource whose replicas others may change while they are being written.
#[derive(Clone, Default)]
struct FakeScale(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    replicas: i32,
    version: u32,
    /// Replicas somebody else writes right after the next reads.
    meanwhile: Vec<i32>,
    refusal: Option<u16>,
    writes: Vec<Value>,
    paths: BTreeSet<String>,
}

impl FakeScale {
    fn with(change: impl FnOnce(&mut Stored)) -> Self {
        let scale = Self::default();
        change(&mut scale.0.lock().unwrap());
        scale
    }

    fn client(&self) -> Client {
        Client::new(Router::new().fallback(serve).with_state(self.clone()), "default")
    }

    fn replicas(&self) -> i32 {
        self.0.lock().unwrap().replicas
    }

    fn writes(&self) -> usize {
        self.0.lock().unwrap().writes.len()
    }
}

async fn serve(Extract(scale): Extract<FakeScale>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    if path == "/apis/apps/v1" {
        let resource = |name: &str, kind: &str| json!({"name": name, "kind": kind, "singularName": "", "namespaced": true, "verbs": []});
        let resources = [resource("deployments", "Deployment"), resource("deployments/scale", "Scale")];
        return Json(
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "apps/v1", "resources": resources}),
        )
        .into_response();
    }
    let mut stored = scale.0.lock().unwrap();
    stored.paths.insert(path);
    let refuse = |code: u16| {
        let status =
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "refused", "code": code});
        (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
    };
    if let Some(code) = stored.refusal {
        return refuse(code);
    }
    if method == Method::PATCH {
        let write: Value = serde_json::from_slice(&body).unwrap();
        stored.writes.push(write.clone());
        if write["metadata"]["resourceVersion"] != json!(stored.version.to_string()) {
            return refuse(409);
        }
        stored.replicas = i32::try_from(write["spec"]["replicas"].as_i64().unwrap()).unwrap();
        stored.version += 1;
    }
    let answer = json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"namespace": "ns", "name": "a", "resourceVersion": stored.version.to_string()},
        "spec": {"replicas": stored.replicas}, "status": {"replicas": stored.replicas},
    });
    if method == Method::GET && !stored.meanwhile.is_empty() {
        stored.replicas = stored.meanwhile.remove(0);
        stored.version += 1;
    }
    Json(answer).into_response()
}

struct Scene {
    waker: Waker,
    events: FakeApi,
    metrics: Metrics,
    shared: Arc<Shared>,
}

fn start(scale: &FakeScale) -> Scene {
    let shared = Arc::new(Shared::default());
    let _effect = shared.index().apply_variant(&variant("a"));
    let metrics = Metrics::new(&Instance::default());
    let events = FakeApi::default();
    let reporter = ReportingController { manager: "wva-controller".to_owned(), identity: "wva-0".to_owned() };
    let limit = Duration::from_secs(1);
    let (sender, writer) =
        EventWriter::new(events.client(), reporter, limit, Leadership::always(), metrics.events.clone());
    tokio::spawn(writer.run());
    let (waker, task) = WakeTask::new(Parts {
        scales: Arc::new(Scales::new(scale.client())),
        manager: "wva-controller".to_owned(),
        timeout: limit,
        concurrency: 2,
        leadership: Leadership::always(),
        shared: Arc::clone(&shared),
        events: sender,
        metrics: metrics.zero.clone(),
    });
    tokio::spawn(task.run());
    Scene { waker, events, metrics, shared }
}

impl Scene {
    async fn counted(&self, outcome: &str, count: u32) {
        let line = format!("wva_scale_from_zero_total{{outcome=\"{outcome}\"}} {count}");
        eventually(&line, || self.metrics.encode(true).unwrap().contains(&line)).await;
    }
}

fn key() -> ObjectKey {
    ObjectKey::new("ns", "a")
}

#[tokio::test]
async fn a_workload_at_zero_gets_one_replica_through_its_scale_subresource() {
    let scale = FakeScale::default();
    let scene = start(&scale);
    scene.waker.wake(&key());
    scene.counted("ok", 1).await;
    assert_eq!((scale.replicas(), scale.writes()), (1, 1));
    let paths: Vec<String> = scale.0.lock().unwrap().paths.iter().cloned().collect();
    assert_eq!(paths, ["/apis/apps/v1/namespaces/ns/deployments/a/scale"]);
}

#[tokio::test]
async fn a_number_above_zero_is_never_lowered() {
    let scale = FakeScale::with(|stored| stored.replicas = 3);
    let scene = start(&scale);
    scene.waker.wake(&key());
    scene.counted("ok", 1).await;
    assert_eq!((scale.replicas(), scale.writes()), (3, 0));
}

#[tokio::test]
async fn what_others_write_in_between_is_read_again_first() {
    let scale = FakeScale::with(|stored| stored.meanwhile = vec![0, 5]);
    let scene = start(&scale);
    scene.waker.wake(&key());
    scene.counted("ok", 1).await;
    assert_eq!((scale.replicas(), scale.writes()), (5, 2), "both attempts were made over an old version");
}

#[tokio::test]
async fn a_workload_that_cannot_be_scaled_is_told_and_left_alone_for_a_while() {
    let scale = FakeScale::with(|stored| stored.refusal = Some(403));
    let scene = start(&scale);
    scene.waker.wake(&key());
    scene.counted("failed", 1).await;
    assert!(scene.waker.is_failing(&key()));
    scene.waker.wake(&key());
    eventually("an event", || !scene.events.requests().is_empty()).await;
    let event = &scene.events.requests()[0].body;
    assert_eq!((&event["reason"], &event["type"]), (&json!("ScaleFromZeroFailed"), &json!("Warning")));
    scene.counted("failed", 1).await;
}

impl Scene {
    /// Publishes a number for the variant.
    fn publish(&self, desired: u32) {
        self.shared.ledger.publish(&key(), desired);
    }

    async fn idle(&self) {
        eventually("the order to be carried out", || state(&self.waker.state).busy.is_empty()).await;
    }
}

#[tokio::test]
async fn a_workload_that_sleeps_gets_no_replicas_through_its_scale_subresource() {
    let scale = FakeScale::with(|stored| stored.replicas = 2);
    let scene = start(&scale);
    scene.publish(0);
    scene.waker.sleep(&key(), 2);
    scene.idle().await;
    assert_eq!((scale.replicas(), scale.writes()), (0, 1));
}

#[tokio::test]
async fn what_was_scaled_up_since_is_not_put_to_sleep() {
    let scale = FakeScale::with(|stored| stored.replicas = 3);
    let scene = start(&scale);
    scene.publish(0);
    scene.waker.sleep(&key(), 2);
    scene.idle().await;
    assert_eq!((scale.replicas(), scale.writes()), (3, 0));
}

#[tokio::test]
async fn who_scales_up_while_a_workload_is_put_to_sleep_wins() {
    let scale = FakeScale::with(|stored| (stored.replicas, stored.meanwhile) = (1, vec![4]));
    let scene = start(&scale);
    scene.publish(0);
    scene.waker.sleep(&key(), 1);
    scene.idle().await;
    assert_eq!((scale.replicas(), scale.writes()), (4, 1), "the one attempt was made over an old version");
}

#[tokio::test]
async fn a_workload_that_is_meant_to_run_by_now_is_not_put_to_sleep() {
    let scale = FakeScale::with(|stored| stored.replicas = 1);
    let scene = start(&scale);
    scene.publish(1);
    scene.waker.sleep(&key(), 1);
    scene.idle().await;
    assert_eq!((scale.replicas(), scale.writes()), (1, 0));
}

#[tokio::test]
async fn a_workload_that_cannot_be_put_to_sleep_is_told_and_can_be_woken_all_the_same() {
    let scale = FakeScale::with(|stored| (stored.replicas, stored.refusal) = (1, Some(403)));
    let scene = start(&scale);
    scene.publish(0);
    scene.waker.sleep(&key(), 1);
    eventually("an event", || !scene.events.requests().is_empty()).await;
    let event = &scene.events.requests()[0].body;
    assert_eq!((&event["reason"], &event["type"]), (&json!("ScaleToZeroFailed"), &json!("Warning")));
    let reads = scale.0.lock().unwrap().paths.len();
    scene.waker.sleep(&key(), 1);
    assert!(state(&scene.waker.state).busy.is_empty(), "not tried again at once");
    assert!(!scene.waker.is_failing(&key()) && reads == 1);
}
