//! What the replicas of a variant have cost, from the changes that a controller keeps.

use jiff::Timestamp;
use wva_engine::history::VariantHistory;

/// What was spent between two moments, and since when that is known: the later of the first moment and the first change that is
/// kept. `price` replaces the cost of a replica per hour.
pub(super) fn spent(
    history: &VariantHistory,
    price: Option<f64>,
    from: Timestamp,
    now: Timestamp,
) -> Option<(f64, Timestamp)> {
    let known = history.decisions.front()?.at.max(from);
    let ends = history.decisions.iter().skip(1).map(|next| next.at).chain([now]);
    let parts = history.decisions.iter().zip(ends).map(|(decision, end)| {
        let hours = end.min(now).duration_since(decision.at.max(from)).as_secs_f64().max(0.0) / 3600.0;
        hours * f64::from(decision.current) * price.unwrap_or(decision.cost)
    });
    Some((parts.sum(), known))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    /// Two replicas from hour 10, four from hour 12.
    fn history() -> VariantHistory {
        let decision = |hour: i64, current: u32| {
            json!({
                "at": at(hour), "until": at(hour), "from": null, "to": current, "current": current, "cost": 5.0,
                "kvUsage": null, "queueLength": null, "class": "steady", "why": "",
            })
        };
        serde_json::from_value(json!({"since": at(10), "decisions": [decision(10, 2), decision(12, 4)]})).unwrap()
    }

    #[test]
    fn replicas_cost_for_as_long_as_they_are_there() {
        assert_eq!(spent(&history(), None, at(0), at(14)), Some((2.0 * 2.0 * 5.0 + 2.0 * 4.0 * 5.0, at(10))));
        assert_eq!(spent(&history(), None, at(13), at(14)), Some((4.0 * 5.0, at(13))), "only the time asked for");
        assert_eq!(spent(&history(), Some(1.0), at(11), at(12)), Some((2.0, at(11))), "by a price");
    }
}
