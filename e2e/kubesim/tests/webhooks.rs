//! Admission webhooks: what they are told, what they may change and refuse, and what becomes of a request when they do not
//! answer.

#[path = "webhooks/server.rs"]
mod server;

use std::time::{Duration, Instant};

use kubesim::apiserver::{AuditLevel, AuditOptions, Options, Server};
use reqwest::{Client, Method};
use rstest::rstest;
use serde_json::{Value, json};
use server::Webhook;

struct World {
    server: Server,
    client: Client,
    directory: tempfile::TempDir,
}

/// An answer: its code, its body, and the warnings beside it.
struct Answer {
    code: u16,
    body: Value,
    warnings: Vec<String>,
}

impl Answer {
    fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const VALIDATING: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

impl World {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let audit = AuditOptions { path: directory.path().join("audit.log"), level: AuditLevel::RequestResponse };
        let server = Server::start(Options { audit: Some(audit), ..Options::default() }).await.expect("a free network");
        let authority = reqwest::Certificate::from_der(&server.ca_der()).expect("a certificate");
        let client = Client::builder().no_proxy().tls_certs_only([authority]).build().expect("a client");
        Self { server, client, directory }
    }

    async fn send(&self, method: Method, path: &str, content_type: &str, body: &Value) -> Answer {
        let request = self.client.request(method, format!("{}{path}", self.server.url()));
        let response =
            request.header("content-type", content_type).body(body.to_string()).send().await.expect("an answer");
        let warnings = response.headers().get_all("warning").iter();
        let warnings = warnings.map(|value| value.to_str().expect("text").to_owned()).collect();
        Answer { code: response.status().as_u16(), body: response.json().await.expect("JSON"), warnings }
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, "application/json", body).await
    }

    async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, "application/merge-patch+json", body).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, "application/json", &json!({})).await
    }

    async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, "application/json", &Value::Null).await.body
    }

    /// Registers one webhook for all writes of ConfigMaps; `fields` replace or add to those of the webhook.
    async fn register(&self, path: &str, name: &str, hook: &Webhook, fields: &Value) {
        let mut webhook = json!({
            "name": format!("{name}.example.com"),
            "clientConfig": {"url": hook.url("/review"), "caBundle": hook.authority()},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"],
                "operations": ["CREATE", "UPDATE", "DELETE"]}],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        });
        for (field, value) in fields.as_object().into_iter().flatten() {
            webhook[field] = value.clone();
        }
        let answer = self.post(path, &json!({"metadata": {"name": name}, "webhooks": [webhook]})).await;
        assert_eq!(answer.code, 201, "{}", answer.body);
    }

    /// The audit event of the last request with this verb on this resource.
    fn audited(&self, verb: &str, resource: &str) -> Value {
        let text = std::fs::read_to_string(self.directory.path().join("audit.log")).expect("a log");
        let mut events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object a line"));
        let last = events.rfind(|event| event["verb"] == verb && event["objectRef"]["resource"] == resource);
        last.expect("an event")
    }
}

fn map(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"a": "b"}})
}

