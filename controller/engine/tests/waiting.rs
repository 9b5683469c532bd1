//! What is waited for, and what is not: only growth, and only where somebody carries it out.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use rstest::rstest;
use wva_engine::Settings;
use wva_engine::fixtures::{Cycle, MODEL, ModelBuilder, Script, VariantBuilder, model, variant};
use wva_engine::plan::{Note, Reason, Unsettled};
use wva_engine::settings::{
    Analyzer, FailMode, Limiter, PerModel, Proactive, Profile, Slo, TokenThresholds, ZeroPolicy,
};
use wva_engine::snapshot::{Gpus, Inventory, Obstacle};
use wva_engine::vllm::ServerArguments;

const SATURATED: (f64, f64) = (0.95, 9.0);
const BALANCED: (f64, f64) = (0.65, 1.0);
const IDLE: (f64, f64) = (0.05, 0.0);

/// Every way of deciding.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Threshold,
    Saturation,
    Hybrid,
}

fn script(mode: Mode) -> Script {
    let mut script = Script::new();
    match mode {
        Mode::Threshold => {}
        Mode::Saturation => {
            script.settings.analyzer = PerModel::all(Analyzer::Saturation(TokenThresholds::default()));
        }
        Mode::Hybrid => {
            let profile =
                Profile { model_id: MODEL.into(), accelerator: "A100".into(), alpha: 5.0, beta: 0.2, gamma: 0.015 };
            let slo = Slo { model_id: MODEL.into(), itl_ms: Some(500.0), ..Slo::default() };
            script.settings.proactive =
                Some(Proactive { profiles: vec![profile], slos: vec![slo], ..Proactive::default() });
        }
    }
    script
}

/// Replicas that say everything any analyzer asks for.
fn serving(name: &str, pods: u32, load: (f64, f64)) -> VariantBuilder {
    let server = ServerArguments { max_num_seqs: 16, ..ServerArguments::default() };
    variant(name).ready(pods, load).tokens(16_000, (100.0, 200.0)).started_with(server)
}

