//! The proactive mode: forecast and saturation decide together, within the frame.
//!
//! Servers are those of case 107: with 16 requests at once, prompts of 100 and answers of 200 tokens, one takes 1.15363
//! requests per second within 2 s to the first token and 500 ms between tokens.

use rstest::rstest;
use wva_engine::fixtures::{MODEL, ModelBuilder, START, Script, VariantBuilder, model, reading, variant};
use wva_engine::plan::{Evidence, Note, Reason};
use wva_engine::proactive::{Missing, Positions, Verdict, arbitrate};
use wva_engine::queueing::{Replica, RequestSize, ServiceTime};
use wva_engine::settings::{
    Analyzer, FailMode, Limiter, PerModel, Proactive, Profile, Slo, TokenThresholds, ZeroPolicy,
};
use wva_engine::snapshot::{Demand, Gpus, Inventory};
use wva_engine::vllm::ServerArguments;

const PER_REPLICA: f64 = 1.15363;
/// Loads as (share of the KV cache, waiting requests).
const SATURATED: (f64, f64) = (0.75, 0.0);
const BALANCED: (f64, f64) = (0.60, 1.0);
const IDLE: (f64, f64) = (0.10, 0.0);

fn proactive() -> Proactive {
    let profile = |accelerator: &str| Profile {
        model_id: MODEL.to_owned(),
        accelerator: accelerator.to_owned(),
        alpha: 5.0,
        beta: 0.2,
        gamma: 0.015,
    };
    let slo = Slo { model_id: MODEL.to_owned(), ttft_ms: Some(2000.0), itl_ms: Some(500.0), ..Slo::default() };
    Proactive {
        profiles: vec![profile("NVIDIA-A100-SXM4-80GB"), profile("h100")],
        slos: vec![slo],
        ..Proactive::default()
    }
}

fn hybrid() -> Script {
    let mut script = Script::new();
    script.settings.proactive = Some(proactive());
    script
}

fn serving(name: &str, pods: u32, load: (f64, f64)) -> VariantBuilder {
    let server = ServerArguments { max_num_seqs: 16, ..ServerArguments::default() };
    variant(name).ready(pods, load).tokens(160_000, (100.0, 200.0)).started_with(server)
}

fn only(variant: VariantBuilder, rate: f64) -> [ModelBuilder; 1] {
    [model(MODEL).with(variant).arriving(rate)]
}

// === Ahead of saturation ===

#[test]
fn a_model_grows_by_the_rate_of_requests_before_any_replica_is_saturated() {
    let mut script = hybrid();

    let plan = script.cycle(only(serving("a", 1, BALANCED), 1.5));

    assert_eq!(plan["a"], 2, "1.5 / 0.85 = 1.76 requests per second need 2 replicas of 1.15");
    assert!(matches!(plan.target("a").reason, Reason::RateShort { .. }), "{:?}", plan.target("a"));
    let forecast = plan.0.models[0].forecast.as_ref().expect("everything is known");
    assert!((forecast.anticipated - PER_REPLICA).abs() < 1e-3, "{forecast:?}");
    assert!((forecast.required - (1.5 / 0.85 - PER_REPLICA)).abs() < 1e-3, "{forecast:?}");
    assert_eq!((forecast.variants[0].max_batch, forecast.variants[0].ready), (16, 1));
    assert_eq!(
        forecast.to_string(),
        "1.50 requests arrive per second, with prompts of 100 and answers of 200 tokens; the replicas can take 1.15 within \
         2000 ms to the first token and 500 ms between tokens (each of a 1.15): room for 0.61 more is needed"
    );
}

#[test]
fn without_the_mode_the_same_model_stays_as_it_is() {
    let plan = Script::new().cycle(only(serving("a", 1, BALANCED), 1.5));

    assert_eq!((plan["a"], &plan.target("a").reason), (1, &Reason::Steady));
    assert_eq!(plan.0.models[0].forecast, None);
}

#[test]
fn requests_at_the_gateway_count_as_arriving_until_the_next_decision() {
    let at_gateway =
        |queued| hybrid().cycle([model(MODEL).with(serving("a", 1, BALANCED)).arriving(0.8).queued(queued)]);

    assert_eq!((at_gateway(0.0)["a"], at_gateway(60.0)["a"]), (1, 2), "60 within a minute are one a second");
}

#[test]
fn a_promise_of_tokens_per_second_keeps_a_model_ready_for_them() {
    let mut script = hybrid();
    script.settings.proactive.as_mut().expect("set above").slos[0].tps = Some(400.0);

    let plan = script.cycle(only(serving("a", 1, BALANCED), 0.1));

    assert_eq!(plan["a"], 2, "400 tokens in answers of 200 are two requests");
}

