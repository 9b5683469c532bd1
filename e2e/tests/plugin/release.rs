//! `install`, `upgrade` and `uninstall` beside the real helm: the same objects, the same record, and each goes on where
//! the other one stopped.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;
use wva_e2e::environment::Environment;
use wva_e2e::harness::with_environment;
use wva_e2e::helm::Helm;
use wva_e2e::kubectl::Kubectl;

const PLACE: [&str; 2] = ["-n", "wva-own"];
const KINDS: &str = "serviceaccounts,secrets,configmaps,clusterroles,clusterrolebindings,roles,rolebindings,services,\
                     deployments,servicemonitors";

/// The objects of the release without what the API server adds, and who manages which of their fields.
async fn objects(kubectl: &Kubectl) -> BTreeMap<String, Value> {
    let list = kubectl.run(&["get", KINDS, "-n", PLACE[1], "-o", "json", "--show-managed-fields"]).await.unwrap();
    let mut list: Value = serde_json::from_str(&list).unwrap();
    let mut found = BTreeMap::new();
    for object in list["items"].as_array_mut().unwrap() {
        if object["metadata"]["annotations"]["meta.helm.sh/release-name"] != "wva" {
            continue;
        }
        object.as_object_mut().unwrap().remove("status");
        if object["kind"] == "Secret" {
            object["data"] = Value::Null;
        }
        if object["kind"] == "Service" {
            object["spec"].as_object_mut().unwrap().retain(|key, _| !key.starts_with("clusterIP"));
        }
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata
            .retain(|key, _| !["uid", "resourceVersion", "creationTimestamp", "generation"].contains(&key.as_str()));
        metadata["annotations"].as_object_mut().unwrap().retain(|key, _| !key.contains("service-account.uid"));
        for fields in metadata["managedFields"].as_array_mut().unwrap() {
            fields.as_object_mut().unwrap().remove("time");
        }
        metadata["managedFields"].as_array_mut().unwrap().retain(|fields| fields["manager"] == "helm");
        let name = format!("{}/{}", object["kind"], object["metadata"]["name"]);
        found.insert(name, object.clone());
    }
    found
}

/// What helm tells of the release's last revision.
async fn told(helm: &Helm) -> Vec<String> {
    let times = Regex::new(r"(?m)^DEPLOYED_AT.*$|modifiedAt=\d+").unwrap();
    let mut told = Vec::new();
    for what in ["manifest", "hooks", "notes", "values", "metadata"] {
        let text = helm.run(&["get", what, "wva", PLACE[0], PLACE[1]]).await.unwrap();
        told.push(times.replace_all(&text, "").into_owned());
    }
    told
}

/// Number and status of each revision, in helm's words.
async fn history(helm: &Helm) -> Vec<(u64, String)> {
    let history = helm.run(&["history", "wva", PLACE[0], PLACE[1], "-o", "json"]).await.unwrap();
    let history: Vec<Value> = serde_json::from_str(&history).unwrap();
    history.iter().map(|one| (one["revision"].as_u64().unwrap(), one["status"].as_str().unwrap().to_owned())).collect()
}

async fn image(kubectl: &Kubectl, key: &str) -> String {
    let path = format!("jsonpath={{.items[0].{key}}}");
    kubectl.run(&["get", "deployments", "-n", PLACE[1], "-o", &path]).await.unwrap()
}

