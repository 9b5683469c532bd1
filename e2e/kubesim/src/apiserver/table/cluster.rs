//! Nodes, namespaces, events, leases, and the kinds that only hold data or rules.

use serde_json::{Value, json};

use super::{Layout, age, joined, list, number, or_none, text};

pub(super) const NODE: Layout = Layout {
    columns: &[
        ("Status", "string", 0),
        ("Roles", "string", 0),
        ("Age", "string", 0),
        ("Version", "string", 0),
        ("Internal-IP", "string", 1),
        ("External-IP", "string", 1),
        ("OS-Image", "string", 1),
        ("Kernel-Version", "string", 1),
        ("Container-Runtime", "string", 1),
    ],
    cells: |object, now| {
        let info = &object["status"]["nodeInfo"];
        let address = |kind: &str| {
            let found = list(&object["status"]["addresses"]).find(|address| address["type"] == kind);
            found.map_or(json!("<none>"), |address| or_none(&address["address"]))
        };
        let unknown = |value: &Value| {
            value.as_str().filter(|value| !value.is_empty()).map_or(json!("<unknown>"), |value| json!(value))
        };
        vec![
            json!(node_status(object)),
            roles(object),
            age::of(object, now),
            json!(info["kubeletVersion"].as_str().unwrap_or_default()),
            address("InternalIP"),
            address("ExternalIP"),
            unknown(&info["osImage"]),
            unknown(&info["kernelVersion"]),
            unknown(&info["containerRuntimeVersion"]),
        ]
    },
};

fn node_status(node: &Value) -> String {
    let ready = list(&node["status"]["conditions"]).find(|condition| condition["type"] == "Ready");
    let mut words = vec![match ready.map(|condition| &condition["status"]) {
        Some(status) if status == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }];
    if node["spec"]["unschedulable"] == true {
        words.push("SchedulingDisabled");
    }
    words.join(",")
}

fn roles(node: &Value) -> Value {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    joined(
        labels.filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role.to_owned()),
            None => (key == "kubernetes.io/role").then(|| text(value)),
        }),
        ",",
    )
}

pub(super) const NAMESPACE: Layout = Layout {
    columns: &[("Status", "string", 0), ("Age", "string", 0)],
    cells: |object, now| vec![or_none(&object["status"]["phase"]), age::of(object, now)],
};

pub(super) const CONFIG_MAP: Layout = Layout {
    columns: &[("Data", "string", 0), ("Age", "string", 0)],
    cells: |object, now| vec![json!(entries(&object["data"]) + entries(&object["binaryData"])), age::of(object, now)],
};

pub(super) const SECRET: Layout = Layout {
    columns: &[("Type", "string", 0), ("Data", "string", 0), ("Age", "string", 0)],
    cells: |object, now| vec![or_none(&object["type"]), json!(entries(&object["data"])), age::of(object, now)],
};

