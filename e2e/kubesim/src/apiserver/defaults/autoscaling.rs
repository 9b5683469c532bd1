//! Defaults of horizontal pod autoscalers.

use serde_json::{Value, json};

use super::default;

pub(super) fn horizontal_pod_autoscaler(object: &mut Value) {
    let v1 = object["apiVersion"] == "autoscaling/v1";
    let spec = &mut object["spec"];
    default(spec, "minReplicas", json!(1));
    if v1 {
        return;
    }
    let no_metrics = spec.get("metrics").and_then(Value::as_array).is_none_or(Vec::is_empty);
    if no_metrics {
        spec["metrics"] = json!([{
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
        }]);
    }
    if spec["behavior"].is_object() {
        let behavior = &mut spec["behavior"];
        default(behavior, "scaleUp", json!({}));
        default(&mut behavior["scaleUp"], "stabilizationWindowSeconds", json!(0));
        rules(
            &mut behavior["scaleUp"],
            json!([
                {"type": "Pods", "value": 4, "periodSeconds": 15},
                {"type": "Percent", "value": 100, "periodSeconds": 15},
            ]),
        );
        default(behavior, "scaleDown", json!({}));
        rules(&mut behavior["scaleDown"], json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]));
    }
}

fn rules(rules: &mut Value, policies: Value) {
    default(rules, "selectPolicy", json!("Max"));
    if rules.get("policies").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        rules["policies"] = policies;
    }
}
