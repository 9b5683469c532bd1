//! `history`: what its readers see, and what they are told where there is nothing to see.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use kubectl_wva::commands::history::{HistoryView, RECORDED, print};
use kubectl_wva::output::Format;
use kubectl_wva::output::console::Console;
use kubectl_wva::readers::recorded::Recorded;
use rstest::rstest;
use serde_json::{Value, json};
use wva_api::VariantAutoscaling;
use wva_engine::history::VariantHistory;

use crate::cli::wva;
use crate::fake_api::{FakeApi, list, refusal};
use crate::objects::{NOW, typed, variant, variants};

/// An hour of a variant that grew under load and shrank again.
fn an_hour() -> VariantHistory {
    let decision = |minute: i64, numbers: [u32; 3], load: (f64, f64), class: &str, why: &str| {
        let [from, to, current] = numbers;
        let at = now() - SignedDuration::from_mins(60 - minute);
        json!({
            "at": at, "until": at + SignedDuration::from_mins(1), "from": from, "to": to, "current": current, "cost": 40.0,
            "kvUsage": load.0, "queueLength": load.1, "class": class, "why": why,
        })
    };
    let waits = "Waiting for llama-a100-va to go from 1 to 3 replicas";
    typed(&json!({"since": now() - SignedDuration::from_mins(60), "decisions": [
        decision(0, [1, 1, 1], (0.2, 0.0), "steady", "Load and capacity are in balance"),
        decision(20, [1, 3, 1], (0.95, 9.0), "saturation", "spare KV 0.04 below 0.10: two replicas more"),
        decision(21, [3, 3, 1], (0.97, 12.0), "in_transition", waits),
        decision(26, [3, 3, 3], (0.6, 0.0), "steady", "Load and capacity are in balance"),
        decision(45, [3, 2, 3], (0.2, 0.0), "spare_capacity", "one replica can go: the others would keep 0.30 of their KV cache"),
        decision(50, [2, 2, 2], (0.3, 0.0), "steady", "Load and capacity are in balance"),
    ]}))
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn llama() -> Value {
    variant("models", "llama-a100", "llama-a100", "team-a")
}

fn view(history: Option<&VariantHistory>, since: SignedDuration) -> HistoryView {
    let one: VariantAutoscaling = typed(&llama());
    let mut view = HistoryView::build(&one, history, now() - since, now());
    view.call_by_known_names(&variants(&[llama()]));
    view
}

fn printed(view: &HistoryView, chart: bool, format: Format, width: Option<u16>) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut plain = anstream::StripStream::new(&mut out);
    let mut console = Console { out: &mut plain, err: &mut err, format, headers: true, width };
    print(view, chart, &TimeZone::UTC, &mut console).unwrap();
    [err, out].map(|text| String::from_utf8(text).unwrap()).concat()
}

/// The hour as a table or a chart, for the page.
pub(crate) fn shown(chart: bool, width: u16) -> String {
    printed(&view(Some(&an_hour()), SignedDuration::from_hours(1)), chart, Format::Table, Some(width))
}

#[rstest]
#[case::table_80("table_80", false, Format::Table, Some(80))]
#[case::table_120("table_120", false, Format::Table, Some(120))]
#[case::pipe("pipe", false, Format::Table, None)]
#[case::chart_80("chart_80", true, Format::Table, Some(80))]
#[case::chart_120("chart_120", true, Format::Table, Some(120))]
#[case::json("json", true, Format::Json, Some(80))]
fn an_hour_as_people_and_programs_see_it(
    #[case] name: &str,
    #[case] chart: bool,
    #[case] format: Format,
    #[case] width: Option<u16>,
) {
    let text = printed(&view(Some(&an_hour()), SignedDuration::from_hours(1)), chart, format, width);
    if let Some(width) = width.filter(|_| format == Format::Table) {
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{text}");
    }
    insta::assert_snapshot!(format!("history_{name}"), text);
}

#[test]
fn the_decision_in_force_when_the_time_begins_belongs_to_it() {
    let seen = view(Some(&an_hour()), SignedDuration::from_mins(30));
    let classes: Vec<&str> = seen.changes.iter().map(|change| change.class.as_str()).collect();
    assert_eq!(classes, ["steady", "spare_capacity", "steady"], "the first began 34 minutes ago");
}

