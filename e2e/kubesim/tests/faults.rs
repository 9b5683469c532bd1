//! Faults on purpose: that they strike what they are for, and that a cluster outlives them.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt as _};
use kubesim::apiserver::{Control, Fault, Matcher, Options, Server};
use serde_json::{Value, json};

struct World {
    server: Server,
    client: Client,
    control: Control,
}

impl World {
    async fn start() -> Self {
        let server = Server::start(Options::default()).await.expect("a free loopback network");
        let config = Kubeconfig::from_yaml(&server.kubeconfig(None)).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.expect("a config");
        let client = Client::try_from(config).expect("a client");
        let control = server.control();
        Self { server, client, control }
    }

    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn create(&self, name: &str) -> Result<ConfigMap, kube::Error> {
        let map = serde_json::from_value(json!({"metadata": {"name": name}})).expect("a map");
        self.maps().create(&PostParams::default(), &map).await
    }

    async fn version(&self) -> String {
        self.maps().list(&ListParams::default()).await.expect("listed").metadata.resource_version.expect("a version")
    }
}

/// Without the retries that the client library adds.
async fn answer(world: &World, method: reqwest::Method, path: &str, body: &Value) -> reqwest::Response {
    let authority = reqwest::Certificate::from_der(&world.server.ca_der()).expect("a certificate");
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().expect("a client");
    client.request(method, format!("{}{path}", world.server.url())).json(body).send().await.expect("an answer")
}

fn code<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> u16 {
    match result.expect_err("a refusal") {
        kube::Error::Api(status) => status.code,
        _ => 0,
    }
}

#[tokio::test]
async fn a_refusal_strikes_what_it_names_and_no_longer_than_it_says() {
    let world = World::start().await;
    world.create("a").await.expect("created");
    let patches = Matcher::all().verbs(["patch"]).resources(["configmaps"]);
    world.control.inject(Fault::status(patches, 409).times(2));
    let patch = async || {
        let change = json!({"data": {"x": "1"}});
        world.maps().patch("a", &PatchParams::default(), &Patch::Merge(&change)).await
    };
    assert_eq!((code(patch().await), code(patch().await)), (409, 409));
    patch().await.expect("struck twice only");
    world.maps().get("a").await.expect("never meant");

    let body =
        json!({"match": {"verbs": ["list"], "resources": ["namespaces"]}, "status": 429, "retryAfterSeconds": 7});
    let injected: Value =
        answer(&world, reqwest::Method::POST, "/debug/faults", &body).await.json().await.expect("a number");
    let refused = answer(&world, reqwest::Method::GET, "/api/v1/namespaces", &json!({})).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].as_bytes()), (429, &b"7"[..]));
    let status: Value = refused.json().await.expect("a status");
    assert_eq!((&status["reason"], &status["details"]["retryAfterSeconds"]), (&json!("TooManyRequests"), &json!(7)));
    let place = format!("/debug/faults/{}", injected["id"]);
    let removed: Value = answer(&world, reqwest::Method::DELETE, &place, &json!({})).await.json().await.expect("it");
    assert_eq!(removed["struck"], 1);
    Api::<Namespace>::all(world.client.clone()).list(&ListParams::default()).await.expect("over");
    world.server.shutdown().await;
}

#[tokio::test]
async fn requests_are_delayed_or_cut_off() {
    let world = World::start().await;
    let lists = Matcher::all().verbs(["list"]).resources(["configmaps"]);
    let delay = Duration::from_millis(300);
    world.control.inject(Fault::delay(lists.clone(), delay));
    let start = Instant::now();
    world.maps().list(&ListParams::default()).await.expect("late but complete");
    assert!(start.elapsed() >= delay);
    world.control.clear_faults();
    let id = world.control.inject(Fault::disconnect(lists));
    assert_eq!(code(world.maps().list(&ListParams::default()).await), 0);
    assert!(world.control.remove_fault(id).expect("in force").struck >= 1);
    world.maps().list(&ListParams::default()).await.expect("over");
    world.server.shutdown().await;
}

#[tokio::test]
async fn watches_are_broken_off_or_expire() {
    let world = World::start().await;
    let maps = world.maps();
    let watches = Matcher::all().resources(["configmaps"]);
    for (expire, ends) in [(false, "broken off"), (true, "410")] {
        let version = world.version().await;
        let mut events = maps.watch(&WatchParams::default(), &version).await.expect("watching").boxed();
        world.create(&format!("seen-{expire}")).await.expect("created");
        assert!(matches!(events.try_next().await, Ok(Some(WatchEvent::Added(_)))));
        let other = Matcher::all().resources(["secrets"]);
        assert_eq!(world.control.drop_watches(&other), 0);
        let ended = if expire { world.control.expire_watches(&watches) } else { world.control.drop_watches(&watches) };
        assert_eq!(ended, 1);
        match events.next().await {
            Some(Ok(WatchEvent::Error(status))) => assert_eq!((status.code, ends), (410, "410")),
            // The client library takes a connection that breaks off for the end of the stream.
            Some(Err(_)) | None => assert_eq!(ends, "broken off"),
            Some(Ok(other)) => assert_eq!(format!("{other:?}"), ends),
        }
    }
    world.server.shutdown().await;
}

#[tokio::test]
async fn after_a_compaction_only_new_versions_can_be_continued_from() {
    let world = World::start().await;
    let version = world.version().await;
    let mut open = world.maps().watch(&WatchParams::default(), &version).await.expect("watching").boxed();
    world.control.compact();
    let mut late = world.maps().watch(&WatchParams::default(), &version).await.expect("an answer").boxed();
    let Some(Ok(WatchEvent::Error(status))) = late.next().await else { unreachable_event() };
    assert_eq!((status.code, &*status.reason), (410, "Expired"));
    let version = world.version().await;
    let mut again = world.maps().watch(&WatchParams::default(), &version).await.expect("watching").boxed();
    world.create("a").await.expect("created");
    for events in [&mut open, &mut again] {
        assert!(matches!(events.next().await, Some(Ok(WatchEvent::Added(map))) if map.name_any() == "a"));
    }
    world.server.shutdown().await;
}

#[expect(clippy::panic, reason = "a test that cannot go on has failed")]
fn unreachable_event() -> ! {
    panic!("expected an error event")
}

#[tokio::test]
async fn objects_outlive_a_server_that_stops_listening() {
    let world = World::start().await;
    let created = world.create("a").await.expect("created");
    let version = world.version().await;
    let mut events = world.maps().watch(&WatchParams::default(), &version).await.expect("watching").boxed();
    world.control.stop_listening().await;
    assert!(!matches!(events.next().await, Some(Ok(_))), "the connection is gone");
    assert_eq!(code(world.maps().get("a").await), 0);
    world.control.listen_again().await.expect("the same address");
    assert_eq!(world.maps().get("a").await.expect("still there").uid(), created.uid());
    let mut events = world.maps().watch(&WatchParams::default(), &version).await.expect("watching").boxed();
    world.create("b").await.expect("created");
    assert!(matches!(events.next().await, Some(Ok(WatchEvent::Added(map))) if map.name_any() == "b"));

    answer(&world, reqwest::Method::POST, "/debug/restart", &json!({"downMilliseconds": 10})).await;
    let back = async {
        while world.maps().get("b").await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("back after the restart");
    world.server.shutdown().await;
}
