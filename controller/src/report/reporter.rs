//! Tells the world about a variant: its status to the status writer, what changed to the event writer.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource as _;
use prometheus_client::metrics::counter::Counter;
use wva_api::{Instance, VariantAutoscaling, events};
use wva_engine::Target;

use super::events::{Event, EventSender};
use super::status;
use super::status_writer::{StatusSender, StatusUpdate};
use super::transitions;
use crate::cluster::index::{ObjectKey, Unreadable, Variant};
use crate::ledger::Reported;
use crate::ownership::conflict::Refusal;
use crate::ownership::variants::Eligibility;
use crate::shared::Shared;

/// Variants that are logged one by one when they enter or leave the safety net in a cycle; of more, the rest is only counted.
/// Each one's status, event and metric say it all the same.
const LOGGED: usize = 20;

/// Sends status and events, each only when there is something new.
#[derive(Debug)]
pub struct Reporter {
    status: StatusSender,
    events: EventSender,
    shared: Arc<Shared>,
    safety_net_activations: Counter,
    /// Objects that could not be read, with what was told of them.
    unreadable: BTreeMap<ObjectKey, String>,
    /// Variants that entered the safety net in this cycle.
    entered: usize,
    /// Variants that left it in this cycle.
    left: usize,
}

impl Reporter {
    /// Nothing told yet.
    pub fn new(
        status: StatusSender,
        events: EventSender,
        shared: Arc<Shared>,
        safety_net_activations: Counter,
    ) -> Self {
        Self { status, events, shared, safety_net_activations, unreadable: BTreeMap::new(), entered: 0, left: 0 }
    }

    /// One with nothing told yet, which reaches the same.
    #[must_use]
    pub fn anew(&self) -> Self {
        let Self { status, events, shared, safety_net_activations, .. } = self;
        Self::new(status.clone(), events.clone(), Arc::clone(shared), safety_net_activations.clone())
    }

    /// Tells what was found and decided; see [`status::status`].
    pub fn tell(
        &mut self,
        key: &ObjectKey,
        variant: &Variant,
        eligibility: &Eligibility,
        decision: Option<&Target>,
        now: Timestamp,
    ) {
        let status = status::status(variant, eligibility, decision, now);
        // Before this process told anything, the stored status says what an earlier one did.
        let before = self.shared.ledger.report(key, Reported::of(&status));
        let before = before.unwrap_or_else(|| Reported::of(&variant.status));
        for transitions::Transition { warning, reason, message } in transitions::between(&before, &status, decision) {
            self.note_safety_net(reason, key, decision, &before);
            self.events.send(Event { on: reference(key, &variant.uid), warning, reason, message });
        }
        // Who has to give way has no say in the status: the rightful owner would take that for another conflict.
        let gives_way = matches!(eligibility, Eligibility::InstanceConflict(Refusal { mine: false, .. }));
        if !gives_way && (status::differs(&variant.status, &status) || is_handed_over(variant)) {
            self.status.send(StatusUpdate { variant: key.clone(), status });
        }
    }

    /// Logs and counts when the safety net begins and when it ends.
    fn note_safety_net(&mut self, event: &str, key: &ObjectKey, decision: Option<&Target>, before: &Reported) {
        let ObjectKey { namespace, name: variant } = key;
        match (event, decision) {
            (events::SAFETY_NET_ACTIVATED, Some(target)) => {
                self.safety_net_activations.inc();
                self.entered += 1;
                if self.entered > LOGGED {
                    return;
                }
                tracing::warn!(
                    variant,
                    namespace,
                    currentReplicas = target.current,
                    desiredReplicas = target.replicas,
                    accelerator = target.accelerator,
                    fallbackSource =
                        if before.replicas.is_some() { "previous-desired" } else { "current-replicas" },
                    evidence = %target.evidence,
                    "Safety net activated: emitted fallback metrics"
                );
            }
            (events::SAFETY_NET_RELEASED, _) => {
                self.left += 1;
                if self.left <= LOGGED {
                    tracing::info!(variant, namespace, "Safety net released");
                }
            }
            _ => {}
        }
    }

    /// Everything of this cycle has been told: logs how many more variants entered and left the safety net than were named.
    pub fn end_cycle(&mut self) {
        let further = |count: &mut usize| std::mem::take(count).saturating_sub(LOGGED);
        let (entered, left) = (further(&mut self.entered), further(&mut self.left));
        if entered > 0 {
            tracing::warn!(furtherVariants = entered, "Safety net activated: emitted fallback metrics");
        }
        if left > 0 {
            tracing::info!(furtherVariants = left, "Safety net released");
        }
    }