#[test]
fn a_time_that_nobody_remembers_is_said() {
    let longer = view(Some(&an_hour()), SignedDuration::from_hours(3));
    let text = printed(&longer, false, Format::Table, Some(80));
    assert!(text.starts_with("note: the leader decides for it since 02:04:05 (1h) and knows nothing"), "{text}");
    let text = printed(&view(None, SignedDuration::from_hours(1)), false, Format::Table, Some(80));
    assert_eq!(text, "models/llama-a100 (meta/llama): nothing decided yet in 1h\n");
    let mut cut = an_hour();
    cut.decisions.pop_front();
    let text = printed(&view(Some(&cut), SignedDuration::from_hours(1)), false, Format::Table, Some(80));
    assert!(text.starts_with("note: the controller keeps the last 5 decisions only, from 02:24:05 on\n"), "{text}");
}

/// Six hours of Prometheus: one replica, from the third hour on two, with nothing in the fifth.
fn recorded() -> Recorded {
    let point = |minute: i64| {
        let at = now() - SignedDuration::from_mins(360 - minute);
        json!([at.as_second(), if minute < 180 { "1" } else { "2" }])
    };
    let values: Vec<Value> = (0..360).step_by(5).filter(|minute| minute / 60 != 4).map(point).collect();
    let series = |name: &str| {
        let metric = json!({"__name__": name, "exported_namespace": "models", "variant_name": "llama-a100-va"});
        json!({"metric": metric, "values": values})
    };
    let result = json!([series("wva_desired_replicas"), series("wva_current_replicas")]);
    let answer = json!({"status": "success", "data": {"resultType": "matrix", "result": result}});
    Recorded::parse("monitoring/prometheus", SignedDuration::from_mins(5), &answer.to_string()).unwrap()
}

#[test]
fn before_its_own_memory_prometheus_tells_the_numbers_and_who_tells_what_is_said() {
    let mut seen = view(Some(&an_hour()), SignedDuration::from_hours(6));
    assert_eq!(seen.unknown_until(None), Some(now() - SignedDuration::from_hours(1)));
    let fresh = now() - SignedDuration::from_mins(60) - SignedDuration::from_secs(15);
    assert_eq!(seen.unknown_until(Some(fresh)), None, "before it was made there is nothing to know");
    seen.add_recorded(&recorded(), 40.0);
    let earlier: Vec<(u32, u32, f64, i64)> = seen
        .changes
        .iter()
        .take_while(|change| change.class == RECORDED)
        .map(|it| (it.to, it.current, it.cost_per_hour, it.until.duration_since(it.at).as_mins()))
        .collect();
    assert_eq!(earlier, [(1, 1, 40.0, 180), (2, 2, 80.0, 60)], "the gap is no time with two replicas");
    assert_eq!(seen.changes.len(), 2 + 6);
    let text = printed(&seen, false, Format::Table, Some(80));
    assert!(text.lines().skip(1).all(|line| line.chars().count() <= 80), "{text}");
    assert!(
        text.starts_with("note: from 02:04:05 on as the controller keeps it; before that, from 21:04:05"),
        "{text}"
    );
    assert!(text.contains("not known: recorded by Prometheus monitoring/prometheus"), "{text}");
}

#[test]
fn why_prometheus_does_not_tell_either_is_said() {
    let mut seen = view(Some(&an_hour()), SignedDuration::from_hours(6));
    seen.unrecorded = vec!["could not ask Prometheus: User \"u\" cannot get resource \"services/proxy\"".to_owned()];
    let text = printed(&seen, false, Format::Table, Some(80));
    assert!(
        text.contains("nothing of the time before; Prometheus, which may know more, does not tell: could not"),
        "{text}"
    );
}

fn cluster(_: &str, path: &str) -> (u16, Value) {
    match path {
        "/apis/llmd.ai/v1alpha1/namespaces/models/variantautoscalings" => list(&[llama()]),
        "/apis/apps/v1/deployments" => list(&[]),
        _ => refusal(404, "NotFound", "the server could not find the requested resource"),
    }
}

#[rstest]
#[case::unknown(&["history", "lama-a100"], "did you mean llama-a100?")]
#[case::orphaned(&["history", "llama-a100"], "nobody decides for llama-a100: no controller takes variants of team-a")]
#[case::no_name(&["history"], "<NAME>")]
#[case::no_unit(&["history", "llama-a100", "--since", "2"], "did you mean 2s?")]
#[case::no_time(&["history", "llama-a100", "--since", "0"], "--since <TIME>': give a time above 0 and up to a year")]
fn what_cannot_be_shown_says_why(#[case] words: &[&str], #[case] expect: &str) {
    let api = FakeApi::start(cluster);
    let answer = wva(words, Some(&api.kubeconfig));
    assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{}", answer.err);
    assert!(answer.err.contains(expect), "{}", answer.err);
}
