//! From the token counts of a model's replicas to what it needs.

use jiff::Timestamp;

use super::capacities::{AnswerLength, Capacities, LiveCapacity, ReplicaKind};
use super::{Analysis, Guards, ReplicaLoad, VariantCapacity, VariantLoad};
use crate::number::{float, truncate};
use crate::settings::{Thresholds, TokenThresholds};

/// A replica with what it has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Analysed {
    /// Tokens it has room for: the lesser of what fits into its KV cache and of what it can compute.
    pub capacity: i64,
    /// Tokens in use and waiting.
    pub demand: i64,
}

/// Finds what a model needs, and learns what its replicas have room for.
pub fn analyze(
    variants: &[VariantLoad<'_>],
    capacities: &mut Capacities,
    thresholds: &Thresholds,
    tokens: &TokenThresholds,
    gateway: AtGateway,
    guards: Guards,
    now: Timestamp,
) -> Analysis {
    let mut variants: Vec<_> = variants.iter().collect();
    variants.sort_by_key(|it| it.variant);
    let lengths = Lengths::average(variants.iter().flat_map(|it| &it.replicas));
    // First all that report: what they teach helps to judge those that do not.
    let measured: Vec<_> = variants.iter().map(|it| measure(it, capacities, thresholds, guards, now)).collect();
    let variants: Vec<_> = variants
        .iter()
        .zip(measured)
        .map(|(variant, replicas)| {
            let VariantLoad { variant: name, ready, pending, .. } = **variant;
            let per_replica = match replicas.as_slice() {
                [] => estimate(variant, capacities, lengths, thresholds),
                measured => median(measured.iter().map(|it| it.capacity).collect()),
            };
            let demand = replicas.iter().fold(0_i64, |sum, it| sum.saturating_add(it.demand));
            let capacity = times(per_replica, ready);
            let utilization = if capacity > 0 { float(demand) / float(capacity) } else { 0.0 };
            VariantCapacity { variant: name.to_owned(), per_replica, demand, ready, pending, utilization }
        })
        .collect();

    let sum = |of: fn(&VariantCapacity) -> i64| variants.iter().fold(0_i64, |sum, it| sum.saturating_add(of(it)));
    let supply = sum(|it| times(it.per_replica, it.ready));
    let anticipated = sum(|it| times(it.per_replica, it.ready.saturating_add(it.pending)));
    let demand = sum(|it| it.demand).saturating_add(gateway.demand(lengths.0));
    let TokenThresholds { scale_up_threshold, scale_down_boundary } = *tokens;
    let beyond = |threshold: f64| if threshold > 0.0 { Some(float(demand) / threshold) } else { None };
    Analysis {
        supply,
        anticipated,
        demand,
        required: beyond(scale_up_threshold).map_or(0.0, |needed| (needed - float(anticipated)).max(0.0)),
        spare: beyond(scale_down_boundary).map_or(0.0, |needed| (float(supply) - needed).max(0.0)),
        variants,
    }
}

/// Requests that wait before the servers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AtGateway {
    /// How many.
    pub requests: f64,
    /// Bytes of their prompts; 0 when not known.
    pub bytes: f64,
    /// Share of prompts that servers know already, 0 to 1.
    pub hit_rate: f64,
}

impl AtGateway {
    /// Tokens they will need: prompts, at four bytes a token or of the usual length, whichever is more, as far as they are not
    /// known; and answers of the usual length. Of 10 requests of 4,000 bytes, half of it known, with 100 tokens in and 50 out
    /// on average: max(1,000, 1,000) · 0.5 + 500 = 1,000.
    fn demand(self, lengths: Option<(f64, f64)>) -> i64 {
        let Self { requests, bytes, hit_rate } = self;
        let (input, output) = lengths.unwrap_or_default();
        let prompts = (bytes / 4.0).max(requests * input) * (1.0 - hit_rate);
        truncate(prompts + requests * output)
    }
}

/// The replicas of one variant that can be measured, by pod name.
fn measure(
    variant: &VariantLoad<'_>,
    capacities: &mut Capacities,
    thresholds: &Thresholds,
    guards: Guards,
    now: Timestamp,
) -> Vec<Analysed> {
    let kind = ReplicaKind::of(variant);
    let mut replicas: Vec<_> = variant.replicas.iter().filter(|it| it.kv_tokens > 0).collect();
    replicas.sort_by_key(|it| it.pod);
    let measured: Vec<_> = replicas
        .iter()
        .map(|replica| measure_replica(replica, variant, &kind, capacities, thresholds, guards, now))
        .collect();
    if let (Some(last), Some(replica)) = (measured.last(), replicas.last()) {
        let live = LiveCapacity { kind, kv_tokens: replica.kv_tokens, capacity: last.capacity };
        capacities.learn(variant.variant, live);
    }
    measured
}

