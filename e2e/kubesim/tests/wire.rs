//! The protocol below the client libraries: statuses, revisions and forms that kubectl hides.

use kubesim::apiserver::{Options, Server};
use reqwest::{Client, Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};

/// A server and a plain HTTP client.
struct Wire {
    server: Server,
    client: Client,
}

impl Wire {
    async fn open() -> Self {
        // The server's start installs the TLS provider that the client asks for.
        let server = Server::start(Options::default()).await.expect("a free loopback network");
        let authority = reqwest::Certificate::from_der(&server.ca_der()).expect("a certificate");
        let client = Client::builder().no_proxy().tls_certs_only([authority]).build().expect("client");
        Self { server, client }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> (StatusCode, String) {
        let mut request = self.client.request(method, format!("{}{path}", self.server.url())).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("answer");
        (response.status(), response.text().await.expect("body"))
    }

    async fn json(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let (code, text) = self.send(method, path, &[("content-type", "application/json")], &body.to_string()).await;
        (code.as_u16(), serde_json::from_str(&text).expect("JSON"))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.json(Method::GET, path, &json!({})).await
    }

    /// The events of a watch that the server ends after a second.
    async fn watch(&self, path: &str) -> Vec<Value> {
        let (code, text) = self.send(Method::GET, &format!("{path}&watch=true&timeoutSeconds=1"), &[], "").await;
        assert_eq!(code, StatusCode::OK, "{text}");
        text.lines().map(|line| serde_json::from_str(line).expect("an event a line")).collect()
    }
}

/// More changes than the server remembers of one resource.
const HISTORY: usize = 2_100;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[rstest]
#[case::absent(Method::GET, "/api/v1/namespaces/default/configmaps/no", json!({}), 404, "NotFound")]
#[case::unknown(Method::GET, "/apis/apps/v1/gizmos", json!({}), 404, "NotFound")]
#[case::method(Method::POST, "/api/v1/namespaces/default/configmaps/no", json!({}), 405, "MethodNotAllowed")]
#[case::taken(Method::POST, "/api/v1/namespaces", json!({"metadata": {"name": "default"}}), 409, "AlreadyExists")]
#[case::stale(Method::PUT, "/api/v1/namespaces/default", json!({"metadata": {"name": "default", "resourceVersion": "1"}}), 409, "Conflict")]
#[case::other(Method::DELETE, "/api/v1/namespaces/default", json!({"preconditions": {"uid": "x"}}), 409, "Conflict")]
#[case::nameless(Method::POST, MAPS, json!({"metadata": {}}), 422, "Invalid")]
#[case::elsewhere(Method::POST, MAPS, json!({"metadata": {"name": "a", "namespace": "b"}}), 400, "BadRequest")]
#[case::future(Method::GET, "/api/v1/namespaces?resourceVersion=99999999", json!({}), 504, "Timeout")]
#[case::version(Method::GET, "/api/v1/namespaces?resourceVersion=x", json!({}), 400, "BadRequest")]
#[case::limit(Method::GET, "/api/v1/namespaces?limit=few", json!({}), 400, "BadRequest")]
#[case::foreign_continue(Method::GET, "/api/v1/namespaces?limit=1&continue=x", json!({}), 400, "BadRequest")]
#[tokio::test]
async fn a_refusal_is_a_status(
    #[case] method: Method,
    #[case] path: &str,
    #[case] body: Value,
    #[case] code: u16,
    #[case] reason: &str,
) {
    let wire = Wire::open().await;
    let (status, answer) = wire.json(method, path, &body).await;
    assert_eq!((status, &answer["code"], &answer["reason"]), (code, &json!(code), &json!(reason)), "{answer}");
    assert_eq!((&answer["kind"], &answer["status"]), (&json!("Status"), &json!("Failure")));
    assert!(answer["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    wire.server.shutdown().await;
}

#[tokio::test]
async fn a_generated_name_extends_its_prefix() {
    let wire = Wire::open().await;
    let (code, created) = wire.json(Method::POST, MAPS, &json!({"metadata": {"generateName": "g-"}})).await;
    let name = created["metadata"]["name"].as_str().expect("a name");
    assert_eq!((code, name.len(), name.starts_with("g-")), (201, 7, true), "{name}");
    wire.server.shutdown().await;
}

#[tokio::test]
async fn a_list_in_pages_is_the_list_as_a_whole_and_belongs_to_one_version() {
    let wire = Wire::open().await;
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().into_iter().flatten();
        items.filter_map(|item| item["metadata"]["name"].as_str()).map(str::to_owned).collect()
    };
    let (_, whole) = wire.get("/api/v1/namespaces").await;
    let version = &whole["metadata"]["resourceVersion"];
    let (mut seen, mut rest, mut remaining) = (Vec::new(), String::new(), Vec::new());
    loop {
        let (_, page) = wire.get(&format!("/api/v1/namespaces?limit=3&continue={rest}")).await;
        assert_eq!(&page["metadata"]["resourceVersion"], version, "{page}");
        seen.extend(names(&page));
        remaining.extend(page["metadata"]["remainingItemCount"].as_u64());
        // What comes in between is for the watch that follows.
        wire.json(Method::POST, "/api/v1/namespaces", &json!({"metadata": {"name": "a-new-one"}})).await;
        match page["metadata"]["continue"].as_str() {
            Some(token) => token.clone_into(&mut rest),
            None => break,
        }
    }
    assert_eq!((seen, remaining), (names(&whole), vec![1]));
    wire.server.shutdown().await;
}

#[tokio::test]
async fn a_list_cannot_be_continued_past_a_compaction() {
    let wire = Wire::open().await;
    let (_, page) = wire.get("/api/v1/namespaces?limit=1").await;
    let token = page["metadata"]["continue"].as_str().expect("more pages");
    wire.server.control().compact();
    let (code, answer) = wire.get(&format!("/api/v1/namespaces?limit=1&continue={token}")).await;
    assert_eq!((code, &answer["reason"]), (410, &json!("Expired")));
    wire.server.shutdown().await;
}

#[tokio::test]
async fn a_streaming_list_ends_with_a_bookmark() {
    let wire = Wire::open().await;
    let wanted = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let events = wire.watch(&format!("/api/v1/namespaces?{wanted}")).await;
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds, ["ADDED", "ADDED", "ADDED", "ADDED", "BOOKMARK"]);
    let bookmark = &events[4]["object"];
    assert_eq!(bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let (_, list) = wire.get("/api/v1/namespaces").await;
    assert_eq!(bookmark["metadata"]["resourceVersion"], list["metadata"]["resourceVersion"]);
    wire.server.shutdown().await;
}

#[tokio::test]
async fn a_watch_from_before_the_history_is_told_to_list_again() {
    let wire = Wire::open().await;
    let (_, list) = wire.get(MAPS).await;
    let version = list["metadata"]["resourceVersion"].as_str().expect("version").to_owned();
    wire.json(Method::POST, MAPS, &json!({"metadata": {"name": "a"}})).await;
    for round in 0..HISTORY {
        wire.json(
            Method::PUT,
            &format!("{MAPS}/a"),
            &json!({"metadata": {"name": "a"}, "data": {"n": round.to_string()}}),
        )
        .await;
    }
    let events = wire.watch(&format!("{MAPS}?resourceVersion={version}")).await;
    assert_eq!((events.len(), &events[0]["type"]), (1, &json!("ERROR")), "{events:?}");
    assert_eq!((&events[0]["object"]["code"], &events[0]["object"]["reason"]), (&json!(410), &json!("Expired")));
    wire.server.shutdown().await;
}

#[tokio::test]
async fn metadata_and_tables_are_served_on_request() {
    let wire = Wire::open().await;
    let form = |form: &str| format!("application/json;as={form};g=meta.k8s.io;v=v1,application/json");
    for (path, asked, kind) in [
        ("/api/v1/namespaces/default", "PartialObjectMetadata", "PartialObjectMetadata"),
        ("/api/v1/namespaces", "PartialObjectMetadataList", "PartialObjectMetadataList"),
        ("/api/v1/namespaces", "Table", "Table"),
        ("/api/v1/namespaces", "Unheard", "NamespaceList"),
    ] {
        let (_, text) = wire.send(Method::GET, path, &[("accept", &form(asked))], "").await;
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(answer["kind"], kind);
        assert_eq!(answer.get("spec"), None);
    }
    wire.server.shutdown().await;
}

#[tokio::test]
async fn every_writer_owns_what_it_wrote() {
    let wire = Wire::open().await;
    let object = format!("{MAPS}/a");
    let write = async |manager: &str, kind: &str, body: Value| {
        let target = format!("{object}?fieldManager={manager}");
        let (code, text) = wire.send(Method::PATCH, &target, &[("content-type", kind)], &body.to_string()).await;
        (code.as_u16(), serde_json::from_str::<Value>(&text).expect("JSON"))
    };
    let apply = "application/apply-patch+yaml";
    let map = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    write("one", apply, map(json!({"x": "1", "y": "1"}))).await;
    let (_, mixed) = write("two", "application/merge-patch+json", json!({"data": {"y": "2", "z": "2"}})).await;
    let owned = |object: &Value, manager: &str| {
        let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let entry = entries.into_iter().find(|entry| entry["manager"] == manager);
        entry.map(|entry| (entry["operation"].clone(), entry["fieldsV1"].clone()))
    };
    assert_eq!(owned(&mixed, "one"), Some((json!("Apply"), json!({"f:data": {"f:x": {}}}))));
    assert_eq!(owned(&mixed, "two"), Some((json!("Update"), json!({"f:data": {"f:y": {}, "f:z": {}}}))));

    let (code, refusal) = write("one", apply, map(json!({"x": "1", "y": "3"}))).await;
    assert_eq!((code, &refusal["details"]["causes"][0]["field"]), (409, &json!(".data.y")));
    // Giving up what another writer took removes nothing; giving up what is one's own does.
    let (_, left) = write("one", apply, map(json!({}))).await;
    assert_eq!(left["data"], json!({"y": "2", "z": "2"}));
    // An empty record forgets all owners.
    let (_, reset) = write("two", "application/merge-patch+json", json!({"metadata": {"managedFields": [{}]}})).await;
    assert_eq!(reset["metadata"].get("managedFields"), None);
    wire.server.shutdown().await;
}

#[tokio::test]
async fn a_policy_denies_what_it_is_bound_to() {
    let wire = Wire::open().await;
    let group = "/apis/admissionregistration.k8s.io/v1";
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]});
    let policy = json!({"metadata": {"name": "small"}, "spec": {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "!has(object.data) || size(object.data) < 2", "message": "one key is enough"}],
    }});
    let (code, answer) = wire.json(Method::POST, &format!("{group}/validatingadmissionpolicies"), &policy).await;
    assert_eq!(code, 201, "{answer}");
    let large = json!({"metadata": {"name": "large"}, "data": {"a": "1", "b": "2"}});
    assert_eq!(wire.json(Method::POST, MAPS, &large).await.0, 201, "bound to nothing");
    let binding = json!({"metadata": {"name": "here"}, "spec": {"policyName": "small", "validationActions": ["Deny"]}});
    let path = format!("{group}/validatingadmissionpolicybindings");
    assert_eq!(wire.json(Method::POST, &path, &binding).await.0, 201);
    let other = json!({"metadata": {"name": "other"}, "data": {"a": "1", "b": "2"}});
    let (code, answer) = wire.json(Method::POST, MAPS, &other).await;
    assert_eq!((code, &answer["reason"]), (422, &json!("Invalid")));
    let message = "configmaps \"other\" is forbidden: ValidatingAdmissionPolicy 'small' with binding 'here' denied \
                   request: one key is enough";
    assert_eq!(answer["message"], message);
    let sound = json!({"metadata": {"name": "sound"}, "data": {"a": "1"}});
    assert_eq!(wire.json(Method::POST, MAPS, &sound).await.0, 201);
}

