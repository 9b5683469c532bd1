//! A small HTTP load generator.
//!
//! [`Load::start`] sends completions to a list of servers that may change at any time, each request to the server with
//! the fewest outstanding ones, either at a constant rate whatever comes back (open loop) or with a constant number of
//! requests in flight (closed loop). Every prompt begins differently, so that no prefix cache helps.

mod balancer;
mod latencies;
mod sender;
mod tally;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

pub(crate) use self::balancer::Balancer;
pub use self::latencies::Latencies;
use self::sender::Sender;
use self::tally::Tally;
pub use self::tally::{Outcome, Report};

/// What to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The model named in each request.
    pub model: String,
    /// How much.
    pub shape: Shape,
    /// Length of each prompt, in tokens of the emulated server: short words.
    pub prompt_tokens: u32,
    /// Length of each answer, in tokens.
    pub max_tokens: u32,
    /// After this long a request counts as failed.
    pub timeout: Duration,
}

/// How much to send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// Nothing.
    Pause,
    /// Open loop: this many requests a second, evenly spaced.
    Rate {
        /// Requests a second, at most 10 000; nothing is sent unless it is above zero.
        per_second: f64,
    },
    /// Closed loop: this many requests in flight.
    Concurrency {
        /// Requests in flight.
        clients: usize,
    },
}

/// A request in eleven days; slower ones would overflow the gap between two.
const MIN_RATE: f64 = 1e-6;
/// Beyond this the generator itself could not keep up, and would send without ever looking at its handle.
const MAX_RATE: f64 = 10_000.0;

/// Why no load could be started.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The HTTP client could not be made.
    #[error("could not set up the HTTP client of the load generator: {0}")]
    Client(#[from] reqwest::Error),
}

/// A running load. Dropping it stops the sending and cuts off what is in flight.
#[derive(Debug)]
pub struct Load {
    shape: watch::Sender<Command>,
    tally: Arc<Mutex<Tally>>,
    task: Option<JoinHandle<()>>,
}

/// What the handle tells the task.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Command {
    Send(Shape),
    /// Send nothing more and end at the latest by then.
    Stop(Instant),
}

// === impl Load ===

impl Load {
    /// Starts sending to the base URLs (`http://127.0.0.1:8000`) that `endpoints` holds. While it holds none, a closed
    /// loop waits and an open loop counts failures, as a client of a service without pods would.
    pub fn start(plan: &Plan, endpoints: watch::Receiver<Vec<String>>) -> Result<Self, LoadError> {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (shape, commands) = watch::channel(Command::Send(plan.shape));
        let sender = Sender::new(plan, Arc::clone(&tally))?;
        let task = tokio::spawn(generate(sender, commands, endpoints));
        Ok(Self { shape, tally, task: Some(task) })
    }

    /// Changes how much is sent, from now on.
    pub fn reshape(&self, shape: Shape) {
        self.shape.send_replace(Command::Send(shape));
    }

    /// The counts so far.
    pub fn report(&self) -> Report {
        tally::lock(&self.tally).report()
    }

    /// Sends nothing more, waits up to `grace` for what is in flight, cuts off the rest, and gives the final counts.
    pub async fn stop(mut self, grace: Duration) -> Report {
        self.shape.send_replace(Command::Stop(Instant::now() + grace));
        if let Some(task) = self.task.take() {
            // It ends by itself; a panic in it would have been reported by the runtime.
            let _ = task.await;
        }
        self.report()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// The task behind a [`Load`].
async fn generate(
    mut sender: Sender,
    mut commands: watch::Receiver<Command>,
    mut endpoints: watch::Receiver<Vec<String>>,
) {
    let mut requests = JoinSet::new();
    let mut next_send = Instant::now();
    loop {
        let command = *commands.borrow_and_update();
        let current = endpoints.borrow_and_update().clone();
        let wake = match command {
            Command::Stop(deadline) => {
                let all_ended = async { while requests.join_next().await.is_some() {} };
                let _ = tokio::time::timeout_at(deadline, all_ended).await;
                requests.shutdown().await;
                return;
            }
            Command::Send(Shape::Rate { per_second }) if per_second > 0.0 => {
                let gap = Duration::from_secs_f64(1.0 / per_second.clamp(MIN_RATE, MAX_RATE));
                while next_send <= Instant::now() {
                    requests.spawn(sender.send(&current, Duration::ZERO));
                    next_send += gap;
                }
                Some(next_send)
            }
            Command::Send(Shape::Concurrency { clients }) => {
                while requests.len() < clients && !current.is_empty() {
                    requests.spawn(sender.send(&current, sender::PAUSE_AFTER_FAILURE));
                }
                None
            }
            Command::Send(Shape::Pause | Shape::Rate { .. }) => None,
        };
        tokio::select! {
            changed = commands.changed() => {
                if changed.is_err() {
                    return;
                }
                // Time spent under another shape is not made up for.
                next_send = Instant::now();
            }
            // Once the list can change no more, the last one stays.
            Ok(()) = endpoints.changed() => {}
            Some(_) = requests.join_next() => {}
            () = sleep_until(wake) => {}
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
