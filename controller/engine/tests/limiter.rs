//! Limiting growth to the GPUs there are.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use rstest::rstest;
use wva_engine::fixtures::{MODEL, ModelBuilder, Script, VariantBuilder, model, variant};
use wva_engine::limiter::{Grant, Request, allocate};
use wva_engine::plan::{Note, Reason};
use wva_engine::settings::{FailMode, Limiter};
use wva_engine::snapshot::{Gpus, Inventory};

/// Loads at which a model of any size needs capacity, the second more urgently, or has some to spare.
const BUSY: (f64, f64) = (0.75, 1.0);
const BUSIER: (f64, f64) = (0.79, 1.0);
const IDLE: (f64, f64) = (0.05, 0.0);

// === Dividing ===

fn request(name: &'static str, replicas: u32, gpus_per_replica: u32) -> Request<'static> {
    let (variant, pool) = (("llm", name), "a100".to_owned());
    Request { variant, pool, replicas, gpus_per_replica, promised: false, spare: 0.1, cost: 10.0 }
}

/// Replicas granted, in the order of the requests, and what stays free.
fn divided(free: u32, requests: &[Request<'_>]) -> (Vec<u32>, u32) {
    let mut pools = BTreeMap::from([("a100".to_owned(), free)]);
    let granted = allocate(requests, &mut pools).into_iter().map(|grant| match grant {
        Grant::Replicas { granted, .. } => granted,
        Grant::UnknownPool => 0,
    });
    (granted.collect(), pools["a100"])
}

#[rstest]
#[case::c84_enough(10, &[request("a", 2, 2)], &[2], 6)]
#[case::c85_one_of_two_and_the_odd_gpu_stays_free_where_the_go_controller_lost_it(3, &[request("a", 2, 2)], &[1], 1)]
#[case::c88_no_gpus_per_replica_are_one(1, &[request("a", 1, 0)], &[1], 0)]
#[case::c89_a_limit_of_6_of_which_4_are_used(2, &[request("a", 3, 2)], &[1], 0)]
#[case::c92_nothing_asked(4, &[request("a", 0, 2)], &[0], 4)]
#[case::what_one_cannot_use_is_left_for_the_next(3, &[request("a", 2, 2), request("b", 1, 1)], &[1, 1], 0)]
fn gpus_are_divided_in_whole_replicas(
    #[case] free: u32,
    #[case] requests: &[Request<'_>],
    #[case] granted: &[u32],
    #[case] left: u32,
) {
    assert_eq!(divided(free, requests), (granted.to_vec(), left));
}

#[test]
fn c86_who_has_least_to_spare_comes_first() {
    let asked = |free| {
        let of = |name, spare| Request { spare, ..request(name, 1, 2) };
        divided(free, &[of("a", 0.3), of("b", 0.05), of("c", 0.5)]).0
    };

    assert_eq!((asked(6), asked(4), asked(2)), (vec![1, 1, 1], vec![1, 1, 0], vec![0, 1, 0]));
}

#[test]
fn c87_of_equally_urgent_ones_the_cheaper_comes_first_and_then_the_first_by_name() {
    let of = |name, cost| Request { cost, ..request(name, 1, 2) };

    assert_eq!(divided(4, &[of("a", 20.0), of("b", 5.0)]).0, [1, 1]);
    assert_eq!(divided(2, &[of("a", 20.0), of("b", 5.0)]).0, [0, 1]);
    assert_eq!(divided(2, &[of("b", 5.0), of("a", 5.0)]).0, [0, 1]);
}

#[test]
fn what_was_promised_comes_before_what_is_more_urgent() {
    let promised = Request { promised: true, spare: 0.9, ..request("a", 1, 2) };

    assert_eq!(divided(2, &[request("b", 1, 2), promised]).0, [0, 1]);
}

#[rstest]
#[case::c92_no_name("")]
#[case::c92_unknown_type("b200")]
fn a_type_that_is_not_in_the_inventory_gets_an_answer_of_its_own(#[case] pool: &str) {
    let mut pools = BTreeMap::from([("a100".to_owned(), 8)]);
    let request = Request { pool: pool.to_owned(), ..request("a", 1, 1) };

    assert_eq!(allocate(&[request], &mut pools), [Grant::UnknownPool]);
    assert_eq!(pools["a100"], 8);
}

// === In a decision ===

fn limited(on_unknown: FailMode, gpus: &[(&str, u32, u32)]) -> Script {
    let mut script = Script::new();
    script.settings.limiter = Limiter::On { on_unknown };
    let of = |(name, total, used_by_others): &(&str, u32, u32)| {
        ((*name).to_owned(), Gpus { total: *total, used_by_others: *used_by_others })
    };
    script.inventory = Some(Inventory { gpus: gpus.iter().map(of).collect() });
    script
}

fn only(variant: VariantBuilder) -> [ModelBuilder; 1] {
    [model(MODEL).with(variant)]
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

#[rstest]
#[case::all_free(6, 0, 3)]
#[case::others_use_some(8, 2, 3)]
#[case::exactly_enough(6, 0, 3)]
#[case::one_too_few(5, 0, 2)]
#[case::others_use_too_many(8, 3, 2)]
#[case::c90_more_used_than_there_are(8, 12, 2)]
fn a_variant_grows_as_far_as_gpus_are_free(#[case] total: u32, #[case] used_by_others: u32, #[case] replicas: u32) {
    let mut script = limited(FailMode::Hold, &[("A100", total, used_by_others)]);

    let plan = script.cycle(only(variant("a").gpus(2).ready(2, BUSY)));

    assert_eq!(plan["a"], replicas);
    let reason = &plan.target("a").reason;
    assert_eq!(matches!(reason, Reason::LimitedByGpus { .. }), replicas == 2, "{reason}");
}

#[test]
fn the_reason_says_of_what_there_is_how_little() {
    let mut script = limited(FailMode::Hold, &[("NVIDIA-A100-PCIE-80GB", 4, 0), ("NVIDIA-A100-SXM4-40GB", 1, 0)]);

    let plan = script.cycle(only(variant("a").gpus(2).ready(2, BUSY)));

    let reason = Reason::LimitedByGpus { accelerator: "A100".into(), wanted: 3, gpus_per_replica: 2, free: 1 };
    assert_eq!((plan["a"], &plan.target("a").reason), (2, &reason));
}

#[test]
fn names_of_nodes_and_of_variants_meet() {
    let mut script = limited(FailMode::Hold, &[("A100", 5, 0)]);

    let plan = script.cycle([
        model("m").with(variant("a").on("NVIDIA-A100-PCIE-80GB").ready(2, BUSIER)),
        model("n").with(variant("b").on("a100").ready(2, BUSY)),
    ]);

    assert_eq!((plan["a"], plan["b"]), (3, 2));
}

#[test]
fn types_have_limits_of_their_own() {
    let mut script = limited(FailMode::Hold, &[("A100", 2, 0), ("H100", 4, 0)]);

    let plan = script.cycle([
        model("m").with(variant("a").on("A100").ready(2, BUSY)),
        model("n").with(variant("b").on("H100").ready(2, BUSY)),
    ]);

    assert_eq!((plan["a"], plan["b"]), (2, 3));
}

#[test]
fn the_model_that_is_shorter_of_capacity_gets_the_last_gpu() {
    let mut script = limited(FailMode::Hold, &[("A100", 5, 0)]);

    let plan =
        script.cycle([model("m").with(variant("a").ready(2, BUSY)), model("n").with(variant("b").ready(2, BUSIER))]);

    assert_eq!((plan["a"], plan["b"]), (2, 3));
}

#[test]
fn a_replica_that_was_promised_is_not_given_to_another_variant() {
    let mut script = limited(FailMode::Hold, &[("A100", 5, 0)]);
    let quiet = variant("b").ready(2, (0.5, 1.0));
    assert_eq!(script.cycle([model("m").with(variant("a").ready(2, BUSY)), model("n").with(quiet)])["a"], 3);

    let models = [model("m").with(variant("a").ready(2, BUSY)), model("n").with(variant("b").ready(2, BUSIER))];
    let plan = script.pass(minutes(1)).cycle(models);

    assert_eq!((plan["a"], plan["b"]), (3, 2));
}

#[test]
fn gpus_of_a_shrinking_variant_are_free_when_its_pods_are_gone() {
    let mut script = limited(FailMode::Hold, &[("A100", 5, 0)]);
    let models = |b| [model("m").with(variant("a").ready(2, BUSY)), model("n").with(b)];

    let plan = script.cycle(models(variant("b").ready(3, IDLE)));
    assert_eq!((plan["a"], plan["b"]), (2, 2), "the pod still runs");

    // The pod is being deleted: it is no replica any more, and still holds its GPU.
    script.inventory = Some(Inventory { gpus: [("A100".into(), Gpus { total: 5, used_by_others: 1 })].into() });
    let plan = script.pass(minutes(1)).cycle(models(variant("b").ready(2, (0.5, 1.0))));
    assert_eq!((plan["a"], plan["b"]), (2, 2), "the pod is on its way out");

    script.inventory = Some(Inventory { gpus: [("A100".into(), Gpus { total: 5, used_by_others: 0 })].into() });
    let plan = script.pass(minutes(1)).cycle(models(variant("b").ready(2, (0.5, 1.0))));
    assert_eq!((plan["a"], plan["b"]), (3, 2));
}

#[test]
fn replicas_without_pods_use_gpus_too() {
    // A quota keeps the second pod from being created, or it waits for a node.
    let mut script = limited(FailMode::Hold, &[("A100", 4, 0)]);
    let coming = variant("b").ready(1, (0.5, 1.0)).replicas(2, 1).desired(2);

    let plan = script.cycle([model("m").with(variant("a").ready(2, BUSY)), model("n").with(coming)]);

    assert_eq!((plan["a"], plan["b"]), (2, 2));
}

#[test]
fn nothing_is_taken_from_a_variant_that_has_more_than_there_is() {
    let mut script = limited(FailMode::Hold, &[("A100", 1, 0)]);

    assert_eq!(script.cycle(only(variant("a").ready(4, (0.65, 1.0))))["a"], 4);
}

#[test]
fn the_minimum_of_the_follower_is_not_limited() {
    // It is kept whatever is published.
    let mut script = limited(FailMode::Hold, &[("A100", 2, 0)]);

    let plan = script.cycle([
        model("m").with(variant("a").ready(1, (0.5, 1.0)).at_least(2)),
        model("n").with(variant("b").ready(1, BUSY)),
    ]);

    assert_eq!((plan["a"], plan["b"]), (2, 1));
}

#[test]
fn a_number_that_is_held_is_not_limited_and_its_gpus_are_kept_for_it() {
    let mut script = limited(FailMode::Hold, &[("A100", 5, 0)]);

    let plan = script
        .cycle([model("m").with(variant("a").silent(2).desired(3)), model("n").with(variant("b").ready(2, BUSY))]);

    assert_eq!((plan["a"], &plan.target("a").reason), (3, &Reason::Held));
    assert_eq!(plan["b"], 2);
}

#[rstest]
#[case::hold_without_the_type(FailMode::Hold, true, 2)]
#[case::hold_without_inventory(FailMode::Hold, false, 2)]
#[case::unlimited_without_the_type(FailMode::Unlimited, true, 3)]
#[case::unlimited_without_inventory(FailMode::Unlimited, false, 3)]
fn gpus_that_are_not_known_hold_or_do_not_limit_and_the_status_says_so(
    #[case] on_unknown: FailMode,
    #[case] inventory: bool,
    #[case] replicas: u32,
) {
    let mut script = limited(on_unknown, &[("A100", 8, 0)]);
    if !inventory {
        script.inventory = None;
    }

    let plan = script.cycle(only(variant("a").on("unknown").ready(2, BUSY)));

    let (target, accelerator) = (plan.target("a"), "unknown".to_owned());
    assert_eq!(target.replicas, replicas);
    if on_unknown == FailMode::Hold {
        assert_eq!(target.reason, Reason::GpusUnknown { accelerator, wanted: 3, inventory });
    } else {
        assert_eq!(target.notes, [Note::GpusNotCounted { accelerator }]);
        let note = "; the GPUs of type unknown could not be counted and do not limit it";
        assert!(target.explanation().ends_with(note), "{}", target.explanation());
    }
}

#[test]
fn an_inventory_that_is_gone_for_a_moment_does_not_take_a_promise_back() {
    let mut script = limited(FailMode::Hold, &[("A100", 8, 0)]);
    assert_eq!(script.cycle(only(variant("a").ready(2, BUSY)))["a"], 3);
    script.inventory = None;

    assert_eq!(script.pass(minutes(1)).cycle(only(variant("a").ready(2, BUSY)))["a"], 3);
}

#[test]
fn without_the_limiter_an_inventory_changes_nothing() {
    let mut script = limited(FailMode::Hold, &[("A100", 0, 0)]);
    script.settings.limiter = Limiter::Off;

    assert_eq!(script.cycle(only(variant("a").ready(2, BUSY)))["a"], 3);
}
