//! How the process ends: because it was asked to, or because one of its tasks is no longer there.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use wva_api::Instance;

use crate::metrics::Metrics;
use crate::observe::prometheus::Prometheus;
use crate::ownership::handover::farewell::Scrapers;
use crate::ownership::leader::lease::LeaseApi;
use crate::ownership::leader::{Leadership, give_up};
use crate::tasks::{Ended, Tasks};

/// Name of the task that decides.
pub(crate) const CYCLE: &str = "cycle";
/// Writes status.
pub(crate) const STATUS: &str = "status";
/// Writes events.
pub(crate) const EVENTS: &str = "events";
/// Holds the Lease.
pub(crate) const ELECTION: &str = "election";
/// Serves `/metrics`.
pub(crate) const METRICS: &str = "metrics";
/// Serves `/healthz` and `/readyz`.
pub(crate) const PROBES: &str = "probes";
/// Longest the writers may take for what they still have.
const WRITTEN_WITHIN: Duration = Duration::from_millis(300);
/// Longest a graceful stop may take.
const STOP_WITHIN: Duration = Duration::from_millis(1500);

/// The running controller.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) tasks: Tasks,
    pub(crate) signals: Signals,
    /// Asks the cycle, the listener and the election to end.
    pub(crate) stop: CancellationToken,
    pub(crate) metrics: Metrics,
    pub(crate) prometheus: Prometheus,
    pub(crate) instance: Instance,
    pub(crate) scrapers: Arc<Scrapers>,
    pub(crate) leadership: Leadership,
    /// Identity of this process, and the Lease, if there is an election.
    pub(crate) lease: Option<(String, LeaseApi)>,
}

impl Running {
    /// Runs until it is asked to stop or one of its tasks ends, then ends everything in order. The code of the process.
    pub(crate) async fn until_end(self) -> ExitCode {
        let Self { mut tasks, mut signals, stop, metrics, prometheus, instance, scrapers, leadership, lease } = self;
        let failed = tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "Stopping");
                None
            }
            ended = tasks.next_end() => Some(ended),
        };
        let led = leadership.holds();
        let code = failed.as_ref().map_or(ExitCode::SUCCESS, fails);
        stop.cancel();
        if tokio::time::timeout(STOP_WITHIN, stopped(&mut tasks, &metrics)).await.is_err() {
            tracing::warn!("Not everything ended in time");
        }
        if failed.is_some() {
            // Nobody writes any longer. The election's own task may be the one that failed.
            tasks.keep_only(|_| false);
            if let Some((identity, lease)) = &lease {
                give_up(lease, identity).await;
            }
        } else if led {
            tokio::select! {
                () = farewell(&prometheus, &instance, &scrapers) => {}
                _ = signals.next() => {}
            }
        }
        code
    }
}

/// Ends the tasks in their order. The cycle first, which ends the writers' input; the Lease is given up beside it, because a
/// successor may begin as soon as this process has stopped deciding.
async fn stopped(tasks: &mut Tasks, metrics: &Metrics) {
    tasks.ended(&[CYCLE]).await;
    metrics.keep_silent(true);
    tasks.keep_only(|name| [STATUS, EVENTS, ELECTION, METRICS, PROBES].contains(&name));
    let _late = tokio::time::timeout(WRITTEN_WITHIN, tasks.ended(&[STATUS, EVENTS])).await.is_err();
    tasks.ended(&[ELECTION]).await;
}

/// Goes on answering until all who scrape know that the numbers are gone, unless they cannot tell this process's numbers
/// from its successor's.
async fn farewell(prometheus: &Prometheus, instance: &Instance, scrapers: &Scrapers) {
    let look = tokio::time::timeout(Duration::from_secs(1), prometheus.sightings(instance)).await;
    if let Ok(Ok(sightings)) = look
        && sightings.iter().all(|sighting| sighting.source.is_none())
    {
        return;
    }
    tracing::info!("Answering until Prometheus has seen that the numbers are gone");
    scrapers.all_told().await;
}

/// Says why the process ends before it was asked to.
pub(crate) fn fails(ended: &Ended) -> ExitCode {
    tracing::error!(task = ended.name, "Ending the process: {ended}");
    ExitCode::FAILURE
}

/// Asks to stop.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns the next one.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
