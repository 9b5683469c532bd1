//! What `status` says about clusters in various states.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kubectl_wva::Verdict;
use kubectl_wva::commands::status::{
    Filter, Gathered, Level, LoadView, Loads, PodLoad, ProblemKind, StatusView, print, print_tree, table,
};
use kubectl_wva::output::Format;
use kubectl_wva::output::console::Console;
use kubectl_wva::readers::servers::Servers;
use rstest::rstest;
use serde_json::{Value, json};
use wva_api::Instance;

use crate::objects::{
    NOW, condition, controller, decided, deployment, deployments, hpa, hpas, typed, variant, variants,
};

/// Two variants of one model in one namespace, one growing; their controller is up.
fn healthy() -> Gathered {
    Gathered {
        variants: variants(&[
            decided(variant("models", "llama-a100", "llama-a100-decode", "team-a"), 3),
            decided(variant("models", "llama-h100", "llama-h100-decode", "team-a"), 1),
        ]),
        deployments: Ok(deployments(&[
            deployment("models", "llama-a100-decode", 2),
            deployment("models", "llama-h100-decode", 1),
        ])),
        hpas: Ok(hpas(&[hpa("models", "llama-a100-decode", 2), hpa("models", "llama-h100-decode", 1)])),
        controllers: Ok(vec![controller("wva-a", "team-a", &[])]),
        loads: Loads::default(),
        servers: Servers::default(),
        troubles: BTreeMap::new(),
    }
}

/// Two instances, and on each of `team-b`'s variants something is wrong.
fn troubled() -> Gathered {
    let mut lost = variant("other", "lost", "gone", "team-b");
    lost["status"] = json!({"conditions": [
        condition("Ready", "False", "DeploymentNotFound", "Target deployment 'gone' no longer exists"),
    ]});
    let mut blind = decided(variant("other", "blind", "blind-decode", "team-b"), 1);
    blind["status"]["conditions"][1] =
        condition("MetricsAvailable", "False", "ModelNotServed", "pods report the model meta/other");
    let mut unmeasured = hpa("other", "blind-decode", 1);
    unmeasured["status"]["conditions"] = json!([{
        "type": "ScalingActive", "status": "False", "reason": "FailedGetExternalMetric", "message": "no metrics returned",
    }]);
    let mut gathered = healthy();
    gathered.variants.extend(variants(&[
        lost,
        blind,
        variant("other", "unseen", "unseen-decode", "team-b"),
        decided(variant("far", "far", "far-decode", "team-b"), 1),
        json!({"metadata": {"namespace": "other", "name": "odd"}, "spec": {"scaleTargetRef": "x"}}),
    ]));
    gathered.deployments.as_mut().unwrap().extend(deployments(&[deployment("other", "blind-decode", 1)]));
    gathered.hpas.as_mut().unwrap().extend(hpas(&[unmeasured]));
    gathered.controllers.as_mut().unwrap().push(controller("wva-b", "team-b", &["other"]));
    gathered
}

fn view(gathered: &Gathered, filter: &Filter) -> StatusView {
    StatusView::build(gathered, filter, true, NOW.parse::<Timestamp>().unwrap())
}

fn printed(gathered: &Gathered, format: Format, width: Option<u16>) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut plain = anstream::StripStream::new(&mut out);
    let mut console = Console { out: &mut plain, err: &mut err, format, headers: true, width };
    print(&view(gathered, &Filter::default()), None, &mut console).unwrap();
    [out, err].map(|text| String::from_utf8(text).unwrap()).concat()
}

#[rstest]
#[case::table(Format::Table)]
#[case::wide(Format::Wide)]
#[case::json(Format::Json)]
#[case::yaml(Format::Yaml)]
#[case::name(Format::Name)]
fn a_healthy_instance(#[case] format: Format) {
    insta::assert_snapshot!(format!("healthy_{format:?}").to_lowercase(), printed(&healthy(), format, None));
}

#[rstest]
#[case::table(Format::Table)]
#[case::json(Format::Json)]
fn every_kind_of_trouble_is_named(#[case] format: Format) {
    insta::assert_snapshot!(format!("troubled_{format:?}").to_lowercase(), printed(&troubled(), format, None));
}

#[test]
fn headers_can_be_left_out() {
    let text = table(&view(&healthy(), &Filter::default()), true, false, false, None);
    assert!(text.starts_with("models  llama-a100  "), "{text}");
}

