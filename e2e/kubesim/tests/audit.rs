//! The audit log: one JSON object for each request, as kube-apiserver writes it.

use std::path::Path;

use kubesim::apiserver::{AuditLevel, AuditOptions, Authorization, Options, Server};
use reqwest::{Client, Method};
use serde_json::{Value, json};

struct World {
    server: Server,
    client: Client,
    directory: tempfile::TempDir,
}

impl World {
    async fn start(level: AuditLevel) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let audit = Some(AuditOptions { path: directory.path().join("audit.log"), level });
        let options = Options { audit, authorization: Authorization::Rbac, ..Options::default() };
        let server = Server::start(options).await.expect("a free loopback network");
        let authority = reqwest::Certificate::from_der(&server.ca_der()).expect("a certificate");
        let client = Client::builder().no_proxy().tls_certs_only([authority]).build().expect("a client");
        Self { server, client, directory }
    }

    async fn send(&self, method: Method, path: &str, token: &str, headers: &[(&str, &str)], body: &Value) -> String {
        let mut request = self.client.request(method, format!("{}{path}", self.server.url())).bearer_auth(token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.header("user-agent", "test/1").json(body).send().await.expect("an answer");
        response.text().await.expect("a body")
    }

    /// The events of the user agent `test/1`.
    fn events(&self) -> Vec<Value> {
        read(&self.directory.path().join("audit.log"))
    }
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a log");
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object a line"));
    events.filter(|event| event["userAgent"] == "test/1").collect()
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn each_request_is_told_with_who_what_and_outcome() {
    let world = World::start(AuditLevel::Metadata).await;
    let (admin, nobody) = (world.server.token("admin", &["system:masters"]), world.server.token("nobody", &[]));
    let map = json!({"metadata": {"name": "m"}, "data": {"a": "b"}});
    world.send(Method::POST, MAPS, &admin, &[], &map).await;
    world.send(Method::GET, &format!("{MAPS}/m"), &nobody, &[], &json!({})).await;
    world.send(Method::GET, &format!("{MAPS}?watch=true&timeoutSeconds=1"), &admin, &[], &json!({})).await;
    let as_nobody = [("impersonate-user", "nobody")];
    world.send(Method::DELETE, "/apis/apps/v1/namespaces/default/deployments/d", &admin, &as_nobody, &json!({})).await;
    let events = world.events();
    assert_eq!(events.len(), 4);
    let [create, get, watch, delete] = [&events[0], &events[1], &events[2], &events[3]];
    assert_eq!((&create["kind"], &create["apiVersion"]), (&json!("Event"), &json!("audit.k8s.io/v1")));
    assert_eq!((&create["level"], &create["stage"]), (&json!("Metadata"), &json!("ResponseComplete")));
    assert_eq!((&create["verb"], &create["requestURI"]), (&json!("create"), &json!(MAPS)));
    assert_eq!(create["user"]["username"], "admin");
    assert_eq!(
        create["objectRef"],
        json!({"resource": "configmaps", "namespace": "default", "name": "m", "apiVersion": "v1"})
    );
    assert_eq!(create["responseStatus"], json!({"metadata": {}, "code": 201}));
    assert_eq!(create["annotations"]["authorization.k8s.io/decision"], "allow");
    assert_eq!(create["sourceIPs"][0].as_str().map(|ip| ip.starts_with("127.")), Some(true));
    assert!(create.get("requestObject").is_none() && create.get("responseObject").is_none());
    assert_eq!((&get["responseStatus"]["code"], &get["responseStatus"]["reason"]), (&json!(403), &json!("Forbidden")));
    assert_eq!(get["annotations"]["authorization.k8s.io/decision"], "forbid");
    assert_eq!((&watch["verb"], &watch["responseStatus"]["code"]), (&json!("watch"), &json!(200)));
    assert!(
        watch["stageTimestamp"].as_str() > watch["requestReceivedTimestamp"].as_str(),
        "told when it ends: {watch}"
    );
    assert_eq!(
        (&delete["user"]["username"], &delete["impersonatedUser"]["username"]),
        (&json!("admin"), &json!("nobody"))
    );
    assert_eq!(delete["objectRef"]["apiGroup"], "apps");
    world.server.shutdown().await;
}

#[tokio::test]
async fn what_a_namespace_audits_its_pods_for_is_told_with_their_creation() {
    let world = World::start(AuditLevel::Metadata).await;
    let admin = world.server.token("admin", &["system:masters"]);
    let labels =
        json!({"pod-security.kubernetes.io/audit": "restricted", "pod-security.kubernetes.io/audit-version": "v1.7"});
    let namespace = json!({"metadata": {"name": "audited", "labels": labels}});
    world.send(Method::POST, "/api/v1/namespaces", &admin, &[], &namespace).await;
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
    world.send(Method::POST, "/api/v1/namespaces/audited/pods", &admin, &[], &pod).await;
    let annotations = &world.events()[1]["annotations"];
    assert_eq!(annotations["pod-security.kubernetes.io/enforce-policy"], "privileged:latest");
    assert_eq!(
        annotations["pod-security.kubernetes.io/audit-violations"],
        "would violate PodSecurity \"restricted:v1.7\": runAsNonRoot != true (pod or container \"c\" must set \
         securityContext.runAsNonRoot=true)"
    );
    world.server.shutdown().await;
}

#[tokio::test]
async fn bodies_are_told_when_they_are_asked_for_and_are_no_secrets() {
    let world = World::start(AuditLevel::RequestResponse).await;
    let admin = world.server.token("admin", &["system:masters"]);
    let map = json!({"metadata": {"name": "m"}, "data": {"a": "b"}});
    let answer = world.send(Method::POST, MAPS, &admin, &[], &map).await;
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}});
    world.send(Method::POST, "/api/v1/namespaces/default/secrets", &admin, &[], &secret).await;
    let events = world.events();
    assert_eq!(events[0]["requestObject"]["data"]["a"], "b");
    assert_eq!(events[0]["responseObject"], serde_json::from_str::<Value>(&answer).expect("JSON"));
    assert_eq!(events[1]["level"], "Metadata");
    assert_eq!(events[1]["objectRef"]["name"], "s");
    assert!(!events[1].to_string().contains("hunter2"));
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_the_start() {
    let audit = Some(AuditOptions { path: "/no/such/directory/audit.log".into(), level: AuditLevel::Metadata });
    let refused = Server::start(Options { audit, ..Options::default() }).await.expect_err("no start");
    assert!(refused.to_string().starts_with("opening the audit log /no/such/directory/audit.log: "), "{refused}");
}
