//! Configuration, resolved once into one value.
//!
//! [`keys`] is the table of everything that can be set; [`sources`] finds each value; [`Config`] is the checked
//! result that the rest of the program works with.

pub mod address;
pub mod keys;
pub mod sources;
pub mod value;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use wva_api::{Instance, InvalidInstance, Scope, config_keys as name};

use self::address::BindAddress;
use self::sources::{Origin, Sources};

/// Everything the controller was told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What this controller takes care of.
    pub scope: Scope,
    /// Namespace the controller runs in.
    pub pod_namespace: String,
    /// Pause between two decision cycles.
    pub interval: Duration,
    /// Look-back of the saturation queries.
    pub metrics_window: Duration,
    /// Readings older than this allow no decision.
    pub stale_after: Duration,
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
    /// How much is logged.
    pub level: tracing::Level,
}

/// How to reach Prometheus.
#[derive(Clone, Debug)]
pub struct Prometheus {
    /// Base address, e.g. `https://prometheus:9090`.
    pub url: reqwest::Url,
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
         environment variable to the address of Prometheus, e.g. https://prometheus-operated.monitoring:9090"
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
        /// Flag or environment.
        source_name: &'static str,
        /// What is wrong with it.
        why: String,
        /// Default of the key.
        default: &'static str,
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

impl Config {
    /// Checks every key of the table and builds the configuration.
    ///
    /// # Errors
    /// At the first value that cannot be used, naming its key.
    pub fn resolve(sources: &Sources) -> Result<Self, Error> {
        for key in keys::KEYS {
            check(sources, key)?;
        }
        let get = Getter(sources);
        let window = get.duration(name::METRICS_WINDOW)?;
        if window < Duration::from_secs(1) {
            return Err(Error::Combination(format!(
                "{} must be at least 1s, because Prometheus is asked in whole seconds",
                name::METRICS_WINDOW
            )));
        }
        let scope = Scope {
            instance: Instance::parse(get.text(name::CONTROLLER_INSTANCE))?,
            namespaces: list(get.text(name::WATCH_NAMESPACE)),
            manage_all: get.bool(name::MANAGE_ALL_INSTANCES)?,
        };
        Ok(Self {
            election: election(&get, &scope.instance)?,
            scope,
            pod_namespace: get.text(name::POD_NAMESPACE).to_owned(),
            interval: get.duration(name::GLOBAL_OPT_INTERVAL)?,
            metrics_window: window,
            stale_after: get.duration("PROMETHEUS_METRICS_CACHE_STALE_THRESHOLD")?,
            prometheus: prometheus(&get)?,
            metrics: MetricsEndpoint {
                bind: get.parse(name::METRICS_BIND_ADDRESS, BindAddress::parse)?,
                secure: get.bool(name::METRICS_SECURE)?,
                certificate: get.path("METRICS_CERT_PATH").map(|directory| {
                    (directory.join(get.text("METRICS_CERT_NAME")), directory.join(get.text("METRICS_CERT_KEY")))
                }),
                http2: get.bool("ENABLE_HTTP2")?,
            },
            probes: get.parse(name::HEALTH_PROBE_BIND_ADDRESS, BindAddress::parse)?,
            bind_host: match get.text(name::BIND_HOST) {
                "" => None,
                _ => Some(get.parse(name::BIND_HOST, |t| t.parse().map_err(|_| "is not an IP address".to_owned()))?),
            },
            rest_timeout: get.duration(name::REST_CLIENT_TIMEOUT)?,
            level: level(&get)?,
        })
    }
}

fn prometheus(get: &Getter<'_>) -> Result<Prometheus, Error> {
    if get.text(name::PROMETHEUS_BASE_URL).is_empty() {
        return Err(Error::NoPrometheus);
    }
    let client_pair = match (get.path(name::PROMETHEUS_CLIENT_CERT_PATH), get.path(name::PROMETHEUS_CLIENT_KEY_PATH)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            return Err(Error::Combination(format!(
                "{} and {} belong together; set both or none",
                name::PROMETHEUS_CLIENT_CERT_PATH,
                name::PROMETHEUS_CLIENT_KEY_PATH
            )));
        }
    };
    let token = match get.text(name::PROMETHEUS_BEARER_TOKEN) {
        "" => get.path(name::PROMETHEUS_TOKEN_PATH).map(Token::File),
        token => Some(Token::Value(token.trim().to_owned())),
    };
    Ok(Prometheus {
        url: get.parse(name::PROMETHEUS_BASE_URL, |text| reqwest::Url::parse(text).map_err(|why| why.to_string()))?,
        skip_verify: get.bool(name::PROMETHEUS_TLS_INSECURE_SKIP_VERIFY)?,
        ca_file: get.path(name::PROMETHEUS_CA_CERT_PATH),
        client_pair,
        server_name: Some(get.text(name::PROMETHEUS_SERVER_NAME).to_owned()).filter(|name| !name.is_empty()),
        token,
    })
}

