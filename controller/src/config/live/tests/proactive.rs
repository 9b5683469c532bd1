//! What holds for the hybrid mode.

use wva_engine::settings::{Proactive, Slo};

use super::*;
use crate::cluster::index::Index;

const CLASSES: &str = "- {name: Premium, model: llama, priority: 1, slo-itl: 24, slo-ttw: 500}\n\
                       - {name: Freemium, model: llama, priority: 10, slo-itl: 100, slo-ttw: 2000}";
const PROFILES: &str = "- {model: llama, accelerator: A100, alpha: 7, beta: 0.03, gamma: 0.0003}";

fn store() -> Store {
    Store::nothing().with(GLOBAL, "serviceclass", &[("serviceClasses", CLASSES), ("profiles", PROFILES)])
}

fn annotated(name: &str, annotations: &str) -> String {
    crate::fixtures::variant(name).replace("generation: 1", &format!("generation: 1, annotations: {{{annotations}}}"))
}

fn config_scope(variants: &[String]) -> ConfigScope {
    let index = variants.iter().fold(Index::default(), |index, text| index.with_variant(text));
    ConfigScope::of(&index, &wva_api::Scope::default())
}

fn settings(store: &Store, variants: &[String]) -> Option<Proactive> {
    let fixed = Fixed { proactive: true, ..fixed(false) };
    resolve(store, &config_scope(variants), &live(), fixed).proactive
}

/// Milliseconds between tokens and to the first token.
fn promised(store: &Store, variants: &[String]) -> Option<(Option<f32>, Option<f32>)> {
    let proactive = settings(store, variants).unwrap();
    let Slo { itl_ms, ttft_ms, .. } = proactive.slo_of(&model("ns", "llama"))?;
    Some((*itl_ms, *ttft_ms))
}

#[test]
fn the_mode_is_off_unless_asked_for() {
    assert_eq!(resolve(&store(), &config_scope(&[]), &live(), fixed(false)).proactive, None);
    assert_eq!(settings(&Store::nothing(), &[]), Some(Proactive::default()), "on, but nothing is known yet");
}

#[test]
fn classes_and_profiles_hold_for_all_namespaces() {
    let proactive = settings(&store(), &[annotated("a", "")]).unwrap();
    let slo = proactive.slo_of(&model("ns", "llama")).unwrap();
    assert_eq!((slo.itl_ms, slo.ttft_ms), (Some(24.0), Some(500.0)), "the most important class");
    assert_eq!(proactive.slo_of(&model("elsewhere", "llama")), Some(slo));
    assert_eq!(proactive.slo_of(&model("ns", "qwen")), None);
    assert_eq!(proactive.profile_of("llama", "NVIDIA-A100-PCIE-80GB").map(|it| it.alpha), Some(7.0));
}

#[rstest]
#[case::a_class(&["wva.llmd.ai/service-class: Freemium"], Some((Some(100.0), Some(2000.0))))]
#[case::a_class_that_is_not_there(&["wva.llmd.ai/service-class: Gold"], Some((Some(24.0), Some(500.0))))]
#[case::as_the_chart_writes_them(&["wva.llmd.ai/slo-tpot-ms: '10', wva.llmd.ai/slo-ttft-ms: '1000'"], Some((Some(10.0), Some(1000.0))))]
#[case::one_of_two(&["wva.llmd.ai/slo-tpot-ms: '10', wva.llmd.ai/service-class: Freemium"], Some((Some(10.0), Some(2000.0))))]
#[case::the_tightest_of_all_variants(
    &["wva.llmd.ai/slo-tpot-ms: '30'", "wva.llmd.ai/slo-tpot-ms: '20', wva.llmd.ai/slo-ttft-ms: '0'"],
    Some((Some(20.0), Some(500.0)))
)]
#[case::no_number(&["wva.llmd.ai/slo-tpot-ms: fast"], Some((Some(24.0), Some(500.0))))]
fn annotations_of_variants_come_before_their_service_class(
    #[case] annotations: &[&str],
    #[case] expected: Option<(Option<f32>, Option<f32>)>,
) {
    let variants: Vec<_> = annotations.iter().zip(["a", "b"]).map(|(text, name)| annotated(name, text)).collect();
    assert_eq!(promised(&store(), &variants), expected);
}

#[test]
fn annotations_promise_something_without_any_config_map() {
    let variant = annotated("a", "wva.llmd.ai/slo-ttft-ms: '750'");
    assert_eq!(promised(&Store::nothing(), &[variant]), Some((None, Some(750.0))));
}

#[test]
fn the_config_map_counts_in_the_namespace_of_the_controller_only_and_may_come_and_go() {
    let entries = [("serviceClasses", CLASSES)];
    let elsewhere = Store::nothing().with("team-a", "serviceclass", &entries);
    assert_eq!(promised(&elsewhere, &[]), None);

    let mut store = Store::nothing();
    assert!(store.names().contains("serviceclass"));
    assert!(store.put(GLOBAL, "serviceclass", &entries), "it came");
    assert!(!store.put(GLOBAL, "serviceclass", &entries), "and did not change");
    assert!(store.keep_only(None, "serviceclass", &BTreeSet::new()), "and went");
    assert_eq!(promised(&store, &[]), None);
    assert!(!Store::new(GLOBAL, &names(), false).names().contains("serviceclass"), "nobody asks for it");
}

#[test]
fn what_cannot_be_used_is_told_once() {
    let bad = Store::nothing().with(GLOBAL, "serviceclass", &[("serviceClasses", "- {name: a, model: m}")]);
    let variants = [annotated("a", "wva.llmd.ai/service-class: Gold"), annotated("b", "wva.llmd.ai/slo-tpot-ms: fast")];
    let now = InForce::of(&bad, &config_scope(&variants));
    let changes = now.since(&InForce::default());

    let problems: Vec<String> = changes
        .iter()
        .filter_map(|changes| match changes {
            SettingsChange::Problem { kind, entry, why, .. } => Some(format!("{kind} {entry} {why}")),
            SettingsChange::Annotation { variant, why } => Some(format!("{variant} {why}")),
            _ => None,
        })
        .collect();
    let [class, gold, fast] = &problems[..] else { panic!("{problems:?}") };
    assert!(class.starts_with("service class serviceClasses: a of m promises nothing"), "{class}");
    assert!(
        gold.starts_with("ns/a wva.llmd.ai/service-class=\"Gold\": ConfigMap serviceclass has no such class"),
        "{gold}"
    );
    assert!(fast.starts_with("ns/b wva.llmd.ai/slo-tpot-ms=\"fast\" is not a number of milliseconds"), "{fast}");
    assert_eq!(now.since(&now), []);
}
