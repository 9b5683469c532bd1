//! Values of the releases 0.4.1 to 0.5.1, and values that an older chart left incomplete.

use chart_render::{Chart, Manifest, Options, Release, Rendered, Values, render};
use rstest::rstest;
use serde_json::Value as Json;

use crate::helm::chart;

fn rendered(settings: &[&str]) -> Rendered {
    let mut values = Values::new();
    for setting in settings {
        values.set(setting).expect("settings");
    }
    let chart = Chart::load(chart()).expect("chart");
    render(&chart, values, &Release::new("wva", "wva-system"), &Options::default()).expect("it renders")
}

fn find<'a>(rendered: &'a Rendered, kind: &str, suffix: &str) -> &'a Json {
    let found = rendered.manifests.iter().find(|manifest| manifest.kind() == kind && manifest.name().ends_with(suffix));
    found.map(|manifest: &Manifest| &manifest.object).expect("an object")
}

fn pod(rendered: &Rendered) -> Json {
    find(rendered, "Deployment", "-controller-manager")["spec"]["template"]["spec"].clone()
}

#[test]
fn the_defaults_say_whose_they_are() {
    let chart = Chart::load(chart()).expect("chart");
    let text = std::fs::read_to_string(crate::helm::chart().join("Chart.yaml")).expect("Chart.yaml");
    let metadata: Json = serde_saphyr::from_str(&text).expect("YAML");
    assert_eq!(chart.values()["defaultsOf"], metadata["version"]);
    // The image's tag is the workspace's version.
    assert_eq!(metadata["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[rstest]
#[case::null_map("wva.prometheus.tls=null")]
#[case::null_section("wva.probes=null")]
#[case::null_text("wva.reconcileInterval=null")]
#[case::null_model("vllmService=null")]
#[case::null_behaviour("hpa=null")]
fn a_value_taken_away_is_its_default_again(#[case] set: &str) {
    let texts = |settings: &[&str]| {
        rendered(settings).manifests.iter().map(|manifest| manifest.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&[set]), texts(&[]));
}

#[test]
fn null_still_takes_away_what_may_be_left_out() {
    let rendered = rendered(&[
        "wva.podSecurityContext.runAsGroup=null,wva.resources=null,hpa.behavior=null,hpa.tolerance=null,wva.openshift.enabled=false",
        "wva.prometheus.baseURL=http://p",
    ]);
    let pod = pod(&rendered);
    assert_eq!(pod["securityContext"]["runAsUser"], 65532);
    assert_eq!(pod["securityContext"]["runAsGroup"], Json::Null);
    assert_eq!(pod["containers"][0]["resources"], Json::Null);
    assert_eq!(find(&rendered, "HorizontalPodAutoscaler", "-hpa")["spec"]["behavior"], Json::Null);
}

#[rstest]
#[case::off("off", "false")]
#[case::bare_off("false", "false")]
#[case::on("on", "true")]
#[case::bare_on("true", "true")]
#[case::model_only("model-only", "true")]
fn hybrid_optimization_is_the_hybrid_mode(#[case] old: &str, #[case] new: &str) {
    let rendered = rendered(&[&format!("wva.experimentalHybridOptimization={old}")]);
    let config = find(&rendered, "ConfigMap", "-variantautoscaling-config");
    assert_eq!(config["data"]["EXPERIMENTAL_PROACTIVE_MODEL"], new);
    assert!(rendered.notes.contains("wva.experimentalHybridOptimization is deprecated"), "{}", rendered.notes);
}

#[rstest]
#[case::release("a.example/llm-d/llm-d-workload-variant-autoscaler", "v0.5.1", true)]
#[case::older("a.example/llm-d-incubation/workload-variant-autoscaler", "v0.4.1", true)]
#[case::newest("llm-d/llm-d-workload-variant-autoscaler", "latest", true)]
#[case::later_release("a.example/llm-d/llm-d-workload-variant-autoscaler", "v0.6.0", false)]
#[case::own("localhost/wva-controller", "v0.0.1-dev", false)]
fn the_image_of_the_go_controller_is_replaced(#[case] repository: &str, #[case] tag: &str, #[case] replaced: bool) {
    let rendered = rendered(&[&format!("wva.image.repository={repository},wva.image.tag={tag}")]);
    let image = pod(&rendered)["containers"][0]["image"].clone();
    let expected = if replaced { "localhost/wva-controller:0.6.0".to_owned() } else { format!("{repository}:{tag}") };
    assert_eq!(image, expected);
    assert_eq!(rendered.notes.contains("which this chart cannot run"), replaced, "{}", rendered.notes);
}

#[test]
fn what_was_said_about_old_values_stands_in_the_notes() {
    let rendered = rendered(&["wva.modelName=a,wva.baseName=b,wva.imagePullSecret=registry"]);
    for name in ["modelName", "baseName", "imagePullSecret"] {
        assert!(rendered.notes.contains(&format!("wva.{name} is deprecated")), "{}", rendered.notes);
    }
    assert_eq!(pod(&rendered)["imagePullSecrets"][0]["name"], "registry");
}

#[rstest]
#[case::of_a_registry("wva.image.repository=a.example/wva", "Always")]
#[case::loaded_into_the_nodes("wva.image.repository=localhost/wva-controller", "IfNotPresent")]
#[case::of_a_local_registry("wva.image.repository=localhost:5000/wva", "Always")]
#[case::never("wva.imagePullPolicy=Never", "Never")]
fn an_image_that_is_in_no_registry_is_not_pulled(#[case] set: &str, #[case] policy: &str) {
    assert_eq!(pod(&rendered(&[set]))["containers"][0]["imagePullPolicy"], policy);
}
