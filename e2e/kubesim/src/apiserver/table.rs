//! Tables: what `kubectl get` prints, with the columns of the real server.

mod age;
mod autoscaling;
mod cluster;
mod network;
mod pods;
mod policy;
mod workloads;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::failure::Failure;
use super::jsonpath::JsonPath;
use super::negotiation::{Form, partial};
use super::resource::Resource;

/// A column: its name, its type, and 1 when only `-o wide` shows it.
type Column = (&'static str, &'static str, u8);

/// What makes the cells of a row from its object, apart from the name.
type Cells = dyn Fn(&Value) -> Vec<Value>;

/// How the rows of a kind are made.
struct Layout {
    columns: &'static [Column],
    cells: fn(&Value, Timestamp) -> Vec<Value>,
}

/// A table of objects as served. `include` says how much of each object comes along with its row.
pub(super) fn of(resource: &Resource, objects: &[Value], include: Option<&str>) -> Value {
    let version = match objects {
        [one] => one["metadata"]["resourceVersion"].clone(),
        _ => json!(""),
    };
    let now = Timestamp::now();
    let scale =
        objects.first().is_some_and(|object| object["apiVersion"] == "autoscaling/v1" && object["kind"] == "Scale");
    let mut columns = vec![column("Name", "string", "name", 0)];
    let cells: Box<Cells> = match resource.custom() {
        Some(version) if !scale && !version.columns.is_empty() => {
            columns.extend(version.columns.iter().map(|declared| {
                let text = |key: &str| declared[key].as_str().unwrap_or_default();
                column(text("name"), text("type"), text("format"), declared["priority"].as_i64().unwrap_or(0))
            }));
            let declared = version.columns.clone();
            Box::new(move |object| declared.iter().map(|column| declared_cell(column, object, now)).collect())
        }
        _ => {
            let layout = if scale { autoscaling::SCALE } else { layout(&resource.group, &resource.kind) };
            if layout.columns.first().is_some_and(|(name, ..)| *name == "Last Seen") {
                // Events are the one kind whose name does not come first.
                columns.clear();
            }
            columns.extend(layout.columns.iter().map(|(name, kind, wide)| {
                let format = if *name == "Name" { "name" } else { "" };
                column(name, kind, format, i64::from(*wide))
            }));
            Box::new(move |object| (layout.cells)(object, now))
        }
    };
    let named = columns.first().is_some_and(|column| column["name"] == "Name");
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut row = if named { vec![object["metadata"]["name"].clone()] } else { Vec::new() };
            row.extend(cells(object));
            let mut row = json!({ "cells": row });
            match include {
                Some("None") => row["object"] = Value::Null,
                Some("Object") => row["object"] = object.clone(),
                _ => row["object"] = partial(object),
            }
            row
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": columns,
        "rows": rows,
    })
}

/// Refuses to tell of objects in a way that tables do not know.
pub(super) fn check(form: Form, include: Option<&str>) -> Result<(), Failure> {
    match include {
        Some(other) if form == Form::Table && !["None", "Metadata", "Object"].contains(&other) => {
            Err(Failure::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', \
                 'Object', 'None', or empty"
            )))
        }
        _ => Ok(()),
    }
}

fn column(name: &str, kind: &str, format: &str, priority: i64) -> Value {
    json!({"name": name, "type": kind, "format": format, "description": "", "priority": priority})
}

fn layout(group: &str, kind: &str) -> Layout {
    const AGE_ONLY: Layout =
        Layout { columns: &[("Age", "string", 0)], cells: |object, now| vec![age::of(object, now)] };
    match (group, kind) {
        ("", "Pod") => pods::POD,
        ("apps", "Deployment") => workloads::DEPLOYMENT,
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workloads::REPLICA_SET,
        ("apps", "StatefulSet") => workloads::STATEFUL_SET,
        ("apps", "DaemonSet") => workloads::DAEMON_SET,
        ("batch", "Job") => workloads::JOB,
        ("batch", "CronJob") => workloads::CRON_JOB,
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaling::HORIZONTAL_POD_AUTOSCALER,
        ("", "Service") => network::SERVICE,
        ("", "Endpoints") => network::ENDPOINTS,
        ("discovery.k8s.io", "EndpointSlice") => network::ENDPOINT_SLICE,
        ("networking.k8s.io", "Ingress") => network::INGRESS,
        ("networking.k8s.io", "NetworkPolicy") => network::NETWORK_POLICY,
        ("", "Node") => cluster::NODE,
        ("", "Namespace") => cluster::NAMESPACE,
        ("", "ConfigMap") => cluster::CONFIG_MAP,
        ("", "Secret") => cluster::SECRET,
        ("", "PersistentVolumeClaim") => cluster::PERSISTENT_VOLUME_CLAIM,
        ("" | "events.k8s.io", "Event") => cluster::EVENT,
        ("coordination.k8s.io", "Lease") => cluster::LEASE,
        ("policy", "PodDisruptionBudget") => cluster::POD_DISRUPTION_BUDGET,
        ("apiextensions.k8s.io", "CustomResourceDefinition")
        | ("rbac.authorization.k8s.io", "Role" | "ClusterRole")
        | ("", "LimitRange") => cluster::CREATED_AT,
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => cluster::ROLE_BINDING,
        ("apiregistration.k8s.io", "APIService") => cluster::API_SERVICE,
        ("", "ResourceQuota") => policy::RESOURCE_QUOTA,
        ("scheduling.k8s.io", "PriorityClass") => policy::PRIORITY_CLASS,
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            policy::WEBHOOKS
        }
        ("storage.k8s.io", "StorageClass") => policy::STORAGE_CLASS,
        ("networking.k8s.io", "IngressClass") => policy::INGRESS_CLASS,
        ("node.k8s.io", "RuntimeClass") => policy::RUNTIME_CLASS,
        _ => AGE_ONLY,
    }
}

/// The cell of a printer column that a definition declares; nothing found is an empty cell.
fn declared_cell(column: &Value, object: &Value, now: Timestamp) -> Value {
    let path = column["jsonPath"].as_str().and_then(JsonPath::parse);
    let found = path.as_ref().map(|path| path.find(object)).unwrap_or_default();
    let Some(first) = found.first().copied().filter(|first| !first.is_null()) else { return Value::Null };
    match column["type"].as_str() {
        Some("date") => age::since(first.as_str(), now),
        Some("string") => json!(text(first)),
        _ => first.clone(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// A list of texts as one cell, `<none>` when there is none.
fn joined(parts: impl IntoIterator<Item = String>, separator: &str) -> Value {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    json!(if parts.is_empty() { "<none>".to_owned() } else { parts.join(separator) })
}

/// A field as text, `<none>` when it is absent or empty.
fn or_none(value: &Value) -> Value {
    joined([value.as_str().unwrap_or_default().to_owned()], "")
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Labels as `a=b,c=d`.
fn labels(selector: &Value) -> Value {
    joined(selector.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={}", text(value))), ",")
}

#[cfg(test)]
mod tests;
