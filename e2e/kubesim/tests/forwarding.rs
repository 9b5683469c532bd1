//! Reaching pods through the API server: port-forward as client libraries speak it, and the HTTP proxy.

use axum::Router;
use axum::http::{HeaderMap, Uri};
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use kubesim::apiserver::{Options, Server};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server with a pod `web` in place of which this test answers on `port`.
struct World {
    server: Server,
    client: Client,
    port: u16,
}

impl World {
    async fn start() -> Self {
        let server = Server::start(Options::default()).await.expect("a free loopback network");
        let mut config = kube::Config::new(server.url().parse().expect("url"));
        config.root_cert = Some(vec![server.ca_der()]);
        let client = Client::try_from(config).expect("client");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("address").port();
        let echo = |uri: Uri, headers: HeaderMap, body: String| async move {
            let token = headers.contains_key("authorization");
            format!("{uri} token={token} {body}")
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(echo)).await });
        let world = Self { server, client, port };
        let spec = json!({"containers": [{"name": "main", "image": "x", "ports": [{"containerPort": port}]}]});
        world.create::<Pod>(json!({"metadata": {"name": "web"}, "spec": spec})).await;
        world
    }

    fn api<K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn create<K>(&self, object: Value)
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
    {
        let object: K = serde_json::from_value(object).expect("an object");
        self.api().create(&PostParams::default(), &object).await.expect("created");
    }

    async fn run_the_pod(&self) {
        let status = json!({"status": {"phase": "Running", "podIP": "127.0.0.1"}});
        let patch = Patch::Merge(&status);
        self.api::<Pod>().patch_status("web", &PatchParams::default(), &patch).await.expect("patched");
    }

    async fn get(&self, path: &str) -> String {
        let request = axum::http::Request::get(path).body(Vec::new()).expect("a request");
        self.client.request_text(request).await.expect("an answer")
    }
}

#[tokio::test]
async fn two_forwarded_ports_carry_bytes_both_ways() {
    let world = World::start().await;
    world.run_the_pod().await;
    let second = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let second_port = second.local_addr().expect("address").port();
    // More than fits into any buffer on the way.
    let long: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let sent = long.clone();
    let talker = tokio::spawn(async move {
        let (mut stream, _) = second.accept().await.expect("a connection");
        stream.write_all(&sent).await.expect("written");
        let mut reply = [0; 4];
        stream.read_exact(&mut reply).await.expect("read");
        reply
    });

    let mut forwarder = world.api::<Pod>().portforward("web", &[world.port, second_port]).await.expect("forwarded");
    let mut http = forwarder.take_stream(world.port).expect("the first port");
    let mut raw = forwarder.take_stream(second_port).expect("the second port");
    http.write_all(b"GET /v1/models HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await.expect("written");
    let (mut answer, mut received) = (String::new(), vec![0; long.len()]);
    let both = tokio::join!(http.read_to_string(&mut answer), async {
        raw.read_exact(&mut received).await?;
        raw.write_all(b"done").await
    });
    assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("/v1/models token=false "), "{answer}");
    assert_eq!(received, long);
    assert_eq!(talker.await.expect("the second port's other end"), *b"done");
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_port_nobody_listens_on_is_reported_on_its_error_channel() {
    let world = World::start().await;
    world.run_the_pod().await;
    let unused = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("address").port();
    let mut forwarder = world.api::<Pod>().portforward("web", &[unused]).await.expect("forwarded");
    let error = forwarder.take_error(unused).expect("an error channel").await.expect("an error");
    assert!(error.contains(&format!("an error occurred forwarding {unused}")), "{error}");
    world.server.shutdown().await;
}

#[tokio::test]
async fn only_a_running_pod_is_forwarded_to() {
    let world = World::start().await;
    let refusal = world.api::<Pod>().portforward("web", &[80]).await.err().expect("a refusal");
    assert!(refusal.to_string().contains("pod is not running"), "{refusal}");
    world.server.shutdown().await;
}

#[tokio::test]
async fn pods_and_services_are_reached_through_the_proxy() {
    let world = World::start().await;
    world.run_the_pod().await;
    let port = world.port;
    let ports = json!([{"name": "http", "port": 80, "targetPort": port}]);
    world.create::<Service>(json!({"metadata": {"name": "svc"}, "spec": {"ports": ports}})).await;
    let subsets = json!([{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"name": "http", "port": port}]}]);
    world.create::<Endpoints>(json!({"metadata": {"name": "svc"}, "subsets": subsets})).await;
    let namespace = "/api/v1/namespaces/default";
    for name in
        ["pods/web".to_owned(), format!("pods/http:web:{port}"), "services/svc:http".into(), "services/svc:80".into()]
    {
        let answer = world.get(&format!("{namespace}/{name}/proxy/v1/models?a=b%2Fc")).await;
        assert_eq!(answer, "/v1/models?a=b%2Fc token=false ", "{name}");
    }
    let sending = axum::http::Request::post(format!("{namespace}/pods/web/proxy/")).body(b"ping".to_vec());
    assert_eq!(world.client.request_text(sending.expect("a request")).await.expect("an answer"), "/ token=false ping");
    world.server.shutdown().await;
}
