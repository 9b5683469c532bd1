//! Entries of ConfigMaps and what holds for a model. Numbers are those of the acceptance cases in the specification.

#![allow(clippy::float_cmp, reason = "thresholds come out as they were written")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;
use rstest::rstest;
use wva_engine::settings::{Analyzer, Direction, FailMode, Limiter, Policy, Stabilization, TokenThresholds};
use wva_engine::{ModelKey, Settings, Thresholds};

use super::resolve::{ConfigScope, Fixed, resolve};
use super::saturation::Saturation;
use super::scale_to_zero::ScaleToZero;
use super::*;
use crate::config::live::changes::SettingsChange;
use crate::config::live::config_map_entries::{Entries, Place, Problem};
use crate::config::live::store::Store;
use crate::config::{ConfigMapNames, Live};

mod order;
mod proactive;

const GLOBAL: &str = "wva-system";
const SATURATION: &str = "wva-saturation-scaling-config";
const ZERO: &str = "wva-model-scale-to-zero-config";

fn data(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|&(key, text)| (key.to_owned(), text.to_owned())).collect()
}

fn names() -> ConfigMapNames {
    ConfigMapNames { saturation: SATURATION.to_owned(), scale_to_zero: ZERO.to_owned() }
}

fn live() -> Live {
    Live {
        enabled: true,
        interval: Duration::from_mins(1),
        stale_after: Duration::from_mins(2),
        limiter_fail_mode: FailMode::Hold,
        level: tracing::Level::INFO,
    }
}

fn fixed(scale_to_zero: bool) -> Fixed {
    Fixed { scale_to_zero, limited_mode: false, proactive: false }
}

fn model(namespace: &str, model_id: &str) -> ModelKey {
    ModelKey { namespace: namespace.into(), model_id: model_id.into() }
}

fn in_team_a() -> ConfigScope {
    ConfigScope { namespaces: ["team-a".to_owned()].into(), ..ConfigScope::default() }
}

/// What was seen, told as sentences.
impl Store {
    fn nothing() -> Self {
        Self::new(GLOBAL, &names(), true)
    }

    fn with(mut self, namespace: &str, name: &str, entries: &[(&str, &str)]) -> Self {
        self.put(namespace, name, entries);
        self
    }

    fn put(&mut self, namespace: &str, name: &str, entries: &[(&str, &str)]) -> bool {
        self.apply(&ObjectKey::new(namespace, name), &format!("uid-{name}"), &data(entries))
    }

    /// What holds where every namespace named counts and models `m` and `n` are in each.
    fn settings(&self, scale_to_zero: bool) -> Settings {
        let namespaces = ["team-a", "team-b"];
        let config_scope = ConfigScope {
            namespaces: namespaces.map(str::to_owned).into(),
            models: namespaces.iter().flat_map(|ns| [model(ns, "m"), model(ns, "n")]).collect(),
            ..ConfigScope::default()
        };
        resolve(self, &config_scope, &live(), fixed(scale_to_zero))
    }

    fn thresholds(&self, namespace: &str, model_id: &str) -> [f64; 4] {
        let settings = self.settings(false);
        let Thresholds { kv_cache_threshold, queue_length_threshold, kv_spare_trigger, queue_spare_trigger } =
            *settings.thresholds.of(&model(namespace, model_id));
        [kv_cache_threshold, queue_length_threshold, kv_spare_trigger, queue_spare_trigger]
    }

    /// Whether an idle model goes to zero, and after how many minutes.
    fn zero(&self, namespace: &str, model_id: &str) -> (bool, f64) {
        let settings = self.settings(false);
        let policy = settings.zero.of(&model(namespace, model_id));
        (policy.enabled, policy.retention.as_secs_f64() / 60.0)
    }
}

fn global_default(text: &str) -> Result<Saturation, String> {
    let entries = Entries::<Saturation>::read(&data(&[("default", text)]), &Place::Global, None);
    match entries.problems().get("default") {
        Some(Problem::Refused { why, .. }) => Err(why.clone()),
        _ => Ok(entries.default_entry().unwrap().clone()),
    }
}

fn thresholds_of(kt: &str, qt: &str, ks: &str, qs: &str) -> String {
    format!("kvCacheThreshold: {kt}\nqueueLengthThreshold: {qt}\nkvSpareTrigger: {ks}\nqueueSpareTrigger: {qs}\n")
}

