//! The real helm, and a shell that finds it and kubectl, against one cluster.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::kubectl::{Error, output};
use crate::programs;

/// helm bound to a kubeconfig.
#[derive(Clone, Debug)]
pub struct Helm {
    program: PathBuf,
    kubectl: PathBuf,
    kubeconfig: PathBuf,
}

impl Helm {
    /// Binds helm to a kubeconfig.
    ///
    /// # Errors
    /// When helm or kubectl is not there.
    pub fn new(kubeconfig: &Path) -> Result<Self, Error> {
        Ok(Self { program: programs::helm()?, kubectl: programs::kubectl()?, kubeconfig: kubeconfig.to_owned() })
    }

    /// The project's chart.
    pub fn chart() -> &'static str {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/workload-variant-autoscaler")
    }

    /// Runs `helm ARGS` and gives what it prints to standard output.
    ///
    /// # Errors
    /// When it exits with anything but 0; the error holds what it printed.
    pub async fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String, Error> {
        let mut command = Command::new(&self.program);
        command.args(args).env("KUBECONFIG", &self.kubeconfig);
        output(command, None).await
    }

    /// Runs a block of shell commands in `dir`, as a person who pastes them; the first that fails ends it.
    ///
    /// # Errors
    /// As [`Helm::run`].
    pub async fn shell(&self, script: &str, dir: &Path) -> Result<String, Error> {
        let folders =
            [&self.program, &self.kubectl].map(|program| program.parent().unwrap_or(Path::new("/")).to_owned());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&path))).unwrap_or_default();
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", script]).current_dir(dir);
        command.env("PATH", path).env("KUBECONFIG", &self.kubeconfig);
        output(command, None).await
    }
}
