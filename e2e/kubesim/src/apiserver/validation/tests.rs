use rstest::rstest;
use serde_json::json;

use super::*;
use crate::apiserver::catalog::Catalog;
use crate::apiserver::failure::Failure;

fn refused(group: &str, version: &str, plural: &str, old: Option<&Value>, object: &Value) -> String {
    let resource = Catalog::new().find(group, version, plural).cloned().expect("served");
    let causes = validate(&resource, old, object);
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

#[rstest]
#[case(json!({"minReplicas": 3, "maxReplicas": 2}), "must be greater than or equal to `minReplicas`")]
#[case(json!({"minReplicas": 0, "maxReplicas": 2}), "must be greater than or equal to 1")]
#[case(json!({"maxReplicas": 2, "metrics": [{"type": "External"}]}), "must populate information for the given metric source (external)")]
fn autoscaler_bounds_are_checked(#[case] spec: Value, #[case] expected: &str) {
    let object = json!({"metadata": {"name": "x"}, "spec": spec});
    let message = refused("autoscaling", "v2", "horizontalpodautoscalers", None, &object);
    assert!(message.ends_with(expected), "{message}");
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
