//! The documentation names everything there is.

use clap::{CommandFactory, ValueEnum};
use serde_json::Value;
use vllm_sim::admin::Overrides;
use vllm_sim::cli::Args;
use vllm_sim::metrics::{Compat, names};

const DOCS: &str = include_str!("../../../../docs/vllm-sim.md");

fn undocumented<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    words.into_iter().filter(|word| !DOCS.contains(&format!("`{word}`"))).collect()
}

#[test]
fn every_flag_is_documented() {
    let command = Args::command();
    let flags: Vec<_> =
        command.get_arguments().filter_map(clap::Arg::get_long).map(|flag| format!("--{flag}")).collect();
    assert_eq!(undocumented(flags.iter().map(String::as_str)), Vec::<&str>::new());
}

#[test]
fn every_series_is_documented() {
    assert_eq!(undocumented(names::ALL), Vec::<&str>::new());
}

#[test]
fn every_key_of_the_live_control_is_documented() {
    let Value::Object(keys) = serde_json::to_value(Overrides::default()).unwrap() else { panic!("not an object") };
    assert_eq!(undocumented(keys.keys().map(String::as_str)), Vec::<&str>::new());
}

#[test]
fn every_metrics_switch_is_documented() {
    let switches: Vec<_> = Compat::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect();
    assert_eq!(undocumented(switches.iter().map(clap::builder::PossibleValue::get_name)), Vec::<&str>::new());
}