#[rstest]
#[case::built_in("0.8", "5", "0.1", "3")]
#[case::other("0.75", "10", "0.15", "5")]
#[case::all_zero("0", "0", "0", "0")]
#[case::largest("1.0", "1000", "1.0", "1000")]
fn case_32_thresholds_in_range_are_valid(#[case] kt: &str, #[case] qt: &str, #[case] ks: &str, #[case] qs: &str) {
    let entry = global_default(&thresholds_of(kt, qt, ks, qs)).unwrap();
    assert_eq!(entry.kv_cache_threshold, kt.parse().ok());
    assert_eq!(entry.queue_spare_trigger, qs.parse().ok());
}

#[rstest]
#[case::kt_above_one("kvCacheThreshold: 1.5", "`kvCacheThreshold: 1.5` is out of range; it must be between 0 and 1")]
#[case::kt_negative("kvCacheThreshold: -.1", "out of range")]
#[case::qt_negative("queueLengthThreshold: -1", "it must be 0 or more")]
#[case::ks_above_one("kvSpareTrigger: 1.5", "out of range")]
#[case::ks_negative("kvSpareTrigger: -.1", "out of range")]
#[case::qs_negative("queueSpareTrigger: -1", "out of range")]
#[case::kt_below_ks("kvCacheThreshold: .5\nkvSpareTrigger: .6", "(0.5) is less than `kvSpareTrigger` (0.6)")]
#[case::not_a_number("kvCacheThreshold: NaN", "out of range")]
#[case::infinite("queueLengthThreshold: .inf", "is not a number")]
#[case::word("kvCacheThreshold: high", "is not a number")]
#[case::nested("kvCacheThreshold: {a: 1}", "expected string scalar")]
fn case_33_thresholds_out_of_range_are_refused(#[case] text: &str, #[case] expect: &str) {
    let why = global_default(text).unwrap_err();
    assert!(why.contains(expect), "{why}");
}

fn analyzer(text: &str) -> Result<Analyzer, String> {
    global_default(text).map(|entry| entry.for_all.analyzer)
}

fn tokens(up: f64, down: f64) -> Analyzer {
    Analyzer::Saturation(TokenThresholds { scale_up_threshold: up, scale_down_boundary: down })
}

#[test]
fn cases_34_to_37_the_token_analyzer_has_two_thresholds_of_its_own() {
    let of = |rest: &str| analyzer(&format!("analyzerName: saturation\n{rest}"));
    assert_eq!(of("scaleUpThreshold: .90\nscaleDownBoundary: .60"), Ok(tokens(0.9, 0.6)));
    assert!(of("scaleUpThreshold: 1.5").unwrap_err().contains("out of range"));
    assert!(of("scaleUpThreshold: .60\nscaleDownBoundary: .70").unwrap_err().contains("not greater than"));
    assert_eq!(analyzer("scaleUpThreshold: 0\nscaleDownBoundary: 0"), Ok(Analyzer::Threshold));
    assert_eq!(of("scaleUpThreshold: 0\nscaleDownBoundary: 0"), Ok(tokens(0.85, 0.7)));
    assert!(analyzer("analyzerName: magic").unwrap_err().contains("use `threshold` or `saturation`"));
}

#[test]
fn an_entry_says_for_how_long_and_how_fast_numbers_change() {
    let text =
        "scaleUpReplicas: 10/150s\nscaleUpTolerance: 0.1\nscaleDownStabilizationWindow: 5m\nscaleDownPercent: 50/1m";
    let entry = global_default(text).unwrap();
    let stabilization = super::behavior::over(&entry.up, &entry.down, Stabilization::default());
    let policy = |value, seconds| Some(Policy { value, period: SignedDuration::from_secs(seconds) });
    let up = Direction { tolerance: 0.1, replicas: policy(10, 150), ..Direction::default() };
    let down = Direction { window: SignedDuration::from_mins(5), percent: policy(50, 60), ..Direction::default() };
    assert_eq!(stabilization, Stabilization { up, down });
    assert!(global_default("scaleUpReplicas: 10").unwrap_err().contains("like `4/60s`"));
    assert!(global_default("scaleUpPercent: 0/60s").unwrap_err().contains("neither may be 0"));
    assert!(global_default("scaleUpStabilizationWindow: soon").unwrap_err().contains("is not a duration"));
}

