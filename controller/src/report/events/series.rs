//! Which events are new, and which repeat one of late. Pure.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event as ApiEvent, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

use super::{Event, ReportingController};

/// An event counts as a repetition of one that occurred within this time, as in client-go.
const SERIES_ENDS_AFTER: SignedDuration = SignedDuration::from_mins(6);
/// Least time between two writes of one series: the second occurrence is told at once, after that the count may lag.
const UPDATE_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// Longest note, in bytes: what the API server takes.
const LONGEST_NOTE: usize = 1024;
/// Longest object name an event is named after, so that the event's own name fits into 253 bytes.
const LONGEST_NAME: usize = 230;

/// Events of late.
#[derive(Debug, Default)]
pub(super) struct Recent(HashMap<Key, Occurrence>);

/// What is to be done about an event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// It is new.
    Create(ApiEvent),
    /// It repeats this one, whose series is to be updated.
    Patch(ApiEvent),
    /// It repeats one whose series was updated a moment ago.
    Skip,
}

/// What makes two events the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    reason: &'static str,
    message: String,
}

#[derive(Debug)]
struct Occurrence {
    event: ApiEvent,
    count: i32,
    last: Timestamp,
    written: Timestamp,
}

impl Recent {
    /// Takes note of an event.
    pub(super) fn note(&mut self, event: &Event, reporter: &ReportingController, now: Timestamp) -> Step {
        self.0.retain(|_, occurrence| now.duration_since(occurrence.last) < SERIES_ENDS_AFTER);
        let key = Key::of(event);
        let Some(occurrence) = self.0.get_mut(&key) else {
            let new = object(event, reporter, now);
            self.0.insert(key, Occurrence { event: new.clone(), count: 1, last: now, written: now });
            return Step::Create(new);
        };
        occurrence.count = occurrence.count.saturating_add(1);
        occurrence.last = now;
        if occurrence.count > 2 && now.duration_since(occurrence.written) < UPDATE_EVERY {
            return Step::Skip;
        }
        occurrence.written = now;
        let series = EventSeries { count: occurrence.count, last_observed_time: MicroTime(now) };
        Step::Patch(ApiEvent { series: Some(series), ..occurrence.event.clone() })
    }

    /// Forgets an event that could not be stored, so that its next occurrence is a new one.
    pub(super) fn forget(&mut self, event: &Event) {
        self.0.remove(&Key::of(event));
    }
}

impl Key {
    fn of(event: &Event) -> Self {
        let Event { on, warning: _, reason, message } = event;
        let ObjectReference { kind, namespace, name, uid, .. } = on.clone();
        Self { kind, namespace, name, uid, reason, message: message.clone() }
    }
}

fn object(event: &Event, reporter: &ReportingController, now: Timestamp) -> ApiEvent {
    let Event { on, warning, reason, message } = event;
    let name = cut(on.name.as_deref().unwrap_or_default(), LONGEST_NAME).trim_end_matches(['.', '-']);
    ApiEvent {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{:x}", now.as_nanosecond())),
            // Events on cluster-scoped objects are kept in the default namespace.
            namespace: Some(on.namespace.clone().filter(|it| !it.is_empty()).unwrap_or_else(|| "default".to_owned())),
            ..ObjectMeta::default()
        },
        type_: Some(if *warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some((*reason).to_owned()),
        action: Some((*reason).to_owned()),
        note: Some(cut(message, LONGEST_NOTE).to_owned()),
        regarding: Some(on.clone()),
        event_time: Some(MicroTime(now)),
        reporting_controller: Some(reporter.manager.clone()),
        reporting_instance: Some(cut(&reporter.identity, 128).to_owned()),
        ..ApiEvent::default()
    }
}

/// The longest beginning of at most `length` bytes.
fn cut(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str) -> Event {
        let on = ObjectReference {
            kind: Some("VariantAutoscaling".to_owned()),
            namespace: Some("ns".to_owned()),
            name: Some("llama".to_owned()),
            ..ObjectReference::default()
        };
        Event { on, warning: true, reason: "TargetNotFound", message: message.to_owned() }
    }

    fn reporter() -> ReportingController {
        ReportingController { manager: "wva-controller/team-a".to_owned(), identity: "wva-0".to_owned() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    /// What is done about an event at each of these seconds, as letters, and the counts that are written.
    fn steps(recent: &mut Recent, seconds: &[i64]) -> (String, Vec<i32>) {
        let mut counts = Vec::new();
        let letter = |second: &i64| match recent.note(&event("lost"), &reporter(), at(*second)) {
            Step::Create(_) => 'C',
            Step::Patch(object) => {
                counts.push(object.series.unwrap().count);
                'P'
            }
            Step::Skip => '-',
        };
        (seconds.iter().map(letter).collect(), counts)
    }

    #[test]
    fn a_repetition_becomes_a_series_that_is_updated_once_a_minute() {
        let steps = steps(&mut Recent::default(), &[0, 10, 20, 30, 70, 80, 130]);
        assert_eq!(steps, ("CP--P-P".to_owned(), vec![2, 5, 7]));
    }

    #[test]
    fn after_six_quiet_minutes_it_is_a_new_event() {
        let mut recent = Recent::default();
        assert_eq!(steps(&mut recent, &[0, 360]).0, "CC");
        assert_eq!(recent.0.len(), 1, "what is old is forgotten");
    }

    #[test]
    fn another_message_is_another_event() {
        let mut recent = Recent::default();
        let mut is_new = |message| matches!(recent.note(&event(message), &reporter(), at(0)), Step::Create(_));
        assert!(is_new("a") && is_new("b") && !is_new("a"));
    }

    #[test]
    fn an_event_that_could_not_be_stored_is_new_the_next_time() {
        let mut recent = Recent::default();
        let _step = recent.note(&event("lost"), &reporter(), at(0));
        recent.forget(&event("lost"));
        assert_eq!(steps(&mut recent, &[1]).0, "C");
    }

    #[test]
    fn names_and_notes_are_cut_to_what_the_api_server_takes() {
        let mut long = event(&"ä".repeat(2000));
        long.on.name = Some(format!("{}.{}", "x".repeat(229), "y".repeat(23)));
        let stored = object(&long, &reporter(), at(0));
        assert!(stored.note.unwrap().len() <= LONGEST_NOTE);
        let name = stored.metadata.name.unwrap();
        assert!(name.len() <= 253 && !name.contains(".."), "{name}");
    }
}
