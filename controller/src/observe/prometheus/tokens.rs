//! What the `saturation` analyzer needs to know besides: sizes of KV caches and lengths of requests, per pod.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use wva_api::metrics::{VLLM_CACHE_CONFIG_INFO, VLLM_REQUEST_GENERATION_TOKENS, VLLM_REQUEST_PROMPT_TOKENS};
use wva_engine::snapshot::{Reading, Tokens};

use super::response::Sample;
use super::selector::Selector;
use super::series::{ENGINE, by, of_pods, pod};
use crate::cluster::index::ObjectKey;

/// The queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenQueries {
    /// Size of the KV cache of each engine, in labels.
    pub cache: String,
    /// Average length of prompts in the last five minutes, per pod and model.
    pub input: String,
    /// Average length of answers in the last five minutes, per pod and model.
    pub output: String,
}

impl TokenQueries {
    /// The queries for some series.
    pub fn new(selector: &Selector) -> Self {
        let cache = format!(
            "max {} ({})",
            // The series of some versions name no model.
            by(&[ENGINE, BLOCKS, BLOCK_SIZE]),
            selector.of(VLLM_CACHE_CONFIG_INFO)
        );
        let average = |histogram: &str| {
            let rate = |part| of_pods(&format!("rate({}[5m])", selector.of(&format!("{histogram}_{part}"))));
            format!("{} / {}", rate("sum"), rate("count"))
        };
        Self { cache, input: average(VLLM_REQUEST_PROMPT_TOKENS), output: average(VLLM_REQUEST_GENERATION_TOKENS) }
    }
}

const BLOCKS: &str = "num_gpu_blocks";
const BLOCK_SIZE: &str = "block_size";

/// Token counts by pod. A pod serves one model, so its name is enough.
pub type PodTokens = BTreeMap<ObjectKey, OfPod>;

/// Token counts of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OfPod {
    /// KV caches of its engines, by the engine's label; some servers do not name the engine here.
    caches: BTreeMap<String, Cache>,
    input: Option<Reading>,
    output: Option<Reading>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Cache {
    blocks: u64,
    size: u64,
}

impl Cache {
    fn tokens(self) -> u64 {
        self.blocks.saturating_mul(self.size)
    }
}

/// Puts the answers together. What is not a number, as without requests, is not known.
pub fn read(cache: &[Sample], input: &[Sample], output: &[Sample]) -> PodTokens {
    let mut pods = PodTokens::new();
    for sample in cache {
        let number = |label: &str| sample.label(label).and_then(|value| value.parse::<u64>().ok());
        if let (Some(pod), Some(blocks), Some(size)) = (pod(sample), number(BLOCKS), number(BLOCK_SIZE)) {
            let (new, engine) = (Cache { blocks, size }, sample.label(ENGINE).unwrap_or_default());
            let caches = &mut pods.entry(pod).or_default().caches;
            // After a restart with other arguments both series are there for a while: the smaller cache is safe.
            let known = caches.entry(engine.to_owned()).or_insert(new);
            if new.tokens() < known.tokens() {
                *known = new;
            }
        }
    }
    let average = |sample: &Sample| {
        let reading = Reading { value: sample.value, age: SignedDuration::ZERO };
        Some((pod(sample)?, sample.value.is_finite().then_some(reading)?))
    };
    for (pod, reading) in input.iter().filter_map(average) {
        pods.entry(pod).or_default().input = Some(reading);
    }
    for (pod, reading) in output.iter().filter_map(average) {
        pods.entry(pod).or_default().output = Some(reading);
    }
    pods
}

