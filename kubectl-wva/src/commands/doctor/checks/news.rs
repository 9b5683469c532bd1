//! Settings that are not in force: what controllers said of them in events, as long as the ConfigMap still says the same,
//! and what anybody can see in the ConfigMap itself.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::ResourceExt as _;
use serde_json::json;
use wva_api::{config_keys, events};

use crate::commands::doctor::examination::Examination;
use crate::commands::doctor::finding::{Cause, Finding, Subject};
use crate::commands::doctor::{Installed, fixes};
use crate::readers::controllers::Controller;

/// Clocks of those who write events and objects differ.
const SLACK: SignedDuration = SignedDuration::from_secs(2);
/// Ends of the keys whose values are durations.
const DURATIONS: [&str; 8] =
    ["_INTERVAL", "_WINDOW", "_DURATION", "_DEADLINE", "_PERIOD", "_TIMEOUT", "_TTL", "STALE_THRESHOLD"];
/// Keys whose values are yes or no.
const SWITCHES: [&str; 7] = [
    config_keys::GLOBAL_OPT_ENABLE,
    config_keys::MANAGE_ALL_INSTANCES,
    config_keys::LEADER_ELECT,
    config_keys::METRICS_SECURE,
    config_keys::SCALE_TO_ZERO,
    config_keys::LIMITED_MODE,
    config_keys::PROACTIVE_MODEL,
];

/// Checks the ConfigMaps that controllers complained about, and the main ones.
pub(in crate::commands::doctor) fn check(examination: &mut Examination<'_>) {
    let facts = examination.facts;
    if let Err(why) = &facts.events {
        examination.unknown(&[Cause::ConfigInvalid, Cause::ConfigNeedsRestart], why);
    }
    for one in examination.controllers() {
        let map = facts.config_map(&one.controller.namespace, &one.controller.main_config_map());
        for finding in map.into_iter().flat_map(|map| unusable(&one.controller, map)) {
            examination.found(finding);
        }
    }
    for event in facts.events.iter().flatten() {
        let about = &event.involved_object;
        let (Some(namespace), Some(name)) = (&about.namespace, &about.name) else { continue };
        let Some(map) = facts.config_map(namespace, name).filter(|_| examination.concerns(namespace)) else { continue };
        if about.uid.is_some() && about.uid != map.uid() {
            continue;
        }
        let home = facts
            .controllers
            .iter()
            .flatten()
            .find(|one| one.controller.namespace == *namespace && one.controller.main_config_map() == *name);
        let found = match (event.reason.as_deref(), home) {
            (Some(events::IMMUTABLE_CONFIG_CHANGE_REJECTED), Some(home)) => refused(event, map, home),
            (Some(events::INVALID_CONFIG), Some(home)) => invalid(event, map, &home.controller),
            (Some(events::INVALID_CONFIG), None) => entry(event, map),
            _ => None,
        };
        if let Some(finding) = found {
            examination.found(finding);
        }
    }
}

fn subject(map: &ConfigMap) -> Subject {
    Subject::new("configmap", map.namespace().unwrap_or_default(), map.name_any())
}

/// Values that no controller can use, whatever was said about them.
fn unusable(controller: &Controller, map: &ConfigMap) -> Vec<Finding> {
    let wrong = map.data.iter().flatten().filter_map(|(key, value)| Some((key, value, wrong(key, value)?)));
    let finding = |(key, value, why): (&String, &String, &str)| {
        Finding::new(
            Cause::ConfigInvalid,
            subject(map),
            format!("controller {} cannot use {key}: it is {value:?}", controller.key()),
        )
        .shown_by(format!("{key}={value:?} in ConfigMap {}/{} is {why}", controller.namespace, map.name_any()))
        .fixed_by(put(map, key, right(key, value).as_ref()))
        .advised("the last good value is in force until the controller starts again; then it does not start")
    };
    // What was said in an event names the value in force as well; it is found under the same subject.
    wrong.map(finding).collect()
}

/// What is wrong with a value by its form alone.
fn wrong(key: &str, value: &str) -> Option<&'static str> {
    if value.is_empty() {
        return None;
    }
    if SWITCHES.contains(&key) {
        let known = ["true", "false", "1", "0", "t", "f"].contains(&value.to_lowercase().as_str());
        return (!known).then_some("neither true nor false");
    }
    if !DURATIONS.iter().any(|end| key.ends_with(end)) || value == "0" {
        return None;
    }
    if value.parse::<f64>().is_ok() {
        return Some("a duration without a unit");
    }
    value.parse::<SignedDuration>().is_err().then_some("no duration")
}

/// What was most likely meant: seconds, where only the unit is missing. Else nothing, which is the default.
fn right(key: &str, value: &str) -> Option<String> {
    let duration = DURATIONS.iter().any(|end| key.ends_with(end));
    (duration && value.parse::<u32>().is_ok()).then(|| format!("{value}s"))
}

fn put(map: &ConfigMap, key: &str, value: Option<&String>) -> String {
    fixes::merge("configmap", &map.namespace().unwrap_or_default(), &map.name_any(), &json!({"data": {key: value}}))
}

