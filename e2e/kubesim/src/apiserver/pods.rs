//! What only pods have: binding to a node, eviction, and logs that their node keeps.

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::aggregation;
use super::attributes::Operation;
use super::clock;
use super::delete::DeleteOptions;
use super::failure::{Cause, Failure};
use super::state::{Call, Shared, State};
use super::store::{GroupResource, Key};

/// As much of a node's refusal as is passed on.
const REFUSAL_LIMIT: usize = 64 * 1024;

/// The annotation that names the container whose logs are shown when none is asked for.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

impl State {
    /// Assigns a pod to a node. A pod is bound once.
    pub(super) fn bind(&mut self, call: &Call, mut binding: Value) -> Result<Value, Failure> {
        self.admit_subresource(call, Operation::Create, None, &mut binding)?;
        let node = binding["target"]["name"].as_str().filter(|name| !name.is_empty());
        let node = node.ok_or_else(|| Failure::unclassified("target.name: Required value"))?;
        let mut pod = self.read(call)?.as_ref().clone();
        let name = &call.target.name;
        if let Some(bound) = pod["spec"]["nodeName"].as_str().filter(|bound| !bound.is_empty()) {
            let why = format!("pod {name} is already assigned to node {bound:?}");
            return Err(Failure::conflict("", "pods/binding", name, &why));
        }
        if binding["metadata"]["uid"].as_str().is_some_and(|uid| pod["metadata"]["uid"] != uid) {
            return Err(Failure::conflict("", "pods/binding", name, "the UID in the precondition is of another pod"));
        }
        pod["spec"]["nodeName"] = json!(node);
        let scheduled = json!({
            "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": clock::now(),
        });
        if !pod["status"]["conditions"].is_array() {
            pod["status"]["conditions"] = json!([]);
        }
        if let Some(conditions) = pod["status"]["conditions"].as_array_mut() {
            conditions.retain(|condition| condition["type"] != "PodScheduled");
            conditions.push(scheduled);
        }
        self.store.put(call.stored_as(), call.key(), pod);
        Ok(success())
    }

    /// Assigns the pod that a binding of its own names.
    pub(super) fn bind_named(&mut self, call: &Call, binding: Value) -> Result<Value, Failure> {
        let mut call = call.clone();
        binding["metadata"]["name"].as_str().unwrap_or_default().clone_into(&mut call.target.name);
        "binding".clone_into(&mut call.target.subresource);
        call.resource = self.catalog.find("", "v1", "pods").cloned().ok_or_else(Failure::no_such_resource)?;
        self.bind(&call, binding)
    }

    /// Deletes a pod as its eviction asks, unless a budget forbids it.
    pub(super) fn evict(&mut self, call: &Call, mut eviction: Value) -> Result<Value, Failure> {
        self.admit_subresource(call, Operation::Create, None, &mut eviction)?;
        let named = eviction["metadata"]["name"].as_str().unwrap_or_default();
        if !named.is_empty() && named != call.target.name {
            return Err(Failure::bad_request("name in URL does not match name in Eviction object"));
        }
        let pod = self.read(call)?;
        self.spend_budget(call, &pod)?;
        let options = DeleteOptions::new(call, &eviction["deleteOptions"]);
        self.delete_admitted(call, &call.key(), &options)?;
        Ok(success())
    }

    /// Where the node of a pod serves `what` of one of its containers; `None` for a pod on no node.
    pub(super) fn node_url(&self, call: &Call, what: &str) -> Result<Option<String>, Failure> {
        let container = container(call, &*self.read(call)?)?;
        let place = format!("{what}/{}/{}/{container}", call.target.namespace, call.target.name);
        self.node_place(call, &place)
    }

    /// Where the node of a pod forwards its ports; `None` for a pod on no node.
    pub(super) fn port_forward_url(&self, call: &Call) -> Result<Option<String>, Failure> {
        self.node_place(call, &format!("portForward/{}/{}", call.target.namespace, call.target.name))
    }

    fn node_place(&self, call: &Call, place: &str) -> Result<Option<String>, Failure> {
        let pod = self.read(call)?;
        let name = &call.target.name;
        let Some(node) = host(&pod) else { return Ok(None) };
        let object = self.store.get(&GroupResource::new("", "nodes"), &Key::new("", node));
        let status = object.map(|node| &node["status"]);
        let addresses = status.and_then(|status| status["addresses"].as_array()).into_iter().flatten();
        let internal = addresses.filter(|address| address["type"] == "InternalIP").find_map(|a| a["address"].as_str());
        let port = status.and_then(|status| status["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64());
        let (Some(ip), Some(port)) = (internal, port) else {
            return Err(Failure::unavailable(format!("node {node} of pod {name} does not say where it serves")));
        };
        Ok(Some(format!("https://{ip}:{port}/{place}")))
    }
}

/// Fetches the logs of a pod from its node, as they are written when they are followed.
pub(super) async fn logs(shared: &Arc<Shared>, call: &Call) -> Result<Response, Failure> {
    check_log_options(call)?;
    let Some(url) = shared.lock().node_url(call, "containerLogs")? else {
        // Nothing can have been said on no node.
        let mut nothing = Response::new(Body::empty());
        *nothing.status_mut() = StatusCode::NO_CONTENT;
        return Ok(nothing);
    };
    let answer = aggregation::stream(shared.trusting.get(url).query(&call.query.pairs())).await?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    // Nodes refuse in plain text, which clients would not read as the reason.
    let text = axum::body::to_bytes(answer.into_body(), REFUSAL_LIMIT).await.unwrap_or_default();
    Err(Failure::bad_request(String::from_utf8_lossy(&text).trim()))
}

/// The node a pod is on.
fn host(pod: &Value) -> Option<&str> {
    pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty())
}

fn check_log_options(call: &Call) -> Result<(), Failure> {
    let lowest = [("tailLines", 0), ("sinceSeconds", 1), ("limitBytes", 1)];
    let causes: Vec<Cause> = lowest
        .into_iter()
        .filter_map(|(option, lowest)| {
            let given: i64 = call.query.get(option)?.parse().ok()?;
            let detail = if lowest == 0 { "must be greater than or equal to 0" } else { "must be greater than 0" };
            (given < lowest).then(|| Cause::invalid(option, &json!(given), detail))
        })
        .collect();
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid("", "PodLogOptions", &call.target.name, &causes)) }
}

fn container(call: &Call, pod: &Value) -> Result<String, Failure> {
    let spec = &pod["spec"];
    let lists = ["containers", "initContainers"].map(|list| spec[list].as_array().into_iter().flatten());
    let names: Vec<&str> = lists.into_iter().flatten().filter_map(|c| c["name"].as_str()).collect();
    let name = &call.target.name;
    let default = || match spec["containers"].as_array().map(Vec::as_slice) {
        Some([only]) => only["name"].as_str(),
        _ => pod["metadata"]["annotations"][DEFAULT_CONTAINER].as_str(),
    };
    match call.query.get("container").filter(|asked| !asked.is_empty()).or_else(default) {
        Some(container) if names.contains(&container) => Ok(container.to_owned()),
        Some(container) => Err(Failure::bad_request(format!("container {container} is not valid for pod {name}"))),
        None => Err(Failure::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            names.join(" ")
        ))),
    }
}

fn success() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
}