/// One variant of each kind of name and state, `count` in all; one of them has no room left and is held by its HPA.
fn many(count: usize) -> Gathered {
    let mut gathered = healthy();
    gathered.variants.clear();
    let (mut targets, mut followers) = (Vec::new(), Vec::new());
    for at in 0..count {
        let name = if at == 0 { "llama-a100".to_owned() } else { format!("qwen-2-5-coder-32b-h100-{at}") };
        let target = format!("{name}-decode");
        let mut one = decided(variant("models", &name, &target, "team-a"), 2);
        one["spec"]["modelID"] = json!("meta-llama/Llama-3.1-8B-Instruct");
        if at == 2 {
            one["status"]["conditions"][2] = condition(
                "OptimizationReady",
                "True",
                "SaturationOnlyMode",
                "Waiting for llama-a100-va to go from 1 to 2 replicas",
            );
        }
        gathered.variants.extend(variants(&[one]));
        targets.push(deployment("models", &target, if at == 0 { 1 } else { 2 }));
        let mut follower = hpa("models", &target, if at == 0 { 1 } else { 2 });
        follower["spec"]["behavior"] = json!({"scaleUp": {"stabilizationWindowSeconds": 240}});
        followers.push(follower);
    }
    gathered.deployments = Ok(deployments(&targets));
    gathered.hpas = Ok(hpas(&followers));
    gathered
}

/// The text as a terminal of this width shows it, line by line.
fn screen(text: &str, width: u16) -> String {
    let rows = u16::try_from(text.lines().count()).unwrap() + 20;
    let mut terminal = vt100::Parser::new(rows.try_into().unwrap(), width.try_into().unwrap(), 0);
    terminal.process(text.replace('\n', "\r\n").as_bytes());
    // Clocks show local time.
    let clock = regex::Regex::new(r"\d\d:\d\d:\d\d").unwrap();
    let lines: Vec<String> = terminal
        .screen()
        .rows(0, width)
        .map(|line| clock.replace_all(line.trim_end(), "18:42:07").into_owned())
        .collect();
    lines.join("\n").trim_end().to_owned()
}

#[rstest]
fn a_screen_shows_whole_words_and_names_at_every_width(
    #[values(80, 120, 200)] width: u16,
    #[values(1, 3, 50)] count: usize,
) {
    let text = printed(&many(count), Format::Table, Some(width));
    let screen = screen(&text, width);
    assert_eq!(screen.lines().count(), text.trim_end().lines().count(), "no line is wider than the screen:\n{screen}");
    assert!(screen.contains("llama-a100 ") && screen.contains("NAME") && screen.contains("REPLICAS"), "{screen}");
    assert!(screen.contains("left of its 240 s window"), "{screen}");
    if count < 50 {
        insta::assert_snapshot!(format!("screen_{width}_{count}"), screen);
    }
}

/// The same with the load of each variant: of two pods, of which one is full.
fn loaded(count: usize) -> StatusView {
    let mut view = view(&many(count), &Filter::default());
    for variant in &mut view.variants {
        let pod = |suffix: &str, kv: f64, level: Level| PodLoad {
            name: format!("{}-6d5f8c7b94-{suffix}", variant.target.name),
            ready: level == Level::Saturated,
            kv_usage: Some(kv),
            queue_length: Some(9.0),
            level,
        };
        let each = vec![pod("x2x7k", 0.95, Level::Saturated), pod("zz9qp", 0.3, Level::Usual)];
        let level = Level::Saturated;
        variant.load = Some(LoadView { kv_usage: 0.95, queue_length: 9.0, level, each, pods: 2, age_seconds: 3 });
    }
    view
}

#[rstest]
fn a_tree_shows_models_variants_and_pods_at_every_width(
    #[values(80, 120, 200)] width: u16,
    #[values(1, 3, 50)] count: usize,
) {
    let view = loaded(count);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut plain = anstream::StripStream::new(&mut out);
    let format = Format::Table;
    let mut console = Console { out: &mut plain, err: &mut err, format, headers: true, width: Some(width) };
    print_tree(&view, Some("models"), &mut console).unwrap();
    let text = String::from_utf8(out).unwrap();
    let screen = screen(&text, width);
    assert_eq!(screen.lines().count(), text.trim_end().lines().count(), "no line is wider than the screen:\n{screen}");
    let at = |start: &str| screen.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(at("meta-llama/Llama-3.1-8B-Instruct in namespace models"), 1, "{screen}");
    assert_eq!(at("├─ ") + at("└─ "), count, "a branch for each variant:\n{screen}");
    assert_eq!(screen.matches("95% kv, 9 queued").count(), count, "and one for each pod:\n{screen}");
    if count < 50 {
        insta::assert_snapshot!(format!("tree_{width}_{count}"), screen);
    }
}

#[test]
fn a_tree_names_what_could_not_be_read() {
    let gathered = Gathered { hpas: Err("could not list HPAs: forbidden".to_owned()), ..healthy() };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut console = Console { out: &mut out, err: &mut err, format: Format::Table, headers: true, width: None };
    print_tree(&view(&gathered, &Filter::default()), None, &mut console).unwrap();
    let said = String::from_utf8(err).unwrap();
    assert_eq!(said, "warning: HPAs unknown: could not list HPAs: forbidden\n");
}

