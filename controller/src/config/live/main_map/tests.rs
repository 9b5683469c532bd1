use std::time::Duration;

use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A controller that was started with this ConfigMap and this environment.
fn started(config_map: &[(&str, &str)], environment: &[(&str, &str)]) -> MainMap {
    let sources = Sources { environment: map(environment), config_map: map(config_map), ..Sources::default() };
    MainMap::new(sources).0
}

fn applied(key: &'static str, old: &str, new: &str) -> SettingsChange {
    SettingsChange::Applied { key, old: old.to_owned(), new: new.to_owned() }
}

fn refused(key: &'static str, old: &str, new: &str) -> SettingsChange {
    SettingsChange::Refused { key, old: old.to_owned(), new: new.to_owned() }
}

#[test]
fn the_content_of_the_start_is_no_news() {
    let content = [("PROMETHEUS_BASE_URL", "http://a:1"), ("GLOBAL_OPT_INTERVAL", "5s")];
    let mut main = started(&content, &[("PROMETHEUS_BASE_URL", "http://b:2"), ("GLOBAL_OPT_INTERVAL", "7s")]);
    let (live, changes) = main.apply(&map(&content));
    assert_eq!(changes, []);
    assert_eq!(live.unwrap().interval, Duration::from_secs(7));
}

#[test]
fn live_keys_apply_and_go_back_to_their_default_when_they_are_taken_out() {
    let mut main = started(&[], &[]);
    let (live, changes) =
        main.apply(&map(&[("GLOBAL_OPT_ENABLE", "false"), ("PROMETHEUS_METRICS_CACHE_STALE_THRESHOLD", "3m")]));
    let live = live.unwrap();
    assert_eq!((live.enabled, live.stale_after), (false, Duration::from_mins(3)));
    let stale = "PROMETHEUS_METRICS_CACHE_STALE_THRESHOLD";
    assert_eq!(changes, [applied("GLOBAL_OPT_ENABLE", "true", "false"), applied(stale, "2m", "3m")]);
    let (live, changes) = main.apply(&map(&[]));
    assert!(live.unwrap().enabled);
    assert_eq!(changes, [applied("GLOBAL_OPT_ENABLE", "false", "true"), applied(stale, "3m", "2m")]);
}

#[test]
fn an_invalid_value_of_a_live_key_leaves_the_old_one_in_force() {
    let mut main = started(&[("GLOBAL_OPT_INTERVAL", "5s")], &[]);
    for bad in ["60", "0s", "soon"] {
        let (live, changes) = main.apply(&map(&[("GLOBAL_OPT_INTERVAL", bad)]));
        assert_eq!(live.unwrap().interval, Duration::from_secs(5), "{bad}");
        let [SettingsChange::Invalid { key, value, kept, .. }] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!((key.as_str(), value.as_str(), kept.as_str()), ("GLOBAL_OPT_INTERVAL", bad, "5s"));
    }
    assert_eq!(main.apply(&map(&[("GLOBAL_OPT_INTERVAL", "6s")])).1, [applied("GLOBAL_OPT_INTERVAL", "5s", "6s")]);
}

/// Every key of the list in the guide, and every other key that only a restart can change.
#[test]
fn each_immutable_key_is_refused_and_beside_it_a_live_one_applies() {
    for key in KEYS.iter().filter(|key| key.change == Change::Refused) {
        let mut main = started(&[], &[]);
        let (live, changes) = main.apply(&map(&[(key.name, "https://other:1"), ("GLOBAL_OPT_INTERVAL", "9s")]));
        assert_eq!(live.unwrap().interval, Duration::from_secs(9));
        assert!(changes.contains(&refused(key.name, key.default, "https://other:1")), "{changes:?}");
        assert!(changes.contains(&applied("GLOBAL_OPT_INTERVAL", "60s", "9s")), "{changes:?}");
        let (_, back) = main.apply(&map(&[("GLOBAL_OPT_INTERVAL", "9s")]));
        assert_eq!(back, [], "taking the change back is no change");
    }
    let of_the_guide = [
        "PROMETHEUS_BASE_URL",
        "METRICS_BIND_ADDRESS",
        "HEALTH_PROBE_BIND_ADDRESS",
        "LEADER_ELECTION_ID",
        "WEBHOOK_CERT_PATH",
        "WEBHOOK_CERT_NAME",
        "WEBHOOK_CERT_KEY",
        "METRICS_CERT_PATH",
        "METRICS_CERT_NAME",
        "METRICS_CERT_KEY",
        "WVA_SCALE_TO_ZERO",
        "WVA_LIMITED_MODE",
    ];
    for name in of_the_guide {
        assert_eq!(keys::find(name).unwrap().change, Change::Refused, "{name}");
    }
}

