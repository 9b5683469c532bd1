//! The way from the API server to an adapter that runs beside the cluster.
//!
//! Which one a server takes cannot be asked of it. With `--enable-aggregator-routing` it goes to an endpoint of the Service;
//! without, to the Service's cluster IP, which needs kube-proxy on the machine of the server, or to its external name. So
//! endpoints are tried first, and then the external name, an address of this machine.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ADAPTER_SERVICE, Error, NAMESPACE};
use crate::kubectl::Kubectl;
use crate::wait::{self, Look};

/// The API for external metrics.
pub(super) const API_SERVICE: &str = "apiservices/v1beta1.external.metrics.k8s.io";

/// Waits until the API server reaches the adapter at `address`, by the second way where the first one does not lead there
/// within `patience`.
pub(super) async fn open(kubectl: &Kubectl, address: SocketAddr, patience: Duration) -> Result<(), Error> {
    let Err(endpoints) = available(kubectl, patience).await else { return Ok(()) };
    kubectl.feed(&["replace", "--force", "-f", "-"], &external_name(address).to_string()).await?;
    match available(kubectl, patience * 3).await {
        Ok(()) => Ok(()),
        Err(external_name) => Err(Error::Unreachable { address, endpoints, external_name }),
    }
}

/// The Service, that names no endpoints but a host.
fn external_name(address: SocketAddr) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": ADAPTER_SERVICE, "namespace": NAMESPACE },
        "spec": {
            "type": "ExternalName",
            "externalName": address.ip(),
            "ports": [{ "name": "https", "port": address.port() }],
        },
    })
}

/// Waits until the API server says that it reaches the adapter; why it says it does not, if that takes longer.
async fn available(kubectl: &Kubectl, patience: Duration) -> Result<(), String> {
    let reached = wait::until("the API server to reach the external-metrics API", patience, || async {
        match kubectl.run(&["get", API_SERVICE, "-o", "json"]).await {
            Ok(text) => match judged(&text) {
                Ok(()) => Look::Done(()),
                Err(why) => Look::NotYet(why),
            },
            Err(error) => Look::NotYet(error.to_string()),
        }
    });
    reached.await.map_err(|late| late.to_string())
}

/// What an `APIService` says of its own availability.
fn judged(text: &str) -> Result<(), String> {
    let object: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let conditions = object["status"]["conditions"].as_array();
    let available = conditions.into_iter().flatten().find(|condition| condition["type"] == "Available");
    let Some(available) = available else { return Err("it says nothing yet".to_owned()) };
    if available["status"] == "True" {
        return Ok(());
    }
    let text = |field: &str| available[field].as_str().unwrap_or_default().to_owned();
    Err(format!("{}: {}", text("reason"), text("message")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::silent(json!({}), Err("it says nothing yet"))]
    #[case::yes(json!({"status": {"conditions": [{"type": "Available", "status": "True"}]}}), Ok(()))]
    #[case::no(
        json!({"status": {"conditions": [{"type": "Available", "status": "False", "reason": "FailedDiscoveryCheck",
            "message": "cannot route to service with ClusterIP \"None\""}]}}),
        Err("FailedDiscoveryCheck: cannot route to service with ClusterIP \"None\"")
    )]
    fn an_api_service_says_whether_it_is_reached_and_why_not(
        #[case] object: Value,
        #[case] expected: Result<(), &str>,
    ) {
        assert_eq!(judged(&object.to_string()), expected.map_err(str::to_owned));
    }

    #[test]
    fn an_external_name_is_the_address_that_the_adapter_listens_on() {
        let service = external_name("127.7.0.3:6443".parse().unwrap());
        assert_eq!(service["spec"]["externalName"], "127.7.0.3");
        assert_eq!(service["spec"]["ports"][0]["port"], 6443);
    }
}
