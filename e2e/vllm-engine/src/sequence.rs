//! One request on its way through the engine.

use std::time::Duration;

use super::NewRequest;
use super::event::{FinishReason, Finished, RequestId};

/// A request with its progress.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) id: RequestId,
    pub(super) request: NewRequest,
    /// Tokens generated so far; they survive a preemption.
    pub(super) generated: u32,
    /// Tokens whose keys and values are in the cache.
    pub(super) computed: u32,
    /// Tokens that the iteration in flight adds to `computed`.
    pub(super) in_step: u32,
    /// KV blocks held.
    pub(super) blocks: u32,
    pub(super) arrived: Duration,
    pub(super) admitted: Option<Duration>,
    pub(super) first_token: Option<Duration>,
    pub(super) last_token: Option<Duration>,
}

impl Sequence {
    pub(super) fn new(id: RequestId, request: NewRequest, now: Duration) -> Self {
        Self {
            id,
            request,
            generated: 0,
            computed: 0,
            in_step: 0,
            blocks: 0,
            arrived: now,
            admitted: None,
            first_token: None,
            last_token: None,
        }
    }

    /// Tokens still to compute before the next token of the answer: the whole prompt at first, then one at a time,
    /// and everything again after a preemption.
    pub(super) fn remaining_tokens(&self) -> u32 {
        self.request.prompt_tokens + self.generated - self.computed
    }

    /// Forgets what was computed. The blocks must have been released.
    pub(super) fn reset(&mut self) {
        self.computed = 0;
        self.in_step = 0;
        self.blocks = 0;
    }

    /// The record of a sequence that leaves the engine at `now`.
    pub(super) fn finished(&self, now: Duration, reason: FinishReason) -> Finished {
        Finished {
            id: self.id,
            reason,
            prompt_tokens: self.request.prompt_tokens,
            generated_tokens: self.generated,
            arrived: self.arrived,
            admitted: self.admitted,
            first_token: self.first_token,
            ended: now,
        }
    }
}
