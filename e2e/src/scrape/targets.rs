//! Which addresses a `ServiceMonitor` selects. Follows the Prometheus operator: services by label in the selected
//! namespaces, then their endpoints by port name, each with the labels the operator would attach.

use k8s_openapi::api::core::v1::{Endpoints, Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt as _;
use kube::core::{Selector, SelectorExt as _};
use serde::Deserialize;
use serde_json::Value;

use super::{Bearer, Job, Target};

/// Everything jobs are made from.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// `ServiceMonitors`, as stored.
    pub monitors: Vec<Monitor>,
    /// Services of all namespaces.
    pub services: Vec<Service>,
    /// Endpoints of all namespaces.
    pub endpoints: Vec<Endpoints>,
    /// Secrets that monitors may name.
    pub secrets: Vec<Secret>,
}

/// A `ServiceMonitor` (`monitoring.coreos.com/v1`), as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Monitor {
    /// Namespace.
    #[serde(default)]
    pub namespace: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Spec.
    pub spec: MonitorSpec,
}

/// Spec of a `ServiceMonitor`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitorSpec {
    selector: LabelSelector,
    namespace_selector: NamespaceSelector,
    endpoints: Vec<MonitorEndpoint>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NamespaceSelector {
    any: bool,
    match_names: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MonitorEndpoint {
    port: String,
    path: Option<String>,
    scheme: Option<String>,
    interval: Option<String>,
    tls_config: Option<TlsConfig>,
    bearer_token_file: Option<String>,
    bearer_token_secret: Option<SecretKey>,
    authorization: Option<Authorization>,
    metric_relabelings: Vec<serde_json::Map<String, Value>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TlsConfig {
    insecure_skip_verify: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Authorization {
    credentials: Option<SecretKey>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SecretKey {
    name: String,
    key: String,
}

/// The jobs that the objects ask for, in a stable order.
pub fn jobs(objects: &Objects) -> Vec<Job> {
    let mut jobs: Vec<Job> = objects
        .monitors
        .iter()
        .flat_map(|monitor| {
            monitor.spec.endpoints.iter().enumerate().map(|(index, endpoint)| job(objects, monitor, index, endpoint))
        })
        .collect();
    jobs.sort_by(|a, b| a.name.cmp(&b.name));
    jobs
}

fn job(objects: &Objects, monitor: &Monitor, index: usize, endpoint: &MonitorEndpoint) -> Job {
    let mut targets: Vec<Target> = objects
        .services
        .iter()
        .filter(|service| selects(monitor, service))
        .flat_map(|service| {
            objects
                .endpoints
                .iter()
                .filter(|e| {
                    e.metadata.name == service.metadata.name && e.metadata.namespace == service.metadata.namespace
                })
                .flat_map(|endpoints| addresses(service, endpoints, &endpoint.port))
        })
        .collect();
    targets.sort_by(|a, b| a.address.cmp(&b.address));
    Job {
        name: format!("serviceMonitor/{}/{}/{index}", monitor.namespace, monitor.name),
        interval: endpoint.interval.clone(),
        scheme: endpoint.scheme.clone().unwrap_or_else(|| "http".to_owned()).to_lowercase(),
        path: endpoint.path.clone().unwrap_or_else(|| "/metrics".to_owned()),
        insecure_skip_verify: endpoint.tls_config.as_ref().is_some_and(|tls| tls.insecure_skip_verify),
        bearer: bearer(objects, &monitor.namespace, endpoint),
        metric_relabelings: endpoint.metric_relabelings.iter().map(in_snake_case).collect(),
        targets,
    }
}

/// A relabelling as Prometheus spells its keys.
fn in_snake_case(relabeling: &serde_json::Map<String, Value>) -> Value {
    let snake = |key: &str| match key {
        "sourceLabels" => "source_labels".to_owned(),
        "targetLabel" => "target_label".to_owned(),
        other => other.to_owned(),
    };
    relabeling.iter().map(|(key, value)| (snake(key), value.clone())).collect()
}

fn selects(monitor: &Monitor, service: &Service) -> bool {
    let MonitorSpec { selector, namespace_selector, endpoints: _ } = &monitor.spec;
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let in_namespace = namespace_selector.any
        || namespace_selector.match_names.iter().any(|name| name == namespace)
        || (namespace_selector.match_names.is_empty() && namespace == monitor.namespace);
    let by_label = Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(service.labels()));
    in_namespace && by_label
}

fn addresses(service: &Service, endpoints: &Endpoints, port: &str) -> Vec<Target> {
    let service_name = service.metadata.name.clone().unwrap_or_default();
    let namespace = service.metadata.namespace.clone().unwrap_or_default();
    let subsets = endpoints.subsets.iter().flatten();
    subsets
        .flat_map(|subset| {
            let ports = subset.ports.iter().flatten().filter(|p| p.name.as_deref() == Some(port));
            ports.flat_map(|p| subset.addresses.iter().flatten().map(move |address| (address, p.port)))
        })
        .map(|(address, number)| {
            let mut labels = vec![
                ("namespace".to_owned(), namespace.clone()),
                ("service".to_owned(), service_name.clone()),
                ("endpoint".to_owned(), port.to_owned()),
                ("job".to_owned(), service_name.clone()),
            ];
            if let Some(pod) = address.target_ref.as_ref().filter(|t| t.kind.as_deref() == Some("Pod")) {
                labels.push(("pod".to_owned(), pod.name.clone().unwrap_or_default()));
            }
            Target { address: format!("{}:{number}", address.ip), labels }
        })
        .collect()
}

fn bearer(objects: &Objects, namespace: &str, endpoint: &MonitorEndpoint) -> Option<Bearer> {
    let by_authorization = endpoint.authorization.as_ref().and_then(|a| a.credentials.as_ref());
    if let Some(key) = by_authorization.or(endpoint.bearer_token_secret.as_ref()) {
        let secret = objects.secrets.iter().find(|secret| {
            secret.metadata.namespace.as_deref() == Some(namespace)
                && secret.metadata.name.as_deref() == Some(&key.name)
        })?;
        let token = secret.data.as_ref()?.get(&key.key)?;
        return Some(Bearer::Token(String::from_utf8_lossy(&token.0).into_owned()));
    }
    endpoint.bearer_token_file.as_ref().map(|_| Bearer::OwnServiceAccount)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn monitor(spec: serde_json::Value) -> Monitor {
        Monitor {
            namespace: "team-a".to_owned(),
            name: "llama".to_owned(),
            spec: serde_json::from_value(spec).unwrap(),
        }
    }

    fn service(namespace: &str, name: &str) -> Service {
        serde_json::from_value(json!({
            "metadata": { "namespace": namespace, "name": name, "labels": { "app": name } }
        }))
        .unwrap()
    }

    fn endpoints(namespace: &str, name: &str, ip: &str) -> Endpoints {
        serde_json::from_value(json!({
            "metadata": { "namespace": namespace, "name": name },
            "subsets": [{
                "addresses": [{ "ip": ip, "targetRef": { "kind": "Pod", "name": format!("{name}-0") } }],
                "notReadyAddresses": [{ "ip": "127.9.9.9" }],
                "ports": [{ "name": "vllm", "port": 8000 }, { "name": "other", "port": 9 }],
            }],
        }))
        .unwrap()
    }

    fn two_namespaces() -> Objects {
        Objects {
            services: vec![service("team-a", "llama"), service("team-a", "mistral"), service("team-b", "llama")],
            endpoints: vec![
                endpoints("team-a", "llama", "127.1.1.1"),
                endpoints("team-a", "mistral", "127.1.1.2"),
                endpoints("team-b", "llama", "127.1.1.3"),
            ],
            ..Objects::default()
        }
    }

    #[test]
    fn a_monitor_selects_ready_addresses_of_its_own_namespace_by_label_and_port_name() {
        let spec = json!({ "selector": { "matchLabels": { "app": "llama" } }, "endpoints": [{ "port": "vllm", "interval": "1s" }] });
        let objects = Objects { monitors: vec![monitor(spec)], ..two_namespaces() };
        let [job] = jobs(&objects).try_into().unwrap();
        assert_eq!((job.name.as_str(), job.interval.as_deref()), ("serviceMonitor/team-a/llama/0", Some("1s")));
        let [target] = job.targets.try_into().unwrap();
        assert_eq!(target.address, "127.1.1.1:8000");
        assert!(target.labels.contains(&("pod".to_owned(), "llama-0".to_owned())), "{target:?}");
        assert!(target.labels.contains(&("namespace".to_owned(), "team-a".to_owned())), "{target:?}");
    }

    #[test]
    fn any_namespace_and_named_namespaces_widen_the_selection() {
        let count = |namespaces: serde_json::Value| {
            let spec = json!({
                "namespaceSelector": namespaces,
                "selector": { "matchExpressions": [{ "key": "app", "operator": "In", "values": ["llama"] }] },
                "endpoints": [{ "port": "vllm" }],
            });
            jobs(&Objects { monitors: vec![monitor(spec)], ..two_namespaces() })[0].targets.len()
        };
        assert_eq!(count(json!({ "any": true })), 2);
        assert_eq!(count(json!({ "matchNames": ["team-b"] })), 1);
        assert_eq!(count(json!({})), 1);
    }

    #[test]
    fn a_token_comes_from_the_secret_named_in_the_monitors_namespace() {
        let spec = json!({ "endpoints": [{ "port": "https", "scheme": "https", "tlsConfig": { "insecureSkipVerify": true },
            "authorization": { "credentials": { "name": "metrics", "key": "token" } } }] });
        let secret: Secret = serde_json::from_value(json!({
            "metadata": { "namespace": "team-a", "name": "metrics" }, "data": { "token": "c2VjcmV0" }
        }))
        .unwrap();
        let objects = Objects { monitors: vec![monitor(spec)], secrets: vec![secret], ..Objects::default() };
        let [job] = jobs(&objects).try_into().unwrap();
        assert_eq!(job.bearer, Some(Bearer::Token("secret".to_owned())));
        assert!(job.insecure_skip_verify && job.scheme == "https");
    }

    #[test]
    fn metric_relabelings_are_passed_on_with_the_keys_of_prometheus() {
        let relabeling =
            json!({ "sourceLabels": ["__name__"], "regex": "wva_.*", "targetLabel": "pod", "action": "replace" });
        let spec = json!({ "endpoints": [{ "port": "https", "metricRelabelings": [relabeling] }] });
        let [job] = jobs(&Objects { monitors: vec![monitor(spec)], ..Objects::default() }).try_into().unwrap();
        let expect =
            json!([{ "source_labels": ["__name__"], "regex": "wva_.*", "target_label": "pod", "action": "replace" }]);
        assert_eq!(Value::from(job.metric_relabelings), expect);
    }
}
