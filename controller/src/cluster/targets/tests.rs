use std::sync::Mutex;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use super::*;
use crate::cluster::index::target::{PodsOf, Target};
use crate::cluster::index::{Index, Variant};
use crate::cluster::scale::Woken;
use crate::fixtures::{eventually, variant};

/// An API server with one StatefulSet `a`, whose watches end with errors so that it is read again and again.
#[derive(Clone, Default)]
struct Sets(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    replicas: Option<u32>,
    served: bool,
    scalable: bool,
    requests: Vec<String>,
}

impl Sets {
    fn with(change: impl FnOnce(&mut Stored)) -> Self {
        let sets = Self::default();
        *sets.0.lock().unwrap() = Stored { served: true, scalable: true, ..Stored::default() };
        sets.change(change);
        sets
    }

    fn change(&self, change: impl FnOnce(&mut Stored)) {
        change(&mut self.0.lock().unwrap());
    }

    fn client(&self) -> Client {
        Client::new(Router::new().fallback(serve).with_state(self.clone()), "default")
    }

    fn asked(&self, what: &str) -> usize {
        self.0.lock().unwrap().requests.iter().filter(|line| line.contains(what)).count()
    }
}

async fn serve(State(sets): State<Sets>, request: Request) -> Response {
    let (path, is_patch) = (request.uri().path().to_owned(), request.method() == Method::PATCH);
    sets.change(|stored| stored.requests.push(format!("{} {path}", request.method())));
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let mut stored = sets.0.lock().unwrap();
    let metadata = json!({"name": "a", "namespace": "ns", "uid": "uid-a", "resourceVersion": "7"});
    match path.as_str() {
        "/apis/apps/v1" if stored.served => {
            let mut resources = vec![json!({"name": "statefulsets", "kind": "StatefulSet"})];
            if stored.scalable {
                resources.push(json!({"name": "statefulsets/scale", "kind": "Scale"}));
            }
            for resource in &mut resources {
                resource["singularName"] = json!("");
                resource["namespaced"] = json!(true);
                resource["verbs"] = json!(["get"]);
            }
            Json(json!({"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": resources})).into_response()
        }
        "/apis/apps/v1/namespaces/ns/statefulsets/a" if stored.replicas.is_some() => {
            let container = json!({"name": "c", "resources": {"limits": {"nvidia.com/gpu": "4"}}});
            let template = json!({"spec": {"containers": [container]}});
            let object = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": {"template": template}});
            Json(object).into_response()
        }
        "/apis/apps/v1/namespaces/ns/statefulsets/a/scale" if stored.replicas.is_some() => {
            if is_patch {
                let change: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(change["metadata"]["resourceVersion"], "7");
                stored.replicas = Some(u32::try_from(change["spec"]["replicas"].as_u64().unwrap()).unwrap());
            }
            let (spec, status) =
                (json!({"replicas": stored.replicas}), json!({"replicas": stored.replicas, "selector": "app=a"}));
            let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": spec, "status": status});
            Json(scale).into_response()
        }
        _ => {
            let status =
                json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"});
            (StatusCode::NOT_FOUND, Json(status)).into_response()
        }
    }
}

struct Scene {
    sets: Sets,
    shared: Arc<Shared>,
    _task: tokio::task::AbortHandle,
}

/// A follower beside one variant whose target is the StatefulSet `a`.
fn scene(sets: Sets) -> Scene {
    let shared = Arc::new(Shared::default());
    *shared.index() = Index::default().with_variant(&variant("a").replace("Deployment", "StatefulSet"));
    let scales = Arc::new(Scales::new(sets.client()));
    let targets = Targets::new(sets.client(), scales, &Scope::default(), Arc::clone(&shared));
    let task = tokio::spawn(targets.run()).abort_handle();
    Scene { sets, shared, _task: task }
}

impl Scene {
    /// Waits until the target satisfies a condition.
    async fn target(&self, what: &str, condition: impl Fn(Target<'_>) -> bool) {
        let holds = || {
            let index = self.shared.index();
            let variant = index.variants.values().next().unwrap();
            condition(index.target("ns", &variant.target))
        };
        eventually(what, holds).await;
    }
}

#[tokio::test]
async fn a_target_of_another_kind_is_read_through_its_scale_subresource() {
    let scene = scene(Sets::with(|stored| stored.replicas = Some(3)));
    let found = |target: Target<'_>| {
        let Target::Found(found) = target else { return false };
        let PodsOf::Selector { selector: Some(selector), .. } = found.pods else { return false };
        assert_eq!((found.spec_replicas, found.status_replicas, found.gpus_per_replica), (3, 3, 4));
        assert_eq!((selector[0].to_string().as_str(), found.accelerator), ("app=a", Some("nvidia.com/gpu")));
        assert!(found.server.is_some(), "its template says how servers are started");
        true
    };
    scene.target("the StatefulSet", found).await;
    assert_eq!(scene.sets.asked("GET /apis/apps/v1"), scene.sets.asked("/statefulsets") + 1, "discovered once");
}

#[tokio::test]
async fn a_kind_that_cannot_be_scaled_says_why() {
    let unscalable = scene(Sets::with(|stored| stored.scalable = false));
    let says = |words: &'static str| move |target: Target<'_>| matches!(target, Target::Unscalable(why) if why.contains(words));
    unscalable.target("not scalable", says("Kind StatefulSet (apps/v1) has no scale subresource")).await;
    let unknown = scene(Sets::with(|stored| stored.served = false));
    unknown.target("not served", says("Kind StatefulSet (apps/v1) is not served by this cluster")).await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_goes_or_is_served_late_is_noticed_without_a_watch() {
    let scene = scene(Sets::with(|stored| stored.served = false));
    scene.target("not served", |target| matches!(target, Target::Unscalable(_))).await;
    scene.sets.change(|stored| stored.served = true);
    let wait = async |condition: fn(Target<'_>) -> bool| {
        for _ in 0..10 {
            tokio::time::sleep(LOOK_AGAIN).await;
            let index = scene.shared.index();
            if condition(index.target("ns", &index.variants.values().next().unwrap().target)) {
                return true;
            }
        }
        false
    };
    assert!(wait(|target| target == Target::Missing).await);
    scene.sets.change(|stored| stored.replicas = Some(1));
    assert!(wait(|target| matches!(target, Target::Found(_))).await);
    scene.sets.change(|stored| stored.replicas = None);
    assert!(wait(|target| target == Target::Missing).await);
}

#[tokio::test]
async fn what_is_no_target_any_longer_is_forgotten() {
    let scene = scene(Sets::with(|stored| stored.replicas = Some(3)));
    scene.target("the StatefulSet", |target| matches!(target, Target::Found(_))).await;
    let _effect = scene.shared.index().delete::<Variant>(&ObjectKey::new("ns", "a"));
    scene.shared.targets.notify_one();
    eventually("forgotten", || scene.shared.index().scaled.is_empty()).await;
}

#[tokio::test]
async fn a_stateful_set_is_woken_through_its_scale_subresource_and_only_from_zero() {
    let sets = Sets::with(|stored| stored.replicas = Some(0));
    let scales = Scales::new(sets.client());
    let kind = TargetKind { api_version: "apps/v1".to_owned(), kind: "StatefulSet".to_owned() };
    let wake = async || scales.wake(&kind, &ObjectKey::new("ns", "a"), "wva-controller").await.unwrap();
    assert_eq!(wake().await, Woken::Up);
    assert_eq!(wake().await, Woken::AlreadyAt(1));
    assert_eq!(sets.asked("PATCH"), 1);
    sets.change(|stored| assert_eq!(stored.replicas, Some(1)));
}
