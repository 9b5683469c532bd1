//! News about settings, as log lines and events. Users search for these messages: docs/configuration.md lists them.

use k8s_openapi::api::core::v1::ObjectReference;
use wva_api::config_keys as name;
use wva_api::events::{IMMUTABLE_CONFIG_CHANGE_REJECTED, INVALID_CONFIG};

use super::changes::SettingsChange;
use super::main_map::SettingsChange as MainNews;
use crate::cluster::index::ObjectKey;
use crate::config::keys;
use crate::report::events::{Event, EventSender};

/// Says what came of a new content of the main ConfigMap.
pub fn main(changes: &[MainNews], key: &ObjectKey, uid: &str, events: &EventSender) {
    let event = |reason, message| events.send(Event { on: reference(key, uid), warning: true, reason, message });
    refused(changes, key, &event);
    for changes in changes {
        match changes {
            MainNews::Applied { key: name::GLOBAL_OPT_INTERVAL, old, new } => {
                tracing::info!(%old, %new, "Updated optimization interval");
                tracing::info!(configmap = %key, interval = %new, "Updated global optimization config from ConfigMap");
            }
            MainNews::Applied { key: name, old, new } => {
                let help = keys::find(name).map_or("", |key| key.help);
                tracing::info!(configmap = %key, key = name, %old, %new, help, "Updated config from ConfigMap");
            }
            MainNews::NextStart { key: name, old, new } => tracing::warn!(
                configmap = %key, key = name, %old, %new,
                "Changed config takes effect at the next start; restart the controller to apply it"
            ),
            MainNews::Overridden { key: name, by } => tracing::info!(
                configmap = %key, key = name, by = by.word(),
                "Changed config has no effect, because a stronger source gives the same key"
            ),
            MainNews::Invalid { key: name, value, why, kept } => {
                tracing::error!(configmap = %key, key = name, %value, error = %why, %kept, "Invalid config in ConfigMap");
                event(
                    INVALID_CONFIG,
                    format!("{name}={value:?} {why}. The value {kept:?} stays in force; correct the ConfigMap."),
                );
            }
            MainNews::Refused { .. } => {}
            odd @ (MainNews::Unknown { .. } | MainNews::NotRead { .. }) => odd_key(odd),
        }
    }
}

/// Says which keys of the main ConfigMap have no effect.
pub fn odd_keys(changes: &[MainNews]) {
    for changes in changes {
        odd_key(changes);
    }
}

fn odd_key(changes: &MainNews) {
    match changes {
        MainNews::Unknown { key } => {
            tracing::warn!(key, "Unknown key in the main ConfigMap has no effect; --help lists all keys");
        }
        MainNews::NotRead { key } => {
            tracing::warn!(key, "Key has no effect in the main ConfigMap; set the environment variable instead");
        }
        _ => {}
    }
}

/// All refusals of one edit together: it is one mistake.
fn refused(changes: &[MainNews], key: &ObjectKey, event: &impl Fn(&'static str, String)) {
    let changes: Vec<String> = changes
        .iter()
        .filter_map(|changes| match changes {
            MainNews::Refused { key, old, new } => Some(format!("{key} (old: {old:?}, new: {new:?})")),
            _ => None,
        })
        .collect();
    if changes.is_empty() {
        return;
    }
    let changes = changes.join(", ");
    tracing::error!(configmap = %key, changes, "Attempted to change immutable parameters via ConfigMap");
    event(
        IMMUTABLE_CONFIG_CHANGE_REJECTED,
        format!(
            "ConfigMap {key} changes parameters that only a restart of the controller can change: {changes}. The old \
             values stay in force; all other changes of this edit apply."
        ),
    );
}

/// Says what counts of the ConfigMaps with settings of models.
pub fn models(changes: Vec<SettingsChange>, events: &EventSender) {
    for changes in changes {
        match changes {
            SettingsChange::Updated { kind, config_map, global, old_entries, new_entries } => tracing::info!(
                configmap = %config_map, scope = scope(global), oldEntries = old_entries, newEntries = new_entries,
                "Updated {kind} config"
            ),
            SettingsChange::Removed { kind, config_map, global } => tracing::info!(
                configmap = %config_map, scope = scope(global),
                "Removed {kind} config; what is inherited counts instead"
            ),
            SettingsChange::Problem { kind, config_map, uid, entry, why } => {
                tracing::error!(configmap = %config_map, key = entry, error = why, "Invalid {kind} config entry");
                let message = format!("Entry `{entry}` of the {kind} settings {why}.");
                let on = reference(&config_map, &uid);
                events.send(Event { on, warning: true, reason: INVALID_CONFIG, message });
            }
            SettingsChange::Annotation { variant, why } => tracing::warn!(
                variant = variant.name,
                namespace = variant.namespace,
                error = why,
                "Annotations of a variant cannot be used"
            ),
            SettingsChange::OldName { config_map, name } => tracing::warn!(
                configmap = %config_map, name,
                "ConfigMap has an outdated name, which still works; rename it"
            ),
            SettingsChange::Beside { config_map, name } => tracing::warn!(
                configmap = %config_map, ignored = name,
                "Ignoring a ConfigMap, because another one of the same meaning comes first"
            ),
        }
    }
}

fn scope(global: bool) -> &'static str {
    if global { "global" } else { "namespace-local" }
}

/// Reference to a ConfigMap, for events.
fn reference(key: &ObjectKey, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("ConfigMap".to_owned()),
        namespace: Some(key.namespace.clone()),
        name: Some(key.name.clone()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}
