//! Every command block of the users' guides on isolation, on the chart and on troubleshooting runs as written, and its
//! clean-up leaves nothing behind. The blocks are in `examples/seed-commands.yaml`.
//!
//! In clusters of their own: the guides' names are fixed, and nothing of the chart may be left in the cluster.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use wva_e2e::environment::Environment;
use wva_e2e::harness::with_environment;
use wva_e2e::helm::Helm;
use wva_e2e::instance::make_namespace;
use wva_e2e::kubectl::Error;

/// One block of commands; the fixture says what each field means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    guide: String,
    name: String,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default)]
    before: String,
    #[serde(default)]
    objects: String,
    folder: Option<String>,
    run: Option<String>,
    #[serde(default)]
    tells: Vec<String>,
    #[serde(default)]
    after: String,
    not_run: Option<String>,
}

fn blocks() -> Vec<Block> {
    let blocks: Vec<Block> =
        serde_saphyr::from_str(include_str!("examples/seed-commands.yaml")).expect("the fixture is read");
    for Block { guide, name, run, not_run, .. } in &blocks {
        assert!(run.is_some() != not_run.is_some(), "{guide}, {name}: either it runs or it says why not");
    }
    blocks
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What the guides leave open, and what is filled in.
const PLACES: [(&str, &str); 5] = [
    ("<namespace-name>", "team-a"),
    ("<namespace>", "team-a"),
    ("<controller-namespace>", "workload-variant-autoscaler-system"),
    ("<va-name>", "llama-8b"),
    ("<deployment-name>", "llama-8b"),
];

/// The one place where the guides' paths become those of this checkout: the chart they name relative to a folder that
/// differs from block to block, and a fixed file in the shared folder for temporary files.
fn adjusted(script: &str, prometheus: &str, scratch: &Path) -> String {
    PLACES
        .iter()
        .fold(script.to_owned(), |script, (place, name)| script.replace(place, name))
        .replace("<prometheus>", prometheus)
        .replace("./workload-variant-autoscaler", Helm::chart())
        .replace("/tmp/prometheus-ca.crt", &scratch.join("prometheus-ca.crt").display().to_string())
}

/// Objects of ours that are still there; what a namespace has by itself and Leases do not count.
async fn left(environment: &Environment) -> Vec<String> {
    let kubectl = environment.kubectl();
    let kinds = "deployments,services,configmaps,secrets,serviceaccounts,roles,rolebindings,clusterroles,\
                 clusterrolebindings,servicemonitors,va,hpa";
    let line = ["get", kinds, "-A", "-o", "name"];
    let all = kubectl.run(&line).await.expect("the objects are listed");
    let ours = |name: &&str| {
        ["workload-variant-autoscaler", "wva-", "orphan", "llama-8b"].iter().any(|ours| name.contains(ours))
    };
    all.lines().filter(ours).map(str::to_owned).collect()
}

/// Runs a block and its clean-up; the error is what a command answered.
async fn run(environment: &Environment, block: &Block, scratch: &Path) -> Result<(), Error> {
    let Block { guide, name, namespaces, before, objects, folder, run, tells, after, not_run: _ } = block;
    let Some(run) = run else { return Ok(()) };
    let (kubectl, helm) = (environment.kubectl(), environment.helm()?);
    let at = |folder: Option<&str>| project().join(folder.unwrap_or("."));
    let prometheus = environment.prometheus();
    let adjusted = |script: &str| adjusted(script, prometheus.url(), scratch);
    for namespace in namespaces {
        make_namespace(kubectl, namespace).await?;
    }
    helm.shell(&adjusted(before), &at(None)).await?;
    if !objects.is_empty() {
        kubectl.apply(objects).await?;
    }
    let said = helm.shell(&adjusted(run), &at(folder.as_deref())).await?;
    for expected in tells {
        assert!(said.contains(expected), "{guide}, {name}: {expected:?} is not in\n{said}");
    }
    helm.shell(&adjusted(after), &at(None)).await?;
    assert_eq!(left(environment).await, Vec::<String>::new(), "{guide}, {name}: the clean-up left these");
    Ok(())
}

async fn check_guide(guide: &str) {
    with_environment(async |environment: &Environment| {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let crds = format!("{}/crds/", Helm::chart());
        environment.kubectl().run(&["apply", "--server-side", "-f", &crds]).await.expect("the definitions apply");
        for block in blocks().iter().filter(|block| block.guide == guide) {
            let outcome = run(environment, block, scratch.path()).await.map_err(|error| error.to_string());
            assert_eq!(outcome, Ok(()), "{guide}, {}", block.name);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_isolation_guide_work_as_written() {
    check_guide("isolation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_charts_guide_work_as_written() {
    check_guide("chart").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_guide_on_troubleshooting_work_as_written() {
    check_guide("troubleshooting").await;
}

#[test]
fn a_block_that_is_not_run_says_why() {
    let reasons: Vec<String> = blocks().into_iter().filter_map(|block| block.not_run).collect();
    assert!(!reasons.is_empty() && reasons.iter().all(|reason| reason.len() > 20), "{reasons:?}");
}
