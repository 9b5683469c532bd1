//! Watches: the history of a collection from a revision on, as a stream of events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::failure::Failure;
use super::negotiation::{Accepted, Form, Format};
use super::protobuf;
use super::selector::Selector;
use super::state::{Call, Shared, State};
use super::store::Change;
use super::watchers::End;
use super::wire;

/// How often a quiet watch tells its client how far it has come.
const BOOKMARK_INTERVAL: Duration = Duration::from_mins(1);
/// Clients that set no limit are asked to come back after this time, as a real server does.
const LONGEST: u64 = 3600;

/// One watch. It holds a revision, not a queue: a slow client costs no memory and gets `410 Gone` in the end.
struct Watch {
    shared: Arc<Shared>,
    call: Call,
    selector: Selector,
    form: Form,
    format: Format,
    position: u64,
    pending: VecDeque<Vec<u8>>,
    wake: tokio::sync::watch::Receiver<u64>,
    stopping: tokio::sync::watch::Receiver<bool>,
    end: Instant,
    /// Absent when the client did not allow bookmarks.
    next_bookmark: Option<Instant>,
    finished: bool,
    /// Number among the open watches, and how one of them hears that it is to end.
    id: u64,
    ended: oneshot::Receiver<End>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.watchers.unregister(self.id);
    }
}

/// The connection is to break off, as a test wants it.
#[derive(Debug, thiserror::Error)]
#[error("the watch is broken off on purpose")]
pub(super) struct BrokenOff;

/// Starts a watch; the events it begins with are collected under the lock, so none is lost or doubled.
pub(super) fn start(
    shared: &Arc<Shared>,
    call: Call,
    accepted: Accepted,
) -> Result<impl Stream<Item = Result<Bytes, BrokenOff>> + Send + use<>, Failure> {
    let selector = call.selector()?;
    let mut state = shared.lock();
    state.check_revision(&call, true)?;
    let since = call.query.number("resourceVersion").unwrap_or(0);
    let send_initial = call.query.flag("sendInitialEvents");
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let seconds = call.query.number("timeoutSeconds").unwrap_or(LONGEST);
    let now = Instant::now();
    let (id, ended) = shared.watchers.register(Arc::clone(&call.user), call.action.clone());
    let mut watch = Watch {
        shared: Arc::clone(shared),
        wake: state.store.subscribe(call.stored_as()),
        stopping: shared.stopping.subscribe(),
        selector,
        form: accepted.form,
        format: accepted.format,
        position: since,
        pending: VecDeque::new(),
        end: now + Duration::from_secs(seconds),
        next_bookmark: bookmarks.then(|| now + BOOKMARK_INTERVAL),
        finished: false,
        id,
        ended,
        call,
    };
    if since == 0 || send_initial {
        watch.begin_with_present(&state, send_initial);
    } else {
        watch.continue_from(since, &state);
    }
    drop(state);
    Ok(futures::stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some((event.map(Bytes::from), watch))
    }))
}

impl Watch {
    fn begin_with_present(&mut self, state: &State, mark_end: bool) {
        let present: Vec<Arc<Value>> = state
            .store
            .list(self.call.stored_as(), self.call.namespace())
            .filter(|(_, object)| self.call.selects(&self.selector, object))
            .map(|(_, object)| Arc::clone(object))
            .collect();
        for object in present {
            self.push("ADDED", &object);
        }
        self.position = state.store.revision();
        if mark_end && self.next_bookmark.is_some() {
            self.push_bookmark(&json!({"k8s.io/initial-events-end": "true"}));
        }
    }

    fn continue_from(&mut self, since: u64, state: &State) {
        if since > state.store.revision() {
            // A revision from the future: nothing is sent until it is reached, which may be never.
        } else if since < state.store.compacted() {
            self.expire(&format!("too old resource version: {since} ({})", state.store.compacted()));
        } else {
            self.catch_up(state);
        }
    }

