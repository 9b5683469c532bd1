//! What a cluster can do, as `.Capabilities` tells templates when there is no cluster.

use std::fmt;
use std::str::FromStr;

/// The group versions that helm 4.1 takes for granted without a cluster.
pub(crate) const API_VERSIONS: &[&str] = &[
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "autoscaling/v2beta1",
    "autoscaling/v2beta2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha1",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

/// The helm whose answers are given, for `.Capabilities.HelmVersion`: field, name in JSON, value.
pub(crate) const HELM_VERSION: &[(&str, &str, &str)] = &[
    ("Version", "version", "v4.1.4"),
    ("GitCommit", "git_commit", "05fa37973dc9e42b76e1d2883494c87174b6074f"),
    ("GitTreeState", "git_tree_state", "clean"),
    ("GoVersion", "go_version", "go1.25.9"),
    ("KubeClientVersion", "kube_client_version", "v1.35"),
];

/// A Kubernetes version: `1.35`, `v1.35.0`, `v1.35.2+build`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeVersion {
    pub(crate) version: String,
    pub(crate) major: String,
    pub(crate) minor: String,
}

/// Not a Kubernetes version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid kube version {0:?}: expected something like 1.35 or v1.35.0")]
pub struct InvalidKubeVersion(String);

impl Default for KubeVersion {
    fn default() -> Self {
        Self { version: "v1.35.0".to_owned(), major: "1".to_owned(), minor: "35".to_owned() }
    }
}

impl FromStr for KubeVersion {
    type Err = InvalidKubeVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidKubeVersion(text.to_owned());
        let bare = text.strip_prefix('v').unwrap_or(text);
        let end = bare.find(['-', '+']).unwrap_or(bare.len());
        let mut parts =
            bare[..end].split('.').map(str::parse::<u64>).collect::<Result<Vec<_>, _>>().map_err(|_| invalid())?;
        if parts.len() > 3 {
            return Err(invalid());
        }
        parts.resize(3, 0);
        // Helm shows the version as it was given: `1.30` is `v1.30`.
        Ok(Self { version: format!("v{bare}"), major: parts[0].to_string(), minor: parts[1].to_string() })
    }
}

impl fmt::Display for KubeVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.version)
    }
}
