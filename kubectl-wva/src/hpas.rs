//! What HPAs say about themselves.

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition};

/// How Kubernetes writes the selector of a metric into a message.
const SELECTOR: &str = "/&LabelSelector{";

/// Why an HPA does not scale. `ScalingDisabled` only says that the target stands at zero.
pub fn inactive(hpa: &HorizontalPodAutoscaler) -> Option<&HorizontalPodAutoscalerCondition> {
    let conditions = hpa.status.as_ref()?.conditions.as_ref()?;
    let scaling = conditions.iter().find(|one| one.type_ == "ScalingActive" && one.status == "False")?;
    Some(scaling).filter(|scaling| scaling.reason.as_deref() != Some("ScalingDisabled"))
}

/// The message of a condition without the selector, a memory dump that takes three lines.
pub fn message(condition: &HorizontalPodAutoscalerCondition) -> String {
    let message = condition.message.as_deref().or(condition.reason.as_deref()).unwrap_or_default();
    let cut = message.split_once(SELECTOR).and_then(|(before, rest)| Some((before, rest.split_once("}: ")?.1)));
    cut.map_or(message.to_owned(), |(before, after)| format!("{before}: {after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_goes_without_the_selector() {
        let long = "unable to get external metric team-a/wva_desired_replicas/&LabelSelector{MatchLabels:map[string]string\
                    {variant_name: llama,},MatchExpressions:[]LabelSelectorRequirement{},}: no metrics returned";
        let said = |message: &str| {
            let message = Some(message.to_owned());
            super::message(&HorizontalPodAutoscalerCondition { message, ..HorizontalPodAutoscalerCondition::default() })
        };
        assert_eq!(said(long), "unable to get external metric team-a/wva_desired_replicas: no metrics returned");
        assert_eq!(said("no metrics returned"), "no metrics returned");
    }
}
