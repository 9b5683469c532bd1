//! What requests see of each pod, from which the hybrid mode learns how fast a model is.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use wva_api::metrics::{VLLM_INTER_TOKEN_LATENCY, VLLM_TIME_PER_OUTPUT_TOKEN, VLLM_TIME_TO_FIRST_TOKEN};
use wva_engine::snapshot::{Pace, Reading};

use super::response::Sample;
use super::selector::Selector;
use super::series::{of_pods, pod};
use crate::cluster::index::ObjectKey;

/// The queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyQueries {
    /// Average milliseconds to the first token, by pod and model.
    pub ttft: String,
    /// Average milliseconds between two tokens, by pod and model.
    pub itl: String,
}

impl LatencyQueries {
    /// Queries over a look-back of `window`.
    pub fn new(selector: &Selector, window: Duration) -> Self {
        let rate = |name: &str| of_pods(&format!("rate({}[{}s])", selector.of(name), window.as_secs()));
        let average =
            |name: &str| format!("1000 * {} / {}", rate(&format!("{name}_sum")), rate(&format!("{name}_count")));
        Self {
            ttft: average(VLLM_TIME_TO_FIRST_TOKEN),
            // Older servers have it under another name, some have both.
            itl: format!("{} or {}", average(VLLM_INTER_TOKEN_LATENCY), average(VLLM_TIME_PER_OUTPUT_TOKEN)),
        }
    }
}

/// What requests see, by pod. A pod serves one model, so its name is enough.
pub type Latencies = BTreeMap<ObjectKey, Pace>;

/// Puts the answers together. What is not a number, as without requests, is not known.
pub fn read(ttft: &[Sample], itl: &[Sample]) -> Latencies {
    let mut latencies = Latencies::new();
    let mut fill = |samples: &[Sample], field: fn(&mut Pace) -> &mut Option<Reading>| {
        for sample in samples.iter().filter(|sample| sample.value.is_finite()) {
            if let Some(pod) = pod(sample) {
                let reading = Reading { value: sample.value, age: SignedDuration::ZERO };
                *field(latencies.entry(pod).or_default()) = Some(reading);
            }
        }
    };
    fill(ttft, |pace| &mut pace.ttft_ms);
    fill(itl, |pace| &mut pace.itl_ms);
    latencies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_the_queries() {
        let LatencyQueries { ttft, itl } = LatencyQueries::new(&Selector::default(), Duration::from_mins(1));
        let of = |name: &str| of_pods(&format!("rate({name}[60s])"));
        let average = |name: &str| format!("1000 * {} / {}", of(&format!("{name}_sum")), of(&format!("{name}_count")));
        assert_eq!(ttft, average("vllm:time_to_first_token_seconds"));
        let names = ["vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"];
        assert_eq!(itl, names.map(average).join(" or "));
    }

    #[test]
    fn what_requests_see_is_put_together_by_pod_and_what_is_no_number_is_not_known() {
        let sample = |pod: &str, value| Sample {
            labels: [("namespace", "ns"), ("pod", pod)].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            evaluated_at: 0.0,
            value,
        };
        let latencies = read(&[sample("a", 150.0)], &[sample("a", f64::NAN), sample("b", 12.0)]);
        let of = |pod: &str| {
            let Pace { ttft_ms, itl_ms, .. } = latencies[&ObjectKey::new("ns", pod)];
            [ttft_ms, itl_ms].map(|reading| reading.map(|it| it.value))
        };
        assert_eq!((of("a"), of("b")), ([Some(150.0), None], [None, Some(12.0)]));
    }
}
