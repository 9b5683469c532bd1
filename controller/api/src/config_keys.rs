//! Configuration keys. A key has one name as an environment variable and in the main ConfigMap.

/// Identity of this controller; see [`crate::Instance`].
pub const CONTROLLER_INSTANCE: &str = "CONTROLLER_INSTANCE";
/// A controller without an id also takes variants labelled for other instances.
pub const MANAGE_ALL_INSTANCES: &str = "MANAGE_ALL_INSTANCES";
/// Namespace the controller runs in; holds its Lease and the global ConfigMaps.
pub const POD_NAMESPACE: &str = "POD_NAMESPACE";
/// Name of the main ConfigMap.
pub const CONFIG_MAP_NAME: &str = "CONFIG_MAP_NAME";
/// Name of the global saturation ConfigMap.
pub const SATURATION_CONFIG_MAP_NAME: &str = "SATURATION_CONFIG_MAP_NAME";
/// Name of the global scale-to-zero ConfigMap.
pub const SCALE_TO_ZERO_CONFIG_MAP_NAME: &str = "SCALE_TO_ZERO_CONFIG_MAP_NAME";
/// Namespaces to watch, comma-separated; empty for all.
pub const WATCH_NAMESPACE: &str = "WATCH_NAMESPACE";
/// Where Prometheus answers; required.
pub const PROMETHEUS_BASE_URL: &str = "PROMETHEUS_BASE_URL";
/// Accept any certificate from Prometheus.
pub const PROMETHEUS_TLS_INSECURE_SKIP_VERIFY: &str = "PROMETHEUS_TLS_INSECURE_SKIP_VERIFY";
/// CA certificates to trust for Prometheus, a PEM file.
pub const PROMETHEUS_CA_CERT_PATH: &str = "PROMETHEUS_CA_CERT_PATH";
/// Client certificate for Prometheus, a PEM file.
pub const PROMETHEUS_CLIENT_CERT_PATH: &str = "PROMETHEUS_CLIENT_CERT_PATH";
/// Client key for Prometheus, a PEM file.
pub const PROMETHEUS_CLIENT_KEY_PATH: &str = "PROMETHEUS_CLIENT_KEY_PATH";
/// Name expected in the certificate of Prometheus.
pub const PROMETHEUS_SERVER_NAME: &str = "PROMETHEUS_SERVER_NAME";
/// Bearer token for Prometheus.
pub const PROMETHEUS_BEARER_TOKEN: &str = "PROMETHEUS_BEARER_TOKEN";
/// File that holds the bearer token for Prometheus; read again when it changes.
pub const PROMETHEUS_TOKEN_PATH: &str = "PROMETHEUS_TOKEN_PATH";
/// Headers sent with every query, e.g. `X-Scope-OrgID=team-a`.
pub const PROMETHEUS_HEADERS: &str = "PROMETHEUS_HEADERS";
/// Label matchers added to every query, e.g. `cluster="east"`.
pub const PROMETHEUS_EXTRA_MATCHERS: &str = "PROMETHEUS_EXTRA_MATCHERS";
/// Pause between two decision cycles.
pub const GLOBAL_OPT_INTERVAL: &str = "GLOBAL_OPT_INTERVAL";
/// Look-back of the saturation queries.
pub const METRICS_WINDOW: &str = "METRICS_WINDOW";
/// Serve `/metrics` here; `0` turns it off.
pub const METRICS_BIND_ADDRESS: &str = "METRICS_BIND_ADDRESS";
/// Serve `/metrics` by HTTPS with authentication and authorisation.
pub const METRICS_SECURE: &str = "METRICS_SECURE";
/// Serve `/healthz` and `/readyz` here.
pub const HEALTH_PROBE_BIND_ADDRESS: &str = "HEALTH_PROBE_BIND_ADDRESS";
/// Take part in leader election.
pub const LEADER_ELECT: &str = "LEADER_ELECT";
/// Name of the Lease; derived from the instance when not set.
pub const LEADER_ELECTION_ID: &str = "LEADER_ELECTION_ID";
/// How long a Lease holds without renewal.
pub const LEADER_ELECTION_LEASE_DURATION: &str = "LEADER_ELECTION_LEASE_DURATION";
/// How long a leader tries to renew before it gives up.
pub const LEADER_ELECTION_RENEW_DEADLINE: &str = "LEADER_ELECTION_RENEW_DEADLINE";
/// Pause between two attempts to take or renew the Lease.
pub const LEADER_ELECTION_RETRY_PERIOD: &str = "LEADER_ELECTION_RETRY_PERIOD";
/// Time limit of one request to the API server; watches are not cut by it.
pub const REST_CLIENT_TIMEOUT: &str = "REST_CLIENT_TIMEOUT";
/// Log verbosity as a number, 0 (info) to 5 (trace).
pub const VERBOSITY: &str = "V";
/// Log level by name; [`VERBOSITY`] wins.
pub const LOG_LEVEL: &str = "LOG_LEVEL";
/// Host used where a bind address names none; all interfaces when not set.
pub const BIND_HOST: &str = "BIND_HOST";

