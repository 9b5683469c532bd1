//! Events on objects, as `kubectl describe` and `kubectl get events` show them.
//!
//! Recording never waits and never fails: events are queued and written by one task. A repeated event raises the
//! count of the one already written.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet};
use tracing::debug;

/// Whether an event tells of normal life or of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Severity {
    Normal,
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Queues events in the name of one component.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    queue: mpsc::UnboundedSender<Entry>,
    source: EventSource,
}

#[derive(Debug)]
struct Entry {
    source: EventSource,
    about: ObjectReference,
    severity: Severity,
    reason: &'static str,
    message: String,
    at: Timestamp,
}

/// What makes two events the same one.
#[derive(PartialEq, Eq, Hash)]
struct Identity {
    uid: String,
    field: Option<String>,
    reason: &'static str,
    message: String,
}

impl Recorder {
    /// `host` is the node for a node agent, empty for a controller.
    pub(crate) fn start(client: Client, component: &str, host: Option<String>, tasks: &mut JoinSet<()>) -> Self {
        let (queue, entries) = mpsc::unbounded_channel();
        tasks.spawn(write_all(client, entries));
        Self { queue, source: EventSource { component: Some(component.to_owned()), host } }
    }

    /// The same queue in the name of another component.
    pub(crate) fn named(&self, component: &str) -> Self {
        let source = EventSource { component: Some(component.to_owned()), host: self.source.host.clone() };
        Self { queue: self.queue.clone(), source }
    }

    pub(crate) fn record(
        &self,
        about: ObjectReference,
        severity: Severity,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let source = self.source.clone();
        let entry = Entry { source, about, severity, reason, message: message.into(), at: Timestamp::now() };
        // The writer is gone only at shutdown, when nobody is left to read events.
        let _ = self.queue.send(entry);
    }

    pub(crate) fn normal(
        &self,
        object: &impl Resource<DynamicType = ()>,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        self.record(object.object_ref(&()), Severity::Normal, reason, message);
    }

    pub(crate) fn warning(
        &self,
        object: &impl Resource<DynamicType = ()>,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        self.record(object.object_ref(&()), Severity::Warning, reason, message);
    }
}

async fn write_all(client: Client, mut entries: mpsc::UnboundedReceiver<Entry>) {
    /// Events are a help for people, not a record: forgetting the oldest counts bounds the memory.
    const REMEMBERED: usize = 4096;
    let mut written: HashMap<Identity, (String, i32)> = HashMap::new();
    while let Some(entry) = entries.recv().await {
        if written.len() > REMEMBERED {
            written.clear();
        }
        let namespace = entry.about.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        let identity = Identity {
            uid: entry.about.uid.clone().unwrap_or_default(),
            field: entry.about.field_path.clone(),
            reason: entry.reason,
            message: entry.message.clone(),
        };
        if let Some((name, count)) = written.get_mut(&identity) {
            *count += 1;
            let change = if entry.is_new_style() {
                json!({"series": {"count": *count, "lastObservedTime": MicroTime(entry.at)}})
            } else {
                json!({"count": *count, "lastTimestamp": Time(entry.at)})
            };
            let patch = Patch::Merge(change);
            if api.patch(name, &PatchParams::default(), &patch).await.is_ok() {
                continue;
            }
        }
        match api.create(&PostParams::default(), &event(&entry, &namespace)).await {
            Ok(created) => {
                written.insert(identity, (created.name_any(), 1));
            }
            // Expected while a namespace is going away.
            Err(error) => debug!(reason = entry.reason, %error, "Event not written"),
        }
    }
}

impl Entry {
    /// The scheduler reports by the newer API: what it did, and when, in one field each.
    fn is_new_style(&self) -> bool {
        self.source.component.as_deref() == Some("default-scheduler")
    }
}

fn event(entry: &Entry, namespace: &str) -> Event {
    let old = old_style(entry, namespace);
    if !entry.is_new_style() {
        return old;
    }
    let action = if entry.reason == "Scheduled" { "Binding" } else { "Scheduling" };
    Event {
        source: None,
        first_timestamp: None,
        last_timestamp: None,
        count: None,
        event_time: Some(MicroTime(entry.at)),
        action: Some(action.to_owned()),
        reporting_instance: Some("default-scheduler-kubesim".to_owned()),
        ..old
    }
}

fn old_style(entry: &Entry, namespace: &str) -> Event {
    let name = entry.about.name.as_deref().unwrap_or("unknown");
    Event {
        metadata: ObjectMeta {
            // As client-go names them: the object, then a number nobody else uses.
            name: Some(format!("{name}.{:x}", entry.at.as_nanosecond())),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: entry.about.clone(),
        type_: Some(entry.severity.as_str().to_owned()),
        reason: Some(entry.reason.to_owned()),
        message: Some(entry.message.clone()),
        source: Some(entry.source.clone()),
        reporting_component: entry.source.component.clone(),
        reporting_instance: entry.source.host.clone(),
        first_timestamp: Some(Time(entry.at)),
        last_timestamp: Some(Time(entry.at)),
        count: Some(1),
        ..Event::default()
    }
}
