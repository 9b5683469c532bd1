//! The external metrics API, which HPAs read.

use std::collections::BTreeMap;

use serde::Deserialize;
use wva_api::metrics;

use crate::session::{self, Session};

/// Its group and version.
pub const GROUP_VERSION: &str = "external.metrics.k8s.io/v1beta1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Values {
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    #[serde(default)]
    metric_labels: Option<BTreeMap<String, String>>,
}

/// Asks whether the API is served.
///
/// # Errors
/// When it is not ([`session::Error::NotFound`], [`session::Error::Unavailable`]), or the request fails.
pub async fn discover(session: &Session) -> Result<(), session::Error> {
    session.get("ask for the external metrics API", &format!("/apis/{GROUP_VERSION}")).await.map(drop)
}

/// The labels of every series of `wva_desired_replicas` in a namespace.
///
/// # Errors
/// When the request fails.
pub async fn desired_replicas(
    session: &Session,
    namespace: &str,
) -> Result<Vec<BTreeMap<String, String>>, session::Error> {
    let path = format!("/apis/{GROUP_VERSION}/namespaces/{namespace}/{}", metrics::DESIRED_REPLICAS);
    let doing = format!("read {} in namespace {namespace}", metrics::DESIRED_REPLICAS);
    let text = session.get(doing.clone(), &path).await?;
    let values: Values = serde_json::from_str(&text)
        .map_err(|error| session::Error::Other { doing, message: format!("the answer is not understood: {error}") })?;
    Ok(values.items.into_iter().map(|item| item.metric_labels.unwrap_or_default()).collect())
}
