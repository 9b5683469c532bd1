//! What `doctor` says of settings that cannot be used, or not yet.

use jiff::Timestamp;
use kubectl_wva::commands::doctor::{Cause, Facts, examine};
use serde_json::{Value, json};

use super::{causes, controller_pod, plain, serving};
use crate::objects::{NOW, typed};

fn main_map(data: &Value) -> k8s_openapi::api::core::v1::ConfigMap {
    typed(&json!({
        "metadata": {"namespace": "wva-a", "name": "wva-variantautoscaling-config", "uid": "m"}, "data": data,
    }))
}

fn said(reason: &str, message: &str) -> k8s_openapi::api::core::v1::Event {
    typed(&json!({
        "metadata": {"namespace": "wva-a", "name": "e"}, "eventTime": "2026-01-02T03:03:35.000000Z",
        "involvedObject": {"kind": "ConfigMap", "namespace": "wva-a", "name": "wva-variantautoscaling-config", "uid": "m"},
        "reason": reason, "message": message,
    }))
}

#[test]
fn a_setting_that_cannot_be_used_is_found_in_the_config_map_and_in_its_event() {
    let bad = || main_map(&json!({"GLOBAL_OPT_INTERVAL": "20"}));
    let alone = examine(&Facts { config_maps: Ok(vec![bad()]), ..plain() });
    assert_eq!(causes(&alone), [Cause::ConfigInvalid]);
    assert!(alone.findings[0].fix[0].contains(r#""GLOBAL_OPT_INTERVAL":"20s""#), "{:?}", alone.findings);
    let message = r#"WVA_LIMITER_FAIL_MODE="shut" is none of hold, open. The value "hold" stays in force; correct the ConfigMap."#;
    let event = || Ok(vec![said("InvalidConfig", message)]);
    let held = main_map(&json!({"WVA_LIMITER_FAIL_MODE": "shut"}));
    let view = examine(&Facts { config_maps: Ok(vec![held]), events: event(), ..plain() });
    assert_eq!(causes(&view), [Cause::ConfigInvalid]);
    assert!(view.findings[0].fix[0].contains(r#""WVA_LIMITER_FAIL_MODE":"hold""#), "{:?}", view.findings);
    let fixed = main_map(&json!({"WVA_LIMITER_FAIL_MODE": "open"}));
    assert_eq!(causes(&examine(&Facts { config_maps: Ok(vec![fixed]), events: event(), ..plain() })), []);
}

#[test]
fn a_refused_change_waits_for_a_restart_until_it_is_taken_back_or_taken_up() {
    let message = "ConfigMap wva-a/wva-variantautoscaling-config changes parameters that only a restart of the controller \
                   can change: PROMETHEUS_BASE_URL (old: \"http://a:9090\", new: \"http://b:9090\"). The old values stay \
                   in force; all other changes of this edit apply.";
    let with = |url: &str, age: i64| {
        let mut facts = plain();
        let pod = controller_pod("one", "wva-controller-manager-1", age, &serving());
        let started = NOW.parse::<Timestamp>().unwrap() - jiff::SignedDuration::from_secs(age);
        let mut pod = serde_json::to_value(pod).unwrap();
        pod["status"]["startTime"] = json!(started.to_string());
        facts.controllers.as_mut().unwrap()[0].pods = Ok(vec![typed(&pod)]);
        facts.config_maps = Ok(vec![main_map(&json!({"PROMETHEUS_BASE_URL": url}))]);
        facts.events = Ok(vec![said("ImmutableConfigChangeRejected", message)]);
        examine(&facts)
    };
    let view = with("http://b:9090", 600);
    assert_eq!(causes(&view), [Cause::ConfigNeedsRestart]);
    assert!(view.findings[0].fix[1].contains(r#""PROMETHEUS_BASE_URL":"http://a:9090""#), "{:?}", view.findings);
    assert_eq!(causes(&with("http://a:9090", 600)), [], "taken back");
    assert_eq!(causes(&with("http://b:9090", 5)), [], "taken up by a restart");
}
