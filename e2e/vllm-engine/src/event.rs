//! What the engine tells its caller.

use std::time::Duration;

/// Names a request within one engine, in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

impl RequestId {
    /// The request before which the engine had accepted so many.
    pub fn of(number: u64) -> Self {
        Self(number)
    }

    /// How many requests the engine had accepted before this one.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Why an answer ended; the words are those of vLLM's `finished_reason` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FinishReason {
    /// The model said all it had to say.
    Stop,
    /// The answer reached the number of tokens asked for.
    Length,
    /// The client went away.
    Abort,
}

impl FinishReason {
    /// Every reason, in the order vLLM lists them.
    pub const ALL: [Self; 3] = [Self::Stop, Self::Length, Self::Abort];

    /// The word used in answers and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Abort => "abort",
        }
    }
}

/// Something that happened. Times are those of the engine's clock.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A request was admitted to the batch for the first time.
    Admitted {
        /// Which one.
        id: RequestId,
        /// Tokens of its prompt.
        prompt_tokens: u32,
        /// Of these, found in the prefix cache.
        cached_tokens: u32,
    },
    /// A running request lost its blocks and went back to the head of the queue.
    Preempted {
        /// Which one.
        id: RequestId,
    },
    /// One token of an answer.
    Token {
        /// Whose answer.
        id: RequestId,
        /// Prompt tokens that this first token completes; `None` for the later ones.
        completes_prompt: Option<u32>,
        /// Whether the answer is complete with it; a [`Event::Finished`] follows.
        last: bool,
        /// Time since the previous token, or since arrival for the first one.
        since_previous: Duration,
    },
    /// A request left the engine.
    Finished(Finished),
    /// An iteration ended.
    Step {
        /// Tokens it computed, prompts and answers together.
        computed_tokens: u32,
    },
}

/// The life of a request that left the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Which one.
    pub id: RequestId,
    /// Why it ended.
    pub reason: FinishReason,
    /// Tokens of its prompt.
    pub prompt_tokens: u32,
    /// Tokens of its answer, as far as it came.
    pub generated_tokens: u32,
    /// Arrival.
    pub arrived: Duration,
    /// First admission to the batch, if it came so far.
    pub admitted: Option<Duration>,
    /// First token, if it came so far.
    pub first_token: Option<Duration>,
    /// The end.
    pub ended: Duration,
}
