use rstest::rstest;

use super::*;
use crate::apiserver::catalog::Catalog;

fn filled(group: &str, version: &str, plural: &str, mut object: Value) -> Value {
    let resource = Catalog::new().find(group, version, plural).cloned().expect("served");
    object["apiVersion"] = json!(resource.api_version());
    fill(&resource, &mut object);
    object
}

#[rstest]
#[case::replicas("/spec/replicas", json!(1))]
#[case::surge("/spec/strategy/rollingUpdate/maxSurge", json!("25%"))]
#[case::deadline("/spec/progressDeadlineSeconds", json!(600))]
#[case::restarts("/spec/template/spec/restartPolicy", json!("Always"))]
#[case::grace("/spec/template/spec/terminationGracePeriodSeconds", json!(30))]
#[case::pull("/spec/template/spec/containers/0/imagePullPolicy", json!("Always"))]
#[case::pull_tagged("/spec/template/spec/containers/1/imagePullPolicy", json!("IfNotPresent"))]
#[case::period("/spec/template/spec/containers/0/readinessProbe/periodSeconds", json!(10))]
#[case::scheme("/spec/template/spec/containers/0/readinessProbe/httpGet/scheme", json!("HTTP"))]
#[case::protocol("/spec/template/spec/containers/0/ports/0/protocol", json!("TCP"))]
#[case::mode("/spec/template/spec/volumes/0/configMap/defaultMode", json!(420))]
fn a_deployment_is_completed(#[case] pointer: &str, #[case] expected: Value) {
    let object = filled(
        "apps",
        "v1",
        "deployments",
        json!({"spec": {"template": {"spec": {
            "containers": [
                {"name": "a", "image": "host:5000/a", "ports": [{"containerPort": 80}],
                 "readinessProbe": {"httpGet": {"port": 80}}},
                {"name": "b", "image": "b:1.0"},
            ],
            "volumes": [{"name": "v", "configMap": {"name": "m"}}],
        }}}}),
    );
    assert_eq!(object.pointer(pointer), Some(&expected));
}

#[test]
fn a_service_maps_its_port_to_itself() {
    let object = filled("", "v1", "services", json!({"spec": {"ports": [{"port": 80}]}}));
    assert_eq!(object["spec"]["ports"], json!([{"port": 80, "protocol": "TCP", "targetPort": 80}]));
    assert_eq!(object["spec"]["sessionAffinity"], "None");
}

#[test]
fn autoscaler_behaviour_is_completed_only_when_given() {
    let plain = filled("autoscaling", "v2", "horizontalpodautoscalers", json!({"spec": {"maxReplicas": 3}}));
    assert_eq!(plain["spec"].get("behavior"), None);
    let given = json!({"spec": {"maxReplicas": 3, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}});
    let given = filled("autoscaling", "v2", "horizontalpodautoscalers", given);
    assert_eq!(given["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"], 60);
    assert_eq!(given["spec"]["behavior"]["scaleUp"]["policies"][0]["value"], 4);
}

#[test]
fn secret_text_becomes_data() {
    let object = filled("", "v1", "secrets", json!({"stringData": {"a": "b"}}));
    assert_eq!(object["data"], json!({"a": "Yg=="}));
    assert_eq!(object.get("stringData"), None);
}

#[test]
fn a_pod_requests_what_it_is_limited_to() {
    let object = filled(
        "",
        "v1",
        "pods",
        json!({"spec": {"containers": [
            {"name": "a", "resources": {"limits": {"nvidia.com/gpu": 1}}},
        ]}}),
    );
    assert_eq!(object["spec"]["containers"][0]["resources"]["requests"], json!({"nvidia.com/gpu": 1}));
}
