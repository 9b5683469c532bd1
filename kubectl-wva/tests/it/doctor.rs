//! What `doctor` concludes from facts, by kind of cause.

mod config;
mod controller;
mod hpa;
mod keda;
mod owner;
mod series;
mod servers;
mod unread;

use std::collections::BTreeMap;

use jiff::Timestamp;
use kubectl_wva::commands::doctor::{Cause, DoctorView, External, Facts, Installed, examine, print};
use kubectl_wva::output::Format;
use kubectl_wva::output::console::Console;
use kubectl_wva::readers::pods::Nodes;
use kubectl_wva::readers::servers::Servers;
use serde_json::{Value, json};

use crate::objects::{NOW, controller, decided, deployment, deployments, hpa, hpas, typed, variant, variants};

/// A healthy cluster: one variant, followed by an HPA that KEDA made.
fn facts() -> Facts {
    let mut hpa = hpa("models", "llama-decode", 2);
    hpa["metadata"]["labels"] = json!({"scaledobject.keda.sh/name": "llama"});
    Facts {
        now: NOW.parse::<Timestamp>().unwrap(),
        namespace: Some("models".to_owned()),
        name: None,
        variants: variants(&[decided(variant("models", "llama", "llama-decode", "team-a"), 2)]),
        namespaces: Ok(vec![typed(&json!({"metadata": {"name": "models"}}))]),
        controllers: Ok(vec![Installed {
            controller: controller("wva-a", "team-a", &[]),
            pods: Ok(vec![]),
            nodes: Nodes::default(),
            lease: Ok(None),
            log: None,
        }]),
        broken: vec![],
        deployments: Ok(deployments(&[deployment("models", "llama-decode", 2)])),
        servers: Servers::default(),
        events: Ok(vec![]),
        hpas: Ok(hpas(&[hpa])),
        scaled_objects: Ok(vec![typed(&scaled_object())]),
        config_maps: Ok(vec![]),
        services: Ok(vec![]),
        monitors: Ok(vec![]),
        external: External::Answers(BTreeMap::new()),
    }
}

/// What the chart renders, and what KEDA says of it when all is well.
fn scaled_object() -> Value {
    let query = "sum(wva_desired_replicas{variant_name=\"llama-va\",exported_namespace=\"models\",controller_instance=\"team-a\"})";
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"namespace": "models", "name": "llama", "annotations": {}},
        "spec": {
            "scaleTargetRef": {"name": "llama-decode"},
            "triggers": [{"type": "prometheus", "metricType": "AverageValue", "metadata": {
                "serverAddress": "http://prometheus:9090", "query": query, "threshold": "1",
            }}],
        },
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "ScaledObjectReady", "message": "ok"}]},
    })
}

fn with_object(change: impl FnOnce(&mut Value)) -> DoctorView {
    let mut object = scaled_object();
    change(&mut object);
    examine(&Facts { scaled_objects: Ok(vec![typed(&object)]), ..facts() })
}

fn causes(view: &DoctorView) -> Vec<Cause> {
    view.findings.iter().map(|finding| finding.cause).collect()
}

fn printed(view: &DoctorView, format: Format) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut plain = anstream::StripStream::new(&mut out);
    print(view, &mut Console { out: &mut plain, err: &mut err, format, headers: true, width: None }).unwrap();
    String::from_utf8(out).unwrap()
}

/// A healthy cluster whose variant an HPA of the chart's follows, as a plain HPA.
fn plain() -> Facts {
    let mut hpa = hpa("models", "llama-decode", 2);
    hpa["spec"]["metrics"] = json!([{"type": "External", "external": {
        "metric": {"name": "wva_desired_replicas", "selector": {"matchLabels": {
            "variant_name": "llama-va", "exported_namespace": "models", "controller_instance": "team-a",
        }}},
        "target": {"type": "AverageValue", "averageValue": "1"},
    }}]);
    let series = BTreeMap::from([
        ("variant_name", "llama-va"),
        ("exported_namespace", "models"),
        ("controller_instance", "team-a"),
        ("job", "wva-metrics"),
    ]);
    let series = series.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Facts {
        hpas: Ok(hpas(&[hpa])),
        scaled_objects: Ok(vec![]),
        external: External::Answers(BTreeMap::from([("models".to_owned(), Ok(vec![series]))])),
        ..facts()
    }
}

/// A healthy cluster but for the instance that the HPA asks for.
pub(crate) fn with_wrong_selector() -> Facts {
    let facts = plain();
    let mut hpa = serde_json::to_value(&facts.hpas.as_ref().unwrap()[0]).unwrap();
    hpa["spec"]["metrics"][0]["external"]["metric"]["selector"]["matchLabels"]["controller_instance"] = json!("team-b");
    Facts { hpas: Ok(hpas(&[hpa])), ..facts }
}

fn with_hpa(change: impl FnOnce(&mut Value)) -> DoctorView {
    let facts = plain();
    let mut hpa = serde_json::to_value(&facts.hpas.as_ref().unwrap()[0]).unwrap();
    change(&mut hpa);
    examine(&Facts { hpas: Ok(hpas(&[hpa])), ..facts })
}

/// The pod of a controller; `age` in seconds.
fn controller_pod(name: &str, set: &str, age: i64, status: &Value) -> k8s_openapi::api::core::v1::Pod {
    let made = NOW.parse::<Timestamp>().unwrap() - jiff::SignedDuration::from_secs(age);
    typed(&json!({
        "metadata": {"name": name, "namespace": "wva-a", "creationTimestamp": made.to_string(), "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": "u"},
        ]},
        "spec": {"containers": []}, "status": status,
    }))
}

fn serving() -> Value {
    json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
}

fn monitor(kind: &str, namespace: &str, name: &str, release: &str, spec: &Value) -> kube::api::DynamicObject {
    typed(&json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": kind,
        "metadata": {"namespace": namespace, "name": name, "labels": {"app.kubernetes.io/instance": release}},
        "spec": spec,
    }))
}
