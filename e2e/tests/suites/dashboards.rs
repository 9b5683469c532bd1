//! Pictures of what a controller sees: the plugin's dashboard in a browser, and Grafana's from the chart.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use wva_e2e::instances::with_instance;
use wva_e2e::programs;
use wva_e2e::workload::A100;

/// The dashboard of the chart.
const GRAFANA: &str = include_str!("../../../charts/workload-variant-autoscaler/dashboards/controller.json");

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_shows_a_browser_what_the_controller_sees() {
    with_instance(async |wva| {
        let llama = wva.add_model("llama", A100, "10", 3).await;
        llama.desired("a first decision", |desired| desired == 1).await;
        llama.saturate().await;
        llama.ready("more than one replica", |ready| ready > 1).await;

        let mut child = tokio::process::Command::new(programs::ours("kubectl-wva").unwrap())
            .args(["dashboard", "-n", &wva.models(), "-o", "name"])
            .env("KUBECONFIG", wva.environment().kubeconfig())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let url = BufReader::new(child.stdout.take().unwrap()).lines().next_line().await.unwrap().expect("its address");
        let ask = async |path: &str| -> Value {
            let text = reqwest::get(format!("{url}{path}")).await.unwrap().text().await.unwrap();
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
        };
        let state = ask("state").await;
        let view = &state["last"];
        assert!(view["status"]["variants"][0]["load"]["kvUsage"].as_f64().is_some(), "{state:#}");
        assert_eq!(view["thresholds"][0]["kvCacheThreshold"], 0.8, "{state:#}");
        assert!(!view["histories"][0]["changes"].as_array().unwrap().is_empty(), "{state:#}");
        assert!(ask("findings").await["last"]["checks"].is_array());

        let profile = tempfile::tempdir().unwrap();
        let browser = tokio::process::Command::new(programs::chromium().unwrap())
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--virtual-time-budget=4000",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--window-size=1280,1400", "--dump-dom", &url])
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(wva.patience(), browser).await.expect("the browser ends").unwrap();
        let page = String::from_utf8_lossy(&output.stdout);
        for expect in ["data-drawn=\"1\"", "saturated from 80 %", "at most 3", "llama: there", wva.id()] {
            assert!(page.contains(expect), "no {expect} in {page}");
        }
        assert!(!page.contains("Not shown</h2><ul></ul>") || page.contains("id=\"notes\" hidden"), "{page}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_on_load_and_cost_of_the_grafana_dashboard_is_drawn() {
    with_instance(async |wva| {
        let llama = wva.add_model("llama", A100, "10", 3).await;
        llama.desired("a first decision", |desired| desired == 1).await;
        let dashboard: Value = serde_json::from_str(GRAFANA).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let on_load = |panel: &&Value| panel["title"] != "Load and cost of each variant";
        let after_row = panels.iter().skip_while(on_load).skip(1);
        let of_row = after_row.take_while(|panel| panel["type"] != "row");
        let queries: Vec<&str> = of_row
            .flat_map(|panel| panel["targets"].as_array().unwrap())
            .map(|target| target["expr"].as_str().unwrap())
            .collect();
        assert_eq!(queries.len(), 8, "{queries:?}");
        for query in queries {
            let query = query
                .replace("$namespace", &wva.namespace())
                .replace("$instance", wva.id())
                .replace("$model_namespace", &wva.models())
                .replace("$variant", &llama.variant());
            wva.series(&query, 1).await;
        }
    })
    .await;
}
