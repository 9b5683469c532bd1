//! Whatever users write is accepted or refused with a message, never with a panic, and in bounded time.
//!
//! `FUZZ_CASES` sets how many texts go through each parser (default 100000). To cover another parser, add it to
//! [`PARSERS`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use wva_controller::config::live::config_map_entries::{Entries, Entry, Place};
use wva_controller::config::live::main_map;
use wva_controller::config::live::saturation::Saturation;
use wva_controller::config::live::scale_to_zero::ScaleToZero;
use wva_controller::config::live::service_class::ServiceClasses;
use wva_controller::config::{address::BindAddress, flat, keys::KEYS, value};
use wva_controller::observe::prometheus::response;

/// Reads a text: accepted, or refused with a message.
type Parser = fn(&str) -> Result<(), String>;

const PARSERS: [(&str, Parser); 12] = [
    ("duration", |text| value::parse_duration(text).map(drop)),
    ("boolean", |text| value::parse_bool(text).map(drop)),
    ("address", |text| BindAddress::parse(text).map(drop)),
    ("flat YAML", |text| flat::parse(text).map(drop)),
    ("every key", every_key),
    ("main ConfigMap", |text| main_map::flatten(&one("config.yaml", text)).map(drop)),
    ("saturation entry", entry::<Saturation>),
    ("scale-to-zero entry", entry::<ScaleToZero>),
    ("service classes", |text| service_classes("serviceClasses", text)),
    ("profiles", |text| service_classes("profiles", text)),
    ("answer of Prometheus", |text| response::parse(text.as_bytes()).map(drop).map_err(|error| error.to_string())),
    ("VariantAutoscaling", variant),
];

/// No single text may take longer; a build machine under load stalls for some of that.
const LONGEST: Duration = Duration::from_secs(2);

fn one(key: &str, text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), text.to_owned())])
}

fn variant(text: &str) -> Result<(), String> {
    serde_saphyr::from_str::<wva_api::VariantAutoscaling>(text).map(drop).map_err(|error| error.to_string())
}

fn every_key(text: &str) -> Result<(), String> {
    KEYS.iter().try_for_each(|key| key.kind.check(text))
}

fn service_classes(key: &str, text: &str) -> Result<(), String> {
    let read = ServiceClasses::read(&one(key, text), None);
    read.problems().values().next().map_or(Ok(()), |problem| Err(problem.to_string()))
}

fn entry<E: Entry>(text: &str) -> Result<(), String> {
    for (key, place) in [("default", Place::Global), ("other", Place::Local("team-a".to_owned()))] {
        let entries = Entries::<E>::read(&one(key, text), &place, None);
        if let Some(problem) = entries.problems().get(key) {
            return Err(problem.to_string());
        }
        assert_eq!(entries.len(), 1, "an entry without a problem counts: {text:?}");
    }
    Ok(())
}

const SEEDS: [&str; 10] = [
    "kvCacheThreshold: 0.80\nqueueLengthThreshold: 5\nkvSpareTrigger: 0.10\nqueueSpareTrigger: 3\n",
    "model_id: Qwen/Qwen3-0.6B\nnamespace: team-a\nkvCacheThreshold: 0.70\n",
    "analyzerName: saturation\nscaleUpThreshold: 0.9\nscaleDownBoundary: 0.6\nenableLimiter: true\n",
    "model_id: model1\nenable_scale_to_zero: true\nretention_period: 1h30m\n",
    "GLOBAL_OPT_INTERVAL: 60s\nPROMETHEUS_BASE_URL: 'https://prometheus:9090'\nV: 4\n",
    "apiVersion: llmd.ai/v1alpha1\nkind: VariantAutoscaling\nmetadata: {name: a}\nspec:\n  scaleTargetRef: {name: a}\n  \
     modelID: m\n  variantCost: \"10.0\"\n",
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"pod":"a"},"value":[1.5,"0.7"]}]}}"#,
    "- name: Premium\n  model: meta/llama-3.1-8b\n  priority: 1\n  slo-itl: 24 # ms\n  slo-ttw: 500\n",
    "- {model: m, accelerator: A100, alpha: 6.973, beta: 0.027, gamma: 0.0003}\n",
    "a: &x [1, *x]\nb: {<<: *x, c: !!binary aGk=}\n? k\n: |\n  text\n--- \n",
];

const PIECES: [&str; 24] = [
    "1e999",
    "-0",
    "NaN",
    ".inf",
    "0x10",
    "1_000",
    "99999999999999999999h",
    "µs",
    "\u{0}",
    "\u{feff}",
    "é",
    "'",
    "\"",
    ": ",
    "\n",
    "- ",
    "{",
    "[",
    "&a ",
    "*a",
    "!!",
    "|\n",
    "\t",
    "<<: ",
];

/// Random bytes as text, and documents of users with a few pieces replaced.
fn text() -> impl Strategy<Value = String> {
    let bytes =
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let change = (any::<prop::sample::Index>(), 0..8_usize, prop::sample::select(&PIECES[..]));
    let mutated =
        (prop::sample::select(&SEEDS[..]), prop::collection::vec(change, 0..6)).prop_map(|(seed, changes)| {
            let mut text: Vec<char> = seed.chars().collect();
            for (at, length, piece) in changes {
                let at = at.index(text.len() + 1);
                let end = (at + length).min(text.len());
                text.splice(at..end, piece.chars());
            }
            text.into_iter().collect()
        });
    prop_oneof![bytes, mutated, "[0-9.a-zµ+-]{0,12}"]
}

#[test]
fn every_text_is_accepted_or_refused_with_a_message() {
    let cases = std::env::var("FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    // The same texts in each run: what fails once fails again.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome = runner.run(&text(), |text| {
        for (name, parser) in PARSERS {
            let started = Instant::now();
            if let Err(message) = parser(&text) {
                prop_assert!(!message.trim().is_empty(), "{name} refuses {text:?} without a message");
            }
            let took = started.elapsed();
            prop_assert!(took < LONGEST, "{name} took {took:?} for {text:?}");
        }
        Ok(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn documents_of_users_are_accepted_by_the_parser_they_are_for() {
    let parser = |name| PARSERS.iter().find(|(own, _)| *own == name).map(|(_, parser)| *parser);
    let documents = [
        ("saturation entry", 1),
        ("scale-to-zero entry", 3),
        ("main ConfigMap", 4),
        ("VariantAutoscaling", 5),
        ("answer of Prometheus", 6),
    ];
    for (name, seed) in documents {
        assert_eq!(parser(name).map(|parser| parser(SEEDS[seed])), Some(Ok(())), "{name}");
    }
}
