//! Servers under a load that does not wait for them: what requests see when decisions are carried out.
//!
//! A server computes for up to [`SEQUENCES`] requests at once, each the slower the more there are, so that it serves
//! [`PER_REPLICA`] requests per second at most and 70 % of its tokens are about 94 % of that. It is ready [`START_UP`] after it
//! was ordered and scraped every 15 seconds; readings look back over a minute, as the controller's queries do.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use wva_engine::fixtures::{MODEL, START, model, snapshot, variant};
use wva_engine::settings::{PerModel, ScaleUpPolicy};
use wva_engine::snapshot::{Pace, Readiness, Reading, Sample, Tokens};
use wva_engine::{Memory, Plan, Settings, decide};

/// Requests that a server computes at once.
pub(crate) const SEQUENCES: usize = 20;
/// Requests per second that a server takes.
pub(crate) const PER_REPLICA: f64 = 2.5;
/// Seconds from an order to a server that is ready.
pub(crate) const START_UP: f64 = 110.0;
/// Replicas that a follower allows.
pub(crate) const MAXIMUM: u32 = 24;
const SCRAPED_EVERY: f64 = 15.0;
const WINDOW: f64 = 60.0;
const TICK: f64 = 0.25;
const INPUT: f64 = 100.0;
const OUTPUT: f64 = 200.0;
/// Requests whose clients waited for so many seconds give up.
const PATIENCE: f64 = 60.0;

/// Numbers that look random, the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    /// From 0 to 1.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let high = u32::try_from((z ^ (z >> 31)) >> 32).expect("32 bits");
        f64::from(high) / f64::from(u32::MAX)
    }

    fn below(&mut self, count: usize) -> usize {
        let at = self.next() * f64::from(u32::try_from(count).expect("a handful"));
        (0..count).rev().find(|it| f64::from(u32::try_from(*it).expect("a handful")) <= at).unwrap_or(0)
    }

    /// Normally distributed, with a deviation of 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }

    /// Events in a time in which `mean` are expected.
    fn poisson(&mut self, mean: f64) -> u32 {
        let (limit, mut product, mut count) = ((-mean).exp(), self.next(), 0);
        while product > limit {
            product *= self.next();
            count += 1;
        }
        count
    }
}

#[derive(Clone, Copy, Debug)]
struct Request {
    arrived: f64,
    /// Share of its work that is left.
    left: f64,
    /// Its work, as a multiple of the usual.
    size: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Scrape {
    at: f64,
    completed: f64,
    given_up: f64,
    running: f64,
    waiting: f64,
    kv: f64,
}

#[derive(Clone, Debug)]
struct Server {
    variant: usize,
    number: u32,
    ordered: f64,
    start_up: f64,
    phase: f64,
    running: Vec<Request>,
    queue: VecDeque<Request>,
    completed: f64,
    given_up: f64,
    scrapes: VecDeque<Scrape>,
}

impl Server {
    fn is_ready(&self, now: f64) -> bool {
        now - self.ordered >= self.start_up
    }

    fn load(&self) -> usize {
        self.running.len() + self.queue.len()
    }

    fn kv(&self) -> f64 {
        let held: f64 = self.running.iter().map(|it| INPUT + (1.0 - it.left) * OUTPUT).sum();
        let room = 20.0 * (INPUT + OUTPUT / 2.0) / 0.85;
        (held / room).min(1.0)
    }

    /// Computes for a moment, at a speed that falls with the requests it computes for.
    fn tick(&mut self, now: f64, seen: &mut Seen) {
        let before = self.queue.len();
        self.queue.retain(|it| now - it.arrived < PATIENCE);
        seen.gave_up += before - self.queue.len();
        self.given_up += f64::from(u32::try_from(before - self.queue.len()).expect("a handful"));
        seen.gave_up_at.extend(std::iter::repeat_n(now, before - self.queue.len()));
        while self.running.len() < SEQUENCES
            && let Some(next) = self.queue.pop_front()
        {
            seen.waited(now - next.arrived);
            self.running.push(next);
        }
        let together = f64::from(u32::try_from(self.running.len()).expect("a handful"));
        let seconds = 0.2 * (6.0 + 1.7 * together);
        for it in &mut self.running {
            it.left -= TICK / (seconds * it.size);
        }
        let before = self.running.len();
        self.running.retain(|it| it.left > 0.0);
        self.completed += f64::from(u32::try_from(before - self.running.len()).expect("a handful"));
    }