#[test]
fn an_immutable_key_is_compared_with_what_runs_wherever_that_came_from() {
    let mut main = started(&[], &[("METRICS_BIND_ADDRESS", ":8443")]);
    assert_eq!(main.apply(&map(&[("METRICS_BIND_ADDRESS", ":8443")])).1, [], "the same");
    assert_eq!(main.apply(&map(&[("METRICS_ADDR", ":9090")])).1, [refused("METRICS_BIND_ADDRESS", ":8443", ":9090")]);
}

#[test]
fn what_is_created_after_a_deletion_is_compared_with_what_was_there() {
    let content = [("PROMETHEUS_BASE_URL", "http://a:1"), ("GLOBAL_OPT_INTERVAL", "5s")];
    let mut main = started(&content, &[]);
    // A deletion is not handed over at all.
    assert_eq!(main.apply(&map(&content)).1, []);
    let other = [("PROMETHEUS_BASE_URL", "http://b:2"), ("GLOBAL_OPT_INTERVAL", "5s")];
    assert_eq!(main.apply(&map(&other)).1, [refused("PROMETHEUS_BASE_URL", "http://a:1", "http://b:2")]);
    assert_eq!(main.apply(&map(&other)).1, [], "one edit is refused once");
}

#[test]
fn other_keys_wait_for_a_restart_and_secrets_are_not_shown() {
    let mut main = started(&[("LEADER_ELECT", "false")], &[]);
    let (_, changes) = main.apply(&map(&[("LEADER_ELECT", "true"), ("PROMETHEUS_BEARER_TOKEN", "hidden")]));
    let next = |key, old: &str, new: &str| SettingsChange::NextStart { key, old: old.to_owned(), new: new.to_owned() };
    assert_eq!(changes, [next("PROMETHEUS_BEARER_TOKEN", "", "(secret)"), next("LEADER_ELECT", "false", "true")]);
    let (_, changes) = main.apply(&map(&[("LEADER_ELECT", "perhaps")]));
    assert!(matches!(&changes[..], [SettingsChange::Invalid { key, .. }] if key == "LEADER_ELECT"), "{changes:?}");
}

#[test]
fn a_stronger_source_keeps_its_value_and_that_is_said() {
    let mut main = started(&[], &[("GLOBAL_OPT_INTERVAL", "7s")]);
    let (live, changes) = main.apply(&map(&[("GLOBAL_OPT_INTERVAL", "5s")]));
    assert_eq!(live.unwrap().interval, Duration::from_secs(7));
    assert_eq!(changes, [SettingsChange::Overridden { key: "GLOBAL_OPT_INTERVAL", by: Origin::Environment }]);
}

#[test]
fn keys_that_do_not_count_are_told_once() {
    let odd = map(&[("GLOBAL_OPT_INTERVALL", "5s"), ("POD_NAMESPACE", "other")]);
    let (mut main, changes) = MainMap::new(Sources { config_map: odd.clone(), ..Sources::default() });
    assert_eq!(
        changes,
        [
            SettingsChange::Unknown { key: "GLOBAL_OPT_INTERVALL".to_owned() },
            SettingsChange::NotRead { key: "POD_NAMESPACE" }
        ]
    );
    assert_eq!(main.apply(&odd).1, []);
}

#[test]
fn keys_may_stand_in_one_yaml_file_and_their_own_value_wins() {
    let yaml = "global_opt_interval: 5s\nV: 4\n";
    let flat = flatten(&map(&[(MAIN_FILE, yaml), ("V", "5")])).unwrap();
    assert_eq!(flat, map(&[("GLOBAL_OPT_INTERVAL", "5s"), ("V", "5")]));
    let mut main = started(&[("GLOBAL_OPT_INTERVAL", "5s"), ("V", "4")], &[]);
    assert_eq!(main.apply(&map(&[(MAIN_FILE, yaml)])).1, []);
    let (live, changes) = main.apply(&map(&[(MAIN_FILE, "- broken")]));
    assert_eq!(live.unwrap().interval, Duration::from_secs(5));
    assert!(matches!(&changes[..], [SettingsChange::Invalid { key, .. }] if key == MAIN_FILE), "{changes:?}");
}
