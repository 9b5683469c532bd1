//! The main ConfigMap at the start, before anything else is known.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use wva_api::config_maps::MAIN_FILE;

use super::main_map::flatten;
use crate::api_error;
use crate::config::{Early, Error};
use crate::readiness::Readiness;

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Reads the main ConfigMap, however long the API server takes to answer. That there is none is an answer.
///
/// # Errors
/// When what is in it cannot be read.
pub async fn main_config_map(
    client: &Client,
    early: &Early,
    readiness: &Readiness,
) -> Result<BTreeMap<String, String>, Error> {
    let Early { pod_namespace, config_map, .. } = early;
    let gate = readiness.gate(format!("main ConfigMap {pod_namespace}/{config_map}"));
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), pod_namespace);
    let mut pause = Duration::from_millis(250);
    let found = loop {
        let error = match tokio::time::timeout(early.rest_timeout, api.get_opt(config_map)).await {
            Ok(Ok(found)) => break found,
            Ok(Err(error)) => api_error::words(&error),
            Err(_) => format!("no answer within {}", crate::config::value::format_duration(early.rest_timeout)),
        };
        tracing::warn!(
            namespace = pod_namespace,
            configmap = config_map,
            error,
            "Cannot read the main ConfigMap yet; retrying"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    gate.open();
    let Some(found) = found else {
        tracing::info!(
            namespace = pod_namespace,
            configmap = config_map,
            "There is no main ConfigMap; flags, environment and defaults hold"
        );
        return Ok(BTreeMap::new());
    };
    let data = found.data.unwrap_or_default();
    tracing::info!(namespace = pod_namespace, configmap = config_map, keys = data.len(), "Read the main ConfigMap");
    flatten(&data).map_err(|why| {
        Error::Combination(format!(
            "the key {MAIN_FILE} of ConfigMap {pod_namespace}/{config_map} {why}; correct it or remove it"
        ))
    })
}