#[test]
fn case_38_bettered_by_the_contract_the_token_analyzer_needs_no_thresholds() {
    assert_eq!(analyzer("analyzerName: saturation"), Ok(tokens(0.85, 0.7)));
}

#[test]
fn case_39_bettered_by_the_contract_a_local_map_wins_field_by_field_and_its_deletion_restores_the_global_one() {
    let mut store = Store::nothing()
        .with(GLOBAL, SATURATION, &[("default", &thresholds_of("0.80", "5", "0.10", "3"))])
        .with("team-a", SATURATION, &[("default", "kvCacheThreshold: 0.70\nqueueLengthThreshold: 3\n")]);
    assert_eq!(store.thresholds("team-a", "m"), [0.70, 3.0, 0.10, 3.0]);
    assert_eq!(store.thresholds("team-b", "m"), [0.80, 5.0, 0.10, 3.0]);
    assert!(store.delete(&ObjectKey::new("team-a", SATURATION)));
    assert_eq!(store.thresholds("team-a", "m"), [0.80, 5.0, 0.10, 3.0]);
}

#[test]
fn case_40_of_two_entries_about_one_model_the_first_key_counts() {
    let entry = |on: bool| format!("model_id: m\nenable_scale_to_zero: {on}\n");
    let store = Store::nothing().with(GLOBAL, ZERO, &[("b", &entry(true)), ("a", &entry(false))]);
    assert!(!store.zero("team-a", "m").0);
    let (_, map) = store.scale_to_zero.in_force(GLOBAL).unwrap();
    assert!(map.entries.problems()["b"].to_string().contains("same as entry `a`"));
}

#[rstest]
#[case::falls_to_the_default("retention_period: 15m", 15.0)]
#[case::default_is_wrong_too("retention_period: bad", 10.0)]
#[case::no_default("", 10.0)]
fn case_41_a_wrong_retention_is_as_good_as_none(#[case] default: &str, #[case] minutes: f64) {
    let wrong = "model_id: m\nenable_scale_to_zero: true\nretention_period: xyz\n";
    let store = Store::nothing().with(GLOBAL, ZERO, &[("default", default), ("m", wrong)]);
    assert_eq!(store.zero("team-a", "m").1, minutes);
}

/// How Prometheus is asked for these is the business of its queries.
#[test]
fn case_42_retentions_of_all_lengths_are_taken() {
    for (text, seconds) in [
        ("24h", 86_400.0),
        ("48h", 172_800.0),
        ("12h", 43_200.0),
        ("10m", 600.0),
        ("90m", 5400.0),
        ("30s", 30.0),
        ("100ms", 0.1),
    ] {
        let entry = format!("retention_period: {text}");
        let store = Store::nothing().with(GLOBAL, ZERO, &[("default", &entry)]);
        assert_eq!(store.zero("team-a", "m").1, seconds / 60.0, "{text}");
    }
}

#[test]
fn a_model_is_enabled_by_its_entry_then_the_default_then_the_process() {
    let on = "enable_scale_to_zero: true";
    let off = "enable_scale_to_zero: false";
    let none = Store::nothing();
    assert!(none.settings(true).zero.of(&model("team-a", "m")).enabled);
    assert!(!none.settings(false).zero.of(&model("team-a", "m")).enabled);
    let default_off = none.with(GLOBAL, ZERO, &[("default", off), ("m", &format!("model_id: m\n{on}"))]);
    assert!(default_off.settings(true).zero.of(&model("team-a", "m")).enabled);
    assert!(!default_off.settings(true).zero.of(&model("team-a", "n")).enabled);
}

/// The two examples of the guide, and what it says about them.
#[test]
fn staging_switches_scale_to_zero_off_and_inherits_what_it_does_not_say() {
    let global = "model_id: m\nenable_scale_to_zero: true\nretention_period: 10m\n";
    let store = Store::nothing().with(GLOBAL, ZERO, &[("model1", global)]).with(
        "team-a",
        ZERO,
        &[("model1", "model_id: m\nenable_scale_to_zero: false\nretention_period: 5m\n")],
    );
    assert_eq!(store.zero("team-a", "m"), (false, 5.0));
    assert_eq!(store.zero("team-b", "m"), (true, 10.0));
}

