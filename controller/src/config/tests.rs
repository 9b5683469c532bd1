use std::collections::BTreeMap;

use rstest::rstest;

use wva_api::config_keys as name;

use super::keys::{Change, KEYS, Key, Kind};
use super::sources::{Origin, Sources};
use super::*;

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

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

/// Values of a kind, as many as there are sources; of one that has few, neighbours differ.
fn values(kind: Kind) -> [&'static str; 4] {
    match kind {
        Kind::Text => ["by-flag", "by-environment", "by-file", "by-config-map"],
        Kind::Url => ["https://flag:1", "https://environment:2", "http://file:3", "https://config-map:4"],
        Kind::Address => ["127.0.0.1:1111", "127.0.0.1:2222", "127.0.0.1:3333", "127.0.0.1:4444"],
        Kind::Bool => ["true", "false", "T", "f"],
        Kind::Int { .. } => ["71", "72", "73", "74"],
        Kind::Duration | Kind::DurationOrOff => ["71s", "72s", "73s", "74s"],
        Kind::Level => ["debug", "trace", "warn", "error"],
        Kind::OneOf(words) => [words[0], words[1], words[0], words[1]],
        Kind::Selector => ["by=flag", "by=environment", "by=file", "by=config-map"],
        Kind::Headers => ["By=flag", "By=environment", "By=file", "By=config-map"],
        Kind::Matchers => [r#"by="flag""#, r#"by="environment""#, r#"by="file""#, r#"by="config-map""#],
    }
}

fn bad_value(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Text => None,
        Kind::Url => Some("prometheus:9090"),
        Kind::Address => Some("8443"),
        Kind::Bool => Some("maybe"),
        Kind::Int { .. } => Some("many"),
        Kind::Duration | Kind::DurationOrOff => Some("60"),
        Kind::Level => Some("loud"),
        Kind::OneOf(_) => Some("another"),
        Kind::Selector => Some("pool=gpu,"),
        Kind::Matchers => Some("cluster=east"),
        Kind::Headers => Some("team-a"),
    }
}

/// All 16 combinations of sources, for every key and every name and flag it has or had.
#[test]
fn the_strongest_source_that_gives_a_value_wins_for_every_key() {
    let mut cases = 0;
    for key in KEYS {
        let [by_flag, by_environment, by_file, by_config_map] = values(key.kind);
        let flags: Vec<_> = key.flag.iter().chain(key.old_flags).collect();
        for combination in 0..16_u8 {
            let given = |bit: u8| combination & (1 << bit) != 0;
            for name in key.names() {
                for flag in if given(0) { flags.iter().map(|flag| Some(**flag)).collect() } else { vec![None] } {
                    let argument = flag.map(|flag| format!("--{flag}={by_flag}"));
                    // An empty value counts as not set, wherever it stands.
                    let value = |bit, value| (name, if given(bit) { value } else { "" });
                    let mut sources = sources(argument.as_deref().as_slice(), &[]);
                    sources.environment.extend(pairs(&[value(1, by_environment)]));
                    sources.file = pairs(&[value(2, by_file)]);
                    sources.config_map = pairs(&[value(3, by_config_map)]);
                    let read = key.change != Change::NotRead;
                    let expect = match () {
                        () if flag.is_some() => (by_flag, Origin::Flag),
                        () if given(1) => (by_environment, Origin::Environment),
                        () if given(2) && read => (by_file, Origin::File),
                        () if given(3) && read => (by_config_map, Origin::ConfigMap),
                        () => (key.default, Origin::Default),
                    };
                    assert_eq!(sources.value(key), expect, "{name} with {argument:?}, combination {combination:04b}");
                    cases += 1;
                }
            }
        }
    }
    assert!(cases > 600, "{cases}");
}

#[test]
fn a_name_in_use_beats_an_older_one_in_every_source() {
    for key in KEYS {
        let [new, old, ..] = values(key.kind);
        for old_name in key.old_names {
            let both = pairs(&[(old_name, old), (key.name, new)]);
            let by_environment = Sources { environment: both.clone(), ..Default::default() };
            let by_config_map = Sources { config_map: both, ..Default::default() };
            assert_eq!([by_environment.value(key).0, by_config_map.value(key).0], [new, new], "{old_name}");
        }
    }
}

