//! What templates may ask a cluster: the kinds it serves and `lookup`. `helm template` asks none; `helm install` does.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

/// What `lookup` is called with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// `v1`, `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Namespace; empty for all, or for what has none.
    pub namespace: String,
    /// Name; empty for a list of all.
    pub name: String,
}

/// Finds what templates look up: an object, a list with `items`, or null where there is none. An error stops the
/// rendering.
pub type Lookup = dyn Fn(&Wanted) -> Result<Json, String> + Send + Sync;

/// A cluster to render for.
#[derive(Clone)]
pub struct Cluster {
    api_versions: Vec<String>,
    lookup: Arc<Lookup>,
}

impl Cluster {
    /// A cluster that serves these group versions and kinds, `apps/v1` and `apps/v1/Deployment`, and nothing else.
    pub fn new(
        api_versions: Vec<String>,
        lookup: impl Fn(&Wanted) -> Result<Json, String> + Send + Sync + 'static,
    ) -> Self {
        Self { api_versions, lookup: Arc::new(lookup) }
    }

    /// `.Capabilities.APIVersions`.
    pub(crate) fn api_versions(&self) -> &[String] {
        &self.api_versions
    }

    pub(crate) fn lookup(&self, wanted: &Wanted) -> Result<Json, String> {
        (self.lookup)(wanted)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cluster").field("api_versions", &self.api_versions).finish_non_exhaustive()
    }
}
