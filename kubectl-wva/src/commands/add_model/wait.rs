//! Waiting until the controller has accepted a variant and decided on it for the first time.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::ListParams;
use kube::runtime::watcher::{self, watch_object};
use wva_api::{VariantAutoscaling, conditions};

use crate::output::console::Console;
use crate::readers::servers::Servers;
use crate::readers::{lists, variants};
use crate::session::{self, Session};
use crate::{Error, Verdict};

/// Watches the variant until it is Ready and decided on, or until `timeout` has passed; then says what it waits for still.
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
    let mut decided = String::new();
    let ready = async {
        while let Some(change) = stream.next().await {
            match change {
                Ok(Some(variant)) => match pending(&variant) {
                    None => {
                        decided = decision(&variant);
                        return Ok(());
                    }
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
            console.note(&format!("variant {name} is Ready; first decision: {decided}"))?;
            Ok(Verdict::Fine)
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => {
            if let Some(why) = servers(session, namespace, name).await {
                last = why;
            }
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
        Some(ready) if ready.status == "True" => undecided(variant, stored),
        Some(ready) => Some(format!("{}: {}", ready.reason, ready.message)),
    }
}

/// What a variant that is Ready waits for before it is decided on for the first time.
fn undecided(variant: &VariantAutoscaling, stored: &[Condition]) -> Option<String> {
    let number = variant.status.as_ref()?.desired_optimized_alloc.as_ref().and_then(|decided| decided.num_replicas);
    let decision = conditions::find(stored, conditions::OPTIMIZATION_READY);
    // What is paused on purpose decides nothing.
    let paused = decision.is_some_and(|one| one.reason == conditions::reasons::OPTIMIZATION_PAUSED);
    match (number, conditions::find(stored, conditions::METRICS_AVAILABLE)) {
        _ if paused => None,
        (None, _) => Some("nothing has been decided yet".to_owned()),
        // A variant at zero has no metrics, and rightly so.
        (Some(0), _) => None,
        (Some(_), Some(metrics)) if metrics.status != "True" => {
            Some(format!("{}: {}", metrics.reason, metrics.message))
        }
        (Some(_), _) => decision.is_none().then(|| "nothing has been decided yet".to_owned()),
    }
}

/// The first decision, in words.
fn decision(variant: &VariantAutoscaling) -> String {
    let status = variant.status.clone().unwrap_or_default();
    let number = status.desired_optimized_alloc.and_then(|decided| decided.num_replicas);
    let replicas = number.map_or("none, decisions are paused".to_owned(), |number| {
        format!("{number} replica{}", if number == 1 { "" } else { "s" })
    });
    let why = conditions::find(&status.conditions, conditions::OPTIMIZATION_READY).map(|one| one.message.clone());
    why.map_or(replicas.clone(), |why| format!("{replicas} ({})", why.split(" (target:").next().unwrap_or(&why)))
}

/// What keeps the variant's servers from running, when something does.
async fn servers(session: &Session, namespace: &str, name: &str) -> Option<String> {
    let all = ListParams::default();
    let mut variants = variants::list(session, Some(namespace)).await.ok()?;
    variants.retain(|variant| variants::metadata(variant).name.as_deref() == Some(name));
    let deployments = lists::list(session, Some(namespace), "list Deployments", &all).await;
    let servers = Servers::gather(session, &variants, &deployments).await;
    let target = variants.first()?.0.as_ref().ok()?.spec.scale_target_ref.clone();
    let ailments = servers.ailments(namespace, &target, Timestamp::now());
    ailments.first().map(|one| format!("{} {}: {}", target.kind, target.name, one.sentence()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn ready(status: &str, observed: &Value) -> Value {
        let mut status = waiting(status, observed);
        status["desiredOptimizedAlloc"] = json!({"numReplicas": 1});
        for type_ in ["MetricsAvailable", "OptimizationReady"] {
            status["conditions"].as_array_mut().unwrap().push(json!({
                "type": type_, "status": "True", "reason": "Fine", "message": "fine",
                "lastTransitionTime": "2026-01-02T03:04:05Z",
            }));
        }
        status
    }

    /// A verdict on the object, before the first decision.
    fn waiting(status: &str, observed: &Value) -> Value {
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
    #[case::undecided(waiting("True", &json!(2)), Some("nothing has been decided yet"))]
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
