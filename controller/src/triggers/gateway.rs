//! Listening at gateways: endpoint pickers in front of sleeping models are asked ten times a second, others that
//! matter a few times per cycle.
//!
//! Each picker is asked by a task of its own, at most one at a time, so that a slow one delays nobody. Pickers that do
//! not answer are asked less and less often, and out of an allowance of their own: they cannot use up the one of
//! those that do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use wva_api::Scope;

use super::asleep::{self, Ambiguity};
use crate::cluster::pools::PoolKey;
use crate::metrics::ZeroMetrics;
use crate::observe::gateway::scrape::{Answer, Scraper};
use crate::ownership::leader::Leadership;
use crate::ownership::variants::Ownership;
use crate::shared::Shared;
use crate::tasks::joined;

/// How often a picker is asked while a model behind it sleeps.
const OFTEN: Duration = Duration::from_millis(100);
/// How old the view of who sleeps may be while nothing is known to have changed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Listens.
pub struct Listener {
    scope: Scope,
    shared: Arc<Shared>,
    scraper: Scraper,
    leadership: Leadership,
    metrics: ZeroMetrics,
    /// For pickers that answer.
    healthy: Arc<Semaphore>,
    /// For pickers that did not the last time.
    failing: Arc<Semaphore>,
    pickers: BTreeMap<PoolKey, Picker>,
    view: View,
    tasks: JoinSet<(PoolKey, Answer, Instant)>,
}

/// What is known of asking one picker.
#[derive(Debug, Default)]
struct Picker {
    /// It is being asked.
    busy: bool,
    /// When it was asked last.
    asked: Option<Instant>,
    /// Failures in a row.
    failures: u32,
}

/// Whom to ask, as seen a moment ago.
#[derive(Debug, Default)]
struct View {
    /// Revision of the index it was made of, and when.
    made: Option<(u64, Instant)>,
    /// Pools in front of sleeping models, with the models' names.
    often: BTreeMap<PoolKey, BTreeSet<String>>,
    ambiguities: BTreeSet<Ambiguity>,
}

impl Listener {
    /// A listener that has not begun. It asks at most `concurrency` pickers at the same time that answer, and as many
    /// that do not.
    pub fn new(
        scope: Scope,
        shared: Arc<Shared>,
        scraper: Scraper,
        concurrency: usize,
        leadership: Leadership,
        metrics: ZeroMetrics,
    ) -> Self {
        Self {
            scope,
            shared,
            scraper,
            leadership,
            metrics,
            healthy: Arc::new(Semaphore::new(concurrency)),
            failing: Arc::new(Semaphore::new(concurrency)),
            pickers: BTreeMap::new(),
            view: View::default(),
            tasks: JoinSet::new(),
        }
    }