fn only(variant: VariantBuilder) -> [ModelBuilder; 1] {
    [model(MODEL).with(variant).arriving(0.1)]
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn next(script: &mut Script) -> &mut Script {
    let interval = script.settings.interval;
    script.pass(interval)
}

// === Scale-downs ===

#[rstest]
fn a_scale_down_that_nobody_has_carried_out_is_taken_back_when_the_model_is_short(
    #[values(Mode::Threshold, Mode::Saturation, Mode::Hybrid)] mode: Mode,
) {
    let mut script = script(mode);
    assert_eq!(script.cycle(only(serving("a", 3, IDLE)))["a"], 2);
    assert_eq!(next(&mut script).cycle(only(serving("a", 3, IDLE)))["a"], 2);

    let plan = next(&mut script).cycle([model(MODEL).with(serving("a", 3, SATURATED)).arriving(9.0)]);

    assert!(plan["a"] > 3, "it keeps its 3 and gets what it needs besides: {:?}", plan.target("a"));
    assert!(plan.target("a").notes.contains(&Note::TakenBack { published: 2 }), "{:?}", plan.target("a"));
}

#[test]
fn every_variant_of_a_short_model_takes_its_scale_down_back_and_one_grows() {
    let mut script = Script::new();
    let models = |load| {
        let (a, b) = (variant("a").cost(9.0).ready(3, load), variant("b").cost(1.0).ready(2, load));
        [model(MODEL).with(a.desired(1)).with(b)]
    };

    let plan = script.cycle(models(SATURATED));

    assert_eq!((plan["a"], plan["b"]), (3, 3));
    assert_eq!(plan.target("a").notes, [Note::TakenBack { published: 1 }]);
    assert!(plan.target("a").explanation().ends_with("; the scale-down to 1 replica is taken back"));
}

#[test]
fn a_scale_down_is_taken_back_while_another_variant_is_still_growing() {
    let mut script = Script::new();
    let since = script.now();
    let shrinking = variant("a").ready(3, SATURATED).desired(2);
    let growing = variant("b").ready(1, SATURATED).pending_since(1, since).desired(2);

    let plan = script.cycle([model(MODEL).with(shrinking).with(growing)]);

    assert_eq!((plan["a"], plan["b"]), (3, 2));
    let unsettled = Unsettled::Metrics { reporting: 1, current: 2 };
    assert_eq!(plan.target("a").reason, Reason::InTransition { variant: "b".into(), unsettled });
}

#[test]
fn a_scale_down_of_a_model_that_is_not_short_goes_on() {
    let mut script = Script::new();
    let plan = script.cycle(only(variant("a").ready(3, BALANCED).desired(2)));

    assert_eq!(plan["a"], 2);
}

#[test]
fn replicas_that_a_rolling_update_has_too_many_are_no_scale_down() {
    let mut script = Script::new();
    let updating = variant("a").ready(3, SATURATED).replicas(2, 3).desired(2);
    assert_eq!(script.cycle(only(updating))["a"], 2);

    // An update and a scale-down that waits: what was asked for is kept, and one more is needed.
    let both = variant("a").ready(4, SATURATED).replicas(3, 4).desired(2);
    assert_eq!(Script::new().cycle(only(both))["a"], 4);
}

/// A workload whose follower carries numbers out only after they have lasted for so many cycles, and whose pods take so
/// many to start.
#[derive(Clone, Copy, Debug)]
struct Follower {
    up: usize,
    down: usize,
    start: i64,
}

fn follower() -> impl Strategy<Value = Follower> {
    (0..8_usize, 0..12_usize, 0..4_i64).prop_map(|(up, down, start)| Follower { up, down, start })
}

/// One variant as it is in the simulated cluster.
struct Workload {
    follower: Follower,
    published: Vec<u32>,
    pods: Vec<Timestamp>,
}

impl Workload {
    fn new(follower: Follower, replicas: u32, now: Timestamp) -> Self {
        let pods = (0..replicas).map(|_| now - SignedDuration::from_hours(1)).collect();
        Self { follower, published: Vec::new(), pods }
    }

    fn replicas(&self) -> u32 {
        u32::try_from(self.pods.len()).expect("a handful")
    }

    /// What every number of the last cycles would do, the least move of them: as an autoscaler's windows.
    fn follow(&mut self, now: Timestamp) {
        let lasting = |window: usize| self.published.iter().rev().take(window + 1);
        let up = lasting(self.follower.up).min().copied().unwrap_or(0);
        let down = lasting(self.follower.down).max().copied().unwrap_or(u32::MAX);
        let wanted = self.replicas().max(up).min(down);
        self.pods.resize(wanted as usize, now);
    }

    fn variant(&self, name: &str, cost: f64, load: (f64, f64), now: Timestamp) -> VariantBuilder {
        let since = now - SignedDuration::from_mins(self.follower.start);
        let ready = self.pods.iter().filter(|started| **started <= since).count();
        let mut built = serving(name, u32::try_from(ready).expect("a handful"), load).cost(cost).at_most(6);
        for started in self.pods.iter().filter(|started| **started > since) {
            built = built.pending_since(1, *started);
        }
        built
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/seeds/waiting.txt"))), ..ProptestConfig::default() })]

    /// A cycle decides on what it sees, so it is the very cycle in which the model is short.
    #[test]
    fn whatever_its_followers_do_a_saturated_model_is_never_to_have_fewer_replicas_than_it_has(
        mode in select(vec![Mode::Threshold, Mode::Saturation, Mode::Hybrid]),
        followers in (follower(), follower()),
        loads in proptest::collection::vec((select(vec![SATURATED, SATURATED, IDLE, IDLE, BALANCED]), 1..12_usize), 1..8),
        rate in select(vec![0.1, 3.0, 30.0]),
    ) {
        let mut script = script(mode);
        let (mut a, mut b) = (Workload::new(followers.0, 3, script.now()), Workload::new(followers.1, 2, script.now()));
        let lasting = loads.iter().flat_map(|(load, cycles)| std::iter::repeat_n(*load, *cycles));
        for load in lasting {
            let now = next(&mut script).now();
            let of_model = model(MODEL).with(a.variant("a", 1.0, load, now)).with(b.variant("b", 9.0, load, now));
            let plan = script.cycle([of_model.arriving(if load == SATURATED { rate } else { 0.1 })]);
            if load == SATURATED {
                prop_assert!(plan["a"] >= a.replicas(), "{:?}", plan.target("a"));
                prop_assert!(plan["b"] >= b.replicas(), "{:?}", plan.target("b"));
            }
            for (workload, name) in [(&mut a, "a"), (&mut b, "b")] {
                workload.published.push(plan[name]);
                workload.follow(now);
            }
        }
    }
}

// === Growth that nobody carries out ===

fn two(a: VariantBuilder, b: VariantBuilder) -> [ModelBuilder; 1] {
    [model(MODEL).with(a.cost(1.0)).with(b.cost(9.0)).arriving(0.1)]
}

#[rstest]
fn a_growth_that_nobody_carries_out_for_three_cycles_lets_the_next_variant_grow(
    #[values(Mode::Threshold, Mode::Saturation, Mode::Hybrid)] mode: Mode,
) {
    // A little: one replica more is enough.
    let load = if matches!(mode, Mode::Threshold) { SATURATED } else { (11_000.0 / 16_000.0, 0.0) };
    let mut script = script(mode);
    script.settings.thresholds.default.kv_spare_trigger = 0.15;
    // In hybrid mode 3 requests per second are a little too many for 3 replicas of 1.15.
    let serving = |name, pods| match mode {
        Mode::Hybrid => serving(name, pods, load),
        Mode::Threshold | Mode::Saturation => variant(name).ready(pods, load).tokens(16_000, (100.0, 200.0)),
    };
    let models = || two(serving("a", 2), serving("b", 1)).map(|model| model.arriving(3.0));
    for _ in 0..3 {
        let plan = script.cycle(models());
        assert_eq!((plan["a"], plan["b"]), (3, 1), "{:?}", plan.target("a"));
        next(&mut script);
    }

    let plan = script.cycle(models());

    assert_eq!((plan["a"], plan["b"]), (3, 2), "the number stays published for whoever may still follow");
    let unsettled = Unsettled::Replicas { desired: 3, current: 2 };
    assert_eq!(plan.target("a").reason, Reason::InTransition { variant: "a".into(), unsettled });

    // The other one is waited for in its turn, as long as it starts.
    let since = script.now();
    for _ in 0..5 {
        let starting = two(serving("a", 2), serving("b", 1).pending_since(1, since));
        let plan = next(&mut script).cycle(starting.map(|model| model.arriving(3.0)));
        assert_eq!((plan["a"], plan["b"]), (3, 2));
    }
}

#[test]
fn a_growth_that_is_being_carried_out_is_waited_for() {
    // One by one, as a StatefulSet does.
    let mut script = Script::new();
    let since = script.now();
    for _ in 0..9 {
        let starting = variant("a").ready(2, SATURATED).pending_since(1, since).desired(5).replicas(5, 3);
        let plan = next(&mut script).cycle(two(starting, variant("b").ready(1, SATURATED)));
        assert_eq!((plan["a"], plan["b"]), (5, 1));
    }
}

#[test]
fn a_growth_that_nobody_carries_out_wakes_a_sleeping_variant() {
    let mut script = Script::new();
    script.settings.zero = PerModel::all(ZeroPolicy { enabled: true, ..ZeroPolicy::default() });
    let models = || two(variant("a").ready(2, SATURATED), variant("b").desired(0));
    assert_eq!(script.cycle(models())["a"], 3);

    let plan = script.pass(seconds(180)).cycle(models());

    assert_eq!((plan["a"], plan["b"]), (3, 1));
}

// === Pods that cannot run ===

fn failing(reason: &str) -> Obstacle {
    Obstacle::Failing { reason: reason.into() }
}

#[rstest]
fn a_pod_that_cannot_be_scheduled_is_waited_for_during_one_cycle(
    #[values(Mode::Threshold, Mode::Saturation, Mode::Hybrid)] mode: Mode,
) {
    let mut script = script(mode);
    let since = script.now();
    let models = || two(serving("a", 1, SATURATED).unschedulable_since(1, since).desired(2), serving("b", 1, BALANCED));
    let first = script.cycle(models());
    assert_eq!(first["a"], if matches!(mode, Mode::Threshold) { 2 } else { first["a"] });

    let mut models = models();
    models[0] = model(MODEL)
        .with(serving("a", 1, SATURATED).unschedulable_since(1, since).cost(1.0).desired(2))
        .with(serving("b", 1, SATURATED).cost(9.0).desired(1))
        .arriving(0.1);
    let plan = next(&mut script).cycle(models);

    assert_eq!((plan["a"], plan["b"]), (2, 2), "{:?}", plan.target("b"));
    let explanation = plan.target("a").explanation();
    let why = "; a pod of it cannot be scheduled: 0/2 nodes are available: 1 Insufficient nvidia.com/gpu.";
    assert!(explanation.ends_with(why), "{explanation}");
}

#[rstest]
#[case::no_image(failing("ImagePullBackOff"))]
#[case::it_ends_again_and_again(failing("CrashLoopBackOff"))]
fn a_pod_that_cannot_run_lets_the_next_variant_grow(#[case] obstacle: Obstacle) {
    let mut script = Script::new();
    let since = script.now();
    let models =
        || two(variant("a").ready(2, SATURATED).stopped_since(1, since, &obstacle), variant("b").ready(1, SATURATED));
    assert_eq!(script.cycle(models())["b"], 1);

    let plan = next(&mut script).cycle(models());

    assert_eq!((plan["a"], plan["b"]), (3, 2));
    assert_eq!(plan.target("a").notes, [Note::PodsStopped { pods: 1, obstacle }]);
}

#[test]
fn a_variant_with_pods_that_cannot_run_gets_no_more_of_them() {
    let mut script = Script::new();
    let since = script.now();
    for _ in 0..20 {
        let plan = next(&mut script).cycle(only(variant("a").ready(1, SATURATED).unschedulable_since(1, since)));
        assert_eq!(plan["a"], 2);
    }
    let plan = next(&mut script).cycle(only(variant("a").ready(1, SATURATED).unschedulable_since(1, since)));
    assert_eq!(plan.target("a").reason, Reason::NoVariantCanGrow);
}

#[test]
fn a_pod_that_cannot_be_scheduled_does_not_keep_its_model_from_shrinking() {
    let mut script = Script::new();
    let since = script.now();
    let models = || two(variant("a").ready(1, IDLE).unschedulable_since(1, since), variant("b").ready(2, IDLE));
    script.cycle(models());

    let plan = next(&mut script).cycle(models());

    assert_eq!((plan["a"], plan["b"]), (2, 1));
}

#[test]
fn a_variant_none_of_whose_pods_can_run_waits_for_them_and_its_metrics_are_not_called_missing_for_it() {
    let mut script = Script::new();
    let since = script.now();
    let models = || two(variant("a").unschedulable_since(2, since), variant("b").ready(1, SATURATED));
    script.cycle(models());

    let plan = next(&mut script).cycle(models());

    assert_eq!((plan["a"], plan["b"]), (2, 2));
    let unsettled = Unsettled::Metrics { reporting: 0, current: 2 };
    assert_eq!(plan.target("a").reason, Reason::InTransition { variant: "a".into(), unsettled });
}

#[test]
fn a_model_none_of_whose_pods_can_run_wakes_a_sleeping_variant_for_requests_that_wait() {
    let mut script = Script::new();
    let since = script.now();
    let models = || [model(MODEL).with(variant("a").unschedulable_since(1, since)).with(variant("b")).queued(3.0)];
    assert_eq!(script.cycle(models())["b"], 0);

    let plan = next(&mut script).cycle(models());

    assert_eq!((plan["a"], plan["b"]), (1, 1));
    assert_eq!(plan.target("b").reason, Reason::Woken { queued: 3 });
}

// === GPUs ===

fn limited(mode: Mode, gpus: &[(&str, u32)]) -> Script {
    let mut script = script(mode);
    script.settings.limiter = Limiter::On { on_unknown: FailMode::Hold };
    let of = |(name, total): &(&str, u32)| ((*name).to_owned(), Gpus { total: *total, used_by_others: 0 });
    script.inventory = Some(Inventory { gpus: gpus.iter().map(of).collect() });
    script
}

/// The case of a full node: 8 GPUs a replica at a low cost, one GPU a replica at a high one.
#[rstest]
fn the_cheapest_variant_for_which_there_is_a_gpu_grows(#[values(Mode::Threshold, Mode::Saturation)] mode: Mode) {
    let mut script = limited(mode, &[("A100", 8), ("H100", 8)]);

    let plan = script.cycle(two(serving("cheap", 1, SATURATED).gpus(8), serving("dear", 1, SATURATED).on("H100")));

    assert_eq!((plan["cheap"], plan["dear"]), (1, 2), "{:?}", plan.target("cheap"));
}

#[test]
fn a_variant_whose_gpus_are_not_known_comes_after_one_whose_are() {
    let mut script = limited(Mode::Threshold, &[("H100", 8)]);

    let plan = script.cycle(two(serving("cheap", 1, SATURATED), serving("dear", 1, SATURATED).on("H100")));

    assert_eq!((plan["cheap"], plan["dear"]), (1, 2));
}

#[test]
fn what_the_gpus_of_one_variant_do_not_hold_the_next_one_gets() {
    let mut script = limited(Mode::Saturation, &[("A100", 3), ("H100", 8)]);

    let plan = script.cycle(two(serving("cheap", 2, SATURATED), serving("dear", 2, SATURATED).on("H100")));

    assert_eq!(plan["cheap"], 3);
    assert!(plan["dear"] > 2, "{:?}", plan.target("dear"));
}

#[test]
fn gpus_promised_to_another_model_are_not_counted_on() {
    let mut script = limited(Mode::Threshold, &[("A100", 3), ("H100", 8)]);
    let models = || {
        let [second] = two(serving("cheap", 1, SATURATED), serving("dear", 1, SATURATED).on("H100"));
        [model("first").with(serving("a", 1, SATURATED).cost(0.5)), second]
    };
    let first: Cycle = script.cycle(models());
    assert_eq!((first["a"], first["cheap"]), (2, 1));

    let plan = next(&mut script).cycle(models());

    assert_eq!((plan["a"], plan["cheap"], plan["dear"]), (2, 1, 2));
}

#[test]
fn a_sleeping_variant_is_woken_when_there_are_no_gpus_for_the_running_ones() {
    let mut script = limited(Mode::Threshold, &[("A100", 1), ("H100", 8)]);
    script.settings.zero = PerModel::all(ZeroPolicy { enabled: true, ..ZeroPolicy::default() });

    let plan = script.cycle(two(variant("a").ready(1, SATURATED), variant("b").on("H100").desired(0)));

    assert_eq!((plan["a"], plan["b"]), (1, 1));
}

#[test]
fn patience_follows_the_interval() {
    let settings = |interval| Settings { interval: seconds(interval), ..Settings::default() };

    // An HPA looks every 15 s at a number that is scraped as seldom, however often we decide.
    assert_eq!(settings(2).growth_patience(), seconds(45));
    assert_eq!(settings(20).growth_patience(), seconds(60));
    assert_eq!(settings(60).growth_patience(), seconds(180));
    assert_eq!(settings(3600).growth_patience(), SignedDuration::from_mins(10));
    assert_eq!((settings(2).obstacle_grace(), settings(300).obstacle_grace()), (seconds(2), seconds(60)));
}
