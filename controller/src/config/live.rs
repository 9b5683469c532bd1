//! Settings that may change while the controller runs, and where they come from.
//!
//! - The main ConfigMap ([`main_map`]): its live keys apply at once, others are refused or wait for a restart.
//! - ConfigMaps with settings of models, global ones and those of a workload's namespace. [`config_map_entries`] reads each entry
//!   ([`saturation`], [`scale_to_zero`], [`service_class`]) by its [`fields`]; [`store`] keeps them all; [`resolve`](mod@resolve) says what
//!   holds for whom; [`changes`] finds what is to be said when that changes, and [`log`] says it.
//! - [`watch`] follows them all by name; [`start`](mod@start) reads the main one before anything else is known, and
//!   [`last_good`] stands in where that cannot be used.
//!
//! The cycle asks [`LiveSettings`] each time, so that what holds follows from what there is, not from the order in
//! which it came.

pub mod behavior;
pub mod changes;
pub mod config_map_entries;
pub mod fields;
pub mod last_good;
pub mod log;
pub mod main_map;
pub mod resolve;
pub mod saturation;
pub mod scale_to_zero;
pub mod service_class;
pub mod slo;
pub mod start;
pub mod store;
pub mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use wva_engine::Settings;

use self::changes::InForce;
use self::main_map::MainMap;
use self::resolve::{ConfigScope, Fixed};
use self::store::Store;
use super::sources::Sources;
use super::{Config, Live};
use crate::cluster::index::ObjectKey;
use crate::lock::lock;
use crate::report::events::EventSender;
use crate::telemetry;

/// The settings in force. Clones share them.
#[derive(Clone, Debug)]
pub struct LiveSettings {
    state: Arc<Mutex<State>>,
    fixed: Fixed,
    events: EventSender,
}

#[derive(Debug)]
struct State {
    live: Live,
    main: MainMap,
    /// The main ConfigMap as last seen, and its uid.
    object: Option<(ObjectKey, String)>,
    store: Store,
    /// What counted when it was told last.
    told: InForce,
}

impl LiveSettings {
    /// The settings of the start. `sources` are those that `config` was made of.
    pub fn new(config: &Config, sources: Sources, events: EventSender) -> Self {
        let (main, changes) = MainMap::new(sources);
        log::odd_keys(&changes);
        let state = State {
            live: config.live,
            main,
            object: None,
            store: Store::new(&config.pod_namespace, &config.config_maps, config.proactive),
            told: InForce::default(),
        };
        Self { state: Arc::new(Mutex::new(state)), fixed: Fixed::from(config), events }
    }

    /// What the main ConfigMap and the process were told.
    pub fn live(&self) -> Live {
        self.state().live
    }

    /// The last good content of the main ConfigMap, as JSON, for the next start.
    pub fn last_good(&self) -> String {
        self.state().main.last_good()
    }

    /// Says again what of the main ConfigMap cannot be used: who begins to lead may have seen it before, when its events were
    /// not written.
    pub fn remind(&self) {
        let state = self.state();
        let (invalid, object) = (state.main.invalid(), state.object.clone());
        drop(state);
        if let Some((key, uid)) = object {
            log::main(&invalid, &key, &uid, &self.events);
        }
    }

    /// Everything a decision depends on.
    pub fn resolve(&self, config_scope: &ConfigScope) -> Settings {
        let state = self.state();
        resolve::resolve(&state.store, config_scope, &state.live, self.fixed)
    }

    /// Logs what counts now and did not before, and records events about what cannot be used.
    pub fn tell(&self, config_scope: &ConfigScope) {
        let mut state = self.state();
        let now = InForce::of(&state.store, config_scope);
        let changes = now.since(&state.told);
        state.told = now;
        drop(state);
        log::models(changes, &self.events);
    }

    /// Takes over the main ConfigMap. Returns whether that changes anything.
    fn apply_main(&self, key: &ObjectKey, uid: &str, data: &BTreeMap<String, String>) -> bool {
        let mut state = self.state();
        let before = state.live;
        let (live, changes) = state.main.apply(data);
        state.object = Some((key.clone(), uid.to_owned()));
        state.live = live.unwrap_or(before);
        let now = state.live;
        drop(state);
        log::main(&changes, key, uid, &self.events);
        if now.level != before.level {
            telemetry::set_level(now.level);
        }
        now != before
    }

    /// Changes what was seen of the others.
    fn change(&self, change: impl FnOnce(&mut Store) -> bool) -> bool {
        change(&mut self.state().store)
    }

    /// Held for the length of a computation, never across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests;
