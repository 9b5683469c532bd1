//! Horizontal pod autoscalers.

use serde_json::{Value, json};

use super::{Layout, age, list, number, text};

pub(super) const HORIZONTAL_POD_AUTOSCALER: Layout = Layout {
    columns: &[
        ("Reference", "string", 0),
        ("Targets", "string", 0),
        ("MinPods", "string", 0),
        ("MaxPods", "string", 0),
        ("Replicas", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let target = &spec["scaleTargetRef"];
        let min = spec["minReplicas"].as_i64().map_or("<unset>".to_owned(), |min| min.to_string());
        vec![
            json!(format!("{}/{}", text(&target["kind"]), text(&target["name"]))),
            json!(targets(object)),
            json!(min),
            json!(number(&spec["maxReplicas"])),
            json!(number(&object["status"]["currentReplicas"])),
            age::of(object, now),
        ]
    },
};

/// Current over target of each metric; at most two are shown.
fn targets(object: &Value) -> String {
    if let Some(percent) = object["spec"].get("targetCPUUtilizationPercentage") {
        let current = object["status"].get("currentCPUUtilizationPercentage");
        return format!("cpu: {}/{percent}%", current.map_or("<unknown>".to_owned(), |current| format!("{current}%")));
    }
    let current: Vec<&Value> = list(&object["status"]["currentMetrics"]).collect();
    let all: Vec<String> = list(&object["spec"]["metrics"])
        .enumerate()
        .map(|(index, metric)| target(metric, current.get(index).copied().unwrap_or(&Value::Null)))
        .collect();
    match all.as_slice() {
        [] => "<none>".to_owned(),
        [a, b, rest @ ..] if !rest.is_empty() => format!("{a}, {b} + {} more...", rest.len()),
        few => few.join(", "),
    }
}

fn target(metric: &Value, current: &Value) -> String {
    let (field, label) = match metric["type"].as_str() {
        Some("External") => ("external", String::new()),
        Some("Pods") => ("pods", String::new()),
        Some("Object") => ("object", String::new()),
        Some("Resource") => ("resource", format!("{}: ", text(&metric["resource"]["name"]))),
        Some("ContainerResource") => ("containerResource", format!("{}: ", text(&metric["containerResource"]["name"]))),
        _ => return "<unknown type>".to_owned(),
    };
    let (wanted, now) = (&metric[field]["target"], &current[field]["current"]);
    let known = |value: &Value| if value.is_null() { "<unknown>".to_owned() } else { text(value) };
    if let Some(percent) = wanted.get("averageUtilization") {
        let now = now.get("averageUtilization").map_or("<unknown>".to_owned(), |now| format!("{now}%"));
        return format!("{label}{now}/{percent}%");
    }
    if let Some(average) = wanted.get("averageValue") {
        let note = if field == "external" || field == "object" { " (avg)" } else { "" };
        return format!("{label}{}/{}{note}", known(&now["averageValue"]), text(average));
    }
    format!("{label}{}/{}", known(&now["value"]), text(&wanted["value"]))
}

/// The scale subresource of any kind.
pub(super) const SCALE: Layout = Layout {
    columns: &[("Desired", "integer", 0), ("Available", "integer", 0), ("Age", "string", 0)],
    cells: |object, now| {
        vec![
            json!(number(&object["spec"]["replicas"])),
            json!(number(&object["status"]["replicas"])),
            age::of(object, now),
        ]
    },
};
