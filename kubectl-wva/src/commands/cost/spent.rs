//! What the replicas of a variant have cost, from the changes that a controller keeps.

use jiff::Timestamp;
use wva_engine::history::VariantHistory;

use crate::readers::recorded::{Point, Recorded};

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

/// The same by what Prometheus recorded before `known`, at the cost of a replica per hour.
pub(super) fn spent_before(
    recorded: &Recorded,
    variant: (&str, &str),
    price: f64,
    from: Timestamp,
    known: Timestamp,
) -> Option<(f64, Timestamp)> {
    let spans = recorded.spans(variant.0, variant.1, known);
    let begin = spans.first()?.0.at.max(from);
    let part = |(point, until): &(Point, Timestamp)| {
        let hours = until.duration_since(point.at.max(from)).as_secs_f64().max(0.0) / 3600.0;
        hours * f64::from(point.current.unwrap_or_default()) * price
    };
    Some((spans.iter().map(part).sum(), begin))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
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

    #[test]
    fn what_prometheus_recorded_ends_where_the_history_begins() {
        let values = json!([[at(8).as_second(), "2"], [at(9).as_second(), "4"], [at(10).as_second(), "9"]]);
        let metric = json!({"__name__": "wva_current_replicas", "exported_namespace": "m", "variant_name": "a"});
        let answer = json!({"data": {"result": [{"metric": metric, "values": values}]}}).to_string();
        let recorded = Recorded::parse("mon/prometheus", SignedDuration::from_hours(1), &answer).unwrap();
        let of = |from| spent_before(&recorded, ("m", "a"), 5.0, at(from), at(10));
        assert_eq!(of(0), Some((2.0 * 5.0 + 4.0 * 5.0, at(8))));
        assert_eq!(of(9), Some((4.0 * 5.0, at(9))), "only the time asked for");
        assert_eq!(spent_before(&recorded, ("m", "b"), 5.0, at(0), at(10)), None);
    }
}
