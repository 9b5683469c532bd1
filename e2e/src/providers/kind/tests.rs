//! The provider against stand-ins for `kind` and `docker` that record, hang and fail; the API server behind the
//! kubeconfig that the stand-in hands out is the embedded one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kubesim::cluster::{self, Cluster};
use kubesim::node::NodeConfig;

use super::config::GpuNode;
use super::*;

/// Records its arguments; `create` fails with the next line of `failures`, `hang-WORD` makes that command hang.
const KIND: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "kind $*" >> "$here/calls"
[ ! -e "$here/hang-$1" ] || exec sleep 600
case $1 in
  create)
    if [ -s "$here/failures" ]; then
      echo 'Creating cluster' >&2
      head -n 1 "$here/failures" >&2
      sed -i 1d "$here/failures"
      exit 1
    fi
    while [ $# -gt 0 ]; do
      case $1 in
        --kubeconfig) cp "$here/kubeconfig" "$2" ;;
        --config) cp "$2" "$here/kind.yaml" ;;
      esac
      shift
    done
    echo 'WARNING: Timed out waiting for Ready' >&2
    ;;
  export) mkdir -p "$3/node" && cp "$here/kubelet.log" "$3/node/" ;;
esac
"#;

const DOCKER: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "docker $*" >> "$here/calls"
[ ! -e "$here/hang-docker" ] || exec sleep 600
"#;

/// Answers the real kind's questions about an engine as an idle one would, and starts nothing.
const ENGINE: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "docker $*" >> "$here/calls"
case $1 in
  info) echo '{"CgroupVersion":"2","SecurityOptions":[],"MemoryLimit":true,"PidsLimit":true,"CPUShares":true}' ;;
  run) exit 125 ;;
esac
"#;

/// A folder with both programs.
struct StandIns(tempfile::TempDir);

impl StandIns {
    fn new() -> Self {
        Self::of(&[("kind", KIND), ("docker", DOCKER)])
    }

    fn of(programs: &[(&str, &str)]) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in programs {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let this = Self(dir);
        this.set("kubelet.log", "x kubelet[1]: E1 1 run.go:72] \"command failed\" err=\"no cgroup\"\n");
        this
    }

    fn set(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// The commands that were run, without paths.
    fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        let short = |word: &str| if word.starts_with('/') { "PATH".to_owned() } else { word.to_owned() };
        calls.lines().map(|line| line.split(' ').map(short).collect::<Vec<_>>().join(" ")).collect()
    }

    fn options(&self) -> Options {
        let path = format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap());
        let a100 = GpuNode { gpus: 8, product: "NVIDIA-A100-PCIE-80GB".to_owned(), memory_mib: 81_920 };
        Options {
            kind: self.path("kind"),
            path: Some(path.into()),
            image: Some("kindest/node:v1.35.0".to_owned()),
            config: Config { workers: vec![a100], ..Config::default() },
            limits: Limits {
                create: Duration::from_secs(20),
                ready: Duration::from_secs(20),
                load: Duration::from_secs(20),
                other: Duration::from_secs(20),
            },
        }
    }

    fn work_dir(&self) -> PathBuf {
        self.path("work")
    }

    async fn create(&self, options: Options) -> Result<KindCluster, Error> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        KindCluster::create("x", &self.work_dir(), options, |_| {}).await
    }
}

/// What kind would have made: two nodes and a pod of kube-system.
async fn cluster(stand_ins: &StandIns) -> Cluster {
    let nodes = ["x-control-plane", "x-worker"].map(NodeConfig::new).to_vec();
    let cluster = Cluster::start(cluster::Options { nodes, ..cluster::Options::default() }).await.unwrap();
    let kubeconfig = std::fs::read_to_string(cluster.kubeconfig_path()).unwrap();
    stand_ins.set("kubeconfig", &kubeconfig);
    let nodes: Api<Node> = Api::all(cluster.client());
    let label = serde_json::json!({ "metadata": { "labels": { "node-role.kubernetes.io/control-plane": "" } } });
    nodes.patch("x-control-plane", &PatchParams::default(), &Patch::Merge(&label)).await.unwrap();
    let namespace = serde_json::json!({ "metadata": { "name": "kube-system" } });
    // It may be there already.
    let _ = Api::<Namespace>::all(cluster.client())
        .create(&PostParams::default(), &serde_json::from_value(namespace).unwrap())
        .await;
    let pods: Api<Pod> = Api::namespaced(cluster.client(), "kube-system");
    let pod = serde_json::json!({ "metadata": { "name": "coredns" }, "spec": {
        "nodeName": "nowhere", "containers": [{ "name": "coredns", "image": "coredns:1" }] } });
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let ready = serde_json::json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
    pods.patch_status("coredns", &PatchParams::default(), &Patch::Merge(&ready)).await.unwrap();
    cluster
}

