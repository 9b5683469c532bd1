//! Five controllers and five models side by side, installed and removed in several orders: each release has all its
//! objects for as long as it is there, whatever its neighbours do.
//!
//! In clusters of their own: all objects of the chart in a cluster are compared.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::Value as Json;
use wva_e2e::environment::Environment;
use wva_e2e::harness::with_environment;
use wva_e2e::helm::Helm;
use wva_e2e::instance::make_namespace;
use wva_e2e::neighbours::{self, DEFAULTS, HOSTILE, Neighbour, Place};

const KINDS: &str = "secrets,deployments,services,configmaps,serviceaccounts,roles,rolebindings,clusterroles,\
                     clusterrolebindings,servicemonitors,variantautoscalings,horizontalpodautoscalers";

fn arguments(release: Neighbour, verb: &[&str]) -> Vec<String> {
    let line = verb.iter().map(|word| (*word).to_owned());
    line.chain([release.name(), Helm::chart().to_owned()])
        .chain(["-n", release.namespace(), "--set", &release.settings(), "--skip-crds"].map(str::to_owned))
        .collect()
}

/// `kind namespace/name` of each object.
fn identity(object: &Json) -> String {
    let metadata = &object["metadata"];
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    let kind = text(&object["kind"]);
    let namespace = if kind.starts_with("Cluster") { String::new() } else { text(&metadata["namespace"]) };
    format!("{kind} {namespace}/{}", text(&metadata["name"]))
}

/// What a release consists of, as helm renders it.
async fn objects(helm: &Helm, release: Neighbour) -> BTreeSet<String> {
    let text = helm.run(&arguments(release, &["template", "--no-hooks"])).await.expect("it renders");
    let documents = text.split("\n---\n").filter(|document| document.contains("kind: "));
    documents
        .map(|document| identity(&serde_saphyr::from_str(document.trim_start_matches("---\n")).expect("YAML")))
        .collect()
}

/// What the cluster holds of our chart.
async fn present(environment: &Environment) -> BTreeSet<String> {
    let line = ["get", KINDS, "-A", "-l", "app.kubernetes.io/name=workload-variant-autoscaler", "-o", "json"];
    let list: Json = serde_json::from_str(&environment.kubectl().run(&line).await.expect("a list")).expect("JSON");
    list["items"].as_array().expect("items").iter().map(identity).collect()
}

/// A shuffle that is the same on each run.
fn shuffled(mut releases: Vec<Neighbour>, seed: usize) -> Vec<Neighbour> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    for index in (1..releases.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        releases.swap(index, (state >> 33) % (index + 1));
    }
    releases
}

#[rstest]
#[case::default_names(DEFAULTS)]
#[case::hostile_names(HOSTILE)]
#[tokio::test(flavor = "multi_thread")]
async fn five_controllers_and_five_models_come_and_go_in_any_order(#[case] places: [Place; 5]) {
    with_environment(async |environment: &Environment| {
        let helm = environment.helm().expect("helm is there");
        let crds = format!("{}/crds/", Helm::chart());
        environment.kubectl().run(&["apply", "--server-side", "-f", &crds]).await.expect("the definitions apply");
        let releases = neighbours::of(places);
        for (_, namespace) in places {
            make_namespace(environment.kubectl(), namespace).await.expect("the namespace is made");
        }
        let mut all = BTreeSet::new();
        let mut parts = Vec::new();
        for release in &releases {
            let objects = objects(&helm, *release).await;
            let shared: Vec<&String> = all.intersection(&objects).collect();
            assert!(shared.is_empty(), "{release:?} shares {shared:?}");
            all.extend(objects.iter().cloned());
            parts.push((*release, objects));
        }
        let of = |release: &Neighbour| &parts.iter().find(|(other, _)| other == release).expect("rendered before").1;

        for round in 0..2 {
            let mut expected = BTreeSet::new();
            for release in shuffled(releases.clone(), round) {
                helm.run(&arguments(release, &["install"]))
                    .await
                    .unwrap_or_else(|error| panic!("{release:?}: {error}"));
                expected.extend(of(&release).iter().cloned());
            }
            assert_eq!(present(environment).await, expected, "after all installs of round {round}");
            for release in shuffled(releases.clone(), round + 7) {
                let line = ["uninstall", &release.name(), "-n", release.namespace()];
                helm.run(&line).await.unwrap_or_else(|error| panic!("{release:?}: {error}"));
                for gone in of(&release) {
                    expected.remove(gone);
                }
                assert_eq!(present(environment).await, expected, "after {release:?} went in round {round}");
            }
        }
    })
    .await;
}
