//! The emulated inference engine: continuous batching over a paged KV cache.
//!
//! Pure. Time is an argument, measured since the engine was made; nothing here sleeps, locks or draws random
//! numbers. The shape is that of vLLM's scheduler: every iteration first continues the running sequences, then
//! admits waiting ones in order of arrival while slots, token budget and KV blocks last; when a running sequence
//! finds no free block, the youngest running one is preempted and computed again later. An iteration takes as long
//! as [`IterationTime`] says for the tokens it computes and the tokens it reads.
//!
//! The caller submits, and calls [`Engine::advance`] whenever [`Engine::next_event`] has come. Whoever does not care for
//! single tokens asks for [`Engine::without_tokens`], which gives the same answers many times faster.

mod blocks;
mod event;
pub mod gpu;
mod prefix;
pub mod rng;
mod schedule;
mod sequence;
mod stretch;
mod timing;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

pub use self::blocks::BlockPool;
pub use self::event::{Event, FinishReason, Finished, RequestId};
use self::prefix::PrefixCache;
use self::sequence::Sequence;
use self::stretch::Stretch;
pub use self::timing::{IterationTime, LoadFactor};

/// What the emulated GPU and its scheduler can do.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Sequences that run at once (`--max-num-seqs`).
    pub max_num_seqs: u32,
    /// Sequences that may wait beyond those the next iteration admits; more are refused.
    pub max_num_waiting: u32,
    /// Tokens that one iteration may compute, prompts and answers together (`--max-num-batched-tokens`).
    pub max_num_batched_tokens: u32,
    /// Prompt and answer of one request together, in tokens (`--max-model-len`).
    pub max_model_len: u32,
    /// Blocks of the KV cache (`--num-gpu-blocks-override`).
    pub num_gpu_blocks: u32,
    /// Tokens a KV block holds (`--block-size`).
    pub block_size: u32,
    /// Whether prompts reuse the blocks of earlier prompts that start alike.
    pub prefix_caching: bool,
    /// How long an iteration takes.
    pub iteration_time: IterationTime,
    /// How much longer it takes as the slots fill.
    pub load_factor: LoadFactor,
}

/// A request as the engine sees it: sizes, no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    /// Length of the prompt, in tokens; at least one.
    pub prompt_tokens: u32,
    /// Chained hashes of the prompt's full blocks, first block first; empty when prefix caching is of no interest.
    pub block_hashes: Vec<u64>,
    /// Tokens the answer will have; at least one.
    pub output_tokens: u32,
    /// Why the answer will end there.
    pub finish_reason: FinishReason,
}

/// Why a request was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue is full; the client should come back later.
    #[error("the queue is full: {waiting} requests wait, the limit is {limit}")]
    QueueFull {
        /// Requests waiting now.
        waiting: u32,
        /// The configured limit.
        limit: u32,
    },
    /// The request could never be served.
    #[error(
        "prompt ({prompt_tokens} tokens) and answer ({output_tokens} tokens) exceed the context length of {limit} tokens"
    )]
    TooLong {
        /// Length of the prompt.
        prompt_tokens: u32,
        /// Length of the answer asked for.
        output_tokens: u32,
        /// The configured context length.
        limit: u32,
    },
}

/// What the engine holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Sequences in the batch.
    pub running: u32,
    /// Sequences that the last scheduling left waiting. As in vLLM, those that arrived during the current iteration
    /// are not seen yet.
    pub waiting: u32,
    /// KV blocks in use.
    pub used_blocks: u32,
    /// KV blocks in use as a fraction of all, 0 to 1.
    pub kv_usage: f64,
}

/// What all sequences together have waited between two tokens, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Tokens after the first of their answers.
    pub count: u64,
    /// Time from the token before to each of them, added up.
    pub time: Duration,
}

/// The engine. See the module documentation.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    blocks: BlockPool,
    prefixes: PrefixCache,
    /// In order of admission: the last one is preempted first.
    running: Vec<Sequence>,
    /// In order of arrival, preempted sequences in front.
    waiting: VecDeque<Sequence>,
    step: Option<Step>,
    /// Iterations that need not be looked at one by one.
    stretch: Option<Stretch>,
    /// Whether each token is an event of its own.
    tells_tokens: bool,
    gaps: Gaps,
    next_id: u64,
    events: Vec<Event>,
}

/// One iteration in flight.
#[derive(Debug, Clone, Copy)]
struct Step {
    started: Duration,
    ends: Duration,
    computed_tokens: u32,
}

// === impl Engine ===

