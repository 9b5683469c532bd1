//! Decisions of the `saturation` analyzer, within the frame.

use jiff::SignedDuration;
use rstest::rstest;
use wva_engine::fixtures::{MODEL, ModelBuilder, START, Script, VariantBuilder, model, variant};
use wva_engine::plan::{Note, Reason, Unsettled};
use wva_engine::settings::{Analyzer, PerModel, TokenThresholds};
use wva_engine::vllm::ServerArguments;
use wva_engine::{ModelKey, Settings};

const LENGTHS: (f64, f64) = (100.0, 50.0);
/// Of 16,000 tokens 12,800 count: 11,000 in use are short of room for 142, 1,000 of two replicas leave 22,743.
const SHORT: (f64, f64) = (11_000.0 / 16_000.0, 0.0);
const FULL: (f64, f64) = (0.75, 4.0);
const IDLE: (f64, f64) = (1000.0 / 16_000.0, 0.0);
const BALANCED: (f64, f64) = (0.60, 0.0);

fn counting() -> Script {
    let mut script = Script::new();
    script.settings.analyzer = PerModel::all(Analyzer::Saturation(TokenThresholds::default()));
    script
}

fn loaded(name: &str, pods: u32, load: (f64, f64)) -> VariantBuilder {
    variant(name).ready(pods, load).tokens(16_000, LENGTHS)
}

