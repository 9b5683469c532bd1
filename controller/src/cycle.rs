//! The decision cycle: observe → decide → actuate → report.
//!
//! A cycle starts when the interval ends or something wakes it. What needs no metrics (a target is gone, a variant is no
//! longer mine) is done at once by a sweep, even while Prometheus is still being asked.

mod counts;
mod term;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Fuse};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use wva_api::{Claim, Scope, conditions};
use wva_engine::settings::Limiter;
use wva_engine::{Settings, Snapshot, Target, VariantKey, decide, wake};

use self::term::Term;
use crate::actuate::publish::{actuate, publish, published_before, withdraw};
use crate::actuate::wake::Waker;
use crate::cluster::index::{Index, ObjectKey, Unreadable, Variant};
use crate::cluster::inventory;
use crate::config::Config;
use crate::config::live::LiveSettings;
use crate::config::live::resolve::{ConfigScope, signed};
use crate::metrics::Metrics;
use crate::observe::demand;
use crate::observe::prometheus::{Prometheus, QueryError, Readings, Sighting, Wanted};
use crate::observe::snapshot;
use crate::ownership::handover::{Entrance, LOOK_AGAIN};
use crate::ownership::leader::Leadership;
use crate::ownership::variants::{Eligibility, Ownership};
use crate::readiness::Gate;
use crate::report::reporter::Reporter;
use crate::shared::{LastCycle, Shared};
use crate::telemetry;
use crate::triggers::asleep;

/// Changes that come together are dealt with together: `kubectl apply` of a directory takes about this long.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// Least time between the starts of two cycles, however often something wakes them.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// How long a conflict with another instance lasts without an election, whose lease duration says so otherwise.
const CONFLICT_LASTS: Duration = Duration::from_mins(1);
/// Pause between two questions of a standby to a Prometheus that does not answer.
const PROBE_AGAIN: Duration = Duration::from_secs(5);

/// How often the queues of gateways in front of models that do not sleep are read, however short or long the interval is.
const OFTENEST: Duration = Duration::from_secs(1);
/// The other end of it.
const SELDOMEST: Duration = Duration::from_secs(15);
/// How often they are where any model is sized by what arrives for it.
const COUNTED: Duration = Duration::from_secs(2);

type Reading = Fuse<BoxFuture<'static, Result<Readings, QueryError>>>;
type Look = Fuse<BoxFuture<'static, Result<Vec<Sighting>, QueryError>>>;

/// The loop and what it remembers.
#[derive(Debug)]
pub struct Cycle {
    scope: Scope,
    settings: LiveSettings,
    prometheus: Prometheus,
    prometheus_answers: Gate,
    shared: Arc<Shared>,
    metrics: Metrics,
    leadership: Leadership,
    waker: Waker,
    prometheus_failed: bool,
    lease: SignedDuration,
    /// For how long a term is decided by loads of the moment: as long as the peaks would reach back beyond its beginning.
    look_back: Duration,
    term: Term,
}

/// What the index said at one moment of the variants that are mine.
#[derive(Debug)]
struct View {
    ownership: Ownership,
    config_scope: ConfigScope,
    /// Those of them that something may be said of.
    variants: BTreeMap<ObjectKey, Variant>,
    /// Variants that cannot be read.
    unreadable: Vec<(ObjectKey, Unreadable)>,
    /// How many objects of any kind cannot be read.
    unreadable_objects: usize,
}

/// Whether something is to be said of a variant before the next decision: it cannot be decided, or could not until now.
fn must_be_told(eligibility: &Eligibility, variant: &Variant) -> bool {
    let was_lost =
        || conditions::find(&variant.status.conditions, conditions::READY).is_some_and(|c| c.status != "True");
    match eligibility {
        Eligibility::Unread => false,
        Eligibility::Ready => was_lost(),
        Eligibility::TargetMissing
        | Eligibility::Unscalable(_)
        | Eligibility::InstanceConflict(_)
        | Eligibility::TargetConflict(_)
        | Eligibility::NoModel => true,
    }
}