async fn plugin(kubectl: &Kubectl, line: &[&str]) -> String {
    kubectl.wva(&[line, &PLACE].concat()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugin_and_helm_install_the_same_and_take_each_others_releases_over() {
    with_environment(async |environment: &Environment| {
        let (kubectl, helm) = (environment.kubectl(), environment.helm().unwrap());
        let url = environment.prometheus().url().to_owned();
        let given = ["--prometheus", &url, "--set", "wva.imagePullPolicy=IfNotPresent"];

        let first = plugin(kubectl, &[&["install", "--create-namespace", "--wait"][..], &given].concat()).await;
        assert!(first.contains("release wva in namespace wva-own, revision 1: deployed"), "{first}");
        assert_eq!(image(kubectl, "status.readyReplicas").await, "1", "--wait has waited");
        let listed = helm.run(&["list", "-A"]).await.unwrap();
        assert!(
            listed.lines().any(|line| line.starts_with("wva") && line.contains("wva-own") && line.contains("deployed"))
        );
        let (ours, our_record) = (objects(kubectl).await, told(&helm).await);
        let again = kubectl.answer(&["install", PLACE[0], PLACE[1]]).await.unwrap();
        assert!(again.code == Some(2) && again.err.contains("kubectl wva upgrade wva -n wva-own"), "{again:?}");
        plugin(kubectl, &["uninstall"]).await;
        assert_eq!(objects(kubectl).await, BTreeMap::new(), "nothing is left");
        assert!(!helm.run(&["list", "-A"]).await.unwrap().contains("wva-own"));

        // The same by helm.
        let values = kubectl.wva(&["values", "--profile", "controller", "--prometheus", &url]).await.unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), values).unwrap();
        let file = file.path().to_str().unwrap();
        let rest = ["-f", file, "--set", "wva.imagePullPolicy=IfNotPresent"];
        helm.run(&[&["install", "wva", Helm::chart()], &PLACE[..], &rest].concat()).await.unwrap();
        assert_eq!(ours, objects(kubectl).await);
        assert_eq!(our_record, told(&helm).await);

        // Ours over helm's, helm's over ours, and back.
        let upgraded =
            plugin(kubectl, &["upgrade", "--set", "wva.podDisruptionBudget.enabled=true,wva.replicaCount=2"]).await;
        assert!(
            upgraded.contains("poddisruptionbudget.policy/") && upgraded.contains("revision 2: deployed"),
            "{upgraded}"
        );
        let rest = ["--reset-then-reuse-values", "--set", "wva.logging.level=debug"];
        helm.run(&[&["upgrade", "wva", Helm::chart()], &PLACE[..], &rest].concat()).await.unwrap();
        plugin(kubectl, &["upgrade", "--set", "wva.podDisruptionBudget.enabled=false"]).await;
        assert_eq!(image(kubectl, "spec.replicas").await, "2", "what was given before stays");
        let budgets = kubectl.run(&["get", "poddisruptionbudgets", "-n", PLACE[1], "-o", "name"]).await.unwrap();
        assert_eq!(budgets, "", "what a revision lacks is deleted");
        let words = ["superseded", "superseded", "superseded", "deployed"];
        assert_eq!(history(&helm).await, (1..).zip(words.map(str::to_owned)).collect::<Vec<_>>());
        helm.run(&["rollback", "wva", "1", PLACE[0], PLACE[1]]).await.unwrap();
        assert_eq!(ours.keys().collect::<Vec<_>>(), objects(kubectl).await.keys().collect::<Vec<_>>());
        helm.run(&["uninstall", "wva", PLACE[0], PLACE[1]]).await.unwrap();
        assert_eq!(objects(kubectl).await, BTreeMap::new(), "nothing is left");

        // What is not the release's is left alone, and said.
        let name = ours.keys().find(|name| name.contains("ConfigMap")).unwrap().split('"').nth(3).unwrap().to_owned();
        kubectl.run(&["create", "configmap", &name, "-n", PLACE[1]]).await.unwrap();
        let refused = kubectl.answer(&["install", PLACE[0], PLACE[1], "--prometheus", &url]).await.unwrap();
        assert!(refused.code == Some(2) && refused.err.contains("does not belong to release \"wva\""), "{refused:?}");
        assert!(!helm.run(&["list", "-A"]).await.unwrap().contains("wva-own"), "nothing was written");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_before_the_install_says_what_is_missing_with_the_command() {
    with_environment(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        let url = environment.prometheus().url().to_owned();
        let line = ["check", "--pre", "-n", "default", "--prometheus", &url, "--instance", "new"];
        let ready = kubectl.answer(&line).await.unwrap();
        assert_eq!(ready.code, Some(0), "{ready:?}");
        assert!(ready.out.contains("you may do all that an install does"), "{ready:?}");
        assert!(ready.out.contains("ready: kubectl wva install wva -n default"), "{ready:?}");

        kubectl.run(&["delete", "apiservice", "v1beta1.external.metrics.k8s.io"]).await.unwrap();
        kubectl.run(&["delete", "crd", "servicemonitors.monitoring.coreos.com"]).await.unwrap();
        let mut line = line;
        line[5] = "http://prometheus.nowhere.svc:9090";
        let lacking = kubectl.answer(&line).await.unwrap();
        assert_eq!(lacking.code, Some(1), "{lacking:?}");
        for says in [
            "helm upgrade -i prometheus-adapter prometheus-community/prometheus-adapter",
            "helm upgrade -i kube-prometheus-stack prometheus-community/kube-prometheus-stack",
            "there is no Service nowhere/prometheus",
            "does not know the kind ServiceMonitor",
        ] {
            assert!(lacking.out.contains(says), "{says}: {lacking:?}");
        }
    })
    .await;
}
