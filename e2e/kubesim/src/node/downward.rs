//! The downward API: what a pod may know about itself.

use std::{collections::BTreeMap, net::Ipv4Addr};

use k8s_openapi::{
    api::core::v1::{Container, Pod, ResourceFieldSelector},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt;

use crate::machinery::quantity;

/// A pod and where it runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) pod: &'a Pod,
    pub(super) pod_ip: Ipv4Addr,
    pub(super) host_ip: Ipv4Addr,
    /// What the node can give: the answer for limits that are not set.
    pub(super) allocatable: &'a BTreeMap<String, Quantity>,
}

impl Facts<'_> {
    /// The value of a `fieldRef`; `None` if there is no such field.
    pub(super) fn field(&self, path: &str) -> Option<String> {
        let Facts { pod, pod_ip, host_ip, allocatable: _ } = self;
        let spec = pod.spec.as_ref();
        if let Some(key) = subscript(path, "metadata.labels") {
            return Some(pod.labels().get(key).cloned().unwrap_or_default());
        }
        if let Some(key) = subscript(path, "metadata.annotations") {
            return Some(pod.annotations().get(key).cloned().unwrap_or_default());
        }
        match path {
            "metadata.name" => Some(pod.name_any()),
            "metadata.namespace" => Some(pod.namespace().unwrap_or_default()),
            "metadata.uid" => Some(pod.uid().unwrap_or_default()),
            "metadata.labels" => Some(lines(pod.labels())),
            "metadata.annotations" => Some(lines(pod.annotations())),
            "spec.nodeName" => Some(spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default()),
            "spec.serviceAccountName" => Some(service_account(pod).to_owned()),
            "status.podIP" | "status.podIPs" => Some(pod_ip.to_string()),
            "status.hostIP" | "status.hostIPs" => Some(host_ip.to_string()),
            _ => None,
        }
    }

    /// The value of a `resourceFieldRef` of `container`; `None` if it cannot be told.
    pub(super) fn resource(&self, selector: &ResourceFieldSelector, container: Option<&Container>) -> Option<String> {
        let spec = self.pod.spec.as_ref()?;
        let named = selector.container_name.as_ref();
        let named = named.and_then(|name| spec.containers.iter().find(|container| container.name == *name));
        let resources = named.or(container)?.resources.clone().unwrap_or_default();
        let (side, name) = selector.resource.split_once('.')?;
        let (limits, requests) = (resources.limits.unwrap_or_default(), resources.requests.unwrap_or_default());
        let value = match side {
            "limits" => limits.get(name).or_else(|| self.allocatable.get(name)).cloned(),
            "requests" => requests.get(name).or_else(|| limits.get(name)).cloned(),
            _ => return None,
        };
        let value = quantity::milli(&value.unwrap_or_else(|| Quantity("0".to_owned()))).ok()?;
        // An unset divisor is written as "0".
        let divisor =
            selector.divisor.as_ref().and_then(|divisor| quantity::milli(divisor).ok()).filter(|divisor| *divisor > 0);
        let divisor = divisor.unwrap_or(1000);
        Some((value / divisor + i64::from(value % divisor != 0)).to_string())
    }
}

/// The service account a pod runs as.
pub(super) fn service_account(pod: &Pod) -> &str {
    let name = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref());
    name.filter(|name| !name.is_empty()).unwrap_or("default")
}

/// `metadata.labels['app']` with `metadata.labels` gives `app`.
fn subscript<'a>(path: &'a str, field: &str) -> Option<&'a str> {
    path.strip_prefix(field)?.strip_prefix("['")?.strip_suffix("']")
}

/// A map as a downward API file shows it: `key="value"` per line.
fn lines(map: &BTreeMap<String, String>) -> String {
    map.iter().flat_map(|(key, value)| [key.clone(), "=".to_owned(), format!("{value:?}\n")]).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web-1", "namespace": "team-a", "uid": "u1", "labels": {"app": "web"}, "annotations": {"note": "n"}},
            "spec": {"nodeName": "a100-0", "containers": [
                {"name": "c", "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "64Mi"}}},
            ]},
        }))
        .unwrap()
    }

    fn facts<'a>(pod: &'a Pod, allocatable: &'a BTreeMap<String, Quantity>) -> Facts<'a> {
        Facts { pod, pod_ip: Ipv4Addr::new(127, 9, 1, 0), host_ip: Ipv4Addr::new(127, 9, 0, 10), allocatable }
    }

    #[rstest]
    #[case("metadata.name", Some("web-1"))]
    #[case("metadata.namespace", Some("team-a"))]
    #[case("metadata.labels['app']", Some("web"))]
    #[case("metadata.labels['none']", Some(""))]
    #[case("metadata.annotations['note']", Some("n"))]
    #[case("metadata.uid", Some("u1"))]
    #[case("spec.nodeName", Some("a100-0"))]
    #[case("spec.serviceAccountName", Some("default"))]
    #[case("status.podIP", Some("127.9.1.0"))]
    #[case("status.hostIP", Some("127.9.0.10"))]
    #[case("spec.containers", None)]
    fn a_pod_knows_itself(#[case] path: &str, #[case] expected: Option<&str>) {
        let (pod, allocatable) = (pod(), BTreeMap::new());
        assert_eq!(facts(&pod, &allocatable).field(path).as_deref(), expected);
    }

    #[rstest]
    #[case::rounded_up_to_cores("requests.cpu", None, Some("1"))]
    #[case::in_thousandths("requests.cpu", Some("1m"), Some("250"))]
    #[case::in_mebibytes("limits.memory", Some("1Mi"), Some("64"))]
    #[case::the_node_is_the_limit("limits.cpu", None, Some("64"))]
    #[case::limit_defaults_request("requests.memory", Some("1Mi"), Some("64"))]
    #[case::nonsense("cpu", None, None)]
    fn resources_are_given_in_units_of_the_divisor(
        #[case] resource: &str,
        #[case] divisor: Option<&str>,
        #[case] expected: Option<&str>,
    ) {
        let (pod, allocatable) = (pod(), BTreeMap::from([("cpu".to_owned(), Quantity("64".to_owned()))]));
        let selector = ResourceFieldSelector {
            container_name: None,
            resource: resource.to_owned(),
            divisor: divisor.map(|divisor| Quantity(divisor.to_owned())),
        };
        let container = pod.spec.as_ref().unwrap().containers.first();
        assert_eq!(facts(&pod, &allocatable).resource(&selector, container).as_deref(), expected);
    }
}