#[tokio::test]
async fn a_cluster_is_made_loaded_and_removed_with_a_name_and_a_kubeconfig_of_its_own() {
    let stand_ins = StandIns::new();
    let embedded = cluster(&stand_ins).await;
    let made = stand_ins.create(stand_ins.options()).await.unwrap();
    assert!(made.kubeconfig().starts_with(stand_ins.work_dir()), "nobody's own kubeconfig is touched");
    let worker: Node = Api::all(made.client()).get("x-worker").await.unwrap();
    assert_eq!(worker.status.unwrap().allocatable.unwrap()["nvidia.com/gpu"].0, "8");
    made.load(&[PathBuf::from("/images/a.tar")]).await.unwrap();
    made.export_logs(&stand_ins.path("evidence")).await.unwrap();
    made.delete().await.unwrap();
    let expect = [
        "docker version",
        "kind create cluster --name x --retain --wait 120s --config PATH --kubeconfig PATH --image kindest/node:v1.35.0",
        "kind load image-archive PATH --name x",
        "kind export logs PATH --name x",
        "kind delete cluster --name x --kubeconfig PATH",
    ];
    assert_eq!(stand_ins.calls(), expect);
    embedded.shutdown().await;
}

#[tokio::test]
async fn readiness_is_not_what_kind_says() {
    let stand_ins = StandIns::new();
    // One node too few; kind, which waited, exits 0 all the same.
    let nodes = vec![NodeConfig::new("x-control-plane")];
    let embedded = Cluster::start(cluster::Options { nodes, ..cluster::Options::default() }).await.unwrap();
    stand_ins.set("kubeconfig", &std::fs::read_to_string(embedded.kubeconfig_path()).unwrap());
    let mut options = stand_ins.options();
    options.limits.ready = Duration::from_millis(300);
    let error = stand_ins.create(options).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("waited 300ms for 2 nodes to be Ready; last seen: 1 of 2 nodes have registered"), "{error}");
    let calls = stand_ins.calls();
    assert_eq!(calls[2..], ["kind export logs PATH --name x", "kind delete cluster --name x --kubeconfig PATH"]);
    embedded.shutdown().await;
}

#[tokio::test]
async fn a_failure_that_passes_is_tried_again_from_nothing() {
    let stand_ins = StandIns::new();
    let embedded = cluster(&stand_ins).await;
    stand_ins.set("failures", "Bind for 127.0.0.1:1 failed: port is already allocated\n");
    let made = stand_ins.create(stand_ins.options()).await.unwrap();
    made.delete().await.unwrap();
    let commands: Vec<_> =
        stand_ins.calls().iter().map(|call| call.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(commands, ["docker version", "kind create", "kind export", "kind delete", "kind create", "kind delete"]);
    embedded.shutdown().await;
}

#[tokio::test]
async fn a_failure_that_stays_is_told_with_its_cause_and_leaves_nothing() {
    let stand_ins = StandIns::new();
    stand_ins.set("failures", "ERROR: failed to init node with kubeadm: exit status 1\n");
    let error = stand_ins.create(stand_ins.options()).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("failed to init node with kubeadm"), "{error}");
    assert!(error.contains("the kubelet says:\n  \"command failed\" err=\"no cgroup\""), "{error}");
    assert!(Path::new(&stand_ins.work_dir()).join("nodes/node/kubelet.log").exists(), "logs are kept");
    let calls = stand_ins.calls();
    assert_eq!(calls.iter().filter(|call| call.contains("create")).count(), 1, "{calls:?}");
    assert_eq!(calls.last().unwrap(), "kind delete cluster --name x --kubeconfig PATH");
}

