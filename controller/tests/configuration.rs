//! The main ConfigMap as a running controller sees it.

mod support;

use std::time::{Duration, Instant};

use support::{Controller, FakeApi, eventually};

const MAIN: &str = "wva-variantautoscaling-config";
const PROMETHEUS: (&str, &str) = ("PROMETHEUS_BASE_URL", "http://127.0.0.1:9");

fn with_main(data: &[(&str, &str)]) -> FakeApi {
    let api = FakeApi::start();
    api.put("wva-system", MAIN, data);
    api
}

/// A controller that has begun to decide.
fn deciding(api: &FakeApi, arguments: &[&str], environment: &[(&str, &str)]) -> Controller {
    let mut controller = api.controller(arguments, environment);
    controller.says(&["Prometheus does not answer; holding targets"]);
    controller
}

#[test]
fn the_config_map_alone_is_enough_to_start() {
    let api = with_main(&[PROMETHEUS, ("GLOBAL_OPT_INTERVAL", "7s"), ("CONTROLLER_INSTANCE", "team-a")]);
    let mut controller = api.controller(&[], &[]);
    controller.says(&["Read the main ConfigMap", MAIN]);
    controller.says(&["Starting", "interval=\"7s\"", "prometheus=http://127.0.0.1:9/", "team-a"]);
    assert!(controller.stop().success());
}

#[test]
fn without_prometheus_in_any_source_it_ends_with_1_and_says_where_to_set_it() {
    let mut controller = FakeApi::start().controller(&[], &[]);
    assert_eq!(controller.ends().code(), Some(1));
    let log = controller.log();
    assert!(
        log.contains("PROMETHEUS_BASE_URL is not set") && log.contains("or the key in the main ConfigMap"),
        "{log}"
    );
}

#[test]
fn a_bad_value_in_the_config_map_ends_the_start_with_1() {
    let mut controller = with_main(&[PROMETHEUS, ("GLOBAL_OPT_INTERVAL", "60")]).controller(&[], &[]);
    assert_eq!(controller.ends().code(), Some(1));
    controller.says(&["GLOBAL_OPT_INTERVAL=\"60\" (from main ConfigMap) is not a duration", "did you mean \"60s\"?"]);
}

#[test]
fn a_start_with_a_bad_value_uses_the_last_good_one_of_its_lease_and_says_so_until_it_is_fixed() {
    let api = with_main(&[PROMETHEUS, ("GLOBAL_OPT_INTERVAL", "7s")]);
    let election = ["--leader-elect", "--leader-election-retry-period=100ms"];
    let mut controller = deciding(&api, &election, &[]);
    assert!(controller.stop().success());
    api.put("wva-system", MAIN, &[PROMETHEUS, ("GLOBAL_OPT_INTERVAL", "60"), ("METRICS_WINDOW", "31s")]);
    let mut next = deciding(&api, &election, &[]);
    next.says(&["starting with the last good values", "did you mean \"60s\"?", "GLOBAL_OPT_INTERVAL"]);
    next.says(&["Starting", "interval=\"7s\""]);
    eventually(
        Duration::from_secs(10),
        || "an event".to_owned(),
        || {
            let events = api.events(MAIN, "InvalidConfig");
            events.iter().any(|event| event.contains("The value \"7s\" stays in force"))
        },
    );
    api.put("wva-system", MAIN, &[PROMETHEUS, ("GLOBAL_OPT_INTERVAL", "9s"), ("METRICS_WINDOW", "31s")]);
    next.says(&["Updated optimization interval", "old=7s", "new=9s"]);
}

#[test]
fn a_file_that_is_named_and_missing_ends_the_start_with_1() {
    let environment = [("PROMETHEUS_BASE_URL", "https://127.0.0.1:9"), ("PROMETHEUS_CA_CERT_PATH", "/does/not/exist")];
    let mut controller = FakeApi::start().controller(&[], &environment);
    assert_eq!(controller.ends().code(), Some(1));
    controller.says(&["cannot read /does/not/exist (named by PROMETHEUS_CA_CERT_PATH)"]);
}

#[test]
fn an_api_server_that_fails_at_first_is_asked_again() {
    let api = with_main(&[PROMETHEUS]);
    api.fail(2);
    let mut controller = api.controller(&[], &[]);
    controller.says(&["Cannot read the main ConfigMap yet; retrying"]);
    controller.says(&["Starting"]);
}

