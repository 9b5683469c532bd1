//! Every object of the chart, judged by an API server: no unknown field, no invalid value, no template left out.
//!
//! In clusters of their own: the namespaces are those that the chart's value sets name.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use wva_e2e::environment::Environment;
use wva_e2e::harness::with_environment;
use wva_e2e::helm::Helm;
use wva_e2e::instance::make_namespace;

/// Render nothing by themselves.
const WITHOUT_OBJECTS: &[&str] = &["validate.yaml", "preflight.yaml"];

/// The value sets of the chart: `ci/` and the one for development.
fn value_sets() -> Vec<PathBuf> {
    let ci = fs::read_dir(format!("{}/ci", Helm::chart())).expect("the chart has value sets");
    let mut sets: Vec<PathBuf> = ci.map(|entry| entry.expect("an entry").path()).collect();
    sets.push(PathBuf::from(Helm::chart()).join("values-dev.yaml"));
    sets.sort();
    sets
}

/// The templates of the chart that render objects, as helm names them.
fn templates() -> BTreeSet<String> {
    let root = PathBuf::from(Helm::chart()).join("templates");
    let mut found = BTreeSet::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of templates") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).expect("below the templates").to_string_lossy().into_owned();
            if path.extension().is_some_and(|end| end == "yaml") && !WITHOUT_OBJECTS.contains(&name.as_str()) {
                found.insert(format!("workload-variant-autoscaler/templates/{name}"));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_takes_every_object_of_every_value_set_and_no_template_is_left_out() {
    with_environment(async |environment: &Environment| {
        let (kubectl, helm) = (environment.kubectl(), environment.helm().expect("helm is there"));
        let namespaces = ["wva-system", "llm-d-autoscaler", "team-a", "team-b", "openshift-user-workload-monitoring"];
        for namespace in namespaces {
            make_namespace(kubectl, namespace).await.expect("the namespace is made");
        }
        let crds = format!("{}/crds/", Helm::chart());
        kubectl.run(&["apply", "--server-side", "-f", &crds]).await.expect("the definitions apply");
        // The account that one value set takes instead of making its own.
        kubectl.run(&["create", "serviceaccount", "wva", "-n", "wva-system"]).await.expect("the account is made");

        let mut seen = BTreeSet::new();
        for set in value_sets() {
            let values = set.to_str().expect("a path in UTF-8");
            let line = ["template", "wva", Helm::chart(), "-n", "wva-system", "-f", values];
            let rendered = helm.run(&line).await.expect("it renders");
            seen.extend(rendered.lines().filter_map(|line| line.strip_prefix("# Source: ")).map(str::to_owned));
            let objects = rendered.lines().filter(|line| line.starts_with("kind: ")).count();
            // A pod is taken only where its account is there already.
            let is_account = |document: &&str| document.lines().any(|line| line == "kind: ServiceAccount");
            let accounts: Vec<_> = rendered.split("\n---\n").filter(is_account).collect();
            if !accounts.is_empty() {
                kubectl.feed(&["apply", "-f", "-"], &accounts.join("\n---\n")).await.expect("the accounts are made");
            }
            let judged = kubectl
                .feed(&["apply", "--dry-run=server", "--validate=strict", "-f", "-"], &rendered)
                .await
                .unwrap_or_else(|error| panic!("{values}: {error}"));
            let taken = judged.lines().filter(|line| line.ends_with(" (server dry run)")).count();
            assert_eq!(taken, objects, "{values}: {judged}");
        }
        assert_eq!(seen, templates());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_field_of_a_foreign_kind_would_be_noticed() {
    with_environment(async |environment: &Environment| {
        let scaled = r#"{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x"},
            "spec": {"scaleTargetRef": {"name": "x"}, "triggers": [], "minReplicas": 1}}"#;
        let monitor = r#"{"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "x"},
            "spec": {"selector": {}, "endpoints": [{"port": "x", "interval": "1.5s"}]}}"#;
        for (object, complaint) in [(scaled, "spec.minReplicas"), (monitor, "interval")] {
            let line = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
            let refusal = environment.kubectl().feed(&line, object).await.expect_err("it is refused").to_string();
            assert!(refusal.contains(complaint), "{refusal}");
        }
    })
    .await;
}
