//! Admission of connections: `exec`, `attach`, `portforward` and `proxy` are operations of their own.

use serde_json::{Value, json};

use super::attributes::Operation;
use super::failure::Failure;
use super::request::percent_decode;
use super::state::{Call, Shared};
use super::webhooks;

/// Asks policies and webhooks whether the connection that the call wants may be made.
pub(super) async fn admit(shared: &Shared, call: &Call, path_and_query: &str) -> Result<(), Failure> {
    let options = options(call, path_and_query);
    webhooks::carry_out(shared, call, |state| {
        state.admit_subresource(call, Operation::Connect, None, &mut options.clone())
    })
    .await
}

/// The options of a connection as an object: `PodExecOptions` and the like.
fn options(call: &Call, path_and_query: &str) -> Value {
    let name = call.target.subresource.as_str();
    let body = call.resource.subresources.iter().find(|sub| sub.name == name).and_then(|sub| sub.body);
    let mut options = json!({"kind": body.map(|(_, _, kind)| kind), "apiVersion": "v1"});
    if name == "proxy" {
        options["path"] = json!(format!("/{}", call.target.rest));
        return options;
    }
    let query = path_and_query.split_once('?').map_or("", |(_, query)| query);
    let (mut command, mut ports) = (Vec::new(), Vec::new());
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = percent_decode(value, true);
        match key {
            "command" => command.push(value),
            "ports" => ports.extend(value.split(',').filter_map(|port| port.parse::<u16>().ok())),
            "stdin" | "stdout" | "stderr" | "tty" => options[key] = json!(matches!(value.as_str(), "true" | "1")),
            _ => options[key] = json!(value),
        }
    }
    if !command.is_empty() {
        options["command"] = json!(command);
    }
    if !ports.is_empty() {
        options["ports"] = json!(ports);
    }
    options
}