#[test]
fn a_bad_value_is_refused_with_its_key_and_source_for_every_key() {
    for key in KEYS {
        let Some(bad) = bad_value(key.kind) else { continue };
        let error = resolve(&[(key.name, bad)]).unwrap_err().to_string();
        let shown = key.shown(bad);
        assert!(error.contains(&format!("{}={shown:?} (from environment)", key.name)), "{error}");
        let mut in_config_map = sources(&[], &[]);
        in_config_map.environment.remove(key.name);
        in_config_map.config_map = pairs(&[(key.name, bad)]);
        let error = Config::resolve(&in_config_map).unwrap_err().to_string();
        assert!(error.contains(&format!("{}={shown:?} (from main ConfigMap)", key.name)), "{error}");
        if let Some(flag) = key.flag {
            let refused = sources::command().try_get_matches_from(["wva-controller", &format!("--{flag}={bad}")]);
            let error = refused.unwrap_err();
            assert_eq!(error.exit_code(), 2, "--{flag}");
            assert!(error.to_string().contains(&format!("--{flag}")), "{error}");
        }
    }
}

#[test]
fn what_is_wrong_in_a_stronger_source_is_said_before_the_config_map_is_read() {
    let early = |pairs| Early::resolve(&Sources { environment: pairs, ..Default::default() });
    assert!(early(BTreeMap::new()).is_ok(), "Prometheus may still be named by the ConfigMap");
    let error = early(pairs(&[(name::GLOBAL_OPT_INTERVAL, "60")])).unwrap_err().to_string();
    assert!(error.contains("GLOBAL_OPT_INTERVAL=\"60\" (from environment)"), "{error}");
    let early = early(pairs(&[("PROBE_ADDR", "127.0.0.1:1"), (name::CONFIG_MAP_NAME, "mine")])).unwrap();
    assert_eq!((early.config_map.as_str(), early.probes), ("mine", BindAddress::parse("127.0.0.1:1").unwrap()));
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
    assert_eq!(config.live.interval, Duration::from_mins(1));
    assert_eq!(config.metrics_window, Duration::from_mins(1));
    assert_eq!(config.metrics.bind, BindAddress::Off);
    assert!(config.metrics.secure);
    assert_eq!(config.probes, BindAddress::Listen { host: None, port: 8081 });
    assert_eq!(config.election, None);
    assert_eq!(config.pod_namespace, "workload-variant-autoscaler-system");
    assert_eq!(config.live.level, tracing::Level::INFO);
    assert!(config.live.enabled && !config.scale_to_zero && !config.limited_mode && !config.proactive);
    assert_eq!(config.from_zero.concurrency, 10);
    assert_eq!(config.from_zero.pool_group, None);
    assert_eq!(config.scope, Scope::default());
}

#[test]
fn prometheus_must_be_named() {
    let sources = Sources::default();
    insta::assert_snapshot!(Config::resolve(&sources).unwrap_err(), @"configuration: PROMETHEUS_BASE_URL is not set, and without Prometheus nothing can be decided; set the environment variable, or the key in the main ConfigMap, to the address of Prometheus, e.g. https://prometheus-operated.monitoring:9090");
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
#[case::node_selector(&[("WVA_NODE_SELECTOR", "pool=gpu,,")], "where the name of a label must stand")]
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
    assert_eq!(config.live.level, expect);
}

#[test]
fn of_verbosity_and_level_the_stronger_source_wins() {
    let mut sources = sources(&[], &[(name::LOG_LEVEL, "error")]);
    sources.config_map = pairs(&[(name::VERBOSITY, "5")]);
    assert_eq!(Live::resolve(&sources).unwrap().level, tracing::Level::ERROR);
}

#[rstest]
#[case("secret")]
#[case("Bearer secret")]
#[case(" bearer  secret\n")]
fn a_token_is_taken_with_or_without_the_word_bearer(#[case] text: &str) {
    for key in [name::EPP_TOKEN, name::PROMETHEUS_BEARER_TOKEN] {
        let config = resolve(&[(key, text)]).unwrap();
        let token = if key == name::EPP_TOKEN { config.from_zero.epp_token } else { config.prometheus.token };
        assert!(matches!(&token, Some(Token::Value(token)) if token == "secret"), "{key}");
    }
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

#[test]
fn a_file_is_weaker_than_the_environment_and_must_be_readable() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    std::fs::write(&path, "global_opt_interval: 7s\nMETRICS_WINDOW: 9s\n").unwrap();
    let argument = format!("--config-file={}", path.display());
    let mut sources = sources(&[&argument], &[(name::METRICS_WINDOW, "8s")]);
    sources.read_file().unwrap();
    let config = Config::resolve(&sources).unwrap();
    assert_eq!((config.live.interval, config.metrics_window), (Duration::from_secs(7), Duration::from_secs(8)));
    std::fs::write(&path, "- a list").unwrap();
    let error = sources.read_file().unwrap_err().to_string();
    assert!(error.contains("(from --config-file) is not a list of `key: value` lines"), "{error}");
    std::fs::remove_file(&path).unwrap();
    assert!(sources.read_file().unwrap_err().to_string().contains("cannot be read: No such file"));
}
