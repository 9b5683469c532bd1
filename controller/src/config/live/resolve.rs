//! From what was seen to what holds. Pure: no order of events, only what there is in the end.
//!
//! A threshold of a model comes from the first of these that says it: its own entry (namespace-local, else global), the
//! local `default`, the global `default`, the built-in value. The way to zero likewise, with `WVA_SCALE_TO_ZERO` last.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use wva_api::{Claim, Scope, labels};
use wva_engine::settings::{Limiter, PerModel, ScaleUpPolicy, Stabilization, ZeroPolicy};
use wva_engine::{ModelKey, Settings, Thresholds};

use super::behavior;
use super::config_map_entries::{Entries, Entry};
use super::saturation::{ForAll, Saturation};
use super::scale_to_zero::ScaleToZero;
use super::slo::{self, ModelSlo};
use super::store::{Held, Store};
use crate::cluster::index::Index;
use crate::config::{Config, Live};

/// What the process was told at its start and cannot change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// Whether models go to zero where no entry says.
    pub scale_to_zero: bool,
    /// Whether targets are kept within the GPUs there are.
    pub limited_mode: bool,
    /// Whether the rate of requests has its say.
    pub proactive: bool,
}

impl From<&Config> for Fixed {
    fn from(config: &Config) -> Self {
        Self { scale_to_zero: config.scale_to_zero, limited_mode: config.limited_mode, proactive: config.proactive }
    }
}

/// What settings are needed for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigScope {
    /// Namespaces whose ConfigMaps count.
    pub namespaces: BTreeSet<String>,
    /// Models to decide for.
    pub models: BTreeSet<ModelKey>,
    /// What annotations of variants promise to the users of their models.
    pub slos: BTreeMap<ModelKey, ModelSlo>,
}

impl ConfigScope {
    /// The namespaces that hold a variant of mine or have opted in and are not excluded, and the models of my variants.
    /// Namespaces given by name are the only ones, whatever they hold or carry.
    pub fn of(index: &Index, scope: &Scope) -> Self {
        let mut config_scope = Self { namespaces: scope.namespaces.clone(), ..Self::default() };
        for (key, variant) in &index.variants {
            if index.claim(scope, key, variant) == Claim::Mine {
                config_scope.namespaces.insert(key.namespace.clone());
                let Some(model_id) = variant.model.clone() else { continue };
                let model = ModelKey { namespace: key.namespace.clone(), model_id };
                if !variant.annotations.is_empty() {
                    config_scope.slos.entry(model.clone()).or_default().add(&key.name, &variant.annotations);
                }
                config_scope.models.insert(model);
            }
        }
        if scope.namespaces.is_empty() {
            let opted_in = index.namespaces.iter().filter(|(_, namespace)| {
                namespace.labels.get(labels::CONFIG_ENABLED).is_some_and(|value| value == "true")
                    && !wva_api::scope::is_excluded(&namespace.annotations)
            });
            config_scope.namespaces.extend(opted_in.map(|(key, _)| key.name.clone()));
        }
        config_scope
    }
}

/// The settings that hold.
pub fn resolve(store: &Store, config_scope: &ConfigScope, live: &Live, fixed: Fixed) -> Settings {
    let global = store.saturation.in_force(&store.pod_namespace).map(|(_, map)| &map.entries);
    let ForAll { analyzer, limiter } =
        global.and_then(Entries::default_entry).map_or_else(ForAll::default, |entry| entry.for_all);
    let limited = limiter || fixed.limited_mode;
    Settings {
        enabled: live.enabled,
        interval: signed(live.interval),
        stale_after: signed(live.stale_after),
        thresholds: per_model(store, &store.saturation, config_scope, Thresholds::DEFAULT, thresholds),
        zero: per_model(store, &store.scale_to_zero, config_scope, zero_by_default(fixed), zero),
        analyzer: PerModel::all(analyzer),
        scale_up: per_model(store, &store.saturation, config_scope, ScaleUpPolicy::default(), scale_up),
        stabilization: per_model(store, &store.saturation, config_scope, Stabilization::default(), stabilization),
        proactive: fixed.proactive.then(|| slo::proactive(store, &config_scope.slos)),
        limiter: if limited { Limiter::On { on_unknown: live.limiter_fail_mode } } else { Limiter::Off },
        ..Settings::default()
    }
}

/// The thresholds of models without an entry of their own.
pub fn thresholds_of_namespaces(store: &Store, namespaces: &BTreeSet<String>) -> PerModel<Thresholds> {
    let config_scope = ConfigScope { namespaces: namespaces.clone(), ..ConfigScope::default() };
    per_model(store, &store.saturation, &config_scope, Thresholds::DEFAULT, thresholds)
}

/// Merges a value for everyone, for each namespace with settings of its own, and for each model with an entry of its own.
fn per_model<E: Entry, T: Copy + Default + PartialEq>(
    store: &Store,
    held: &Held<E>,
    config_scope: &ConfigScope,
    built_in: T,
    over: impl Fn(&E, T) -> T,
) -> PerModel<T> {
    let entries = |namespace: &str| held.in_force(namespace).map(|(_, map)| &map.entries);
    let inherit = |entry: Option<&E>, inherited| entry.map_or(inherited, |entry| over(entry, inherited));
    let global = entries(&store.pod_namespace);
    let local = |namespace: &str| {
        entries(namespace).filter(|_| namespace != store.pod_namespace && config_scope.namespaces.contains(namespace))
    };
    let default = inherit(global.and_then(Entries::default_entry), built_in);
    let of_namespace = |namespace: &str| inherit(local(namespace).and_then(Entries::default_entry), default);
    let namespaces: BTreeMap<_, _> = config_scope
        .namespaces
        .iter()
        .map(|namespace| (namespace.clone(), of_namespace(namespace)))
        .filter(|(_, value)| *value != default)
        .collect();
    let of_model = |ModelKey { namespace, model_id }: &ModelKey| {
        let own = |entries: Option<&'_ Entries<E>>| entries.and_then(|e| e.of_model(namespace, model_id)).cloned();
        let entry = own(local(namespace)).or_else(|| own(global));
        inherit(entry.as_ref(), of_namespace(namespace))
    };
    let models: BTreeMap<_, _> = config_scope
        .models
        .iter()
        .map(|model| (model.clone(), of_model(model)))
        .filter(|(model, value)| *value != namespaces.get(&model.namespace).copied().unwrap_or(default))
        .collect();
    PerModel { default, namespaces, models }
}

/// An entry that contradicts what it inherits is left out; [`crate::config::live::changes`] says so.
fn thresholds(entry: &Saturation, inherited: Thresholds) -> Thresholds {
    entry.over(inherited).unwrap_or(inherited)
}

fn scale_up(entry: &Saturation, inherited: ScaleUpPolicy) -> ScaleUpPolicy {
    entry.scale_up_policy.unwrap_or(inherited)
}

fn stabilization(entry: &Saturation, inherited: Stabilization) -> Stabilization {
    behavior::over(&entry.up, &entry.down, inherited)
}

fn zero(entry: &ScaleToZero, inherited: ZeroPolicy) -> ZeroPolicy {
    ZeroPolicy {
        enabled: entry.enabled.unwrap_or(inherited.enabled),
        retention: entry.retention.map_or(inherited.retention, signed),
    }
}

fn zero_by_default(fixed: Fixed) -> ZeroPolicy {
    ZeroPolicy { enabled: fixed.scale_to_zero, ..ZeroPolicy::default() }
}

/// The same duration; the longest there is stands for longer ones.
pub(crate) fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
