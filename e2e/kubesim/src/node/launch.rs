//! Starts a local process for a container, or beside one: where it runs, what it reads and writes.

use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    process::Command,
};

use super::{
    mount_namespace::{self, View},
    process::Process,
    reaper::Reaper,
    terminal::Terminal,
};

pub(super) type Input = Box<dyn AsyncWrite + Send + Unpin>;
pub(super) type Output = Box<dyn AsyncRead + Send + Unpin>;

/// A process to start.
pub(super) struct Launch<'a> {
    pub(super) program: PathBuf,
    pub(super) args: &'a [String],
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) directory: &'a Path,
    /// What it sees of the file system; `None` is the machine's.
    pub(super) view: Option<View>,
    /// Whether anybody will write to it.
    pub(super) stdin: bool,
    /// Whether it has a terminal, on which its two outputs are one.
    pub(super) tty: bool,
}

/// The agent's ends of what a process reads and writes.
pub(super) struct Pipes {
    pub(super) stdin: Option<Input>,
    pub(super) stdout: Option<Output>,
    pub(super) stderr: Option<Output>,
    pub(super) terminal: Option<Arc<Terminal>>,
}

/// Environment every process gets from the agent: where programs are found.
const INHERITED: [&str; 2] = ["PATH", "LD_LIBRARY_PATH"];

/// Waits for a line before it becomes the program. A process that is not yet known to the guard would outlive an agent
/// killed in that moment; this one sees the end of its input instead, and ends.
const GATE: &str = r#"read -r go && exec "$0" "$@""#;

/// The same, on a terminal that becomes the one of a new session.
const GATE_TO_TERMINAL: &str = r#"tty=$1; shift; read -r go && exec setsid -c "$0" "$@" <"$tty" >"$tty" 2>&1"#;

impl Launch<'_> {
    pub(super) async fn start(self, reaper: &Reaper) -> io::Result<(Process, Pipes)> {
        let inherited = INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let terminal = if self.tty { Some(Arc::new(Terminal::open()?)) } else { None };
        let mut command = Command::new("/bin/sh");
        match &terminal {
            // The session of its own is a process group too, of the same number.
            Some(terminal) => command.args(["-c", GATE_TO_TERMINAL]).arg(&self.program).arg(terminal.path()),
            None if self.stdin => command.args(["-c", GATE]).arg(&self.program).process_group(0),
            None => command.args(["-c", &format!("{GATE} </dev/null")]).arg(&self.program).process_group(0),
        };
        command
            .args(self.args)
            .env_clear()
            .envs(inherited)
            .envs(self.env)
            .current_dir(self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = match self.view {
            Some(view) => mount_namespace::spawn(command, view).await?,
            None => command.spawn()?,
        };
        let gate = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let process = Process::watched(child, reaper).await?;
        let mut gate = gate.ok_or_else(|| io::Error::other("the process has no standard input"))?;
        gate.write_all(b"go\n").await?;
        let pipes = match terminal {
            Some(terminal) => Pipes {
                stdin: Some(terminal.writer()?),
                stdout: Some(terminal.reader()?),
                stderr: None,
                terminal: Some(terminal),
            },
            None => Pipes {
                stdin: self.stdin.then(|| Box::new(gate) as Input),
                stdout: stdout.map(|stdout| Box::new(stdout) as Output),
                stderr: stderr.map(|stderr| Box::new(stderr) as Output),
                terminal: None,
            },
        };
        Ok((process, pipes))
    }
}

/// Looks a program up the way a shell does, so that a wrong mapping is told before anything starts.
pub(super) fn find_program(program: &Path) -> io::Result<PathBuf> {
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