    /// Listens while this process leads, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let work = async {
            self.shared.lists.reached().await;
            let mut tick = tokio::time::interval(OFTEN);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                if !self.leadership.holds() {
                    self.leadership.acquired().await;
                }
                tokio::select! {
                    _ = tick.tick() => self.ask(),
                    Some(done) = self.tasks.join_next() => if let Some((pool, answer, asked)) = joined(done) {
                        self.take(pool, answer, asked);
                    },
                }
            }
        };
        tokio::select! {
            () = work.instrument(tracing::info_span!("gateway")) => {}
            () = stop.cancelled() => {}
        }
    }

    /// Asks every picker whose turn it is.
    fn ask(&mut self) {
        if self.shared.gateway.pools().pools.is_empty() {
            return;
        }
        self.look();
        let now = Instant::now();
        let (seldom, every) = self.shared.gateway.wanted().clone();
        let often = self.view.often.keys().map(|pool| (pool, OFTEN));
        let seldom = seldom.iter().filter(|pool| !self.view.often.contains_key(pool)).map(|pool| (pool, every));
        let pools: Vec<(PoolKey, Duration)> = often.chain(seldom).map(|(pool, every)| (pool.clone(), every)).collect();
        for (pool, every) in pools {
            let picker = self.pickers.entry(pool.clone()).or_default();
            // A tick comes a little early or late; half a tick is not worth waiting for another.
            let pause = every.max(pause_after(picker.failures)).saturating_sub(OFTEN / 2);
            if picker.busy || picker.asked.is_some_and(|asked| now.duration_since(asked) < pause) {
                continue;
            }
            picker.busy = true;
            picker.asked = Some(now);
            let allowance = Arc::clone(if picker.failures == 0 { &self.healthy } else { &self.failing });
            let pages = self.shared.gateway.pools().pages(&pool);
            let scraper = self.scraper.clone();
            self.tasks.spawn(async move {
                // The allowance is never closed.
                let _permit = allowance.acquire_owned().await;
                let asked = Instant::now();
                let answer = match pages {
                    Ok(pages) => scraper.ask(&pages).await,
                    Err(error) => Answer { failure: Some(error.to_string()), ..Answer::default() },
                };
                (pool, answer, asked)
            });
        }
    }

    /// Looks who sleeps, when that may have changed.
    fn look(&mut self) {
        let index = self.shared.index();
        let fresh = |(revision, at): (u64, Instant)| revision == index.revision && at.elapsed() < LOOK_AGAIN;
        if self.view.made.is_some_and(fresh) {
            return;
        }
        let pools = self.shared.gateway.pools();
        let ownership = Ownership::take(&index, &self.scope, &self.shared.refused());
        let sleepers = asleep::sleepers(&index, &ownership, &pools);
        let ambiguities = asleep::ambiguities(&index, &ownership, &pools);
        let made = Some((index.revision, Instant::now()));
        drop(index);
        self.metrics.asleep.set(i64::try_from(sleepers.len()).unwrap_or(i64::MAX));
        let mut often: BTreeMap<PoolKey, BTreeSet<String>> = BTreeMap::new();
        for (model, sleeper) in sleepers {
            for pool in sleeper.fronts {
                often.entry(pool).or_default().insert(model.model_id.clone());
            }
        }
        for Ambiguity { variant, pool, others } in ambiguities.difference(&self.view.ambiguities) {
            let others: Vec<String> = others.iter().map(ToString::to_string).collect();
            tracing::warn!(
                variant = variant.name,
                namespace = variant.namespace,
                %pool,
                others = others.join(", "),
                "Several InferencePools select the pods of a variant; the first one counts"
            );
        }
        self.pickers.retain(|pool, picker| picker.busy || pools.pools.contains_key(pool));
        self.shared.gateway.readings().keep_only(&pools);
        self.view = View { made, often, ambiguities };
    }

    /// Takes an answer, and calls the cycle when a request waits for a model that sleeps.
    fn take(&mut self, pool: PoolKey, answer: Answer, asked: Instant) {
        let picker = self.pickers.entry(pool.clone()).or_default();
        picker.busy = false;
        self.metrics.scraped(answer.failure.is_none(), asked.elapsed());
        match &answer.failure {
            Some(error) if picker.failures == 0 => {
                tracing::warn!(%pool, error, "Cannot read the queue of an endpoint picker; asking again");
            }
            Some(error) => tracing::debug!(%pool, error, failures = picker.failures, "Still cannot read a queue"),
            None if picker.failures > 0 => tracing::info!(%pool, "The endpoint picker answers again"),
            None => {}
        }
        picker.failures = if answer.failure.is_some() { picker.failures.saturating_add(1) } else { 0 };
        let sleeping = self.view.often.get(&pool);
        let waits = sleeping.is_some_and(|models| models.iter().any(|model| answer.queue.contains_key(model)));
        self.shared.gateway.readings().put(pool, answer, Timestamp::now());
        if waits {
            self.shared.gateway.waiting.notify_one();
        }
    }
}

/// Pause after this many failures in a row: none after the first, then 0.2 s, doubling up to 5 s.
fn pause_after(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        _ => Duration::from_millis(100 << failures.min(7).saturating_sub(1)).min(LONGEST_PAUSE),
    }
}
