//! One run of a container: a local process in a process group of its own.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, Command},
    task::JoinSet,
};

use super::{
    invocation::Invocation,
    log_file::{LogWriter, Stream},
    mount_namespace,
    reaper::Reaper,
};

/// A running process; its whole group is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Group,
    output: JoinSet<()>,
}

#[derive(Debug)]
struct Group {
    id: Pid,
    number: u32,
    reaper: Reaper,
}

/// How a run ended, in the terms of a container status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit {
    /// The exit code, 128 + signal after a signal, as a shell reports it.
    pub(super) code: i32,
    pub(super) signal: Option<i32>,
}

/// Environment every process gets from the agent: where programs are found.
const INHERITED: [&str; 2] = ["PATH", "LD_LIBRARY_PATH"];

/// Waits for a line before it becomes the program. A process that is not yet known to the guard would outlive an agent
/// killed in that moment; this one sees the end of its input instead, and ends.
const GATE: &str = r#"read -r go && exec "$0" "$@" </dev/null"#;

/// How long to wait for the rest of the output once every process of the group was killed.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

impl Process {
    pub(super) async fn start(invocation: &Invocation, log: Arc<LogWriter>, reaper: &Reaper) -> io::Result<Self> {
        let inherited = INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let program = find_program(&invocation.program)?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", GATE])
            .arg(program)
            .args(&invocation.args)
            .env_clear()
            .envs(inherited)
            .envs(&invocation.env)
            .current_dir(&invocation.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = match &invocation.mounts {
            Some(mounts) => {
                let stage = invocation.directory.join("mounts");
                std::fs::create_dir_all(&stage)?;
                mount_namespace::spawn(command, mounts.clone(), stage).await?
            }
            None => command.spawn()?,
        };
        let number = child.id().ok_or_else(|| io::Error::other("the process ended before it could be watched"))?;
        let id = Pid::from_raw(i32::try_from(number).map_err(io::Error::other)?);
        let group = Group { id, number, reaper: reaper.clone() };
        reaper.started(number).await;
        if let Some(mut gate) = child.stdin.take() {
            gate.write_all(b"go\n").await?;
        }
        let mut output = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            output.spawn(copy(stdout, Stream::Stdout, Arc::clone(&log)));
        }
        if let Some(stderr) = child.stderr.take() {
            output.spawn(copy(stderr, Stream::Stderr, log));
        }
        Ok(Self { child, group, output })
    }

    /// Returns when the process ended by itself. Nothing is lost when this future is dropped.
    pub(super) async fn ended(&mut self) -> io::Result<()> {
        self.child.wait().await.map(|_| ())
    }

    /// TERM to the whole group, KILL after `grace`. Returns at once if the process has already ended.
    pub(super) async fn terminate(&mut self, grace: Duration) {
        self.group.signal(Signal::SIGTERM);
        if tokio::time::timeout(grace, self.child.wait()).await.is_err() {
            self.group.signal(Signal::SIGKILL);
        }
    }

    /// Collects the exit status, after making sure that nothing of the group survives.
    pub(super) async fn collect(mut self) -> io::Result<Exit> {
        let status = self.child.wait().await?;
        self.group.signal(Signal::SIGKILL);
        let drained = async { while self.output.join_next().await.is_some() {} };
        // Output that is held open by a process outside of the group is not waited for.
        let _ = tokio::time::timeout(OUTPUT_TIMEOUT, drained).await;
        self.group.reaper.ended(self.group.number).await;
        Ok(Exit::of(status))
    }
}

impl Group {
    /// A group that is gone needs no signal.
    fn signal(&self, signal: Signal) {
        let _ = killpg(self.id, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

impl Exit {
    fn of(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let signal = status.signal();
        Self { code: status.code().unwrap_or_else(|| 128 + signal.unwrap_or_default()), signal }
    }
}

async fn copy(output: impl AsyncRead + Unpin, stream: Stream, log: Arc<LogWriter>) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        log.write(stream, &line);
    }
}

/// Looks a program up the way a shell does, so that a wrong mapping is told before anything starts.
fn find_program(program: &Path) -> io::Result<PathBuf> {
    let is_executable =
        |path: &Path| path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    let found = if program.components().count() > 1 {
        Some(program.to_owned()).filter(|path| is_executable(path))
    } else {
        let directories = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&directories).map(|directory| directory.join(program)).find(|path| is_executable(path))
    };
    let found = found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such executable file"))?;
    // It runs in a directory of its own.
    std::path::absolute(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_path_or_by_name() {
        assert!(find_program(Path::new("/bin/sh")).is_ok());
        assert!(find_program(Path::new("sh")).unwrap().is_absolute());
        assert!(find_program(Path::new("/etc/passwd")).is_err(), "not executable");
        assert!(find_program(Path::new("no-such-program")).is_err());
    }
}