#[test]
fn growth_goes_where_a_request_costs_least_up_to_a_maximum() {
    let models = || {
        let a = serving("a", 1, BALANCED).cost(5.0).at_most(1);
        let (b, c) = (serving("b", 1, BALANCED).cost(8.0).on("H100"), serving("c", 1, BALANCED).cost(20.0));
        [model(MODEL).with(a).with(b).with(c).arriving(3.5)]
    };

    let plan = hybrid().cycle(models());

    assert_eq!((plan["a"], plan["b"], plan["c"]), (1, 2, 1), "3.5 / 0.85 = 4.12 need 4 replicas");
    let other = Reason::OtherVariantScalesUp { variant: "b".into() };
    assert_eq!((&plan.target("a").reason, &plan.target("c").reason), (&other, &other));
}

#[test]
fn one_cycle_at_most_doubles_a_variant() {
    let plan = hybrid().cycle(only(serving("a", 2, BALANCED), 100.0));

    assert_eq!(plan["a"], 4);
}

#[test]
fn a_sleeping_variant_is_woken_for_the_rate_when_the_others_can_grow_no_more() {
    let mut script = hybrid();
    script.settings.zero = PerModel::all(ZeroPolicy { enabled: true, ..ZeroPolicy::default() });

    let awake = serving("a", 1, BALANCED).at_most(1);
    let plan = script.cycle([model(MODEL).with(awake).with(variant("b").desired(0)).arriving(1.5)]);

    assert_eq!((plan["a"], plan["b"]), (1, 1));
    assert!(matches!(plan.target("b").reason, Reason::RateShort { .. }), "{:?}", plan.target("b"));
}

// === Without a profile ===

/// A server that nobody has a profile of.
fn unknown_server() -> Replica {
    let service = ServiceTime { alpha: 11.45, beta: 0.0856, gamma: 0.00049 };
    Replica::new(service, RequestSize { input: 100.0, output: 200.0 }, 16)
}

/// What its requests see at so many per second.
fn paced(name: &str, rate: f32) -> VariantBuilder {
    let seen = unknown_server().analyze(rate).expect("a rate within its range");
    serving(name, 1, BALANCED).paced(rate.into(), (seen.wait + seen.prefill).into(), seen.itl.into())
}

#[test]
fn a_profile_that_nobody_gives_is_learnt_from_what_requests_see() {
    let mut script = hybrid();
    script.settings.proactive.as_mut().expect("set above").profiles.clear();
    let capacity = unknown_server().capacity(&proactive().slos[0]).expect("feasible");

    let unknown = Note::NoForecast { missing: Missing::Profile { accelerator: "A100".into() } };
    let first = script.cycle(only(paced("a", 0.2 * capacity), 0.1));
    assert_eq!((first["a"], &first.target("a").notes), (1, &vec![unknown]));
    for load in [0.3, 0.5, 0.7, 0.6, 0.4, 0.3, 0.5, 0.7] {
        script.pass(script.settings.interval);
        assert_eq!(script.cycle(only(paced("a", load * capacity), 0.1))["a"], 1);
    }

    let plan = script.pass(script.settings.interval).cycle(only(paced("a", 0.7 * capacity), 1.3 * f64::from(capacity)));

    assert_eq!((plan["a"], plan.target("a").notes.len()), (2, 0));
    let forecast = plan.0.models[0].forecast.as_ref().expect("everything is known");
    let of_variant = &forecast.variants[0];
    let share = of_variant.per_replica / f64::from(capacity);
    assert!(of_variant.learnt && (0.9..1.1).contains(&share), "{share} of what it can take: {of_variant:?}");
    assert!(forecast.to_string().contains(", as learnt)"), "{forecast}");
}

#[test]
fn nothing_is_learnt_from_a_model_that_has_not_settled() {
    let mut script = hybrid();
    script.settings.proactive.as_mut().expect("set above").profiles.clear();
    for _ in 0..10 {
        let plan = script.cycle(only(paced("a", 0.5).pending_since(1, START), 0.5));
        assert_eq!(plan.target("a").notes.len(), 1, "{:?}", plan.target("a").notes);
    }

    let unsettled = serde_json::to_value(script.memory()).expect("memory is data");
    assert_eq!(unsettled["learnt"], serde_json::json!([]));
}

// === Together with saturation ===

