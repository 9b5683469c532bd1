//! `cost`: what its numbers are made of, and what is said where they cannot be known.

use jiff::SignedDuration;
use kubectl_wva::commands::cost::{CostView, Gathered, MixView, Prices, print};
use kubectl_wva::commands::status::{HpaView, ReplicasView, StatusView, VariantView};
use kubectl_wva::output::Format;
use kubectl_wva::output::console::Console;
use kubectl_wva::readers::debug_state::LastCycle;
use rstest::rstest;
use serde_json::{Value, json};
use wva_engine::History;

use crate::cli::wva;
use crate::fake_api::{FakeApi, list};
use crate::objects::{NOW, typed};

fn variant(name: &str, accelerator: &str, cost: &str, replicas: [i32; 2]) -> VariantView {
    let [current, desired] = replicas.map(Some);
    let hpa = HpaView {
        name: format!("{name}-hpa"),
        current,
        desired,
        min: 0,
        max: 9,
        scaled_object: None,
        inactive: None,
        inactive_since: None,
        waits: None,
    };
    VariantView {
        namespace: "models".to_owned(),
        name: format!("{name}-va"),
        release: Some(name.to_owned()),
        model: Some("meta/llama".to_owned()),
        accelerator: Some(accelerator.to_owned()),
        cost: cost.to_owned(),
        replicas: ReplicasView { current, ready: current, desired },
        hpa: Some(hpa),
        ..VariantView::default()
    }
}

fn status() -> StatusView {
    StatusView {
        as_of: NOW.parse().unwrap(),
        instances: Vec::new(),
        variants: vec![
            variant("llama-a100", "NVIDIA-A100-SXM4-80GB", "40", [2, 3]),
            variant("llama-h100", "H100", "90", [1, 1]),
        ],
        unread: Vec::new(),
        notes: Vec::new(),
    }
}

/// The last cycle of a controller that counts tokens: an H100 has room for three times as many as an A100.
fn cycle(room: [i64; 2]) -> LastCycle {
    let key = json!({"namespace": "models", "model_id": "meta/llama"});
    let observed = |name: &str, gpus: u32| {
        json!({
            "name": name, "accelerator": "x", "cost": 1.0, "spec_replicas": 1, "current": 1, "desired": 1,
            "bounds": {"min": null, "max": null}, "gpus_per_replica": gpus, "pods": [],
        })
    };
    let capacity = |name: &str, room: i64| json!({"variant": name, "perReplica": room, "demand": 0, "ready": 1, "pending": 0, "utilization": 0.0});
    let tokens = json!({
        "supply": 0, "anticipated": 0, "demand": 0, "required": 0.0, "spare": 0.0,
        "variants": [capacity("llama-a100-va", room[0]), capacity("llama-h100-va", room[1])],
    });
    let cycle: Value = json!({
        "at": NOW,
        "snapshot": {"models": [{
            "key": key, "source": "answered", "variants": [observed("llama-a100-va", 1), observed("llama-h100-va", 2)],
        }]},
        "plan": {"targets": [], "models": [{"key": key, "evidence": {"state": "complete"}, "analysis": null, "tokens": tokens}]},
    });
    typed(&cycle)
}

fn gathered(cycles: Vec<LastCycle>) -> Gathered {
    Gathered { status: status(), cycles, histories: None, recorded: Vec::new(), notes: Vec::new() }
}

fn printed(view: &CostView, format: Format) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut plain = anstream::StripStream::new(&mut out);
    let mut console = Console { out: &mut plain, err: &mut err, format, headers: true, width: Some(80) };
    print(view, &mut console).unwrap();
    [err, out].map(|text| String::from_utf8(text).unwrap()).concat()
}

/// Both variants, for the page.
pub(crate) fn shown() -> String {
    printed(&CostView::build(&gathered(vec![cycle([1_000, 3_000])]), None, None), Format::Table)
}