/// A value of the main ConfigMap that a controller said it cannot use, as long as it is there.
fn invalid(event: &Event, map: &ConfigMap, controller: &Controller) -> Option<Finding> {
    let message = event.message.as_deref()?;
    let (key, rest) = message.split_once('=')?;
    let value = map.data.as_ref()?.get(key)?;
    if !rest.starts_with(&format!("{value:?}")) {
        return None;
    }
    let kept = rest.split_once("The value \"").and_then(|(_, rest)| rest.split_once("\" stays")).map(|(kept, _)| kept);
    Some(
        Finding::new(
            Cause::ConfigInvalid,
            subject(map),
            format!("controller {} cannot use {key}: it is {value:?}", controller.key()),
        )
        .shown_by(format!("event {}: {message}", events::INVALID_CONFIG))
        .fixed_by(put(
            map,
            key,
            right(key, value).or_else(|| kept.map(str::to_owned)).filter(|kept| !kept.is_empty()).as_ref(),
        ))
        .advised("the last good value is in force until the controller starts again; then it does not start"),
    )
}

/// An entry of another ConfigMap, as long as it has not been written since.
fn entry(event: &Event, map: &ConfigMap) -> Option<Finding> {
    if written(map).is_some_and(|written| when(event).is_none_or(|said| said + SLACK < written)) {
        return None;
    }
    let message = event.message.as_deref()?;
    let (namespace, name) = (map.namespace()?, map.name_any());
    Some(
        Finding::new(Cause::ConfigInvalid, subject(map), format!("an entry of ConfigMap {name} cannot be used"))
            .shown_by(format!("event {}: {message}", events::INVALID_CONFIG))
            .looked_at(format!("kubectl get configmap {name} -n {namespace} -o yaml"))
            .advised("its last good version is in force until the controller starts again"),
    )
}

/// A change that a controller refused, as long as the ConfigMap still asks for it and the controller runs since before.
fn refused(event: &Event, map: &ConfigMap, home: &Installed) -> Option<Finding> {
    let message = event.message.as_deref()?;
    let data = map.data.clone().unwrap_or_default();
    let changes: Vec<(String, String)> = message
        .match_indices(" (old: \"")
        .filter_map(|(at, mark)| {
            let key = message[..at].rsplit([' ', ',']).next()?;
            let (old, rest) = message[at + mark.len()..].split_once("\", new: \"")?;
            let (new, _) = rest.split_once("\")")?;
            (data.get(key).map_or("", String::as_str) == new).then(|| (key.to_owned(), old.to_owned()))
        })
        .collect();
    let said = when(event)?;
    let started = home.pods.iter().flatten().filter_map(|pod| Some(pod.status.as_ref()?.start_time.as_ref()?.0));
    if changes.is_empty() || started.min().is_some_and(|started| started > said + SLACK) {
        return None;
    }
    let Controller { namespace, name, .. } = &home.controller;
    let keys: Vec<&str> = changes.iter().map(|(key, _)| key.as_str()).collect();
    let old: serde_json::Map<String, serde_json::Value> =
        changes.iter().map(|(key, old)| (key.clone(), (!old.is_empty()).then_some(old.clone()).into())).collect();
    Some(
        Finding::new(
            Cause::ConfigNeedsRestart,
            subject(map),
            format!("controller {namespace}/{name} goes on with the old {}", keys.join(", ")),
        )
        .shown_by(format!("event {}: {message}", events::IMMUTABLE_CONFIG_CHANGE_REJECTED))
        .fixed_by(format!("kubectl rollout restart deployment/{name} -n {namespace}"))
        .fixed_by(fixes::merge("configmap", namespace, &map.name_any(), &json!({"data": old})))
        .advised("the first takes the new value, if it is right; the second puts the old one back"),
    )
}

fn when(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let first = event.event_time.as_ref().map(|time| time.0);
    [series, last, first, event.metadata.creation_timestamp.as_ref().map(|time| time.0)].into_iter().flatten().max()
}

/// When an object was last written.
fn written(map: &ConfigMap) -> Option<Timestamp> {
    let fields = map.metadata.managed_fields.iter().flatten();
    let managed = fields.filter_map(|one| Some(one.time.as_ref()?.0)).max();
    managed.or(map.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("GLOBAL_OPT_INTERVAL", "20", Some("20s"))]
    #[case("GLOBAL_OPT_INTERVAL", "soon", None)]
    #[case("PROMETHEUS_METRICS_CACHE_STALE_THRESHOLD", "5", Some("5s"))]
    #[case("GLOBAL_OPT_ENABLE", "maybe", None)]
    fn a_value_of_the_wrong_form_is_seen_without_any_event(
        #[case] key: &str,
        #[case] value: &str,
        #[case] right: Option<&str>,
    ) {
        assert!(wrong(key, value).is_some());
        assert_eq!(super::right(key, value).as_deref(), right);
    }

    #[rstest]
    #[case("GLOBAL_OPT_INTERVAL", "1m30s")]
    #[case("GLOBAL_OPT_INTERVAL", "")]
    #[case("LEADER_ELECT", "True")]
    #[case("PROMETHEUS_BASE_URL", "20")]
    fn a_value_that_may_be_right_is_left_alone(#[case] key: &str, #[case] value: &str) {
        assert_eq!(wrong(key, value), None);
    }
}
