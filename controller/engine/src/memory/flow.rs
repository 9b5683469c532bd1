//! What was seen of one model's load.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::burst::{Burst, Looked, Present, Rising};
use crate::number::sum;
use crate::snapshot::{Demand, Gateway, Reading};

/// Rates look back over this long: a replica shows what it can take once it has been full for as long.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);
/// Time for which a replica must have been full before a part of the window says what it can take.
const PART: SignedDuration = SignedDuration::from_secs(30);
/// Least time between two scrapes that say how a queue grows, or a third of a cycle where that is shorter.
const LEAST_APART: SignedDuration = SignedDuration::from_secs(10);
/// Looks, of different cycles, at replicas that complete requests before what they complete says anything.
const ENOUGH: u32 = 3;
/// Share of its room that a replica must have used when it was seen, for what it then completed to say what it can take.
const TELLING: f64 = 0.25;
/// Share of the time of an iteration of a full replica that grows with the requests in it. The larger it is, the nearer to its
/// highest rate a replica is at a given use of its cache: with 0.9, 70 % of the tokens are 96 % of the rate.
const STEEPNESS: f64 = 0.9;
/// Weight of a new observation of full replicas.
const WEIGHT: f64 = 0.3;
/// Share by which a backlog must become smaller within [`look_back`] to count as one that drains.
const DRAINS: f64 = 0.1;

/// Share of what replicas complete when they are full that they are sized for, where no more is known of them.
pub(crate) const SIZED_FOR: f64 = 0.9;

/// How far back the rate of requests is looked at before replicas go: ten cycles, and no longer than five minutes.
pub(crate) fn look_back(interval: SignedDuration) -> SignedDuration {
    interval.saturating_mul(10).min(SignedDuration::from_mins(5))
}

/// What was seen of the load of one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Flow {
    /// Requests that waited in each pod, and by the empty name at the gateway, by when that was scraped, oldest first.
    waiting: BTreeMap<String, VecDeque<(Timestamp, f64)>>,
    /// Requests that arrived per second, by when that was looked at, oldest first and without a gap.
    rates: VecDeque<(Timestamp, f64)>,
    /// Since when there has been no longer gap between two looks at the rate.
    watched_since: Option<Timestamp>,
    /// Since when more has arrived than the replicas take.
    over_since: Option<Timestamp>,
    /// What came with the last scrapes.
    burst: Burst,
    /// The backlog that has not become smaller, and since when.
    backlog: Option<(Timestamp, f64)>,
    /// What replicas complete, by variant.
    completed: BTreeMap<String, Completed>,
}

/// What replicas of one variant completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Completed {
    /// Requests per second of one replica that was not full, at most.
    most: f64,
    /// Share of its room that it then used.
    share: f64,
    /// Cycles in which that was looked at.
    looks: u32,
    /// When it was counted last.
    looked_at: Option<Timestamp>,
    /// What it completed per second when it was last seen not to be full.
    last: f64,
    /// Since when replicas have been full.
    full_since: Option<Timestamp>,
    /// Requests per second of one full replica.
    full: Option<f64>,
}

/// What the replicas of one variant show at one look, on average.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Requests that those that are not full complete per second; `None` of none.
    pub(crate) rate: Option<f64>,
    /// Share of their room that they use.
    pub(crate) share: f64,
    /// Requests that those that are full complete per second; `None` of none.
    pub(crate) full: Option<f64>,
}

/// Requests that wait in one pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue<'a> {
    /// The pod; empty for the gateway.
    pub(crate) pod: &'a str,
    /// When it was scraped.
    pub(crate) scraped: Timestamp,
    /// How many wait.
    pub(crate) waiting: f64,
}

/// What one replica takes, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Taken {
    /// Requests per second.
    pub(crate) per_replica: f64,
    /// Whether replicas were seen to be full, so that more than this is not to be had of them.
    pub(crate) measured: bool,
    /// Whether growth may be sized by it: a replica that had little to do says little of what it could.
    pub(crate) telling: bool,
    /// Share of it that a replica is sized for.
    pub(crate) sized_for: f64,
}

impl Taken {
    /// What is known not to be more.
    pub(crate) fn measured(per_replica: f64, sized_for: f64) -> Self {
        Self { per_replica, measured: true, telling: true, sized_for }
    }
}

