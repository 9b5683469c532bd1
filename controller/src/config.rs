//! Configuration, resolved once into one value.
//!
//! [`keys`] is the table of everything that can be set; [`sources`] finds each value; [`kind`], [`value`] and [`address`]
//! read it. [`Early`] is what must be known before the main ConfigMap can be read; [`Config`] is the checked result
//! that the rest of the program works with. What may change while the program runs is [`Live`].

pub mod address;
pub mod flat;
pub mod headers;
pub mod keys;
pub mod kind;
pub mod live;
pub mod masked;
pub mod matchers;
mod resolve;
pub mod sources;
pub mod value;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use wva_api::{InvalidInstance, Scope};
use wva_engine::settings::FailMode;

use self::address::BindAddress;
pub use self::headers::Headers;
pub use self::masked::{SecretUrl, Secrets};
pub use self::matchers::Matchers;

/// Everything the controller was told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What this controller takes care of.
    pub scope: Scope,
    /// Namespace the controller runs in.
    pub pod_namespace: String,
    /// Names of the ConfigMaps with settings of models.
    pub config_maps: ConfigMapNames,
    /// What may change while the controller runs.
    pub live: Live,
    /// Look-back of the saturation queries.
    pub metrics_window: Duration,
    /// How to reach Prometheus.
    pub prometheus: Prometheus,
    /// How `/metrics` is served.
    pub metrics: MetricsEndpoint,
    /// Where probes are answered.
    pub probes: BindAddress,
    /// Host for bind addresses that name none.
    pub bind_host: Option<IpAddr>,
    /// Leader election; `None` when this process always leads.
    pub election: Option<Election>,
    /// Time limit of one request to the API server.
    pub rest_timeout: Duration,
    /// Whether models without a scale-to-zero entry of their own or by default go to zero when idle.
    pub scale_to_zero: bool,
    /// Whether targets are kept within the GPUs there are.
    pub limited_mode: bool,
    /// Label selector of the nodes whose GPUs count; `None` for all.
    pub node_selector: Option<String>,
    /// Waking models from zero.
    pub from_zero: FromZero,
    /// HYBRID mode.
    pub proactive: bool,
}

/// What must be known before the main ConfigMap can be read, and a first idea of what it may still change.
#[derive(Clone, Debug)]
pub struct Early {
    /// Namespace the controller runs in.
    pub pod_namespace: String,
    /// Name of the main ConfigMap.
    pub config_map: String,
    /// Where probes are answered meanwhile.
    pub probes: BindAddress,
    /// Host for bind addresses that name none.
    pub bind_host: Option<IpAddr>,
    /// Time limit of one request to the API server.
    pub rest_timeout: Duration,
    /// How much is logged.
    pub level: tracing::Level,
}

/// What may change while the controller runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// `false` pauses decisions: the last ones are held.
    pub enabled: bool,
    /// Pause between two decision cycles.
    pub interval: Duration,
    /// Readings older than this allow no decision.
    pub stale_after: Duration,
    /// What holds for variants whose GPUs cannot be counted.
    pub limiter_fail_mode: FailMode,
    /// How much is logged.
    pub level: tracing::Level,
}

/// Names of the ConfigMaps with settings of models: in the controller's namespace for all, in a workload's namespace for
/// that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMapNames {
    /// Of saturation settings.
    pub saturation: String,
    /// Of scale-to-zero settings.
    pub scale_to_zero: String,
}

/// Waking models from zero.
#[derive(Clone, Debug)]
pub struct FromZero {
    /// Models woken at the same time, at least 1.
    pub concurrency: usize,
    /// Bearer token for the metrics of endpoint pickers.
    pub epp_token: Option<Token>,
    /// API group of the `InferencePool`s to watch; `None` for all groups served.
    pub pool_group: Option<&'static str>,
}

/// How to reach Prometheus.
#[derive(Clone, Debug)]
pub struct Prometheus {
    /// Base address, e.g. `https://prometheus:9090`.
    pub url: SecretUrl,
    /// Accept any certificate.
    pub skip_verify: bool,
    /// CA certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Client certificate and key.
    pub client_pair: Option<(PathBuf, PathBuf)>,
    /// Name expected in the certificate instead of the host of the address.
    pub server_name: Option<String>,
    /// Bearer token.
    pub token: Option<Token>,
    /// Headers of every query.
    pub headers: Headers,
    /// Label matchers of every query.
    pub matchers: Matchers,
}

/// Where a bearer token comes from.
#[derive(Clone)]
pub enum Token {
    /// Given directly.
    Value(String),
    /// Read from a file before each use, because projected tokens rotate.
    File(PathBuf),
}

/// How `/metrics` is served.
#[derive(Clone, Debug)]
pub struct MetricsEndpoint {
    /// Where.
    pub bind: BindAddress,
    /// By HTTPS with authentication and authorisation.
    pub secure: bool,
    /// Certificate and key; self-signed when `None`.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Offer HTTP/2 by HTTPS.
    pub http2: bool,
}

/// Leader election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// Name of the Lease.
    pub lease_name: String,
    /// How long the Lease holds without renewal.
    pub lease_duration: Duration,
    /// How long a leader tries to renew before it gives up.
    pub renew_deadline: Duration,
    /// Pause between two attempts.
    pub retry_period: Duration,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Prometheus is not named.
    #[error(
        "configuration: PROMETHEUS_BASE_URL is not set, and without Prometheus nothing can be decided; set the \
         environment variable, or the key in the main ConfigMap, to the address of Prometheus, e.g. \
         https://prometheus-operated.monitoring:9090"
    )]
    NoPrometheus,
    /// A value does not fit its key.
    #[error(
        "configuration: {key}={value:?} (from {source_name}) {why}; correct it or remove it (default: {default:?})"
    )]
    Value {
        /// Name of the key.
        key: &'static str,
        /// The value.
        value: String,
        /// Where it was found.
        source_name: &'static str,
        /// What is wrong with it.
        why: String,
        /// Default of the key.
        default: &'static str,
    },
    /// The configuration file cannot be used.
    #[error("configuration: the file {path} (from --config-file) {why}; correct it or leave the flag out")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The instance id is no label value.
    #[error("configuration: CONTROLLER_INSTANCE: {0}")]
    Instance(#[from] InvalidInstance),
    /// Two values contradict each other.
    #[error("configuration: {0}")]
    Combination(String),
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value(…)"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

#[cfg(test)]
mod tests;