#[test]
fn an_override_inherits_field_by_field_from_local_default_global_default_and_built_in() {
    let store = Store::nothing()
        .with(
            GLOBAL,
            SATURATION,
            &[("default", "queueLengthThreshold: 7"), ("llm-d", "modelID: m\nnamespace: team-a\nkvSpareTrigger: 0.35")],
        )
        .with("team-a", SATURATION, &[("default", "kvCacheThreshold: 0.6")]);
    assert_eq!(store.thresholds("team-a", "m"), [0.6, 7.0, 0.35, 3.0]);
    assert_eq!(store.thresholds("team-a", "n"), [0.6, 7.0, 0.1, 3.0]);
    assert_eq!(store.thresholds("team-b", "m"), [0.8, 7.0, 0.1, 3.0]);
    let local = store.with("team-a", SATURATION, &[("mine", "model_id: m\nqueueSpareTrigger: 1")]);
    assert_eq!(local.thresholds("team-a", "m"), [0.8, 7.0, 0.1, 1.0], "a local override stands in for the global one");
}

#[rstest]
#[case::no_model("namespace: team-a", "names no model")]
#[case::no_namespace("model_id: m", "names no namespace")]
fn an_override_says_whom_it_is_about(#[case] text: &str, #[case] expect: &str) {
    let entries = Entries::<Saturation>::read(&data(&[("x", text)]), &Place::Global, None);
    assert!(entries.problems()["x"].to_string().contains(expect) && entries.is_empty());
}

#[test]
fn a_local_entry_cannot_reach_into_another_namespace() {
    let text = "model_id: m\nnamespace: team-b\nkvCacheThreshold: 0.2";
    let store = Store::nothing().with("team-a", SATURATION, &[("x", text)]);
    assert_eq!(store.thresholds("team-b", "m"), [0.8, 5.0, 0.1, 3.0]);
    let (_, map) = store.saturation.in_force("team-a").unwrap();
    assert!(map.entries.problems()["x"].to_string().contains("counts for \"team-a\" only"));
}

#[test]
fn analyzer_and_limiter_come_from_the_global_default_only() {
    let text = "analyzerName: saturation\nenableLimiter: true";
    let local = Store::nothing().with("team-a", SATURATION, &[("default", text)]);
    assert_eq!(local.settings(false).analyzer.of(&model("team-a", "m")), &Analyzer::Threshold);
    assert_eq!(local.settings(false).limiter, Limiter::Off);
    let (_, map) = local.saturation.in_force("team-a").unwrap();
    let problem = map.entries.problems()["default"].to_string();
    assert!(problem.contains("`analyzerName` has no effect here") && problem.contains("`enableLimiter`"), "{problem}");
    let global = Store::nothing().with(GLOBAL, SATURATION, &[("default", text)]).settings(false);
    assert_eq!(global.analyzer.of(&model("team-a", "m")), &tokens(0.85, 0.7));
    assert_eq!(global.limiter, Limiter::On { on_unknown: FailMode::Hold });
    let store = Store::nothing().with(GLOBAL, SATURATION, &[("default", text)]);
    let open = Live { limiter_fail_mode: FailMode::Unlimited, ..live() };
    let limiter = resolve(&store, &ConfigScope::default(), &open, fixed(false)).limiter;
    assert_eq!(limiter, Limiter::On { on_unknown: FailMode::Unlimited });
}

#[test]
fn a_bad_entry_keeps_its_last_good_version_and_spoils_no_other() {
    let mut store = Store::nothing().with(GLOBAL, SATURATION, &[("default", "kvCacheThreshold: 0.5")]);
    let other = "model_id: m\nnamespace: team-a\nkvCacheThreshold: 0.9";
    assert!(store.put(GLOBAL, SATURATION, &[("default", "kvCacheThreshold: 5"), ("other", other)]));
    assert_eq!(store.thresholds("team-a", "n")[0], 0.5);
    assert_eq!(store.thresholds("team-a", "m")[0], 0.9);
    let (_, map) = store.saturation.in_force(GLOBAL).unwrap();
    assert!(map.entries.problems()["default"].to_string().contains("the last good version of it stays in force"));
    // Deleted and created again while the watch was away: what the old object said is gone with it.
    let changed =
        store.apply(&ObjectKey::new(GLOBAL, SATURATION), "another-uid", &data(&[("default", "kvCacheThreshold: 5")]));
    assert!(changed);
    assert_eq!(store.thresholds("team-a", "n")[0], 0.8);
}

