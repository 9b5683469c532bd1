//! A fleet, planned by chart-render and installed by helm: what is written works, and what is removed is gone.
//!
//! In clusters of their own: the inventory of a whole cluster is compared before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use chart_render::Chart;
use chart_render::check::{Installed, check};
use chart_render::fleet::{Charts, Fleet};
use serde_json::{Value as Json, json};
use wva_e2e::environment::Environment;
use wva_e2e::harness::with_environment;
use wva_e2e::helm::Helm;
use wva_e2e::instance::make_namespace;
use wva_e2e::kubectl::Kubectl;
use wva_e2e::wait::{self, Look};
use wva_e2e::{inventory, programs};

const PATIENCE: Duration = Duration::from_mins(1);

/// Two teams; the variants are called the same in both.
const FLEET: &str = "
controllers:
  - {name: wva, namespace: wva-a, instance: team-a, watch: [team-a], values: &values
      {wva: {imagePullPolicy: IfNotPresent, replicaCount: 1, reconcileInterval: 30s}}}
  - {name: wva, namespace: wva-b, instance: team-b, watch: [team-b], values: *values}
models:
  - id: meta-llama/Llama-3.1-8B
    namespace: team-a
    controller: wva-a/wva
    variants: &variants
      - {name: llama, accelerator: A100, cost: 25, min: 1, max: 4}
      - {name: llama-dear, accelerator: H100, cost: 40, max: 2}
  - {id: meta-llama/Llama-3.1-8B, namespace: team-b, controller: wva-b/wva, variants: *variants}
";

/// The fleet file, for the Prometheus of this environment.
fn fleet(environment: &Environment) -> String {
    format!("prometheus: {}{FLEET}", environment.prometheus().url())
}

/// The chart's definition, which outlives every release.
async fn define(kubectl: &Kubectl) {
    let crds = format!("{}/crds/", Helm::chart());
    kubectl.run(&["apply", "--server-side", "-f", &crds]).await.expect("the definitions apply");
}

/// The definition and the namespaces.
async fn prepare(kubectl: &Kubectl) {
    define(kubectl).await;
    for namespace in ["wva-a", "wva-b", "team-a", "team-b"] {
        make_namespace(kubectl, namespace).await.expect("the namespace is made");
    }
}

async fn assert_nothing_left(kubectl: &Kubectl, before: &BTreeSet<String>) {
    // Pods take their grace period to go.
    wait::until("nothing of the fleet to be left", PATIENCE, || async {
        let now = inventory::take(kubectl).await.expect("an inventory");
        let left: Vec<&str> = now.difference(before).map(String::as_str).collect();
        if left.is_empty() { Look::Done(()) } else { Look::NotYet(left.join(", ")) }
    })
    .await
    .expect("helm removes what it installed");
}

fn write_plain(text: &str, directory: &Path) {
    let plan = Fleet::read("fleet.yaml", text).expect("a fleet").plan(Chart::embedded().expect("the chart"));
    plan.expect("a plan").write(directory, &Charts::Plain).expect("the charts are written");
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_of_plain_manifests_are_installed_tested_upgraded_rolled_back_and_uninstalled() {
    with_environment(async |environment: &Environment| {
        let (kubectl, helm) = (environment.kubectl(), environment.helm().expect("helm is there"));
        prepare(kubectl).await;
        let before = inventory::take(kubectl).await.expect("an inventory");
        let dir = tempfile::tempdir().expect("a temporary folder");
        let first = fleet(environment);
        let second = first.replace("reconcileInterval: 30s", "reconcileInterval: 45s").replace("max: 4", "max: 8");
        write_plain(&first, &dir.path().join("first"));
        write_plain(&second, &dir.path().join("second"));
        // A model without a Deployment never gets ready, so nobody waits for it.
        let releases = [("wva", "wva-a"), ("llama", "team-a")];
        let patience =
            |release: (&str, &str)| if release == releases[0] { &["--wait", "--timeout", "90s"][..] } else { &[] };
        let run = async |verb: &str, release: (&str, &str), rest: &[&str]| {
            let line = [&[verb, release.0, "-n", release.1][..], rest].concat();
            helm.run(&line).await.unwrap_or_else(|error| panic!("{error}"))
        };
        let chart = |version: &str, (name, namespace): (&str, &str)| {
            dir.path().join(version).join("charts").join(format!("{namespace}.{name}")).display().to_string()
        };
        let seen = async || {
            let interval = "jsonpath={.items[*].data.GLOBAL_OPT_INTERVAL}";
            let most = "jsonpath={.items[*].spec.maxReplicas}";
            let interval = kubectl.run(&["get", "configmaps", "-n", "wva-a", "-o", interval]).await.expect("settings");
            format!("{interval} {}", kubectl.run(&["get", "hpa", "-n", "team-a", "-o", most]).await.expect("scalers"))
        };

        for release in releases {
            run("install", release, &[&[&*chart("first", release)], patience(release)].concat()).await;
        }
        assert_eq!(seen().await, "30s 4");
        let tested = run("test", releases[0], &[]).await;
        assert!(tested.contains("Succeeded"), "{tested}");
        for release in releases {
            run("upgrade", release, &[&[&*chart("second", release)], patience(release)].concat()).await;
        }
        assert_eq!(seen().await, "45s 8");
        for release in releases {
            run("rollback", release, &[&["1"], patience(release)].concat()).await;
        }
        assert_eq!(seen().await, "30s 4");
        for release in releases {
            run("uninstall", release, &["--wait"]).await;
        }
        assert_nothing_left(kubectl, &before).await;
    })
    .await;
}

/// A line of the table that `chart-render plan` prints.
#[derive(Debug)]
struct Row {
    release: String,
    namespace: String,
    instance: String,
    objects: usize,
}

fn rows(table: &str) -> Vec<Row> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [release, namespace, instance] = [0, 1, 2].map(|column| words[column].to_owned());
        Row { release, namespace, instance, objects: words[3].parse().expect("a number of objects") }
    };
    table.lines().skip(1).map(row).collect()
}

