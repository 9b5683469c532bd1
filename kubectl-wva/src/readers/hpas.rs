//! What HPAs say about themselves.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition};
use serde::Serialize;

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

/// Why an HPA does not ask for the replicas that are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    /// Until when its stabilisation window holds the change back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// That window, in seconds.
    pub window_seconds: i32,
    /// The limit that keeps it from going further, `minimum` or `maximum`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<&'static str>,
}

impl Wait {
    /// In words, such as `until 18:42:07 (3m20s left of its 240 s window)`.
    pub fn text(&self, now: Timestamp) -> String {
        if let Some(limit) = self.limit {
            return format!("at its {limit}");
        }
        match self.until {
            Some(until) if until > now => {
                let zone = jiff::tz::TimeZone::system();
                let clock = until.to_zoned(zone).strftime("%T").to_string();
                let left = until.duration_since(now).as_secs();
                let left = if left < 60 { format!("{left}s") } else { format!("{}m{}s", left / 60, left % 60) };
                format!("until {clock} ({left} left of its {} s window)", self.window_seconds)
            }
            _ => "until its next look, every 15 s".to_owned(),
        }
    }
}

/// What an HPA waits for that does not ask for `desired` replicas, which were decided at `since`.
pub fn waits(hpa: &HorizontalPodAutoscaler, desired: i32, since: Option<Timestamp>, now: Timestamp) -> Option<Wait> {
    let (spec, status) = (hpa.spec.as_ref()?, hpa.status.as_ref()?);
    let asks = status.desired_replicas;
    if asks == desired || inactive(hpa).is_some() {
        return None;
    }
    let behavior = spec.behavior.as_ref();
    let up = desired > asks;
    let rules = behavior.and_then(|both| if up { both.scale_up.as_ref() } else { both.scale_down.as_ref() });
    // What Kubernetes does when nothing is said.
    let usual = if up { 0 } else { 300 };
    let window_seconds = rules.and_then(|rules| rules.stabilization_window_seconds).unwrap_or(usual);
    let limit = match (up && asks >= spec.max_replicas, !up && asks <= spec.min_replicas.unwrap_or(1)) {
        (true, _) => Some("maximum"),
        (_, true) => Some("minimum"),
        _ => None,
    };
    if window_seconds == 0 && limit.is_none() {
        return None;
    }
    let until = since.map(|since| since + SignedDuration::from_secs(window_seconds.into()));
    Some(Wait { until: until.filter(|until| *until > now && limit.is_none()), window_seconds, limit })
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

    #[test]
    fn a_window_is_told_as_a_time_and_what_is_left_of_it() {
        let hpa = |up: i32, asks: i32| -> HorizontalPodAutoscaler {
            serde_json::from_value(serde_json::json!({
                "spec": {
                    "scaleTargetRef": {"kind": "Deployment", "name": "llama"}, "minReplicas": 1, "maxReplicas": 4,
                    "behavior": {"scaleUp": {"stabilizationWindowSeconds": up}},
                },
                "status": {"currentReplicas": asks, "desiredReplicas": asks},
            }))
            .unwrap()
        };
        let since: Timestamp = "2026-01-02T18:38:07Z".parse().unwrap();
        let now = since + SignedDuration::from_secs(40);
        let wait = waits(&hpa(240, 1), 2, Some(since), now).unwrap();
        assert_eq!(wait.until, Some(since + SignedDuration::from_secs(240)));
        assert!(wait.text(now).ends_with(" (3m20s left of its 240 s window)"), "{}", wait.text(now));
        assert_eq!(waits(&hpa(240, 2), 2, Some(since), now), None);
        assert_eq!(waits(&hpa(0, 4), 6, Some(since), now).unwrap().text(now), "at its maximum");
        let down = waits(&hpa(0, 3), 2, Some(since), now).unwrap();
        assert_eq!(down.window_seconds, 300, "Kubernetes waits five minutes unless told otherwise");
    }
}
