//! Asking Prometheus: a constant number of grouped queries per cycle, whatever the number of models.
//!
//! [`queries`], [`completed`], [`tokens`], [`arrivals`] and [`latencies`] are the texts, of the series that a [`selector`]
//! names; [`response`] reads what comes back, [`readings`] puts it together per pod, and [`transport`] carries it.

pub mod arrivals;
pub mod completed;
pub mod latencies;
pub mod load;
pub mod queries;
pub mod readings;
pub mod response;
pub mod selector;
mod series;
mod sightings;
pub mod tokens;
pub mod transport;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use wva_api::Instance;
use wva_engine::{QuietLimits, Settings};

pub use self::arrivals::{ArrivalQueries, Arrivals};
pub use self::completed::{Completed, Lookbacks};
pub use self::latencies::{Latencies, LatencyQueries};
pub use self::load::Load;
pub use self::queries::Queries;
pub use self::readings::Readings;
pub use self::selector::Selector;
pub use self::sightings::Sighting;
pub use self::tokens::TokenQueries;
pub use self::transport::{SetupError, Transport};
use crate::cluster::index::ObjectKey;
use crate::metrics::PrometheusMetrics;

/// Time limit of one query. Below the shortest interval anyone has a use for, above what a busy Prometheus needs.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Prometheus did not answer a query, or not in a way that can be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("query {query} failed: {why}")]
pub struct QueryError {
    /// Name of the query.
    pub query: &'static str,
    /// What went wrong.
    pub why: String,
}

/// What has to be asked for besides saturation.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each asks for something of its own")]
pub struct Wanted {
    /// Retentions of models that may go to zero: whether such a model is idle.
    pub retentions: Vec<SignedDuration>,
    /// Sizes of KV caches, and lengths of requests.
    pub tokens: bool,
    /// Rates at which requests arrive and are completed.
    pub arrivals: bool,
    /// What requests see of the pods.
    pub latencies: bool,
    /// Series that name no pod, while a model has none that do.
    pub unlabelled: bool,
    /// Loads of this moment instead of the peaks in the window, which reaches back beyond the beginning of who asks.
    pub momentary: bool,
}

impl Wanted {
    /// What these settings need.
    pub fn by(settings: &Settings) -> Self {
        Self {
            retentions: completed::retentions(&settings.zero),
            tokens: settings.counts_tokens(),
            arrivals: settings.counts_arrivals(),
            latencies: settings.times_requests(),
            unlabelled: false,
            momentary: false,
        }
    }
}

/// Asks Prometheus.
#[derive(Clone, Debug)]
pub struct Prometheus {
    transport: Arc<Transport>,
    queries: Arc<Queries>,
    metrics: PrometheusMetrics,
}

impl Prometheus {
    /// Puts the parts together.
    pub fn new(transport: Transport, queries: Queries, metrics: PrometheusMetrics) -> Self {
        Self { transport: Arc::new(transport), queries: Arc::new(queries), metrics }
    }

