//! `helm upgrade` over what earlier releases installed, and what is refused before anything is changed. The charts in
//! `old-releases/` have the shape of 0.4.1, 0.4.2, 0.5.0 and 0.5.1.
//!
//! In clusters of their own: the definition of variants is replaced by older ones.

use std::path::{Path, PathBuf};

use futures::future::join_all;
use serde_json::{Value as Json, json};
use wva_e2e::environment::Environment;
use wva_e2e::harness::with_environment;
use wva_e2e::helm::Helm;
use wva_e2e::instance::make_namespace;
use wva_e2e::kubectl::Kubectl;

const MODES: [&[&str]; 4] =
    [&["--reuse-values"], &["--reset-values"], &["--reset-then-reuse-values"], &["--reset-values", "-f"]];

fn old_chart(shape: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/old-releases").join(shape)
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// One install of an earlier release, in a namespace of its own that holds the model too.
struct Old<'a> {
    helm: &'a Helm,
    kubectl: &'a Kubectl,
    shape: &'static str,
    name: &'static str,
    mode: &'static [&'static str],
    namespace: String,
}

impl Old<'_> {
    /// Settings that a user gives again where an upgrade forgets them.
    fn settings(&self) -> String {
        format!("llmd.namespace={},llmd.modelName=ms-model", self.namespace)
    }

    async fn helm(&self, verb: &str, rest: &[&str]) -> Result<String, String> {
        let line = [&[verb, self.name, "-n", &self.namespace], rest].concat();
        self.helm.run(&line).await.map_err(|error| error.to_string())
    }

    async fn install(&self) {
        make_namespace(self.kubectl, &self.namespace).await.expect("the namespace is made");
        // 0.5.1 has a key more than 0.5.0; 0.4.2 differs from 0.4.1 in one namespace only.
        let newer = if self.shape == "0.5" { "wva.configMap.immutable=false" } else { "wva.enabled=true" };
        let chart = text(&old_chart(self.shape));
        let rest = [&chart, "--skip-crds", "--set", &self.settings(), "--set", newer, "--set", "va.accelerator=L40S"];
        self.helm("install", &rest).await.expect("the old release installs");
    }

    async fn upgrade(&self) -> Result<String, String> {
        let values = text(&old_chart(self.shape).join("values.yaml"));
        let mut rest = vec![Helm::chart()];
        rest.extend(self.mode);
        if self.mode.contains(&"-f") {
            rest.push(&values);
        }
        let settings = self.settings();
        rest.extend(["--set", &settings]);
        self.helm("upgrade", &rest).await
    }

    async fn get(&self, kinds: &str) -> Vec<Json> {
        let list = self.kubectl.run(&["get", kinds, "-n", &self.namespace, "-o", "json"]).await.expect("a list");
        let mut list: Json = serde_json::from_str(&list).expect("JSON");
        serde_json::from_value(list["items"].take()).expect("items")
    }

    /// One variant, one autoscaler that reads it, one controller of ours, and no role of before.
    async fn check(&self) {
        let Self { namespace, shape, mode, .. } = self;
        let place = format!("{shape} {} {mode:?}", self.name);
        let names = |objects: &[Json]| -> Vec<String> {
            objects.iter().map(|object| object["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
        };
        let autoscalers = self.get("hpa").await;
        assert_eq!(autoscalers.len(), 1, "{place}: {:?}", names(&autoscalers));
        let metric = &autoscalers[0]["spec"]["metrics"][0]["external"]["metric"];
        assert_eq!(metric["name"], "wva_desired_replicas", "{place}");
        let variants = self.get("va").await;
        assert_eq!(
            names(&variants),
            [metric["selector"]["matchLabels"]["variant_name"].as_str().expect("a name")],
            "{place}"
        );
        assert_eq!(variants[0]["spec"]["scaleTargetRef"], autoscalers[0]["spec"]["scaleTargetRef"], "{place}");
        let deployments = self.get("deployments").await;
        assert_eq!(deployments.len(), 1, "{place}: {:?}", names(&deployments));
        let container = &deployments[0]["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "localhost/wva-controller:0.6.0", "{place}");
        assert_eq!(container["imagePullPolicy"], "IfNotPresent", "{place}");
        assert_eq!(container["command"], Json::Null, "{place}");
        let roles = self.kubectl.run(&["get", "clusterroles,clusterrolebindings", "-o", "name"]).await.expect("roles");
        assert!(!roles.contains(&format!("role-{namespace}")) && !roles.contains(&format!("rolebinding-{namespace}")));
    }
}

/// Every way of upgrading one shape. The name of the release decides which objects keep theirs, so one way is taken with
/// another name too.
fn installs<'a>(helm: &'a Helm, kubectl: &'a Kubectl, shape: &'static str) -> Vec<Old<'a>> {
    let named = MODES.iter().map(|mode| ("workload-variant-autoscaler", *mode));
    let all = named.chain([("wva", MODES[0])]).enumerate();
    all.map(|(index, (name, mode))| {
        let namespace = format!("old-{}-{index}", shape.replace('.', ""));
        Old { helm, kubectl, shape, name, mode, namespace }
    })
    .collect()
}

