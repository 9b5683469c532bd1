//! One replica.

use std::time::Duration;

use vllm_engine::{Engine, Event, FinishReason, Gaps, NewRequest};

use crate::ledger::{End, Record, RequestIndex};
use crate::load::Arrival;
use crate::scenario::Variant;

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There are no GPUs for it.
    Unschedulable,
    /// It loads its model.
    Starting {
        /// When it will be ready.
        until: Duration,
    },
    /// It serves.
    Ready,
    /// It finishes what it has begun.
    Draining {
        /// When it is killed.
        until: Duration,
    },
}

/// What a server has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// Requests that were answered.
    pub answered: u64,
    /// Prompt tokens of those.
    pub prompt_tokens: u64,
    /// Answer tokens of those.
    pub output_tokens: u64,
    /// First tokens.
    pub first_tokens: u64,
    /// Time to them, in all.
    pub ttft: Duration,
    /// Later tokens, and the time between them.
    pub gaps: Gaps,
}

/// One replica.
#[derive(Debug)]
pub struct Pod {
    /// Serial number, in order of creation.
    pub serial: u32,
    /// Place of its variant in the scenario.
    pub variant: usize,
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub state: State,
    /// Since when.
    pub since: Duration,
    /// When it got its GPUs.
    pub scheduled: Option<Duration>,
    /// What it has counted.
    pub counters: Counters,
    engine: Engine,
    /// Its requests, by the number that its engine gave them.
    requests: Vec<RequestIndex>,
}

impl Pod {
    pub(super) fn new(serial: u32, variant: usize, of: &Variant, now: Duration) -> Self {
        Self {
            serial,
            variant,
            name: format!("{}-{serial:04}", of.name),
            state: State::Unschedulable,
            since: now,
            scheduled: None,
            counters: Counters::default(),
            engine: Engine::without_tokens(of.server.engine()),
            requests: Vec::new(),
        }
    }

    /// Whether new requests may come to it.
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Whether it is on its way out.
    pub fn is_draining(&self) -> bool {
        matches!(self.state, State::Draining { .. })
    }

    /// Requests in it.
    pub fn in_flight(&self) -> u32 {
        self.engine.in_flight()
    }

    /// What it holds.
    pub fn load(&self) -> vllm_engine::Load {
        self.engine.load()
    }

    pub(super) fn enter(&mut self, state: State, now: Duration) {
        (self.state, self.since) = (state, now);
    }

    /// Lets its engine work until `now`, and notes what that brought.
    pub(crate) fn work(&mut self, ledger: &mut [Record], now: Duration) {
        for event in self.engine.advance(now) {
            self.note(ledger, event, now);
        }
        self.counters.gaps = self.engine.gaps();
    }

    fn note(&mut self, ledger: &mut [Record], event: Event, now: Duration) {
        let record_of = |requests: &[RequestIndex], id: vllm_engine::RequestId| {
            usize::try_from(id.number()).ok().and_then(|number| requests.get(number).copied())
        };
        match event {
            // When exactly is told with the end; until then, that it was admitted by now.
            Event::Admitted { id, .. } => {
                if let Some(record) = record_of(&self.requests, id).and_then(|index| ledger.get_mut(index)) {
                    record.admitted = Some(now);
                }
            }
            Event::Token { id, since_previous, .. } => {
                self.counters.first_tokens += 1;
                if let Some(record) = record_of(&self.requests, id).and_then(|index| ledger.get_mut(index)) {
                    // The engine counts from when the request came to it; it may have waited before.
                    let submitted = record.submitted.unwrap_or(record.arrived);
                    self.counters.ttft += since_previous;
                    record.first_token = Some(submitted + since_previous);
                }
            }
            Event::Finished(finished) => {
                let Some(record) = record_of(&self.requests, finished.id).and_then(|index| ledger.get_mut(index))
                else {
                    return;
                };
                record.admitted = finished.admitted;
                record.first_token = finished.first_token;
                record.generated = finished.generated_tokens;
                record.ended = Some(finished.ended);
                record.pod = None;
                if finished.reason != FinishReason::Abort {
                    record.end = End::Answered;
                    self.counters.answered += 1;
                    self.counters.prompt_tokens += u64::from(finished.prompt_tokens);
                    self.counters.output_tokens += u64::from(finished.generated_tokens);
                }
            }
            Event::Preempted { .. } | Event::Step { .. } => {}
        }
    }

    /// Takes a request. It must have worked until `now`.
    pub(super) fn take(&mut self, index: RequestIndex, arrival: &Arrival, record: &mut Record, now: Duration) {
        let request = NewRequest {
            prompt_tokens: arrival.prompt,
            block_hashes: Vec::new(),
            output_tokens: arrival.output,
            finish_reason: FinishReason::Length,
        };
        if let Ok(id) = self.engine.submit(request, now) {
            self.requests.push(index);
            (record.pod, record.submitted, record.number) = (Some(self.serial), Some(now), id.number());
        } else {
            (record.end, record.ended) = (End::Refused, Some(now));
        }
    }

    /// Drops a request for a reason. It must have worked until `now`.
    pub(super) fn drop_request(&mut self, index: RequestIndex, end: End, ledger: &mut [Record], now: Duration) {
        let Some(record) = ledger.get(index).filter(|record| record.pod == Some(self.serial)) else { return };
        self.engine.cancel(vllm_engine::RequestId::of(record.number), now);
        self.work(ledger, now);
        if let Some(record) = ledger.get_mut(index) {
            record.end = end;
        }
    }

    /// Its requests that have not ended.
    pub(super) fn open_requests(&self, ledger: &[Record]) -> Vec<RequestIndex> {
        let is_open = |index: &&RequestIndex| ledger.get(**index).is_some_and(|record| record.pod == Some(self.serial));
        self.requests.iter().filter(is_open).copied().collect()
    }
}
