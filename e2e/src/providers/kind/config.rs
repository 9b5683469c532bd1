//! The configuration file of a kind cluster: nodes with emulated GPUs, an audit log, and patches where the host needs
//! them.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::host::Host;

/// Where the API server of a node reads its audit policy.
const POLICY: &str = "/etc/kubernetes/policies/audit.yaml";
/// Where the API server of a node writes its audit log; `kind export logs` takes all of `/var/log`.
pub const AUDIT_LOG: &str = "/var/log/kubernetes/kube-apiserver-audit.log";
/// From this minor version on a kubelet refuses cgroup v1 unless told otherwise.
const REFUSES_CGROUP_V1: u32 = 35;

/// One worker node with emulated GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuNode {
    /// GPUs it offers; none makes it a plain node.
    pub gpus: u32,
    /// Value of the label `nvidia.com/gpu.product`.
    pub product: String,
    /// Memory of one GPU in MiB.
    pub memory_mib: u32,
}

/// What kind makes a cluster of.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Worker nodes, beside the one control-plane node.
    pub workers: Vec<GpuNode>,
    /// Minor version of Kubernetes, where the node image tells it.
    pub minor: Option<u32>,
    /// The audit policy, a file of this machine; none where the container engine is on another one.
    pub audit_policy: Option<PathBuf>,
    /// Feature gates of all components.
    pub feature_gates: Vec<String>,
    /// How often horizontal pod autoscalers look; every 15 s when `None`.
    pub hpa_sync_period: Option<Duration>,
    /// Further patches of what kubeadm reads, after our own.
    pub kubeadm_patches: Vec<String>,
    /// Further patches of containerd's configuration, after our own.
    pub containerd_patches: Vec<String>,
}

impl Config {
    /// The file's text. It is written as JSON, which is YAML.
    pub fn text(&self, host: Host) -> String {
        let mut control_plane = json!({ "role": "control-plane" });
        let mut kubeadm = self.control_plane().to_vec();
        if let Some(policy) = &self.audit_policy {
            control_plane["extraMounts"] = json!([{ "hostPath": policy, "containerPath": POLICY, "readOnly": true }]);
        }
        let new_kubelet = self.minor.is_none_or(|minor| minor >= REFUSES_CGROUP_V1);
        if host.cgroup_v1 && new_kubelet {
            kubeadm.push(text(&json!({ "kind": "KubeletConfiguration", "failCgroupV1": false })));
        }
        let mut containerd = Vec::new();
        if !host.may_lower_oom_score {
            // Table of containerd 2; version 1 ignores what it does not know, and has its own below.
            for plugin in ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"] {
                containerd.push(format!("[plugins.\"{plugin}\"]\n  restrict_oom_score_adj = true\n"));
            }
        }
        let gates: serde_json::Map<_, _> = self.feature_gates.iter().map(|gate| (gate.clone(), true.into())).collect();
        let nodes: Vec<Value> = std::iter::once(control_plane).chain(self.workers.iter().map(worker)).collect();
        kubeadm.extend(self.kubeadm_patches.iter().cloned());
        containerd.extend(self.containerd_patches.iter().cloned());
        text(&json!({
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "featureGates": gates,
            "nodes": nodes,
            "kubeadmConfigPatches": kubeadm,
            "containerdConfigPatches": containerd,
        }))
    }

    /// Flags of the control plane, once for each form of kubeadm's configuration: a list of arguments since v1beta4, a map
    /// before. kind applies the patch whose version its own configuration has.
    fn control_plane(&self) -> [String; 2] {
        let mut api_server = Vec::new();
        let mut volumes = Vec::new();
        if self.audit_policy.is_some() {
            api_server.extend([("audit-policy-file", POLICY.to_owned()), ("audit-log-path", AUDIT_LOG.to_owned())]);
            volumes.extend([
                json!({ "name": "audit-policy", "hostPath": POLICY, "mountPath": POLICY, "readOnly": true, "pathType": "File" }),
                json!({ "name": "audit-log", "hostPath": "/var/log/kubernetes", "mountPath": "/var/log/kubernetes",
                        "readOnly": false, "pathType": "DirectoryOrCreate" }),
            ]);
        }
        let period = self.hpa_sync_period.map(|period| format!("{}ms", period.as_millis()));
        let manager: Vec<_> =
            period.into_iter().map(|period| ("horizontal-pod-autoscaler-sync-period", period)).collect();
        [("v1beta4", list as Form), ("v1beta3", map)].map(|(version, form)| {
            text(&json!({
                "apiVersion": format!("kubeadm.k8s.io/{version}"),
                "kind": "ClusterConfiguration",
                "apiServer": { "extraArgs": form(&api_server), "extraVolumes": volumes },
                "controllerManager": { "extraArgs": form(&manager) },
            }))
        })
    }
}

/// How flags are written.
type Form = fn(&[(&str, String)]) -> Value;