#[tokio::test]
async fn a_validating_webhook_is_told_of_each_write_and_may_refuse_it() {
    let world = World::start().await;
    let hook = Webhook::start(|request| {
        let refused = request["operation"] == "DELETE";
        json!({"allowed": !refused, "status": {"message": "kept on purpose", "code": 403, "reason": "Forbidden"},
            "warnings": ["seen"], "auditAnnotations": {"seen": "yes"}})
    })
    .await;
    world.register(VALIDATING, "guard", &hook, &json!({})).await;
    let created = world.post(&format!("{MAPS}?fieldManager=me"), &map("m")).await;
    assert_eq!((created.code, created.warnings), (201, vec!["299 - \"seen\"".to_owned()]));
    assert_eq!(world.audited("create", "configmaps")["annotations"]["guard.example.com/seen"], "yes");
    let refused = world.delete(&format!("{MAPS}/m")).await;
    assert_eq!(refused.code, 403);
    assert_eq!(refused.message(), "admission webhook \"guard.example.com\" denied the request: kept on purpose");
    assert_eq!(refused.body["reason"], "Forbidden");
    let reviews = hook.reviews();
    let request = &reviews[0]["request"];
    assert_eq!(reviews[0]["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(request["kind"], json!({"group": "", "version": "v1", "kind": "ConfigMap"}));
    assert_eq!(request["resource"], json!({"group": "", "version": "v1", "resource": "configmaps"}));
    assert_eq!(request["requestKind"], request["kind"]);
    assert_eq!((&request["name"], &request["namespace"]), (&json!("m"), &json!("default")));
    assert_eq!(request["userInfo"]["username"], "kubernetes-admin");
    assert_eq!(request["object"]["data"], json!({"a": "b"}));
    assert_eq!(request["object"]["metadata"]["uid"], created.body["metadata"]["uid"]);
    assert_eq!((&request["oldObject"], &request["dryRun"]), (&Value::Null, &json!(false)));
    assert_eq!(request["options"]["fieldManager"], "me");
    let deletion = &reviews[1]["request"];
    assert_eq!((&deletion["operation"], &deletion["object"]), (&json!("DELETE"), &Value::Null));
    assert_eq!(deletion["oldObject"]["metadata"]["uid"], created.body["metadata"]["uid"]);
    assert_eq!(deletion["options"]["kind"], "DeleteOptions");
}

#[tokio::test]
async fn mutating_webhooks_change_objects_in_order_of_their_names_and_see_what_others_made() {
    let world = World::start().await;
    // The first adds a word, and adds it again when the second has added its own.
    let first = Webhook::start(|request| {
        let words = request["object"]["data"]["words"].as_str().unwrap_or_default();
        server::patch(&json!([{"op": "add", "path": "/data/words", "value": format!("{words}first ")}]))
    })
    .await;
    let second = Webhook::start(|request| {
        let words = request["object"]["data"]["words"].as_str().unwrap_or_default();
        server::patch(&json!([{"op": "add", "path": "/data/words", "value": format!("{words}second ")}]))
    })
    .await;
    world.register(MUTATING, "b-second", &second, &json!({})).await;
    world.register(MUTATING, "a-first", &first, &json!({"reinvocationPolicy": "IfNeeded"})).await;
    let created = world.post(MAPS, &map("m")).await;
    assert_eq!(created.body["data"]["words"], "first second first ", "{}", created.body);
    assert_eq!(world.get(&format!("{MAPS}/m")).await["data"]["words"], "first second first ");
    let seen = &first.reviews()[0]["request"]["object"]["metadata"];
    assert_eq!((seen.get("uid"), seen.get("creationTimestamp")), (None, None), "given when it is stored");
    let annotations = &world.audited("create", "configmaps")["annotations"];
    let told = annotations["mutation.webhook.admission.k8s.io/round_0_index_0"].as_str().expect("an annotation");
    let told: Value = serde_json::from_str(told).expect("JSON");
    assert_eq!(told, json!({"configuration": "a-first", "webhook": "a-first.example.com", "mutated": true}));
    assert!(annotations["patch.webhook.admission.k8s.io/round_1_index_0"].is_string(), "{annotations}");
}

#[tokio::test]
async fn what_a_webhook_makes_of_an_object_gets_defaults_and_is_validated() {
    let world = World::start().await;
    let hook = Webhook::start(|request| {
        let ports = match request["name"].as_str() {
            Some("good") => json!([{"port": 80}]),
            _ => json!([{"port": 0}]),
        };
        server::patch(&json!([{"op": "add", "path": "/spec/ports", "value": ports}]))
    })
    .await;
    let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["services"], "operations": ["*"]}]);
    world.register(MUTATING, "ports", &hook, &json!({ "rules": rules })).await;
    let service = |name: &str| json!({"metadata": {"name": name}, "spec": {"selector": {"a": "b"}}});
    let good = world.post("/api/v1/namespaces/default/services", &service("good")).await;
    assert_eq!(good.body["spec"]["ports"], json!([{"port": 80, "protocol": "TCP", "targetPort": 80}]));
    let bad = world.post("/api/v1/namespaces/default/services", &service("bad")).await;
    assert_eq!(bad.code, 422, "{}", bad.body);
}

