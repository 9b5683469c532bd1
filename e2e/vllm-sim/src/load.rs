//! A small HTTP load generator.
//!
//! [`Load::start`] sends completions to a list of servers that may change at any time, each request to the server with
//! the fewest outstanding ones, either at times of its own whatever comes back (open loop: even, Poisson, ramp, bursts, a
//! recorded trace) or with a constant number of requests in flight (closed loop). Every prompt begins differently, so that
//! no prefix cache helps. [`Load::streaming`] also measures what a reader of the answers sees: time to the first token, and
//! between tokens.

mod balancer;
mod latencies;
mod schedule;
mod sender;
mod tally;
mod trace;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

pub(crate) use self::balancer::Balancer;
pub use self::latencies::Latencies;
use self::schedule::Schedule;
use self::sender::Sender;
use self::tally::Tally;
pub use self::tally::{Answered, Outcome, Report};
pub use self::trace::{Arrival, InvalidTrace, Trace};

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
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Nothing.
    Pause,
    /// Open loop: this many requests a second, evenly spaced.
    Rate {
        /// Requests a second, at most 10 000; nothing is sent unless it is above zero.
        per_second: f64,
    },
    /// Open loop: independent requests, this many a second on average, at times that the seed decides.
    Poisson {
        /// Requests a second on average, at most 10 000; nothing is sent unless it is above zero.
        per_second: f64,
        /// Equal seeds give equal times.
        seed: u64,
    },
    /// Open loop: evenly spaced, at a rate that changes steadily and then stays.
    Ramp {
        /// Requests a second at the begin.
        from: f64,
        /// Requests a second at the end, and after it.
        to: f64,
        /// How long it takes.
        over: Duration,
    },
    /// Open loop: many at once, then nothing, and so on.
    Bursts {
        /// Requests of one burst.
        size: u32,
        /// From the begin of one burst to that of the next.
        every: Duration,
    },
    /// Open loop: as it was recorded, once.
    Trace(Arc<Trace>),
    /// Closed loop: this many requests in flight.
    Concurrency {
        /// Requests in flight.
        clients: usize,
    },
}

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
#[derive(Debug, Clone, PartialEq)]
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
        Self::with(plan, endpoints, false)
    }

    /// The same with answers that are streamed, and so with [`Report::ttft`] and [`Report::itl`].
    pub fn streaming(plan: &Plan, endpoints: watch::Receiver<Vec<String>>) -> Result<Self, LoadError> {
        Self::with(plan, endpoints, true)
    }

    fn with(plan: &Plan, endpoints: watch::Receiver<Vec<String>>, stream: bool) -> Result<Self, LoadError> {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (shape, commands) = watch::channel(Command::Send(plan.shape.clone()));
        let sender = Sender::new(plan, Arc::clone(&tally), stream)?;
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
    loop {
        let command = commands.borrow_and_update().clone();
        let shape = match command {
            Command::Stop(deadline) => {
                let all_ended = async { while requests.join_next().await.is_some() {} };
                let _ = tokio::time::timeout_at(deadline, all_ended).await;
                requests.shutdown().await;
                return;
            }
            Command::Send(shape) => shape,
        };
        let clients = if let Shape::Concurrency { clients } = shape { clients } else { 0 };
        // Time spent under another shape is not made up for.
        let begun = Instant::now();
        let mut schedule = Schedule::new(&shape).into_iter().flatten().peekable();
        loop {
            let current = endpoints.borrow_and_update().clone();
            while let Some(arrival) = schedule.next_if(|arrival| begun + arrival.at <= Instant::now()) {
                requests.spawn(sender.send(&current, Some(arrival), Duration::ZERO));
            }
            while requests.len() < clients && !current.is_empty() {
                requests.spawn(sender.send(&current, None, sender::PAUSE_AFTER_FAILURE));
            }
            let wake = schedule.peek().map(|arrival| begun + arrival.at);
            tokio::select! {
                changed = commands.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    break;
                }
                // Once the list can change no more, the last one stays.
                Ok(()) = endpoints.changed() => {}
                Some(_) = requests.join_next() => {}
                () = sleep_until(wake) => {}
            }
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