impl OfPod {
    /// What a pod has in all its engines, which use such shares of their caches.
    pub(super) fn over<'a>(&self, usage: impl IntoIterator<Item = (&'a str, f64)>) -> Tokens {
        let Self { caches, input, output } = self;
        let (avg_input, avg_output) = (*input, *output);
        let mut engines: Vec<(Cache, f64)> = Vec::new();
        for (engine, usage) in usage {
            // One that does not say what its cache holds is like the others of its pod.
            let of_sibling = || caches.values().min_by_key(|cache| cache.tokens());
            let Some(cache) = caches.get(engine).or_else(of_sibling) else {
                return Tokens { avg_input, avg_output, ..Tokens::default() };
            };
            engines.push((*cache, usage));
        }
        let used = !engines.is_empty();
        if !used {
            engines.extend(caches.values().map(|cache| (*cache, 0.0)));
        }
        let Some((Cache { size, .. }, _)) = engines.first().copied() else {
            return Tokens { avg_input, avg_output, ..Tokens::default() };
        };
        let same_size = engines.iter().all(|(cache, _)| cache.size == size);
        let sum = |of: fn(Cache) -> u64| engines.iter().fold(0_u64, |sum, (cache, _)| sum.saturating_add(of(*cache)));
        let (blocks, size) = if same_size { (sum(|cache| cache.blocks), size) } else { (sum(Cache::tokens), 1) };
        #[expect(
            clippy::cast_precision_loss,
            reason = "a cache of more tokens than a float counts exactly is not built"
        )]
        let in_use = engines.iter().map(|(cache, usage)| usage * cache.tokens() as f64).sum();
        Tokens {
            kv_blocks: Some(blocks),
            kv_block_size: Some(size),
            kv_in_use: used.then_some(in_use),
            avg_input,
            avg_output,
            ..Tokens::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Sample { labels, evaluated_at: 1000.0, value }
    }

    fn cache(pod: &str, engine: &str, blocks: &str, size: &str) -> Sample {
        let labels =
            [("namespace", "ns"), ("pod", pod), ("engine", engine), ("num_gpu_blocks", blocks), ("block_size", size)];
        sample(&labels, 1.0)
    }

    #[test]
    fn the_texts_of_the_queries() {
        let TokenQueries { cache, input, output } = TokenQueries::new(&Selector::default());
        let pod = by(&[]).trim_start_matches("by (").trim_end_matches(')').to_owned();
        let shown = |query: &str| query.replace(&pod, "POD");

        assert_eq!(shown(&cache), "max by (POD, engine, num_gpu_blocks, block_size) (vllm:cache_config_info)");
        assert_eq!(
            shown(&input),
            "sum by (POD, model_name) (max by (POD, model_name, engine) (rate(vllm:request_prompt_tokens_sum[5m]))) / \
             sum by (POD, model_name) (max by (POD, model_name, engine) (rate(vllm:request_prompt_tokens_count[5m])))"
        );
        assert!(output.contains("vllm:request_generation_tokens_sum"), "{output}");
    }

    #[test]
    fn counts_are_put_together_by_pod_and_what_is_not_a_number_is_not_known() {
        let average = |value| sample(&[("namespace", "ns"), ("pod", "a"), ("model_name", "m")], value);
        let caches = [cache("a", "", "2000", "16"), cache("a", "", "1000", "16"), cache("b", "", "None", "16")];

        let pods = read(&caches, &[average(512.5)], &[average(f64::NAN)]);

        let tokens = pods[&ObjectKey::new("ns", "a")].over([]);
        assert_eq!((tokens.kv_capacity(), tokens.kv_in_use, tokens.avg_output), (Some(16_000), None, None));
        assert_eq!(tokens.avg_input.map(|it| it.value), Some(512.5));
        assert_eq!(pods.len(), 1);
    }

    #[test]
    fn the_engines_of_a_pod_add_up_each_with_its_own_share_in_use() {
        let caches = [cache("a", "0", "1000", "16"), cache("a", "1", "3000", "16")];
        let pods = read(&caches, &[], &[]);
        let of = |usage: &[(&str, f64)]| {
            let tokens = pods[&ObjectKey::new("ns", "a")].over(usage.iter().copied());
            (tokens.kv_capacity(), tokens.kv_in_use)
        };
        assert_eq!(of(&[("0", 0.5), ("1", 0.25)]), (Some(64_000), Some(8_000.0 + 12_000.0)));
        assert_eq!(of(&[("0", 0.5)]), (Some(16_000), Some(8_000.0)), "an engine that is gone holds nothing");
        assert_eq!(
            of(&[("0", 0.5), ("7", 1.0)]),
            (Some(32_000), Some(24_000.0)),
            "one that does not say so is no larger"
        );
        let mixed = read(&[cache("a", "0", "10", "16"), cache("a", "1", "10", "32")], &[], &[]);
        assert_eq!(mixed[&ObjectKey::new("ns", "a")].over([("0", 0.5), ("1", 0.5)]).kv_capacity(), Some(480));
    }

    #[test]
    fn caches_that_name_no_engine_hold_for_each() {
        let pods = read(&[cache("a", "", "1000", "16")], &[], &[]);
        let tokens = pods[&ObjectKey::new("ns", "a")].over([("0", 0.5), ("1", 1.0)]);
        assert_eq!((tokens.kv_capacity(), tokens.kv_in_use), (Some(32_000), Some(24_000.0)));
    }
}
