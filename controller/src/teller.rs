//! Tells the world about a variant: its status to the status writer, what changed to the event writer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource as _;
use wva_api::VariantAutoscaling;
use wva_engine::Target;

use crate::conflict::Refusal;
use crate::events::{Event, EventSender};
use crate::index::{ObjectKey, Variant};
use crate::observe::Standing;
use crate::report;
use crate::status_writer::{StatusSender, StatusUpdate};
use crate::transitions::{self, Told};

/// Sends status and events, each only when there is something new.
#[derive(Debug)]
pub struct Teller {
    status: StatusSender,
    events: EventSender,
    /// What was told of each variant last. Before this process told anything, the stored status says what an earlier
    /// one did.
    told: BTreeMap<ObjectKey, Told>,
}

impl Teller {
    /// Nothing told yet.
    pub fn new(status: StatusSender, events: EventSender) -> Self {
        Self { status, events, told: BTreeMap::new() }
    }

    /// One with nothing told yet, which reaches the same.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::new(self.status.clone(), self.events.clone())
    }

    /// Tells what was found and decided; see [`report::status`].
    pub fn tell(
        &mut self,
        key: &ObjectKey,
        variant: &Variant,
        standing: &Standing,
        decision: Option<&Target>,
        now: Timestamp,
    ) {
        let status = report::status(variant, standing, decision, now);
        let stored = || Told::of(&variant.status);
        let before = self.told.insert(key.clone(), Told::of(&status)).unwrap_or_else(stored);
        for transitions::Transition { warning, reason, message } in transitions::between(&before, &status, decision) {
            self.events.send(Event { on: reference(key, variant), warning, reason, message });
        }
        // Who has to give way has no say in the status: the rightful owner would take that for another conflict.
        let gives_way = matches!(standing, Standing::InstanceConflict(Refusal { mine: false, .. }));
        if !gives_way && report::differs(&variant.status, &status) {
            self.status.send(StatusUpdate { variant: key.clone(), status });
        }
    }

    /// Forgets the variants that are not `kept`.
    pub fn keep_only(&mut self, kept: impl Fn(&ObjectKey) -> bool) {
        self.told.retain(|variant, _| kept(variant));
    }
}

/// A variant, as events refer to it.
pub fn reference(key: &ObjectKey, variant: &Variant) -> ObjectReference {
    ObjectReference {
        api_version: Some(VariantAutoscaling::api_version(&()).into_owned()),
        kind: Some(VariantAutoscaling::kind(&()).into_owned()),
        namespace: Some(key.namespace.clone()),
        name: Some(key.name.clone()),
        uid: Some(variant.uid.clone()),
        ..ObjectReference::default()
    }
}
