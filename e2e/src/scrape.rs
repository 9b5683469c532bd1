//! From the objects in a cluster to what Prometheus scrapes: the Prometheus operator's job, as one pure function
//! and one task that applies it whenever an object changes.

mod follow;
mod targets;

use std::fmt::Write as _;
use std::time::Duration;

pub use follow::{Error, follow};
pub use targets::{Objects, jobs};

/// One scrape job: an endpoint of a `ServiceMonitor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Name, as the Prometheus operator builds it: `serviceMonitor/<namespace>/<name>/<index>`.
    pub name: String,
    /// Pause between two scrapes; the global one when `None`.
    pub interval: Option<String>,
    /// `http` or `https`.
    pub scheme: String,
    /// Path, e.g. `/metrics`.
    pub path: String,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// Bearer token to send.
    pub bearer: Option<Bearer>,
    /// What is done to the labels of each series, as Prometheus reads it.
    pub metric_relabelings: Vec<serde_json::Value>,
    /// What to scrape.
    pub targets: Vec<Target>,
}

/// Where a bearer token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// The token of the service account Prometheus runs as.
    OwnServiceAccount,
    /// A token held in a Secret.
    Token(String),
}

/// One address to scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `ip:port`.
    pub address: String,
    /// Labels for all of its series: namespace, pod, service, endpoint, job …
    pub labels: Vec<(String, String)>,
}

/// The configuration file of a Prometheus with these jobs.
///
/// It is written as JSON, which is YAML: every value is quoted the same way.
pub fn config(interval: Duration, jobs: &[Job]) -> String {
    let jobs: Vec<serde_json::Value> = jobs.iter().map(job).collect();
    let interval = format!("{}ms", interval.as_millis());
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = write!(
        text,
        "{:#}",
        serde_json::json!({
            "global": { "scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval },
            "scrape_configs": jobs,
        })
    );
    text
}

fn job(job: &Job) -> serde_json::Value {
    let Job { name, interval, scheme, path, insecure_skip_verify, bearer, metric_relabelings, targets } = job;
    let targets: Vec<serde_json::Value> = targets
        .iter()
        .map(|Target { address, labels }| {
            let labels: serde_json::Map<String, serde_json::Value> =
                labels.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
            serde_json::json!({ "targets": [address], "labels": labels })
        })
        .collect();
    let mut config = serde_json::json!({
        "job_name": name,
        "scheme": scheme,
        "metrics_path": path,
        "honor_labels": false,
        "tls_config": { "insecure_skip_verify": insecure_skip_verify },
        "metric_relabel_configs": metric_relabelings,
        "static_configs": targets,
    });
    if let Some(interval) = interval {
        config["scrape_interval"] = interval.clone().into();
        config["scrape_timeout"] = interval.clone().into();
    }
    if let Some(Bearer::Token(token)) = bearer {
        config["authorization"] = serde_json::json!({ "type": "Bearer", "credentials": token });
    }
    config
}
