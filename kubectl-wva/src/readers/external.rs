//! The external metrics API, which HPAs read.

mod remedies;

use std::collections::BTreeMap;

use serde::Deserialize;
use wva_api::metrics;

use crate::session::{self, Session};

pub(crate) use remedies::remedies;

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
    #[serde(default)]
    value: Option<String>,
}

/// Asks whether the API is served.
///
/// # Errors
/// When it is not ([`session::Error::NotFound`], [`session::Error::Unavailable`]), or the request fails.
pub async fn discover(session: &Session) -> Result<(), session::Error> {
    session.get("ask for the external metrics API", &format!("/apis/{GROUP_VERSION}")).await.map(drop)
}

/// The values of `wva_desired_replicas` for one variant: one, unless something is wrong.
///
/// # Errors
/// When the request fails.
pub async fn desired_of(session: &Session, namespace: &str, variant: &str) -> Result<Vec<f64>, session::Error> {
    let path = format!(
        "/apis/{GROUP_VERSION}/namespaces/{namespace}/{}?labelSelector={}%3D{variant}",
        metrics::DESIRED_REPLICAS,
        metrics::LABEL_VARIANT_NAME
    );
    let values = read(session, namespace, &path).await?;
    Ok(values.items.iter().filter_map(|item| quantity(item.value.as_deref()?)).collect())
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
    let values = read(session, namespace, &path).await?;
    Ok(values.items.into_iter().map(|item| item.metric_labels.unwrap_or_default()).collect())
}

async fn read(session: &Session, namespace: &str, path: &str) -> Result<Values, session::Error> {
    let doing = format!("read {} in namespace {namespace}", metrics::DESIRED_REPLICAS);
    let text = session.get(doing.clone(), path).await?;
    serde_json::from_str(&text)
        .map_err(|error| session::Error::Other { doing, message: format!("the answer is not understood: {error}") })
}

/// A Kubernetes quantity as adapters write it: `3`, or `2500m` for 2.5.
pub(crate) fn quantity(text: &str) -> Option<f64> {
    match text.strip_suffix('m') {
        Some(milli) => milli.parse::<f64>().ok().map(|value| value / 1000.0),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_may_be_in_thousandths() {
        assert_eq!((quantity("3"), quantity("2500m"), quantity("many")), (Some(3.0), Some(2.5), None));
    }
}