    fn expire(&mut self, message: &str) {
        self.queue("ERROR", &Failure::expired(message).status());
        self.finished = true;
    }

    /// Queues what happened since the last look. A history that no longer reaches back ends the watch.
    fn catch_up(&mut self, state: &State) {
        if self.position > state.store.revision() {
            return;
        }
        match state.store.since(self.call.stored_as(), self.position) {
            Ok(changes) => {
                for change in &changes {
                    self.push_change(change);
                }
                self.position = state.store.revision();
            }
            Err(oldest) => {
                self.expire(&format!("too old resource version: {} ({oldest})", self.position));
            }
        }
    }

    /// Queues one event in the format of the client.
    fn queue(&mut self, kind: &str, object: &Value) {
        self.pending.push_back(match self.format {
            Format::Protobuf => protobuf::frame(kind, object),
            Format::Json | Format::Yaml => line(kind, object).into_bytes(),
        });
    }

    async fn next(&mut self) -> Option<Result<Vec<u8>, BrokenOff>> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(Ok(event));
            }
            if self.finished || *self.stopping.borrow() {
                return None;
            }
            let bookmark = self.next_bookmark.unwrap_or(self.end);
            tokio::select! {
                changed = self.wake.changed() => {
                    changed.ok()?;
                    let shared = Arc::clone(&self.shared);
                    self.catch_up(&shared.lock());
                }
                Ok(how) = &mut self.ended => match how {
                    End::Drop => {
                        self.finished = true;
                        return Some(Err(BrokenOff));
                    }
                    End::Expire => self.expire("The event in requested index is outdated and cleared"),
                },
                _ = self.stopping.changed() => return None,
                () = tokio::time::sleep_until(self.end) => return None,
                () = tokio::time::sleep_until(bookmark), if self.next_bookmark.is_some() => {
                    self.next_bookmark = Some(Instant::now() + BOOKMARK_INTERVAL);
                    // It says that all events before it were sent; some may wait, where both came at once.
                    let shared = Arc::clone(&self.shared);
                    self.catch_up(&shared.lock());
                    if !self.finished {
                        self.push_bookmark(&Value::Null);
                    }
                }
            }
        }
    }

    fn push_change(&mut self, change: &Change) {
        let sees = |object: &Option<Arc<Value>>| object.as_ref().filter(|object| self.sees(object)).cloned();
        match (sees(&change.before), sees(&change.after)) {
            (None, Some(after)) => self.push("ADDED", &after),
            (Some(_), Some(after)) => self.push("MODIFIED", &after),
            (Some(before), None) => {
                // The last state the client knew, at the revision it left the client's view.
                let mut last = (*before).clone();
                last["metadata"]["resourceVersion"] = json!(change.revision.to_string());
                self.push("DELETED", &last);
            }
            (None, None) => {}
        }
    }

    fn sees(&self, object: &Value) -> bool {
        self.call.namespace().is_none_or(|namespace| object["metadata"]["namespace"] == namespace)
            && self.call.selects(&self.selector, object)
    }

    fn push(&mut self, kind: &str, stored: &Value) {
        let object = self.call.present(stored, self.form);
        self.queue(kind, &object);
    }

    fn push_bookmark(&mut self, annotations: &Value) {
        let mut metadata = json!({"resourceVersion": self.position.to_string()});
        if !annotations.is_null() {
            metadata["annotations"] = annotations.clone();
        }
        let resource = &self.call.resource;
        let object = match self.form {
            Form::Full => json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata}),
            Form::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Form::Table => self.call.present(&json!({"metadata": metadata}), Form::Table),
        };
        self.queue("BOOKMARK", &object);
    }
}

fn line(kind: &str, object: &Value) -> String {
    let mut text = wire::text(&json!({"type": kind, "object": object}));
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_json() {
        let text = line("ADDED", &json!({"metadata": {"name": "x"}}));
        assert!(text.ends_with("}\n"));
        assert_eq!(serde_json::from_str::<Value>(&text).expect("json")["type"], "ADDED");
    }
}
