//! Writing answers, whole and in chunks.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Endpoint;
use crate::engine::FinishReason;
use crate::tokens::answer_token;

/// What stays the same over all chunks of one answer.
#[derive(Debug, Clone)]
pub struct Answer {
    endpoint: Endpoint,
    id: String,
    model: String,
    created: u64,
    /// Draws the words.
    seed: u64,
}

/// The sizes reported with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of the answer.
    pub completion_tokens: u32,
}

// === impl Answer ===

impl Answer {
    /// An answer by `model`, created now, with words drawn from `seed`.
    pub fn new(endpoint: Endpoint, model: &str, seed: u64) -> Self {
        let prefix = match endpoint {
            Endpoint::Completions => "cmpl",
            Endpoint::Chat => "chatcmpl",
        };
        Self {
            endpoint,
            id: format!("{prefix}-{}", uuid::Uuid::new_v4().simple()),
            model: model.to_owned(),
            created: unix_seconds(),
            seed,
        }
    }

    /// The whole answer.
    pub fn whole(&self, usage: Usage, reason: FinishReason) -> Value {
        let text: String = (0..usage.completion_tokens).map(|index| self.word(index)).collect();
        let choice = match self.endpoint {
            Endpoint::Completions => json!({"text": text}),
            Endpoint::Chat => json!({"message": {"role": "assistant", "content": text}}),
        };
        let object = match self.endpoint {
            Endpoint::Completions => "text_completion",
            Endpoint::Chat => "chat.completion",
        };
        let mut body = self.body(object, &[choice_with(choice, Some(reason))]);
        body["usage"] = usage.to_json();
        body
    }

    /// What a chat stream starts with: the role, before any token.
    pub fn opening_chunk(&self) -> Option<Value> {
        match self.endpoint {
            Endpoint::Completions => None,
            Endpoint::Chat => Some(self.chunk(json!({"delta": {"role": "assistant", "content": ""}}), None)),
        }
    }

    /// Token `index` of a stream; the last one carries the reason of the end.
    pub fn token_chunk(&self, index: u32, reason: Option<FinishReason>) -> Value {
        let text = self.word(index);
        let choice = match self.endpoint {
            Endpoint::Completions => json!({"text": text}),
            Endpoint::Chat => json!({"delta": {"content": text}}),
        };
        self.chunk(choice, reason)
    }

    /// The chunk without choices that ends a stream whose client asked for usage.
    pub fn usage_chunk(&self, usage: Usage) -> Value {
        let mut body = self.body(self.chunk_object(), &[]);
        body["usage"] = usage.to_json();
        body
    }

    fn chunk(&self, choice: Value, reason: Option<FinishReason>) -> Value {
        self.body(self.chunk_object(), &[choice_with(choice, reason)])
    }

    fn chunk_object(&self) -> &'static str {
        match self.endpoint {
            Endpoint::Completions => "text_completion",
            Endpoint::Chat => "chat.completion.chunk",
        }
    }

    fn body(&self, object: &str, choices: &[Value]) -> Value {
        json!({"id": self.id, "object": object, "created": self.created, "model": self.model, "choices": choices})
    }

    /// Words are separated by the space in front of all but the first.
    fn word(&self, index: u32) -> String {
        let space = if index == 0 { "" } else { " " };
        format!("{space}{}", answer_token(self.seed, index))
    }
}

fn choice_with(mut choice: Value, reason: Option<FinishReason>) -> Value {
    choice["index"] = json!(0);
    choice["logprobs"] = Value::Null;
    choice["finish_reason"] = json!(reason.map(FinishReason::as_str));
    choice
}

/// Seconds since 1970, as the API states times.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

// === impl Usage ===

impl Usage {
    fn to_json(self) -> Value {
        let Self { prompt_tokens, completion_tokens } = self;
        json!({
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": u64::from(prompt_tokens) + u64::from(completion_tokens),
        })
    }
}
