//! A start with a main ConfigMap that cannot be used: what the controller that led last had in force is in its Lease.

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use wva_api::labels::LAST_GOOD_CONFIG;
use wva_api::{Instance, config_keys as name};

use crate::api_error;
use crate::config::keys::{self, KEYS};
use crate::config::sources::{Origin, Sources, given};
use crate::config::{Config, Early, Error};

/// The configuration, with the last good value in place of each value of the main ConfigMap that cannot be used, and with
/// all of its last good content where the values only contradict each other. `read` is what reading it came to.
///
/// # Errors
/// When no last good value is known, or it is not to blame.
pub async fn resolve(
    client: &Client,
    early: &Early,
    sources: &mut Sources,
    read: Result<BTreeMap<String, String>, Error>,
) -> Result<Config, Error> {
    let unreadable = match read {
        Ok(content) => {
            sources.config_map = content;
            None
        }
        Err(error) => Some(error),
    };
    let error = match (unreadable, Config::resolve(sources)) {
        (None, Ok(config)) => return Ok(config),
        (Some(error), _) | (None, Err(error)) => error,
    };
    let Some(good) = recall(client, early, sources).await else { return Err(error) };
    let Some((fixed, replaced)) = fixed(sources, &good) else { return Err(error) };
    let config = Config::resolve(&fixed).map_err(|_| error_of(&error))?;
    tracing::error!(
        %error,
        replaced,
        "Invalid config in the main ConfigMap; starting with the last good values, which are in force until it is fixed"
    );
    *sources = fixed;
    Ok(config)
}

/// The error that counts is the first one: it names what a person has to correct.
fn error_of(first: &Error) -> Error {
    Error::Combination(first.to_string().trim_start_matches("configuration: ").to_owned())
}

/// The sources with good values instead of bad ones, and the names of the keys that were replaced; `None` when nothing can
/// be done about it.
fn fixed(sources: &Sources, good: &BTreeMap<String, String>) -> Option<(Sources, String)> {
    let mut fixed = sources.clone();
    let mut replaced = Vec::new();
    for key in KEYS {
        let (value, origin) = sources.value(key);
        if origin != Origin::ConfigMap || key.kind.check(value).is_ok() {
            continue;
        }
        fixed.config_map.retain(|name, _| !key.names().any(|other| other == name));
        fixed.config_map.insert(key.name.to_owned(), given(good, key)?.to_owned());
        replaced.push(key.name);
    }
    if Config::resolve(&fixed).is_err() {
        fixed.config_map.clone_from(good);
        replaced = vec!["all"];
        Config::resolve(&fixed).ok()?;
    }
    Some((fixed, replaced.join(", ")))
}

/// What the Lease remembers.
async fn recall(client: &Client, early: &Early, sources: &Sources) -> Option<BTreeMap<String, String>> {
    let text = |key: &str| keys::find(key).map_or("", |key| sources.value(key).0);
    let instance = Instance::parse(text(name::CONTROLLER_INSTANCE)).ok()?;
    let lease = instance.lease_name(Some(text(name::LEADER_ELECTION_ID)));
    let api: Api<Lease> = Api::namespaced(client.clone(), &early.pod_namespace);
    let found = match tokio::time::timeout(early.rest_timeout, api.get_opt(&lease)).await {
        Ok(Ok(found)) => found?,
        Ok(Err(error)) => {
            let error = api_error::words(&error);
            tracing::warn!(lease, error, "Cannot read the last good configuration from the lease");
            return None;
        }
        Err(_) => return None,
    };
    serde_json::from_str(found.metadata.annotations?.get(LAST_GOOD_CONFIG)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(config_map: &[(&str, &str)]) -> Sources {
        Sources { config_map: map(config_map), ..Sources::default() }
    }

    fn map(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const URL: (&str, &str) = ("PROMETHEUS_BASE_URL", "http://prometheus:9090");

    #[test]
    fn a_bad_value_is_replaced_by_the_last_good_one_and_the_others_count() {
        let sources = sources(&[URL, ("GLOBAL_OPT_INTERVAL", "60"), ("METRICS_WINDOW", "30s")]);
        let (fixed, replaced) = fixed(&sources, &map(&[URL, ("GLOBAL_OPT_INTERVAL", "20s")])).unwrap();
        assert_eq!(replaced, "GLOBAL_OPT_INTERVAL");
        assert_eq!(fixed.config_map, map(&[URL, ("GLOBAL_OPT_INTERVAL", "20s"), ("METRICS_WINDOW", "30s")]));
    }

    #[test]
    fn values_that_contradict_each_other_give_way_to_all_of_the_last_good_content() {
        let lease = [("LEADER_ELECTION_LEASE_DURATION", "10s"), ("LEADER_ELECTION_RENEW_DEADLINE", "50s")];
        let good = map(&[URL]);
        let (fixed, replaced) = fixed(&sources(&[&[URL][..], &lease].concat()), &good).unwrap();
        assert_eq!((replaced.as_str(), fixed.config_map), ("all", good));
    }

    #[test]
    fn without_a_last_good_value_there_is_no_start() {
        assert!(fixed(&sources(&[URL, ("GLOBAL_OPT_INTERVAL", "60")]), &map(&[URL])).is_none());
    }
}
