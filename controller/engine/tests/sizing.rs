//! Sizing by demand: the thresholds say when, the load says how many.

use std::collections::VecDeque;

use jiff::SignedDuration;
use rstest::rstest;
use wva_engine::fixtures::{MODEL, ModelBuilder, Script, VariantBuilder, model, variant};
use wva_engine::plan::{Note, Reason};
use wva_engine::settings::{Analyzer, PerModel, ScaleUpPolicy, TokenThresholds};

const SATURATED: (f64, f64) = (0.85, 9.0);
const BALANCED: (f64, f64) = (0.65, 1.0);

fn by_demand() -> Script {
    let mut script = Script::new();
    script.settings.scale_up = PerModel::all(ScaleUpPolicy::Demand);
    script
}

fn serving(name: &str, pods: u32, load: (f64, f64), rate: f64) -> VariantBuilder {
    variant(name).ready(pods, load).paced(rate, 100.0, 20.0)
}

/// A model whose replicas complete 2.5 requests per second each, for long enough to be believed.
fn known(script: &mut Script, models: impl Fn() -> [ModelBuilder; 1]) {
    for _ in 0..4 {
        script.cycle(models());
        let interval = script.settings.interval;
        script.pass(interval);
    }
}

fn only(variant: VariantBuilder, arriving: f64) -> [ModelBuilder; 1] {
    [model(MODEL).with(variant).arriving(arriving)]
}

#[test]
fn a_model_that_is_short_gets_what_arrives_needs_in_one_decision() {
    let mut script = by_demand();
    known(&mut script, || only(serving("a", 2, BALANCED, 2.5), 5.0));

    let plan = script.cycle(only(serving("a", 2, SATURATED, 2.5), 17.0));

    assert_eq!(plan["a"], 7, "17 / 2.5 = 6.8: {:?}", plan.target("a"));
    assert!(matches!(plan.target("a").reason, Reason::LoadShort { .. }));
}

#[test]
fn a_model_that_is_not_short_does_not_grow_whatever_arrives() {
    let mut script = by_demand();
    known(&mut script, || only(serving("a", 2, BALANCED, 2.5), 5.0));

    assert_eq!(script.cycle(only(serving("a", 2, BALANCED, 2.5), 100.0))["a"], 2);
}

#[rstest]
fn sizing_asks_for_no_less_than_the_step_while_the_model_is_short(
    #[values(Analyzer::Threshold, Analyzer::Saturation(TokenThresholds::default()))] analyzer: Analyzer,
    #[values(0.1, 1.0, 3.0, 9.0, 40.0)] arriving: f64,
    #[values(1, 2, 5)] pods: u32,
) {
    let cycle = |policy| {
        let mut script = Script::new();
        script.settings.scale_up = PerModel::all(policy);
        script.settings.analyzer = PerModel::all(analyzer);
        let serving = |load| serving("a", pods, load, 2.5).tokens(16_000, (100.0, 50.0));
        known(&mut script, || only(serving((0.5, 0.0)), 5.0));
        script.cycle(only(serving((0.95, 9.0)), arriving))["a"]
    };

    assert!(cycle(ScaleUpPolicy::Demand) >= cycle(ScaleUpPolicy::Step));
}

#[test]
fn what_is_on_its_way_counts_as_there() {
    let mut script = by_demand();
    known(&mut script, || only(serving("a", 2, BALANCED, 2.5), 5.0));
    assert_eq!(script.cycle(only(serving("a", 2, SATURATED, 2.5), 17.0))["a"], 7);
    let since = script.now();

    let starting = || serving("a", 2, SATURATED, 2.5).pending_since(5, since);
    assert_eq!(script.pass(SignedDuration::from_mins(1)).cycle(only(starting(), 17.0))["a"], 7);
    assert_eq!(script.pass(SignedDuration::from_mins(1)).cycle(only(starting(), 24.0))["a"], 10, "24 / 2.5 = 9.6");
}

