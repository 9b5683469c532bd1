//! Role-based access control: what is granted, what is refused and in which words, and the record of both.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenReview};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use kubesim::apiserver::{Authorization, Options, Server};
use serde_json::{Value, json};

/// A server that authorises, the administrator's client, and one of service account `team-a/worker`.
struct World {
    server: Server,
    admin: Client,
    worker: Client,
}

async fn client(server: &Server, token: Option<&str>) -> Client {
    let config = Kubeconfig::from_yaml(&server.kubeconfig(token)).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.expect("a config");
    Client::try_from(config).expect("a client")
}

impl World {
    async fn start() -> Self {
        let options = Options { authorization: Authorization::Rbac, ..Options::default() };
        let server = Server::start(options).await.expect("a free loopback network");
        let admin = client(&server, None).await;
        for namespace in ["team-a", "team-b"] {
            let object = serde_json::from_value(json!({"metadata": {"name": namespace}})).expect("a namespace");
            Api::<Namespace>::all(admin.clone()).create(&PostParams::default(), &object).await.expect("created");
        }
        let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), "team-a");
        let account = serde_json::from_value(json!({"metadata": {"name": "worker"}})).expect("an account");
        accounts.create(&PostParams::default(), &account).await.expect("created");
        let (params, request) = (PostParams::default(), TokenRequest::default());
        let answer = accounts.create_token_request("worker", &params, &request).await;
        let token = answer.expect("a token").status.expect("a status").token;
        let worker = client(&server, Some(&token)).await;
        Self { server, admin, worker }
    }

    /// Sends a request and reads its answer, a refusal included.
    async fn post(&self, client: &Client, path: &str, body: &Value) -> Value {
        let request = axum::http::Request::post(path).header("content-type", "application/json");
        let request = request.body(body.to_string().into_bytes()).expect("a request");
        client.request::<Value>(request).await.unwrap_or_else(|error| panic_with(path, &error))
    }

    async fn grant(&self, kind: &str, namespace: &str, name: &str, rules: Value, subject: Value) {
        let api = "/apis/rbac.authorization.k8s.io/v1";
        let place = if namespace.is_empty() { api.to_owned() } else { format!("{api}/namespaces/{namespace}") };
        let plural = kind.to_lowercase();
        let role = json!({"metadata": {"name": name}, "rules": rules});
        self.post(&self.admin, &format!("{place}/{plural}s"), &role).await;
        let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
        let binding = json!({"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]});
        self.post(&self.admin, &format!("{place}/{plural}bindings"), &binding).await;
    }
}

#[expect(clippy::panic, reason = "a test that cannot go on has failed")]
fn panic_with(path: &str, error: &kube::Error) -> ! {
    panic!("{path}: {error}")
}

fn worker() -> Value {
    json!({"kind": "ServiceAccount", "name": "worker", "namespace": "team-a"})
}

/// The message of a 403.
fn refusal<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> String {
    match result {
        Err(kube::Error::Api(status)) if status.code == 403 && status.reason == "Forbidden" => status.message.clone(),
        other => panic_other(&other),
    }
}

#[expect(clippy::panic, reason = "a test that cannot go on has failed")]
fn panic_other(other: &dyn std::fmt::Debug) -> ! {
    panic!("expected 403, got {other:?}")
}

#[tokio::test]
async fn nothing_is_allowed_that_no_role_grants() {
    let world = World::start().await;
    let everywhere: Api<ConfigMap> = Api::all(world.worker.clone());
    let here: Api<ConfigMap> = Api::namespaced(world.worker.clone(), "team-a");
    let account = "User \"system:serviceaccount:team-a:worker\" cannot";
    assert_eq!(
        refusal(everywhere.list(&ListParams::default()).await),
        format!(
            "configmaps is forbidden: {account} list resource \"configmaps\" in API group \"\" at the cluster scope"
        )
    );
    assert_eq!(
        refusal(here.get("m").await),
        format!(
            "configmaps \"m\" is forbidden: {account} get resource \"configmaps\" in API group \"\" in the namespace \"team-a\""
        )
    );
    let metrics = axum::http::Request::get("/metrics").body(Vec::new()).expect("a request");
    assert_eq!(
        refusal(world.worker.request_text(metrics).await),
        format!("forbidden: {account} get path \"/metrics\"")
    );
    // Discovery is everybody's who is known.
    assert_eq!(world.worker.apiserver_version().await.expect("the version").minor, "36");
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_role_counts_in_its_namespace_and_for_its_names_only() {
    let world = World::start().await;
    let rules = json!([
        {"verbs": ["get", "list", "create"], "apiGroups": [""], "resources": ["configmaps"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"]},
    ]);
    world.grant("Role", "team-a", "reader", rules, worker()).await;
    let maps = |namespace| Api::<ConfigMap>::namespaced(world.worker.clone(), namespace);
    maps("team-a").list(&ListParams::default()).await.expect("allowed");
    refusal(maps("team-b").list(&ListParams::default()).await);
    let secrets: Api<Secret> = Api::namespaced(world.worker.clone(), "team-a");
    refusal(secrets.get("other").await);
    assert!(secrets.get_opt("mine").await.expect("allowed").is_none());
    refusal(secrets.list(&ListParams::default()).await);

    // To apply what does not exist takes the right to create as well as the one to patch.
    let patch = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {}});
    let apply =
        |api: Api<ConfigMap>| async move { api.patch("m", &PatchParams::apply("w"), &Patch::Apply(&patch)).await };
    refusal(apply(maps("team-a")).await);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_group_is_granted_what_its_cluster_role_aggregates() {
    let world = World::start().await;
    let group =
        json!({"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:serviceaccounts:team-a"});
    let api = "/apis/rbac.authorization.k8s.io/v1";
    let binding = json!({
        "metadata": {"name": "viewers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [group],
    });
    world.post(&world.admin, &format!("{api}/clusterrolebindings"), &binding).await;
    let maps: Api<ConfigMap> = Api::all(world.worker.clone());
    maps.list(&ListParams::default()).await.expect("what `view` grants from the start");
    let leases: Api<k8s_openapi::api::coordination::v1::Lease> = Api::all(world.worker.clone());
    refusal(leases.list(&ListParams::default()).await);
    let labels = json!({"rbac.authorization.k8s.io/aggregate-to-view": "true"});
    let rules = json!([{"verbs": ["list"], "apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}]);
    let role = json!({"metadata": {"name": "see-leases", "labels": labels}, "rules": rules});
    world.post(&world.admin, &format!("{api}/clusterroles"), &role).await;
    leases.list(&ListParams::default()).await.expect("what has been aggregated");
    world.server.shutdown().await;
}

#[tokio::test]
async fn reviews_answer_as_requests_would() {
    let world = World::start().await;
    let rules = json!([
        {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*/scale"]},
        {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
    ]);
    world.grant("ClusterRole", "", "scaler", rules, worker()).await;
    let access = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let account = "system:serviceaccount:team-a:worker";
    let ask = async |spec: Value| world.post(&world.admin, access, &json!({"spec": spec})).await["status"].clone();
    let scale =
        json!({"verb": "patch", "group": "apps", "resource": "deployments", "subresource": "scale", "namespace": "x"});
    let yes = ask(json!({"user": account, "resourceAttributes": scale})).await;
    assert_eq!(yes["allowed"], true);
    assert_eq!(yes["reason"], "RBAC: allowed by ClusterRoleBinding \"scaler\" of ClusterRole \"scaler\"");
    let metrics = json!({"verb": "get", "path": "/metrics"});
    assert_eq!(ask(json!({"user": account, "nonResourceAttributes": metrics})).await["allowed"], true);
    assert_eq!(ask(json!({"user": "other", "nonResourceAttributes": metrics})).await, json!({"allowed": false}));
    // Everybody may ask about themselves, and nobody about others without the right to.
    let own = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let question = json!({"spec": {"resourceAttributes": scale}});
    assert_eq!(world.post(&world.worker, own, &question).await["status"]["allowed"], true);
    let reviews: Api<TokenReview> = Api::all(world.worker.clone());
    let review = serde_json::from_value(json!({"metadata": {}, "spec": {"token": "x"}})).expect("a review");
    refusal(reviews.create(&PostParams::default(), &review).await);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_request_without_a_token_is_anonymous() {
    let world = World::start().await;
    let mut config = Config::new(world.server.url().parse().expect("url"));
    config.root_cert = Some(vec![world.server.ca_der()]);
    let anonymous = Client::try_from(config).expect("a client");
    let message = refusal(Api::<Namespace>::all(anonymous.clone()).list(&ListParams::default()).await);
    assert!(message.contains("User \"system:anonymous\" cannot list resource \"namespaces\""), "{message}");
    let health = axum::http::Request::get("/readyz").body(Vec::new()).expect("a request");
    assert_eq!(anonymous.request_text(health).await.expect("health is public"), "ok");
    world.server.shutdown().await;
}

#[tokio::test]
async fn the_record_tells_who_asked_for_what() {
    let world = World::start().await;
    let control = world.server.control();
    control.clear_requests();
    let maps: Api<ConfigMap> = Api::namespaced(world.worker.clone(), "team-a");
    for _ in 0..3 {
        refusal(maps.list(&ListParams::default()).await);
    }
    let map = serde_json::from_value(json!({"metadata": {"name": "m"}})).expect("a map");
    let params = PostParams { field_manager: Some("me".to_owned()), ..PostParams::default() };
    Api::<ConfigMap>::namespaced(world.admin.clone(), "team-a").create(&params, &map).await.expect("created");

    let seen = control.requests();
    assert_eq!(seen.len(), 2, "{seen:?}");
    let (creation, lists) = (&seen[0].request, &seen[1]);
    assert_eq!((&*creation.user, &*creation.action.verb, creation.allowed), ("kubernetes-admin", "create", true));
    assert_eq!((&*lists.request.user, lists.count), ("system:serviceaccount:team-a:worker", 3));
    assert_eq!((&*lists.request.action.resource, lists.request.allowed), ("configmaps", false));
    let writes = control.writes();
    assert_eq!((writes.len(), &*writes[0].manager, writes[0].code), (1, "me", 201));

    let read = axum::http::Request::get("/debug/requests?user=kubernetes-admin").body(Vec::new()).expect("a request");
    let served: Value = world.admin.request(read).await.expect("the record");
    assert_eq!((&served[0]["verb"], &served[0]["count"]), (&json!("create"), &json!(1)));
    let forbidden = axum::http::Request::get("/debug/requests").body(Vec::new()).expect("a request");
    refusal(world.worker.request_text(forbidden).await);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_command_in_a_pod_takes_the_right_to_create_one_however_it_is_asked_for() {
    let world = World::start().await;
    let rule = |verbs: Value| json!([{"apiGroups": [""], "resources": ["pods/exec"], "verbs": verbs}]);
    world.grant("Role", "team-a", "reader", rule(json!(["get"])), worker()).await;
    // A WebSocket begins as a GET.
    let exec = || {
        let path = "/api/v1/namespaces/team-a/pods/p/exec?command=true&stdout=true";
        axum::http::Request::get(path).body(Vec::new()).expect("a request")
    };
    assert_eq!(
        refusal(world.worker.request_text(exec()).await),
        "pods \"p\" is forbidden: User \"system:serviceaccount:team-a:worker\" cannot create resource \"pods/exec\" in API \
         group \"\" in the namespace \"team-a\""
    );
    world.grant("Role", "team-a", "operator", rule(json!(["create"])), worker()).await;
    match world.worker.request_text(exec()).await {
        Err(kube::Error::Api(status)) => {
            assert_eq!((status.code, status.message.as_str()), (404, "pods \"p\" not found"));
        }
        other => panic_other(&other),
    }
    world.server.shutdown().await;
}