    /// All readings of this moment. The queries run at the same time; if one fails, all count as failed, because
    /// half an answer is no basis for taking replicas away.
    ///
    /// # Errors
    /// At the first query that fails.
    ///
    /// What some settings do not need is not asked for.
    pub async fn read(&self, wanted: &Wanted) -> Result<Readings, QueryError> {
        let Wanted { retentions, tokens, arrivals, latencies, unlabelled: nameless, momentary } = wanted;
        let Queries {
            kv_usage,
            queue_length,
            kv_usage_now,
            queue_length_now,
            running,
            scraped_at,
            unlabelled,
            window,
            selector,
        } = &*self.queries;
        let lookbacks = Lookbacks::new(retentions.iter().copied(), *window);
        let idleness = async {
            let Some(completed) = lookbacks.query(selector) else { return Ok((Vec::new(), Vec::new())) };
            tokio::try_join!(self.ask("requests_running", running), self.ask("requests_completed", &completed))
        };
        let counts = async {
            if !*tokens {
                return Ok((Vec::new(), Vec::new(), Vec::new()));
            }
            let TokenQueries { cache, input, output } = TokenQueries::new(selector);
            tokio::try_join!(
                self.ask("cache_config", &cache),
                self.ask("input_tokens", &input),
                self.ask("output_tokens", &output),
            )
        };
        let rates = async {
            if !*arrivals {
                return Ok(None);
            }
            let ArrivalQueries { completed, present } = ArrivalQueries::new(selector, *window);
            let (completed, present) =
                tokio::try_join!(self.ask("completion_rate", &completed), self.ask("requests_present", &present))?;
            Ok(Some(Arrivals::read(&completed, &present, *window)))
        };
        let nameless = async { if *nameless { self.ask("unlabelled", unlabelled).await } else { Ok(Vec::new()) } };
        let latencies = async {
            if !*latencies {
                return Ok(Latencies::default());
            }
            let LatencyQueries { ttft, itl } = LatencyQueries::new(selector, *window);
            let (ttft, itl) =
                tokio::try_join!(self.ask("time_to_first_token", &ttft), self.ask("inter_token_latency", &itl))?;
            Ok(latencies::read(&ttft, &itl))
        };
        let (
            kv_usage,
            queue_length,
            scraped_at,
            (running, completed),
            (cache, input, output),
            arrivals,
            latencies,
            nameless,
        ) = tokio::try_join!(
            self.ask("kv_cache_usage", if *momentary { kv_usage_now } else { kv_usage }),
            self.ask("queue_length", if *momentary { queue_length_now } else { queue_length }),
            self.ask("scraped_at", scraped_at),
            idleness,
            counts,
            rates,
            latencies,
            nameless,
        )?;
        let answers = readings::Answers {
            kv_usage: &kv_usage,
            queue_length: &queue_length,
            running: &running,
            scraped_at: &scraped_at,
        };
        let readings = Readings::assemble(answers, *window)
            .with_completed(Completed::read(&completed), lookbacks)
            .with_tokens(tokens::read(&cache, &input, &output))
            .with_latencies(latencies)
            .with_unlabelled(&nameless)
            .of_a_moment(*momentary);
        Ok(match arrivals {
            Some(arrivals) => readings.with_arrivals(arrivals),
            None => readings,
        })
    }

    /// How far the queries look back.
    pub fn window(&self) -> Duration {
        self.queries.window
    }

    /// Pods that are at or above one of the limits now.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn near_limits(&self, limits: &QuietLimits) -> Result<BTreeMap<(ObjectKey, Load), f64>, QueryError> {
        let samples = self.ask("near_limits", &self.queries.near_limits(limits)).await?;
        let load = |sample: &response::Sample| Load::named(sample.label(queries::LOAD)?);
        Ok(samples.iter().filter_map(|it| Some(((series::pod(it)?, load(it)?), it.value))).collect())
    }

    /// What Prometheus shows of the numbers of this instance, whoever exposed them.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn sightings(&self, instance: &Instance) -> Result<Vec<Sighting>, QueryError> {
        let samples = self.ask("sightings", &sightings::query(instance)).await?;
        Ok(samples.iter().filter_map(sightings::read).collect())
    }

    /// Whether Prometheus answers at all.
    ///
    /// # Errors
    /// When it does not.
    pub async fn probe(&self) -> Result<(), QueryError> {
        self.ask("probe", "vector(1)").await.map(drop)
    }

    async fn ask(&self, name: &'static str, promql: &str) -> Result<Vec<response::Sample>, QueryError> {
        let started = std::time::Instant::now();
        let answer = match tokio::time::timeout(QUERY_TIMEOUT, self.transport.query(promql)).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", QUERY_TIMEOUT.as_secs())),
        };
        self.metrics.observe(name, started.elapsed(), answer.is_ok());
        answer.map_err(|why| QueryError { query: name, why })
    }
}

#[cfg(test)]
mod real;

#[cfg(test)]
mod tests {
    use wva_engine::settings::{PerModel, Proactive, ScaleUpPolicy, ZeroPolicies, ZeroPolicy};

    use super::*;

    #[test]
    fn what_no_setting_needs_is_not_asked_for() {
        let by = |settings: Settings| {
            let Wanted { retentions, tokens, arrivals, latencies, unlabelled: _, momentary: _ } = Wanted::by(&settings);
            (retentions.len(), tokens, arrivals, latencies)
        };
        let zero = ZeroPolicies::all(ZeroPolicy { enabled: true, ..ZeroPolicy::default() });
        assert_eq!(by(Settings::default()), (0, false, false, false));
        assert_eq!(by(Settings { zero, ..Settings::default() }), (1, false, false, false));
        let proactive = Some(Proactive::default());
        assert_eq!(by(Settings { proactive, ..Settings::default() }), (0, true, true, true));
        let scale_up = PerModel::all(ScaleUpPolicy::Demand);
        assert_eq!(by(Settings { scale_up, ..Settings::default() }), (0, true, true, true));
    }
}
