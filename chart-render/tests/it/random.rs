//! Values drawn from `values.schema.json`: chart-render and helm give the same bytes, or both refuse.
//!
//! The draws are seeded, so a failure repeats, and shrink to the smallest values that still differ. `PARITY_CASES`
//! sets how many are drawn (500).

use std::env;
use std::fs;

use chart_render::{Chart, Options, Release, Selection, Values, render};
use proptest::prelude::*;
use proptest::strategy::Union;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use regex::Regex;
use rstest::rstest;
use serde_json::{Map, Value as Json, json};
use tempfile::TempDir;

use crate::helm::{chart, helm};

/// Strings of every kind that the chart's patterns ask for, and some that none does.
const STRINGS: &[&str] = &[
    "",
    "a",
    "team-a",
    "team.b_c",
    "my-model",
    "0.5",
    "40",
    "10.0",
    "30s",
    "1m30s",
    "2h",
    "500ms",
    "50%",
    "http://prometheus:9090",
    "https://thanos.example:9091",
    "/etc/ssl/ca.crt",
    "/x",
    "8443",
    "true",
    "null",
    "yes",
    "0x1F",
    "1e3",
    "2024-01-02",
    "H100",
    "meta-llama/Llama-3.1-8B",
    "é😀 \"x\" \\ 'y'",
    "a: b # c",
    "{{ .Values.wva }}",
    "- x",
    "*x",
    "&x",
    "%",
    "@",
    "`",
    "~",
    " blank ",
    "line\nbreak",
    "tab\tbed",
    "\u{1}",
    "<no value>",
    "---",
    "-dash",
    "UPPER",
    "aaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccc ddddddddddddddd eeeeeeeeee",
    "a123456789012345678901234567890123456789012345678901234567890123",
];

const KEYS: &[&str] = &["a", "app", "example.com/x", "é", "yes", "n", "1", "a b", "x.y", "a10", "a2"];

/// Values that fit hardly anywhere.
fn misfit() -> BoxedStrategy<Json> {
    prop_oneof![
        Just(Json::Null),
        Just(json!({})),
        Just(json!([])),
        Just(json!([null])),
        Just(json!(-1)),
        Just(json!(1.5)),
        Just(json!(1e21)),
        Just(json!(1_000_000)),
        Just(json!(true)),
        prop::sample::select(STRINGS).prop_map(Json::from),
    ]
    .boxed()
}

fn draw(schema: &Json) -> BoxedStrategy<Json> {
    if let Some(choices) = schema["enum"].as_array() {
        return prop::sample::select(choices.clone()).boxed();
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(choices) =
            schema[key].as_array().filter(|choices| choices.iter().all(|choice| choice["type"].is_string()))
        {
            return Union::new(choices.iter().map(draw).collect::<Vec<_>>()).boxed();
        }
    }
    if let Some(kinds) = schema["type"].as_array() {
        let of = |kind: &Json| {
            let mut one = schema.clone();
            one["type"] = kind.clone();
            draw(&one)
        };
        return Union::new(kinds.iter().map(of).collect::<Vec<_>>()).boxed();
    }
    let limit = |key: &str, fallback: f64| schema[key].as_f64().unwrap_or(fallback);
    match schema["type"].as_str() {
        Some("object") => object(schema),
        Some("array") => prop::collection::vec(draw(&schema["items"]), 0..3).prop_map(Json::from).boxed(),
        Some("boolean") => any::<bool>().prop_map(Json::from).boxed(),
        Some("null") => Just(Json::Null).boxed(),
        #[expect(clippy::cast_possible_truncation, reason = "limits of a schema are small")]
        Some("integer") => {
            let (low, high) = (limit("minimum", -3.0) as i64, limit("maximum", 2_000_000.0) as i64);
            prop_oneof![8 => (low..=high).prop_map(Json::from), 1 => Just(json!(low - 1)), 1 => Just(json!(high))]
                .boxed()
        }
        Some("number") => {
            let (low, high) = (limit("minimum", 0.0), limit("maximum", 1e7));
            prop_oneof![(low..=high).prop_map(Json::from), Just(json!(high)), Just(json!(1e-7))].boxed()
        }
        Some("string") => {
            let pattern = schema["pattern"].as_str().and_then(|pattern| Regex::new(pattern).ok());
            let fits = |text: &&&str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(text));
            let fitting: Vec<&str> = STRINGS.iter().filter(fits).copied().collect();
            prop_oneof![9 => prop::sample::select(fitting), 1 => prop::sample::select(STRINGS)]
                .prop_map(Json::from)
                .boxed()
        }
        _ => misfit(),
    }
}

