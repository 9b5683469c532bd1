use std::collections::BTreeMap;

use rstest::rstest;

use wva_api::config_keys as name;

use super::keys::{KEYS, Key, Kind};
use super::sources::{Origin, Sources};
use super::*;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let required = (name::PROMETHEUS_BASE_URL, "https://prometheus:9090");
    [required].iter().chain(pairs).map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn sources(arguments: &[&str], pairs: &[(&str, &str)]) -> Sources {
    let arguments = ["wva-controller"].iter().chain(arguments);
    Sources::new(&sources::command().try_get_matches_from(arguments).unwrap(), environment(pairs))
}

fn resolve(pairs: &[(&str, &str)]) -> Result<Config, Error> {
    Config::resolve(&sources(&[], pairs))
}

/// Two values of a kind that differ from each other and from every default of the table.
fn values(kind: Kind) -> [&'static str; 2] {
    match kind {
        Kind::Text => ["given-by-flag", "given-by-environment"],
        Kind::Url => ["https://flag:1", "https://environment:2"],
        Kind::Address => ["127.0.0.1:1111", "127.0.0.1:2222"],
        Kind::Bool => ["true", "false"],
        Kind::Int { .. } => ["71", "72"],
        Kind::Duration | Kind::DurationOrOff => ["71s", "72s"],
        Kind::Level => ["debug", "trace"],
    }
}

fn bad_value(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Text => None,
        Kind::Url => Some("prometheus:9090"),
        Kind::Address => Some("8443"),
        Kind::Bool => Some("yes"),
        Kind::Int { .. } => Some("many"),
        Kind::Duration | Kind::DurationOrOff => Some("60"),
        Kind::Level => Some("loud"),
    }
}

#[test]
fn a_flag_beats_the_environment_and_that_the_default_for_every_key() {
    for key in KEYS {
        let [by_flag, by_environment] = values(key.kind);
        let of = |sources: &Sources| {
            let (value, origin) = sources.value(key);
            (value.to_owned(), origin)
        };
        let set = sources(&[], &[(key.name, by_environment)]);
        assert_eq!(of(&set), (by_environment.to_owned(), Origin::Environment), "{}", key.name);
        let empty = sources(&[], &[(key.name, "")]);
        assert_eq!(of(&empty), (key.default.to_owned(), Origin::Default), "{}: empty means not set", key.name);
        for flag in key.flag.iter().chain(key.old_flags) {
            let both = sources(&[&format!("--{flag}={by_flag}")], &[(key.name, by_environment)]);
            assert_eq!(of(&both), (by_flag.to_owned(), Origin::Flag), "--{flag}");
        }
        for old_name in key.old_names {
            let old = sources(&[], &[(old_name, by_flag)]);
            assert_eq!(of(&old), (by_flag.to_owned(), Origin::Environment), "{old_name}");
            let both = sources(&[], &[(old_name, by_flag), (key.name, by_environment)]);
            assert_eq!(of(&both).0, by_environment, "{} beats {old_name}", key.name);
        }
    }
}

#[test]
fn a_bad_value_is_refused_with_its_key_for_every_key() {
    for key in KEYS {
        let Some(bad) = bad_value(key.kind) else { continue };
        let error = resolve(&[(key.name, bad)]).unwrap_err().to_string();
        assert!(error.contains(&format!("{}={bad:?}", key.name)), "{}: {error}", key.name);
        assert!(error.contains("(from environment)"), "{error}");
        if let Some(flag) = key.flag {
            let refused = sources::command().try_get_matches_from(["wva-controller", &format!("--{flag}={bad}")]);
            let error = refused.unwrap_err();
            assert_eq!(error.exit_code(), 2, "--{flag}");
            assert!(error.to_string().contains(&format!("--{flag}")), "{error}");
        }
    }
}

#[rstest]
#[case::bare_flag_is_true(&["--leader-elect"], name::LEADER_ELECT, "true")]
#[case::separate_value(&["--watch-namespace", "a,b"], name::WATCH_NAMESPACE, "a,b")]
#[case::short_verbosity(&["-v", "4"], name::VERBOSITY, "4")]
#[case::long_verbosity(&["--v=4"], name::VERBOSITY, "4")]
#[case::old_election_flag(&["--enable-leader-election"], name::LEADER_ELECT, "true")]
#[case::old_metrics_flag(&["--metrics-addr", ":8443"], name::METRICS_BIND_ADDRESS, ":8443")]
fn flags_are_written_as_documented(#[case] arguments: &[&str], #[case] key: &str, #[case] expect: &str) {
    let key: &Key = keys::find(key).unwrap();
    assert_eq!(sources(arguments, &[]).value(key), (expect, Origin::Flag));
}

