//! The Service `kubernetes` of namespace `default`: how pods find the API server. The server itself keeps it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::clock;
use super::state::{Shared, State};
use super::store::{GroupResource, Key};

const NAMESPACE: &str = "default";
const NAME: &str = "kubernetes";

/// How often the server looks whether somebody took it away, as kube-apiserver does.
const PERIOD: Duration = Duration::from_secs(10);

/// Puts back what is missing, until the server stops.
pub(super) async fn keep(shared: Arc<Shared>, address: SocketAddr) {
    let mut stopping = shared.stopping.subscribe();
    let mut ticks = tokio::time::interval(PERIOD);
    loop {
        tokio::select! {
            _ = ticks.tick() => shared.lock().publish_own_service(address),
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

impl State {
    /// Creates Service, Endpoints and `EndpointSlice` where they are missing. Nothing stands between the Service and the
    /// server here, so the cluster IP and port are those on which it listens.
    pub(super) fn publish_own_service(&mut self, address: SocketAddr) {
        let (ip, port) = (address.ip().to_string(), address.port());
        let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
        let missing = |state: &Self, group: &str, plural: &str| {
            state.store.get(&GroupResource::new(group, plural), &Key::new(NAMESPACE, NAME)).is_none()
        };
        if missing(self, "", "services") {
            // An address outside of the range is not handed out to anybody.
            let spec = json!({
                "clusterIP": ip,
                "clusterIPs": [ip],
                "internalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [{"name": "https", "port": port, "protocol": "TCP", "targetPort": port}],
                "sessionAffinity": "None",
                "type": "ClusterIP",
            });
            let labels = json!({"component": "apiserver", "provider": "kubernetes"});
            let rest = json!({"spec": spec, "status": {"loadBalancer": {}}});
            self.put_own("", "services", "v1", "Service", &labels, rest);
        }
        if missing(self, "", "endpoints") {
            let labels = json!({"endpointslice.kubernetes.io/skip-mirror": "true"});
            let rest = json!({"subsets": [{"addresses": [{"ip": ip}], "ports": ports}]});
            self.put_own("", "endpoints", "v1", "Endpoints", &labels, rest);
        }
        if missing(self, "discovery.k8s.io", "endpointslices") {
            let labels = json!({"kubernetes.io/service-name": NAME});
            let endpoints = json!([{"addresses": [ip], "conditions": {"ready": true}}]);
            let rest = json!({"addressType": "IPv4", "endpoints": endpoints, "ports": ports});
            self.put_own("discovery.k8s.io", "endpointslices", "discovery.k8s.io/v1", "EndpointSlice", &labels, rest);
        }
    }

    fn put_own(&mut self, group: &str, plural: &str, version: &str, kind: &str, labels: &Value, rest: Value) {
        let mut object = json!({
            "apiVersion": version,
            "kind": kind,
            "metadata": {
                "name": NAME,
                "namespace": NAMESPACE,
                "uid": uuid::Uuid::new_v4().to_string(),
                "creationTimestamp": clock::now(),
                "labels": labels,
            },
        });
        if let (Some(object), Value::Object(rest)) = (object.as_object_mut(), rest) {
            object.extend(rest);
        }
        self.store.put(&GroupResource::new(group, plural), Key::new(NAMESPACE, NAME), object);
    }
}
