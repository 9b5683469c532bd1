//! Requests that were completed within a time: one query, however many models and retentions there are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;
use wva_api::metrics::VLLM_REQUEST_SUCCESS_TOTAL;

use super::response::Sample;

/// Most look-backs in one query. Each makes Prometheus read its own stretch of every counter.
const MOST: usize = 8;
/// Label that tells the results of different look-backs apart.
const LABEL: &str = "wva_lookback_seconds";

/// Look-backs to ask for, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookbacks(BTreeSet<u64>);

/// Completed requests by namespace, model and look-back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completed(BTreeMap<(String, String, u64), f64>);

impl Lookbacks {
    /// Those for some retentions, none shorter than `least`: in a stretch with a single scrape nothing increases.
    ///
    /// When there are too many, some retentions get a longer look-back than they asked for, and a model of theirs is
    /// put to sleep later than it might be; never earlier.
    pub fn new(retentions: impl IntoIterator<Item = SignedDuration>, least: Duration) -> Self {
        let least = least.as_secs().max(1);
        let all: Vec<u64> = retentions
            .into_iter()
            .map(|retention| u64::try_from(retention.as_secs()).unwrap_or(0).max(least))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        // The longest always stays; the others are spread evenly over what was asked for. 17 of them at 8 places:
        // the 2nd, 4th, 6th, …, 14th and 17th.
        let places = MOST.min(all.len());
        Self((1..=places).map(|place| all[place * all.len() / places - 1]).collect())
    }

    /// The look-back that stands for a retention: the shortest that covers it.
    pub fn of(&self, retention: SignedDuration) -> Option<u64> {
        let seconds = u64::try_from(retention.as_secs()).unwrap_or(0);
        self.0.range(seconds..).next().copied()
    }

    /// The query; `None` when there is nothing to ask. `scope` is a selector of series, or empty.
    pub fn query(&self, scope: &str) -> Option<String> {
        let one = |seconds: &u64| {
            let series = format!("{VLLM_REQUEST_SUCCESS_TOTAL}{scope}");
            // `increase` knows nothing of what a counter had when it appeared: a pod that is younger than the
            // look-back has completed all that its counter says.
            let counted = format!(
                "(max_over_time({series}[{seconds}s]) unless {series} offset {seconds}s) or increase({series}[{seconds}s])"
            );
            format!("label_replace(sum by (namespace, model_name) ({counted}), \"{LABEL}\", \"{seconds}\", \"\", \"\")")
        };
        let parts: Vec<String> = self.0.iter().map(one).collect();
        (!parts.is_empty()).then(|| parts.join(" or "))
    }
}

impl Completed {
    /// Reads the answer. What is not a number stays missing.
    pub fn read(samples: &[Sample]) -> Self {
        let entry = |sample: &Sample| {
            let label = |name| sample.label(name);
            let key = (label("namespace")?.to_owned(), label("model_name")?.to_owned(), label(LABEL)?.parse().ok()?);
            (sample.value.is_finite() && sample.value >= 0.0).then_some((key, sample.value))
        };
        Self(samples.iter().filter_map(entry).collect())
    }

    /// Requests for a model that were completed within a look-back; `None` when no counter says.
    pub fn of(&self, namespace: &str, model: &str, lookback: u64) -> Option<f64> {
        self.0.get(&(namespace.to_owned(), model.to_owned(), lookback)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn seconds(retention: i64) -> SignedDuration {
        SignedDuration::from_secs(retention)
    }

    #[test]
    fn the_text_of_the_query() {
        let query = Lookbacks::new([seconds(600)], MINUTE).query("").unwrap();
        insta::assert_snapshot!(query.replace(" or ", "\n  or ").replace(" unless ", "\n  unless "), @r#"
        label_replace(sum by (namespace, model_name) ((max_over_time(vllm:request_success_total[600s])
          unless vllm:request_success_total offset 600s)
          or increase(vllm:request_success_total[600s])), "wva_lookback_seconds", "600", "", "")
        "#);
    }

    #[test]
    fn each_distinct_retention_is_asked_for_once_and_nothing_without_any() {
        let lookbacks = Lookbacks::new([600, 300, 600, 5].map(seconds), MINUTE);
        let query = lookbacks.query("{namespace=~\"a\"}").unwrap();
        assert_eq!(query.matches("label_replace").count(), 3);
        assert_eq!(query.matches("vllm:").count(), query.matches("{namespace=~\"a\"}").count());
        assert_eq!([600, 300, 5].map(|retention| lookbacks.of(seconds(retention))), [Some(600), Some(300), Some(60)]);
        assert_eq!(Lookbacks::new([], MINUTE).query(""), None);
    }

    #[test]
    fn however_many_retentions_there_are_the_query_stays_bounded_and_no_look_back_is_too_short() {
        let retentions: Vec<_> = (1..=100).map(|minutes| seconds(minutes * 60)).collect();
        let lookbacks = Lookbacks::new(retentions.clone(), MINUTE);
        assert_eq!(lookbacks.query("").unwrap().matches("label_replace").count(), MOST);
        for retention in retentions {
            let lookback = lookbacks.of(retention).unwrap();
            assert!(i64::try_from(lookback).unwrap() >= retention.as_secs(), "{lookback} s for {retention}");
        }
    }

    #[test]
    fn a_value_that_is_no_number_stays_missing() {
        let sample = |model: &str, value| Sample {
            labels: [("namespace", "ns"), ("model_name", model), (LABEL, "600")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            evaluated_at: 0.0,
            value,
        };
        let completed = Completed::read(&[sample("a", 2.5), sample("b", f64::NAN), sample("c", 0.0)]);
        let of = |model| completed.of("ns", model, 600);
        assert_eq!((of("a"), of("b"), of("c"), of("d")), (Some(2.5), None, Some(0.0), None));
        assert_eq!(completed.of("ns", "a", 300), None);
    }
}