impl Engine {
    /// An idle engine with an empty cache.
    pub fn new(settings: Settings) -> Self {
        Self {
            blocks: BlockPool::new(settings.num_gpu_blocks, settings.block_size),
            prefixes: PrefixCache::new(settings.num_gpu_blocks),
            running: Vec::new(),
            waiting: VecDeque::new(),
            step: None,
            stretch: None,
            tells_tokens: true,
            gaps: Gaps::default(),
            next_id: 0,
            events: Vec::new(),
            settings,
        }
    }

    /// An idle engine that tells of each answer its first token and its end, and of iterations nothing. It does all that
    /// one of [`Engine::new`] does at the same moments, and needs no time for iterations in which every sequence only gets
    /// its next token.
    pub fn without_tokens(settings: Settings) -> Self {
        Self { tells_tokens: false, ..Self::new(settings) }
    }

    /// The settings the engine was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Queues a request that arrives at `now`. The engine must have been advanced to `now`.
    pub fn submit(&mut self, request: NewRequest, now: Duration) -> Result<RequestId, Refused> {
        let needed = request.prompt_tokens.saturating_add(request.output_tokens);
        let limit = self.settings.max_model_len.min(self.blocks.capacity_tokens());
        if needed > limit {
            return Err(Refused::TooLong {
                prompt_tokens: request.prompt_tokens,
                output_tokens: request.output_tokens,
                limit,
            });
        }
        self.leave_stretch();
        if self.queue_is_full() {
            return Err(Refused::QueueFull {
                waiting: count(self.waiting.len()),
                limit: self.settings.max_num_waiting,
            });
        }
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.waiting.push_back(Sequence::new(id, request, now));
        if self.step.is_none() {
            self.schedule(now);
        }
        Ok(id)
    }

    /// Drops a request whose client went away; its slot and blocks are free at once. Unknown ids are ignored: the
    /// request may just have finished.
    pub fn cancel(&mut self, id: RequestId, now: Duration) {
        self.leave_stretch();
        let sequence = if let Some(index) = self.running.iter().position(|s| s.id == id) {
            self.running.remove(index)
        } else if let Some(index) = self.waiting.iter().position(|s| s.id == id) {
            let Some(sequence) = self.waiting.remove(index) else { return };
            sequence
        } else {
            return;
        };
        self.blocks.release(sequence.blocks);
        self.events.push(Event::Finished(sequence.finished(now, FinishReason::Abort)));
    }

    /// Completes every iteration that has ended by `now` and returns what happened since the last call, in order.
    pub fn advance(&mut self, now: Duration) -> Vec<Event> {
        while let Some(step) = self.step.filter(|step| step.ends <= now) {
            if self.pass_step(step) {
                continue;
            }
            self.finish_step(step);
            self.schedule(step.ends);
        }
        std::mem::take(&mut self.events)
    }

    /// When [`Engine::advance`] next has something to do; `None` while the engine is idle.
    pub fn next_event(&self) -> Option<Duration> {
        self.step.map(|step| step.ends)
    }

    /// What the engine holds now.
    pub fn load(&self) -> Load {
        let unseen = match self.step {
            Some(step) => self.waiting.iter().rev().take_while(|s| s.arrived > step.started).count(),
            None => 0,
        };
        let used_blocks = self.blocks.used() + self.unbooked_blocks();
        Load {
            running: count(self.running.len()),
            waiting: count(self.waiting.len() - unseen),
            used_blocks,
            kv_usage: self.blocks.share(used_blocks),
        }
    }

    /// Requests in it, those that just arrived as well.
    pub fn in_flight(&self) -> u32 {
        count(self.running.len() + self.waiting.len())
    }

    /// What sequences have waited between two tokens.
    pub fn gaps(&self) -> Gaps {
        self.gaps
    }

    /// Requests that the next iteration will admit anyway do not count: with five free slots and a limit of two,
    /// a burst of seven is accepted although all seven wait for the current iteration to end.
    fn queue_is_full(&self) -> bool {
        if count(self.waiting.len()) < self.settings.max_num_waiting {
            return false;
        }
        let mut free_slots = self.settings.max_num_seqs.saturating_sub(count(self.running.len()));
        let mut free_blocks = self.blocks.free();
        let mut admissible = 0;
        for sequence in &self.waiting {
            let blocks = self.blocks.blocks_for(sequence.remaining_tokens());
            if free_slots == 0 || blocks > free_blocks {
                break;
            }
            free_slots -= 1;
            free_blocks -= blocks;
            admissible += 1;
        }
        let next_step_has_room = self.waiting.len() == admissible && free_slots > 0 && free_blocks > 0;
        !next_step_has_room && count(self.waiting.len() - admissible) >= self.settings.max_num_waiting
    }
}

/// Queues are bounded by `u32` settings, so their lengths fit.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