fn list(flags: &[(&str, String)]) -> Value {
    flags.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn map(flags: &[(&str, String)]) -> Value {
    flags.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into()
}

fn text(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A GPU's product and memory as NVIDIA's discovery labels them. Capacity is no label: see [`super::nodes`].
fn worker(node: &GpuNode) -> Value {
    if node.gpus == 0 {
        return json!({ "role": "worker" });
    }
    json!({ "role": "worker", "labels": {
        "nvidia.com/gpu.count": node.gpus.to_string(),
        "nvidia.com/gpu.product": node.product,
        "nvidia.com/gpu.memory": node.memory_mib.to_string(),
    }})
}

/// The audit policy: every request but those of nodes and of the cluster's own parts, with what it was about and
/// without its content.
pub const AUDIT_POLICY: &str = r#"apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    userGroups: ["system:nodes"]
  - level: None
    users: ["system:apiserver", "system:kube-scheduler", "system:kube-controller-manager", "system:kube-proxy"]
  - level: None
    userGroups: ["system:serviceaccounts:kube-system", "system:serviceaccounts:local-path-storage"]
  - level: None
    nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/version", "/openapi/*"]
  - level: Metadata
"#;

/// The minor version in the tag of a node image, as in `kindest/node:v1.35.0@sha256:…`.
pub fn minor(image: &str) -> Option<u32> {
    let named = image.split('@').next()?;
    let tag = named.rsplit_once(":v1.")?.1;
    tag.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const HOST: Host = Host { cgroup_v1: false, may_lower_oom_score: true };

    fn a100(gpus: u32) -> GpuNode {
        GpuNode { gpus, product: "NVIDIA-A100-PCIE-80GB".to_owned(), memory_mib: 81_920 }
    }

    fn read(config: &Config, host: Host) -> Value {
        serde_json::from_str(&config.text(host)).unwrap()
    }

    #[test]
    fn a_worker_has_its_gpus_as_labels() {
        let config = read(&Config { workers: vec![a100(8), a100(0)], ..Config::default() }, HOST);
        let roles: Vec<_> = config["nodes"].as_array().unwrap().iter().map(|node| node["role"].clone()).collect();
        assert_eq!(roles, ["control-plane", "worker", "worker"]);
        assert_eq!(config["nodes"][1]["labels"]["nvidia.com/gpu.product"], "NVIDIA-A100-PCIE-80GB");
        assert_eq!(config["nodes"][1]["labels"]["nvidia.com/gpu.count"], "8");
        assert!(config["nodes"][2].get("labels").is_none(), "no GPU, no label");
    }

    #[rstest]
    #[case::cgroup_v2(HOST, Some(36), 2, 0)]
    #[case::old_kubelet(Host { cgroup_v1: true, ..HOST }, Some(34), 2, 0)]
    #[case::new_kubelet(Host { cgroup_v1: true, ..HOST }, Some(35), 3, 0)]
    #[case::default_image(Host { cgroup_v1: true, ..HOST }, None, 3, 0)]
    #[case::no_capability(Host { may_lower_oom_score: false, ..HOST }, Some(36), 2, 2)]
    fn patches_are_added_only_where_the_host_needs_them(
        #[case] host: Host,
        #[case] minor: Option<u32>,
        #[case] kubeadm: usize,
        #[case] containerd: usize,
    ) {
        let config = read(&Config { minor, ..Config::default() }, host);
        let count = |key: &str| config[key].as_array().unwrap().len();
        assert_eq!((count("kubeadmConfigPatches"), count("containerdConfigPatches")), (kubeadm, containerd));
    }

    #[test]
    fn patches_of_the_user_come_last_so_that_they_win() {
        let own = Config {
            kubeadm_patches: vec!["kind: ClusterConfiguration".to_owned()],
            containerd_patches: vec!["[debug]".to_owned()],
            ..Config::default()
        };
        let config = read(&own, Host { cgroup_v1: true, may_lower_oom_score: false });
        assert_eq!(config["kubeadmConfigPatches"].as_array().unwrap().last().unwrap(), "kind: ClusterConfiguration");
        assert_eq!(config["containerdConfigPatches"].as_array().unwrap().last().unwrap(), "[debug]");
    }

    #[test]
    fn both_forms_of_kubeadms_arguments_write_the_audit_log_and_quicken_the_hpas() {
        let hpa_sync_period = Some(Duration::from_secs(1));
        let config = read(&Config { audit_policy: Some("/p.yaml".into()), hpa_sync_period, ..Config::default() }, HOST);
        let patches = config["kubeadmConfigPatches"].as_array().unwrap();
        let patch = |index: usize| -> Value { serde_json::from_str(patches[index].as_str().unwrap()).unwrap() };
        assert_eq!(patch(0)["apiServer"]["extraArgs"][1], json!({ "name": "audit-log-path", "value": AUDIT_LOG }));
        assert_eq!(patch(1)["apiServer"]["extraArgs"]["audit-log-path"], AUDIT_LOG);
        let period = "horizontal-pod-autoscaler-sync-period";
        assert_eq!(patch(0)["controllerManager"]["extraArgs"][0], json!({ "name": period, "value": "1000ms" }));
        assert_eq!(patch(1)["controllerManager"]["extraArgs"][period], "1000ms");
        assert_eq!(config["nodes"][0]["extraMounts"][0]["hostPath"], "/p.yaml");
    }

    #[rstest]
    #[case("kindest/node:v1.35.0@sha256:abc", Some(35))]
    #[case("registry:5000/kindest/node:v1.31.9", Some(31))]
    #[case("localhost/node:1", None)]
    fn the_version_is_in_the_tag_of_the_node_image(#[case] image: &str, #[case] expect: Option<u32>) {
        assert_eq!(minor(image), expect);
    }
}
