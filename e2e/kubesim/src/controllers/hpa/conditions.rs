//! The conditions of an autoscaler, with the reasons and messages `kubectl describe hpa` is known for.

use hpa::{Limit, Stability};
use jiff::Timestamp;
use k8s_openapi::{
    api::autoscaling::v2::HorizontalPodAutoscalerCondition,
    apimachinery::pkg::apis::meta::v1::{LabelSelector, Time},
};

/// The three condition types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    AbleToScale,
    ScalingActive,
    ScalingLimited,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::AbleToScale => "AbleToScale",
            Self::ScalingActive => "ScalingActive",
            Self::ScalingLimited => "ScalingLimited",
        }
    }
}

/// Conditions being updated; transition times move only with the status.
#[derive(Debug)]
pub(super) struct Conditions {
    list: Vec<HorizontalPodAutoscalerCondition>,
    now: Timestamp,
}

impl Conditions {
    pub(super) fn new(known: Option<&Vec<HorizontalPodAutoscalerCondition>>, now: Timestamp) -> Self {
        Self { list: known.cloned().unwrap_or_default(), now }
    }

    pub(super) fn set(&mut self, kind: Kind, status: bool, reason: &str, message: impl Into<String>) {
        let status = if status { "True" } else { "False" };
        let known = self.list.iter().position(|known| known.type_ == kind.as_str());
        let same = known.map(|index| &self.list[index]).filter(|known| known.status == status);
        let condition = HorizontalPodAutoscalerCondition {
            type_: kind.as_str().to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.into()),
            last_transition_time: same.and_then(|known| known.last_transition_time.clone()).or(Some(Time(self.now))),
        };
        match known {
            Some(index) => self.list[index] = condition,
            None => self.list.push(condition),
        }
    }

    pub(super) fn stability(&mut self, stability: Stability) {
        let (reason, message) = match stability {
            Stability::Ready => ("ReadyForNewScale", "recommended size matches current size"),
            Stability::ScaleUpStabilized => (
                "ScaleUpStabilized",
                "recent recommendations were lower than current one, applying the lowest recent recommendation",
            ),
            Stability::ScaleDownStabilized => (
                "ScaleDownStabilized",
                "recent recommendations were higher than current one, applying the highest recent recommendation",
            ),
        };
        self.set(Kind::AbleToScale, true, reason, message);
    }

    pub(super) fn limit(&mut self, limit: Limit) {
        let (reason, message) = match limit {
            Limit::WithinRange => ("DesiredWithinRange", "the desired count is within the acceptable range"),
            Limit::TooFewReplicas => {
                ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
            }
            Limit::TooManyReplicas => {
                ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
            }
            Limit::UpTooFast => {
                ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
            }
            Limit::DownTooFast => {
                ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
            }
        };
        self.set(Kind::ScalingLimited, limit != Limit::WithinRange, reason, message);
    }

    pub(super) fn into_list(self) -> Vec<HorizontalPodAutoscalerCondition> {
        self.list
    }
}

/// A selector as Kubernetes prints it in these messages.
pub(super) fn selector_text(selector: Option<&LabelSelector>) -> String {
    let Some(selector) = selector else { return "nil".to_owned() };
    let labels = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}: {value},"));
    let expressions = selector.match_expressions.iter().flatten().map(|requirement| {
        let values = requirement.values.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
        format!(
            "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{values}],}},",
            requirement.key, requirement.operator
        )
    });
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{}}},}}",
        labels.collect::<String>(),
        expressions.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut conditions = Conditions::new(None, at(10));
        conditions.set(Kind::ScalingActive, true, "ValidMetricFound", "fine");
        let first = conditions.into_list();
        let mut conditions = Conditions::new(Some(&first), at(20));
        conditions.set(Kind::ScalingActive, true, "ValidMetricFound", "still fine");
        conditions.limit(Limit::UpTooFast);
        let second = conditions.into_list();
        assert_eq!(second[0].last_transition_time, Some(Time(at(10))));
        assert_eq!(second[0].message.as_deref(), Some("still fine"));
        assert_eq!(second[1].last_transition_time, Some(Time(at(20))));
    }

    #[test]
    fn selectors_are_printed_the_way_kubernetes_does() {
        let selector = serde_json::from_value(
            serde_json::json!({"matchLabels": {"variant_name": "a", "exported_namespace": "ns"}}),
        )
        .unwrap();
        assert_eq!(
            selector_text(Some(&selector)),
            "&LabelSelector{MatchLabels:map[string]string{exported_namespace: ns,variant_name: a,},MatchExpressions:[]LabelSelectorRequirement{},}"
        );
        assert_eq!(selector_text(None), "nil");
    }
}