#[test]
fn a_burst_on_replicas_that_had_nothing_to_do_is_answered_step_by_step() {
    let mut script = by_demand();
    known(&mut script, || only(serving("a", 1, BALANCED, 0.0), 0.0));

    let plan = script.cycle(only(serving("a", 1, SATURATED, 0.02), 20.0));

    assert_eq!((plan["a"], &plan.target("a").notes), (2, &vec![Note::LoadNotMeasured]), "20 / 0.02 would be 1,000");
}

#[test]
fn the_cheapest_variant_takes_what_it_may_and_the_next_one_the_rest() {
    let models = |load, arriving| {
        let (a, b) = (serving("a", 1, load, 2.5).cost(1.0).at_most(3), serving("b", 1, load, 5.0).cost(9.0));
        [model(MODEL).with(a).with(b).arriving(arriving)]
    };
    let mut script = by_demand();
    known(&mut script, || models(BALANCED, 5.0));

    let plan = script.cycle(models(SATURATED, 17.0));

    assert_eq!((plan["a"], plan["b"]), (3, 2), "7.5 of the one and 10 of the other");
}

/// Servers of 2.5 requests per second with 20 at a time, simulated second by second, and scraped every 15.
struct Servers {
    started: Vec<i64>,
    waiting: f64,
    scrapes: VecDeque<(f64, f64)>,
    served: f64,
}

const PER_REPLICA: f64 = 2.5;
const START_UP: i64 = 110;

impl Servers {
    fn ready(&self, now: i64) -> u32 {
        u32::try_from(self.started.iter().filter(|at| now - **at >= START_UP).count()).expect("a handful")
    }

    fn second(&mut self, now: i64, arriving: f64) {
        let able = PER_REPLICA * f64::from(self.ready(now));
        let served = able.min(arriving + self.waiting);
        self.waiting += arriving - served;
        self.served += served;
        if now % 15 == 0 {
            self.scrapes.push_back((self.waiting, self.served));
            while self.scrapes.len() > 5 {
                self.scrapes.pop_front();
            }
        }
    }

    /// As metrics over the last minute say it.
    fn seen(&self, now: i64, start: jiff::Timestamp) -> VariantBuilder {
        let ready = self.ready(now);
        let share = |requests: f64| requests / f64::from(ready.max(1));
        let queue = share(self.scrapes.iter().map(|it| it.0).fold(0.0, f64::max));
        let (first, last) = (self.scrapes.front().expect("scraped"), self.scrapes.back().expect("scraped"));
        let rate = share((last.1 - first.1) / 60.0);
        let kv = if queue >= 1.0 { 0.9 } else { 0.8 * (rate / PER_REPLICA) };
        let mut built = serving("a", ready, (kv, queue), rate);
        for at in self.started.iter().filter(|at| now - **at < START_UP) {
            built = built.pending_since(1, start + SignedDuration::from_secs(*at));
        }
        built
    }
}

#[test]
fn from_2_to_20_requests_per_second_the_first_saturated_cycle_asks_for_what_is_needed_and_no_more_follows_until_it_is_there()
 {
    let mut script = by_demand();
    script.settings.interval = SignedDuration::from_secs(30);
    let start = script.now();
    let mut servers = Servers { started: vec![-1000], waiting: 0.0, scrapes: VecDeque::new(), served: 0.0 };
    let (mut first, mut most) = (None, 0);
    for now in 1..=400 {
        servers.second(now, if now <= 180 { 2.0 } else { 20.0 });
        if now % 30 != 0 {
            continue;
        }
        let ordered = u32::try_from(servers.started.len()).expect("a handful");
        if ordered > 1 && servers.ready(now) == ordered {
            break;
        }
        script.pass(SignedDuration::from_secs(30));
        let [seen] = [model(MODEL).with(servers.seen(now, start))];
        let wanted = script.cycle([seen])["a"];
        if wanted > 1 {
            first.get_or_insert(wanted);
        }
        if servers.started.len() < wanted as usize {
            servers.started.resize(wanted as usize, now);
        }
        most = most.max(wanted);
    }

    // 20 / 2.5 = 8 are needed.
    let first = first.expect("it grows");
    assert!(first >= 7, "{first}");
    assert!(most <= 9, "{most}");
}
