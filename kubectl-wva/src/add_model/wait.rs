//! Waiting until the controller has accepted a variant.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use kube::Api;
use kube::runtime::watcher::{self, watch_object};
use wva_api::{VariantAutoscaling, conditions};

use crate::console::Console;
use crate::session::{self, Session};
use crate::{Error, Verdict};

/// Watches the variant until it is Ready, or until `timeout` has passed; then says what it waits for still.
pub(super) async fn until_ready(
    session: &Session,
    namespace: &str,
    name: &str,
    timeout: Duration,
    console: &mut Console<'_>,
) -> Result<Verdict, Error> {
    let api: Api<VariantAutoscaling> = Api::namespaced(session.client.clone(), namespace);
    let mut stream = pin!(watch_object(api, name));
    let mut last = "the controller has not looked at it yet".to_owned();
    let ready = async {
        while let Some(change) = stream.next().await {
            match change {
                Ok(Some(variant)) => match pending(&variant) {
                    None => return Ok(()),
                    Some(reason) => last = reason,
                },
                Ok(None) => "it was deleted".clone_into(&mut last),
                Err(error) => return Err(failed(session, name, error)),
            }
        }
        Ok(())
    };
    match tokio::time::timeout(timeout, ready).await {
        Ok(Ok(())) => {
            console.note(&format!("variant {name} is Ready"))?;
            Ok(Verdict::Fine)
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => {
            console.note(&format!("variant {name} is not Ready after {timeout:?}: {last}"))?;
            Ok(Verdict::Found)
        }
    }
}

fn failed(session: &Session, name: &str, error: watcher::Error) -> session::Error {
    let doing = format!("watch variant {name}");
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => session.failed(doing, error),
        watcher::Error::WatchError(status) => session.failed(doing, kube::Error::Api(status)),
        watcher::Error::NoResourceVersion => session::Error::Other { doing, message: error.to_string() },
    }
}

/// Why a variant is not Ready; `None` when it is. A verdict on an older generation of the object does not count.
fn pending(variant: &VariantAutoscaling) -> Option<String> {
    let stored = variant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    match conditions::find(stored, conditions::READY) {
        None => Some("the controller has not looked at it yet".to_owned()),
        Some(ready)
            if ready.observed_generation < variant.metadata.generation && ready.observed_generation.is_some() =>
        {
            Some("the controller has not looked at the change yet".to_owned())
        }
        Some(ready) if ready.status == "True" => None,
        Some(ready) => Some(format!("{}: {}", ready.reason, ready.message)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn ready(status: &str, observed: &Value) -> Value {
        json!({"conditions": [{
            "type": "Ready", "status": status, "reason": "DeploymentNotFound", "message": "gone",
            "observedGeneration": observed, "lastTransitionTime": "2026-01-02T03:04:05Z",
        }]})
    }

    #[rstest]
    #[case::no_status(json!(null), Some("the controller has not looked at it yet"))]
    #[case::ready(ready("True", &json!(2)), None)]
    #[case::ready_without_generation(ready("True", &json!(null)), None)]
    #[case::ready_before_the_change(ready("True", &json!(1)), Some("the controller has not looked at the change yet"))]
    #[case::refused(ready("False", &json!(2)), Some("DeploymentNotFound: gone"))]
    fn only_a_verdict_on_the_present_generation_ends_the_wait(#[case] status: Value, #[case] expect: Option<&str>) {
        let object = json!({
            "metadata": {"name": "llama-va", "generation": 2},
            "spec": {"scaleTargetRef": {"name": "llama-decode"}, "modelID": "meta/llama"},
            "status": status,
        });
        let variant: VariantAutoscaling = serde_json::from_value(object).unwrap();
        assert_eq!(pending(&variant).as_deref(), expect);
    }
}
