//! The table of configuration keys: the one source of flags, environment variables, defaults, help and checks.

use std::borrow::Cow;

use wva_api::{config_keys as name, config_maps};

pub use super::kind::Kind;
pub use super::masked::Mask;

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
    /// How its value is shown.
    pub mask: Mask,
    /// What comes of a change in the main ConfigMap.
    pub change: Change,
}

/// What comes of a change of a key in the main ConfigMap while the controller runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It applies at once.
    Live,
    /// It is refused with a Warning event; only a restart can change it.
    Refused,
    /// It applies at the next start.
    NextStart,
    /// The key does not count in the ConfigMap: it says where the ConfigMap is.
    NotRead,
}

/// A key without flag, aliases or default, whose change applies at the next start.
const fn key(name: &'static str, kind: Kind, help: &'static str) -> Key {
    Key {
        name,
        old_names: &[],
        flag: None,
        old_flags: &[],
        kind,
        default: "",
        help,
        mask: Mask::Nothing,
        change: Change::NextStart,
    }
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

    const fn live(self) -> Self {
        Self { change: Change::Live, ..self }
    }

    const fn refused(self) -> Self {
        Self { change: Change::Refused, ..self }
    }

    const fn not_read(self) -> Self {
        Self { change: Change::NotRead, ..self }
    }

    const fn masked(self, mask: Mask) -> Self {
        Self { mask, ..self }
    }

    /// The value as it may be shown.
    pub fn shown<'a>(&self, value: &'a str) -> Cow<'a, str> {
        self.mask.shown(value)
    }

    /// Its names as an environment variable and in the main ConfigMap, the one that wins first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.old_names.iter().copied())
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
        .default(name::DEFAULT_POD_NAMESPACE)
        .not_read(),
    key(name::CONFIG_MAP_NAME, Kind::Text, "Name of the main ConfigMap").default(config_maps::MAIN).not_read(),
    key(name::CONFIG_FILE, Kind::Text, "YAML file with keys of this list, read once; weaker than the environment")
        .flag("config-file")
        .not_read(),
    key(name::SATURATION_CONFIG_MAP_NAME, Kind::Text, "Name of the saturation ConfigMaps, global and local")
        .default(config_maps::SATURATION),
    key(name::SCALE_TO_ZERO_CONFIG_MAP_NAME, Kind::Text, "Name of the scale-to-zero ConfigMaps, global and local")
        .default(config_maps::SCALE_TO_ZERO),
    key(name::GLOBAL_OPT_ENABLE, Kind::Bool, "Decide; false holds the last decisions").default("true").live(),
    key(name::GLOBAL_OPT_INTERVAL, Kind::Duration, "Pause between two decision cycles").default("60s").live(),
    key(name::METRICS_WINDOW, Kind::Duration, "Look-back of the saturation queries").default("1m"),
    key(name::PROMETHEUS_BASE_URL, Kind::Url, "Where Prometheus answers (required)").refused().masked(Mask::Address),
    key(name::PROMETHEUS_TLS_INSECURE_SKIP_VERIFY, Kind::Bool, "Accept any certificate from Prometheus")
        .default("false"),
    key(name::PROMETHEUS_CA_CERT_PATH, Kind::Text, "CA certificates to trust for Prometheus, a PEM file"),
    key(name::PROMETHEUS_CLIENT_CERT_PATH, Kind::Text, "Client certificate for Prometheus, a PEM file"),
    key(name::PROMETHEUS_CLIENT_KEY_PATH, Kind::Text, "Client key for Prometheus, a PEM file"),
    key(name::PROMETHEUS_SERVER_NAME, Kind::Text, "Name expected in the certificate of Prometheus"),
    key(name::PROMETHEUS_BEARER_TOKEN, Kind::Text, "Bearer token for Prometheus").masked(Mask::Whole),
    key(name::PROMETHEUS_TOKEN_PATH, Kind::Text, "File with the bearer token for Prometheus, read again on change"),
    key(name::PROMETHEUS_HEADERS, Kind::Headers, "Headers of every query: X-Scope-OrgID=team-a").masked(Mask::Headers),
    key(
        name::PROMETHEUS_EXTRA_MATCHERS,
        Kind::Matchers,
        "Label matchers added to every query, where one store holds several clusters: cluster=\"east\"",
    ),
    key(name::PROMETHEUS_METRICS_CACHE_STALE_THRESHOLD, Kind::Duration, "Readings older than this allow no decision")
        .default("2m")
        .live(),
    key("PROMETHEUS_METRICS_CACHE_ENABLED", Kind::Bool, COMPATIBILITY).default("true").live(),
    key("PROMETHEUS_METRICS_CACHE_TTL", Kind::Duration, COMPATIBILITY).default("30s").live(),
    key("PROMETHEUS_METRICS_CACHE_CLEANUP_INTERVAL", Kind::Duration, COMPATIBILITY).default("1m").live(),
    key("PROMETHEUS_METRICS_CACHE_FETCH_INTERVAL", Kind::DurationOrOff, COMPATIBILITY).default("30s").live(),
    key("PROMETHEUS_METRICS_CACHE_FRESH_THRESHOLD", Kind::Duration, COMPATIBILITY).default("1m").live(),
    key("PROMETHEUS_METRICS_CACHE_UNAVAILABLE_THRESHOLD", Kind::Duration, COMPATIBILITY).default("5m").live(),
    key("PROMETHEUS_METRICS_CACHE_MAX_SIZE", Kind::Int { min: 0 }, COMPATIBILITY).default("0").live(),
    key(name::METRICS_BIND_ADDRESS, Kind::Address, "Serve /metrics here; 0 turns it off")
        .flag("metrics-bind-address")
        .old_flags(&["metrics-addr"])
        .old_names(&["METRICS_ADDR"])
        .default("0")
        .refused(),
    key(name::METRICS_SECURE, Kind::Bool, "Serve /metrics by HTTPS with authentication and authorisation")
        .flag("metrics-secure")
        .default("true"),
    key(name::METRICS_CERT_PATH, Kind::Text, "Directory with the certificate of /metrics; self-signed when empty")
        .flag("metrics-cert-path")
        .refused(),
    key(name::METRICS_CERT_NAME, Kind::Text, "Certificate file in it")
        .flag("metrics-cert-name")
        .default("tls.crt")
        .refused(),
    key(name::METRICS_CERT_KEY, Kind::Text, "Key file in it").flag("metrics-cert-key").default("tls.key").refused(),
    key(name::ENABLE_HTTP2, Kind::Bool, "Offer HTTP/2 on the HTTPS endpoint").flag("enable-http2").default("false"),
    key("WEBHOOK_CERT_PATH", Kind::Text, WEBHOOK).flag("webhook-cert-path").refused(),
    key("WEBHOOK_CERT_NAME", Kind::Text, WEBHOOK).flag("webhook-cert-name").default("tls.crt").refused(),
    key("WEBHOOK_CERT_KEY", Kind::Text, WEBHOOK).flag("webhook-cert-key").default("tls.key").refused(),
    key(name::HEALTH_PROBE_BIND_ADDRESS, Kind::Address, "Serve /healthz and /readyz here; 0 turns them off")
        .flag("health-probe-bind-address")
        .old_flags(&["probe-addr"])
        .old_names(&["PROBE_ADDR"])
        .default(":8081")
        .refused(),
    key(name::LEADER_ELECT, Kind::Bool, "Take part in leader election")
        .flag("leader-elect")
        .old_flags(&["enable-leader-election"])
        .default("false"),
    key(name::LEADER_ELECTION_ID, Kind::Text, "Name of the Lease; derived from the instance when empty")
        .flag("leader-election-id")
        .refused(),
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
    key(name::SCALE_TO_ZERO, Kind::Bool, "Let idle models scale to zero where no scale-to-zero entry decides")
        .default("false")
        .refused(),
    key(name::LIMITED_MODE, Kind::Bool, "Keep targets within the GPUs there are").default("false").refused(),
    key(
        name::LIMITER_FAIL_MODE,
        Kind::OneOf(&name::LIMITER_FAIL_MODES),
        "Where GPUs cannot be counted: hold lets nothing grow, open limits nothing",
    )
    .default("hold")
    .live(),
    key(name::NODE_SELECTOR, Kind::Selector, "Label selector of the nodes whose GPUs count"),
    key(name::FROM_ZERO_CONCURRENCY, Kind::Int { min: 1 }, "Models woken from zero at the same time").default("10"),
    key(name::EPP_TOKEN, Kind::Text, "Bearer token for the metrics of endpoint pickers").masked(Mask::Whole),
    key(name::POOL_GROUP, Kind::OneOf(&name::POOL_GROUPS), "API group of the InferencePools to watch; both when empty"),
    key(name::PROACTIVE_MODEL, Kind::Bool, "Hybrid mode: scale by the rate of requests too, ahead of saturation")
        .default("false"),
    key(name::VERBOSITY, Kind::Int { min: 0 }, "Log verbosity: 0 to 2 info, 3 and 4 debug, 5 trace").flag("v").live(),
    key(name::LOG_LEVEL, Kind::Level, "Log level by name; a verbosity from the same source wins").live(),
    key(name::BIND_HOST, Kind::Text, "Host for bind addresses that name none; all interfaces when empty"),
];

const COMPATIBILITY: &str = "Accepted for compatibility; every cycle reads live metrics, there is no cache";
const WEBHOOK: &str = "Accepted for compatibility; there is no webhook";

/// The key of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The key that has this name, or had it once.
pub fn find_any(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.names().any(|own| own == name))
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
