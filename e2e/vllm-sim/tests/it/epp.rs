//! The endpoint picker between real clients and real servers.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use vllm_sim::epp::{Config, Epp};

use crate::support::{MODEL, quick, sample, start};

struct Gateway {
    epp: Epp,
    servers: watch::Sender<Vec<String>>,
    client: Client,
}

impl Gateway {
    async fn start(config: Config) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (servers, ready) = watch::channel(Vec::new());
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { epp: Epp::start(config, ready).await.unwrap(), servers, client }
    }

    fn complete(&self) -> reqwest::RequestBuilder {
        let url = format!("http://{}/v1/completions", self.epp.addr());
        self.client.post(url).json(&json!({"model": MODEL, "prompt": "one two", "max_tokens": 2}))
    }

    async fn queued(&self) -> Option<f64> {
        let url = format!("http://{}/metrics", self.epp.metrics_addr());
        let page = self.client.get(url).send().await.unwrap().text().await.unwrap();
        sample(&page, "inference_extension_flow_control_queue_size{")
    }

    async fn until_queued(&self, number: f64) {
        let looks = async {
            while self.queued().await.is_none_or(|queued| queued.total_cmp(&number).is_ne()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), looks).await.unwrap();
    }
}

#[tokio::test]
async fn a_request_is_held_until_a_server_is_ready_and_then_answered_by_it() {
    let gateway = Gateway::start(Config::new("llama")).await;
    assert_eq!(gateway.queued().await, None, "a model without requests has no series");
    let request = tokio::spawn(gateway.complete().send());
    gateway.until_queued(1.0).await;
    assert!(!request.is_finished());
    let target = start(quick()).await;
    gateway.servers.send(vec![format!("http://{}", target.server.addr())]).unwrap();
    let answer: Value = request.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer["usage"]["completion_tokens"], 2);
    gateway.until_queued(0.0).await;
}

#[tokio::test]
async fn a_client_that_gives_up_leaves_the_queue() {
    let gateway = Gateway::start(Config::new("llama")).await;
    let request = tokio::spawn(gateway.complete().send());
    gateway.until_queued(1.0).await;
    request.abort();
    gateway.until_queued(0.0).await;
}

#[tokio::test]
async fn a_request_is_refused_after_its_time_is_up() {
    let config = Config { hold: Duration::from_millis(20), ..Config::new("llama") };
    let answer = Gateway::start(config).await.complete().send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn the_metrics_page_wants_its_token_and_shows_pinned_numbers() {
    let config = Config { token: Some("secret".to_owned()), ..Config::new("llama") };
    let gateway = Gateway::start(config).await;
    let url = format!("http://{}/metrics", gateway.epp.metrics_addr());
    let refused = gateway.client.get(&url).bearer_auth("Bearer secret").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let admin = format!("http://{}/admin/queue", gateway.epp.addr());
    for (pin, shown) in [(json!({"a\"b": 3}), Some(3.0)), (json!({"a\"b": null}), None)] {
        assert_eq!(gateway.client.post(&admin).json(&pin).send().await.unwrap().status(), StatusCode::OK);
        let page = gateway.client.get(&url).bearer_auth("secret").send().await.unwrap().text().await.unwrap();
        assert_eq!(sample(&page, "inference_extension_flow_control_queue_size{"), shown, "{page}");
    }
}