#[tokio::test]
async fn a_container_that_a_webhook_adds_is_one_of_the_account_as_well() {
    let world = World::start().await;
    let hook = Webhook::start(|_| {
        server::patch(&json!([
            {"op": "add", "path": "/spec/containers/-", "value": {"name": "sidecar", "image": "example/shell:v1"}},
        ]))
    })
    .await;
    let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}]);
    world.register(MUTATING, "sidecar", &hook, &json!({ "rules": rules })).await;
    let pod = json!({"metadata": {"generateName": "p-"}, "spec": {"containers": [{"name": "a", "image": "x:v1"}]}});
    let created = world.post("/api/v1/namespaces/default/pods", &pod).await.body;
    let mounts = |index: usize| created["spec"]["containers"][index]["volumeMounts"][0]["name"].clone();
    assert!(mounts(0).is_string() && mounts(0) == mounts(1), "{created}");
    assert_eq!(created["spec"]["volumes"].as_array().map(Vec::len), Some(1));
    assert_eq!(created["spec"]["containers"][1]["imagePullPolicy"], "IfNotPresent");
    let seen = hook.reviews();
    assert_eq!(seen[0]["request"]["object"]["metadata"].get("name"), None, "generated when it is stored");
    assert_eq!(seen.len(), 1);
}

#[tokio::test]
async fn a_webhook_may_itself_be_a_client_of_the_server() {
    let world = World::start().await;
    let (client, url) = (world.client.clone(), world.server.url());
    let hook = Webhook::start_async(move |request| {
        let (client, url) = (client.clone(), url.clone());
        Box::pin(async move {
            // It keeps count of what it lets pass, where its own writes pass as well.
            let name = request["name"].as_str().unwrap_or_default().to_owned();
            let count = json!({"metadata": {"name": format!("count-{name}")}});
            let answer = client.post(format!("{url}/api/v1/namespaces/kube-public/configmaps")).json(&count).send();
            let code = answer.await.expect("an answer").status().as_u16();
            json!({"allowed": code == 201, "status": {"message": format!("the count was refused with {code}")}})
        })
    })
    .await;
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": "default"}});
    world.register(VALIDATING, "counting", &hook, &json!({ "namespaceSelector": selector })).await;
    let answer = world.post(MAPS, &map("m")).await;
    assert_eq!(answer.code, 201, "{}", answer.body);
    let count = world.get("/api/v1/namespaces/kube-public/configmaps/count-m").await;
    assert_eq!(count["metadata"]["name"], "count-m");
}

