//! The real kubectl, and our plugin, against one cluster. The framework changes a cluster only the way users do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::programs;

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program is not there.
    #[error(transparent)]
    Program(#[from] programs::Error),
    /// It could not be run.
    #[error("running {command}: {source}")]
    Run {
        /// The command line.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// It failed.
    #[error("{command}: exit status {code}\n{output}")]
    Failed {
        /// The command line.
        command: String,
        /// Exit status, or the signal, in words.
        code: String,
        /// What it printed, errors last.
        output: String,
    },
}

/// kubectl bound to a kubeconfig.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    plugin: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// Binds kubectl and the plugin to a kubeconfig.
    ///
    /// # Errors
    /// When one of the programs is not there.
    pub fn new(kubeconfig: &Path) -> Result<Self, Error> {
        Ok(Self {
            program: programs::kubectl()?,
            plugin: programs::ours("kubectl-wva")?,
            kubeconfig: kubeconfig.to_owned(),
        })
    }

    /// Runs `kubectl ARGS` and gives what it prints to standard output.
    ///
    /// # Errors
    /// When it exits with anything but 0; the error holds what it printed.
    pub async fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String, Error> {
        output(self.command(&self.program, args), None).await
    }

    /// Runs `kubectl wva ARGS`.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn wva<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String, Error> {
        output(self.command(&self.plugin, args), None).await
    }

    /// Applies manifests server-side.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn apply(&self, manifests: &str) -> Result<String, Error> {
        output(self.command(&self.program, &["apply", "--server-side", "-f", "-"]), Some(manifests)).await
    }

    fn command<S: AsRef<OsStr>>(&self, program: &Path, args: &[S]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env("KUBECONFIG", &self.kubeconfig).env("KUBECTL", &self.program);
        command
    }
}

async fn output(mut command: Command, input: Option<&str>) -> Result<String, Error> {
    let line = {
        let std = command.as_std();
        let words = std::iter::once(std.get_program()).chain(std.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    };
    let failed = |source| Error::Run { command: line.clone(), source };
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().map_err(failed)?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that fails early closes its input; its own message then says more than ours would.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(failed)?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let code = output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string());
    Err(Error::Failed { command: line, code, output: format!("{stdout}{}", String::from_utf8_lossy(&output.stderr)) })
}
