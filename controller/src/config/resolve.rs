//! From raw values to the checked configuration.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use wva_api::{Instance, Scope, config_keys as name};
use wva_engine::settings::FailMode;

use super::address::BindAddress;
use super::sources::{Origin, Sources};
use super::{
    Config, ConfigMapNames, Early, Election, Error, FromZero, Headers, Live, Matchers, MetricsEndpoint, Prometheus,
    Token, keys, value,
};
use crate::telemetry;

impl Early {
    /// Checks what is known without the main ConfigMap. A value that is wrong ends the start here, before anything is
    /// waited for.
    ///
    /// # Errors
    /// At the first value that cannot be used, naming its key.
    pub fn resolve(sources: &Sources) -> Result<Self, Error> {
        for key in keys::KEYS {
            check(sources, key)?;
        }
        let get = Getter(sources);
        Instance::parse(get.text(name::CONTROLLER_INSTANCE))?;
        Ok(Self {
            pod_namespace: get.text(name::POD_NAMESPACE).to_owned(),
            config_map: get.text(name::CONFIG_MAP_NAME).to_owned(),
            probes: get.parse(name::HEALTH_PROBE_BIND_ADDRESS, BindAddress::parse)?,
            bind_host: bind_host(&get)?,
            rest_timeout: get.duration(name::REST_CLIENT_TIMEOUT)?,
            level: level(&get)?,
        })
    }
}

impl Live {
    /// Reads what may change. The values have been checked one by one.
    ///
    /// # Errors
    /// At the first value that cannot be used, naming its key.
    pub fn resolve(sources: &Sources) -> Result<Self, Error> {
        let get = Getter(sources);
        Ok(Self {
            enabled: get.bool(name::GLOBAL_OPT_ENABLE)?,
            interval: get.duration(name::GLOBAL_OPT_INTERVAL)?,
            stale_after: get.duration(name::PROMETHEUS_METRICS_CACHE_STALE_THRESHOLD)?,
            limiter_fail_mode: match get.text(name::LIMITER_FAIL_MODE) {
                "open" => FailMode::Unlimited,
                _ => FailMode::Hold,
            },
            level: level(&get)?,
        })
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
            config_maps: ConfigMapNames {
                saturation: get.text(name::SATURATION_CONFIG_MAP_NAME).to_owned(),
                scale_to_zero: get.text(name::SCALE_TO_ZERO_CONFIG_MAP_NAME).to_owned(),
            },
            live: Live::resolve(sources)?,
            metrics_window: window,
            prometheus: prometheus(&get)?,
            metrics: MetricsEndpoint {
                bind: get.parse(name::METRICS_BIND_ADDRESS, BindAddress::parse)?,
                secure: get.bool(name::METRICS_SECURE)?,
                certificate: get.path(name::METRICS_CERT_PATH).map(|directory| {
                    let file = |name| directory.join(get.text(name));
                    (file(name::METRICS_CERT_NAME), file(name::METRICS_CERT_KEY))
                }),
                http2: get.bool(name::ENABLE_HTTP2)?,
            },
            probes: get.parse(name::HEALTH_PROBE_BIND_ADDRESS, BindAddress::parse)?,
            bind_host: bind_host(&get)?,
            rest_timeout: get.duration(name::REST_CLIENT_TIMEOUT)?,
            scale_to_zero: get.bool(name::SCALE_TO_ZERO)?,
            limited_mode: get.bool(name::LIMITED_MODE)?,
            node_selector: Some(get.text(name::NODE_SELECTOR).to_owned()).filter(|text| !text.is_empty()),
            from_zero: FromZero {
                concurrency: get.parse(name::FROM_ZERO_CONCURRENCY, |t| {
                    t.parse().map_err(|_| "is not a whole number".to_owned())
                })?,
                epp_token: bearer(get.text(name::EPP_TOKEN)),
                pool_group: name::POOL_GROUPS.into_iter().find(|group| *group == get.text(name::POOL_GROUP)),
            },
            proactive: get.bool(name::PROACTIVE_MODEL)?,
        })
    }
}

/// A token given directly, with or without the word that goes before it in the header.
fn bearer(text: &str) -> Option<Token> {
    let text = text.trim();
    let token = match text.split_at_checked("Bearer ".len()) {
        Some((word, token)) if word.eq_ignore_ascii_case("Bearer ") => token.trim(),
        _ => text,
    };
    (!token.is_empty()).then(|| Token::Value(token.to_owned()))
}

fn bind_host(get: &Getter<'_>) -> Result<Option<IpAddr>, Error> {
    match get.text(name::BIND_HOST) {
        "" => Ok(None),
        _ => get.parse(name::BIND_HOST, |t| t.parse().map_err(|_| "is not an IP address".to_owned())).map(Some),
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
    let token = bearer(get.text(name::PROMETHEUS_BEARER_TOKEN))
        .or_else(|| get.path(name::PROMETHEUS_TOKEN_PATH).map(Token::File));
    let headers = get.parse(name::PROMETHEUS_HEADERS, Headers::parse)?;
    if token.is_some() && headers.expose().contains_key(reqwest::header::AUTHORIZATION) {
        return Err(Error::Combination(format!(
            "{} has an Authorization header, and there is a bearer token besides ({} or {}); keep one of them",
            name::PROMETHEUS_HEADERS,
            name::PROMETHEUS_BEARER_TOKEN,
            name::PROMETHEUS_TOKEN_PATH
        )));
    }
    Ok(Prometheus {
        url: get.parse(name::PROMETHEUS_BASE_URL, str::parse)?,
        skip_verify: get.bool(name::PROMETHEUS_TLS_INSECURE_SKIP_VERIFY)?,
        ca_file: get.path(name::PROMETHEUS_CA_CERT_PATH),
        client_pair,
        server_name: Some(get.text(name::PROMETHEUS_SERVER_NAME).to_owned()).filter(|name| !name.is_empty()),
        token,
        headers,
        matchers: get.parse(name::PROMETHEUS_EXTRA_MATCHERS, Matchers::parse)?,
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

/// The stronger source of the two wins, a number over a level's name from the same source; without either the level is
/// info.
fn level(get: &Getter<'_>) -> Result<tracing::Level, Error> {
    let (verbosity, level) = (get.origin(name::VERBOSITY), get.origin(name::LOG_LEVEL));
    if (verbosity, level) == (Origin::Default, Origin::Default) {
        return Ok(tracing::Level::INFO);
    }
    if level > verbosity {
        return get.parse(name::LOG_LEVEL, |text| telemetry::level_of_name(text).ok_or_else(String::new));
    }
    get.parse(name::VERBOSITY, |text| {
        text.parse().map(telemetry::level_of_verbosity).map_err(|_| "is not a whole number".to_owned())
    })
}

fn list(text: &str) -> BTreeSet<String> {
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
    Error::Value {
        key: key.name,
        value: key.shown(value).into_owned(),
        source_name: origin.word(),
        why,
        default: key.default,
    }
}

/// Reads keys by name.
struct Getter<'a>(&'a Sources);

impl Getter<'_> {
    fn text(&self, name: &str) -> &str {
        keys::find(name).map_or("", |key| self.0.value(key).0)
    }

    fn origin(&self, name: &str) -> Origin {
        keys::find(name).map_or(Origin::Default, |key| self.0.value(key).1)
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
