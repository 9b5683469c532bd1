//! Who writes: at most one process per instance, by a Lease.
//!
//! [`elector`] is the decision (pure, time is an argument), [`lease`] the requests; this file runs the two and tells
//! the rest of the process through [`Leadership`].

pub mod elector;
pub mod lease;
pub mod owner;

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use self::elector::{Elector, Step};
use self::lease::{LeaseApi, Written};
use crate::shared::Shared;

/// What is said not to work.
const READ: &str = "read the lease";
/// The same.
const WRITE: &str = "write the lease";
/// Longest a release may take.
const RELEASE_WITHIN: Duration = Duration::from_secs(1);

/// Whether this process may write, for everybody to ask.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Claim>);

/// What this process knows of its right to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// It does not lead.
    Standby,
    /// It leads until the given time, unless it renews its claim before.
    Until(Instant),
    /// It leads without an election.
    Always,
}

/// Why a write was not carried out, or not to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWritten {
    /// This process may not write, or may no longer.
    #[error("this process does not lead")]
    NotLeading,
    /// There was no answer within the time limit; the write may have happened.
    #[error("no answer within the time limit")]
    TimedOut,
}

impl Claim {
    fn remaining(self) -> Duration {
        match self {
            Self::Standby => Duration::ZERO,
            Self::Until(deadline) => deadline.saturating_duration_since(Instant::now()),
            Self::Always => Duration::MAX,
        }
    }
}

impl Leadership {
    /// Leads without an election.
    pub fn always() -> Self {
        // The sender may go: a receiver keeps the last value.
        Self(watch::channel(Claim::Always).1)
    }

    /// Never leads.
    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self(watch::channel(Claim::Standby).1)
    }

    /// Whether this process may write now. A claim that was not renewed in time has ended, even if the task that
    /// renews it is stuck: the process may have been paused.
    pub fn holds(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// How long this process may still write without renewing its claim; zero when it may not.
    pub fn remaining(&self) -> Duration {
        self.0.borrow().remaining()
    }

    /// Carries out one write, for at most `limit`. The right to write is looked at before every step of it, the first
    /// included: a process that was paused in the middle takes no further step when it wakes up too late.
    ///
    /// # Errors
    /// When this process may not write, or there is no answer in time.
    pub async fn write<T>(&self, limit: Duration, write: impl Future<Output = T>) -> Result<T, NotWritten> {
        let mut write = std::pin::pin!(write);
        let checked = std::future::poll_fn(|context| {
            if self.holds() { write.as_mut().poll(context).map(Ok) } else { Poll::Ready(Err(NotWritten::NotLeading)) }
        });
        let limit_by_claim = self.remaining();
        match tokio::time::timeout(limit.min(limit_by_claim), checked).await {
            Ok(written) => written,
            Err(_) if limit_by_claim < limit => Err(NotWritten::NotLeading),
            Err(_) => Err(NotWritten::TimedOut),
        }
    }

    /// Returns when this process leads.
    pub async fn acquired(&mut self) {
        if self.0.wait_for(|claim| !claim.remaining().is_zero()).await.is_err() {
            // The election is over, and it was not won.
            std::future::pending::<()>().await;
        }
    }

    /// Returns when this process no longer leads; at the latest when its claim ends without having been renewed.
    pub async fn lost(&mut self) {
        loop {
            let deadline = match *self.0.borrow_and_update() {
                Claim::Standby => return,
                Claim::Until(deadline) if Instant::now() >= deadline => return,
                Claim::Until(deadline) => Some(deadline),
                Claim::Always => None,
            };
            let ended = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            let changed = async {
                // Nobody renews any longer; what was last said holds.
                if self.0.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = changed => {}
                () = ended => {}
            }
        }
    }
}

/// Gives the Lease up in place of an [`Election`] that has ended, if it is held by `identity`. Whoever calls this has made
/// sure that nobody writes any longer.
pub async fn give_up(lease: &LeaseApi, identity: &str) {
    let release = async {
        let Some(found) = lease.get().await? else { return Ok(Written::Conflict) };
        match found.spec.as_ref().and_then(|spec| elector::released(spec, identity, Timestamp::now())) {
            Some(spec) => lease.write(Some(found), spec).await,
            None => Ok(Written::Conflict),
        }
    };
    match tokio::time::timeout(RELEASE_WITHIN, release).await {
        Ok(Ok(Written::Done)) => tracing::info!("Released the lease"),
        // It was given up before, or is somebody else's.
        Ok(Ok(Written::Conflict)) => {}
        Ok(Err::<_, lease::Error>(error)) => tracing::warn!(%error, "Cannot release the lease; it runs out by itself"),
        Err(_) => tracing::warn!("Releasing the lease timed out; it runs out by itself"),
    }
}

