//! Tables: what `kubectl get` prints.

use serde_json::{Value, json};

use super::resource::Resource;

/// A table of objects as served.
pub(super) fn of(_resource: &Resource, objects: &[Value], revision: &str, _include: Option<&str>) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| json!({"cells": [object["metadata"]["name"]], "object": super::negotiation::partial(object)}))
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": revision},
        "columnDefinitions": [{"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}],
        "rows": rows,
    })
}
