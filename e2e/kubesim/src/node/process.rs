//! One run of a program: a local process in a process group of its own.

use std::{io, process::ExitStatus, time::Duration};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::process::Child;

use super::reaper::Reaper;

/// A running process; its whole group is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Group,
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

impl Process {
    /// Tells the guard of a child that leads a group, or is about to.
    pub(super) async fn watched(child: Child, reaper: &Reaper) -> io::Result<Self> {
        let number = child.id().ok_or_else(|| io::Error::other("the process ended before it could be watched"))?;
        let id = Pid::from_raw(i32::try_from(number).map_err(io::Error::other)?);
        let group = Group { id, number, reaper: reaper.clone() };
        reaper.started(number).await;
        Ok(Self { child, group })
    }

    /// Its number, for as long as it was not collected.
    pub(super) fn id(&self) -> u32 {
        self.group.number
    }

    /// Returns when the process ended by itself. Nothing is lost when this future is dropped.
    pub(super) async fn ended(&mut self) -> io::Result<()> {
        self.child.wait().await.map(|_| ())
    }

    /// TERM to the whole group, KILL after `grace`. Returns at once if the process has already ended.
    pub(super) async fn terminate(&mut self, grace: Duration) {
        self.group.signal(Signal::SIGTERM);
        if tokio::time::timeout(grace, self.child.wait()).await.is_err() {
            self.kill();
        }
    }

    /// KILL to the whole group.
    pub(super) fn kill(&self) {
        self.group.signal(Signal::SIGKILL);
    }

    /// Collects the exit status, after making sure that nothing of the group survives.
    pub(super) async fn collect(mut self) -> io::Result<Exit> {
        let status = self.child.wait().await?;
        self.kill();
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
