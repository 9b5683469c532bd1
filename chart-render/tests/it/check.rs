//! `chart-render check`: releases that get into each other's way are found, others are left alone.

use std::fs;

use chart_render::check::{Installed, Report, Rule, check};
use chart_render::{Chart, Options, Release, Values, render};
use rstest::rstest;
use tempfile::TempDir;

use crate::helm::chart_render as program;

/// A release of the project's chart: `name@namespace settings`.
fn release(line: &str) -> Installed {
    let (id, settings) = line.split_once(' ').unwrap_or((line, ""));
    let (name, namespace) = id.split_once('@').expect("name@namespace");
    let mut values = Values::new();
    values.set(settings).expect("settings");
    let release = Release::new(name, namespace);
    let chart = Chart::embedded().expect("chart");
    let rendered = render(&chart, values, &release, &Options::default()).expect("render");
    Installed::rendered(&release, &rendered)
}

fn report(releases: &[&str]) -> Report {
    check(&releases.iter().map(|line| release(line)).collect::<Vec<_>>())
}

fn rules(report: &Report) -> Vec<Rule> {
    let mut rules: Vec<Rule> = report.findings.iter().map(|finding| finding.rule).collect();
    rules.dedup();
    rules
}

const CONTROLLER: &str = "va.enabled=false,hpa.enabled=false,vllmService.enabled=false";

#[test]
fn two_teams_with_a_controller_and_models_each_are_fine() {
    let mut releases = Vec::new();
    for team in ["a", "b"] {
        releases.push(format!("ctl@wva-{team} {CONTROLLER},wva.controllerInstance={team}"));
        for model in ["llama", "qwen"] {
            releases.push(format!(
                "{model}@team-{team} controller.enabled=false,wva.controllerInstance={team},llmd.namespace=team-{team},llmd.modelName={model}"
            ));
        }
    }
    let report = report(&releases.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.releases, 6);
}

#[rstest]
#[case::one_name_in_one_namespace(&["wva@a", "wva@a"], &[Rule::Identity])]
#[case::one_variant_name_in_a_shared_namespace(
    &["m@a controller.enabled=false", "m@b controller.enabled=false,llmd.modelName=other"],
    &[Rule::Identity]
)]
#[case::two_variants_of_one_deployment(
    &["x@a controller.enabled=false", "y@a controller.enabled=false"],
    &[Rule::Selector, Rule::Target]
)]
#[case::controller_and_model_of_different_ids(
    &["c@a va.enabled=false,hpa.enabled=false,wva.controllerInstance=one", "m@a controller.enabled=false,wva.controllerInstance=two"],
    &[Rule::Selector, Rule::Owner]
)]
#[case::two_controllers_without_an_id(
    &["c@a va.enabled=false,hpa.enabled=false,vllmService.enabled=false", "d@b va.enabled=false,hpa.enabled=false,vllmService.enabled=false"],
    &[Rule::Owner]
)]
#[case::a_namespace_that_nobody_watches(
    &["c@a va.enabled=false,hpa.enabled=false,vllmService.enabled=false,wva.namespaceScoped=true,llmd.namespace=a", "m@b controller.enabled=false,llmd.namespace=b"],
    &[Rule::Owner]
)]
fn a_collision_is_found(#[case] releases: &[&str], #[case] expected: &[Rule]) {
    let report = report(releases);
    assert_eq!(rules(&report), expected, "{report}");
}

#[test]
fn namespaces_that_do_not_overlap_keep_two_controllers_apart() {
    let scoped = |name: &str| format!("{name}@{name} {CONTROLLER},wva.namespaceScoped=true,llmd.namespace={name}");
    let report = report(&[&scoped("a"), &scoped("b")]);
    assert!(report.is_clean(), "{report}");
}

/// Objects written by hand, one release for each text.
fn of(texts: &[&str]) -> Report {
    let read = |(index, text): (usize, &&str)| Installed::read(&format!("r{index}"), text).expect("objects");
    check(&texts.iter().enumerate().flat_map(read).collect::<Vec<_>>())
}