#[test]
fn an_unread_part_is_named_and_nothing_is_concluded_from_its_absence() {
    let gathered = Gathered {
        deployments: Err("could not list Deployments: forbidden".to_owned()),
        hpas: Err("could not list HPAs: forbidden".to_owned()),
        controllers: Err("could not look for controllers: forbidden".to_owned()),
        ..healthy()
    };
    insta::assert_snapshot!("unread", printed(&gathered, Format::Table, None));
    assert_eq!(view(&gathered, &Filter::default()).verdict(), Verdict::Unknown);
}

#[test]
fn the_exit_code_tells_fine_from_found() {
    assert_eq!(view(&healthy(), &Filter::default()).verdict(), Verdict::Fine);
    assert_eq!(view(&troubled(), &Filter::default()).verdict(), Verdict::Found);
    let team_a = Filter { instance: Some(Instance::parse("team-a").unwrap()), ..Filter::default() };
    assert_eq!(view(&troubled(), &team_a).verdict(), Verdict::Fine);
}

#[rstest]
#[case::by_variant(Filter { name: Some("llama-h100-va".to_owned()), ..Filter::default() }, &["llama-h100-va"])]
#[case::by_release(Filter { name: Some("llama-h100".to_owned()), ..Filter::default() }, &["llama-h100-va"])]
#[case::by_model(Filter { model: Some("meta/llama".to_owned()), ..Filter::default() }, &["llama-a100-va", "llama-h100-va"])]
#[case::by_other_model(Filter { model: Some("meta".to_owned()), ..Filter::default() }, &[])]
#[case::without_id(Filter { instance: Some(Instance::default()), ..Filter::default() }, &[])]
fn filters_choose_variants(#[case] filter: Filter, #[case] expect: &[&str]) {
    let view = view(&healthy(), &filter);
    let names: Vec<&str> = view.variants.iter().map(|variant| variant.name.as_str()).collect();
    assert_eq!(names, expect);
}

fn problems(variant: &Value, deployment: &Value, hpa: &Value) -> Vec<ProblemKind> {
    let gathered = Gathered {
        variants: vec![typed(variant)],
        deployments: Ok(vec![typed(deployment)]),
        hpas: Ok(vec![typed(hpa)]),
        controllers: Ok(vec![controller("wva-a", "team-a", &[])]),
        loads: Loads::default(),
        servers: Servers::default(),
        troubles: BTreeMap::new(),
    };
    view(&gathered, &Filter::default()).variants[0].problems.iter().map(|problem| problem.kind).collect()
}

#[test]
fn a_variant_at_zero_is_no_problem_for_want_of_metrics() {
    let mut asleep = decided(variant("models", "llama", "llama-decode", "team-a"), 0);
    asleep["status"]["conditions"][1] = condition("MetricsAvailable", "False", "MetricsMissing", "no pods");
    asleep["status"]["conditions"][1]["lastTransitionTime"] = json!("2026-01-02T03:00:00Z");
    let mut disabled = hpa("models", "llama-decode", 0);
    disabled["status"]["conditions"] =
        json!([{"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled"}]);
    assert_eq!(problems(&asleep, &deployment("models", "llama-decode", 0), &disabled), []);
    assert_eq!(problems(&asleep, &deployment("models", "llama-decode", 1), &disabled), [ProblemKind::NoMetrics]);
}

#[test]
fn an_hpa_of_the_same_name_in_another_namespace_does_not_count() {
    let variant = decided(variant("models", "llama", "llama-decode", "team-a"), 1);
    let elsewhere = hpa("other", "llama-decode", 1);
    assert_eq!(problems(&variant, &deployment("models", "llama-decode", 1), &elsewhere), [ProblemKind::NoHpa]);
}

#[test]
fn a_controller_for_all_instances_takes_labelled_variants() {
    let mut all = controller("wva", "", &[]);
    all.scope.manage_all = true;
    let view = view(&Gathered { controllers: Ok(vec![all]), ..healthy() }, &Filter::default());
    assert_eq!(view.verdict(), Verdict::Fine);
}

#[test]
fn a_variant_of_an_instance_that_was_uninstalled_is_an_orphan_whatever_its_status_said_last() {
    let gathered = Gathered { controllers: Ok(vec![controller("wva-b", "team-b", &[])]), ..healthy() };
    let text = printed(&gathered, Format::Table, None);
    assert!(text.contains("no controller takes variants of"), "{text}");
    assert_eq!(text.matches("Orphaned: nobody decides").count(), 2, "{text}");
    assert!(!text.contains("yes") && !text.contains("in balance"), "{text}");
}
