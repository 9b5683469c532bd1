//! At which rate requests arrive for each model, for the hybrid mode.
//!
//! What arrives is either completed or still there: the rate of completed requests, and the growth of the number of those
//! that are computed or wait. Counted by model and not by pod, so that a pod that has just gone does not take its share of
//! the requests out of the sum before the others show theirs.

use std::collections::BTreeMap;
use std::time::Duration;

use wva_api::metrics::{VLLM_REQUEST_SUCCESS_TOTAL, VLLM_REQUESTS_RUNNING, VLLM_REQUESTS_WAITING};

use super::response::Sample;

/// The queries, in namespaces that `scope` selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrivalQueries {
    /// Requests completed per second, by model.
    pub completed: String,
    /// Requests per second by which those in the servers become more, or fewer, by model.
    pub growth: String,
}

impl ArrivalQueries {
    /// Queries over a look-back of `window`. A counter must have been scraped twice in it.
    pub fn new(scope: &str, window: Duration) -> Self {
        let seconds = window.as_secs();
        let sum = |series: String| format!("sum by (namespace, model_name) ({series})");
        let now = |name| sum(format!("{name}{scope}"));
        let before = |name| sum(format!("{name}{scope} offset {seconds}s"));
        let (running, waiting) = (VLLM_REQUESTS_RUNNING, VLLM_REQUESTS_WAITING);
        Self {
            completed: sum(format!("rate({VLLM_REQUEST_SUCCESS_TOTAL}{scope}[{seconds}s])")),
            // What a pod had before it was there is nothing, so the sums are compared and not the pods.
            growth: format!(
                "({} + {} - {} - {}) / {seconds}",
                now(running),
                now(waiting),
                before(running),
                before(waiting)
            ),
        }
    }
}

/// Requests that arrive per second, by namespace and model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrivals(BTreeMap<(String, String), f64>);

impl Arrivals {
    /// Puts the answers together. Without a rate of completed requests nothing is known; a number of requests that shrinks
    /// makes room, but asks for no less.
    pub fn read(completed: &[Sample], growth: &[Sample]) -> Self {
        let growth: BTreeMap<_, _> = growth.iter().filter_map(of_model).collect();
        let rates = completed.iter().filter_map(of_model).map(|(model, rate)| {
            let growth = growth.get(&model).copied().unwrap_or(0.0).max(0.0);
            (model, rate.max(0.0) + growth)
        });
        Self(rates.collect())
    }

    /// Requests that arrive for a model per second, if that is known.
    pub fn of(&self, namespace: &str, model: &str) -> Option<f64> {
        self.0.get(&(namespace.to_owned(), model.to_owned())).copied()
    }
}

/// Namespace and model of a sample, with its value; `None` when it is not a number.
fn of_model(sample: &Sample) -> Option<((String, String), f64)> {
    let label = |name| sample.label(name).map(str::to_owned);
    Some(((label("namespace")?, label("model_name")?), sample.value)).filter(|(_, value)| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_the_queries() {
        let ArrivalQueries { completed, growth } = ArrivalQueries::new("{namespace=~\"a\"}", Duration::from_mins(1));
        insta::assert_snapshot!([completed, growth].join("\n\n").replace(" sum", "\n  sum"), @r#"
        sum by (namespace, model_name) (rate(vllm:request_success_total{namespace=~"a"}[60s]))

        (sum by (namespace, model_name) (vllm:num_requests_running{namespace=~"a"}) +
          sum by (namespace, model_name) (vllm:num_requests_waiting{namespace=~"a"}) -
          sum by (namespace, model_name) (vllm:num_requests_running{namespace=~"a"} offset 60s) -
          sum by (namespace, model_name) (vllm:num_requests_waiting{namespace=~"a"} offset 60s)) / 60
        "#);
    }

    #[test]
    fn what_arrives_is_completed_or_still_there_and_what_is_no_number_is_not_known() {
        let sample = |model: &str, value| Sample {
            labels: [("namespace", "ns"), ("model_name", model)].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            evaluated_at: 0.0,
            value,
        };
        let completed = [("grows", 4.0), ("shrinks", 4.0), ("alone", 1.0), ("nan", f64::NAN)];
        let growth = [("grows", 1.5), ("shrinks", -3.0), ("nan", 1.0), ("new", 2.0)];
        let arrivals = Arrivals::read(
            &completed.map(|(model, value)| sample(model, value)),
            &growth.map(|(model, value)| sample(model, value)),
        );
        let of = |model| arrivals.of("ns", model);
        assert_eq!([of("grows"), of("shrinks"), of("alone")], [Some(5.5), Some(4.0), Some(1.0)]);
        assert_eq!([of("nan"), of("new"), arrivals.of("other", "grows")], [None; 3]);
    }
}
