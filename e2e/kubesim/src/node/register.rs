//! The Node object and the Lease by which a node shows that it is alive.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::{
            DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus, NodeSystemInfo,
        },
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time},
};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tracing::warn;

use super::config::{self, NodeConfig};

const LEASE_NAMESPACE: &str = "kube-node-lease";
const LEASE_SECONDS: i32 = 40;
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Creates the Node, or brings an existing one up to date.
pub(super) async fn register(
    client: &Client,
    config: &NodeConfig,
    server: SocketAddr,
    address: Ipv4Addr,
) -> Result<(), kube::Error> {
    let api: Api<Node> = Api::all(client.clone());
    let wanted = node(config);
    let known = match api.create(&PostParams::default(), &wanted).await {
        Ok(created) => created,
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let patch = Patch::Merge(json!({"metadata": {"labels": wanted.labels()}}));
            api.patch(&config.name, &PatchParams::default(), &patch).await?
        }
        Err(error) => return Err(error),
    };
    let status = status(config, server, address, Timestamp::now());
    let patch = Patch::Merge(json!({"metadata": {"uid": known.uid()}, "status": status}));
    api.patch_status(&config.name, &PatchParams::default(), &patch).await.map(|_| ())
}

fn node(config: &NodeConfig) -> Node {
    Node {
        metadata: ObjectMeta {
            name: Some(config.name.clone()),
            labels: Some(config.all_labels()),
            annotations: Some(BTreeMap::from([("node.alpha.kubernetes.io/ttl".to_owned(), "0".to_owned())])),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec { provider_id: Some(format!("kubesim://{}", config.name)), ..NodeSpec::default() }),
        status: None,
    }
}

fn status(config: &NodeConfig, server: SocketAddr, address: Ipv4Addr, now: Timestamp) -> NodeStatus {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| NodeCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_heartbeat_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    let node_address = |kind: &str, address: String| NodeAddress { type_: kind.to_owned(), address };
    NodeStatus {
        capacity: Some(config.capacity()),
        allocatable: Some(config.capacity()),
        conditions: Some(vec![
            condition(
                "MemoryPressure",
                "False",
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
            ),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ]),
        addresses: Some(vec![
            node_address("InternalIP", address.to_string()),
            // By which API servers reach kubelets first, unless they are told otherwise; nobody resolves the name of the node.
            node_address("Hostname", address.to_string()),
        ]),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: server.port().into() }),
        }),
        node_info: Some(NodeSystemInfo {
            architecture: config::architecture().to_owned(),
            operating_system: "linux".to_owned(),
            os_image: "local processes".to_owned(),
            container_runtime_version: format!("process://{}", env!("CARGO_PKG_VERSION")),
            kubelet_version: format!("v1.35.0+kubesim-{}", env!("CARGO_PKG_VERSION")),
            ..NodeSystemInfo::default()
        }),
        ..NodeStatus::default()
    }
}

/// Renews the node's Lease, and registers again should somebody have deleted the Node.
pub(super) async fn beat(client: Client, config: NodeConfig, server: SocketAddr, address: Ipv4Addr) {
    let nodes: Api<Node> = Api::all(client.clone());
    let mut ticks = tokio::time::interval(HEARTBEAT);
    loop {
        ticks.tick().await;
        let renewed = async {
            let mut known = nodes.get_opt(&config.name).await?;
            if known.is_none() {
                register(&client, &config, server, address).await?;
                known = nodes.get_opt(&config.name).await?;
            }
            let Some(known) = known else { return Ok(()) };
            renew_lease(&client, &config, &known).await
        };
        if let Err(error) = renewed.await {
            warn!(node = config.name, %error, "Heartbeat failed");
        }
    }
}

async fn renew_lease(client: &Client, config: &NodeConfig, node: &Node) -> Result<(), kube::Error> {
    let api: Api<Lease> = Api::namespaced(client.clone(), LEASE_NAMESPACE);
    let spec = LeaseSpec {
        holder_identity: Some(config.name.clone()),
        lease_duration_seconds: Some(LEASE_SECONDS),
        renew_time: Some(MicroTime(Timestamp::now())),
        ..LeaseSpec::default()
    };
    let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": config.name, "uid": node.uid()}]);
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": config.name, "ownerReferences": owner},
        "spec": spec,
    });
    let params = PatchParams::apply("kubesim-node").force();
    api.patch(&config.name, &params, &Patch::Apply(lease)).await.map(|_| ())
}
