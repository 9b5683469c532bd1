//! The metrics of a whole fleet of vLLM servers from one endpoint: what ten thousand pods would report, without the pods.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::fleet::Fleet;
use wva_api::metrics;

/// Load of every pod of one variant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Used share of the KV cache, 0 to 1.
    pub kv_usage: f64,
    /// Waiting requests.
    pub queue_length: f64,
}

impl Load {
    /// Calls for no change: too much to give a replica up, too little to ask for one.
    pub const STEADY: Self = Self { kv_usage: 0.5, queue_length: 2.0 };
    /// Calls for a replica.
    pub const SATURATED: Self = Self { kv_usage: 0.95, queue_length: 2.0 };
}

/// Requests that arrive at every pod per second, where requests are reported: as many as the profile of the bench lets one
/// replica take.
pub const REQUESTS_PER_SECOND: f64 = 5.0;
/// Tokens of their prompts, and of their answers.
const TOKENS: f64 = 64.0;

/// The endpoint; stops when dropped.
pub struct Exporter {
    loads: Arc<Mutex<Vec<Load>>>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Served {
    fleet: Fleet,
    /// Since when requests arrive, where they are reported.
    requests_since: Option<Instant>,
    loads: Arc<Mutex<Vec<Load>>>,
}

impl Exporter {
    /// Serves steady load for all variants of `fleet` on `listen`; with `requests`, counters of requests too.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(listen: SocketAddr, fleet: Fleet, requests: bool) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let loads = Arc::new(Mutex::new(vec![Load::STEADY; fleet.variants]));
        let requests_since = requests.then(Instant::now);
        let served = Served { fleet, requests_since, loads: Arc::clone(&loads) };
        let router = Router::new().route("/metrics", get(text)).with_state(served);
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "The exporter stopped");
            }
        });
        Ok(Self { loads, address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the load of one variant.
    pub fn set(&self, variant: usize, load: Load) {
        if let Some(entry) = self.loads.lock().unwrap_or_else(PoisonError::into_inner).get_mut(variant) {
            *entry = load;
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn text(State(Served { fleet, requests_since, loads }): State<Served>) -> String {
    let loads = loads.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, value: &dyn Fn(&Load) -> f64| {
        let _infallible = writeln!(text, "# TYPE {name} {kind}");
        for (variant, load) in loads.iter().enumerate() {
            let (namespace, model, value) = (fleet.namespace(variant), fleet.model(variant), value(load));
            for pod in 0..fleet.pods {
                let pod = fleet.pod(variant, pod);
                let _infallible =
                    writeln!(text, "{name}{{namespace=\"{namespace}\",pod=\"{pod}\",model_name=\"{model}\"}} {value}");
            }
        }
    };
    family(metrics::VLLM_KV_CACHE_USAGE, "gauge", &|load| load.kv_usage);
    family(metrics::VLLM_REQUESTS_WAITING, "gauge", &|load| load.queue_length);
    if let Some(since) = requests_since {
        let requests = (since.elapsed().as_secs_f64() * REQUESTS_PER_SECOND).floor();
        family(metrics::VLLM_REQUESTS_RUNNING, "gauge", &|_| 1.0);
        family(metrics::VLLM_REQUEST_SUCCESS_TOTAL, "counter", &|_| requests);
        for histogram in [metrics::VLLM_REQUEST_PROMPT_TOKENS, metrics::VLLM_REQUEST_GENERATION_TOKENS] {
            family(&format!("{histogram}_sum"), "counter", &|_| requests * TOKENS);
            family(&format!("{histogram}_count"), "counter", &|_| requests);
        }
    }
    text
}