#[test]
fn an_interval_applies_at_once_and_is_logged_as_the_guide_greps_it() {
    let api = with_main(&[PROMETHEUS, ("GLOBAL_OPT_INTERVAL", "1h")]);
    let mut controller = deciding(&api, &["--v=4"], &[]);
    api.put("wva-system", MAIN, &[PROMETHEUS, ("GLOBAL_OPT_INTERVAL", "200ms")]);
    controller.says(&["Updated optimization interval", "old=1h", "new=200ms"]);
    // grep "Updated.*config"
    let line = controller.says(&["Updated", "interval=200ms"]);
    assert!(line.split("Updated").nth(1).unwrap().contains("config"), "{line}");
    let changed = Instant::now();
    let cycles = |controller: &mut Controller| controller.log().matches("Decided").count();
    while cycles(&mut controller) < 8 {
        assert!(changed.elapsed() < Duration::from_secs(10), "{}", controller.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_only_a_restart_can_change_is_refused_and_the_rest_of_the_edit_applies() {
    let api = with_main(&[PROMETHEUS, ("LEADER_ELECT", "false")]);
    let mut controller = deciding(&api, &[], &[]);
    let edit = [
        ("PROMETHEUS_BASE_URL", "https://new-prometheus:9090"),
        ("GLOBAL_OPT_INTERVAL", "120s"),
        ("LEADER_ELECT", "true"),
    ];
    api.put("wva-system", MAIN, &edit);
    let line = controller.says(&["Attempted to change immutable parameters via ConfigMap"]);
    assert!(line.contains("PROMETHEUS_BASE_URL") && line.contains("https://new-prometheus:9090"), "{line}");
    controller.says(&["Updated optimization interval", "old=60s", "new=120s"]);
    controller.says(&["takes effect at the next start", "LEADER_ELECT", "old=false", "new=true"]);
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let events = api.events(MAIN, "ImmutableConfigChangeRejected");
        if let [event] = &events[..] {
            assert!(
                event.contains(
                    "PROMETHEUS_BASE_URL (old: \"http://127.0.0.1:9\", new: \"https://new-prometheus:9090\")"
                ),
                "{event}"
            );
            break;
        }
        assert!(Instant::now() < deadline, "{events:?}\n{}", controller.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_value_that_is_overridden_gives_no_warning_at_the_start() {
    let api = with_main(&[PROMETHEUS, ("METRICS_BIND_ADDRESS", ":8443"), ("LEADER_ELECTION_ID", "theirs")]);
    let mut controller =
        deciding(&api, &["--metrics-bind-address=0"], &[("LEADER_ELECTION_ID", "mine"), ("GLOBAL_OPT_INTERVAL", "9s")]);
    // A later edit proves that the first content has been seen by the watch.
    api.put(
        "wva-system",
        MAIN,
        &[
            PROMETHEUS,
            ("METRICS_BIND_ADDRESS", ":8443"),
            ("LEADER_ELECTION_ID", "theirs"),
            ("NO_SUCH_KEY", "1"),
            ("GLOBAL_OPT_INTERVAL", "5s"),
        ],
    );
    controller.says(&["Unknown key in the main ConfigMap", "NO_SUCH_KEY"]);
    controller.says(&["a stronger source gives the same key", "GLOBAL_OPT_INTERVAL", "environment"]);
    let log = controller.log();
    assert!(!log.contains("immutable") && !log.contains("Updated optimization interval"), "{log}");
    assert!(api.events(MAIN, "ImmutableConfigChangeRejected").is_empty());
}

#[test]
fn only_config_maps_of_known_names_are_fetched() {
    let api = with_main(&[PROMETHEUS]);
    let controller = deciding(&api, &["--watch-namespace=team-a,team-b"], &[]);
    drop(controller);
    let requests = api.requests();
    let of_config_maps: Vec<_> = requests.iter().filter(|line| line.contains("/configmaps?")).collect();
    assert!(!of_config_maps.is_empty());
    for line in of_config_maps {
        assert!(line.contains("fieldSelector=metadata.name%3D"), "{line}");
        let namespaces = ["team-a", "team-b", "wva-system"];
        assert!(namespaces.iter().any(|ns| line.contains(&format!("/namespaces/{ns}/configmaps"))), "{line}");
    }
}
