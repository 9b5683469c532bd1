//! Horizontal pod autoscalers.

use serde_json::Value;

use crate::apiserver::failure::Cause;

pub(super) fn horizontal_pod_autoscaler(_old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let spec = &object["spec"];
    let mut causes = Vec::new();
    let min = spec["minReplicas"].as_i64().unwrap_or(1);
    let max = spec["maxReplicas"].as_i64().unwrap_or(0);
    let scales_on_others = spec["metrics"]
        .as_array()
        .is_some_and(|metrics| metrics.iter().any(|metric| metric["type"] == "External" || metric["type"] == "Object"));
    if min < i64::from(!scales_on_others) {
        let lowest = i64::from(!scales_on_others);
        let detail = format!("must be greater than or equal to {lowest}");
        causes.push(Cause::invalid("spec.minReplicas", &spec["minReplicas"], &detail));
    }
    if max < 1 {
        causes.push(Cause::invalid("spec.maxReplicas", &spec["maxReplicas"], "must be greater than 0"));
    } else if max < min {
        let detail = "must be greater than or equal to `minReplicas`";
        causes.push(Cause::invalid("spec.maxReplicas", &spec["maxReplicas"], detail));
    }
    for (index, metric) in spec["metrics"].as_array().into_iter().flatten().enumerate() {
        let at = format!("spec.metrics[{index}]");
        let kind = metric["type"].as_str().unwrap_or_default();
        let source = match kind {
            "External" => "external",
            "Object" => "object",
            "Pods" => "pods",
            "Resource" => "resource",
            "ContainerResource" => "containerResource",
            _ => {
                let kinds = ["ContainerResource", "External", "Object", "Pods", "Resource"].map(ToOwned::to_owned);
                causes.push(Cause::unsupported(format!("{at}.type"), &metric["type"], &kinds));
                continue;
            }
        };
        if !metric[source].is_object() {
            let detail = format!("must populate information for the given metric source ({source})");
            causes.push(Cause::required(format!("{at}.{source}"), &detail));
        }
    }
    causes
}
