//! The series, from what was counted and what is pinned.

use super::text::{Family, Kind, Sample, Value};
use super::{Compat, names};
use crate::admin::Overrides;
use crate::config::Config;
use crate::engine::Load;
use crate::stats::{Histogram, Stats};

/// Everything `/metrics` shows at one moment.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Labels and switches.
    pub config: &'a Config,
    /// What the engine holds.
    pub load: Load,
    /// What was counted.
    pub stats: &'a Stats,
    /// What is pinned or left out.
    pub overrides: &'a Overrides,
}

/// All families of `view`, pins applied, missing ones left out.
pub fn families(view: &View<'_>) -> Vec<Family> {
    let mut families = gauges(view);
    families.extend(counters(view));
    families.extend(histograms(view));
    families.retain(|family| !view.overrides.metrics_missing.contains(family.name));
    families
}

fn gauges(view: &View<'_>) -> Vec<Family> {
    let Overrides { num_requests_running, num_requests_waiting, kv_cache_usage, .. } = view.overrides;
    let gauge = |name, help, value| family(name, Kind::Gauge, help, vec![view.sample(Value::Number(value))]);
    let running = f64::from(num_requests_running.unwrap_or(view.load.running));
    let waiting = f64::from(num_requests_waiting.unwrap_or(view.load.waiting));
    let kv_usage = kv_cache_usage.unwrap_or(view.load.kv_usage);
    let mut families = vec![
        gauge(names::RUNNING, "Number of requests in model execution batches.", running),
        gauge(names::WAITING, "Number of requests waiting to be processed.", waiting),
    ];
    if !view.has(Compat::OldKvName) {
        families.push(gauge(names::KV_USAGE, "KV-cache usage. 1 means 100 percent usage.", kv_usage));
    }
    if view.has(Compat::OldKvName) || view.has(Compat::BothKvNames) {
        families.push(gauge(names::KV_USAGE_OLD, "GPU KV-cache usage. 1 means 100 percent usage.", kv_usage));
    }
    families.push(cache_config(view));
    families
}

/// A gauge that is always 1: the configuration is in its labels. Real servers do not label it with the model.
fn cache_config(view: &View<'_>) -> Family {
    let engine = &view.config.engine;
    let mut labels =
        vec![("block_size", engine.block_size.to_string()), ("num_gpu_blocks", engine.num_gpu_blocks.to_string())];
    if !view.has(Compat::CacheConfigMinimal) {
        let blocks_override =
            if view.config.blocks_overridden { engine.num_gpu_blocks.to_string() } else { "None".to_owned() };
        labels.extend([
            ("cache_dtype", "auto".to_owned()),
            ("calculate_kv_scales", "False".to_owned()),
            ("cpu_offload_gb", "0".to_owned()),
            ("enable_prefix_caching", if engine.prefix_caching { "True" } else { "False" }.to_owned()),
            ("gpu_memory_utilization", view.config.gpu_memory_utilization.to_string()),
            ("is_attention_free", "False".to_owned()),
            ("num_gpu_blocks_override", blocks_override),
            ("prefix_caching_hash_algo", "sha256".to_owned()),
            ("sliding_window", "None".to_owned()),
            ("swap_space", "4".to_owned()),
        ]);
        if !view.has(Compat::NoEngineLabel) {
            labels.push(("engine", "0".to_owned()));
        }
    }
    if view.has(Compat::CacheConfigModelName) {
        labels.push(("model_name", view.config.served_model_name().to_owned()));
    }
    let sample = Sample { suffix: "", labels, value: Value::Number(1.0) };
    family(names::CACHE_CONFIG, Kind::Gauge, "Information of the LLMEngine CacheConfig", vec![sample])
}

fn counters(view: &View<'_>) -> Vec<Family> {
    let stats = view.stats;
    // The pin is keyed by the current name even where an older one is written.
    let counter = |name: &'static str, written_as, help, counted| {
        family(written_as, Kind::Counter, help, vec![view.sample(view.pinned_counter(name, counted))])
    };
    let (hits_name, queries_name) = if view.has(Compat::UnsuffixedPrefixCounters) {
        (names::PREFIX_HITS_UNSUFFIXED, names::PREFIX_QUERIES_UNSUFFIXED)
    } else {
        (names::PREFIX_HITS, names::PREFIX_QUERIES)
    };
    let mut families = vec![
        counter(
            names::PREFIX_QUERIES,
            queries_name,
            "Prefix cache queries, in number of tokens.",
            stats.prefix_queries,
        ),
        counter(names::PREFIX_HITS, hits_name, "Prefix cache hits, in number of cached tokens.", stats.prefix_hits),
        counter(names::PREEMPTIONS, names::PREEMPTIONS, "Cumulative number of preemptions.", stats.preemptions),
        counter(names::PROMPT_TOKENS, names::PROMPT_TOKENS, "Number of prefill tokens processed.", stats.prompt_tokens),
        counter(
            names::GENERATION_TOKENS,
            names::GENERATION_TOKENS,
            "Number of generation tokens processed.",
            stats.generation_tokens,
        ),
    ];
    families.extend(success(view));
    families
}