#[test]
fn the_size_there_is_and_the_size_decided_cost_per_hour_and_month() {
    let view = CostView::build(&gathered(vec![cycle([1_000, 3_000])]), None, None);
    let total = view.total;
    assert_eq!((total.per_hour, total.per_hour_decided), (2.0 * 40.0 + 90.0, 3.0 * 40.0 + 90.0));
    assert_eq!((total.per_month, total.per_month_decided), (170.0 * 730.0, 210.0 * 730.0));
    // Three A100 and an H100 have room for 6,000 tokens; so have two H100, at 180.
    let MixView::Known { capacity, replicas, per_hour, saves_per_hour, .. } = &view.models[0].cheapest else {
        panic!("{:?}", view.models[0].cheapest)
    };
    assert_eq!((*capacity, *per_hour, *saves_per_hour), (6_000.0, 180.0, 30.0));
    assert_eq!(replicas.values().copied().collect::<Vec<_>>(), [0, 2], "{replicas:?}");
    let text = printed(&view, Format::Table);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!("cost_80", text);
}

#[test]
fn a_price_list_counts_gpus_and_names_what_it_lacks() {
    let prices = Prices::parse("A100: 3.5\nH100: 8").unwrap();
    let view = CostView::build(&gathered(vec![cycle([1_000, 3_000])]), Some(&prices), None);
    let each: Vec<_> = view.models[0].variants.iter().map(|it| it.per_replica_hour).collect();
    assert_eq!(each, [Some(3.5), Some(16.0)], "an H100 replica takes two GPUs");
    assert!(view.notes.is_empty(), "{:?}", view.notes);

    let prices = Prices::parse("A100: 3.5").unwrap();
    let view = CostView::build(&gathered(Vec::new()), Some(&prices), None);
    assert!((view.total.per_hour - 7.0).abs() < 1e-9, "only what has a price is counted");
    let notes = view.notes.join("\n");
    assert!(
        notes.contains("no accelerator H100") && notes.contains("GPUs per replica of llama-a100 are not known"),
        "{notes}"
    );
}

#[rstest]
#[case::nobody_tells(Vec::new(), "no controller tells what it knows of the model")]
#[case::not_seen(vec![cycle([1_000, 0])], "what a replica of llama-h100 takes has not been seen yet")]
fn a_mix_that_cannot_be_known_says_why(#[case] cycles: Vec<LastCycle>, #[case] expect: &str) {
    let text = printed(&CostView::build(&gathered(cycles), None, None), Format::Table);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("cheapest mix for the same: not known: {expect}")), "{text}");
}

#[test]
fn what_was_spent_is_told_with_the_time_since_when_it_is_known() {
    let now = status().as_of;
    let at = now - SignedDuration::from_hours(2);
    let decision = json!({
        "at": at, "until": at, "from": null, "to": 2, "current": 2, "cost": 40.0, "kvUsage": null, "queueLength": null,
        "class": "steady", "why": "",
    });
    let key = json!({"namespace": "models", "name": "llama-a100-va"});
    let history: History = typed(&json!([[key, {"since": at, "decisions": [decision]}]]));
    let gathered = Gathered { histories: Some(vec![history]), ..gathered(Vec::new()) };
    let view = CostView::build(&gathered, None, Some(now - SignedDuration::from_hours(24)));
    let variant = &view.models[0].variants[0];
    assert_eq!((variant.amounts.spent, variant.spent_since), (Some(160.0), Some(at)));
    let text = printed(&view, Format::Table);
    assert!(text.contains("SPENT") && text.contains("160.00 spent"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[rstest]
#[case::no_file(&["cost", "--prices", "/nonexistent"], "could not use the file /nonexistent")]
#[case::both(&["cost", "llama", "-A"], "cannot be used with")]
#[case::no_unit(&["cost", "--since", "24"], "did you mean 24s?")]
#[case::unknown(&["cost", "lama"], "there is no variant \"lama\"")]
fn what_makes_no_sense_is_refused(#[case] words: &[&str], #[case] expect: &str) {
    let api = FakeApi::start(|_, _| list(&[]));
    let answer = wva(words, Some(&api.kubeconfig));
    assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{}", answer.err);
    assert!(answer.err.contains(expect), "{}", answer.err);
}