#[test]
fn without_anything_but_prometheus_the_documented_defaults_hold() {
    let config = resolve(&[]).unwrap();
    assert_eq!(config.interval, Duration::from_mins(1));
    assert_eq!(config.metrics_window, Duration::from_mins(1));
    assert_eq!(config.metrics.bind, BindAddress::Off);
    assert!(config.metrics.secure);
    assert_eq!(config.probes, BindAddress::Listen { host: None, port: 8081 });
    assert_eq!(config.election, None);
    assert_eq!(config.pod_namespace, "workload-variant-autoscaler-system");
    assert_eq!(config.level, tracing::Level::INFO);
    assert_eq!(config.scope, Scope::default());
}

#[test]
fn prometheus_must_be_named() {
    let sources = Sources::default();
    insta::assert_snapshot!(Config::resolve(&sources).unwrap_err(), @"configuration: PROMETHEUS_BASE_URL is not set, and without Prometheus nothing can be decided; set the environment variable to the address of Prometheus, e.g. https://prometheus-operated.monitoring:9090");
}

#[rstest]
#[case::no_id("", "", "72dd1cf1.llm-d.ai")]
#[case::id("team-a", "", "team-a.72dd1cf1.llm-d.ai")]
#[case::explicit("team-a", "my-lease", "my-lease")]
fn the_lease_follows_from_the_instance(#[case] id: &str, #[case] explicit: &str, #[case] expect: &str) {
    let pairs = [(name::LEADER_ELECT, "true"), (name::CONTROLLER_INSTANCE, id), (name::LEADER_ELECTION_ID, explicit)];
    assert_eq!(resolve(&pairs).unwrap().election.unwrap().lease_name, expect);
}

#[rstest]
#[case::lease_not_longer_than_deadline(&[(name::LEADER_ELECTION_LEASE_DURATION, "50s")], "must be longer than LEADER_ELECTION_RENEW_DEADLINE (50s)")]
#[case::deadline_not_longer_than_retry(&[(name::LEADER_ELECTION_RENEW_DEADLINE, "12s")], "1.2 times LEADER_ELECTION_RETRY_PERIOD (10s)")]
#[case::client_key_without_certificate(&[(name::PROMETHEUS_CLIENT_KEY_PATH, "k")], "belong together")]
#[case::instance_is_no_label(&[(name::CONTROLLER_INSTANCE, "a b")], "CONTROLLER_INSTANCE: controller instance \"a b\"")]
#[case::window_below_a_second(&[(name::METRICS_WINDOW, "500ms")], "at least 1s")]
#[case::interval_of_zero(&[(name::GLOBAL_OPT_INTERVAL, "0s")], "must be longer than zero")]
#[case::no_concurrency(&[("SCALE_FROM_ZERO_ENGINE_MAX_CONCURRENCY", "0")], "is less than 1")]
#[case::bind_host_is_no_address(&[(name::BIND_HOST, "here")], "BIND_HOST=\"here\" (from environment) is not an IP address")]
fn contradictions_are_refused(#[case] pairs: &[(&str, &str)], #[case] expect: &str) {
    let error = resolve(pairs).unwrap_err().to_string();
    assert!(error.contains(expect), "{error}");
}

#[rstest]
#[case("", "", tracing::Level::INFO)]
#[case("4", "", tracing::Level::DEBUG)]
#[case("5", "", tracing::Level::TRACE)]
#[case("", "debug", tracing::Level::DEBUG)]
#[case("", "error", tracing::Level::ERROR)]
#[case("2", "debug", tracing::Level::INFO)]
fn a_verbosity_beats_a_level(#[case] verbosity: &str, #[case] level: &str, #[case] expect: tracing::Level) {
    let config = resolve(&[(name::VERBOSITY, verbosity), (name::LOG_LEVEL, level)]).unwrap();
    assert_eq!(config.level, expect);
}

#[test]
fn namespaces_are_a_list_and_the_token_given_beats_the_token_file() {
    let pairs = [
        (name::WATCH_NAMESPACE, "team-a, team-b,"),
        (name::PROMETHEUS_BEARER_TOKEN, "secret\n"),
        (name::PROMETHEUS_TOKEN_PATH, "/token"),
    ];
    let config = resolve(&pairs).unwrap();
    assert_eq!(config.scope.namespaces, ["team-a", "team-b"].map(str::to_owned).into());
    assert!(matches!(&config.prometheus.token, Some(Token::Value(token)) if token == "secret"));
    assert!(!format!("{config:?}").contains("secret"), "a configuration that is printed keeps its secrets");
}
