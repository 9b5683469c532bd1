//! The processes behind the controller's pods.

use std::fs;
use std::net::IpAddr;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process was not found, or took no signal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No process belongs to the pod.
    #[error("looking for the process of the pod at {0}: it is not running")]
    NotFound(IpAddr),
    /// The signal could not be sent.
    #[error("sending {signal} to process {pid}: {source}")]
    Signal {
        /// The signal.
        signal: Signal,
        /// The process.
        pid: Pid,
        /// Why.
        source: nix::Error,
    },
}

/// The process of the pod at an address: the node tells every process in `BIND_HOST` which is its own.
///
/// # Errors
/// When no process has it.
pub fn at(ip: IpAddr) -> Result<Pid, Error> {
    let wanted = format!("BIND_HOST={ip}");
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let mut processes = entries.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let environment = fs::read(entry.path().join("environ")).ok()?;
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()).then_some(pid)
    });
    processes.next().map(Pid::from_raw).ok_or(Error::NotFound(ip))
}

/// Sends a signal.
///
/// # Errors
/// When the process is gone.
pub fn signal(pid: Pid, signal: Signal) -> Result<(), Error> {
    kill(pid, signal).map_err(|source| Error::Signal { signal, pid, source })
}
