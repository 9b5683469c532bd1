//! Loads up to which no model grows, for callers that look at loads more often than they decide.

use crate::Memory;
use crate::settings::{Analyzer, PerModel, Settings, Thresholds, TokenThresholds};

/// What a load is below a limit for certain, whatever is lost to rounding.
const MARGIN: f64 = 1e-6;

/// Load of a replica up to which its model needs no capacity: while all replicas of all models are at or below both, and
/// nothing waits at a gateway, [`decide`](crate::decide()) grows no model that has settled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuietLimits {
    /// Used share of the KV cache.
    pub kv_usage: f64,
    /// Waiting requests.
    pub queue_length: f64,
}

impl QuietLimits {
    /// The limits that hold for every model, whatever its entry says, after what was learnt up to now.
    ///
    /// - By thresholds, a model scales up when the mean of `threshold - usage` over its replicas falls below the trigger.
    ///   Then at least one replica is above `threshold - trigger`: with 0.80 and 0.10, one that uses more than 0.70.
    /// - By tokens, it does so when tokens in use and waiting are more than a share of what the replicas have room for. Each
    ///   waiting request counts, and room is what was learnt: where a replica was full at 6,800 of 16,000 tokens, 0.85 of
    ///   them is a use of 0.36.
    /// - Where the rate of requests has its say, any load may call for more.
    pub fn of(settings: &Settings, memory: &Memory) -> Self {
        let Settings { thresholds, analyzer, proactive, .. } = settings;
        if proactive.is_some() {
            return Self { kv_usage: 0.0, queue_length: 0.0 };
        }
        let of_analyzers = || values(thresholds).flat_map(|thresholds| values(analyzer).map(|it| of(thresholds, it)));
        let learnt = memory.least_rooms().filter_map(|(model, room)| match analyzer.of(model) {
            Analyzer::Threshold => None,
            Analyzer::Saturation(TokenThresholds { scale_up_threshold, .. }) => Some(room * scale_up_threshold),
        });
        let least = |limit: fn(&Self) -> f64| of_analyzers().map(|it| limit(&it)).fold(f64::INFINITY, f64::min);
        let kv_usage = learnt.fold(least(|it| it.kv_usage), f64::min);
        Self { kv_usage: (kv_usage - MARGIN).max(0.0), queue_length: (least(|it| it.queue_length) - MARGIN).max(0.0) }
    }
}

fn of(thresholds: &Thresholds, analyzer: &Analyzer) -> QuietLimits {
    let Thresholds { kv_cache_threshold, queue_length_threshold, kv_spare_trigger, queue_spare_trigger } = *thresholds;
    // The analyzer of thresholds decides too where tokens cannot be counted.
    let by_thresholds = QuietLimits {
        kv_usage: kv_cache_threshold - kv_spare_trigger,
        queue_length: queue_length_threshold - queue_spare_trigger,
    };
    match analyzer {
        Analyzer::Threshold => by_thresholds,
        Analyzer::Saturation(TokenThresholds { scale_up_threshold, scale_down_boundary: _ }) => QuietLimits {
            kv_usage: by_thresholds.kv_usage.min(kv_cache_threshold * scale_up_threshold),
            queue_length: 0.0,
        },
    }
}

fn values<T: Default>(per_model: &PerModel<T>) -> impl Iterator<Item = &T> + Clone {
    let PerModel { default, namespaces, models } = per_model;
    [default].into_iter().chain(namespaces.values()).chain(models.values())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::settings::Proactive;
    use crate::snapshot::ModelKey;

    fn thresholds(kv: (f64, f64), queue: (f64, f64)) -> Thresholds {
        Thresholds {
            kv_cache_threshold: kv.0,
            kv_spare_trigger: kv.1,
            queue_length_threshold: queue.0,
            queue_spare_trigger: queue.1,
        }
    }

    fn assert_limits(settings: &Settings, expect: (f64, f64)) {
        let QuietLimits { kv_usage, queue_length } = QuietLimits::of(settings, &Memory::default());
        let near = (kv_usage - expect.0).abs() < 1e-5 && (queue_length - expect.1).abs() < 1e-5;
        assert!(near, "{kv_usage} {queue_length}");
    }

    const BY_TOKENS: Analyzer =
        Analyzer::Saturation(TokenThresholds { scale_up_threshold: 0.5, scale_down_boundary: 0.4 });

    #[rstest]
    #[case::built_in(thresholds((0.8, 0.1), (5.0, 3.0)), Analyzer::Threshold, (0.7, 2.0))]
    #[case::trigger_above_threshold(thresholds((0.2, 0.5), (1.0, 3.0)), Analyzer::Threshold, (0.0, 0.0))]
    #[case::by_tokens(thresholds((0.8, 0.1), (5.0, 3.0)), BY_TOKENS, (0.4, 0.0))]
    fn the_limits_follow_from_the_analyzer(
        #[case] thresholds: Thresholds,
        #[case] analyzer: Analyzer,
        #[case] expect: (f64, f64),
    ) {
        let settings = Settings {
            thresholds: PerModel::all(thresholds),
            analyzer: PerModel::all(analyzer),
            ..Settings::default()
        };
        assert_limits(&settings, expect);
        assert_limits(&Settings { proactive: Some(Proactive::default()), ..settings }, (0.0, 0.0));
    }

    #[test]
    fn the_most_cautious_entry_sets_the_limits() {
        let model = ModelKey { namespace: "ns".to_owned(), model_id: "llama".to_owned() };
        let models = [(model, thresholds((0.6, 0.3), (9.0, 1.0)))].into();
        let settings = Settings { thresholds: PerModel { models, ..PerModel::default() }, ..Settings::default() };
        assert_limits(&settings, (0.3, 2.0));
    }
}