async fn define(kubectl: &Kubectl, shape: &str) {
    let crds = text(&old_chart(shape).join("crds"));
    kubectl.run(&["apply", "--server-side", "--force-conflicts", "-f", &crds]).await.expect("the definition applies");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_earlier_release_upgrades_in_every_mode_or_is_told_the_one_command_to_run_before() {
    with_environment(async |environment: &Environment| {
        let (helm, kubectl) = (environment.helm().expect("helm is there"), environment.kubectl());
        kubectl
            .run(&["delete", "crd", "variantautoscalings.llmd.ai", "--ignore-not-found"])
            .await
            .expect("no definition");

        define(kubectl, "0.4").await;
        let first = installs(&helm, kubectl, "0.4");
        join_all(first.iter().map(Old::install)).await;
        for (old, outcome) in first.iter().zip(join_all(first.iter().map(Old::upgrade)).await) {
            let refusal = outcome.expect_err("the definition is too old");
            assert!(refusal.contains("`helm show crds CHART | kubectl apply --server-side"), "{refusal}");
            assert!(old.helm("history", &["-o", "json"]).await.expect("a history").contains("\"revision\":1"));
            assert_eq!(old.get("hpa").await[0]["metadata"]["name"], "vllm-deployment-hpa", "something was changed");
        }

        // The variants of 0.4 stay as they are; those of 0.5 work with their own definition and with the new one.
        define(kubectl, "0.5").await;
        let second = installs(&helm, kubectl, "0.5");
        join_all(second.iter().map(Old::install)).await;
        let kept: Vec<&Old> = second.iter().skip(2).collect();
        for (old, outcome) in kept.iter().zip(join_all(kept.iter().map(|old| old.upgrade())).await) {
            outcome.unwrap_or_else(|error| panic!("{} {:?}: {error}", old.shape, old.mode));
        }

        let command = "helm show crds CHART | kubectl apply --server-side --force-conflicts -f -";
        helm.shell(&command.replace("CHART", Helm::chart()), Path::new("/")).await.expect("the command works");
        let all: Vec<&Old> = first.iter().chain(&second).collect();
        for (old, outcome) in all.iter().zip(join_all(all.iter().map(|old| old.upgrade())).await) {
            outcome.unwrap_or_else(|error| panic!("{} {} {:?}: {error}", old.shape, old.name, old.mode));
        }
        join_all(all.iter().map(|old| old.check())).await;

        // The way back: the old definition first, then the old release.
        define(kubectl, "0.4").await;
        first[0].helm("rollback", &["1"]).await.expect("it goes back");
        assert_eq!(first[0].get("hpa").await.len(), 1);
        assert_eq!(first[0].get("hpa").await[0]["metadata"]["name"], "vllm-deployment-hpa");
    })
    .await;
}

/// What a first install or an upgrade meets, and the words that it is refused with.
async fn refused(helm: &Helm, namespace: &str, set: &str, words: &[&str]) {
    let line = ["upgrade", "-i", "wva", Helm::chart(), "-n", namespace, "--create-namespace", "--set", set];
    let refusal = helm.run(&line).await.expect_err("it is refused").to_string();
    for expected in words {
        assert!(refusal.contains(expected), "{expected:?} is not in {refusal}");
    }
    let list = helm.run(&["list", "-q", "-n", namespace]).await.expect("a list");
    assert_eq!(list.trim(), "", "a release was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_cluster_lacks_or_holds_already_is_told_before_anything_is_changed() {
    with_environment(async |environment: &Environment| {
        let (helm, kubectl) = (environment.helm().expect("helm is there"), environment.kubectl());
        let monitors = "wva.metrics.serviceMonitor.enabled=false,vllmService.serviceMonitor.enabled=false";
        refused(&helm, "wva-system", monitors, &["kubectl create namespace llm-d-autoscaler", "va.enabled=false"]).await;
        let scoped = "va.enabled=false,hpa.enabled=false,vllmService.enabled=false,llmd.namespace=wva-system,\
                      wva.namespaceScoped=true,wva.watchNamespaces[0]=nowhere";
        refused(&helm, "wva-system", scoped, &["kubectl create namespace nowhere", "wva.watchNamespaces"]).await;

        make_namespace(kubectl, "team-a").await.expect("the namespace is made");
        let autoscaler = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "by-hand"},
            "spec": {"maxReplicas": 3, "metrics": [{"type": "External", "external": {
                "metric": {"name": "inferno_desired_replicas"}, "target": {"type": "AverageValue", "averageValue": "1"}}}],
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama-decode"}},
        });
        kubectl.feed(&["apply", "-n", "team-a", "-f", "-"], &autoscaler.to_string()).await.expect("it applies");
        let model = "llmd.namespace=team-a,llmd.modelName=llama";
        refused(&helm, "wva-system", model, &["kubectl -n team-a delete hpa by-hand"]).await;
        kubectl.run(&["delete", "hpa", "by-hand", "-n", "team-a"]).await.expect("the printed command works");

        // A Deployment of the same name that selects other pods, or runs the Go controller from another registry.
        let deployment = |name: &str, image: &str| {
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {
                    "name": "wva-workload-variant-autoscaler-controller-manager",
                    "annotations": {"meta.helm.sh/release-name": "wva", "meta.helm.sh/release-namespace": "wva-system"}},
                "spec": {"replicas": 0,
                    "selector": {"matchLabels": {"control-plane": "controller-manager", "app.kubernetes.io/name": name}},
                    "template": {
                        "metadata": {"labels": {"control-plane": "controller-manager", "app.kubernetes.io/name": name}},
                        "spec": {"containers": [{"name": "manager", "command": ["/manager"], "image": image}]}}},
            })
            .to_string()
        };
        let words = "kubectl -n wva-system delete deployment wva-workload-variant-autoscaler-controller-manager";
        make_namespace(kubectl, "wva-system").await.expect("the namespace is made");
        let apply = ["apply", "-n", "wva-system", "-f", "-"];
        kubectl.feed(&apply, &deployment("other", "mirror.example/wva:v0.5.1")).await.expect("it applies");
        refused(&helm, "wva-system", model, &[words]).await;
        kubectl.run(&["delete", "deployments", "--all", "-n", "wva-system"]).await.expect("it is deleted");
        let image = "mirror.example/wva:v0.5.1";
        kubectl.feed(&apply, &deployment("workload-variant-autoscaler", image)).await.expect("it applies");
        let mirrored = format!("{model},wva.image.repository=mirror.example/wva,wva.image.tag=v0.5.1");
        refused(&helm, "wva-system", &mirrored, &["does not know this chart's flags", "wva.image.tag=0.6.0"]).await;
        kubectl.run(&["delete", "deployments", "--all", "-n", "wva-system"]).await.expect("it is deleted");

        kubectl.run(&["delete", "crd", "servicemonitors.monitoring.coreos.com"]).await.expect("no such kind");
        let operator = ["does not know the kind ServiceMonitor", "wva.metrics.serviceMonitor.enabled=false"];
        refused(&helm, "wva-system", model, &operator).await;

        // With everything in place, and with nobody to ask, it installs.
        let silent = format!("{model},{monitors}");
        let line = ["install", "wva", Helm::chart(), "-n", "wva-system", "--set", &silent];
        let notes = helm.run(&line).await.expect("it installs");
        assert!(notes.contains("Deployment llama-decode does not exist in namespace team-a yet"), "{notes}");

        // What the controller says of a target that is not there, and what each way of waiting makes of it.
        let condition = r#"{"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "DeploymentNotFound",
            "message": "Target deployment 'llama-decode' does not exist yet", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}"#;
        let variant = "wva-workload-variant-autoscaler-va";
        let patch = ["patch", "va", variant, "-n", "team-a", "--subresource=status", "--type=merge", "-p", condition];
        kubectl.run(&patch).await.expect("the status is written");
        let upgrade = |wait: &'static str| {
            let set = format!("{silent},wva.replicaCount=0");
            let line = ["upgrade", "wva", Helm::chart(), "-n", "wva-system", "--set", &set, wait, "--timeout", "3s"];
            let line = line.map(str::to_owned);
            let helm = &helm;
            async move { helm.run(&line).await.map_err(|error| error.to_string()) }
        };
        let waited = upgrade("--wait").await.expect_err("the variant is not ready");
        assert!(waited.contains("does not exist yet"), "{waited}");
        upgrade("--wait=legacy").await.expect("it waits for pods and Services only");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_is_planned_applied_and_taken_back() {
    with_environment(async |environment: &Environment| {
        let (helm, kubectl) = (environment.helm().expect("helm is there"), environment.kubectl());
        kubectl.run(&["delete", "crd", "variantautoscalings.llmd.ai", "--ignore-not-found"]).await.expect("none");
        define(kubectl, "0.4").await;
        let old = installs(&helm, kubectl, "0.4").swap_remove(0);
        old.install().await;
        // What people made by hand: a variant, its autoscaler, a rule; and a role of a release that is gone.
        let by_hand = r#"
apiVersion: llmd.ai/v1alpha1
kind: VariantAutoscaling
metadata: {name: by-hand, namespace: models}
spec: {modelID: a/b}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: by-hand, namespace: models}
spec:
  maxReplicas: 3
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: by-hand}
  metrics:
    - type: External
      external:
        metric: {name: inferno_desired_replicas, selector: {matchLabels: {variant_name: by-hand}}}
        target: {type: AverageValue, averageValue: "1"}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: by-hand, namespace: models}