    fn scrape(&mut self, now: f64) -> bool {
        let due = (now + self.phase).rem_euclid(SCRAPED_EVERY) < TICK;
        if due && self.is_ready(now) {
            let count = |it: usize| f64::from(u32::try_from(it).expect("a queue"));
            let (running, waiting) = (count(self.running.len()), count(self.queue.len()));
            self.scrapes.push_back(Scrape {
                at: now,
                completed: self.completed,
                given_up: self.given_up,
                running,
                waiting,
                kv: self.kv(),
            });
            while self.scrapes.front().is_some_and(|it| now - it.at > 2.0 * WINDOW) {
                self.scrapes.pop_front();
            }
        }
        due
    }

    fn sample(&self, now: f64) -> Option<Sample> {
        let window: Vec<_> = self.scrapes.iter().filter(|it| now - it.at <= WINDOW).collect();
        let last = window.last()?;
        let age = SignedDuration::try_from_secs_f64(now - last.at).expect("a minute");
        let reading = |value| Some(Reading { value, age });
        let peak = |of: fn(&Scrape) -> f64| window.iter().map(|it| of(it)).fold(0.0, f64::max);
        let first = window.first()?;
        let rate =
            (window.len() > 1).then(|| (last.completed - first.completed) * extended(now, &window, |it| it.completed));
        Some(Sample {
            model_id: MODEL.to_owned(),
            kv_usage: reading(peak(|it| it.kv)),
            queue_length: reading(peak(|it| it.waiting)),
            tokens: Tokens {
                engines: 1,
                kv_blocks: Some(294),
                kv_block_size: Some(16),
                queued: Some(peak(|it| it.waiting)),
                avg_input: reading(INPUT),
                avg_output: reading(OUTPUT),
                ..Tokens::default()
            },
            pace: Pace {
                rate: rate.and_then(|it| Some(Reading { age: SignedDuration::ZERO, ..reading(it)? })),
                waiting: reading(last.waiting),
                present: reading(last.running + last.waiting),
                ..Pace::default()
            },
        })
    }

    /// Requests per second whose clients gave up.
    fn giving_up(&self, now: f64) -> f64 {
        let window: Vec<_> = self.scrapes.iter().filter(|it| now - it.at <= WINDOW).collect();
        match (window.first(), window.last()) {
            (Some(first), Some(last)) if last.at > first.at => {
                (last.given_up - first.given_up) * extended(now, &window, |it| it.given_up)
            }
            _ => 0.0,
        }
    }

    /// Requests in it by the last scrape, and by the one a minute before.
    fn present(&self, now: f64) -> (f64, f64) {
        let at = |moment: f64| {
            self.scrapes.iter().rev().find(|it| it.at <= moment).map_or(0.0, |it| it.running + it.waiting)
        };
        (at(now), at(now - WINDOW))
    }
}

/// What an increase within a window is multiplied by for a rate, as Prometheus does: it is taken to go on to the ends of the
/// window where these are near.
fn extended(now: f64, window: &[&Scrape], of: fn(&Scrape) -> f64) -> f64 {
    let (start, end) = (window.first().expect("two"), window.last().expect("two"));
    let (first, last) = (start.at, end.at);
    let span = last - first;
    // A counter is not taken to have been below 0.
    let to_zero = if of(end) > of(start) { span * of(start) / (of(end) - of(start)) } else { f64::INFINITY };
    let average = span / f64::from(u32::try_from(window.len() - 1).expect("a handful"));
    let extension = |gap: f64| if gap < 1.1 * average { gap } else { average / 2.0 };
    (span + extension(first - (now - WINDOW)).min(to_zero) + extension(now - last)) / span / WINDOW
}

/// What requests saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: usize,
    pub(crate) waited_long: usize,
    pub(crate) gave_up: usize,
    pub(crate) gave_up_at: Vec<f64>,
    /// Replica-seconds, by what they cost.
    pub(crate) cost: f64,
    /// What was wanted of all variants together, by cycle.
    pub(crate) wanted: Vec<(f64, u32)>,
    /// What was ready, when it changed.
    pub(crate) ready: Vec<(f64, u32)>,
}

impl Seen {
    fn waited(&mut self, seconds: f64) {
        if seconds > 5.0 {
            self.waited_long += 1;
        }
    }

