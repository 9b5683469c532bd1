//! What all handlers share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::admin::{InvalidPatch, Overrides};
use crate::config::Config;
use crate::driver::Driver;
use crate::metrics::{self, View};
use crate::openai::ApiError;
use crate::rng::Rng;

/// Shared by all handlers; clones are cheap.
#[derive(Debug, Clone)]
pub(super) struct AppState {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    driver: Driver,
    started: Instant,
    control: Mutex<Control>,
}

/// What changes at run time beside the engine.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) overrides: Overrides,
    /// The body that a stale `/metrics` repeats.
    pub(super) frozen_metrics: Option<String>,
    pub(super) rng: Rng,
}

impl AppState {
    pub(super) fn new(config: Config, driver: Driver, started: Instant) -> Self {
        let control = Control { overrides: Overrides::default(), frozen_metrics: None, rng: Rng::new(config.seed) };
        Self { inner: Arc::new(Inner { config, driver, started, control: Mutex::new(control) }) }
    }

    pub(super) fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(super) fn driver(&self) -> &Driver {
        &self.inner.driver
    }

    /// Overrides and random numbers; never held across an await.
    pub(super) fn control(&self) -> MutexGuard<'_, Control> {
        self.inner.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the emulated model has been loaded.
    pub(super) fn is_loaded(&self) -> bool {
        self.inner.started.elapsed() >= self.inner.config.startup_delay
    }

    /// Refuses while the model is being loaded: a real server has no open port then.
    pub(super) fn require_loaded(&self) -> Result<(), ApiError> {
        if self.is_loaded() {
            return Ok(());
        }
        let left = self.inner.config.startup_delay.saturating_sub(self.inner.started.elapsed());
        Err(ApiError::unavailable(format!("the model is being loaded, {:.1} s left", left.as_secs_f64())))
    }

    /// Checks the bearer token when the server was given one.
    pub(super) fn require_key(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(key) = &self.inner.config.api_key else { return Ok(()) };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        match given.and_then(|value| value.strip_prefix("Bearer ")) {
            Some(token) if token == key => Ok(()),
            _ => Err(ApiError::unauthorized()),
        }
    }

    /// Applies the body of `POST /admin/config` and gives the overrides now in force.
    pub(super) fn patch(&self, body: &[u8]) -> Result<Overrides, InvalidPatch> {
        let mut control = self.control();
        let overrides = control.overrides.patched(body)?;
        if !overrides.metrics_stale {
            control.frozen_metrics = None;
        } else if control.frozen_metrics.is_none() {
            control.frozen_metrics = Some(self.live_metrics(&overrides));
        }
        control.overrides = overrides.clone();
        Ok(overrides)
    }

    /// `/metrics` as of now under `overrides`.
    pub(super) fn live_metrics(&self, overrides: &Overrides) -> String {
        self.inner.driver.observe(|load, stats| {
            let view = View { config: &self.inner.config, load, stats, overrides };
            metrics::write(&metrics::families(&view))
        })
    }
}
