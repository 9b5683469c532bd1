//! The handle by which tests watch a running server and make it misbehave.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::faults::{ActiveFault, Fault, Matcher};
use super::listener::Command;
use super::requests::{Seen, WriteRequest};
use super::state::Shared;
use super::watchers::End;

/// A handle to a server: its record of requests, and faults on purpose.
#[derive(Debug, Clone)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

impl Control {
    pub(super) fn new(shared: Arc<Shared>, commands: mpsc::Sender<Command>) -> Self {
        Self { shared, commands }
    }

    /// Everything that was asked so far, equal requests counted together, in the order of users and actions.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.audit.requests.seen()
    }

    /// The writes in the order in which they were carried out, the last 20,000.
    pub fn writes(&self) -> Vec<WriteRequest> {
        self.shared.audit.requests.writes()
    }

    /// Begins a new record.
    pub fn clear_requests(&self) {
        self.shared.audit.requests.clear();
    }

    /// Puts a fault in force; returns its number.
    pub fn inject(&self, fault: Fault) -> u64 {
        self.shared.faults.add(fault)
    }

    /// Ends a fault and tells how often it struck.
    pub fn remove_fault(&self, id: u64) -> Option<ActiveFault> {
        self.shared.faults.remove(id)
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// The faults in force.
    pub fn faults(&self) -> Vec<ActiveFault> {
        self.shared.faults.list()
    }

    /// Breaks off the connections of the watches that match; says how many.
    pub fn drop_watches(&self, matcher: &Matcher) -> usize {
        self.shared.watchers.end(matcher, End::Drop)
    }

    /// Ends the watches that match with `410 Gone`; says how many.
    pub fn expire_watches(&self, matcher: &Matcher) -> usize {
        self.shared.watchers.end(matcher, End::Expire)
    }

    /// Forgets the history: who continues from an earlier resource version gets `410 Gone`. Returns the revision up to
    /// which it is forgotten. Open watches, which have seen everything, go on.
    pub fn compact(&self) -> u64 {
        self.shared.lock().store.compact()
    }

    /// Closes the socket and all connections. Clients are refused until [`Control::listen_again`].
    pub async fn stop_listening(&self) {
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }

    /// Opens the socket again, on the same address. Objects and tokens are what they were, as if read from etcd.
    ///
    /// # Errors
    /// When the address cannot be bound any more.
    pub async fn listen_again(&self) -> io::Result<()> {
        let stopped = || io::Error::new(io::ErrorKind::NotConnected, "the API server has been stopped");
        let (done, opened) = oneshot::channel();
        self.commands.send(Command::Open(done)).await.map_err(|_| stopped())?;
        opened.await.map_err(|_| stopped())?
    }

    /// Stops listening, and listens again after `down`.
    ///
    /// # Errors
    /// See [`Control::listen_again`].
    pub async fn restart(&self, down: Duration) -> io::Result<()> {
        self.stop_listening().await;
        tokio::time::sleep(down).await;
        self.listen_again().await
    }
}
