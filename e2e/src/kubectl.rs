//! The real kubectl, and our plugin, against one cluster. The framework changes a cluster only the way users do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::programs;
use crate::wait::{self, Look, TimedOut};

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

/// What a command did, whatever its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
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

    /// Runs `kubectl wva ARGS` where a failure is an answer.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn answer<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Answer, Error> {
        let mut command = self.command(&self.plugin, args);
        let line = line(&command);
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = output.map_err(|source| Error::Run { command: line, source })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Answer { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
    }

    /// Runs a line as a user types it into a shell, with kubectl and the plugin on `PATH`.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn shell(&self, line: &str) -> Result<String, Error> {
        let ours = [&self.program, &self.plugin].into_iter().filter_map(|program| program.parent().map(Path::to_owned));
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(ours.chain(std::env::split_paths(&inherited))).unwrap_or(inherited);
        let mut command = self.command(Path::new("/bin/sh"), &["-c", line]);
        command.env("PATH", path);
        output(command, None).await
    }

    /// Runs `kubectl ARGS` with standard input.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn feed<S: AsRef<OsStr>>(&self, args: &[S], input: &str) -> Result<String, Error> {
        output(self.command(&self.program, args), Some(input)).await
    }

    /// Applies manifests server-side.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn apply(&self, manifests: &str) -> Result<String, Error> {
        self.feed(&["apply", "--server-side", "-f", "-"], manifests).await
    }

    /// Runs `kubectl ARGS` until what it prints to standard output satisfies `done`; a failure is not yet an answer.
    ///
    /// # Errors
    /// When it does not within `limit`; the error holds the command and what it printed last.
    pub async fn eventually(
        &self,
        limit: Duration,
        args: &[&str],
        done: impl Fn(&str) -> bool,
    ) -> Result<String, TimedOut> {
        wait::until(&format!("kubectl {}", args.join(" ")), limit, || async {
            match self.run(args).await {
                Ok(seen) if done(&seen) => Look::Done(seen),
                Ok(seen) => Look::NotYet(seen),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await
    }

    fn command<S: AsRef<OsStr>>(&self, program: &Path, args: &[S]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env("KUBECONFIG", &self.kubeconfig).env("KUBECTL", &self.program);
        command
    }
}

/// A command as a line for people.
fn line(command: &Command) -> String {
    let std = command.as_std();
    let words = std::iter::once(std.get_program()).chain(std.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Runs a command to its end and gives what it printed to standard output.
pub(crate) async fn output(mut command: Command, input: Option<&str>) -> Result<String, Error> {
    let line = line(&command);
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