/// A leader must give up before its Lease can pass to another, and must have tried at least once before that.
fn election(get: &Getter<'_>, instance: &Instance) -> Result<Option<Election>, Error> {
    let election = Election {
        lease_name: instance.lease_name(Some(get.text(name::LEADER_ELECTION_ID))),
        lease_duration: get.duration(name::LEADER_ELECTION_LEASE_DURATION)?,
        renew_deadline: get.duration(name::LEADER_ELECTION_RENEW_DEADLINE)?,
        retry_period: get.duration(name::LEADER_ELECTION_RETRY_PERIOD)?,
    };
    let Election { lease_duration, renew_deadline, retry_period, .. } = election;
    if lease_duration < Duration::from_secs(1) {
        return Err(Error::Combination(format!(
            "{} must be at least 1s, the smallest duration a Lease can hold",
            name::LEADER_ELECTION_LEASE_DURATION
        )));
    }
    if lease_duration <= renew_deadline {
        return Err(Error::Combination(format!(
            "{} ({}) must be longer than {} ({})",
            name::LEADER_ELECTION_LEASE_DURATION,
            value::format_duration(lease_duration),
            name::LEADER_ELECTION_RENEW_DEADLINE,
            value::format_duration(renew_deadline)
        )));
    }
    if renew_deadline.as_secs_f64() <= retry_period.as_secs_f64() * RETRY_JITTER {
        return Err(Error::Combination(format!(
            "{} ({}) must be longer than {RETRY_JITTER} times {} ({})",
            name::LEADER_ELECTION_RENEW_DEADLINE,
            value::format_duration(renew_deadline),
            name::LEADER_ELECTION_RETRY_PERIOD,
            value::format_duration(retry_period)
        )));
    }
    Ok(get.bool(name::LEADER_ELECT)?.then_some(election))
}

/// Other controllers stretch their retry period by up to this factor; the same bound keeps durations exchangeable.
const RETRY_JITTER: f64 = 1.2;

/// A number wins over a level's name; without either the level is info.
fn level(get: &Getter<'_>) -> Result<tracing::Level, Error> {
    match (get.text(name::VERBOSITY), get.text(name::LOG_LEVEL)) {
        ("", "") => Ok(tracing::Level::INFO),
        ("", _) => get.parse(name::LOG_LEVEL, |text| crate::telemetry::level_of_name(text).ok_or_else(String::new)),
        _ => get.parse(name::VERBOSITY, |text| {
            text.parse().map(crate::telemetry::level_of_verbosity).map_err(|_| "is not a whole number".to_owned())
        }),
    }
}

fn list(text: &str) -> std::collections::BTreeSet<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn check(sources: &Sources, key: &'static keys::Key) -> Result<(), Error> {
    let (value, origin) = sources.value(key);
    if value.is_empty() {
        return Ok(());
    }
    key.kind.check(value).map_err(|why| refused(key, value, origin, why))
}

fn refused(key: &'static keys::Key, value: &str, origin: Origin, why: String) -> Error {
    let source_name = match origin {
        Origin::Flag => "flag",
        Origin::Environment => "environment",
        Origin::Default => "default",
    };
    Error::Value { key: key.name, value: value.to_owned(), source_name, why, default: key.default }
}

/// Reads keys by name.
struct Getter<'a>(&'a Sources);

impl Getter<'_> {
    fn text(&self, name: &str) -> &str {
        keys::find(name).map_or("", |key| self.0.value(key).0)
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.text(name)).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    fn bool(&self, name: &str) -> Result<bool, Error> {
        self.parse(name, value::parse_bool)
    }

    fn duration(&self, name: &str) -> Result<Duration, Error> {
        self.parse(name, value::parse_duration)
    }

    fn parse<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T, Error> {
        let Some(key) = keys::find(name) else {
            return Err(Error::Combination(format!("{name} is not a configuration key")));
        };
        let (value, origin) = self.0.value(key);
        read(value).map_err(|why| refused(key, value, origin, why))
    }
}

#[cfg(test)]
mod tests;
