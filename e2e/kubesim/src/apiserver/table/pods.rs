//! Pods.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Layout, age, list, number, or_none};

pub(super) const POD: Layout = Layout {
    columns: &[
        ("Ready", "string", 0),
        ("Status", "string", 0),
        ("Restarts", "string", 0),
        ("Age", "string", 0),
        ("IP", "string", 1),
        ("Node", "string", 1),
        ("Nominated Node", "string", 1),
        ("Readiness Gates", "string", 1),
    ],
    cells,
};

fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let statuses = || list(&pod["status"]["containerStatuses"]);
    let ready = statuses().filter(|status| status["ready"] == true).count();
    let total = list(&pod["spec"]["containers"]).count();
    vec![
        json!(format!("{ready}/{total}")),
        json!(status(pod)),
        restarts(pod, now),
        age::of(pod, now),
        or_none(&pod["status"]["podIP"]),
        or_none(&pod["spec"]["nodeName"]),
        or_none(&pod["status"]["nominatedNodeName"]),
        json!("<none>"),
    ]
}

/// The most telling word: why a container waits or ended, before the phase of the whole pod.
fn status(pod: &Value) -> String {
    let deleting = pod["metadata"].get("deletionTimestamp").is_some();
    let phase = pod["status"]["phase"].as_str().unwrap_or("Unknown");
    let reason = pod["status"]["reason"].as_str().unwrap_or(phase).to_owned();
    let word = init_status(pod).or_else(|| container_status(pod)).unwrap_or(reason);
    match (deleting, pod["status"]["reason"].as_str()) {
        (true, Some("NodeLost")) => "Unknown".to_owned(),
        (true, _) if !matches!(phase, "Succeeded" | "Failed") => "Terminating".to_owned(),
        _ => word,
    }
}

fn init_status(pod: &Value) -> Option<String> {
    let statuses: Vec<&Value> = list(&pod["status"]["initContainerStatuses"]).collect();
    let total = list(&pod["spec"]["initContainers"]).count();
    let (index, status) = statuses
        .iter()
        .enumerate()
        .find(|(_, status)| status.pointer("/state/terminated/exitCode").and_then(Value::as_i64) != Some(0))?;
    Some(match stopped(status).filter(|word| word != "PodInitializing") {
        Some(word) => format!("Init:{word}"),
        None => format!("Init:{index}/{total}"),
    })
}

fn container_status(pod: &Value) -> Option<String> {
    let statuses: Vec<&Value> = list(&pod["status"]["containerStatuses"]).collect();
    let word = statuses.iter().find_map(|status| stopped(status));
    let running = statuses.iter().any(|status| status["ready"] == true && status["state"].get("running").is_some());
    match word.as_deref() {
        // Some containers are done while others go on.
        Some("Completed") if running => Some("Running".to_owned()),
        _ => word,
    }
}

/// Why a container waits or ended; `None` while it runs.
fn stopped(status: &Value) -> Option<String> {
    let state = &status["state"];
    if let Some(reason) = state.pointer("/waiting/reason").and_then(Value::as_str) {
        return Some(reason.to_owned());
    }
    let terminated = state.get("terminated")?;
    if let Some(reason) = terminated["reason"].as_str().filter(|reason| !reason.is_empty()) {
        return Some(reason.to_owned());
    }
    Some(match number(&terminated["signal"]) {
        0 => format!("ExitCode:{}", number(&terminated["exitCode"])),
        signal => format!("Signal:{signal}"),
    })
}

fn restarts(pod: &Value, now: Timestamp) -> Value {
    let statuses = || list(&pod["status"]["containerStatuses"]);
    let count: i64 = statuses().map(|status| number(&status["restartCount"])).sum();
    let last = statuses().filter_map(|status| status.pointer("/lastState/terminated/finishedAt")?.as_str()).max();
    match last {
        Some(last) if count > 0 => {
            json!(format!("{count} ({} ago)", age::since(Some(last), now).as_str().unwrap_or_default()))
        }
        _ => json!(count.to_string()),
    }
}