    /// Share of requests that waited for more than five seconds, or gave up.
    pub(crate) fn missed(&self) -> f64 {
        let count = |it: usize| f64::from(u32::try_from(it).expect("not so many"));
        count(self.waited_long + self.gave_up) / count(self.requests.max(1))
    }

    pub(crate) fn most(&self) -> u32 {
        self.wanted.iter().map(|it| it.1).max().unwrap_or(0)
    }

    /// Times at which what is wanted changed its direction.
    pub(crate) fn turns(&self) -> usize {
        let changes: Vec<_> =
            self.wanted.windows(2).filter(|it| it[0].1 != it[1].1).map(|it| it[1].1 > it[0].1).collect();
        changes.windows(2).filter(|it| it[0] != it[1]).count()
    }

    pub(crate) fn ready_since(&self, replicas: u32, from: f64) -> Option<f64> {
        self.ready.iter().find(|(at, ready)| *at >= from && *ready >= replicas).map(|it| it.0)
    }
}

/// A model under load.
pub(crate) struct Fleet {
    pub(crate) settings: Settings,
    pub(crate) costs: Vec<f64>,
    pub(crate) early: bool,
    pub(crate) start_up: f64,
    /// Requests go to the lesser loaded of two servers; else to any.
    pub(crate) balanced: bool,
    pub(crate) decisions: Vec<(f64, Plan)>,
    /// Whether it is noted with each decision what `scaleUpPolicy: step` would have made of it.
    pub(crate) compares_with_step: bool,
    /// Replicas of all variants together that it would have wanted.
    pub(crate) stepped: Vec<u32>,
    pub(crate) seen: Seen,
    servers: Vec<Server>,
    leaving: Vec<Server>,
    random: Random,
    memory: Memory,
    desired: BTreeMap<String, u32>,
    next: u32,
    /// When the last plan asks to be followed by another.
    again_at: Option<f64>,
}

impl Fleet {
    /// A model whose variants have so many replicas, which are ready.
    pub(crate) fn new(settings: Settings, replicas: &[u32], seed: u64) -> Self {
        let settings = Settings { interval: SignedDuration::from_secs(30), ..settings };
        let mut fleet = Self {
            settings,
            costs: replicas
                .iter()
                .enumerate()
                .map(|(at, _)| 10.0 + 10.0 * f64::from(u32::try_from(at).expect("few")))
                .collect(),
            early: true,
            start_up: START_UP,
            balanced: true,
            decisions: Vec::new(),
            compares_with_step: false,
            stepped: Vec::new(),
            seen: Seen::default(),
            servers: Vec::new(),
            leaving: Vec::new(),
            random: Random::new(seed),
            memory: Memory::default(),
            desired: BTreeMap::new(),
            next: 0,
            again_at: None,
        };
        for (at, count) in replicas.iter().enumerate() {
            for _ in 0..*count {
                fleet.order(at, -10_000.0);
            }
        }
        fleet
    }

    fn order(&mut self, variant: usize, at: f64) {
        self.next += 1;
        let phase = self.random.next() * SCRAPED_EVERY;
        self.servers.push(Server {
            variant,
            number: self.next,
            ordered: at,
            start_up: self.start_up,
            phase,
            running: Vec::new(),
            queue: VecDeque::new(),
            completed: 0.0,
            given_up: 0.0,
            scrapes: VecDeque::new(),
        });
    }

    fn name(variant: usize) -> String {
        ["a", "b", "c"][variant].to_owned()
    }

