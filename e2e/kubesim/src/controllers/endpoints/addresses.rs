//! From a Service and its pods to the addresses behind it.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::core::v1::{Container, ObjectReference, Pod, Service, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{Resource, ResourceExt};

use crate::controllers::pods;

/// A port as it is on a pod: a named target port may be another number on each pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    pub(super) name: Option<String>,
    pub(super) number: i32,
    pub(super) protocol: String,
    pub(super) app_protocol: Option<String>,
}

/// One pod behind a Service.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Backend {
    pub(super) ip: String,
    pub(super) hostname: Option<String>,
    pub(super) node: Option<String>,
    pub(super) pod: ObjectReference,
    /// Gets traffic: the pod is ready and stays, or the Service publishes all addresses.
    pub(super) ready: bool,
    /// Would answer: the pod is ready, even if on its way out.
    pub(super) serving: bool,
    pub(super) terminating: bool,
}

/// Backends by the ports they have, in a stable order.
pub(super) type Groups = BTreeMap<Vec<Port>, Vec<Backend>>;

pub(super) fn collect(service: &Service, pods: &[Arc<Pod>]) -> Groups {
    let spec = service.spec.clone().unwrap_or_default();
    let service_ports = spec.ports.unwrap_or_default();
    let publish_all = spec.publish_not_ready_addresses == Some(true);
    let mut groups = Groups::new();
    for pod in pods.iter().filter(|pod| !pods::is_finished(pod)) {
        let Some(ip) = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).filter(|ip| !ip.is_empty()) else {
            continue;
        };
        let ports: Vec<Port> = service_ports.iter().filter_map(|port| resolve(port, pod)).collect();
        if ports.is_empty() && !service_ports.is_empty() {
            continue;
        }
        groups.entry(ports).or_default().push(backend(pod, ip, publish_all));
    }
    for backends in groups.values_mut() {
        backends.sort_by(|a, b| a.ip.cmp(&b.ip));
    }
    groups
}

fn backend(pod: &Pod, ip: String, publish_all: bool) -> Backend {
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let serving = pods::is_ready(pod);
    let spec = pod.spec.as_ref();
    // A host name resolves only together with the subdomain.
    let hostname = spec.filter(|spec| spec.subdomain.is_some()).and_then(|spec| spec.hostname.clone());
    let reference = ObjectReference { api_version: None, resource_version: None, ..pod.object_ref(&()) };
    Backend {
        ip,
        hostname,
        node: pods::node(pod).map(str::to_owned),
        pod: reference,
        ready: publish_all || (serving && !terminating),
        serving,
        terminating,
    }
}

fn resolve(port: &ServicePort, pod: &Pod) -> Option<Port> {
    let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
    let number = match &port.target_port {
        // An unset target port may be written as 0.
        None | Some(IntOrString::Int(0)) => port.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(text)) => match text.parse() {
            Ok(number) => number,
            Err(_) => named_port(pod, text, &protocol)?,
        },
    };
    Some(Port { name: port.name.clone(), number, protocol, app_protocol: port.app_protocol.clone() })
}

fn named_port(pod: &Pod, name: &str, protocol: &str) -> Option<i32> {
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let ports = containers.iter().flat_map(|Container { ports, .. }| ports.iter().flatten());
    let mut matching = ports
        .filter(|port| port.name.as_deref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol);
    matching.next().map(|port| port.container_port)
}

/// The Service selects the pod; a Service without a selector selects none, its Endpoints are somebody else's.
pub(super) fn selects(service: &Service, pod: &Pod) -> bool {
    let selector =
        service.spec.as_ref().and_then(|spec| spec.selector.as_ref()).filter(|selector| !selector.is_empty());
    selector.is_some_and(|selector| selector.iter().all(|(key, value)| pod.labels().get(key) == Some(value)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    fn service(spec: Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "ns"}, "spec": spec})).unwrap()
    }

    fn pod(name: &str, ip: &str, ready: &str, port: i32) -> Arc<Pod> {
        let value = json!({
            "metadata": {"name": name, "namespace": "ns", "labels": {"app": "web"}},
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": port}]}]},
            "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": ready}]},
        });
        Arc::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn named_ports_resolve_on_each_pod() {
        let service =
            service(json!({"selector": {"app": "web"}, "ports": [{"name": "web", "port": 80, "targetPort": "http"}]}));
        let groups = collect(&service, &[pod("a", "127.9.1.2", "True", 8000), pod("b", "127.9.1.1", "True", 9000)]);
        let ports: Vec<i32> = groups.keys().map(|ports| ports[0].number).collect();
        assert_eq!(ports, [8000, 9000]);
        assert_eq!(groups.keys().next().unwrap()[0].name.as_deref(), Some("web"));
    }

    #[test]
    fn pods_that_are_not_ready_get_no_traffic_unless_published() {
        let pods = [pod("a", "127.9.1.1", "False", 8000)];
        let closed = service(json!({"selector": {"app": "web"}, "ports": [{"port": 8000}]}));
        let open = service(json!({"publishNotReadyAddresses": true, "ports": [{"port": 8000}]}));
        assert!(!collect(&closed, &pods).values().next().unwrap()[0].ready);
        assert!(collect(&open, &pods).values().next().unwrap()[0].ready);
    }

    #[test]
    fn a_pod_that_leaves_serves_but_is_not_ready() {
        let mut leaving = pod("a", "127.9.1.1", "True", 8000).as_ref().clone();
        leaving.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let service = service(json!({"ports": [{"port": 8000}]}));
        let backend = collect(&service, &[Arc::new(leaving)]).into_values().next().unwrap().remove(0);
        assert_eq!((backend.ready, backend.serving, backend.terminating), (false, true, true));
    }

    #[test]
    fn a_service_without_selector_selects_nothing() {
        let pod = pod("a", "127.9.1.1", "True", 8000);
        assert!(selects(&service(json!({"selector": {"app": "web"}})), &pod));
        assert!(!selects(&service(json!({})), &pod));
        assert!(!selects(&service(json!({"selector": {}})), &pod));
    }
}