impl Flow {
    /// Requests per second by which those that wait have become more, or fewer, since the scrape before; `None` when none was seen
    /// before. Each pod by its own scrapes: what they say is of different moments.
    pub(crate) fn growth(&mut self, mut queues: Vec<Queue<'_>>, interval: SignedDuration) -> Option<f64> {
        queues.sort_by(|a, b| (a.pod, a.scraped).cmp(&(b.pod, b.scraped)).then(a.waiting.total_cmp(&b.waiting)));
        self.waiting.retain(|pod, _| queues.binary_search_by(|it| it.pod.cmp(pod)).is_ok());
        let least = (interval / 3).min(LEAST_APART);
        let mut growths = Vec::with_capacity(queues.len());
        for Queue { pod, scraped, waiting } in queues {
            let age = |at: Timestamp| scraped.duration_since(at);
            let Some(known) = self.waiting.get_mut(pod) else {
                self.waiting.insert(pod.to_owned(), VecDeque::from([(scraped, waiting)]));
                continue;
            };
            known.retain(|(at, _)| age(*at) <= interval.saturating_mul(3));
            let before = known.iter().rev().find(|(at, _)| age(*at) >= least && age(*at) > SignedDuration::ZERO);
            growths.extend(before.map(|(at, before)| (waiting - before) / age(*at).as_secs_f64()));
            if known.back().is_none_or(|(at, _)| age(*at) > SignedDuration::ZERO) {
                known.push_back((scraped, waiting));
            }
        }
        (!growths.is_empty()).then(|| sum(growths))
    }

    /// Notes the requests that are there, and gives the rate at which they arrive [since a load has jumped](Burst::rate).
    pub(crate) fn burst(&mut self, pods: &[Present<'_>], gateway: Option<Looked>, now: Timestamp) -> Option<Rising> {
        self.burst.rate(pods, gateway, now)
    }

    /// Requests per second by which the queue at the gateway has grown, or become smaller, in the window of rates.
    pub(crate) fn gateway_growth(&self, now: Timestamp) -> f64 {
        let before = now.checked_sub(WINDOW).ok().and_then(|before| self.burst.queued_at(before));
        match (before, self.burst.queued_at(now)) {
            (Some(before), Some(waiting)) => (waiting - before) / WINDOW.as_secs_f64(),
            _ => 0.0,
        }
    }

    /// What is asked of the model apart from its backlog, for a forecast: demand sizing takes care of what waits.
    pub(crate) fn without_backlog(&self, demand: Demand, now: Timestamp) -> Demand {
        let arrives = |it: Reading| Reading { value: (it.value + self.gateway_growth(now)).max(0.0), ..it };
        Demand { arrival_rate: demand.arrival_rate.map(arrives), gateway: Gateway::None, ..demand }
    }

    /// Notes what arrives, and gives the most that arrived within [`look_back`]; `None` unless it was watched for as long.
    pub(crate) fn most_arriving(&mut self, rate: f64, interval: SignedDuration, now: Timestamp) -> Option<f64> {
        let long = look_back(interval);
        let gap = interval.saturating_mul(3);
        if self.rates.back().is_none_or(|(at, _)| now.duration_since(*at) > gap) {
            self.rates.clear();
            self.watched_since = Some(now);
        }
        self.rates.retain(|(at, _)| now.duration_since(*at) <= long);
        // Looks in short succession become one, so that they are few.
        match self.rates.back_mut() {
            Some((at, last)) if now.duration_since(*at) < interval / 2 => *last = last.max(rate),
            _ => self.rates.push_back((now, rate)),
        }
        let watched = now.duration_since(self.watched_since?);
        (watched >= long).then(|| self.rates.iter().map(|it| it.1).fold(0.0, f64::max))
    }

    /// Notes the backlog of a model that is settled (`None` of one that is not), and says whether it does not become smaller.
    pub(crate) fn is_stuck(&mut self, backlog: Option<f64>, interval: SignedDuration, now: Timestamp) -> bool {
        let Some(waiting) = backlog else {
            self.backlog = None;
            return false;
        };
        let known = self.backlog.filter(|(_, before)| waiting > before * (1.0 - DRAINS));
        let (since, _) = *self.backlog.insert(known.unwrap_or((now, waiting)));
        now.duration_since(since) >= look_back(interval)
    }

    /// Notes whether more arrives than the replicas take, and says for how long it has.
    pub(crate) fn over_for(&mut self, is_over: bool, now: Timestamp) -> SignedDuration {
        self.over_since = is_over.then(|| self.over_since.unwrap_or(now));
        self.over_since.map_or(SignedDuration::ZERO, |since| now.duration_since(since))
    }

    /// Notes what replicas of a variant complete per second.
    pub(crate) fn observe(&mut self, variant: &str, look: Look, interval: SignedDuration, now: Timestamp) {
        if !self.completed.contains_key(variant) {
            self.completed.insert(variant.to_owned(), Completed::default());
        }
        if let Some(completed) = self.completed.get_mut(variant) {
            completed.observe(look, interval, now);
        }
    }

    /// What a replica of a variant takes, as far as that was seen.
    pub(crate) fn taken_by(&self, variant: &str, look: Look, now: Timestamp) -> Option<Taken> {
        self.completed.get(variant)?.taken(look, now)
    }

    /// Requests per second of one replica of a variant that was full; `None` of none.
    pub(crate) fn full_rate(&self, variant: &str) -> Option<f64> {
        self.completed.get(variant)?.full
    }

    /// Whether nothing is known of any variant.
    pub(crate) fn is_empty(&self) -> bool {
        self.completed.is_empty()
    }

    /// Forgets variants that are gone.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.completed.retain(|variant, _| is_there(variant));
    }
}