/// Takes part in the election of one Lease.
#[derive(Debug)]
pub struct Election {
    elector: Elector,
    lease: LeaseApi,
    claim: watch::Sender<Claim>,
    shared: Arc<Shared>,
}

impl Election {
    /// An election that has not begun, and what it will tell.
    pub fn new(elector: Elector, lease: LeaseApi, shared: Arc<Shared>) -> (Leadership, Self) {
        let (claim, leadership) = watch::channel(Claim::Standby);
        (Leadership(leadership), Self { elector, lease, claim, shared })
    }

    /// Runs until the process is asked to stop, and releases the Lease then. A Lease that is lost in between is competed
    /// for again: whoever writes asks [`Leadership`] first, so nothing is gained by ending the process, and its
    /// successor would have to learn the cluster anew.
    pub async fn run(self, stop: CancellationToken) {
        let span = tracing::info_span!("leader", lease = self.lease.name());
        self.elect(stop).instrument(span).await;
    }

    async fn elect(mut self, stop: CancellationToken) {
        let mut changes = self.lease.changes(Arc::clone(&self.shared));
        let owner = self.lease.clone();
        let mut owner = std::pin::pin!(async move { owner.find_owner().await }.fuse());
        loop {
            tokio::select! {
                () = self.attempt() => {}
                () = stop.cancelled() => return self.release().await,
            }
            self.resign_if_lost();
            let leads = self.elector.leads();
            tokio::select! {
                () = tokio::time::sleep(self.elector.pause(Instant::now())) => {}
                // A standby that sees the Lease released need not wait for its next turn.
                Some(()) = changes.next(), if !leads => {}
                // Written with the next renewal.
                () = &mut owner => {}
                () = stop.cancelled() => return self.release().await,
            }
        }
    }

    fn resign_if_lost(&mut self) {
        let why = if self.elector.deadline().is_some_and(|deadline| Instant::now() >= deadline) {
            "it could not be renewed in time"
        } else if matches!(*self.claim.borrow(), Claim::Until(_)) && !self.elector.leads() {
            "another process holds it"
        } else {
            return;
        };
        self.claim.send_replace(Claim::Standby);
        self.elector.resign();
        tracing::error!("Lost the lease: {why}; standing by");
    }

    /// One look at the Lease, and one write if it is ours to take or keep.
    async fn attempt(&mut self) {
        let asked = Instant::now();
        let limit = self.elector.request_timeout(asked);
        let found = match tokio::time::timeout(limit, self.lease.get()).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return self.shared.troubles.fails(READ, &error.to_string()),
            Err(_) => return self.shared.troubles.fails(READ, "no answer in time"),
        };
        self.shared.troubles.works(READ);
        let spec = found.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let Step::Write(spec) = self.elector.consider(spec.as_ref(), asked, Timestamp::now()) else { return };
        // The claim counts from before the write: others count from when they see it.
        let asked = Instant::now();
        match tokio::time::timeout(limit, self.lease.write(found, spec.clone())).await {
            Ok(Ok(Written::Done)) => {
                self.shared.troubles.works(WRITE);
                let led = self.elector.leads();
                self.elector.wrote(spec, asked);
                if let Some(deadline) = self.elector.deadline() {
                    self.claim.send_replace(Claim::Until(deadline));
                }
                if !led {
                    tracing::info!(identity = self.elector.identity(), "Became leader");
                }
            }
            Ok(Ok(Written::Conflict)) => tracing::debug!("Another process was faster"),
            Ok(Err(error)) => self.shared.troubles.fails(WRITE, &error.to_string()),
            Err(_) => self.shared.troubles.fails(WRITE, "no answer in time"),
        }
    }

    /// Stops writing, then lets the next one in.
    async fn release(mut self) {
        self.claim.send_replace(Claim::Standby);
        if self.elector.leads() {
            self.elector.resign();
            give_up(&self.lease, self.elector.identity()).await;
        }
    }
}

#[cfg(test)]
mod tests;
