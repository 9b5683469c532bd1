//! Monitoring inside a cluster: the pod that kind clusters run, on an embedded cluster that enforces roles.
//!
//! In a cluster of its own, without the monitoring that others have.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kubesim::apiserver::Authorization;
use kubesim::cluster::{self, Cluster};
use kubesim::node::{Images, NodeConfig, Program};
use kubesim::serving::Identity;
use wva_e2e::kubectl::Kubectl;
use wva_e2e::monitoring::{self, inside};
use wva_e2e::wait::{self, Look};
use wva_e2e::{programs, prometheus};

/// A monitor of the Prometheus itself: it is there, and its Service has no label to tell it by but the name's.
const MONITOR: &str = "
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: itself
  namespace: monitoring
spec:
  selector:
    matchLabels:
      app: itself
  endpoints:
    - port: web
---
apiVersion: v1
kind: Service
metadata:
  name: itself
  namespace: monitoring
  labels:
    app: itself
spec:
  selector:
    app: monitoring
  ports:
    - name: web
      port: 9090
      targetPort: web
";

#[tokio::test]
async fn the_monitoring_pod_scrapes_what_monitors_select_and_answers_external_metrics_over_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let prometheus = programs::prometheus().unwrap().display().to_string();
    let args = ["monitor", "--prometheus", &prometheus].map(str::to_owned).to_vec();
    let program = Program { path: programs::ours("wva-e2e").unwrap(), args };
    let cluster = Cluster::start(cluster::Options {
        nodes: vec![NodeConfig::new("node-0")],
        images: Images::default().with("localhost/wva-monitoring", program),
        authorization: Authorization::Rbac,
        ..cluster::Options::default()
    })
    .await
    .unwrap();
    let kubectl = Kubectl::new(cluster.kubeconfig_path()).unwrap();
    kubectl.apply(include_str!("../manifests/definitions/servicemonitors.yaml")).await.unwrap();
    let identity = Identity::generate(monitoring::ADAPTER).unwrap();
    kubectl.apply(&inside::manifests(&identity, Duration::from_secs(1)).unwrap()).await.unwrap();
    kubectl.apply(MONITOR).await.unwrap();

    let pods: Api<Pod> = Api::namespaced(cluster.client(), "monitoring");
    let address = wait::until("the monitoring pod to be Ready", Duration::from_mins(1), || async {
        let list = pods.list(&ListParams::default()).await.unwrap();
        let status = list.items.into_iter().find_map(|pod| pod.status);
        let ready = status.iter().flat_map(|status| status.conditions.iter().flatten());
        if ready.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True") {
            Look::Done(status.and_then(|status| status.pod_ip).unwrap())
        } else {
            let log = ["logs", "--namespace=monitoring", "deployment/monitoring", "--tail=5"];
            Look::NotYet(kubectl.run(&log).await.unwrap_or_else(|error| error.to_string()))
        }
    })
    .await
    .unwrap();

    let prometheus = prometheus::Client::new(format!("http://{address}:9090"));
    wait::until("its own series", Duration::from_mins(1), || async {
        match prometheus.query("up{namespace=\"monitoring\",service=\"itself\"}").await {
            Ok(series) if series.iter().any(|series| series.value > 0.0) => Look::Done(()),
            other => Look::NotYet(format!("{other:?}")),
        }
    })
    .await
    .unwrap();

    // Through the API server, which trusts the bundle and nobody else.
    let path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/team-a/wva_desired_replicas";
    let answer = kubectl.run(&["get", "--raw", path]).await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["kind"], "ExternalMetricValueList");
    cluster.shutdown().await;
}