/// YAML file with keys of this list, read once at start.
pub const CONFIG_FILE: &str = "CONFIG_FILE";
/// `false` pauses decisions; the last ones are held.
pub const GLOBAL_OPT_ENABLE: &str = "GLOBAL_OPT_ENABLE";
/// Readings older than this allow no decision.
pub const PROMETHEUS_METRICS_CACHE_STALE_THRESHOLD: &str = "PROMETHEUS_METRICS_CACHE_STALE_THRESHOLD";
/// Directory with the certificate of `/metrics`.
pub const METRICS_CERT_PATH: &str = "METRICS_CERT_PATH";
/// Certificate file in [`METRICS_CERT_PATH`].
pub const METRICS_CERT_NAME: &str = "METRICS_CERT_NAME";
/// Key file in [`METRICS_CERT_PATH`].
pub const METRICS_CERT_KEY: &str = "METRICS_CERT_KEY";
/// Offer HTTP/2 on the HTTPS endpoint.
pub const ENABLE_HTTP2: &str = "ENABLE_HTTP2";
/// Let idle models scale to zero where no scale-to-zero entry says otherwise.
pub const SCALE_TO_ZERO: &str = "WVA_SCALE_TO_ZERO";
/// Keep targets within the GPUs there are.
pub const LIMITED_MODE: &str = "WVA_LIMITED_MODE";
/// What holds for variants whose GPUs cannot be counted: one of [`LIMITER_FAIL_MODES`].
pub const LIMITER_FAIL_MODE: &str = "WVA_LIMITER_FAIL_MODE";
/// Values of [`LIMITER_FAIL_MODE`]: nothing grows, or nothing is limited.
pub const LIMITER_FAIL_MODES: [&str; 2] = ["hold", "open"];
/// Label selector of the nodes whose GPUs count.
pub const NODE_SELECTOR: &str = "WVA_NODE_SELECTOR";
/// Models woken from zero at the same time.
pub const FROM_ZERO_CONCURRENCY: &str = "SCALE_FROM_ZERO_ENGINE_MAX_CONCURRENCY";
/// Bearer token for the metrics of endpoint pickers, with or without the word `Bearer`.
pub const EPP_TOKEN: &str = "EPP_METRIC_READER_BEARER_TOKEN";
/// API group of the `InferencePool`s to watch; both when not set.
pub const POOL_GROUP: &str = "POOL_GROUP";
/// HYBRID mode: scale ahead of saturation by a queueing model.
pub const PROACTIVE_MODEL: &str = "EXPERIMENTAL_PROACTIVE_MODEL";

/// API groups an `InferencePool` can be in, the newer one first.
pub const POOL_GROUPS: [&str; 2] = ["inference.networking.k8s.io", "inference.networking.x-k8s.io"];

/// Default of [`POD_NAMESPACE`].
pub const DEFAULT_POD_NAMESPACE: &str = "workload-variant-autoscaler-system";
