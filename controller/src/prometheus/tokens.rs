//! What the `saturation` analyzer needs to know besides: sizes of KV caches and lengths of requests, per pod.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use wva_api::metrics::{VLLM_CACHE_CONFIG_INFO, VLLM_REQUEST_GENERATION_TOKENS, VLLM_REQUEST_PROMPT_TOKENS};
use wva_engine::snapshot::{Reading, Tokens};

use super::queries::PER_POD;
use super::readings::pod;
use super::response::Sample;
use crate::index::ObjectKey;

/// The queries, in namespaces that `scope` selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenQueries {
    /// Size of each pod's KV cache, in labels.
    pub cache: String,
    /// Average length of prompts in the last five minutes, per pod and model.
    pub input: String,
    /// Average length of answers in the last five minutes, per pod and model.
    pub output: String,
}

impl TokenQueries {
    /// The queries.
    pub fn new(scope: &str) -> Self {
        // The series of some versions name no model.
        let cache =
            format!("max by (namespace, pod, pod_name, num_gpu_blocks, block_size) ({VLLM_CACHE_CONFIG_INFO}{scope})");
        let average = |histogram: &str| {
            format!("max {PER_POD} (rate({histogram}_sum{scope}[5m]) / rate({histogram}_count{scope}[5m]))")
        };
        Self { cache, input: average(VLLM_REQUEST_PROMPT_TOKENS), output: average(VLLM_REQUEST_GENERATION_TOKENS) }
    }
}

/// Token counts by pod. A pod serves one model, so its name is enough.
pub type PodTokens = BTreeMap<ObjectKey, Tokens>;

/// Puts the answers together. What is not a number, as without requests, is not known.
pub fn read(cache: &[Sample], input: &[Sample], output: &[Sample]) -> PodTokens {
    let mut pods = PodTokens::new();
    for sample in cache {
        let number = |label: &str| sample.labels.get(label).and_then(|value| value.parse::<u64>().ok());
        if let (Some(pod), Some(blocks), Some(size)) = (pod(sample), number("num_gpu_blocks"), number("block_size")) {
            let tokens = pods.entry(pod).or_default();
            // After a restart with other arguments both series are there for a while: the smaller cache is safe.
            let smaller = tokens.kv_capacity().is_none_or(|known| blocks.saturating_mul(size) < known);
            if smaller {
                (tokens.kv_blocks, tokens.kv_block_size) = (Some(blocks), Some(size));
            }
        }
    }
    let average = |sample: &Sample| {
        let reading = Reading { value: sample.value, age: SignedDuration::ZERO };
        Some((pod(sample)?, sample.value.is_finite().then_some(reading)?))
    };
    for (pod, reading) in input.iter().filter_map(average) {
        pods.entry(pod).or_default().avg_input = Some(reading);
    }
    for (pod, reading) in output.iter().filter_map(average) {
        pods.entry(pod).or_default().avg_output = Some(reading);
    }
    pods
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Sample { labels, evaluated_at: 1000.0, value }
    }

    #[test]
    fn the_texts_of_the_queries() {
        let TokenQueries { cache, input, output } = TokenQueries::new("{namespace=~\"a\"}");

        assert_eq!(
            cache,
            "max by (namespace, pod, pod_name, num_gpu_blocks, block_size) (vllm:cache_config_info{namespace=~\"a\"})"
        );
        assert_eq!(
            input,
            "max by (namespace, pod, pod_name, model_name) (rate(vllm:request_prompt_tokens_sum{namespace=~\"a\"}[5m]) \
             / rate(vllm:request_prompt_tokens_count{namespace=~\"a\"}[5m]))"
        );
        assert!(output.contains("vllm:request_generation_tokens_sum"), "{output}");
    }

    #[test]
    fn counts_are_put_together_by_pod_and_what_is_not_a_number_is_not_known() {
        let of = |pod: &str, blocks: &str| {
            let labels = [("namespace", "ns"), ("pod", pod), ("num_gpu_blocks", blocks), ("block_size", "16")];
            sample(&labels, 1.0)
        };
        let average = |value| sample(&[("namespace", "ns"), ("pod", "a"), ("model_name", "m")], value);

        let pods = read(&[of("a", "2000"), of("a", "1000"), of("b", "None")], &[average(512.5)], &[average(f64::NAN)]);

        let tokens = pods[&ObjectKey::new("ns", "a")];
        assert_eq!((tokens.kv_capacity(), tokens.avg_output), (Some(16_000), None));
        assert_eq!(tokens.avg_input.map(|it| it.value), Some(512.5));
        assert_eq!(pods.len(), 1);
    }
}
