//! What a user does with helm, on the embedded cluster.
//!
//! In clusters of their own: a guide's release has no id, and the definitions that all releases share are applied anew.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kubesim::apiserver::Authorization;
use wva_e2e::environment::{Environment, Settings};
use wva_e2e::harness::{with_environment, with_settings};
use wva_e2e::helm::Helm;
use wva_e2e::wait::{self, Look};

/// helm, bound to one cluster and told to wait as long as a busy machine may take.
struct Release<'a> {
    environment: &'a Environment,
    helm: Helm,
    name: &'static str,
    namespace: &'static str,
}

impl<'a> Release<'a> {
    fn new(environment: &'a Environment, name: &'static str, namespace: &'static str) -> Self {
        Self { environment, helm: environment.helm().expect("helm is there"), name, namespace }
    }

    async fn run(&self, verb: &str, rest: &[&str]) -> Result<String, String> {
        let mut line = vec![verb, self.name];
        line.extend(rest);
        line.extend(["-n", self.namespace]);
        self.helm.run(&line).await.map_err(|error| error.to_string())
    }

    /// Installs or upgrades a controller that asks the environment's Prometheus, and waits for it.
    async fn upgrade(&self, set: &[&str]) -> Result<String, String> {
        let prometheus = format!("wva.prometheus.baseURL={}", self.environment.prometheus().url());
        let only = "va.enabled=false,hpa.enabled=false,vllmService.enabled=false,wva.imagePullPolicy=IfNotPresent";
        let mut rest = vec![Helm::chart(), "-i", "--create-namespace", "--wait", "--timeout", "90s", "--set", only];
        rest.extend(["--set", &prometheus]);
        for value in set {
            rest.extend(["--set", value]);
        }
        self.run("upgrade", &rest).await
    }

    async fn kubectl(&self, args: &[&str]) -> String {
        let mut line = args.to_vec();
        line.extend(["-n", self.namespace]);
        self.environment.kubectl().run(&line).await.expect("kubectl does it")
    }

    /// Which pod holds the Lease.
    async fn leader(&self) -> String {
        wait::until("a leader", Duration::from_secs(30), || async {
            let holder = self.kubectl(&["get", "leases", "-o", "jsonpath={.items[*].spec.holderIdentity}"]).await;
            match holder.split_once('_') {
                Some((pod, _)) => Look::Done(pod.to_owned()),
                None => Look::NotYet(format!("held by {holder:?}")),
            }
        })
        .await
        .expect("somebody leads")
    }

    async fn config(&self, key: &str) -> String {
        let path = format!("jsonpath={{.items[*].data.{key}}}");
        self.kubectl(&["get", "configmaps", "-l", "app.kubernetes.io/name=workload-variant-autoscaler", "-o", &path])
            .await
    }

    /// The hash of the settings that the controller's pods carry.
    async fn generation(&self) -> String {
        let path = "jsonpath={.spec.template.metadata.annotations.checksum/config}";
        let deployment = ["get", "deployments", "-o", "name"];
        let name = self.kubectl(&deployment).await;
        self.kubectl(&["get", name.trim(), "-o", path]).await
    }
}

