//! The cluster that tests use.

use std::time::Duration;

use kubesim::{
    cluster::{Cluster, Options},
    node::{Images, NodeConfig, Program},
};

/// One node with two GPUs and the images `shell` and `kubectl`; quick back-off and autoscaling.
pub(crate) fn options() -> Options {
    Options {
        nodes: vec![NodeConfig::new("a100-0").with_gpus(2, "NVIDIA-A100-PCIE-80GB", 81_920)],
        images: Images::default()
            .with("example/shell", Program::new("/bin/sh"))
            .with("example/kubectl", Program::new(std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned()))),
        hpa_sync_period: Duration::from_millis(200),
        crash_backoff: Duration::from_millis(100),
        ..Options::default()
    }
}

/// A cluster of that kind.
pub(crate) async fn start() -> Cluster {
    Cluster::start(options()).await.unwrap()
}