const VARIANT: &str = "apiVersion: llmd.ai/v1alpha1\nkind: VariantAutoscaling\n\
    metadata: {name: v, namespace: ns, labels: {wva.llmd.ai/controller-instance: a}}\n\
    spec: {scaleTargetRef: {name: d}}\n";

fn scaler(target: &str, labels: &str) -> String {
    format!(
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: h, namespace: ns}}\n\
         spec: {{scaleTargetRef: {{kind: Deployment, name: {target}}}, metrics: [{{external: {{metric: \
         {{name: wva_desired_replicas, selector: {{matchLabels: {{{labels}}}}}}}}}}}]}}\n"
    )
}

#[rstest]
#[case::all_agree("d", "variant_name: v, exported_namespace: ns, controller_instance: a", &[])]
#[case::no_instance("d", "variant_name: v, exported_namespace: ns", &[Rule::Instance])]
#[case::another_instance("d", "variant_name: v, exported_namespace: ns, controller_instance: b", &[Rule::Instance])]
#[case::another_target("e", "variant_name: v, exported_namespace: ns, controller_instance: a", &[Rule::Target])]
#[case::no_such_variant("d", "variant_name: w, exported_namespace: ns, controller_instance: a", &[Rule::Metric])]
#[case::another_namespace("d", "variant_name: v, exported_namespace: other, controller_instance: a", &[Rule::Metric])]
fn an_autoscaler_must_follow_the_variant_of_its_target(
    #[case] target: &str,
    #[case] labels: &str,
    #[case] expected: &[Rule],
) {
    let report = of(&[&format!("{VARIANT}---\n{}", scaler(target, labels))]);
    assert_eq!(rules(&report), expected, "{report}");
}

#[rstest]
#[case::agrees("controller_instance=\"a\"", &[])]
#[case::disagrees("controller_instance=\"b\"", &[Rule::Instance])]
fn the_query_of_a_scaled_object_is_read(#[case] matcher: &str, #[case] expected: &[Rule]) {
    let scaled = format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: s, namespace: ns}}\nspec:\n  \
         scaleTargetRef: {{name: d}}\n  triggers:\n    - metadata:\n        query: 'max(wva_desired_replicas\
         {{variant_name=\"v\",exported_namespace=\"ns\",{matcher}}})'\n"
    );
    let report = of(&[&format!("{VARIANT}---\n{scaled}")]);
    assert_eq!(rules(&report), expected, "{report}");
}

#[test]
fn selectors_that_reach_into_another_release_are_found() {
    let workload = |name: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: ns}}\nspec: {{selector: \
             {{matchLabels: {{app: x}}}}, template: {{metadata: {{labels: {{app: x, name: {name}}}}}}}}}\n"
        )
    };
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: ns, labels: {a: b}}\nspec: {selector: {app: x}}\n";
    let monitor = "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: m, namespace: other}\n\
                   spec: {namespaceSelector: {any: true}, selector: {matchLabels: {a: b}}}\n";
    let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: ns}\n\
                  spec: {podSelector: {matchLabels: {app: x}}}\n";
    let (one, two) = (workload("one"), workload("two"));
    for pair in [[one.as_str(), two.as_str()], [service, &two], [service, monitor], [policy, &one]] {
        let report = of(&pair);
        assert_eq!(rules(&report), [Rule::Selector], "{report}");
    }
    assert!(of(&[&format!("{one}---\n{service}---\n{monitor}---\n{policy}")]).is_clean());
}

#[test]
fn two_releases_that_share_all_their_objects_are_told_once() {
    let report = report(&["wva@a", "wva@a"]);
    assert_eq!(rules(&report), [Rule::Identity], "{report}");
    assert_eq!(report.findings[0].objects.len(), report.objects, "{report}");
    assert_eq!(report.to_string().matches("so the second install fails").count(), 1, "{report}");
}

