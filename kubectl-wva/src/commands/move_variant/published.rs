//! Waiting until the new controller publishes the number of a variant.

use std::time::Duration;

use kube::Api;
use wva_api::{Instance, VariantAutoscaling, metrics};

use crate::readers::external;
use crate::session::{self, Session};

/// Pause between two looks.
const AGAIN: Duration = Duration::from_millis(500);

/// By what it was seen that the new controller has taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Its series is where the autoscaler reads it.
    Series,
    /// Its name stands on the variant's status; the autoscaler's numbers cannot be read.
    Status,
}

/// Waits for it; says what it waits for still when `timeout` has passed.
pub(super) async fn wait(session: &Session, name: &str, to: &Instance, timeout: Duration) -> Result<Seen, String> {
    let mut waits_for = "the new controller has not looked at it yet".to_owned();
    let seen = async {
        loop {
            match look(session, name, to).await {
                Ok(seen) => return seen,
                Err(still) => waits_for = still,
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::time::timeout(timeout, seen).await.map_err(|_| waits_for)
}

async fn look(session: &Session, name: &str, to: &Instance) -> Result<Seen, String> {
    match external::desired_replicas(session, &session.namespace).await {
        Ok(series) => {
            let is_its = |labels: &std::collections::BTreeMap<String, String>| {
                let id = labels.get(metrics::LABEL_CONTROLLER_INSTANCE).map(String::as_str);
                labels.get(metrics::LABEL_VARIANT_NAME).map(String::as_str) == Some(name) && id == to.id()
            };
            if series.iter().any(is_its) {
                return Ok(Seen::Series);
            }
            Err(format!("no {} of {to} for it is served yet", metrics::DESIRED_REPLICAS))
        }
        Err(error) => match writes_status(session, name, to).await {
            Ok(true) => Ok(Seen::Status),
            Ok(false) => Err(format!("{error}, and {to} has not written its status yet")),
            Err(other) => Err(other.to_string()),
        },
    }
}

async fn writes_status(session: &Session, name: &str, to: &Instance) -> Result<bool, session::Error> {
    let api: Api<VariantAutoscaling> = Api::namespaced(session.client.clone(), &session.namespace);
    let variant = session.ask(format!("read variant {name}"), api.get(name)).await?;
    let managed = variant.metadata.managed_fields.unwrap_or_default();
    let ours = to.field_manager();
    Ok(managed.iter().any(|it| it.manager.as_deref() == Some(&ours) && it.subresource.as_deref() == Some("status")))
}
