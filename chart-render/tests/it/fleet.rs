//! `chart-render plan`: a fleet file becomes releases that get on with one another, or a list of what is wrong.

use std::fs;
use std::path::Path;

use chart_render::check::{Installed, check};
use chart_render::fleet::{Charts, Error, Fleet, Plan};
use chart_render::profile::{Model, Profile};
use chart_render::{Chart, Options, Release, Values, render};
use rstest::rstest;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::helm::{chart, chart_render as program, helm};

/// The example of docs/fleet.md.
fn example() -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/fleet.md");
    let text = fs::read_to_string(docs).expect("read docs/fleet.md");
    let (_, behind) = text.split_once("```yaml\n").expect("an example");
    behind.split_once("```").expect("the end of the example").0.to_owned()
}

fn plan(text: &str) -> Result<Plan, Error> {
    Fleet::read("fleet.yaml", text).expect("fleet").plan(Chart::embedded().expect("chart"))
}

#[test]
fn the_documented_fleet_becomes_five_releases_with_consistent_ids() {
    let plan = plan(&example()).expect("plan");
    let releases: Vec<(&str, &str)> =
        plan.installs.iter().map(|install| (install.release.name.as_str(), install.instance.as_str())).collect();
    assert_eq!(
        releases,
        [
            ("wva-a", "team-a"),
            ("wva-b", "team-b"),
            ("llama-h100", "team-a"),
            ("llama-a100", "team-a"),
            ("qwen", "team-b")
        ]
    );
    for install in &plan.installs {
        for manifest in &install.rendered.manifests {
            let id = &manifest.object["metadata"]["labels"]["wva.llmd.ai/controller-instance"];
            assert_eq!(id, &Json::from(install.instance.as_str()), "{} {}", manifest.kind(), manifest.name());
        }
    }
}

#[rstest]
#[case::one_id_for_two(
    "instance: team-b",
    "instance: team-a",
    "the controllers wva-a and wva-b have the instance id \"team-a\""
)]
#[case::unwatched("watch: [team-a]", "watch: [other]", "does not watch the namespace team-a")]
#[case::one_target(
    "deployment: llama-on-a100",
    "deployment: llama-h100-decode",
    "scale one Deployment team-a/llama-h100-decode"
)]
#[case::one_name("name: llama-a100", "name: llama-h100", "two releases are called llama-h100")]
#[case::no_controller("controller: wva-b", "controller: wva-c", "no controller is called \"wva-c\"")]
#[case::two_of_one_name("name: wva-b", "name: wva-a", "several controllers are called \"wva-a\"")]
#[case::unsaid_controller("    controller: wva-b\n", "", "say which controller scales it")]
#[case::empty_range("min: 1", "min: 9", "min is larger than max 8")]
#[case::decided_value("reconcileInterval: 30s", "controllerInstance: x", "the plan decides wva.controllerInstance")]
#[case::value_of_no_chart("reconcileInterval: 30s", "colour: red", "colour")]
#[case::invalid_id("instance: team-b", "instance: a/b", "wva-b/wva-b")]
fn a_fleet_that_cannot_work_is_refused(#[case] from: &str, #[case] to: &str, #[case] message: &str) {
    let text = example();
    assert!(text.contains(from), "{from} is in the example");
    let error = plan(&text.replace(from, to)).expect_err("a refusal").to_string();
    assert!(error.contains(message), "{error}");
}

#[rstest]
#[case::its_own_namespace(
    "namespace: wva-b",
    "namespace: team-b",
    "watch: [team-b, team-b-test]",
    "watch: [team-b-test]"
)]
#[case::named_with_its_namespace("name: wva-b", "name: wva-a", "controller: wva-b", "controller: wva-b/wva-a")]
fn a_controller_is_found_by_namespace(
    #[case] from: &str,
    #[case] to: &str,
    #[case] also_from: &str,
    #[case] also_to: &str,
) {
    let text =
        example().replace(from, to).replace(also_from, also_to).replace("controller: wva-a", "controller: wva-a/wva-a");
    let plan = plan(&text).expect("plan");
    assert_eq!(plan.installs[4].instance, "team-b");
}

