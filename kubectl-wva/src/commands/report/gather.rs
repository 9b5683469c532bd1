//! Everything that may help, as far as it may be read.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, ListParams, LogParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use wva_api::config_keys;

use super::Redactor;
use crate::commands::{doctor, instances, status};
use crate::readers::controllers::{self, Controller};
use crate::readers::{debug_state, external, forward, pods};
use crate::session::{self, Session};

/// Kinds of objects in the namespaces of models and controllers: group, version, kind, plural.
const KINDS: [(&str, &str, &str, &str); 14] = [
    ("llmd.ai", "v1alpha1", "VariantAutoscaling", "variantautoscalings"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
    ("apps", "v1", "Deployment", "deployments"),
    ("apps", "v1", "ReplicaSet", "replicasets"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("", "v1", "Pod", "pods"),
    ("", "v1", "Service", "services"),
    ("", "v1", "ConfigMap", "configmaps"),
    ("coordination.k8s.io", "v1", "Lease", "leases"),
    ("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
    ("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"),
    ("inference.networking.k8s.io", "v1", "InferencePool", "inferencepools"),
    ("", "v1", "Event", "events"),
];

/// Files and gaps.
#[derive(Default)]
pub(super) struct Bundle {
    pub(super) files: BTreeMap<String, String>,
    pub(super) unread: Vec<String>,
}

impl Bundle {
    fn add(&mut self, name: String, content: Result<String, String>) {
        match content {
            Ok(text) => drop(self.files.insert(name, text)),
            Err(why) if self.unread.contains(&why) => {}
            Err(why) => self.unread.push(why),
        }
    }

    /// Namespaces that have objects in this file.
    fn homes(&self, file: &str) -> BTreeSet<String> {
        let home =
            |name: &String| Some(name.strip_prefix("objects/")?.strip_suffix(file)?.trim_end_matches('/').to_owned());
        self.files.keys().filter_map(home).collect()
    }

    fn json(&mut self, name: &str, value: Result<Value, String>) {
        let text = value.and_then(|value| serde_json::to_string_pretty(&value).map_err(|error| error.to_string()));
        self.add(name.to_owned(), text);
    }
}

/// Reads what may be read. A cluster that does not answer at all is an error.
pub(super) async fn gather(
    session: &Session,
    namespace: Option<&str>,
    lines: i64,
    redactor: &Redactor,
) -> Result<Bundle, session::Error> {
    let version = session.get("ask for the cluster's version", "/version").await;
    if let Err(error @ (session::Error::Unreachable { .. } | session::Error::TimedOut { .. })) = version {
        return Err(error);
    }
    let mut bundle = Bundle::default();
    bundle.add("cluster/version.json".to_owned(), version.map_err(|error| error.to_string()));
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/variantautoscalings.llmd.ai";
    let definition = session.get("read the definition of VariantAutoscaling", definition).await;
    bundle.add("cluster/crd.json".to_owned(), definition.map_err(|error| error.to_string()));

    let controllers = controllers::list(session).await.unwrap_or_else(|error| {
        bundle.unread.push(error.to_string());
        Vec::new()
    });
    let mut places: BTreeSet<Option<String>> = BTreeSet::from([namespace.map(str::to_owned)]);
    if namespace.is_some() {
        places.extend(controllers.iter().map(|controller| Some(controller.namespace.clone())));
    }
    for place in &places {
        for (group, version, kind, plural) in KINDS {
            let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
            objects(session, place.as_deref(), &resource, redactor, &mut bundle).await;
        }
    }
    for controller in &controllers {
        of_controller(session, controller, lines, redactor, &mut bundle).await;
    }
    let homes = bundle.homes("variantautoscalings.json");
    views(session, namespace, &homes, redactor, &mut bundle).await;
    bundle.unread.iter_mut().for_each(|why| *why = redactor.text(why));
    Ok(bundle)
}

async fn objects(
    session: &Session,
    namespace: Option<&str>,
    resource: &ApiResource,
    redactor: &Redactor,
    bundle: &mut Bundle,
) {
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(session.client.clone(), namespace, resource),
        None => Api::all_with(session.client.clone(), resource),
    };
    let place = namespace.map_or(String::new(), |namespace| format!(" in namespace {namespace}"));
    let listed = session.ask(format!("list {}{place}", resource.plural), api.list(&ListParams::default())).await;
    let items = match listed {
        Ok(list) => list.items,
        // A kind that the cluster does not know.
        Err(session::Error::NotFound { .. }) => return,
        Err(error) => return bundle.add(String::new(), Err(error.to_string())),
    };
    let mut by_namespace: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for item in items {
        let home = item.namespace().unwrap_or_default();
        let object = serde_json::to_value(item).unwrap_or_default();
        by_namespace.entry(home).or_default().push(redactor.object(object));
    }
    for (home, items) in by_namespace {
        bundle.json(&format!("objects/{home}/{}.json", resource.plural), Ok(Value::Array(items)));
    }
}

async fn of_controller(
    session: &Session,
    controller: &Controller,
    lines: i64,
    redactor: &Redactor,
    bundle: &mut Bundle,
) {
    let Controller { namespace, name, .. } = controller;
    let state = debug_state::fetch(session, controller).await.map_err(|error| error.to_string());
    bundle.add(format!("decisions/{namespace}/{name}.json"), state.map(|text| redactor.json(&text)));
    let history = debug_state::fetch_history(session, controller, None).await.map_err(|error| error.to_string());
    bundle.add(format!("history/{namespace}/{name}.json"), history.map(|text| redactor.json(&text)));
    let found = match controllers::pods_of(session, controller).await {
        Ok(found) => found,
        Err(why) => return bundle.add(String::new(), Err(why)),
    };
    let api: Api<Pod> = Api::namespaced(session.client.clone(), namespace);
    for pod in found {
        let pod_name = pod.name_any();
        if pods::is_ready(&pod) {
            let text = metrics(session, controller, &pod_name).await;
            bundle.add(format!("metrics/{namespace}/{pod_name}.txt"), text.map(|text| redactor.text(&text)));
        }
        let restarted = pod
            .status
            .as_ref()
            .and_then(|status| status.container_statuses.as_ref())
            .is_some_and(|containers| containers.iter().any(|container| container.restart_count > 0));
        for previous in [false, true].into_iter().filter(|previous| restarted || !previous) {
            let params = LogParams { previous, tail_lines: Some(lines), timestamps: true, ..LogParams::default() };
            let which = if previous { "previous log" } else { "log" };
            let log = session.ask(format!("read the {which} of pod {pod_name}"), api.logs(&pod_name, &params)).await;
            let file = format!("logs/{namespace}/{pod_name}{}.log", if previous { ".previous" } else { "" });
            bundle.add(file, log.map(|text| redactor.text(&text)).map_err(|error| error.to_string()));
        }
    }
}

/// What a controller's replica publishes about itself and its variants.
async fn metrics(session: &Session, controller: &Controller, pod: &str) -> Result<String, String> {
    let could_not = |why: &str| Err(format!("could not read the metrics of pod {pod}: {why}"));
    let Some(port) = debug_state::port(controller, config_keys::METRICS_BIND_ADDRESS) else {
        return could_not("its controller serves none, or does not say where");
    };
    let plain = controller.literal(config_keys::METRICS_SECURE).as_deref() == Some("false");
    let secure = match (plain, &session.token) {
        (true, _) => None,
        (false, Some(token)) => Some(token.as_str()),
        (false, None) => {
            return could_not(
                "it gives them only to the bearer of a token that may get /metrics, and this context has no token; \
                 --token names one",
            );
        }
    };
    let question = forward::Question { namespace: &controller.namespace, pod, port, path: "/metrics", secure };
    forward::ask(session, question).await.map_err(|error| error.to_string())
}

/// What our other commands say, at the same time as the rest.
async fn views(
    session: &Session,
    namespace: Option<&str>,
    places: &BTreeSet<String>,
    redactor: &Redactor,
    bundle: &mut Bundle,
) {
    let encoded = |view: Result<Value, serde_json::Error>| {
        view.map(|view| redactor.object(view)).map_err(|error| error.to_string())
    };
    match status::look(session, namespace, &status::Filter::default()).await {
        Ok(view) => bundle.json("status.json", encoded(serde_json::to_value(&view))),
        Err(error) => bundle.add(String::new(), Err(error.to_string())),
    }
    match Box::pin(doctor::look(session, namespace, None)).await {
        Ok(view) => bundle.json("doctor.json", encoded(serde_json::to_value(&view))),
        Err(error) => bundle.add(String::new(), Err(error.to_string())),
    }
    match instances::look(session).await {
        Ok(view) => bundle.json("instances.json", encoded(serde_json::to_value(&view))),
        Err(error) => bundle.add(String::new(), Err(error.to_string())),
    }
    for place in places {
        let metrics = external::desired_replicas(session, place).await.map_err(|error| error.to_string());
        bundle.json(&format!("metrics/external/{place}.json"), metrics.map(|series| json!(series)));
    }
}