#[tokio::test]
async fn an_expression_that_fails_denies_unless_the_policy_ignores_failures() {
    let wire = Wire::open().await;
    let group = "/apis/admissionregistration.k8s.io/v1";
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]});
    let bind = json!({"metadata": {"name": "p"}, "spec": {"policyName": "p", "validationActions": ["Deny"]}});
    assert_eq!(wire.json(Method::POST, &format!("{group}/validatingadmissionpolicybindings"), &bind).await.0, 201);
    let policies = format!("{group}/validatingadmissionpolicies");
    for (failure_policy, expected) in [("Fail", 422), ("Ignore", 201)] {
        // The second expression still counts where the failure of the first is ignored.
        let policy = json!({"metadata": {"name": "p"}, "spec": {
            "failurePolicy": failure_policy,
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [
                {"expression": "object.data.level == 'high'"},
                {"expression": "object.metadata.name != 'never'", "message": "not this one"},
            ],
        }});
        assert_eq!(wire.json(Method::POST, &policies, &policy).await.0, 201);
        let (code, answer) = wire.json(Method::POST, MAPS, &json!({"metadata": {"name": "bare"}})).await;
        assert_eq!(code, expected, "{failure_policy}: {answer}");
        let (code, answer) = wire.json(Method::POST, MAPS, &json!({"metadata": {"name": "never"}})).await;
        assert_eq!(code, 422, "{failure_policy}: {answer}");
        assert_eq!(wire.json(Method::DELETE, &format!("{policies}/p"), &json!({})).await.0, 200);
    }
}

