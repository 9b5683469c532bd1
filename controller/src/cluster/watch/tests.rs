use std::sync::Mutex;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{eventually, variant, yaml};

/// An API server that lists what it is given per kind and then leaves watches open.
#[derive(Clone, Default)]
struct Lists(Arc<Mutex<Listed>>);

#[derive(Default)]
struct Listed {
    variants: Vec<Value>,
    uris: Vec<String>,
    down: bool,
}

async fn serve(State(lists): State<Lists>, request: Request) -> Response {
    match lists.answer(&request.uri().to_string()) {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

impl Lists {
    /// The answer to a list; `None` for a watch, which stays open.
    fn answer(&self, uri: &str) -> Option<Response> {
        let mut state = self.0.lock().unwrap();
        state.uris.push(uri.to_owned());
        if state.down {
            return Some(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        }
        if uri.contains("watch=true") {
            return None;
        }
        let items = if uri.contains("variantautoscalings") { state.variants.clone() } else { Vec::new() };
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": items});
        Some(axum::Json(list).into_response())
    }

    fn start(&self, scope: &Scope) -> (Arc<Shared>, Tasks) {
        let client = Client::new(Router::new().fallback(serve).with_state(self.clone()), "default");
        let shared = Arc::new(Shared::default());
        let mut watches = Tasks::default();
        start(&mut watches, &client, scope, &shared);
        (shared, watches)
    }
}

async fn synced(shared: &Shared) {
    tokio::time::timeout(Duration::from_secs(5), shared.lists.reached()).await.unwrap();
}

#[tokio::test]
async fn an_object_that_cannot_be_read_hides_no_other() {
    let lists = Lists::default();
    let broken = variant("broken").replace("scaleTargetRef: {kind: Deployment, name: broken}", "scaleTargetRef: 7");
    lists.0.lock().unwrap().variants = vec![yaml(&broken), yaml(&variant("fine"))];
    let (shared, _watches) = lists.start(&Scope::default());
    synced(&shared).await;
    let index = shared.index();
    assert_eq!(index.variants.keys().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["fine"]);
    assert!(index.unreadable.contains_key(&("variantautoscalings", ObjectKey::new("ns", "broken"))));
}

#[tokio::test]
async fn variants_are_selected_by_the_api_server() {
    let lists = Lists::default();
    let scope = Scope { instance: wva_api::Instance::parse("team-a").unwrap(), ..Scope::default() };
    let (shared, _watches) = lists.start(&scope);
    synced(&shared).await;
    let state = lists.0.lock().unwrap();
    let of_variants: Vec<_> = state.uris.iter().filter(|uri| uri.contains("variantautoscalings")).collect();
    assert!(!of_variants.is_empty());
    let selector = "labelSelector=wva.llmd.ai%2Fcontroller-instance%3Dteam-a";
    assert!(of_variants.iter().all(|uri| uri.contains(selector)), "{of_variants:?}");
}

#[tokio::test]
async fn namespaces_given_by_name_are_the_only_ones_asked_for() {
    let lists = Lists::default();
    let scope = Scope { namespaces: ["a".to_owned(), "b".to_owned()].into(), ..Scope::default() };
    let (shared, _watches) = lists.start(&scope);
    synced(&shared).await;
    let state = lists.0.lock().unwrap();
    assert!(state.uris.iter().all(|uri| uri.contains("/namespaces/a/") || uri.contains("/namespaces/b/")));
    assert!(["a", "b"].iter().all(|ns| state.uris.iter().any(|uri| uri.contains(&format!("/namespaces/{ns}/pods")))));
}

#[tokio::test]
async fn an_api_server_that_comes_late_is_waited_for() {
    let lists = Lists::default();
    lists.0.lock().unwrap().down = true;
    let (shared, _watches) = lists.start(&Scope::default());
    eventually("attempts", || lists.0.lock().unwrap().uris.len() > 6).await;
    assert!(shared.lists.waits_for().contains(&"list of variantautoscalings".to_owned()));
    lists.0.lock().unwrap().down = false;
    synced(&shared).await;
}

#[test]
fn pauses_grow_up_to_five_seconds() {
    let pauses: Vec<u128> = (0..7).map(|failures| pause_after(failures).as_millis()).collect();
    assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 5000, 5000]);
}
