//! Defaults of what makes pods.

use serde_json::{Value, json};

use super::pods::pod_spec;
use super::{default, items};

const HISTORY: i64 = 10;

pub(super) fn deployment(object: &mut Value) {
    let spec = &mut object["spec"];
    default(spec, "replicas", json!(1));
    default(spec, "revisionHistoryLimit", json!(HISTORY));
    default(spec, "progressDeadlineSeconds", json!(600));
    default(spec, "strategy", json!({}));
    default(&mut spec["strategy"], "type", json!("RollingUpdate"));
    if spec["strategy"]["type"] == "RollingUpdate" {
        default(&mut spec["strategy"], "rollingUpdate", json!({}));
        default(&mut spec["strategy"]["rollingUpdate"], "maxUnavailable", json!("25%"));
        default(&mut spec["strategy"]["rollingUpdate"], "maxSurge", json!("25%"));
    }
    template(spec);
}

pub(super) fn replica_set(object: &mut Value) {
    let spec = &mut object["spec"];
    default(spec, "replicas", json!(1));
    template(spec);
}

pub(super) fn replication_controller(object: &mut Value) {
    let labels = object.pointer("/spec/template/metadata/labels").cloned();
    if let Some(labels) = labels {
        default(&mut object["spec"], "selector", labels);
    }
    replica_set(object);
}

pub(super) fn stateful_set(object: &mut Value) {
    let spec = &mut object["spec"];
    default(spec, "replicas", json!(1));
    default(spec, "revisionHistoryLimit", json!(HISTORY));
    default(spec, "podManagementPolicy", json!("OrderedReady"));
    default(spec, "updateStrategy", json!({}));
    default(&mut spec["updateStrategy"], "type", json!("RollingUpdate"));
    if spec["updateStrategy"]["type"] == "RollingUpdate" {
        default(&mut spec["updateStrategy"], "rollingUpdate", json!({}));
        default(&mut spec["updateStrategy"]["rollingUpdate"], "partition", json!(0));
    }
    default(spec, "persistentVolumeClaimRetentionPolicy", json!({"whenDeleted": "Retain", "whenScaled": "Retain"}));
    items(spec, "volumeClaimTemplates")
        .for_each(|claim| default(&mut claim["spec"], "volumeMode", json!("Filesystem")));
    template(spec);
}

pub(super) fn daemon_set(object: &mut Value) {
    let spec = &mut object["spec"];
    default(spec, "revisionHistoryLimit", json!(HISTORY));
    default(spec, "updateStrategy", json!({}));
    default(&mut spec["updateStrategy"], "type", json!("RollingUpdate"));
    if spec["updateStrategy"]["type"] == "RollingUpdate" {
        default(&mut spec["updateStrategy"], "rollingUpdate", json!({}));
        default(&mut spec["updateStrategy"]["rollingUpdate"], "maxUnavailable", json!(1));
        default(&mut spec["updateStrategy"]["rollingUpdate"], "maxSurge", json!(0));
    }
    template(spec);
}

pub(super) fn job(object: &mut Value) {
    job_spec(&mut object["spec"]);
}

fn job_spec(spec: &mut Value) {
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        default(spec, "completions", json!(1));
    }
    default(spec, "parallelism", json!(1));
    default(spec, "backoffLimit", json!(6));
    default(spec, "completionMode", json!("NonIndexed"));
    default(spec, "suspend", json!(false));
    default(spec, "manualSelector", json!(false));
    default(spec, "podReplacementPolicy", json!("TerminatingOrFailed"));
    template(spec);
}

/// A job selects its pods by its own uid unless it brings a selector of its own.
pub(super) fn label_with_own_uid(object: &mut Value) {
    let Some(uid) = object["metadata"].get("uid").cloned() else { return };
    let name = object["metadata"]["name"].clone();
    let spec = &mut object["spec"];
    if spec["manualSelector"] == true || spec.get("selector").is_some() {
        return;
    }
    spec["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    for pointer in ["/spec/template/metadata", "/metadata"] {
        let Some(metadata) = object.pointer_mut(pointer) else { continue };
        for prefix in ["", "batch.kubernetes.io/"] {
            metadata["labels"][format!("{prefix}controller-uid")] = uid.clone();
            metadata["labels"][format!("{prefix}job-name")] = name.clone();
        }
    }
}

pub(super) fn cron_job(object: &mut Value) {
    let spec = &mut object["spec"];
    default(spec, "concurrencyPolicy", json!("Allow"));
    default(spec, "suspend", json!(false));
    default(spec, "successfulJobsHistoryLimit", json!(3));
    default(spec, "failedJobsHistoryLimit", json!(1));
    if let Some(template_spec) = spec.pointer_mut("/jobTemplate/spec/template/spec") {
        pod_spec(template_spec);
    }
}

fn template(spec: &mut Value) {
    if let Some(found) = spec.pointer_mut("/template/spec") {
        pod_spec(found);
    }
}