#[rstest]
#[case::row_1_saturation_vetoes((4, 2, true), (3, Verdict::Vetoed))]
#[case::row_2_fewer_would_be_unsafe((3, 2, false), (3, Verdict::Vetoed))]
#[case::row_3_saturation_alone((4, 3, true), (4, Verdict::Analyzer))]
#[case::row_4_the_rate_alone((3, 5, true), (5, Verdict::Forecast))]
#[case::row_4_the_rate_alone_downwards((3, 2, true), (2, Verdict::Forecast))]
#[case::row_4_against_saturation_that_lets_go((2, 4, true), (4, Verdict::Forecast))]
#[case::row_4_without_an_analysis((3, 4, true), (4, Verdict::Forecast))]
#[case::row_5_nothing((3, 3, true), (3, Verdict::Analyzer))]
#[case::row_5_saturation_lets_go_what_the_rate_needs((2, 3, true), (3, Verdict::Needed))]
#[case::both_up_the_same((5, 5, false), (5, Verdict::Analyzer))]
#[case::both_up_and_the_rate_higher((4, 5, false), (5, Verdict::Forecast))]
#[case::both_up_and_saturation_higher_go_took_4((5, 4, false), (5, Verdict::Analyzer))]
fn c113_analyzer_and_forecast_are_arbitrated(
    #[case] (analyzer, forecast, safe): (u32, u32, bool),
    #[case] expected: (u32, Verdict),
) {
    assert_eq!(arbitrate(Positions { current: 3, analyzer, forecast, safe }), expected);
}

#[test]
fn saturation_vetoes_what_the_rate_would_let_go() {
    let plan = hybrid().cycle(only(serving("a", 3, SATURATED), 0.1));

    assert_eq!(plan["a"], 3);
    assert_eq!(plan.target("a").reason, Reason::ForecastVetoed { wanted: 2, saturated: true });
}

#[test]
fn nothing_goes_that_the_analyzer_thinks_unsafe_to_let_go() {
    let plan = hybrid().cycle(only(serving("a", 3, BALANCED), 0.1));

    assert_eq!(plan["a"], 3);
    assert_eq!(plan.target("a").reason, Reason::ForecastVetoed { wanted: 2, saturated: false });
}

#[test]
fn nothing_goes_that_the_rate_needs() {
    let plan = hybrid().cycle(only(serving("a", 3, IDLE), 2.8));

    assert_eq!((plan["a"], Script::new().cycle(only(serving("a", 3, IDLE), 2.8))["a"]), (3, 2));
    assert!(matches!(plan.target("a").reason, Reason::NeededByForecast { analyzer: 2 }), "{:?}", plan.target("a"));
}

#[test]
fn saturation_that_the_rate_does_not_explain_is_answered_all_the_same() {
    let plan = hybrid().cycle(only(serving("a", 3, SATURATED), 2.8));

    assert_eq!(plan["a"], 4);
    assert!(matches!(plan.target("a").reason, Reason::ScaleUp { .. }), "{:?}", plan.target("a"));
}

#[test]
fn with_thresholds_one_replica_of_the_model_goes_at_a_time() {
    let models = [model(MODEL).with(serving("a", 4, IDLE)).with(serving("b", 4, IDLE).cost(20.0)).arriving(0.1)];

    let plan = hybrid().cycle(models);

    assert_eq!((plan["a"], plan["b"]), (4, 3), "the thresholds look one replica ahead");
    assert!(matches!(plan.target("b").reason, Reason::RateToSpare { .. }), "{:?}", plan.target("b"));
    assert_eq!(plan.target("a").reason, Reason::OtherVariantScalesDown { variant: "b".into() });
}

#[rstest]
#[case::tokens_to_spare_for_two((0.007, 0.0), 2)]
#[case::tokens_to_spare_for_one((0.010, 0.0), 3)]
#[case::tokens_to_spare_for_none((0.012, 0.0), 4)]
fn with_tokens_no_more_goes_than_holds_the_tokens_to_spare(#[case] load: (f64, f64), #[case] expected: u32) {
    let mut script = hybrid();
    script.settings.analyzer = PerModel::all(Analyzer::Saturation(TokenThresholds::default()));

    let plan = script.cycle(only(serving("a", 4, load), 0.1));

    assert_eq!(plan["a"], expected, "{:?}", plan.0.models[0].tokens);
}

// === Within the frame ===

#[test]
fn nothing_asked_of_a_model_leaves_its_minimum() {
    let mut script = hybrid();
    let mut replicas = vec![];
    let mut pods = 3;
    for _ in 0..4 {
        let idle = variant("a").ready(pods, (0.0, 0.0)).at_least(1);
        pods = script.cycle(only(idle, 0.0))["a"];
        replicas.push(pods);
        script.pass(script.settings.interval);
    }

    assert_eq!(replicas, [2, 1, 1, 1], "c106: lengths are not known while nothing is asked, and not needed");
}