#[tokio::test]
async fn a_cluster_of_somebody_else_is_left_alone() {
    let stand_ins = StandIns::new();
    stand_ins
        .set("failures", "ERROR: failed to create cluster: node(s) already exist for a cluster with the name \"x\"\n");
    let error = stand_ins.create(stand_ins.options()).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.starts_with("kind cluster x exists already and is not ours"), "{error}");
    assert!(!stand_ins.calls().iter().any(|call| call.contains("delete")), "{:?}", stand_ins.calls());
}

#[tokio::test]
async fn a_creation_that_hangs_ends_at_its_limit_and_is_removed() {
    let stand_ins = StandIns::new();
    stand_ins.set("hang-create", "");
    let mut options = stand_ins.options();
    options.limits.create = Duration::from_millis(300);
    let error = stand_ins.create(options).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("did not end within 0.3 s and was killed"), "{error}");
    assert_eq!(stand_ins.calls().last().unwrap(), "kind delete cluster --name x --kubeconfig PATH");
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_found_before_anything_is_made() {
    let stand_ins = StandIns::new();
    stand_ins.set("hang-docker", "");
    let mut options = stand_ins.options();
    options.limits.other = Duration::from_millis(300);
    let error = stand_ins.create(options).await.map(|_| ()).unwrap_err().to_string();
    assert!(
        error.starts_with("kind needs a docker program on PATH that reaches an engine: docker version did not end"),
        "{error}"
    );
    assert_eq!(stand_ins.calls(), ["docker version"]);
}

#[tokio::test]
async fn a_test_that_panics_leaves_no_cluster() {
    let stand_ins = StandIns::new();
    let embedded = cluster(&stand_ins).await;
    drop(stand_ins.create(stand_ins.options()).await.unwrap());
    crate::wait::until("the cluster to be removed", Duration::from_secs(20), || async {
        match stand_ins.calls().last() {
            Some(call) if call.contains("delete") => crate::wait::Look::Done(()),
            last => crate::wait::Look::NotYet(format!("{last:?}")),
        }
    })
    .await
    .unwrap();
    embedded.shutdown().await;
}

#[tokio::test]
async fn two_clusters_are_made_at_once_and_do_not_share_a_file() {
    let stand_ins = StandIns::new();
    let embedded = cluster(&stand_ins).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let make = async |name: &'static str| {
        KindCluster::create(name, &stand_ins.path(name), stand_ins.options(), |_| {}).await.unwrap()
    };
    let (a, b) = tokio::join!(make("a"), make("b"));
    assert_ne!(a.kubeconfig(), b.kubeconfig());
    a.delete().await.unwrap();
    let calls = stand_ins.calls();
    assert_eq!(calls.last().unwrap(), "kind delete cluster --name a --kubeconfig PATH");
    b.delete().await.unwrap();
    embedded.shutdown().await;
}

#[tokio::test]
async fn the_real_kind_takes_the_configuration_and_would_start_its_nodes() {
    let kind = crate::programs::kind().expect("the kind program: hack/tools.sh finds or fetches it");
    let stand_ins = StandIns::of(&[("docker", ENGINE)]);
    stand_ins.set("kubelet.log", "");
    let mut options = Options { kind, ..stand_ins.options() };
    options.config.feature_gates = vec!["HPAScaleToZero".to_owned()];
    options.config.hpa_sync_period = Some(Duration::from_secs(1));
    options.config.containerd_patches = vec!["[debug]\n  level = \"debug\"\n".to_owned()];
    let error = stand_ins.create(options).await.map(|_| ()).unwrap_err().to_string();
    // It decodes strictly and validates before it starts a node; the stand-in then starts none.
    assert!(error.contains("docker run --name x-"), "{error}");
    let calls = std::fs::read_to_string(stand_ins.path("calls")).unwrap();
    let node = |name: &str| {
        calls.lines().find(|call| call.contains(&format!("docker run --name {name} "))).unwrap_or_default()
    };
    assert!(node("x-control-plane").contains(":/etc/kubernetes/policies/audit.yaml:ro"), "{calls}");
    assert!(node("x-control-plane").ends_with("kindest/node:v1.35.0"), "{calls}");
    assert!(node("x-worker").contains("io.x-k8s.kind.role=worker"), "{calls}");
}
