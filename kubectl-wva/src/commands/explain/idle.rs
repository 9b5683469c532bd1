//! Whether a model is idle, and what comes of it.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use wva_engine::ModelKey;

use crate::readers::debug_state::LastCycle;

/// In words; `None` where idle models are not put to sleep.
pub(super) fn told(cycle: &LastCycle, model: &ModelKey, now: Timestamp) -> Option<String> {
    let policy = cycle.settings.zero.of(model);
    if !policy.enabled {
        return None;
    }
    let found = cycle.snapshot.models.iter().find(|found| found.key == *model)?;
    if found.variants.iter().all(|variant| variant.spec_replicas == 0) {
        return Some("asleep: it wakes when a request waits for it at the gateway".to_owned());
    }
    let clock = |at: Timestamp| at.to_zoned(TimeZone::system()).strftime("%T").to_string();
    let retention = policy.retention;
    let told = match (found.demand.completed, quiet_since(cycle, model)) {
        (None, _) => format!("not known: the servers' counters of requests did not answer for {retention:#}"),
        (Some(completed), _) if completed.value > 0.0 => {
            format!("no: {:.0} requests were answered within the last {retention:#}", completed.value)
        }
        (Some(_), Some(since)) if now.duration_since(since) < SignedDuration::from_secs(0) => "no".to_owned(),
        (Some(_), Some(since)) => {
            format!(
                "since {}; it goes to zero at {} unless something is asked of it",
                clock(since),
                clock(since + retention)
            )
        }
        (Some(_), None) => "no: requests are running or waiting".to_owned(),
    };
    Some(told)
}

/// Since when nothing has been asked of a model, as the controller remembers it.
fn quiet_since(cycle: &LastCycle, model: &ModelKey) -> Option<Timestamp> {
    let memory = serde_json::to_value(&cycle.before).ok()?;
    let wanted = serde_json::to_value(model).ok()?;
    let pair = memory["models"].as_array()?.iter().find(|pair| pair[0] == wanted)?;
    pair[1]["quietSince"].as_str()?.parse().ok()
}