spec: {groups: [{name: wva, rules: [{alert: Many, expr: inferno_desired_replicas > 5}]}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: workload-variant-autoscaler-manager-role
  labels: {app.kubernetes.io/name: workload-variant-autoscaler}
  annotations: {meta.helm.sh/release-name: gone, meta.helm.sh/release-namespace: gone}
rules: []
"#;
        make_namespace(kubectl, "models").await.expect("the namespace is made");
        kubectl.feed(&["apply", "-f", "-"], by_hand).await.expect("it applies");
        let dir = tempfile::tempdir().expect("a temporary folder");
        let journal = text(&dir.path().join("journal.json"));
        let program = text(&wva_e2e::programs::helm().expect("helm is there"));
        let migrate = |verb: &'static str| {
            let line = ["migrate", verb, "--journal", &journal, "--helm", &program].map(str::to_owned);
            async move { kubectl.answer(&line).await.expect("the plugin runs") }
        };
        let state = async || {
            let kinds = "va,hpa,prometheusrules,deployments,clusterroles";
            let columns = "custom-columns=K:.kind,N:.metadata.name,T:.spec.scaleTargetRef.name,M:.spec.metrics[*].external.metric.name,R:.spec.groups[*].rules[*].expr";
            kubectl.run(&["get", kinds, "-A", "--no-headers", "-o", columns]).await.expect("a list")
        };

        let before = state().await;
        let plan = migrate("plan").await.out;
        for step in ["lacks spec.scaleTargetRef", "models/by-hand", "--reuse-values", "manager-role"] {
            assert!(plan.contains(step), "{step:?} is not in {plan}");
        }
        assert_eq!(state().await, before, "the plan changed something");
        let applied = migrate("apply").await;
        assert_eq!(applied.code, Some(0), "{}", applied.err);
        let after = state().await;
        assert!(!after.contains("inferno_") && !after.contains("workload-variant-autoscaler-manager-role "), "{after}");
        old.check().await;
        let nothing = migrate("plan").await;
        assert!(nothing.out.contains("Nothing of an earlier release is here"), "{}", nothing.out);
        let back = migrate("back").await;
        assert_eq!(back.code, Some(0), "{}", back.err);
        assert_eq!(state().await, before);
    })
    .await;
}