#[test]
fn a_misspelt_field_is_told_and_the_rest_of_the_entry_counts() {
    let store = Store::nothing().with(GLOBAL, SATURATION, &[("default", "kvCacheTreshold: 0.5\nqueueSpareTrigger: 1")]);
    assert_eq!(store.thresholds("team-a", "m"), [0.8, 5.0, 0.1, 1.0]);
    let (_, map) = store.saturation.in_force(GLOBAL).unwrap();
    assert!(map.entries.problems()["default"].to_string().contains("`kvCacheTreshold` is not known and has no effect"));
}

#[test]
fn an_entry_that_contradicts_what_it_inherits_is_left_out_and_told() {
    let store = Store::nothing().with(GLOBAL, SATURATION, &[("default", "kvSpareTrigger: 0.3")]).with(
        "team-a",
        SATURATION,
        &[("default", "kvCacheThreshold: 0.2")],
    );
    assert_eq!(store.thresholds("team-a", "m"), [0.8, 5.0, 0.3, 3.0]);
    let changes = InForce::of(&store, &in_team_a()).since(&InForce::default());
    let told = |changes: &&SettingsChange| matches!(changes, SettingsChange::Problem { config_map, why, .. } if config_map.namespace == "team-a" && why.contains("contradicts what it inherits"));
    assert_eq!(changes.iter().filter(told).count(), 1, "{changes:?}");
}

#[test]
fn of_several_names_the_first_counts_and_the_others_are_told() {
    let old = |name, threshold: &str| (name, format!("kvCacheThreshold: {threshold}"));
    let mut store = Store::nothing();
    for (name, text) in [
        old("capacity-scaling-config", "0.11"),
        old("saturation-scaling-config", "0.22"),
        old("wva-saturation-config", "0.33"),
        old(SATURATION, "0.44"),
    ] {
        store.put("team-a", name, &[("default", &text)]);
        let expect = text.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        assert_eq!(store.thresholds("team-a", "m")[0], expect, "{name} comes before those so far");
        let changes = InForce::of(&store, &in_team_a()).since(&InForce::default());
        let old_name = changes.iter().any(|changes| matches!(changes, SettingsChange::OldName { .. }));
        assert_eq!(old_name, name != SATURATION, "{name}");
    }
    store.delete(&ObjectKey::new("team-a", SATURATION));
    assert_eq!(store.thresholds("team-a", "m")[0], 0.33);
}

#[test]
fn the_news_of_a_change_count_entries_before_and_after_and_come_once() {
    let namespaces = in_team_a();
    let two = [("default", "kvCacheThreshold: 0.7"), ("m", "model_id: m\nnamespace: team-a")];
    let mut store = Store::nothing().with(GLOBAL, SATURATION, &two);
    let before = InForce::of(&store, &namespaces);
    let three = [two[0], two[1], ("n", "model_id: n\nnamespace: team-a")];
    store.put(GLOBAL, SATURATION, &three);
    let after = InForce::of(&store, &namespaces);
    let [SettingsChange::Updated { kind: "saturation", old_entries: 2, new_entries: 3, global: true, .. }] =
        after.since(&before)[..]
    else {
        panic!("{:?}", after.since(&before));
    };
    assert_eq!(after.since(&after), []);
    assert!(matches!(InForce::default().since(&after)[..], [SettingsChange::Removed { .. }]));
}

#[test]
fn thresholds_of_another_namespace_than_those_that_count_have_no_effect() {
    let store = Store::nothing().with("team-a", SATURATION, &[("default", "kvCacheThreshold: 0.2")]);
    let settings = resolve(&store, &ConfigScope::default(), &live(), fixed(false));
    assert_eq!(settings.thresholds.of(&model("team-a", "m")), &Thresholds::DEFAULT);
    assert_eq!(settings.stale_after, SignedDuration::from_mins(2));
}

#[test]
fn scale_to_zero_entries_with_their_namespace_come_before_those_for_all() {
    let entry = |rest: &str| format!("model_id: m\n{rest}");
    let entries = Entries::<ScaleToZero>::read(
        &data(&[
            ("all", &entry("enable_scale_to_zero: true")),
            ("one", &entry("namespace: team-a\nenable_scale_to_zero: false")),
        ]),
        &Place::Global,
        None,
    );
    let enabled = |namespace| entries.of_model(namespace, "m").and_then(|entry| entry.enabled);
    assert_eq!((enabled("team-a"), enabled("team-b")), (Some(false), Some(true)));
}