/// One sample per reason. A pinned value stands under the first reason, so that the sum is the pinned one.
fn success(view: &View<'_>) -> Option<Family> {
    let label = if view.has(Compat::FinishReasonLabel) { "finish_reason" } else { "finished_reason" };
    let pinned = view.overrides.counters.get(names::SUCCESS);
    let ended: u64 = view.stats.finished.values().sum();
    if view.has(Compat::LazySuccess) && ended == 0 && pinned.is_none() {
        return None;
    }
    let samples = view.stats.finished.iter().enumerate().map(|(index, (reason, counted))| {
        let value = match pinned {
            Some(total) => Value::Number(if index == 0 { *total } else { 0.0 }),
            None => Value::Count(*counted),
        };
        let mut sample = view.sample(value);
        sample.labels.push((label, reason.as_str().to_owned()));
        sample
    });
    Some(family(names::SUCCESS, Kind::Counter, "Count of successfully processed requests.", samples.collect()))
}

fn histograms(view: &View<'_>) -> Vec<Family> {
    let stats = view.stats;
    let all: [(&'static str, &'static str, &Histogram); 12] = [
        (names::REQUEST_PROMPT_TOKENS, "Number of prefill tokens processed.", &stats.request_prompt_tokens),
        (names::REQUEST_GENERATION_TOKENS, "Number of generation tokens processed.", &stats.request_generation_tokens),
        (names::ITERATION_TOKENS, "Histogram of number of tokens per engine_step.", &stats.iteration_tokens),
        (names::TIME_TO_FIRST_TOKEN, "Histogram of time to first token in seconds.", &stats.time_to_first_token),
        (names::TIME_PER_OUTPUT_TOKEN, "Histogram of time per output token in seconds.", &stats.inter_token_latency),
        (names::INTER_TOKEN_LATENCY, "Histogram of inter-token latency in seconds.", &stats.inter_token_latency),
        (
            names::REQUEST_TIME_PER_OUTPUT_TOKEN,
            "Histogram of time_per_output_token_seconds per request.",
            &stats.request_time_per_output_token,
        ),
        (names::E2E_LATENCY, "Histogram of e2e request latency in seconds.", &stats.e2e_latency),
        (names::QUEUE_TIME, "Histogram of time spent in WAITING phase for request.", &stats.queue_time),
        (names::INFERENCE_TIME, "Histogram of time spent in RUNNING phase for request.", &stats.inference_time),
        (names::PREFILL_TIME, "Histogram of time spent in PREFILL phase for request.", &stats.prefill_time),
        (names::DECODE_TIME, "Histogram of time spent in DECODE phase for request.", &stats.decode_time),
    ];
    all.into_iter()
        .map(|(name, help, counted)| match view.overrides.histograms.get(name) {
            Some(pin) => view.histogram(name, help, &pin.like(counted)),
            None => view.histogram(name, help, counted),
        })
        .collect()
}

fn family(name: &'static str, kind: Kind, help: &'static str, samples: Vec<Sample>) -> Family {
    Family { name, kind, help, samples }
}

// === impl View ===

impl View<'_> {
    fn has(&self, compat: Compat) -> bool {
        self.config.metrics_compat.contains(&compat)
    }

    /// A sample with the labels that every series carries.
    fn sample(&self, value: Value) -> Sample {
        let mut labels = vec![("model_name", self.config.served_model_name().to_owned())];
        if !self.has(Compat::NoEngineLabel) {
            labels.push(("engine", "0".to_owned()));
        }
        Sample { suffix: "", labels, value }
    }

    fn pinned_counter(&self, name: &str, counted: u64) -> Value {
        self.overrides.counters.get(name).map_or(Value::Count(counted), |pinned| Value::Number(*pinned))
    }

    fn histogram(&self, name: &'static str, help: &'static str, histogram: &Histogram) -> Family {
        let bucket = |bound: String, count| {
            let mut sample = Sample { suffix: "_bucket", ..self.sample(Value::Count(count)) };
            sample.labels.push(("le", bound));
            sample
        };
        let mut samples: Vec<_> =
            histogram.cumulative().map(|(bound, count)| bucket(format!("{bound:?}"), count)).collect();
        samples.push(bucket("+Inf".to_owned(), histogram.count()));
        samples.push(Sample { suffix: "_count", ..self.sample(Value::Count(histogram.count())) });
        samples.push(Sample { suffix: "_sum", ..self.sample(Value::Number(histogram.sum())) });
        family(name, Kind::Histogram, help, samples)
    }
}
