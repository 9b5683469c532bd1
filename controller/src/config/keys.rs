//! The table of configuration keys: the one source of flags, environment variables, defaults, help and checks.

use wva_api::config_keys as name;

use super::value;

/// One configuration key.
#[derive(Debug)]
pub struct Key {
    /// Name as an environment variable and in the main ConfigMap.
    pub name: &'static str,
    /// Older names of the environment variable; the canonical one wins.
    pub old_names: &'static [&'static str],
    /// Long flag, without dashes; `None` when there is none.
    pub flag: Option<&'static str>,
    /// Older or additional long flags.
    pub old_flags: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// Value when no source gives one; empty for none.
    pub default: &'static str,
    /// What it does, one line.
    pub help: &'static str,
}

/// Values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// An `http://` or `https://` address.
    Url,
    /// `host:port`, `:port`, or `0` for off.
    Address,
    /// True or false.
    Bool,
    /// A whole number of at least the given size.
    Int {
        /// Smallest value allowed.
        min: i64,
    },
    /// A duration longer than zero.
    Duration,
    /// A duration; zero means off.
    DurationOrOff,
    /// A log level by name.
    Level,
}

impl Kind {
    /// Checks a value.
    ///
    /// # Errors
    /// What is wrong with it, in words for a person.
    pub fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Text => Ok(()),
            Self::Bool => value::parse_bool(text).map(drop).map_err(|why| format!("is not a boolean: {why}")),
            Self::Int { min } => match text.parse::<i64>() {
                Ok(number) if number >= min => Ok(()),
                Ok(_) => Err(format!("is less than {min}")),
                Err(_) => Err("is not a whole number".to_owned()),
            },
            Self::Duration => match value::parse_duration(text) {
                Ok(duration) if duration.is_zero() => Err("must be longer than zero".to_owned()),
                Ok(_) => Ok(()),
                Err(why) => Err(format!("is not a duration: {why}")),
            },
            Self::DurationOrOff => {
                value::parse_duration(text).map(drop).map_err(|why| format!("is not a duration: {why}"))
            }
            Self::Url => match reqwest::Url::parse(text) {
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
                Ok(_) => Err("is not an http:// or https:// address".to_owned()),
                Err(why) => Err(format!("is not an address: {why}")),
            },
            Self::Address => super::address::BindAddress::parse(text).map(drop),
            Self::Level => crate::telemetry::level_of_name(text)
                .map(drop)
                .ok_or_else(|| "is not a log level: use error, warn, info, debug or trace".to_owned()),
        }
    }
}

/// A key without flag, aliases or default.
const fn key(name: &'static str, kind: Kind, help: &'static str) -> Key {
    Key { name, old_names: &[], flag: None, old_flags: &[], kind, default: "", help }
}

impl Key {
    const fn flag(self, flag: &'static str) -> Self {
        Self { flag: Some(flag), ..self }
    }

    const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    const fn old_flags(self, old_flags: &'static [&'static str]) -> Self {
        Self { old_flags, ..self }
    }

    const fn old_names(self, old_names: &'static [&'static str]) -> Self {
        Self { old_names, ..self }
    }
}