/// The engine's name of a variant, as an object.
fn key_of(variant: &VariantKey) -> ObjectKey {
    ObjectKey::new(&*variant.namespace, &*variant.name)
}

/// Whom the cycle asks, and whom it tells.
#[derive(Debug)]
pub struct Partners {
    /// Where metrics come from.
    pub prometheus: Prometheus,
    /// Opens when Prometheus has answered for the first time.
    pub prometheus_answers: Gate,
    /// How to decide.
    pub settings: LiveSettings,
    /// Hears what was decided.
    pub reporter: Reporter,
    /// Scales what is to wake.
    pub waker: Waker,
}

impl Cycle {
    /// A loop that has not begun.
    pub fn new(
        config: &Config,
        partners: Partners,
        shared: Arc<Shared>,
        metrics: Metrics,
        leadership: Leadership,
    ) -> Self {
        let Partners { prometheus, prometheus_answers, settings, reporter, waker } = partners;
        let lease = signed(config.election.as_ref().map_or(CONFLICT_LASTS, |election| election.lease_duration));
        Self {
            scope: config.scope.clone(),
            settings,
            prometheus,
            prometheus_answers,
            shared,
            metrics,
            leadership,
            waker,
            prometheus_failed: false,
            lease,
            look_back: config.metrics_window,
            term: Term::new(reporter, lease),
        }
    }