    /// Tells of the objects that cannot be read, each time what is wrong changes. Their status cannot be written: the API
    /// server would refuse the object as a whole.
    pub fn tell_unreadable<'a>(&mut self, all: impl Iterator<Item = (&'a ObjectKey, &'a Unreadable)>) {
        let mut before = std::mem::take(&mut self.unreadable);
        for (key, Unreadable { uid, why, .. }) in all {
            if before.remove(key).as_ref() != Some(why) {
                let (on, message) = (reference(key, uid), unreadable_message(key, why));
                self.events.send(Event { on, warning: true, reason: events::INVALID_SPEC, message });
            }
            self.unreadable.insert(key.clone(), why.clone());
        }
    }
}

/// Whether only an earlier owner has written the status: the first write of the new one says who it is now, although there
/// is nothing else to say.
fn is_handed_over(variant: &Variant) -> bool {
    let owner = Instance::of_labels(&variant.labels);
    let writes = &variant.status_writes;
    writes.iter().all(|write| write.by != owner) && writes.iter().any(|write| Some(write.at) <= variant.labelled_at)
}

/// What is wrong with an object that cannot be read, and what to do.
fn unreadable_message(ObjectKey { namespace, name }: &ObjectKey, why: &str) -> String {
    let stale = "its status is what an earlier controller wrote";
    if why.contains("scaleTargetRef") && why.to_lowercase().contains("missing field") {
        return format!(
            "spec.scaleTargetRef is missing, so nothing is scaled and {stale}. Releases up to 0.4 took the Deployment of \
             this object's name; say so: kubectl -n {namespace} patch va {name} --type merge -p \
             '{{\"spec\":{{\"scaleTargetRef\":{{\"name\":\"{name}\"}}}}}}'"
        );
    }
    format!(
        "The object cannot be read, so nothing is scaled and {stale}: {why}. Fix it: kubectl -n {namespace} edit va {name}"
    )
}

/// A variant, as events refer to it.
pub fn reference(key: &ObjectKey, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(VariantAutoscaling::api_version(&()).into_owned()),
        kind: Some(VariantAutoscaling::kind(&()).into_owned()),
        namespace: Some(key.namespace.clone()),
        name: Some(key.name.clone()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::index::StatusWrite;
    use crate::cluster::index::convert;
    use crate::fixtures::{variant, yaml};

    /// A variant that was labelled for `new` at second 10, and whose status was written by these at these seconds.
    fn written(writers: &[(&str, i64)]) -> Variant {
        let at = |second| Timestamp::from_second(1_700_000_000 + second).unwrap();
        let write = |(by, second): &(&str, i64)| StatusWrite { by: Instance::parse(by).unwrap(), at: at(*second) };
        Variant {
            labels: Instance::parse("new").unwrap().labels(),
            labelled_at: Some(at(10)),
            status_writes: writers.iter().map(write).collect(),
            ..convert::variant(yaml(&variant("a")))
        }
    }

    #[test]
    fn a_new_owner_writes_once_although_nothing_has_changed() {
        assert!(is_handed_over(&written(&[("old", 9)])));
        assert!(!is_handed_over(&written(&[("old", 9), ("new", 11)])), "it has written");
        assert!(!is_handed_over(&written(&[("new", 9)])));
        assert!(!is_handed_over(&written(&[])));
        assert!(!is_handed_over(&written(&[("other", 12)])), "that is a conflict");
    }

    #[test]
    fn a_variant_of_an_early_release_is_told_which_deployment_it_meant_and_the_command() {
        let message = unreadable_message(&ObjectKey::new("ns", "llama"), "missing field `scaleTargetRef`");
        let command = r#"kubectl -n ns patch va llama --type merge -p '{"spec":{"scaleTargetRef":{"name":"llama"}}}'"#;
        assert!(message.ends_with(command), "{message}");
        assert!(message.contains("its status is what an earlier controller wrote"), "{message}");
        let other = unreadable_message(&ObjectKey::new("ns", "llama"), "invalid type: integer `7`");
        assert!(other.contains("invalid type: integer `7`") && other.ends_with("edit va llama"), "{other}");
    }
}
