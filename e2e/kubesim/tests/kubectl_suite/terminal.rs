//! A shell in which `kubectl` and `helm` use a cluster of their own.

use std::{path::Path, process::Output, time::Duration};

use kubesim::cluster::{Cluster, Options};
use tempfile::TempDir;
use tokio::process::Command;

use crate::cluster;

/// Makes `kubectl` and `helm` mean the programs asked for, and stops at the first command that fails.
const PRELUDE: &str = r#"
set -eu
kubectl() { command "${KUBECTL:-kubectl}" "$@"; }
helm() { command "${HELM:-helm}" "$@"; }
"#;

/// A container that runs until it is told to stop.
pub(crate) const FOREVER: &str = "trap 'exit 0' TERM; while true; do sleep 0.05; done";

/// Plenty for any script here.
const PATIENCE: Duration = Duration::from_mins(1);

/// A cluster, and a directory with the files that commands read.
pub(crate) struct Terminal {
    cluster: Cluster,
    directory: TempDir,
}

impl Terminal {
    pub(crate) async fn open() -> Self {
        Self { cluster: cluster::start().await, directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) async fn open_with(options: Options) -> Self {
        Self { cluster: Cluster::start(options).await.unwrap(), directory: tempfile::tempdir().unwrap() }
    }

    /// Writes a file into the directory in which commands run.
    pub(crate) fn file(&self, path: &str, content: &str) {
        let path = self.directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// What commands that succeed print on both streams.
    pub(crate) async fn run(&self, script: &str) -> String {
        let (output, text) = self.execute(script).await;
        assert!(output.status.success(), "{script}\n{}\n{text}", output.status);
        text
    }

    /// What commands print of which the last is refused.
    pub(crate) async fn refused(&self, script: &str) -> String {
        let (output, text) = self.execute(script).await;
        assert!(!output.status.success(), "accepted: {script}\n{text}");
        text
    }

    async fn execute(&self, script: &str) -> (Output, String) {
        let home = self.directory.path();
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("{PRELUDE}{script}")).current_dir(home).env("HOME", home).kill_on_drop(true);
        shell.env("KUBECONFIG", self.cluster.kubeconfig_path()).env("FOREVER", FOREVER);
        for (name, _) in std::env::vars_os() {
            // Settings of the user's own helm must not leak in.
            if name.to_string_lossy().starts_with("HELM_") || name.to_string_lossy().starts_with("XDG_") {
                shell.env_remove(name);
            }
        }
        let finished = tokio::time::timeout(PATIENCE, shell.output()).await;
        let Ok(output) = finished else { panic!("not done after {PATIENCE:?}: {script}") };
        let output = output.unwrap();
        assert_ne!(
            output.status.code(),
            Some(127),
            "{script}\n{}kubectl 1.35 and helm 4 are needed: put them on the PATH or into KUBECTL and HELM, \
             as `eval \"$(hack/tools.sh env)\"` does",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output, text)
    }

    pub(crate) async fn close(self) {
        self.cluster.shutdown().await;
    }
}

/// Fails unless `text` has all the parts.
#[track_caller]
pub(crate) fn assert_shows(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

/// Words of a printed line that begins with `name`.
#[track_caller]
pub(crate) fn line<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let found = text.lines().find(|line| line.split_whitespace().next() == Some(name));
    let Some(found) = found else { panic!("no line of {name} in:\n{text}") };
    found.split_whitespace().collect()
}