#[test]
fn one_definition_may_come_with_every_release_unless_it_differs() {
    let definition = |version: &str| {
        format!("kind: CustomResourceDefinition\nmetadata: {{name: x}}\nspec: {{versions: [{{name: {version}}}]}}\n")
    };
    assert!(of(&[&definition("v1"), &definition("v1")]).is_clean());
    assert_eq!(rules(&of(&[&definition("v1"), &definition("v2")])), [Rule::Identity]);
}

#[test]
fn a_list_of_kubectl_is_taken_apart_by_release_and_owned_pods_do_not_count() {
    let item = |release: &str, name: &str| {
        format!(
            "- kind: Service\n  metadata:\n    name: {name}\n    namespace: ns\n    annotations: \
             {{meta.helm.sh/release-name: {release}, meta.helm.sh/release-namespace: ns}}\n  spec: {{selector: {{app: x}}}}\n"
        )
    };
    let pod =
        "- kind: Pod\n  metadata: {name: p, namespace: ns, labels: {app: x}, ownerReferences: [{kind: ReplicaSet}]}\n";
    let same = of(&[&format!("kind: List\nitems:\n{}{}{pod}", item("a", "one"), item("a", "two"))]);
    assert!(same.is_clean(), "{same}");
    let different = of(&[&format!("kind: List\nitems:\n{}{}{pod}", item("a", "one"), item("b", "two"))]);
    assert_eq!(rules(&different), [Rule::Selector], "{different}");
    assert_eq!(different.findings[0].objects[1].release, "ns/b");
}

#[test]
fn releases_applied_without_helm_are_told_apart_though_they_share_a_name() {
    let controller = |team| format!("wva@wva-{team} {CONTROLLER},wva.controllerInstance={team}");
    let applied = ["a", "b"].map(|team| release(&controller(team)));
    let live = Installed::live("cluster", applied.iter().flat_map(|release| release.objects.clone()));
    let names: Vec<&str> = live.iter().map(|release| release.name.as_str()).collect();
    assert_eq!(names, ["wva-a/wva", "wva-b/wva"]);
    assert!(check(&live).is_clean(), "{}", check(&live));
}

#[test]
fn in_whatever_order_releases_come_the_findings_are_the_same() {
    let lines = ["x@a controller.enabled=false", "y@a controller.enabled=false", "wva@a", "wva@b"];
    let releases = lines.map(release);
    let findings = |order: [usize; 4]| {
        let mut report = check(&order.map(|index| releases[index].clone()));
        report.findings.iter_mut().for_each(|finding| finding.objects.sort());
        report.findings.sort();
        report.findings
    };
    let first = findings([0, 1, 2, 3]);
    assert!(!first.is_empty());
    let orders = (0..256).map(|code| [code % 4, code / 4 % 4, code / 16 % 4, code / 64]);
    let is_permutation = |order: &[usize; 4]| (0..4).all(|index| order.contains(&index));
    for order in orders.filter(is_permutation) {
        assert_eq!(findings(order), first, "{order:?}");
    }
}

#[test]
fn the_program_reads_files_and_directories_and_answers_with_its_exit_code() {
    let dir = TempDir::new().expect("temporary directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir(path("two")).expect("directory");
    fs::write(path("one.yaml"), VARIANT).expect("write");
    fs::write(path("two/va.yaml"), VARIANT.replace("name: v,", "name: w,")).expect("write");
    fs::write(path("bad.yaml"), "a: [").expect("write");

    let run = |arguments: &[&str]| {
        let output = program(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>());
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let (code, text) = run(&["check", &path("one.yaml")]);
    assert_eq!((code, text.as_str()), (Some(0), "1 release, 1 object: nothing wrong\n"));
    let (code, text) = run(&["check", &path("one.yaml"), &path("two")]);
    assert_eq!(code, Some(1));
    assert!(text.starts_with("target    several VariantAutoscalings scale one target"), "{text}");
    let (code, text) = run(&["check", &path("one.yaml"), &path("two"), "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, report["findings"][0]["rule"].as_str()), (Some(1), Some("target")));
    assert_eq!(run(&["check", &path("bad.yaml")]).0, Some(2));
    assert_eq!(run(&["check", &path("none.yaml")]).0, Some(2));
}
