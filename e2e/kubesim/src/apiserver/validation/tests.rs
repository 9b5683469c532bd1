use rstest::rstest;
use serde_json::json;

use super::*;
use crate::apiserver::catalog::Catalog;
use crate::apiserver::failure::Failure;

fn refused(group: &str, version: &str, plural: &str, old: Option<&Value>, object: &Value) -> String {
    let resource = Catalog::new().find(group, version, plural).cloned().expect("served");
    let causes = validate(&resource, Gates::default(), old, object);
    if causes.is_empty() {
        return String::new();
    }
    Failure::invalid(&resource.group, &resource.kind, "x", &causes).message
}

fn deployment() -> Value {
    json!({
        "metadata": {"name": "x"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "x"}},
            "template": {
                "metadata": {"labels": {"app": "x"}},
                "spec": {"restartPolicy": "Always", "containers": [{"name": "c", "image": "i"}]},
            },
        },
    })
}

#[rstest]
#[case::sound("/spec/replicas", json!(1), "")]
#[case::replicas("/spec/replicas", json!(-1),
    "Deployment.apps \"x\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0")]
#[case::labels("/spec/template/metadata/labels", json!({"app": "y"}),
    "Deployment.apps \"x\" is invalid: spec.template.metadata.labels: Invalid value: {\"app\":\"y\"}: \
     `selector` does not match template `labels`")]
#[case::image("/spec/template/spec/containers/0/image", json!(""),
    "Deployment.apps \"x\" is invalid: spec.template.spec.containers[0].image: Required value")]
fn a_deployment_is_checked(#[case] pointer: &str, #[case] value: Value, #[case] expected: &str) {
    let mut object = deployment();
    *object.pointer_mut(pointer).expect("exists") = value;
    assert_eq!(refused("apps", "v1", "deployments", None, &object), expected);
}

#[test]
fn the_selector_of_a_deployment_does_not_change() {
    let mut object = deployment();
    object["spec"]["selector"]["matchLabels"]["more"] = json!("y");
    object["spec"]["template"]["metadata"]["labels"]["more"] = json!("y");
    let message = refused("apps", "v1", "deployments", Some(&deployment()), &object);
    assert!(message.contains("spec.selector: Invalid value") && message.ends_with("field is immutable"), "{message}");
}

#[rstest]
#[case("My_Map")]
#[case("-a")]
#[case("a..b")]
fn a_name_that_is_no_domain_is_refused(#[case] name: &str) {
    let message = refused("", "v1", "configmaps", None, &json!({"metadata": {"name": name}}));
    assert!(message.contains("a lowercase RFC 1123 subdomain must consist of"), "{message}");
}

#[test]
fn label_values_have_a_syntax() {
    let object = json!({"metadata": {"name": "x", "labels": {"a/b": "no spaces"}}});
    let message = refused("", "v1", "configmaps", None, &object);
    assert!(message.contains("metadata.labels: Invalid value: \"no spaces\""), "{message}");
}

/// An HPA with a target and a metric that may wake it, changed by `spec`.
fn autoscaler(spec: &Value) -> Value {
    let metric = json!({"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"}}});
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"});
    let mut object =
        json!({"metadata": {"name": "x"}, "spec": {"maxReplicas": 2, "scaleTargetRef": target, "metrics": [metric]}});
    for (field, value) in spec.as_object().expect("an object") {
        object["spec"][field] = value.clone();
    }
    object
}

#[rstest]
#[case::sound(json!({}), "")]
#[case(json!({"minReplicas": 3}), "spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`")]
#[case::zero(json!({"minReplicas": 0}), "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1")]
#[case(json!({"metrics": [{"type": "External"}]}),
    "spec.metrics[0].external: Required value: must populate information for the given metric source")]
#[case(json!({"scaleTargetRef": {"kind": "Deployment", "name": "x"}}),
    "spec.scaleTargetRef.apiVersion: Invalid value: \"\": apiVersion must specify API group")]
#[case(json!({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 4000}}}),
    "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600")]
#[case(json!({"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 15}]}}}),
    "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero")]
fn an_autoscaler_is_checked(#[case] spec: Value, #[case] expected: &str) {
    let message = refused("autoscaling", "v2", "horizontalpodautoscalers", None, &autoscaler(&spec));
    assert!(message.ends_with(expected) && message.is_empty() == expected.is_empty(), "{message}");
}

/// What a Kubernetes 1.36 answers to this object.
#[test]
fn an_autoscaler_that_is_all_wrong_is_told_everything_in_order() {
    let metrics = json!([
        {"type": "External"},
        {"type": "Nope"},
        {"type": "External", "external": {"metric": {"name": ""}, "target": {"type": "Value"}}},
    ]);
    let policies = json!([{"type": "X", "value": 0, "periodSeconds": 0}]);
    let spec = json!({
        "scaleTargetRef": {"kind": "", "name": ""},
        "metrics": metrics,
        "behavior": {"scaleUp": {"stabilizationWindowSeconds": 4000, "policies": policies}},
    });
    insta::assert_snapshot!(
        refused("autoscaling", "v2", "horizontalpodautoscalers", None, &autoscaler(&spec)).replace(", spec.", ",\nspec."),
        @r#"
    HorizontalPodAutoscaler.autoscaling "x" is invalid: [spec.scaleTargetRef.kind: Required value,
    spec.scaleTargetRef.name: Required value,
    spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group,
    spec.metrics[0].external: Required value: must populate information for the given metric source,
    spec.metrics[1].type: Unsupported value: "Nope": supported values: "ContainerResource", "External", "Object", "Pods", "Resource",
    spec.metrics[2].external.metric.name: Required value: must specify a metric name,
    spec.metrics[2].external.target.averageValue: Required value: must set either a target value for metric or a per-pod target,
    spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600,
    spec.behavior.scaleUp.policies[0].type: Unsupported value: "X": supported values: "Percent", "Pods",
    spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero,
    spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 0: must be greater than zero]
    "#
    );
}

#[test]
fn an_autoscaler_may_go_to_zero_where_the_feature_is_on_or_where_it_did_already() {
    let (one, zero) = (autoscaler(&json!({})), autoscaler(&json!({"minReplicas": 0})));
    let resource = Catalog::new().find("autoscaling", "v2", "horizontalpodautoscalers").cloned().expect("served");
    let allowed = |gates, old| validate(&resource, gates, old, &zero).is_empty();
    assert!(!allowed(Gates::default(), None));
    assert!(!allowed(Gates::default(), Some(&one)));
    assert!(allowed(Gates::default(), Some(&zero)));
    assert!(allowed(Gates { hpa_scale_to_zero: true }, None));
}

#[test]
fn a_running_pod_keeps_its_containers() {
    let pod = json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let mut image = pod.clone();
    image["spec"]["containers"][0]["image"] = json!("j");
    assert_eq!(refused("", "v1", "pods", Some(&pod), &image), "");
    let mut args = pod.clone();
    args["spec"]["containers"][0]["args"] = json!(["-v"]);
    assert!(refused("", "v1", "pods", Some(&pod), &args).contains("spec: Forbidden: pod updates may not change"));
}