    /// Lets time pass until `until`, while `rate` requests arrive per second.
    pub(crate) fn run(&mut self, until: f64, rate: impl Fn(f64, &mut Random) -> f64) {
        let mut now = 0.0;
        let (mut per_second, mut loads): (f64, BTreeMap<u32, (f64, f64)>) = (0.0, BTreeMap::new());
        while now < until {
            now += TICK;
            if now.rem_euclid(10.0) < TICK {
                per_second = rate(now, &mut self.random).max(0.0);
            }
            self.arrive(now, per_second * TICK);
            let mut near = false;
            for server in &mut self.servers {
                if server.is_ready(now) {
                    server.tick(now, &mut self.seen);
                }
                if server.scrape(now)
                    && let Some(last) = server.scrapes.back()
                {
                    let above = last.waiting > 2.0 || last.kv > 0.7;
                    let known = loads.get(&server.number);
                    near |= above && known.is_none_or(|known| last.waiting > known.0 + 1.0 || last.kv > known.1 + 0.05);
                    if above {
                        loads.insert(server.number, (last.waiting, last.kv));
                    } else {
                        loads.remove(&server.number);
                    }
                }
            }
            for server in &mut self.leaving {
                server.tick(now, &mut self.seen);
            }
            self.leaving.retain(|it| it.load() > 0);
            let ready = u32::try_from(self.servers.iter().filter(|it| it.is_ready(now)).count()).expect("few");
            if self.seen.ready.last().is_none_or(|it| it.1 != ready) {
                self.seen.ready.push((now, ready));
            }
            self.seen.cost += self.servers.iter().map(|it| self.costs[it.variant] * TICK).sum::<f64>();
            let again = self.again_at.is_some_and(|at| now >= at);
            if now.rem_euclid(30.0) < TICK || (self.early && near) || again {
                self.decide(now);
            }
        }
    }

    fn arrive(&mut self, now: f64, mean: f64) {
        for _ in 0..self.random.poisson(mean) {
            self.seen.requests += 1;
            let ready: Vec<_> = (0..self.servers.len()).filter(|it| self.servers[*it].is_ready(now)).collect();
            let mut pick = || ready[self.random.below(ready.len())];
            let (one, other) = (pick(), pick());
            let better = if self.servers[other].load() < self.servers[one].load() { other } else { one };
            let chosen = if self.balanced { better } else { one };
            // Answers are of different lengths.
            let size = 0.5 + self.random.next();
            self.servers[chosen].queue.push_back(Request { arrived: now, left: 1.0, size });
        }
    }

    fn decide(&mut self, now: f64) {
        let at = |seconds: f64| START + SignedDuration::try_from_secs_f64(seconds).expect("hours");
        let mut built = model(MODEL);
        let (mut completed, mut growth) = (None, 0.0);
        for (index, cost) in self.costs.iter().enumerate() {
            let mut of = variant(&Self::name(index)).cost(*cost).at_most(MAXIMUM);
            of.0.desired = self.desired.get(&of.0.name).copied();
            for server in self.servers.iter().filter(|it| it.variant == index) {
                let sample = server.sample(now);
                let ready = if server.is_ready(now) {
                    Readiness::Ready { since: at(server.ordered + server.start_up) }
                } else {
                    Readiness::NotReady { since: at(server.ordered) }
                };
                of = of.pods(1, ready, sample.as_ref());
                if let Some(rate) = sample.and_then(|it| it.pace.rate) {
                    *completed.get_or_insert(0.0) += rate.value + server.giving_up(now);
                }
                let (present, before) = server.present(now);
                growth += (present - before) / WINDOW;
            }
            built = built.with(of);
        }
        if let Some(completed) = completed {
            built = built.arriving((completed + growth).max(0.0));
        }
        let seen = snapshot([built]);
        if self.compares_with_step {
            let settings = Settings { scale_up: PerModel::all(ScaleUpPolicy::Step), ..self.settings.clone() };
            let stepped = decide(&seen, &mut self.memory.clone(), &settings, at(now));
            self.stepped.push(stepped.targets.iter().map(|it| it.replicas).sum());
        }
        let plan = decide(&seen, &mut self.memory, &self.settings, at(now));
        for (index, _) in self.costs.clone().iter().enumerate() {
            let target = plan.targets.iter().find(|it| it.variant.name == Self::name(index)).expect("a target");
            self.desired.insert(Self::name(index), target.replicas);
            while self.count(index) < target.replicas {
                self.order(index, now);
            }
            while self.count(index) > target.replicas {
                let last = self.servers.iter().rposition(|it| it.variant == index).expect("one more than wanted");
                let server = self.servers.remove(last);
                self.leaving.push(server);
            }
        }
        self.again_at = plan.again_after().map(|after| now + after.as_secs_f64());
        self.seen.wanted.push((now, plan.targets.iter().map(|it| it.replicas).sum()));
        self.decisions.push((now, plan));
    }

    fn count(&self, variant: usize) -> u32 {
        u32::try_from(self.servers.iter().filter(|it| it.variant == variant).count()).expect("few")
    }
}

/// The time, for messages.
pub(crate) fn at(seconds: f64) -> Timestamp {
    START + SignedDuration::try_from_secs_f64(seconds).expect("hours")
}
