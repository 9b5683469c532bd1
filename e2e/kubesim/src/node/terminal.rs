//! A terminal for a process, as `kubectl exec -t` asks for one.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::OFlag,
    pty::{grantpt, posix_openpt, ptsname_r, unlockpt},
};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::net::unix::pipe;

use super::launch::{Input, Output};

/// The agent's end of a terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    master: OwnedFd,
    path: PathBuf,
}

impl Terminal {
    pub(super) fn open() -> io::Result<Self> {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = ptsname_r(&master)?.into();
        Ok(Self { master: master.into(), path })
    }

    /// The process's end.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the process prints; ends when no process has the terminal open any more.
    pub(super) fn reader(&self) -> io::Result<Output> {
        Ok(Box::new(pipe::Receiver::from_owned_fd_unchecked(self.master.try_clone()?)?))
    }

    /// What somebody types.
    pub(super) fn writer(&self) -> io::Result<Input> {
        Ok(Box::new(pipe::Sender::from_owned_fd_unchecked(self.master.try_clone()?)?))
    }

    /// Tells the process how large the terminal is; it gets SIGWINCH.
    pub(super) fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        if let Err(error) = tcsetwinsize(self.master.as_fd(), size) {
            tracing::debug!(%error, "Terminal not resized");
        }
    }
}
