//! What a user does with helm, on the embedded cluster.

use std::path::{Path, PathBuf};

use tokio::process::Command;
use wva_e2e::environment::Environment;
use wva_e2e::harness::with_environment;
use wva_e2e::programs;

/// Runs helm and gives what it prints; panics with its output when it fails.
async fn helm(environment: &Environment, args: &[&str]) -> String {
    let output = Command::new(programs::helm().expect("helm is there"))
        .args(args)
        .env("KUBECONFIG", environment.kubeconfig())
        .output()
        .await
        .expect("helm runs");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "helm {args:?}: {stdout}{}", String::from_utf8_lossy(&output.stderr));
    stdout
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
        let text = ["get", "configmap", "greet", "-n", "apps", "-o", "jsonpath={.data.text}"];
        let kubectl = environment.kubectl();

        helm(environment, &["install", "greet", chart, "-n", "apps", "--create-namespace", "--wait"]).await;
        assert_eq!(kubectl.run(&text).await.unwrap(), "hello");
        helm(environment, &["upgrade", "greet", chart, "-n", "apps", "--set", "text=goodbye", "--wait"]).await;
        assert_eq!(kubectl.run(&text).await.unwrap(), "goodbye");
        let list = helm(environment, &["list", "-n", "apps"]).await;
        assert!(list.contains("greet") && list.contains("deployed"), "{list}");
        helm(environment, &["rollback", "greet", "1", "-n", "apps", "--wait"]).await;
        assert_eq!(kubectl.run(&text).await.unwrap(), "hello");
        helm(environment, &["uninstall", "greet", "-n", "apps"]).await;
        assert!(kubectl.run(&text).await.unwrap_err().to_string().contains("NotFound"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_charts_controller_comes_up_under_helm_and_leaves_nothing_behind() {
    with_environment(async |environment: &Environment| {
        let chart = format!("{}/../charts/workload-variant-autoscaler", env!("CARGO_MANIFEST_DIR"));
        let prometheus = format!("wva.prometheus.baseURL={}", environment.prometheus().url());
        let kubectl = environment.kubectl();
        helm(
            environment,
            &[
                "upgrade",
                "-i",
                "wva-controller",
                &chart,
                "--namespace",
                "wva-system",
                "--create-namespace",
                "--wait",
                "--timeout",
                "60s",
                "--set",
                "controller.enabled=true",
                "--set",
                "va.enabled=false",
                "--set",
                "hpa.enabled=false",
                "--set",
                "vllmService.enabled=false",
                "--set",
                &prometheus,
            ],
        )
        .await;
        let pods = ["get", "pods", "-n", "wva-system", "-l", "control-plane=controller-manager", "-o", "name"];
        assert!(!kubectl.run(&pods).await.unwrap().is_empty());
        helm(environment, &["uninstall", "wva-controller", "-n", "wva-system", "--wait"]).await;
        let left =
            kubectl.run(&["get", "all,configmaps,roles,rolebindings,leases", "-n", "wva-system", "-o", "name"]).await;
        let left: Vec<String> = left
            .unwrap()
            .lines()
            .filter(|name| !name.contains("kube-root-ca.crt") && !name.contains("lease"))
            .map(str::to_owned)
            .collect();
        assert_eq!(left, Vec::<String>::new());
        let cluster = kubectl.run(&["get", "clusterroles,clusterrolebindings", "-o", "name"]).await.unwrap();
        assert!(!cluster.contains("wva-controller"), "{cluster}");
    })
    .await;
}
