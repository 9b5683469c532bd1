use std::sync::Mutex;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use super::*;
use crate::cluster::index::ObjectKey;

/// An API server that serves `ScaledObject`s, or not, and lets them be listed, or not. Its watches end at once.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    served: bool,
    forbidden: bool,
    objects: Vec<&'static str>,
}

impl Fake {
    fn change(&self, change: impl FnOnce(&mut Stored)) {
        change(&mut self.0.lock().unwrap());
    }
}

fn refused(code: u16) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": "No", "code": code});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}

async fn serve(State(fake): State<Fake>, request: Request) -> Response {
    let stored = fake.0.lock().unwrap();
    match request.uri().path() {
        _ if !stored.served => refused(404),
        "/apis/keda.sh/v1alpha1" => {
            let resource = json!({"name": "scaledobjects", "kind": "ScaledObject", "singularName": "", "namespaced": true, "verbs": []});
            Json(json!({"kind": "APIResourceList", "groupVersion": "keda.sh/v1alpha1", "resources": [resource]}))
                .into_response()
        }
        _ if stored.forbidden => refused(403),
        "/apis/keda.sh/v1alpha1/scaledobjects"
            if request.uri().query().is_some_and(|query| query.contains("watch=true")) =>
        {
            refused(500)
        }
        "/apis/keda.sh/v1alpha1/scaledobjects" => {
            let object = |name: &&str| {
                json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"namespace": "ns", "name": name},
                       "spec": {"scaleTargetRef": {"name": name}, "triggers": []}})
            };
            let items: Vec<Value> = stored.objects.iter().map(object).collect();
            let list = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObjectList", "metadata": {"resourceVersion": "1"}, "items": items});
            Json(list).into_response()
        }
        path => panic!("asked for {path}"),
    }
}

/// Follows the objects of that API server for as long as the set lives.
fn follow(fake: &Fake) -> (Arc<Shared>, Tasks) {
    let shared = Arc::new(Shared::default());
    let client = Client::new(Router::new().fallback(serve).with_state(fake.clone()), "default");
    let mut tasks = Tasks::default();
    start(&mut tasks, &client, &Scope::default(), &shared);
    (shared, tasks)
}

/// Waits, by a clock that does not wait, until a condition holds.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..60 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("{what}: not within a minute");
}

fn names(shared: &Shared) -> Vec<String> {
    shared.index().scaled_objects.keys().map(|key: &ObjectKey| key.name.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_controller_is_ready_where_keda_is_not_installed_and_follows_it_once_it_is() {
    let fake = Fake::default();
    let (shared, _tasks) = follow(&fake);
    assert_eq!(shared.lists.waits_for(), ["list of scaledobjects, or that there is no such kind"]);
    shared.lists.reached().await;
    assert_eq!(names(&shared), [""; 0]);

    fake.change(|stored| (stored.served, stored.objects) = (true, vec!["a"]));
    eventually("the first ScaledObject", || names(&shared) == ["a"]).await;
}

#[tokio::test(start_paused = true)]
async fn scaled_objects_are_known_before_the_first_decision_and_forgotten_when_keda_is_removed() {
    let fake = Fake::default();
    fake.change(|stored| (stored.served, stored.objects) = (true, vec!["a", "b"]));
    let (shared, _tasks) = follow(&fake);
    shared.lists.reached().await;
    assert_eq!(names(&shared), ["a", "b"]);
    fake.change(|stored| stored.served = false);
    eventually("none", || names(&shared).is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_may_not_read_scaled_objects_decides_without_them() {
    let fake = Fake::default();
    fake.change(|stored| (stored.served, stored.forbidden) = (true, true));
    let (shared, _tasks) = follow(&fake);
    shared.lists.reached().await;
    assert_eq!(names(&shared), [""; 0]);
}