#[rstest]
#[case::rate(|model: ModelBuilder| model.asked(Demand::default()), |_: &mut Proactive| {}, Missing::Rate)]
#[case::old_rate(
    |model: ModelBuilder| {
        let old = wva_engine::snapshot::Reading { age: jiff::SignedDuration::from_mins(3), ..reading(9.0) };
        model.asked(Demand { arrival_rate: Some(old), ..Demand::default() })
    },
    |_: &mut Proactive| {},
    Missing::Rate
)]
#[case::promise(|model| model, |it: &mut Proactive| it.slos.clear(), Missing::Promise)]
#[case::promise_of_nothing(|model| model, |it: &mut Proactive| { it.slos[0].ttft_ms = None; it.slos[0].itl_ms = None }, Missing::Promise)]
#[case::promise_elsewhere(|model| model, |it: &mut Proactive| it.slos[0].namespace = Some("else".into()), Missing::Promise)]
#[case::profile(|model| model, |it: &mut Proactive| it.profiles.clear(), Missing::Profile { accelerator: "A100".into() })]
#[case::feasible(|model| model, |it: &mut Proactive| it.slos[0].itl_ms = Some(0.1), Missing::Feasible { accelerator: "A100".into() })]
#[case::sense(|model| model, |it: &mut Proactive| it.profiles[0].alpha = 0.0, Missing::Sense { accelerator: "A100".into() })]
fn what_is_missing_is_named_and_saturation_decides(
    #[case] model_of: fn(ModelBuilder) -> ModelBuilder,
    #[case] change: fn(&mut Proactive),
    #[case] missing: Missing,
) {
    for load in [SATURATED, BALANCED, IDLE] {
        let mut script = hybrid();
        change(script.settings.proactive.as_mut().expect("set above"));
        let models = || [model_of(model(MODEL).with(serving("a", 3, load)).arriving(9.0))];

        let plan = script.cycle(models());

        let alone = Script::new().cycle(models());
        assert_eq!((plan["a"], &plan.target("a").reason), (alone["a"], &alone.target("a").reason));
        assert_eq!(plan.target("a").notes, [Note::NoForecast { missing: missing.clone() }]);
        assert_eq!(plan.0.models[0].forecast, None);
    }
}

#[test]
fn lengths_that_are_not_known_are_named() {
    let plan = hybrid().cycle(only(variant("a").ready(3, BALANCED), 9.0));

    assert_eq!((plan["a"], &plan.target("a").notes), (3, &vec![Note::NoForecast { missing: Missing::Lengths }]));
}

#[test]
fn missing_readings_hold_whatever_arrives() {
    for rate in [0.0, 100.0] {
        let plan = hybrid().cycle(only(serving("a", 2, BALANCED).silent(1), rate));

        assert_eq!((plan["a"], &plan.target("a").reason), (3, &Reason::Held));
        assert!(matches!(plan.target("a").evidence, Evidence::Partial { .. }));
    }
}

#[test]
fn paused_decisions_stay_paused() {
    let mut script = hybrid();
    script.settings.enabled = false;

    assert_eq!(script.cycle(only(serving("a", 1, BALANCED), 9.0))["a"], 1);
}

#[test]
fn a_change_under_way_is_waited_for_unless_still_more_arrives() {
    let mut script = hybrid();
    assert_eq!(script.cycle(only(serving("a", 1, BALANCED), 1.5))["a"], 2);

    let waiting = script.cycle(only(serving("a", 1, BALANCED), 1.5));
    assert_eq!(waiting["a"], 2, "nobody has followed yet");

    let pending = || serving("a", 1, BALANCED).pending_since(1, START);
    let waiting = script.cycle(only(pending(), 1.5));
    assert_eq!(waiting["a"], 2, "what is on its way is enough");
    assert!(matches!(waiting.target("a").reason, Reason::InTransition { .. }), "{:?}", waiting.target("a"));

    let fewer = script.cycle(only(pending(), 0.01));
    assert_eq!(fewer["a"], 2, "nothing goes before it has arrived");

    let more = script.cycle(only(pending(), 3.0));
    assert_eq!(more["a"], 4, "3 / 0.85 = 3.53 need 4");
}

#[test]
fn a_scale_down_under_way_does_not_waver() {
    let mut script = hybrid();
    let idle = || only(serving("a", 3, IDLE), 0.1);

    assert_eq!((script.cycle(idle())["a"], script.cycle(idle())["a"], script.cycle(idle())["a"]), (2, 2, 2));
}

#[test]
fn growth_is_limited_to_the_gpus_there_are() {
    let mut script = hybrid();
    script.settings.limiter = Limiter::On { on_unknown: FailMode::Hold };
    let gpus = [("A100".to_owned(), Gpus { total: 3, used_by_others: 0 })];
    script.inventory = Some(Inventory { gpus: gpus.into() });

    let plan = script.cycle(only(serving("a", 2, BALANCED), 100.0));

    assert_eq!(plan["a"], 3);
    assert!(matches!(plan.target("a").reason, Reason::LimitedByGpus { wanted: 4, .. }), "{:?}", plan.target("a"));
}