/// All keys, in the order of `--help`.
pub static KEYS: &[Key] = &[
    key(name::CONTROLLER_INSTANCE, Kind::Text, "Id of this controller; it takes only variants labelled with it")
        .flag("controller-instance"),
    key(name::MANAGE_ALL_INSTANCES, Kind::Bool, "Without an id: also take variants labelled for an instance")
        .flag("manage-all-instances")
        .default("false"),
    key(name::WATCH_NAMESPACE, Kind::Text, "Namespaces to watch, comma-separated; empty for all")
        .flag("watch-namespace"),
    key(name::POD_NAMESPACE, Kind::Text, "Namespace of the Lease and the global ConfigMaps")
        .default(name::DEFAULT_POD_NAMESPACE),
    key(name::CONFIG_MAP_NAME, Kind::Text, "Name of the main ConfigMap").default("wva-variantautoscaling-config"),
    key(name::SATURATION_CONFIG_MAP_NAME, Kind::Text, "Name of the global saturation ConfigMap")
        .default("wva-saturation-scaling-config"),
    key(name::SCALE_TO_ZERO_CONFIG_MAP_NAME, Kind::Text, "Name of the global scale-to-zero ConfigMap")
        .default("wva-model-scale-to-zero-config"),
    key(name::GLOBAL_OPT_INTERVAL, Kind::Duration, "Pause between two decision cycles").default("60s"),
    key(name::METRICS_WINDOW, Kind::Duration, "Look-back of the saturation queries").default("1m"),
    key(name::PROMETHEUS_BASE_URL, Kind::Url, "Where Prometheus answers (required)"),
    key(name::PROMETHEUS_TLS_INSECURE_SKIP_VERIFY, Kind::Bool, "Accept any certificate from Prometheus")
        .default("false"),
    key(name::PROMETHEUS_CA_CERT_PATH, Kind::Text, "CA certificates to trust for Prometheus, a PEM file"),
    key(name::PROMETHEUS_CLIENT_CERT_PATH, Kind::Text, "Client certificate for Prometheus, a PEM file"),
    key(name::PROMETHEUS_CLIENT_KEY_PATH, Kind::Text, "Client key for Prometheus, a PEM file"),
    key(name::PROMETHEUS_SERVER_NAME, Kind::Text, "Name expected in the certificate of Prometheus"),
    key(name::PROMETHEUS_BEARER_TOKEN, Kind::Text, "Bearer token for Prometheus"),
    key(name::PROMETHEUS_TOKEN_PATH, Kind::Text, "File with the bearer token for Prometheus, read again on change"),
    key("PROMETHEUS_METRICS_CACHE_STALE_THRESHOLD", Kind::Duration, "Readings older than this allow no decision")
        .default("2m"),
    key("PROMETHEUS_METRICS_CACHE_ENABLED", Kind::Bool, COMPATIBILITY).default("true"),
    key("PROMETHEUS_METRICS_CACHE_TTL", Kind::Duration, COMPATIBILITY).default("30s"),
    key("PROMETHEUS_METRICS_CACHE_CLEANUP_INTERVAL", Kind::Duration, COMPATIBILITY).default("1m"),
    key("PROMETHEUS_METRICS_CACHE_FETCH_INTERVAL", Kind::DurationOrOff, COMPATIBILITY).default("30s"),
    key("PROMETHEUS_METRICS_CACHE_FRESH_THRESHOLD", Kind::Duration, COMPATIBILITY).default("1m"),
    key("PROMETHEUS_METRICS_CACHE_UNAVAILABLE_THRESHOLD", Kind::Duration, COMPATIBILITY).default("5m"),
    key(name::METRICS_BIND_ADDRESS, Kind::Address, "Serve /metrics here; 0 turns it off")
        .flag("metrics-bind-address")
        .old_flags(&["metrics-addr"])
        .old_names(&["METRICS_ADDR"])
        .default("0"),
    key(name::METRICS_SECURE, Kind::Bool, "Serve /metrics by HTTPS with authentication and authorisation")
        .flag("metrics-secure")
        .default("true"),
    key("METRICS_CERT_PATH", Kind::Text, "Directory with the certificate of /metrics; self-signed when empty")
        .flag("metrics-cert-path"),
    key("METRICS_CERT_NAME", Kind::Text, "Certificate file in it").flag("metrics-cert-name").default("tls.crt"),
    key("METRICS_CERT_KEY", Kind::Text, "Key file in it").flag("metrics-cert-key").default("tls.key"),
    key("ENABLE_HTTP2", Kind::Bool, "Offer HTTP/2 on the HTTPS endpoint").flag("enable-http2").default("false"),
    key("WEBHOOK_CERT_PATH", Kind::Text, WEBHOOK).flag("webhook-cert-path"),
    key("WEBHOOK_CERT_NAME", Kind::Text, WEBHOOK).flag("webhook-cert-name").default("tls.crt"),
    key("WEBHOOK_CERT_KEY", Kind::Text, WEBHOOK).flag("webhook-cert-key").default("tls.key"),
    key(name::HEALTH_PROBE_BIND_ADDRESS, Kind::Address, "Serve /healthz and /readyz here; 0 turns them off")
        .flag("health-probe-bind-address")
        .old_flags(&["probe-addr"])
        .old_names(&["PROBE_ADDR"])
        .default(":8081"),
    key(name::LEADER_ELECT, Kind::Bool, "Take part in leader election")
        .flag("leader-elect")
        .old_flags(&["enable-leader-election"])
        .default("false"),
    key(name::LEADER_ELECTION_ID, Kind::Text, "Name of the Lease; derived from the instance when empty")
        .flag("leader-election-id"),
    key(name::LEADER_ELECTION_LEASE_DURATION, Kind::Duration, "How long the Lease holds without renewal")
        .flag("leader-election-lease-duration")
        .default("60s"),
    key(name::LEADER_ELECTION_RENEW_DEADLINE, Kind::Duration, "How long a leader tries to renew before it gives up")
        .flag("leader-election-renew-deadline")
        .default("50s"),
    key(name::LEADER_ELECTION_RETRY_PERIOD, Kind::Duration, "Pause between two attempts at the Lease")
        .flag("leader-election-retry-period")
        .default("10s"),
    key(name::REST_CLIENT_TIMEOUT, Kind::Duration, "Time limit of one request to the API server")
        .flag("rest-client-timeout")
        .default("60s"),
    key("WVA_SCALE_TO_ZERO", Kind::Bool, "Let idle models scale to zero").default("false"),
    key("WVA_LIMITED_MODE", Kind::Bool, "Keep targets within the GPUs there are").default("false"),
    key("WVA_NODE_SELECTOR", Kind::Text, "Label selector of the nodes whose GPUs count"),
    key("SCALE_FROM_ZERO_ENGINE_MAX_CONCURRENCY", Kind::Int { min: 1 }, "Models woken from zero at the same time")
        .default("10"),
    key("EPP_METRIC_READER_BEARER_TOKEN", Kind::Text, "Bearer token for the metrics of endpoint pickers"),
    key(name::VERBOSITY, Kind::Int { min: 0 }, "Log verbosity: 0 to 2 info, 3 and 4 debug, 5 trace").flag("v"),
    key(name::LOG_LEVEL, Kind::Level, "Log level by name, when no verbosity is given"),
    key(name::BIND_HOST, Kind::Text, "Host for bind addresses that name none; all interfaces when empty"),
];

const COMPATIBILITY: &str = "Accepted for compatibility; every cycle reads live metrics, there is no cache";
const WEBHOOK: &str = "Accepted for compatibility; there is no webhook";

/// The key of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_default_is_a_valid_value() {
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            assert_eq!(key.kind.check(key.default), Ok(()), "{}", key.name);
        }
    }

    #[test]
    fn no_name_or_flag_stands_for_two_keys() {
        let names: Vec<_> = KEYS.iter().flat_map(|k| k.old_names.iter().chain([&k.name])).collect();
        let flags: Vec<_> = KEYS.iter().flat_map(|k| k.old_flags.iter().chain(&k.flag)).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert_eq!(flags.iter().collect::<BTreeSet<_>>().len(), flags.len());
    }
}