/// Each property is left to the chart's default three times out of four.
fn object(schema: &Json) -> BoxedStrategy<Json> {
    let mut fields: BoxedStrategy<Map<String, Json>> = Just(Map::new()).boxed();
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let key = key.clone();
        let value = prop_oneof![30 => draw(property), 1 => misfit()];
        fields = (fields, prop::option::weighted(0.25, value))
            .prop_map(move |(mut fields, value)| {
                fields.extend(value.map(|value| (key.clone(), value)));
                fields
            })
            .boxed();
    }
    let others = &schema["additionalProperties"];
    if others.is_object() || schema["properties"].is_null() {
        let entry = (prop::sample::select(KEYS), draw(others));
        fields = (fields, prop::collection::vec(entry, 0..3))
            .prop_map(|(mut fields, entries)| {
                fields.extend(entries.into_iter().map(|(key, value)| (key.to_owned(), value)));
                fields
            })
            .boxed();
    }
    fields.prop_map(Json::Object).boxed()
}

/// What helm prints, or none when it refuses.
fn by_helm(release: &Release, values: &str) -> Option<String> {
    let dir = TempDir::new().expect("temporary directory");
    let file = dir.path().join("values.yaml");
    fs::write(&file, values).expect("write values");
    let line = [
        "template",
        &release.name,
        &chart().display().to_string(),
        "-n",
        &release.namespace,
        "-f",
        &file.display().to_string(),
    ];
    let output = helm(&line.map(str::to_owned));
    output.status.success().then(|| String::from_utf8(output.stdout).expect("UTF-8"))
}

fn by_us(chart: &Chart, release: &Release, values: &str) -> Result<String, String> {
    let mut given = Values::new();
    given.merge_yaml("values.yaml", values).map_err(|error| error.to_string())?;
    let rendered = render(chart, given, release, &Options::default()).map_err(|error| error.to_string())?;
    rendered.to_text(&Selection::default()).map_err(|error| error.to_string())
}

/// Four parts that run side by side, each with a seed of its own.
#[rstest]
fn random_values_render_like_helm(#[values(1, 2, 3, 4)] part: u8) {
    let cases: u32 =
        env::var("PARITY_CASES").ok().map_or(500, |count| count.parse().expect("PARITY_CASES is a number"));
    let schema = fs::read_to_string(chart().join("values.schema.json")).expect("read schema");
    let schema: Json = serde_json::from_str(&schema).expect("schema");
    let ours = Chart::load(chart()).expect("chart");
    let names = prop::sample::select(vec![
        "wva",
        "workload-variant-autoscaler",
        "a.b-c",
        "wva-controller-with-a-long-release-name-of-fifty-one",
    ]);
    let places = prop::sample::select(vec!["default", "wva-system", "llm-d-autoscaler"]);

    let config =
        Config { cases: cases.div_ceil(4), max_shrink_iters: 100, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[part; 32]));
    let result = runner.run(&(names, places, draw(&schema)), |(name, namespace, values)| {
        let release = Release::new(name, namespace);
        let text = serde_json::to_string_pretty(&values).expect("JSON");
        match (by_helm(&release, &text), by_us(&ours, &release, &text)) {
            (Some(expected), Ok(actual)) => prop_assert_eq!(actual, expected),
            (None, Err(_)) => {}
            (Some(_), Err(error)) => prop_assert!(false, "only chart-render refuses: {error}"),
            (None, Ok(_)) => prop_assert!(false, "only helm refuses"),
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
