//! `top`: in which order variants are shown, and that a line of it fits 80 columns.

use kubectl_wva::commands::status::{Level, LoadView, ReplicasView, StatusView, VariantView};
use kubectl_wva::commands::top::{SortBy, print};
use kubectl_wva::output::Format;
use kubectl_wva::output::console::Console;
use rstest::rstest;

use crate::objects::NOW;

fn variant(name: &str, cost: &str, replicas: [Option<i32>; 2], load: Option<(f64, f64)>) -> VariantView {
    let [current, desired] = replicas;
    let load = load.map(|(kv_usage, queue_length)| LoadView {
        kv_usage,
        queue_length,
        level: Level::Usual,
        each: Vec::new(),
        pods: 1,
        age_seconds: 1,
    });
    VariantView {
        namespace: "models".to_owned(),
        name: format!("{name}-va"),
        release: Some(name.to_owned()),
        model: Some("meta-llama/Llama-3.1-8B-Instruct".to_owned()),
        cost: cost.to_owned(),
        load,
        replicas: ReplicasView { current, ready: current, desired },
        ..VariantView::default()
    }
}

fn view() -> StatusView {
    StatusView {
        as_of: NOW.parse().unwrap(),
        instances: Vec::new(),
        variants: vec![
            variant("busy", "10", [Some(2), Some(3)], Some((0.95, 9.0))),
            variant("dear", "90", [Some(4), Some(4)], Some((0.30, 0.0))),
            variant("leaving", "10", [Some(8), Some(2)], Some((0.05, 0.0))),
            variant("lost", "10", [None, None], None),
        ],
        unread: Vec::new(),
        notes: Vec::new(),
    }
}

fn printed(by: SortBy, format: Format) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut plain = anstream::StripStream::new(&mut out);
    let mut console = Console { out: &mut plain, err: &mut err, format, headers: true, width: Some(80) };
    print(&view(), by, true, &mut console).unwrap();
    String::from_utf8(out).unwrap()
}

#[rstest]
#[case::load(SortBy::Load, ["busy", "dear", "leaving", "lost"])]
#[case::change(SortBy::Change, ["leaving", "busy", "dear", "lost"])]
#[case::cost(SortBy::Cost, ["dear", "leaving", "busy", "lost"])]
#[case::name(SortBy::Name, ["busy", "dear", "leaving", "lost"])]
fn the_most_comes_first_and_what_is_not_known_last(#[case] by: SortBy, #[case] expect: [&str; 4]) {
    let text = printed(by, Format::Name);
    let names: Vec<&str> = text.lines().map(|line| line.rsplit('/').next().unwrap().trim_end_matches("-va")).collect();
    assert_eq!(names, expect);
}

#[test]
fn a_screen_of_80_columns() {
    let text = printed(SortBy::Load, Format::Table);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!("top_80", text);
}
