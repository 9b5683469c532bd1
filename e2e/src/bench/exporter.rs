//! The metrics of a whole fleet of vLLM servers from one endpoint: what ten thousand pods would report, without the pods.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

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

/// The endpoint; stops when dropped.
pub struct Exporter {
    loads: Arc<Mutex<Vec<Load>>>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Served {
    fleet: Fleet,
    loads: Arc<Mutex<Vec<Load>>>,
}

impl Exporter {
    /// Serves steady load for all variants of `fleet` on `listen`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(listen: SocketAddr, fleet: Fleet) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let loads = Arc::new(Mutex::new(vec![Load::STEADY; fleet.variants]));
        let served = Served { fleet, loads: Arc::clone(&loads) };
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

async fn text(State(Served { fleet, loads }): State<Served>) -> String {
    let loads = loads.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut text = String::new();
    let mut family = |name: &str, value: fn(&Load) -> f64| {
        let _infallible = writeln!(text, "# TYPE {name} gauge");
        for (variant, load) in loads.iter().enumerate() {
            let (namespace, model, value) = (fleet.namespace(variant), fleet.model(variant), value(load));
            for pod in 0..fleet.pods {
                let pod = fleet.pod(variant, pod);
                let _infallible =
                    writeln!(text, "{name}{{namespace=\"{namespace}\",pod=\"{pod}\",model_name=\"{model}\"}} {value}");
            }
        }
    };
    family(metrics::VLLM_KV_CACHE_USAGE, |load| load.kv_usage);
    family(metrics::VLLM_REQUESTS_WAITING, |load| load.queue_length);
    text
}