/// What fits into the KV cache is k1 = total · threshold. What can be computed is k2: what is in use while the queue is full;
/// else the mean of what was in use at such times; else what the arguments of the server let one expect; else k1.
///
/// With 16,000 tokens, a threshold of 0.8, 8,000 in use and 6 waiting requests of 100 tokens each: k1 = 12,800 and
/// k2 = 8,000, so the capacity is 8,000 and the demand 8,600.
fn measure_replica(
    replica: &ReplicaLoad<'_>,
    variant: &VariantLoad<'_>,
    kind: &ReplicaKind,
    capacities: &mut Capacities,
    thresholds: &Thresholds,
    guards: Guards,
    now: Timestamp,
) -> Analysed {
    let ReplicaLoad { pod: _, engines, kv_tokens, tokens_in_use, queue_length, avg_input, avg_output } = *replica;
    let engines = engines.max(1);
    let k1 = truncate(float(kv_tokens) * thresholds.kv_cache_threshold);
    let derived = variant.server.and_then(|server| server.derived_capacity(avg_input, avg_output));
    let derived = derived.map(|of_engine| times(of_engine, engines));
    let answers = AnswerLength::of(avg_output);
    let least = truncate(float(k1.min(derived.unwrap_or(k1))) * guards.least_observed);
    let full_queue = times(truncate(thresholds.queue_length_threshold), engines);
    let is_full = queue_length >= full_queue && tokens_in_use > 0;
    let k2 = if is_full && tokens_in_use >= least {
        if guards.learn {
            capacities.observe(kind, answers, tokens_in_use, now);
        }
        tokens_in_use
    } else {
        capacities.historical(kind, answers).or(derived).unwrap_or(k1)
    };
    let waiting = if avg_input > 0.0 { queue_length.saturating_mul(truncate(avg_input)) } else { 0 };
    Analysed { capacity: k1.min(k2), demand: tokens_in_use.saturating_add(waiting) }
}

/// What a replica of a variant has room for, none of which reports: what was measured last; else what the arguments of its
/// servers let one expect, not more than fits into its KV cache or than another variant of the same kind has room for; else
/// one batch. 0 when the arguments are not known either.
fn estimate(variant: &VariantLoad<'_>, capacities: &Capacities, lengths: Lengths, thresholds: &Thresholds) -> i64 {
    let kind = ReplicaKind::of(variant);
    if let Some(live) = capacities.of_variant(variant.variant, &kind).filter(|live| live.capacity > 0) {
        return live.capacity;
    }
    let Some(server) = variant.server else { return 0 };
    let derived = lengths.0.and_then(|(input, output)| server.derived_capacity(input, output));
    let Some(derived) = derived else { return server.batched_tokens() };
    let cache = server.fixed_kv_capacity().map(|tokens| truncate(float(tokens) * thresholds.kv_cache_threshold));
    let same = capacities.of_kind(&kind).map(|live| live.capacity);
    let limits = [cache.filter(|tokens| *tokens > 0), same];
    limits.into_iter().flatten().fold(derived, i64::min)
}

/// Average lengths of prompts and answers of a model, if any replica knows them.
#[derive(Clone, Copy, Debug)]
struct Lengths(Option<(f64, f64)>);

impl Lengths {
    fn average<'a>(replicas: impl Iterator<Item = &'a ReplicaLoad<'a>>) -> Self {
        let mut known: Vec<_> = replicas.filter(|it| it.avg_input > 0.0 || it.avg_output > 0.0).collect();
        known.sort_by_key(|it| it.pod);
        let count = u32::try_from(known.len()).unwrap_or(u32::MAX);
        let mean = |of: fn(&ReplicaLoad<'_>) -> f64| known.iter().map(|it| of(it)).sum::<f64>() / f64::from(count);
        Self((count > 0).then(|| (mean(|it| it.avg_input), mean(|it| it.avg_output))))
    }
}

/// The one in the middle; of two in the middle the mean, in whole tokens. 0 of none.
pub fn median(mut values: Vec<i64>) -> i64 {
    values.sort_unstable();
    let middle = values.len() / 2;
    match (values.get(middle), middle.checked_sub(1).and_then(|below| values.get(below))) {
        (Some(above), Some(below)) if values.len().is_multiple_of(2) => i64::midpoint(*below, *above),
        (Some(middle), _) => *middle,
        (None, _) => 0,
    }
}

fn times(per_replica: i64, replicas: u32) -> i64 {
    per_replica.saturating_mul(i64::from(replicas))
}