#[tokio::test]
async fn a_patch_is_made_again_on_what_was_written_while_a_webhook_thought() {
    let world = World::start().await;
    world.post(MAPS, &map("m")).await;
    let (client, url) = (world.client.clone(), format!("{}{MAPS}/m", world.server.url()));
    let hook = Webhook::start_async(move |request| {
        let (client, url) = (client.clone(), url.clone());
        Box::pin(async move {
            if request["object"]["data"].get("other").is_none() {
                let patch = json!({"metadata": {"labels": {"by": "webhook"}}, "data": {"other": "writer"}});
                let body = client.patch(url).header("content-type", "application/merge-patch+json");
                body.body(patch.to_string()).send().await.expect("an answer").error_for_status().expect("written");
            }
            json!({"allowed": true})
        })
    })
    .await;
    let condition = json!([{"name": "mine", "expression": "!has(object.metadata.labels)
        || !('by' in object.metadata.labels) || has(object.data.mine)"}]);
    world.register(VALIDATING, "meddler", &hook, &json!({ "matchConditions": condition })).await;
    let patched = world.patch(&format!("{MAPS}/m"), &json!({"data": {"mine": "too"}})).await;
    assert_eq!(patched.code, 200, "{}", patched.body);
    assert_eq!(patched.body["data"], json!({"a": "b", "mine": "too", "other": "writer"}));
    let stale = json!({"metadata": {"name": "m", "resourceVersion": "1"}, "data": {}});
    let refused = world.send(Method::PUT, &format!("{MAPS}/m"), "application/json", &stale).await;
    assert_eq!(refused.code, 409, "an update is not made again: {}", refused.body);
}

#[rstest]
#[case::dead(
    "Fail",
    500,
    "Internal error occurred: failed calling webhook \"gone.example.com\": failed to call webhook: \
    Post \"URL?timeout=10s\": dial tcp ADDRESS: connect: connection refused"
)]
#[case::excused("Ignore", 201, "")]
#[tokio::test]
async fn a_webhook_that_is_gone_fails_requests_or_is_ignored(
    #[case] policy: &str,
    #[case] code: u16,
    #[case] message: &str,
) {
    let world = World::start().await;
    let hook = Webhook::start(|_| json!({"allowed": true})).await;
    world.register(VALIDATING, "gone", &hook, &json!({ "failurePolicy": policy })).await;
    let (url, address) = (hook.url("/review"), hook.address());
    hook.stop().await;
    let answer = world.post(MAPS, &map("m")).await;
    let message = message.replace("URL", &url).replace("ADDRESS", &address);
    assert_eq!((answer.code, answer.message()), (code, message.as_str()));
    let failed_open = "failed-open.validating.webhook.admission.k8s.io/round_0_index_0";
    let annotation = &world.audited("create", "configmaps")["annotations"][failed_open];
    assert_eq!(annotation.as_str(), (policy == "Ignore").then_some("gone.example.com"));
}

#[tokio::test]
async fn a_slow_webhook_has_as_long_as_its_configuration_says_and_holds_nobody_else_up() {
    let world = World::start().await;
    let hook = Webhook::start_async(|_| Box::pin(std::future::pending())).await;
    let selector = json!({"matchLabels": {"slow": "yes"}});
    world.register(VALIDATING, "slow", &hook, &json!({"timeoutSeconds": 1, "objectSelector": selector})).await;
    let mut labelled = map("m");
    labelled["metadata"]["labels"] = json!({"slow": "yes"});
    let begun = Instant::now();
    let slow = world.post(MAPS, &labelled);
    let quick = async {
        hook.asked().await;
        let answer = world.post(MAPS, &map("other")).await;
        (answer.code, begun.elapsed())
    };
    let (slow, (code, waited)) = tokio::join!(slow, quick);
    assert_eq!(code, 201);
    assert!(waited < Duration::from_secs(1), "held up for {waited:?}");
    let url = hook.url("/review");
    assert_eq!(
        slow.message(),
        format!(
            "Internal error occurred: failed calling webhook \"slow.example.com\": failed to call webhook: \
             Post \"{url}?timeout=1s\": context deadline exceeded"
        )
    );
}

#[tokio::test]
async fn a_dry_run_reaches_only_webhooks_without_side_effects() {
    let world = World::start().await;
    let hook = Webhook::start(|_| server::patch(&json!([{"op": "add", "path": "/data/added", "value": "x"}]))).await;
    world.register(MUTATING, "pure", &hook, &json!({"sideEffects": "NoneOnDryRun"})).await;
    let path = format!("{MAPS}?dryRun=All");
    let answer = world.post(&path, &map("m")).await;
    assert_eq!((answer.code, &answer.body["data"]["added"]), (201, &json!("x")));
    assert_eq!(hook.reviews()[0]["request"]["dryRun"], true);
    assert_eq!(world.get(&format!("{MAPS}/m")).await["code"], 404);
}

#[tokio::test]
async fn nobody_is_asked_about_configurations_of_webhooks() {
    let world = World::start().await;
    let hook = Webhook::start(|_| json!({"allowed": false})).await;
    let rules = json!([{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "operations": ["*"]}]);
    world.register(VALIDATING, "everything", &hook, &json!({ "rules": rules })).await;
    let refused = world.post(MAPS, &map("m")).await;
    let denied = "admission webhook \"everything.example.com\" denied the request without explanation";
    assert_eq!((refused.code, refused.message()), (400, denied));
    assert_eq!(world.delete(&format!("{VALIDATING}/everything")).await.code, 200);
    assert_eq!(world.post(MAPS, &map("m")).await.code, 201);
}

#[tokio::test]
async fn a_webhook_of_one_version_is_asked_about_objects_of_the_other_unless_it_wants_exact_matches() {
    let world = World::start().await;
    let hook = Webhook::start(|_| json!({"allowed": true})).await;
    let rules = json!([{"apiGroups": ["autoscaling"], "apiVersions": ["v2"], "operations": ["CREATE"],
        "resources": ["horizontalpodautoscalers"]}]);
    world.register(VALIDATING, "equivalent", &hook, &json!({"rules": rules})).await;
    let exact = Webhook::start(|_| json!({"allowed": false})).await;
    world.register(VALIDATING, "exact", &exact, &json!({"rules": rules, "matchPolicy": "Exact"})).await;
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"});
    let hpa = json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "scaleTargetRef": target,
        "targetCPUUtilizationPercentage": 70}});
    let answer = world.post("/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers", &hpa).await;
    assert_eq!(answer.code, 201, "{}", answer.body);
    let reviews = hook.reviews();
    let request = &reviews[0]["request"];
    assert_eq!((&request["kind"]["version"], &request["requestKind"]["version"]), (&json!("v2"), &json!("v1")));
    assert_eq!(request["object"]["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 70);
}

#[tokio::test]
async fn a_service_stands_for_the_address_of_its_endpoints() {
    let world = World::start().await;
    let hook = Webhook::start(|_| json!({"allowed": false, "status": {"message": "by the service"}})).await;
    let reference = json!({"name": "hook", "namespace": "default", "path": "/check"});
    let config = json!({"service": reference, "caBundle": hook.authority()});
    world.register(VALIDATING, "service", &hook, &json!({ "clientConfig": config })).await;
    let failing = "Internal error occurred: failed calling webhook \"service.example.com\": failed to call webhook: \
        Post \"https://hook.default.svc:443/check?timeout=10s\": ";
    let missing = world.post(MAPS, &map("m")).await;
    assert_eq!(missing.message(), format!("{failing}service \"hook\" not found"));
    let (ip, port) = hook.address().split_once(':').map(|(ip, port)| (ip.to_owned(), port.to_owned())).expect("both");
    let port: u16 = port.parse().expect("a number");
    let service = json!({"metadata": {"name": "hook"}, "spec": {"ports": [{"port": 443, "targetPort": port}]}});
    world.post("/api/v1/namespaces/default/services", &service).await;
    let empty = world.post(MAPS, &map("m")).await;
    assert_eq!(empty.message(), format!("{failing}no endpoints available for service \"hook\""));
    let endpoints =
        json!({"metadata": {"name": "hook"}, "subsets": [{"addresses": [{"ip": ip}], "ports": [{"port": port}]}]});
    world.post("/api/v1/namespaces/default/endpoints", &endpoints).await;
    let answer = world.post(MAPS, &map("m")).await;
    assert_eq!(answer.message(), "admission webhook \"service.example.com\" denied the request: by the service");
}

#[tokio::test]
async fn a_webhook_with_a_certificate_of_another_authority_is_not_believed() {
    let world = World::start().await;
    let (hook, other) = (Webhook::start(|_| json!({"allowed": true})).await, Webhook::start(|_| json!({})).await);
    let config = json!({"url": hook.url("/review"), "caBundle": other.authority()});
    world.register(VALIDATING, "stranger", &hook, &json!({ "clientConfig": config })).await;
    let answer = world.post(MAPS, &map("m")).await;
    let told = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    assert!(answer.message().ends_with(told), "{}", answer.message());
}

#[tokio::test]
async fn scales_evictions_and_connections_are_operations_of_their_own() {
    let world = World::start().await;
    let hook = Webhook::start(|request| json!({"allowed": request["operation"] == "UPDATE"})).await;
    let rules = json!([
        {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments/scale"]},
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods/eviction"]},
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CONNECT"], "resources": ["pods/*"]},
    ]);
    world.register(VALIDATING, "parts", &hook, &json!({ "rules": rules })).await;
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "x:v1"}]}});
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"replicas": 1,
        "selector": {"matchLabels": {"a": "b"}}, "template": template}});
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    assert_eq!(world.post(deployments, &deployment).await.code, 201);
    let scaled = world.patch(&format!("{deployments}/d/scale"), &json!({"spec": {"replicas": 3}})).await;
    assert_eq!((scaled.code, &scaled.body["spec"]["replicas"]), (200, &json!(3)), "{}", scaled.body);
    let pod = json!({"metadata": {"name": "p"}, "spec": template["spec"]});
    let pods = "/api/v1/namespaces/default/pods";
    assert_eq!(world.post(pods, &pod).await.code, 201);
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    assert_eq!(world.post(&format!("{pods}/p/eviction"), &eviction).await.code, 400);
    let exec =
        world.post(&format!("{pods}/p/exec?command=echo&command=hello&container=a&stdout=true"), &json!({})).await;
    assert_eq!(exec.code, 400);
    let seen: Vec<Value> = hook.reviews().into_iter().map(|review| review["request"].clone()).collect();
    assert_eq!(seen[0]["kind"], json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}));
    assert_eq!(
        (&seen[0]["object"]["spec"]["replicas"], &seen[0]["oldObject"]["spec"]["replicas"]),
        (&json!(3), &json!(1))
    );
    assert_eq!((&seen[1]["kind"]["kind"], &seen[1]["subResource"]), (&json!("Eviction"), &json!("eviction")));
    assert_eq!(seen[2]["object"]["command"], json!(["echo", "hello"]));
    assert_eq!(seen[2]["kind"]["kind"], "PodExecOptions");
}

#[tokio::test]
async fn configurations_get_defaults_and_are_validated() {
    let world = World::start().await;
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]});
    let webhook = json!({"name": "a.example.com", "clientConfig": {"service": {"name": "s", "namespace": "n"}},
        "rules": [rule], "sideEffects": "None", "admissionReviewVersions": ["v1"]});
    let answer = world.post(MUTATING, &json!({"metadata": {"name": "c"}, "webhooks": [webhook]})).await;
    let expected = json!({"name": "a.example.com", "failurePolicy": "Fail", "matchPolicy": "Equivalent",
        "namespaceSelector": {}, "objectSelector": {}, "timeoutSeconds": 10, "reinvocationPolicy": "Never",
        "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"name": "s", "namespace": "n", "port": 443}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"],
            "scope": "*"}]});
    assert_eq!(answer.body["webhooks"][0], expected);
    let mut broken = webhook.clone();
    broken["name"] = json!("short");
    broken["timeoutSeconds"] = json!(31);
    broken["sideEffects"] = json!("Some");
    broken["clientConfig"] = json!({"url": "http://127.0.0.1/x"});
    let refused = world.post(VALIDATING, &json!({"metadata": {"name": "c"}, "webhooks": [broken]})).await;
    assert_eq!(refused.code, 422);
    for part in [
        "webhooks[0].name: Invalid value: \"short\": should be a domain with at least three segments separated by dots",
        "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
        "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
        "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme",
    ] {
        assert!(refused.message().contains(part), "{part}: {}", refused.message());
    }
}