fn only(variant: VariantBuilder) -> [ModelBuilder; 1] {
    [model(MODEL).with(variant)]
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

#[test]
fn a_model_that_is_short_grows_where_room_costs_least() {
    let plan = counting().cycle([model(MODEL)
        .with(loaded("a", 1, SHORT).cost(5.0))
        .with(variant("b").cost(8.0).ready(1, SHORT).tokens(32_000, LENGTHS))]);

    assert_eq!((plan["a"], plan["b"]), (1, 2));
    assert!(matches!(plan.target("b").reason, Reason::TokensShort { demand: 33_000, anticipated: 38_400, .. }));
    assert_eq!(plan.target("a").reason, Reason::OtherVariantScalesUp { variant: "b".into() });
    assert!(plan.0.models[0].tokens.is_some());
}

#[test]
fn a_model_with_room_to_spare_gives_up_what_costs_most() {
    let plan =
        counting().cycle([model(MODEL).with(loaded("a", 2, IDLE).cost(5.0)).with(loaded("b", 2, IDLE).cost(9.0))]);

    assert_eq!((plan["a"], plan["b"]), (1, 1));
    assert!(matches!(plan.target("b").reason, Reason::TokensToSpare { per_replica: 12_800, .. }));
}

#[test]
fn c65_a_burst_grows_a_model_by_doubling_at_most_118_replicas_more_for_go_and_one_here() {
    // 4,000 in use with 200 requests of 1,000 tokens waiting: a fifty-fold need.
    let burst = variant("a").ready(1, (0.25, 200.0)).tokens(16_000, (1000.0, 50.0));

    let plan = counting().cycle(only(burst));

    assert_eq!(plan["a"], 2);
    let short = plan.0.models[0].tokens.as_ref().map(|tokens| (tokens.demand, tokens.required > 200_000.0));
    assert_eq!(short, Some((204_000, true)));
}

#[test]
fn what_one_variant_may_not_take_the_next_one_takes() {
    let plan = counting().cycle([model(MODEL)
        .with(loaded("a", 1, (0.75, 200.0)).cost(5.0).at_most(1))
        .with(loaded("b", 1, (0.75, 200.0)).cost(9.0))]);

    assert_eq!((plan["a"], plan["b"]), (1, 2));
}

#[test]
fn c75_c76_a_running_variant_keeps_a_replica_where_the_go_controller_drained_it() {
    let plan = counting().cycle([model(MODEL)
        .with(loaded("cheap", 1, (0.0, 0.0)).cost(5.0))
        .with(loaded("dear", 1, (0.0, 0.0)).cost(15.0))]);

    assert_eq!((plan["cheap"], plan["dear"]), (1, 1));
}

#[test]
fn a_large_variant_shrinks_by_halving_at_most() {
    assert_eq!(counting().cycle(only(loaded("a", 20, (0.0, 0.0))))["a"], 10);
}

#[test]
fn c126_a_variant_that_loads_takes_its_share_at_its_own_cost_and_nothing_is_dropped() {
    let loading = |cost| variant("b").on("H100").cost(cost).pending_since(1, START).started_with(server());
    let models = |cost| [model(MODEL).with(loaded("a", 1, FULL).cost(10.0).started_with(server())).with(loading(cost))];

    // Its room counts as on its way: nothing is short.
    let plan = counting().cycle(models(100.0));
    assert_eq!((plan["a"], plan["b"]), (1, 1));

    // With a hundred requests waiting it is short even so; the dear one does not get it.
    let busy = loaded("a", 1, (0.79, 100.0)).cost(10.0).started_with(server());
    let plan = counting().cycle([model(MODEL).with(busy).with(loading(1000.0))]);
    assert_eq!((plan["a"], plan["b"]), (2, 1));
    assert_eq!(plan.target("b").accelerator, "H100");
}

fn server() -> ServerArguments {
    ServerArguments { max_num_seqs: 64, num_gpu_blocks_override: 1000, ..ServerArguments::default() }
}

#[test]
fn a_model_that_is_short_grows_although_an_earlier_change_is_under_way() {
    let mut script = counting();
    script.cycle(only(loaded("a", 2, SHORT)));
    let since = script.now();
    let growing = variant("a").ready(2, (0.75, 200.0)).tokens(16_000, LENGTHS).pending_since(1, since);

    assert_eq!(script.pass(minutes(1)).cycle(only(growing))["a"], 4);
}

#[test]
fn a_model_with_room_to_spare_waits_for_an_earlier_change() {
    let mut script = counting();
    script.cycle(only(loaded("a", 2, BALANCED)));
    let since = script.now();

    let plan = script.pass(minutes(1)).cycle(only(loaded("a", 2, IDLE).pending_since(1, since).desired(3)));

    assert_eq!(plan["a"], 3);
    let unsettled = Unsettled::Metrics { reporting: 2, current: 3 };
    assert_eq!(plan.target("a").reason, Reason::InTransition { variant: "a".into(), unsettled });
}

#[test]
fn a_number_that_is_not_followed_yet_stays_while_the_model_is_short() {
    let mut script = counting();
    for _ in 0..9 {
        assert_eq!(script.pass(minutes(1)).cycle(only(loaded("a", 1, SHORT)))["a"], 2);
    }
}

#[test]
fn a_gap_in_the_readings_holds_the_model() {
    let plan = counting().cycle(only(loaded("a", 2, IDLE).silent(1).desired(4)));

    assert_eq!((plan["a"], &plan.target("a").reason), (4, &Reason::Held));
}

#[test]
fn a_pod_that_does_not_say_what_it_holds_is_like_its_siblings() {
    let mut odd = loaded("a", 2, SHORT);
    if let Some(sample) = &mut odd.0.pods[1].sample {
        sample.tokens.kv_blocks = None;
    }

    let plan = counting().cycle(only(odd));

    assert_eq!(plan.0.models[0].tokens.as_ref().map(|it| it.demand), Some(22_000));
}

#[test]
fn without_token_counts_the_thresholds_decide_and_the_status_says_so() {
    let plan = counting().cycle(only(variant("a").ready(1, (0.78, 4.0))));

    assert_eq!(plan["a"], 2);
    assert!(matches!(plan.target("a").reason, Reason::ScaleUp { .. }));
    assert_eq!(plan.target("a").notes, [Note::TokensNotCounted]);
    assert_eq!(plan.0.models[0].tokens, None);
}

#[test]
fn nothing_is_given_up_while_nobody_knows_how_long_the_waiting_prompts_are() {
    let mut script = counting();
    let unknown = |queue| variant("a").ready(2, (0.05, queue)).tokens(16_000, (0.0, 50.0));

    assert_eq!(script.cycle(only(unknown(1.0)))["a"], 2);
    assert_eq!(script.pass(minutes(1)).cycle(only(unknown(0.0)))["a"], 1);
}

#[test]
fn requests_at_the_gateway_make_a_model_grow_before_its_servers_are_full() {
    let busy = || model(MODEL).with(loaded("a", 1, BALANCED));

    assert_eq!(counting().cycle([busy()])["a"], 1);
    assert_eq!(counting().cycle([busy().queued(20.0)])["a"], 2);
}

#[rstest]
#[case::at_the_maximum(loaded("a", 3, FULL).at_most(3), 3, Reason::NoVariantCanGrow)]
#[case::at_the_minimum(loaded("a", 3, IDLE).at_least(3), 3, Reason::Steady)]
fn limits_hold(#[case] variant: VariantBuilder, #[case] replicas: u32, #[case] reason: Reason) {
    let plan = counting().cycle(only(variant));

    assert_eq!((plan["a"], &plan.target("a").reason), (replicas, &reason));
}

#[test]
fn a_namespace_can_choose_its_analyzer() {
    let key = ModelKey { namespace: "llm".into(), model_id: MODEL.into() };
    let analyzer = Analyzer::Saturation(TokenThresholds::default());
    let of_namespace = PerModel { namespaces: [("llm".to_owned(), analyzer)].into(), ..PerModel::default() };
    let settings = Settings { analyzer: of_namespace, ..Settings::default() };

    assert_eq!(*settings.analyzer.of(&key), analyzer);
}

#[test]
fn what_was_learnt_is_forgotten_with_its_variant() {
    let mut script = counting();
    script.cycle([model(MODEL).with(loaded("a", 1, (0.5, 6.0))).with(loaded("b", 1, BALANCED))]);
    script.pass(SignedDuration::from_hours(25)).cycle(only(variant("c")));

    let mut fresh = counting();
    fresh.pass(SignedDuration::from_hours(25)).cycle(only(variant("c")));
    assert_eq!(script.memory(), fresh.memory());
}