#[test]
fn all_contradictions_are_told_at_once() {
    let text = example().replace("watch: [team-a]", "watch: [x]").replace("min: 1", "min: 9");
    let Err(Error::Contradiction(problems)) = plan(&text) else { panic!("a contradiction") };
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[rstest]
#[case::unknown_field("accelerator: H100", "acelerator: H100", "acelerator")]
#[case::wrong_type("max: 8", "max: many", "max")]
#[case::missing_field("namespace: wva-a\n", "\n", "namespace")]
fn a_field_that_is_wrong_is_named_with_its_place(#[case] from: &str, #[case] to: &str, #[case] word: &str) {
    let error = Fleet::read("fleet.yaml", &example().replacen(from, to, 1)).expect_err("an error").to_string();
    assert!(error.contains(word) && error.contains("line"), "{error}");
}

/// Objects that helm prints, whatever their order.
fn objects(output: &std::process::Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    let releases = Installed::read("helm", &text).expect("objects");
    let mut objects: Vec<String> =
        releases.iter().flat_map(|release| &release.objects).map(ToString::to_string).collect();
    objects.sort();
    objects
}

#[test]
fn a_chart_of_plain_manifests_installs_the_same_objects() {
    let dir = TempDir::new().expect("temporary directory");
    // Text that a template would take for an action.
    let text = example().replace("reconcileInterval: 30s", "podAnnotations: {note: 'a {{ .Values.x }} }}'}");
    let plan = plan(&text).expect("plan");
    plan.write(dir.path(), &Charts::Plain).expect("write");
    let path = |name: &str| dir.path().join(name).display().to_string();
    for install in &plan.installs {
        let name = install.file_name();
        let line = |chart: &str, values: Option<&str>| {
            let mut line = ["template", &install.release.name, chart, "-n", &install.release.namespace]
                .map(str::to_owned)
                .to_vec();
            line.extend(values.map(|values| format!("--values={values}")));
            helm(&line)
        };
        let original = objects(&line(&chart().display().to_string(), Some(&path(&format!("values/{name}.yaml")))));
        assert_eq!(objects(&line(&path(&format!("charts/{name}")), None)), original, "{name}");
        assert!(!original.is_empty());
    }
    let script = fs::read_to_string(path("install.sh")).expect("script");
    assert!(script.contains("helm upgrade --install wva-a './charts/wva-a.wva-a' --namespace wva-a"), "{script}");
    let helmfile = fs::read_to_string(path("helmfile.yaml")).expect("helmfile");
    assert!(helmfile.contains("needs:\n      - \"wva-b/wva-b\""), "{helmfile}");
}

#[test]
fn the_program_checks_prints_and_writes() {
    let dir = TempDir::new().expect("temporary directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("fleet.yaml"), example()).expect("write");
    fs::write(path("bad.yaml"), example().replace("min: 1", "min: 9")).expect("write");
    let run = |arguments: &[&str]| {
        let output = program(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>());
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let (code, text) = run(&["plan", "--check", &path("fleet.yaml")]);
    assert!(code == Some(0) && text.ends_with("5 releases, nothing wrong\n"), "{text}");
    assert_eq!(run(&["plan", "--check", &path("bad.yaml")]).0, Some(1));
    let (code, text) = run(&["plan", &path("fleet.yaml"), "--output-dir", &path("out")]);
    assert!(code == Some(0) && text.contains("scales team-b/qwen-decode on L40S"), "{text}");
    let (code, text) =
        run(&["check", &path("out/manifests/team-a.llama-h100.yaml"), &path("out/manifests/wva-a.wva-a.yaml")]);
    assert_eq!(code, Some(0), "{text}");
    let (_, text) = run(&["plan", &path("fleet.yaml"), "-o", "json"]);
    let json: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["releases"][4]["needs"], "wva-b/wva-b");
}

#[rstest]
#[case::controller("controller", true, false)]
#[case::model("model", false, true)]
#[case::all("all", true, true)]
#[case::dev("dev", true, true)]
#[case::openshift("openshift", true, true)]
fn every_profile_is_values_that_the_chart_takes(#[case] profile: &str, #[case] controller: bool, #[case] model: bool) {
    let output = program(&["values", "--profile", profile, "--instance", "a", "--watch", "ns,b"].map(str::to_owned));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut values = Values::new();
    values.merge_yaml("values.yaml", &text).expect("values");
    let release = Release::new("r", "ns");
    let rendered = render(&Chart::embedded().expect("chart"), values, &release, &Options::default()).expect("render");
    let has = |kind: &str| rendered.manifests.iter().any(|manifest| manifest.kind() == kind);
    assert_eq!((has("Deployment"), has("VariantAutoscaling")), (controller, model), "{text}");
}

#[test]
fn hostile_words_stay_words_in_a_values_file() {
    let word = "on: \"{{ x }}\" # é\n- y";
    let profile = Profile {
        instance: "a".to_owned(),
        model: Some(Model {
            name: "m".to_owned(),
            namespace: "ns".to_owned(),
            id: word.to_owned(),
            deployment: String::new(),
            accelerator: "yes".to_owned(),
            cost: "1".to_owned(),
            min: None,
            max: 3,
        }),
        ..Profile::default()
    };
    let mut values = Values::new();
    values.merge_yaml("values.yaml", &profile.values().expect("render")).expect("values");
    assert_eq!(values.tree()["llmd"]["modelID"], word);
    assert_eq!(values.tree()["va"]["accelerator"], "yes");
}

#[test]
fn the_releases_of_a_plan_are_clean_when_checked_again() {
    let plan = plan(&example()).expect("plan");
    let installed: Vec<Installed> =
        plan.installs.iter().map(|install| Installed::rendered(&install.release, &install.rendered)).collect();
    let report = check(&installed);
    assert!(report.is_clean(), "{report}");
}
