//! Programs that must end: each run has a time limit, its output goes to a file as it comes, and when the limit passes
//! the program and all that it started are killed.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;

/// A program did not do what it was run for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("running {command}: {source}; is {program} on PATH?")]
    Start {
        /// The command line.
        command: String,
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// Its output could not be kept.
    #[error("keeping the output of {command} in {}: {source}", path.display())]
    Log {
        /// The command line.
        command: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It did not end in time, and was killed.
    #[error("{command} did not end within {} s and was killed; it had printed:\n{output}", limit.as_secs_f64())]
    TimedOut {
        /// The command line.
        command: String,
        /// The limit.
        limit: Duration,
        /// Both outputs.
        output: String,
    },
    /// It ended with an error.
    #[error("{command} failed ({status}):\n{output}")]
    Failed {
        /// The command line.
        command: String,
        /// Its exit code or signal, in words.
        status: ExitStatus,
        /// Both outputs.
        output: String,
    },
}

impl Error {
    /// What the program printed before it failed; empty when it never ran.
    pub fn output(&self) -> &str {
        match self {
            Self::Start { .. } | Self::Log { .. } => "",
            Self::TimedOut { output, .. } | Self::Failed { output, .. } => output,
        }
    }
}

/// A program, the environment it runs in, and the folder that keeps what it prints.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    logs: PathBuf,
    search: Option<std::ffi::OsString>,
}

/// The processes of one run; killed when dropped before they end, so that a run that is given up leaves nothing.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It fails when all of them have ended, and then all is well.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Program {
    /// A program whose output is kept in files of `logs`.
    pub fn new(path: &Path, logs: &Path) -> Self {
        Self { path: path.to_owned(), logs: logs.to_owned(), search: None }
    }

    /// The same with another `PATH`.
    #[must_use]
    pub fn with_path(self, path: Option<std::ffi::OsString>) -> Self {
        Self { search: path, ..self }
    }

    /// Runs it and gives what it printed to standard output. What it prints to standard error is no failure by itself.
    ///
    /// # Errors
    /// When it cannot be started, does not end within `limit`, or ends with an error.
    pub async fn run<S: AsRef<OsStr>>(&self, args: &[S], limit: Duration) -> Result<String, Error> {
        let line = self.line(args);
        let (out, err) = (self.log(args, "out"), self.log(args, "err"));
        let file = |path: &Path| {
            let file = std::fs::create_dir_all(&self.logs).and_then(|()| File::create(path));
            file.map_err(|source| Error::Log { command: line.clone(), path: path.to_owned(), source })
        };
        let mut command = Command::new(&self.path);
        command.args(args).stdin(Stdio::null()).stdout(file(&out)?).stderr(file(&err)?);
        // A group of its own: a Ctrl-C is for us, and whatever it starts ends with it.
        command.process_group(0).kill_on_drop(true);
        if let Some(search) = &self.search {
            command.env("PATH", search);
        }
        let mut child = command.spawn().map_err(|source| Error::Start {
            command: line.clone(),
            program: self.path.display().to_string(),
            source,
        })?;
        let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
        let ended = tokio::time::timeout(limit, child.wait()).await;
        let printed = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let both = || format!("{}{}", printed(&out), printed(&err)).trim_end().to_owned();
        let status = match ended {
            Ok(Ok(status)) => status,
            Ok(Err(source)) => {
                return Err(Error::Start { command: line, program: self.path.display().to_string(), source });
            }
            Err(_) => return Err(Error::TimedOut { command: line, limit, output: both() }),
        };
        group.0 = None;
        if status.success() { Ok(printed(&out)) } else { Err(Error::Failed { command: line, status, output: both() }) }
    }

    /// The command as a line for people.
    fn line<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned();
        std::iter::once(name)
            .chain(args.iter().map(|arg| arg.as_ref().to_string_lossy().into_owned()))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// A file for one run: the first words, and a number that no other run has.
    fn log<S: AsRef<OsStr>>(&self, args: &[S], stream: &str) -> PathBuf {
        use std::sync::atomic::{AtomicU32, Ordering};
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let words = args.iter().take(2).map(|arg| arg.as_ref().to_string_lossy().replace('/', "_"));
        let words: Vec<_> = words.filter(|word| !word.starts_with('-')).collect();
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        self.logs.join(format!("{name}-{}-{run}.{stream}", words.join("-")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(dir: &Path) -> Program {
        Program::new(Path::new("/bin/sh"), dir)
    }

    #[tokio::test]
    async fn a_warning_on_standard_error_is_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        let printed = sh(dir.path()).run(&["-c", "echo ok; echo deprecated >&2"], Duration::from_secs(20)).await;
        assert_eq!(printed.unwrap(), "ok\n");
    }

    #[tokio::test]
    async fn a_failure_says_the_command_and_what_it_printed() {
        let dir = tempfile::tempdir().unwrap();
        let error = sh(dir.path()).run(&["-c", "echo no >&2; exit 3"], Duration::from_secs(20)).await.unwrap_err();
        assert_eq!(error.to_string(), "sh -c echo no >&2; exit 3 failed (exit status: 3):\nno");
        assert_eq!(error.output(), "no");
    }

    #[tokio::test]
    async fn what_does_not_end_is_killed_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("echo begun; sleep 600 & echo $! > {}; wait", pid.display());
        let error = sh(dir.path()).run(&["-c", &script], Duration::from_millis(500)).await.unwrap_err();
        assert!(
            error.to_string().contains("did not end within 0.5 s and was killed; it had printed:\nbegun"),
            "{error}"
        );
        let sleep: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        crate::wait::until("its child to be gone", Duration::from_secs(20), || async {
            // A zombie that nobody reaps yet is as dead.
            let state = std::fs::read_to_string(format!("/proc/{sleep}/stat")).unwrap_or_default();
            if state.is_empty() || state.contains(") Z ") {
                crate::wait::Look::Done(())
            } else {
                crate::wait::Look::NotYet(state)
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let program = Program::new(Path::new("/nowhere/kind"), dir.path());
        let error = program.run(&["version"], Duration::from_secs(1)).await.unwrap_err();
        assert!(error.to_string().ends_with("is /nowhere/kind on PATH?"), "{error}");
    }
}