fn entries(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

pub(super) const PERSISTENT_VOLUME_CLAIM: Layout = Layout {
    columns: &[
        ("Status", "string", 0),
        ("Volume", "string", 0),
        ("Capacity", "string", 0),
        ("Access Modes", "string", 0),
        ("StorageClass", "string", 0),
        ("VolumeAttributesClass", "string", 0),
        ("Age", "string", 0),
        ("VolumeMode", "string", 1),
    ],
    cells: |claim, now| {
        let spec = &claim["spec"];
        let plain = |value: &Value| json!(value.as_str().unwrap_or_default());
        let bound = !spec["volumeName"].as_str().unwrap_or_default().is_empty();
        let modes: Vec<&str> = list(&claim["status"]["accessModes"])
            .map(|mode| match mode.as_str().unwrap_or_default() {
                "ReadWriteOnce" => "RWO",
                "ReadOnlyMany" => "ROX",
                "ReadWriteMany" => "RWX",
                "ReadWriteOncePod" => "RWOP",
                other => other,
            })
            .collect();
        let phase = match claim["metadata"].get("deletionTimestamp") {
            Some(_) => json!("Terminating"),
            None => plain(&claim["status"]["phase"]),
        };
        let class = spec["volumeAttributesClassName"].as_str().filter(|class| !class.is_empty()).unwrap_or("<unset>");
        vec![
            phase,
            plain(&spec["volumeName"]),
            if bound { plain(&claim["status"]["capacity"]["storage"]) } else { json!("") },
            json!(if bound { modes.join(",") } else { String::new() }),
            plain(&spec["storageClassName"]),
            json!(class),
            age::of(claim, now),
            spec["volumeMode"].as_str().map_or(json!("<unset>"), |mode| json!(mode)),
        ]
    },
};

pub(super) const EVENT: Layout = Layout {
    columns: &[
        ("Last Seen", "string", 0),
        ("Type", "string", 0),
        ("Reason", "string", 0),
        ("Object", "string", 0),
        ("Subobject", "string", 1),
        ("Source", "string", 1),
        ("Message", "string", 0),
        ("First Seen", "string", 1),
        ("Count", "string", 1),
        ("Name", "string", 1),
    ],
    cells: |event, now| {
        // Both groups show the same event under other names.
        let field = |core: &str, other: &str| event.get(core).or_else(|| event.get(other)).unwrap_or(&Value::Null);
        let about = field("involvedObject", "regarding");
        let created = event["eventTime"].as_str().or_else(|| event["metadata"]["creationTimestamp"].as_str());
        let first = field("firstTimestamp", "deprecatedFirstTimestamp").as_str().or(created);
        let series = event.pointer("/series/lastObservedTime").and_then(Value::as_str);
        let last = series.or_else(|| field("lastTimestamp", "deprecatedLastTimestamp").as_str()).or(first);
        let count =
            event.pointer("/series/count").or_else(|| event.get("count")).or_else(|| event.get("deprecatedCount"));
        let source = field("source", "deprecatedSource");
        let component =
            source["component"].as_str().or_else(|| field("reportingComponent", "reportingController").as_str());
        let host = source["host"].as_str().map_or(String::new(), |host| format!(", {host}"));
        vec![
            age::since(last, now),
            json!(text(&event["type"])),
            json!(text(&event["reason"])),
            json!(format!("{}/{}", text(&about["kind"]).to_lowercase(), text(&about["name"]))),
            json!(about["fieldPath"].as_str().unwrap_or_default()),
            json!(format!("{}{host}", component.unwrap_or_default())),
            json!(field("message", "note").as_str().unwrap_or_default().trim()),
            age::since(first, now),
            json!(count.map_or(1, number).max(1)),
            event["metadata"]["name"].clone(),
        ]
    },
};

pub(super) const LEASE: Layout = Layout {
    columns: &[("Holder", "string", 0), ("Age", "string", 0)],
    cells: |object, now| {
        vec![json!(object["spec"]["holderIdentity"].as_str().unwrap_or_default()), age::of(object, now)]
    },
};

pub(super) const POD_DISRUPTION_BUDGET: Layout = Layout {
    columns: &[
        ("Min Available", "string", 0),
        ("Max Unavailable", "string", 0),
        ("Allowed Disruptions", "integer", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let bound = |field: &str| object["spec"].get(field).map_or("N/A".to_owned(), text);
        vec![
            json!(bound("minAvailable")),
            json!(bound("maxUnavailable")),
            json!(number(&object["status"]["disruptionsAllowed"])),
            age::of(object, now),
        ]
    },
};

pub(super) const CREATED_AT: Layout = Layout {
    columns: &[("Created At", "date", 0)],
    cells: |object, _| vec![object["metadata"]["creationTimestamp"].clone()],
};

pub(super) const ROLE_BINDING: Layout = Layout {
    columns: &[
        ("Role", "string", 0),
        ("Age", "string", 0),
        ("Users", "string", 1),
        ("Groups", "string", 1),
        ("ServiceAccounts", "string", 1),
    ],
    cells: |object, now| {
        let role = &object["roleRef"];
        let named = |kind: &str| {
            let subjects = list(&object["subjects"]).filter(|subject| subject["kind"] == kind);
            let names: Vec<String> = subjects
                .map(|subject| match subject["namespace"].as_str() {
                    Some(namespace) => format!("{namespace}/{}", text(&subject["name"])),
                    None => text(&subject["name"]),
                })
                .collect();
            json!(names.join(", "))
        };
        vec![
            json!(format!("{}/{}", text(&role["kind"]), text(&role["name"]))),
            age::of(object, now),
            named("User"),
            named("Group"),
            named("ServiceAccount"),
        ]
    },
};

pub(super) const API_SERVICE: Layout = Layout {
    columns: &[("Service", "string", 0), ("Available", "string", 0), ("Age", "string", 0)],
    cells: |object, now| {
        let service = &object["spec"]["service"];
        let place = match service["name"].as_str() {
            Some(name) => format!("{}/{name}", text(&service["namespace"])),
            None => "Local".to_owned(),
        };
        let available = list(&object["status"]["conditions"]).find(|condition| condition["type"] == "Available");
        let word = available.map_or("Unknown".to_owned(), |condition| match condition["status"].as_str() {
            Some("False") => format!("False ({})", text(&condition["reason"])),
            other => other.unwrap_or("Unknown").to_owned(),
        });
        vec![json!(place), json!(word), age::of(object, now)]
    },
};
