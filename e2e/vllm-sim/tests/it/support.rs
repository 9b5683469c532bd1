//! What the HTTP tests share: servers that are fast enough to wait for, and a client.

use std::time::{Duration, Instant};

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use vllm_sim::engine::{IterationTime, LoadFactor, Settings};
use vllm_sim::{Config, Server};

pub(crate) const MODEL: &str = "org/model-8b";

/// A server whose iterations take a millisecond, with 4 slots, 64 blocks of 16 tokens and a queue of 2.
pub(crate) fn quick() -> Config {
    let config = Config::new(MODEL);
    let engine = Settings {
        max_num_seqs: 4,
        max_num_waiting: 2,
        max_num_batched_tokens: 512,
        max_model_len: 1024,
        num_gpu_blocks: 64,
        block_size: 16,
        prefix_caching: true,
        iteration_time: IterationTime { base_ms: 1.0, per_computed_token_ms: 0.0, per_resident_token_ms: 0.0 },
        load_factor: LoadFactor(1.0),
    };
    Config { engine, shutdown_grace: Duration::from_secs(5), ..config }
}

/// The same with iterations of 100 s: what runs keeps running.
pub(crate) fn stuck() -> Config {
    let mut config = quick();
    config.engine.iteration_time.base_ms = 100_000.0;
    config.shutdown_grace = Duration::from_millis(50);
    config
}

pub(crate) struct Target {
    pub(crate) server: Server,
    pub(crate) client: Client,
}

pub(crate) async fn start(config: Config) -> Target {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    Target { server: Server::start(config).await.unwrap(), client }
}

impl Target {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.addr())
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.client.post(self.url(path)).json(body).send().await.unwrap()
    }

    /// Posts to `/admin/config` and expects it to be taken.
    pub(crate) async fn control(&self, body: &Value) {
        let response = self.post("/admin/config", body).await;
        assert_eq!(response.status(), StatusCode::OK, "{}", response.text().await.unwrap());
    }

    /// Sends a request in the background that nobody waits for.
    pub(crate) fn send_and_forget(&self, body: &Value) -> tokio::task::JoinHandle<()> {
        let request = self.client.post(self.url("/v1/completions")).json(body);
        tokio::spawn(async move {
            let _ = request.send().await;
        })
    }

    pub(crate) async fn metrics(&self) -> String {
        self.get("/metrics").await.text().await.unwrap()
    }

    /// The value of the one sample whose line starts with `prefix`.
    pub(crate) async fn metric(&self, prefix: &str) -> Option<f64> {
        sample(&self.metrics().await, prefix)
    }

    /// Waits until the sample has the value.
    pub(crate) async fn metric_becomes(&self, prefix: &str, expected: f64) {
        let started = Instant::now();
        loop {
            let text = self.metrics().await;
            let found = sample(&text, prefix);
            if found.is_some_and(|found| (found - expected).abs() < 1e-9) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(10), "{prefix} is {found:?}, not {expected}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(crate) fn sample(text: &str, prefix: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(prefix))?;
    line.rsplit(' ').next()?.parse().ok()
}