    /// Decides whenever this process leads, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let work = async {
            loop {
                self.stand_by().await;
                self.lead().await;
                self.retire();
            }
        };
        tokio::select! {
            () = work.instrument(tracing::info_span!("cycle")) => {}
            () = stop.cancelled() => {}
        }
    }

    async fn lead(&mut self) {
        let mut leadership = self.leadership.clone();
        self.term.begun = Instant::now();
        // What is published from here on is kept back until nobody can add it to what an earlier leader published.
        self.metrics.keep_silent(true);
        let mut entrance = Entrance::begin(&telemetry::host());
        let mut looking = self.look(Duration::ZERO);
        self.shared.pulse.beat(self.settings.live().interval);
        self.settings.remind();
        self.sweep(Timestamp::now());
        let mut started = Instant::now();
        let mut next = started;
        let mut reading: Reading = Fuse::terminated();
        let mut asking = false;
        while self.leadership.holds() {
            tokio::select! {
                // In this order: who no longer leads does nothing else, and no rush of changes keeps a cycle from its turn.
                biased;
                () = leadership.lost() => {}
                answer = &mut looking => {
                    if entrance.may_publish(&answer, |variant| self.is_mine(variant)) {
                        self.metrics.keep_silent(false);
                    } else {
                        looking = self.look(LOOK_AGAIN);
                    }
                }
                answer = &mut reading => {
                    asking = false;
                    self.decide(&answer, Timestamp::now());
                    self.metrics.cycle.duration.observe(started.elapsed().as_secs_f64());
                    self.shared.pulse.beat(self.settings.live().interval);
                    if let Some(left) = self.until_decided_again(Timestamp::now()) {
                        next = next.min(Instant::now() + left).max(started + LEAST_PAUSE);
                    }
                }
                () = tokio::time::sleep_until(next), if !asking => {
                    started = Instant::now();
                    next = started + self.settings.live().interval;
                    asking = true;
                    let prometheus = self.prometheus.clone();
                    let wanted = self.wanted();
                    reading = async move { prometheus.read(&wanted).await }.boxed().fuse();
                }
                () = self.shared.gateway.waiting.notified() => self.wake(Timestamp::now()),
                () = self.shared.wake.notified() => {
                    tokio::time::sleep(DEBOUNCE).await;
                    self.sweep(Timestamp::now());
                    next = next.min(Instant::now().max(started + LEAST_PAUSE));
                }
            }
        }
    }

    /// When to decide again, where that is before the interval ends: when the first pause ends that does so by itself, because
    /// whoever is held is decided then; or as soon as a load that has just jumped is known better.
    fn until_decided_again(&self, now: Timestamp) -> Option<Duration> {
        let left = self.shared.last_cycle().as_ref()?.again_in(now)?;
        Duration::try_from(left).ok()
    }

    /// Takes everything back that only a leader may say, and begins another term.
    fn retire(&mut self) {
        self.term = Term::new(self.term.reporter.anew(), self.lease);
        self.waker.forget_failures();
        self.shared.pulse.rest();
        withdraw(|_| false, &self.shared.ledger, &self.metrics.published);
        self.shared.ledger.keep_only(|_| false);
        self.shared.history().keep_only(|_| false);
        self.metrics.loads.clear();
        self.metrics.cycle.safety_net.set(0);
        self.metrics.cycle.variants.clear();
        self.metrics.cycle.conflicts.clear();
        tracing::info!("No longer leader: removed all series");
    }

    /// Asks Prometheus, after a pause, what it shows of this instance's numbers.
    fn look(&self, pause: Duration) -> Look {
        let (prometheus, instance) = (self.prometheus.clone(), self.scope.instance.clone());
        let look = async move {
            tokio::time::sleep(pause).await;
            prometheus.sightings(&instance).await
        };
        look.boxed().fuse()
    }

    /// Waits until this process leads and knows its part of the cluster. Meanwhile it asks Prometheus until that answers,
    /// because a standby too is ready only when it could take over. A leader does not wait for the answer: its decisions
    /// hold without one, which publishes the last targets again.
    async fn stand_by(&mut self) {
        let Self { prometheus, prometheus_answers, shared, leadership, .. } = self;
        let may_begin = async {
            shared.lists.reached().await;
            leadership.acquired().await;
        };
        let ask = async {
            while let Err(error) = prometheus.probe().await {
                tracing::warn!(%error, "Prometheus does not answer yet; retrying");
                tokio::time::sleep(PROBE_AGAIN).await;
            }
            prometheus_answers.open();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = may_begin => {}
            () = ask => {}
        }
    }

    fn is_mine(&self, key: &ObjectKey) -> bool {
        let index = self.shared.index();
        index.variants.get(key).is_some_and(|variant| index.claim(&self.scope, key, variant) == Claim::Mine)
    }

    /// Deals with everything that needs no metrics: series of variants that are gone or cannot be decided are removed,
    /// and their status says why.
    fn sweep(&mut self, now: Timestamp) {
        let shared = Arc::clone(&self.shared);
        let view = self.view(&shared.index(), must_be_told, now);
        self.review(&view, now);
    }

    /// Copies from the index what is needed of the variants that are mine, so that nobody waits for what follows from it.
    /// Variants themselves are copied as far as they are `needed`.
    fn view(&mut self, index: &Index, needed: fn(&Eligibility, &Variant) -> bool, now: Timestamp) -> View {
        let refused = self.term.conflicts.review(index, &self.scope, now);
        let ownership = Ownership::take(index, &self.scope, &refused);
        *self.shared.refused() = refused;
        let mine = ownership.mine.iter().map(|(key, eligibility)| (key, eligibility, &index.variants[key]));
        let needed = mine.filter(|(_, eligibility, variant)| needed(eligibility, variant));
        let variants = needed.map(|(key, _, variant)| (key.clone(), variant.clone())).collect();
        let unreadable = index.unreadable_variants(&self.scope).map(|(key, why)| (key.clone(), why.clone())).collect();
        let config_scope = ConfigScope::of(index, &self.scope);
        View { ownership, config_scope, variants, unreadable, unreadable_objects: index.unreadable.len() }
    }

    /// Takes back what no longer holds of the variants that cannot be decided, and says why.
    fn review(&mut self, view: &View, now: Timestamp) {
        let View { ownership, config_scope, variants, unreadable, unreadable_objects } = view;
        let ledger = &self.shared.ledger;
        let decidable = |key: &ObjectKey| ownership.mine.get(key) == Some(&Eligibility::Ready);
        for variant in withdraw(decidable, ledger, &self.metrics.published) {
            tracing::info!(variant = variant.name, namespace = variant.namespace, "Removed series");
        }
        ledger.keep_only(|key| ownership.mine.contains_key(key));
        self.shared.history().keep_only(|key| ownership.mine.contains_key(&key_of(key)));
        for (key, variant) in variants {
            if let Some(eligibility) = ownership.mine.get(key).filter(|it| must_be_told(it, variant)) {
                self.term.reporter.tell(key, variant, eligibility, None, now);
            }
        }
        self.term.reporter.tell_unreadable(unreadable.iter().map(|(key, why)| (key, why)));
        self.settings.tell(config_scope);
        self.note_adopted(ownership);
        counts::count(&self.metrics.cycle, ownership, *unreadable_objects);
    }

    /// Logs variants of other instances once: taking them is allowed by configuration, and a common mistake.
    fn note_adopted(&mut self, ownership: &Ownership) {
        for key in ownership.adopted.difference(&self.term.adopted) {
            tracing::warn!(variant = key.name, namespace = key.namespace, "Taking a variant labelled for an instance");
        }
        self.term.adopted.clone_from(&ownership.adopted);
    }

    /// Observe, decide, actuate, report. Nothing in between awaits, so that what is carried out is what was observed; and the
    /// watches wait for the first step only.
    fn decide(&mut self, readings: &Result<Readings, QueryError>, now: Timestamp) {
        self.note_answer(readings.as_ref().err());
        let shared = Arc::clone(&self.shared);
        let index = shared.index();
        let view = self.view(&index, |_, _| true, now);
        let settings = self.settings.resolve(&view.config_scope);
        let mut snapshot = self.observe(&index, &view.ownership, readings, now);
        let keep = demand::longest_look_back(&settings.zero, self.prometheus.window());
        self.term.members.note(&snapshot, &index, keep, now);
        self.complete(&mut snapshot, &index, &settings, readings, now);
        let wanted = self.gateway(&index, now, |view| demand::wanted(&snapshot, view, &settings));
        drop(index);
        self.review(&view, now);
        shared.gpu_inventory.limit(settings.limiter != Limiter::Off);
        *shared.gateway.wanted() = (wanted, self.gateways_every(&settings));
        let before = self.term.memory.clone();
        let plan = decide(&snapshot, &mut self.term.memory, &settings, now);
        actuate(&plan, &snapshot, &shared.ledger, &self.metrics);
        self.metrics.loads.show(&snapshot, &settings);
        for target in &plan.targets {
            self.report(target, &view.variants, &view.ownership, now);
        }
        self.term.reporter.end_cycle();
        shared.history().note(&plan.targets, &snapshot, now);
        self.metrics.cycle.safety_net.set(i64::try_from(shared.ledger.held()).unwrap_or(i64::MAX));
        self.hand_over(&plan.targets);
        for (variant, from) in asleep::ours_to_scale(&plan.targets, &snapshot) {
            self.waker.sleep(&variant, from);
        }
        tracing::debug!(variants = plan.targets.len(), models = plan.models.len(), "Decided");
        let memory = self.term.memory.clone();
        *self.shared.last_cycle() = Some(LastCycle { at: now, settings, snapshot, before, memory, plan });
        self.metrics.cycle.last_success.set(now.as_duration().as_secs_f64());
        self.metrics.cycle.longest_index_lock.set(shared.longest_hold_of_index().as_secs_f64());
    }

    /// How often gateways are looked at that decisions need: how fast their queues grow says how far a load has jumped.
    fn gateways_every(&self, settings: &Settings) -> Duration {
        if settings.counts_arrivals() {
            COUNTED
        } else {
            (self.settings.live().interval / 2).clamp(OFTENEST, SELDOMEST)
        }
    }

    /// Tells what was decided for a variant.
    fn report(
        &mut self,
        target: &Target,
        variants: &BTreeMap<ObjectKey, Variant>,
        ownership: &Ownership,
        now: Timestamp,
    ) {
        let key = key_of(&target.variant);
        if let (Some(variant), Some(eligibility)) = (variants.get(&key), ownership.mine.get(&key)) {
            self.term.reporter.tell(&key, variant, eligibility, Some(target), now);
        }
    }

    /// What the metric source is to be asked.
    fn wanted(&self) -> Wanted {
        let of_running = |target: &Target| target.current > 0 && target.evidence.is_missing();
        let last = self.shared.last_cycle();
        let unlabelled = last.as_ref().is_some_and(|cycle| cycle.plan.targets.iter().any(of_running));
        drop(last);
        let momentary = self.term.begun.elapsed() < self.look_back;
        Wanted { unlabelled, momentary, ..Wanted::by(&self.settings(&self.shared.index())) }
    }

    /// How to decide for what there is.
    fn settings(&self, index: &Index) -> Settings {
        self.settings.resolve(&ConfigScope::of(index, &self.scope))
    }

    /// What there is to know of each variant of a census.
    fn observe(
        &self,
        index: &Index,
        ownership: &Ownership,
        readings: &Result<Readings, QueryError>,
        now: Timestamp,
    ) -> Snapshot {
        snapshot::snapshot(index, ownership, readings, |key| self.shared.ledger.published(key), now)
    }

    /// Adds what there is to know of models as a whole, and of the cluster.
    fn complete(
        &self,
        snapshot: &mut Snapshot,
        index: &Index,
        settings: &Settings,
        readings: &Result<Readings, QueryError>,
        now: Timestamp,
    ) {
        let readings = readings.as_ref().ok();
        self.gateway(index, now, |view| demand::fill(snapshot, view, readings, &self.term.members, &settings.zero));
        snapshot.inventory = inventory::of(snapshot, &self.shared.gpu_inventory.gpus());
    }

    /// Looks at what is known of gateways at this moment.
    fn gateway<T>(&self, index: &Index, now: Timestamp, look: impl FnOnce(demand::View<'_>) -> T) -> T {
        let gateway = &self.shared.gateway;
        look(demand::View { index, pools: &gateway.pools(), queues: &gateway.readings(), now })
    }

    /// A request waits for a model that sleeps: decides for the sleeping models alone, which takes no metrics, and at once.
    fn wake(&mut self, now: Timestamp) {
        let (settings, snapshot, ownership, variants) = {
            let index = self.shared.index();
            let settings = self.settings(&index);
            let mut ownership = Ownership::take(&index, &self.scope, &self.shared.refused());
            let sleepers = asleep::sleepers(&index, &ownership, &self.shared.gateway.pools());
            let sleeps = |key: &ObjectKey| sleepers.values().any(|sleeper| sleeper.variants.contains(key));
            ownership.mine.retain(|key, _| sleeps(key) && !self.waker.is_failing(key));
            let variants: BTreeMap<_, _> =
                ownership.mine.keys().map(|key| (key.clone(), index.variants[key].clone())).collect();
            let nothing = Ok(Readings::default());
            let mut snapshot = self.observe(&index, &ownership, &nothing, now);
            self.complete(&mut snapshot, &index, &settings, &nothing, now);
            (settings, snapshot, ownership, variants)
        };
        let targets = wake(&snapshot, &self.term.memory, &settings, now);
        let before = published_before(&snapshot);
        for target in &targets {
            let key = key_of(&target.variant);
            publish(&key, target, before.get(&key).copied().flatten(), &self.shared.ledger, &self.metrics.published);
            self.report(target, &variants, &ownership, now);
        }
        self.shared.history().note(&targets, &snapshot, now);
        self.hand_over(&targets);
    }

    /// Has the workloads scaled that are to wake, for requests that wait or because the others of their model are full: an
    /// HPA that found its target at zero may not touch it.
    fn hand_over(&self, targets: &[Target]) {
        for target in targets.iter().filter(|target| target.wakes()) {
            self.waker.wake(&key_of(&target.variant));
        }
    }

    /// Logs when Prometheus stops answering and when it answers again.
    fn note_answer(&mut self, error: Option<&QueryError>) {
        let failed = error.is_some();
        match error {
            Some(error) if !self.prometheus_failed => {
                tracing::warn!(%error, "Prometheus does not answer; holding targets");
            }
            Some(error) => tracing::debug!(%error, "Prometheus still does not answer"),
            None if self.prometheus_failed => tracing::info!("Prometheus answers again"),
            None => {}
        }
        if !failed {
            self.prometheus_answers.open();
        }
        self.prometheus_failed = failed;
    }
}

#[cfg(test)]
mod tests;