/// The helmfile names the releases of the table, each after the one it needs, with files that are there.
fn assert_helmfile(directory: &Path, rows: &[Row]) {
    let text = fs::read_to_string(directory.join("helmfile.yaml")).expect("a helmfile");
    let helmfile: Json = serde_saphyr::from_str(&text).expect("YAML");
    let mut known = Vec::new();
    for (entry, row) in helmfile["releases"].as_array().expect("releases").iter().zip(rows) {
        let id = format!("{}/{}", row.namespace, row.release);
        assert_eq!((&entry["namespace"], &entry["name"]), (&json!(row.namespace), &json!(row.release)));
        for need in entry["needs"].as_array().into_iter().flatten() {
            assert!(known.contains(need), "{id} comes before {need}");
        }
        let files = entry["values"].as_array().expect("values").iter().chain([&entry["chart"]]);
        for file in files {
            assert!(directory.join(file.as_str().expect("a path")).exists(), "{file} is missing");
        }
        known.push(Json::from(id));
    }
    assert_eq!(known.len(), rows.len());
}

/// What the helmfile runs before releases: the shell scripts that make the namespaces.
fn hooks(out: &Path) -> Vec<String> {
    let helmfile: Json =
        serde_saphyr::from_str(&fs::read_to_string(out.join("helmfile.yaml")).expect("a helmfile")).expect("YAML");
    let releases = helmfile["releases"].as_array().expect("releases");
    let hooks = releases.iter().filter_map(|release| release["hooks"].as_array()).flatten();
    let scripts: Vec<String> = hooks.map(|hook| hook["args"][1].as_str().expect("bash -c SCRIPT").to_owned()).collect();
    // One for each controller, and it names where that one watches.
    assert_eq!(scripts.len(), 2, "{scripts:?}");
    assert!(scripts[0].contains(" team-a;") && scripts[1].contains(" team-b;"), "{scripts:?}");
    scripts
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_of_a_plan_installs_what_the_table_says_and_the_helmfile_names_the_same() {
    with_environment(async |environment: &Environment| {
        let (kubectl, helm) = (environment.kubectl(), environment.helm().expect("helm is there"));
        // The namespaces are the script's business: a controller comes before the models it has roles beside.
        define(kubectl).await;
        let before = inventory::take(kubectl).await.expect("an inventory");
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join("fleet.yaml"), fleet(environment)).expect("the fleet file is written");
        let program = programs::ours("chart-render").expect("chart-render is built");
        let plan = format!("'{}' plan fleet.yaml --output-dir out", program.display());
        let rows = rows(&helm.shell(&plan, dir.path()).await.expect("the fleet is planned"));
        assert_eq!(rows.len(), 6, "{rows:?}");
        assert_helmfile(&dir.path().join("out"), &rows);

        // The second run upgrades what the first one installed.
        for _ in 0..2 {
            helm.shell("out/install.sh", dir.path()).await.expect("the script installs the fleet");
        }
        for hook in hooks(&dir.path().join("out")) {
            helm.shell(&hook, dir.path())
                .await
                .expect("a hook of the helmfile runs, also where the namespaces are there");
        }
        for row in &rows {
            let manifest =
                helm.run(&["get", "manifest", &row.release, "-n", &row.namespace]).await.expect("it is there");
            let objects: Vec<Json> = Installed::read("helm", &manifest)
                .expect("manifests")
                .into_iter()
                .flat_map(|release| release.objects)
                .collect();
            assert_eq!(objects.len(), row.objects, "{row:?}");
            for object in objects {
                assert_eq!(object["metadata"]["labels"]["wva.llmd.ai/controller-instance"], *row.instance, "{object}");
            }
        }
        assert_agreement_of_live_objects(kubectl, &rows).await;
        for row in &rows {
            let line = ["uninstall", &row.release, "-n", &row.namespace, "--wait"];
            helm.run(&line).await.expect("the release goes");
        }
        assert_nothing_left(kubectl, &before).await;
    })
    .await;
}

/// `chart-render check` takes the cluster's objects apart into the releases of the table and finds nothing wrong.
async fn assert_agreement_of_live_objects(kubectl: &Kubectl, rows: &[Row]) {
    let live = inventory::releases(kubectl).await.expect("the objects");
    let report = check(&live);
    assert!(report.is_clean(), "{report}");
    let counted: BTreeMap<String, usize> =
        live.into_iter().map(|release| (release.name, release.objects.len())).collect();
    let expected = rows.iter().map(|row| (format!("{}/{}", row.namespace, row.release), row.objects)).collect();
    assert_eq!(counted, expected);
}
