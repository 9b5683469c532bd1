//! What helm knows of its releases: it keeps each revision in a Secret, as JSON packed with gzip and base64.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use serde::Deserialize;

use super::Failure;
use crate::commands::release;

/// A revision of a release, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(super) struct Release {
    /// Its name.
    pub(super) name: String,
    /// Its namespace.
    pub(super) namespace: String,
    /// Its number.
    pub(super) version: u32,
    /// The chart.
    pub(super) chart: Chart,
    /// The objects it consists of, as YAML.
    #[serde(default)]
    pub(super) manifest: String,
    /// What was given with `--set` and `-f`.
    #[serde(default)]
    pub(super) config: Option<serde_json::Map<String, serde_json::Value>>,
}

/// The chart of a release.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(super) struct Chart {
    /// `Chart.yaml`.
    pub(super) metadata: Metadata,
}

/// `Chart.yaml`, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(super) struct Metadata {
    /// The chart's name.
    pub(super) name: String,
    /// The chart's version.
    pub(super) version: String,
}

impl Release {
    /// Whether it is of a chart of the Go controller: 0.0.1 to 0.5.1.
    pub(super) fn is_go(&self) -> bool {
        let version = self.chart.metadata.version.trim_start_matches('v');
        (0..=5).any(|minor| version.starts_with(&format!("0.{minor}.")))
    }
}

/// The newest revision of each release of our chart.
///
/// # Errors
/// When a record cannot be read.
pub(super) fn newest(secrets: &[Secret]) -> Result<Vec<Release>, Failure> {
    let mut newest: BTreeMap<(String, String), Release> = BTreeMap::new();
    for secret in secrets {
        let Some(data) = secret.data.as_ref().and_then(|data| data.get("release")) else { continue };
        let release = unpack(&data.0).map_err(|why| {
            let secret = format!("{}/{}", secret.namespace().unwrap_or_default(), secret.name_any());
            Failure::Release { secret, why }
        })?;
        if release.chart.metadata.name != "workload-variant-autoscaler" {
            continue;
        }
        let key = (release.namespace.clone(), release.name.clone());
        if newest.get(&key).is_none_or(|known| known.version < release.version) {
            newest.insert(key, release);
        }
    }
    Ok(newest.into_values().collect())
}

fn unpack(data: &[u8]) -> Result<Release, String> {
    serde_json::from_slice(&release::unpack(data)?).map_err(|error| error.to_string())
}
