//! Aggregated APIs: whom the API server trusts, and what it tells them.

use std::net::Ipv4Addr;

use axum::{
    Json, Router,
    http::{HeaderMap, Uri},
};
use k8s_openapi::{
    api::core::v1::{Endpoints, Service},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use kubesim::serving::Identity;
use serde_json::{Value, json};

use crate::fixture::TestCluster;

/// Serves `mirror.example/v1`, which answers with the headers that it got.
async fn mirror(test: &TestCluster, identity: &Identity) {
    let [a, b] = test.cluster.network();
    let listener = std::net::TcpListener::bind((Ipv4Addr::new(a, b, 0, 6), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = |uri: Uri, headers: HeaderMap| async move {
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        Json(json!({"path": uri.path(), "headers": headers.collect::<Vec<_>>()}))
    };
    tokio::spawn(identity.serve(listener, Router::new().fallback(answer)).await.unwrap());
    let ports = json!([{"port": address.port()}]);
    test.create::<Service>(json!({"metadata": {"name": "mirror"}, "spec": {"ports": ports}})).await;
    let subsets = json!([{"addresses": [{"ip": address.ip()}], "ports": ports}]);
    test.create::<Endpoints>(json!({"metadata": {"name": "mirror"}, "subsets": subsets})).await;
    let service: APIService = serde_json::from_value(json!({
        "metadata": {"name": "v1.mirror.example"},
        "spec": {
            "group": "mirror.example", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": {"namespace": "default", "name": "mirror", "port": address.port()},
            "caBundle": identity.bundle(),
        },
    }))
    .unwrap();
    Api::all(test.cluster.client()).create(&PostParams::default(), &service).await.unwrap();
}

/// A client that takes a refusal for an answer.
async fn impatient(test: &TestCluster) -> Client {
    let kubeconfig = Kubeconfig::read_from(test.cluster.kubeconfig_path()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

async fn ask(client: &Client) -> Result<Value, String> {
    let request = axum::http::Request::get("/apis/mirror.example/v1/things?limit=1").body(Vec::new()).unwrap();
    client.request::<Value>(request).await.map_err(|error| error.to_string())
}

async fn trust(client: &Client, spec: Value) {
    let api: Api<APIService> = Api::all(client.clone());
    let patch = Patch::Merge(json!({"spec": spec}));
    api.patch("v1.mirror.example", &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn an_aggregated_server_must_be_who_it_is_asked_as_and_is_told_who_asks() {
    let test = TestCluster::start().await;
    let client = impatient(&test).await;
    mirror(&test, &Identity::generate("mirror.default.svc").unwrap()).await;

    let answer = ask(&client).await.unwrap();
    assert_eq!(answer["path"], "/apis/mirror.example/v1/things");
    let sent = |name: &str| -> Vec<&str> {
        let headers = answer["headers"].as_array().unwrap().iter();
        headers.filter(|header| header[0] == name).map(|header| header[1].as_str().unwrap()).collect()
    };
    assert_eq!(sent("x-remote-user"), ["kubernetes-admin"]);
    assert_eq!(sent("x-remote-group"), ["system:masters", "system:authenticated"]);
    assert!(sent("authorization").is_empty(), "the caller's own credentials are not for others: {answer}");

    // The same server, of which nothing trusted knows.
    let other = Identity::generate("mirror.default.svc").unwrap();
    trust(&client, json!({"caBundle": other.bundle()})).await;
    let refused = ask(&client).await.unwrap_err();
    assert!(refused.contains("error trying to reach service"), "{refused}");
    trust(&client, json!({"caBundle": null, "insecureSkipTLSVerify": true})).await;
    assert!(ask(&client).await.is_ok(), "nobody's certificate is asked for");
    test.shutdown().await;
}
