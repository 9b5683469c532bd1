//! Events on objects: what happened, for whoever runs `kubectl describe`.
//!
//! Anybody may [`send`](EventSender::send) one; that never blocks. One task writes them, in order, and only while this
//! process leads. An event that repeats is written as a series on its first occurrence, and a long series seldom.

mod series;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as ApiEvent;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tracing::Instrument as _;

use self::series::{Recent, Step};
use crate::api_error;
use crate::metrics::{WriteMetrics, WriteOutcome};
use crate::ownership::leader::{Leadership, NotWritten};

/// Events that may wait. One per variant of a large cluster fits.
const CAPACITY: usize = 2048;
/// Writes of one event before it is given up.
const ATTEMPTS: u32 = 4;
/// Pause after the first failed write; it doubles.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// To which object. `kubectl describe` shows an event only if the uid is that of the object.
    pub on: ObjectReference,
    /// Whether somebody should look at it (type Warning instead of Normal).
    pub warning: bool,
    /// What happened, one of [`wva_api::events`].
    pub reason: &'static str,
    /// What happened, as a sentence; cut after about 1,000 bytes.
    pub message: String,
}

/// Takes events.
#[derive(Clone, Debug)]
pub struct EventSender {
    sender: mpsc::Sender<Event>,
    metrics: WriteMetrics,
}

/// Writes events.
pub struct EventWriter {
    client: Client,
    reporter: ReportingController,
    timeout: Duration,
    leadership: Leadership,
    metrics: WriteMetrics,
    events: mpsc::Receiver<Event>,
    recent: Recent,
}

/// Who reports.
#[derive(Clone, Debug)]
pub struct ReportingController {
    /// Field manager of the instance.
    pub manager: String,
    /// This process, e.g. the name of its pod.
    pub identity: String,
}

impl EventSender {
    /// Hands an event over. When too many wait it is dropped and counted.
    pub fn send(&self, event: Event) {
        if self.sender.try_send(event).is_err() {
            self.metrics.count(WriteOutcome::Dropped);
        }
    }
}

impl EventWriter {
    /// A writer and the way to reach it. A single write is given up after `timeout`.
    pub fn new(
        client: Client,
        reporter: ReportingController,
        timeout: Duration,
        leadership: Leadership,
        metrics: WriteMetrics,
    ) -> (EventSender, Self) {
        let (sender, events) = mpsc::channel(CAPACITY);
        let sender = EventSender { sender, metrics: metrics.clone() };
        (sender, Self { client, reporter, timeout, leadership, metrics, events, recent: Recent::default() })
    }

    /// Writes until all senders are gone and nothing is left to write.
    pub async fn run(self) {
        self.write_events().instrument(tracing::info_span!("events")).await;
    }

    async fn write_events(mut self) {
        while let Some(event) = self.events.recv().await {
            match self.recent.note(&event, &self.reporter, Timestamp::now()) {
                Step::Create(object) => {
                    if !self.write(&event, &object, Verb::Create).await {
                        self.recent.forget(&event);
                    }
                }
                Step::Patch(object) => {
                    self.write(&event, &object, Verb::Patch).await;
                }
                Step::Skip => {}
            }
        }
    }

    /// Writes one event; a few times, if need be. Returns whether it is stored.
    async fn write(&self, event: &Event, object: &ApiEvent, verb: Verb) -> bool {
        let mut pause = RETRY_AFTER;
        for attempt in 1..=ATTEMPTS {
            let error = match self.leadership.write(self.timeout, self.request(object, verb)).await {
                Ok(Ok(())) => {
                    self.metrics.count(WriteOutcome::Ok);
                    return true;
                }
                // A series counts from the event it belongs to; that may have expired.
                Ok(Err(error)) if verb == Verb::Patch && api_error::code(&error) == Some(404) => return false,
                // An earlier attempt succeeded after all.
                Ok(Err(error)) if verb == Verb::Create && attempt > 1 && api_error::code(&error) == Some(409) => {
                    return true;
                }
                Ok(Err(error)) => {
                    self.metrics.count(WriteOutcome::Failed);
                    if api_error::code(&error).is_some_and(|code| (400..500).contains(&code) && code != 429) {
                        tracing::warn!(reason = event.reason, error = api_error::words(&error), "Event refused");
                        return false;
                    }
                    api_error::words(&error)
                }
                Err(NotWritten::NotLeading) => {
                    self.metrics.count(WriteOutcome::Dropped);
                    return false;
                }
                Err(error @ NotWritten::TimedOut) => {
                    self.metrics.count(WriteOutcome::TimedOut);
                    error.to_string()
                }
            };
            tracing::debug!(reason = event.reason, error, attempt, "Cannot write an event");
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        false
    }

    async fn request(&self, object: &ApiEvent, verb: Verb) -> Result<(), kube::Error> {
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<ApiEvent> = Api::namespaced(self.client.clone(), namespace);
        let field_manager = Some(self.reporter.manager.clone());
        match verb {
            Verb::Create => {
                let params = PostParams { field_manager, ..PostParams::default() };
                api.create(&params, object).await.map(drop)
            }
            Verb::Patch => {
                let params = PatchParams { field_manager, ..PatchParams::default() };
                let name = object.metadata.name.as_deref().unwrap_or_default();
                api.patch(name, &params, &Patch::Merge(&serde_json::json!({ "series": object.series }))).await.map(drop)
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Create,
    Patch,
}

#[cfg(test)]
mod tests;
