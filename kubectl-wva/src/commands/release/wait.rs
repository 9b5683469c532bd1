//! Waiting for what an install needs before it goes on, or before it is said to be done.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::runtime::wait::{await_condition, conditions};
use serde_json::Value;

use crate::session::{self, Session};

/// How long an API server may take to serve a new kind.
const ESTABLISHING: Duration = Duration::from_mins(1);

/// Waits until the API server serves a definition.
///
/// # Errors
/// When it does not in a minute.
pub(super) async fn established(session: &Session, name: &str) -> Result<(), session::Error> {
    let api: Api<CustomResourceDefinition> = Api::all(session.client.clone());
    let served = await_condition(api, name, conditions::is_crd_established());
    match tokio::time::timeout(ESTABLISHING, served).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(other(name, &error.to_string())),
        Err(_) => Err(other(name, "the API server has not taken it up within a minute")),
    }
}

fn other(name: &str, message: &str) -> session::Error {
    session::Error::Other { doing: format!("wait for the definition {name}"), message: message.to_owned() }
}

/// Waits until every Deployment among the objects has rolled out; says which has not.
pub(super) async fn rolled_out(session: &Session, objects: &[Value], timeout: Duration) -> Result<(), String> {
    let deadline = tokio::time::Instant::now() + timeout;
    for object in objects.iter().filter(|object| object["kind"] == "Deployment") {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or(&session.namespace);
        let api: Api<Deployment> = Api::namespaced(session.client.clone(), namespace);
        let done = await_condition(api, name, conditions::is_deployment_completed());
        match tokio::time::timeout_at(deadline, done).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(format!("could not watch deployment/{name}: {error}")),
            Err(_) => return Err(format!("deployment/{name} has not rolled out within {timeout:?}")),
        }
    }
    Ok(())
}