fn small_chart(dir: &Path) -> PathBuf {
    let chart = dir.join("greeting");
    std::fs::create_dir_all(chart.join("templates")).expect("the chart's folder is made");
    let write = |name: &str, text: &str| std::fs::write(chart.join(name), text).expect("the chart is written");
    write("Chart.yaml", "apiVersion: v2\nname: greeting\nversion: 0.1.0\n");
    write("values.yaml", "text: hello\n");
    write(
        "templates/configmap.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  text: {{ .Values.text | quote }}\n",
    );
    chart
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_chart_is_installed_upgraded_rolled_back_and_uninstalled() {
    with_environment(async |environment: &Environment| {
        let dir = tempfile::tempdir().unwrap();
        let chart = small_chart(dir.path());
        let chart = chart.to_str().unwrap();
        let greet = Release::new(environment, "greet", "apps");
        let text = ["get", "configmap", "greet", "-n", "apps", "-o", "jsonpath={.data.text}"];
        let kubectl = environment.kubectl();

        greet.run("install", &[chart, "--create-namespace", "--wait"]).await.unwrap();
        assert_eq!(kubectl.run(&text).await.unwrap(), "hello");
        greet.run("upgrade", &[chart, "--set", "text=goodbye", "--wait"]).await.unwrap();
        assert_eq!(kubectl.run(&text).await.unwrap(), "goodbye");
        let list = greet.helm.run(&["list", "-n", "apps"]).await.unwrap();
        assert!(list.contains("greet") && list.contains("deployed"), "{list}");
        greet.run("rollback", &["1", "--wait"]).await.unwrap();
        assert_eq!(kubectl.run(&text).await.unwrap(), "hello");
        greet.run("uninstall", &[]).await.unwrap();
        assert!(kubectl.run(&text).await.unwrap_err().to_string().contains("NotFound"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_charts_controller_comes_up_under_helm_and_leaves_nothing_behind() {
    // Rights are enforced: the release's roles may go before its pods stop, and then nobody can give the Lease up.
    let enforced = |settings| Settings { authorization: Authorization::Rbac, ..settings };
    with_settings(enforced, async |environment: &Environment| {
        let release = Release::new(environment, "wva-controller", "wva-system");
        let kubectl = environment.kubectl();
        release.upgrade(&["wva.prometheusRule.enabled=true,wva.networkPolicy.enabled=true"]).await.unwrap();
        let pods = release.kubectl(&["get", "pods", "-l", "control-plane=controller-manager", "-o", "name"]).await;
        assert!(!pods.is_empty());
        release.leader().await;
        release.run("uninstall", &["--wait"]).await.unwrap();
        let kinds = "all,leases,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,\
                     servicemonitors,prometheusrules";
        let theirs = ["kube-root-ca.crt", "serviceaccount/default"];
        // helm waits for the Deployment, and its pods take their grace period to go.
        wait::until("nothing of the release to be left", Duration::from_secs(30), || async {
            let left = release.kubectl(&["get", kinds, "-o", "name"]).await;
            let own: Vec<&str> = left.lines().filter(|name| !theirs.iter().any(|it| name.contains(it))).collect();
            if own.is_empty() { Look::Done(()) } else { Look::NotYet(own.join(" ")) }
        })
        .await
        .unwrap();
        let cluster = kubectl.run(&["get", "clusterroles,clusterrolebindings", "-o", "name"]).await.unwrap();
        assert!(!cluster.contains("wva-controller"), "{cluster}");
        // The definition stays, and with it the variants of other releases.
        kubectl.run(&["get", "crd", "variantautoscalings.llmd.ai"]).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_tested_upgraded_rolled_back_and_its_definition_applied_anew() {
    with_environment(async |environment: &Environment| {
        let release = Release::new(environment, "wva", "wva-system");
        release.upgrade(&["wva.reconcileInterval=30s"]).await.unwrap();
        let tested = release.run("test", &["--logs"]).await.unwrap();
        assert!(tested.contains("Succeeded") && tested.contains(": ready"), "{tested}");
        let first = release.generation().await;

        let crds = format!("{}/crds/", Helm::chart());
        environment.kubectl().run(&["apply", "--server-side", "--force-conflicts", "-f", &crds]).await.unwrap();
        release.upgrade(&["wva.reconcileInterval=45s"]).await.unwrap();
        assert_eq!(release.config("GLOBAL_OPT_INTERVAL").await, "45s");
        assert_ne!(release.generation().await, first, "the pods were not replaced");

        release.run("rollback", &["1", "--wait", "--timeout", "90s"]).await.unwrap();
        assert_eq!(release.config("GLOBAL_OPT_INTERVAL").await, "30s");
        assert_eq!(release.generation().await, first);
        release.run("test", &[]).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_of_a_release_fails_and_says_what_the_controller_waits_for() {
    with_environment(async |environment: &Environment| {
        let release = Release::new(environment, "wva", "wva-system");
        // Nobody listens there, so the controller never gets ready.
        let deaf = "wva.prometheus.baseURL=http://127.0.0.1:9,wva.helmTest.timeout=2s,wva.imagePullPolicy=IfNotPresent";
        release
            .run(
                "install",
                &[
                    Helm::chart(),
                    "--create-namespace",
                    "--set",
                    deaf,
                    "--set",
                    "va.enabled=false,hpa.enabled=false,vllmService.enabled=false",
                ],
            )
            .await
            .unwrap();
        let failed = release.run("test", &["--logs"]).await.unwrap_err();
        assert!(failed.contains("Failed"), "{failed}");
        assert!(failed.contains("not every pod became ready within 2s"), "{failed}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_configuration_is_replaced_when_its_name_follows_its_content_and_refused_otherwise() {
    with_environment(async |environment: &Environment| {
        let release = Release::new(environment, "wva", "wva-system");
        let named = "wva.configMap.immutable=true,wva.configMap.contentName=true,wva.replicaCount=0";
        release.upgrade(&[named, "wva.reconcileInterval=30s"]).await.unwrap();
        release.upgrade(&[named, "wva.reconcileInterval=45s"]).await.unwrap();
        assert_eq!(release.config("GLOBAL_OPT_INTERVAL").await, "45s");
        release.run("rollback", &["1"]).await.unwrap();
        assert_eq!(release.config("GLOBAL_OPT_INTERVAL").await, "30s");

        let fixed = "wva.configMap.immutable=true,wva.replicaCount=0";
        release.upgrade(&[fixed, "wva.reconcileInterval=30s"]).await.unwrap();
        let refused = release.upgrade(&[fixed, "wva.reconcileInterval=45s"]).await.unwrap_err();
        assert!(refused.contains("immutable"), "{refused}");
        assert_eq!(release.config("GLOBAL_OPT_INTERVAL").await, "30s");
        release.kubectl(&["delete", "configmap", "wva-variantautoscaling-config"]).await;
        release.upgrade(&[fixed, "wva.reconcileInterval=45s"]).await.unwrap();
        assert_eq!(release.config("GLOBAL_OPT_INTERVAL").await, "45s");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_to_a_prometheus_that_does_not_answer_fails_and_the_working_controller_goes_on() {
    with_environment(async |environment: &Environment| {
        let release = Release::new(environment, "wva", "wva-system");
        release.upgrade(&["wva.reconcileInterval=1s"]).await.unwrap();
        let leader = release.leader().await;
        let namespace = release.namespace;
        let restarts = "jsonpath={.metadata.uid} {.status.containerStatuses[0].restartCount}";
        let pod = ["get", "pod", &leader, "-o", restarts];
        let before = release.kubectl(&pod).await;

        let typo = ["wva.prometheus.baseURL=http://prom-typo.monitoring:9090", "wva.reconcileInterval=1s"];
        let mut line = vec![Helm::chart(), "--wait", "--timeout", "20s", "--reset-then-reuse-values"];
        for value in &typo {
            line.extend(["--set", value]);
        }
        let refused = release.run("upgrade", &line).await.unwrap_err();
        assert!(refused.contains("wva-workload-variant-autoscaler-controller-manager"), "{refused}");

        assert_eq!(release.kubectl(&pod).await, before, "the working controller was stopped");
        assert_eq!(release.leader().await, leader, "it no longer leads");
        let ready = "jsonpath={.items[*].status.containerStatuses[0].ready}";
        let selected = ["get", "pods", "-l", "control-plane=controller-manager", "-o", ready];
        let mut ready: Vec<String> = release.kubectl(&selected).await.split(' ').map(str::to_owned).collect();
        ready.sort();
        assert_eq!(ready, ["false", "true"], "the new one waits, the old one works");
        let found = environment.kubectl().answer(&["doctor", "-n", namespace]).await.expect("the plugin runs");
        assert!(found.out.contains("prom-typo"), "{}", found.out);

        release.run("rollback", &["1", "--wait", "--timeout", "90s"]).await.unwrap();
        assert_eq!(release.leader().await, leader);
    })
    .await;
}