impl Completed {
    fn observe(&mut self, look: Look, interval: SignedDuration, now: Timestamp) {
        let Look { rate, share, full } = look;
        self.full_since = full.and(self.full_since.or(Some(now)));
        if let (Some(rate), true) = (full, self.full_for(now) >= WINDOW + PART) {
            let before = self.full.unwrap_or(rate);
            self.full = Some(before + WEIGHT * (rate - before));
        }
        // Of a variant with full replicas, the others show how requests are spread and not what one takes.
        let Some(rate) = rate.filter(|rate| *rate > 0.0 && full.is_none()) else { return };
        self.last = rate;
        if let Some(full) = self.full.as_mut().filter(|full| rate > **full) {
            *full += WEIGHT * (rate - *full);
        }
        if rate > self.most {
            (self.most, self.share) = (rate, share);
        }
        if self.looked_at.is_none_or(|at| now.duration_since(at) >= interval / 2) {
            self.looks = self.looks.saturating_add(1);
            self.looked_at = Some(now);
        }
    }

    fn full_for(&self, now: Timestamp) -> SignedDuration {
        self.full_since.map_or(SignedDuration::ZERO, |since| now.duration_since(since))
    }

    fn taken(&self, look: Look, now: Timestamp) -> Option<Taken> {
        if let Some(per_replica) = self.full {
            return Some(Taken::measured(per_replica, SIZED_FOR));
        }
        // At most what it completed per share of its room that it used, as if it were as steep as they come.
        let reached = (self.share / (1.0 - STEEPNESS * (1.0 - self.share).max(0.0))).clamp(0.01, 1.0);
        let seen = (self.looks >= ENOUGH && self.most > 0.0).then_some(self.most / reached);
        // What replicas were seen to complete while they had room is less than what they take: that is the share that stays free.
        let taken = |per_replica, telling| Some(Taken { per_replica, measured: false, telling, sized_for: 1.0 });
        match (seen, look.full.filter(|_| self.full_for(now) >= PART)) {
            (Some(seen), rate) if self.share >= TELLING => taken(rate.map_or(seen, |rate| seen.max(rate)), true),
            (_, Some(rate)) => {
                // Of the window, the earlier part shows what it completed before it was full.
                let (part, window) = (self.full_for(now).min(WINDOW).as_secs_f64(), WINDOW.as_secs_f64());
                let per_replica = (window * rate - (window - part) * self.last.min(rate)) / part;
                taken(per_replica, per_replica > 0.0)
            }
            (seen, None) => taken(seen?, false),
        }
    }
}
