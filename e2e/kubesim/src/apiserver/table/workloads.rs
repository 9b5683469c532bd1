//! Deployments, replica sets and their like.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Layout, age, joined, labels, list, number, or_none, text};

const TEMPLATE: [super::Column; 3] = [("Containers", "string", 1), ("Images", "string", 1), ("Selector", "string", 1)];

pub(super) const DEPLOYMENT: Layout = Layout {
    columns: &[
        ("Ready", "string", 0),
        ("Up-to-date", "string", 0),
        ("Available", "string", 0),
        ("Age", "string", 0),
        TEMPLATE[0],
        TEMPLATE[1],
        TEMPLATE[2],
    ],
    cells: |object, now| {
        let status = &object["status"];
        let mut cells = vec![
            ready(object),
            json!(number(&status["updatedReplicas"])),
            json!(number(&status["availableReplicas"])),
            age::of(object, now),
        ];
        cells.extend(template(object));
        cells
    },
};

pub(super) const REPLICA_SET: Layout = Layout {
    columns: &[
        ("Desired", "integer", 0),
        ("Current", "integer", 0),
        ("Ready", "integer", 0),
        ("Age", "string", 0),
        TEMPLATE[0],
        TEMPLATE[1],
        TEMPLATE[2],
    ],
    cells: |object, now| {
        let status = &object["status"];
        let mut cells = vec![
            json!(number(&object["spec"]["replicas"])),
            json!(number(&status["replicas"])),
            json!(number(&status["readyReplicas"])),
            age::of(object, now),
        ];
        cells.extend(template(object));
        cells
    },
};

pub(super) const STATEFUL_SET: Layout = Layout {
    columns: &[("Ready", "string", 0), ("Age", "string", 0), TEMPLATE[0], TEMPLATE[1]],
    cells: |object, now| {
        let mut cells = vec![ready(object), age::of(object, now)];
        cells.extend(template(object).into_iter().take(2));
        cells
    },
};

pub(super) const DAEMON_SET: Layout = Layout {
    columns: &[
        ("Desired", "integer", 0),
        ("Current", "integer", 0),
        ("Ready", "integer", 0),
        ("Up-to-date", "integer", 0),
        ("Available", "integer", 0),
        ("Node Selector", "string", 0),
        ("Age", "string", 0),
        TEMPLATE[0],
        TEMPLATE[1],
        TEMPLATE[2],
    ],
    cells: |object, now| {
        let status = &object["status"];
        let counts = [
            "desiredNumberScheduled",
            "currentNumberScheduled",
            "numberReady",
            "updatedNumberScheduled",
            "numberAvailable",
        ];
        let mut cells: Vec<Value> = counts.iter().map(|count| json!(number(&status[*count]))).collect();
        cells.push(labels(&object["spec"]["template"]["spec"]["nodeSelector"]));
        cells.push(age::of(object, now));
        cells.extend(template(object));
        cells
    },
};

pub(super) const JOB: Layout = Layout {
    columns: &[
        ("Status", "string", 0),
        ("Completions", "string", 0),
        ("Duration", "string", 0),
        ("Age", "string", 0),
        TEMPLATE[0],
        TEMPLATE[1],
        TEMPLATE[2],
    ],
    cells: |object, now| {
        let done = number(&object["status"]["succeeded"]);
        let wanted = object["spec"]["completions"].as_i64().unwrap_or(1);
        let mut cells = vec![
            json!(job_status(object)),
            json!(format!("{done}/{wanted}")),
            duration(object, now),
            age::of(object, now),
        ];
        cells.extend(template(object));
        cells
    },
};

pub(super) const CRON_JOB: Layout = Layout {
    columns: &[
        ("Schedule", "string", 0),
        ("Timezone", "string", 0),
        ("Suspend", "boolean", 0),
        ("Active", "integer", 0),
        ("Last Schedule", "string", 0),
        ("Age", "string", 0),
        TEMPLATE[0],
        TEMPLATE[1],
        TEMPLATE[2],
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let last = object["status"]["lastScheduleTime"].as_str();
        let mut cells = vec![
            or_none(&spec["schedule"]),
            or_none(&spec["timeZone"]),
            json!(if spec["suspend"] == true { "True" } else { "False" }),
            json!(list(&object["status"]["active"]).count()),
            last.map_or(json!("<none>"), |last| age::since(Some(last), now)),
            age::of(object, now),
        ];
        cells.extend(template(&spec["jobTemplate"]));
        cells
    },
};

fn ready(object: &Value) -> Value {
    json!(format!("{}/{}", number(&object["status"]["readyReplicas"]), number(&object["spec"]["replicas"])))
}

fn template(object: &Value) -> [Value; 3] {
    let containers = || list(&object["spec"]["template"]["spec"]["containers"]);
    let selector = &object["spec"]["selector"];
    [
        joined(containers().map(|container| text(&container["name"])), ","),
        joined(containers().map(|container| text(&container["image"])), ","),
        labels(selector.get("matchLabels").unwrap_or(selector)),
    ]
}

fn job_status(object: &Value) -> &'static str {
    let holds = |kind: &str| {
        list(&object["status"]["conditions"])
            .any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    if holds("Complete") {
        "Complete"
    } else if holds("Failed") {
        "Failed"
    } else if object["metadata"].get("deletionTimestamp").is_some() {
        "Terminating"
    } else if holds("Suspended") || object["spec"]["suspend"] == true {
        "Suspended"
    } else {
        "Running"
    }
}

fn duration(object: &Value, now: Timestamp) -> Value {
    let time = |field: &str| object["status"][field].as_str()?.parse::<Timestamp>().ok();
    let Some(start) = time("startTime") else { return json!("") };
    let end = time("completionTime").unwrap_or(now);
    json!(age::short(end.as_second() - start.as_second()))
}