#[tokio::test]
async fn a_page_shows_the_list_as_it_was_at_the_first() {
    let wire = Wire::open().await;
    for name in ["a", "b", "c"] {
        assert_eq!(wire.json(Method::POST, MAPS, &json!({"metadata": {"name": name}})).await.0, 201);
    }
    let selected = format!("{MAPS}?limit=1&fieldSelector=metadata.name!%3Dkube-root-ca.crt");
    let (_, first) = wire.get(&selected).await;
    let token = first["metadata"]["continue"].as_str().expect("there is more").to_owned();
    assert_eq!(wire.json(Method::DELETE, &format!("{MAPS}/b"), &json!({})).await.0, 200);
    let (_, second) = wire.get(&format!("{selected}&continue={token}")).await;
    assert_eq!(second["items"][0]["metadata"]["name"], "b");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn a_client_that_likes_protobuf_best_gets_it() {
    let wire = Wire::open().await;
    let accept = [("accept", "application/vnd.kubernetes.protobuf,application/json")];
    let (code, text) = wire.send(Method::GET, MAPS, &accept, "").await;
    assert_eq!(code, StatusCode::OK);
    assert!(text.starts_with("k8s\0"), "{text:?}");
    let (code, text) = wire.send(Method::GET, MAPS, &[("accept", "application/yaml")], "").await;
    assert_eq!(code, StatusCode::OK);
    assert!(text.contains("kind: ConfigMapList"), "{text}");
}

/// The answer to a request, and the warnings in its header.
async fn warned(wire: &Wire, method: Method, path: &str, body: &Value) -> (u16, Value, Vec<String>) {
    let response =
        wire.client.request(method, format!("{}{path}", wire.server.url())).json(body).send().await.expect("answer");
    let text = |value: &reqwest::header::HeaderValue| value.to_str().expect("text").replace("\\\"", "\"");
    let warnings = response.headers().get_all("warning").iter().map(text).collect();
    (response.status().as_u16(), response.json().await.expect("JSON"), warnings)
}

#[tokio::test]
async fn the_labels_of_a_namespace_say_how_secure_its_pods_have_to_be() {
    let wire = Wire::open().await;
    let labels = json!({
        "pod-security.kubernetes.io/enforce": "baseline",
        "pod-security.kubernetes.io/warn": "restricted",
        "pod-security.kubernetes.io/warn-version": "v1.36",
    });
    let namespace = json!({"metadata": {"name": "safe", "labels": labels}});
    assert_eq!(wire.json(Method::POST, "/api/v1/namespaces", &namespace).await.0, 201);
    let account = json!({"metadata": {"name": "default"}});
    wire.json(Method::POST, "/api/v1/namespaces/safe/serviceaccounts", &account).await;
    let pods = "/api/v1/namespaces/safe/pods";
    let pod = |name: &str, context: Value| {
        let container = json!({"name": "c", "image": "x", "securityContext": context});
        json!({"metadata": {"name": name}, "spec": {"containers": [container]}})
    };
    let (code, refusal) = wire.json(Method::POST, pods, &pod("p", json!({"privileged": true}))).await;
    assert_eq!(code, 403);
    assert_eq!(
        refusal["message"],
        "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": privileged (container \"c\" must not set \
         securityContext.privileged=true)"
    );
    let (code, _, warnings) = warned(&wire, Method::POST, pods, &pod("p", json!({}))).await;
    assert_eq!(code, 201);
    let would =
        "would violate PodSecurity \"restricted:v1.36\": allowPrivilegeEscalation != false (container \"c\" must";
    assert!(warnings.iter().any(|warning| warning.contains(would)), "{warnings:?}");

    // What makes such pods is let through, with a warning.
    let spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "x", "securityContext": {"privileged": true}}]},
    }});
    let deployment = json!({"metadata": {"name": "d"}, "spec": spec});
    let (code, _, warnings) =
        warned(&wire, Method::POST, "/apis/apps/v1/namespaces/safe/deployments", &deployment).await;
    assert_eq!(code, 201);
    assert!(warnings.iter().any(|warning| warning.contains("would violate PodSecurity")), "{warnings:?}");

    let wrong = json!({"metadata": {"name": "w", "labels": {"pod-security.kubernetes.io/enforce": "strict"}}});
    let (code, refusal) = wire.json(Method::POST, "/api/v1/namespaces", &wrong).await;
    assert_eq!(code, 422);
    assert_eq!(
        refusal["message"],
        "Namespace \"w\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": \
         must be one of privileged, baseline, restricted"
    );
}
