//! Answers as server-sent events.

use std::convert::Infallible;

use axum::response::sse::Event as SseEvent;
use futures::{Stream, StreamExt as _, stream};
use serde_json::Value;

use crate::driver::{Ticket, Update};
use crate::engine::FinishReason;
use crate::openai::{Answer, Usage};

/// An answer to be streamed.
pub(super) struct Streaming {
    pub(super) ticket: Ticket,
    pub(super) answer: Answer,
    pub(super) prompt_tokens: u32,
    /// Why the answer will end, for the chunk with its last token.
    pub(super) reason: FinishReason,
    pub(super) include_usage: bool,
}

impl Streaming {
    /// Server-sent events: one chunk per token, the usage if asked for, `[DONE]`. A server that stops before the end
    /// ends the stream without `[DONE]`, as a dying one would.
    pub(super) fn into_events(self) -> impl Stream<Item = Result<SseEvent, Infallible>> {
        let opening = self.answer.opening_chunk();
        let first = stream::iter(opening.map(|chunk| Ok(event(&chunk))));
        let rest = stream::unfold(Progress { streaming: self, sent: 0, next: Next::Token }, Progress::step);
        first.chain(rest)
    }
}

/// How far the stream is.
struct Progress {
    streaming: Streaming,
    sent: u32,
    next: Next,
}

/// What comes next.
enum Next {
    /// A token, or what follows the last one.
    Token,
    /// The end mark, after the usage.
    Done,
    Nothing,
}

impl Progress {
    async fn step(mut self) -> Option<(Result<SseEvent, Infallible>, Self)> {
        let event = match self.next {
            Next::Token => self.next_token().await?,
            Next::Done => {
                self.next = Next::Nothing;
                SseEvent::default().data("[DONE]")
            }
            Next::Nothing => return None,
        };
        Some((Ok(event), self))
    }

    async fn next_token(&mut self) -> Option<SseEvent> {
        let Streaming { ticket, answer, prompt_tokens, reason, include_usage } = &mut self.streaming;
        match ticket.next().await? {
            Update::Token { last } => {
                let index = self.sent;
                self.sent += 1;
                Some(event(&answer.token_chunk(index, last.then_some(*reason))))
            }
            Update::Finished(finished) if *include_usage => {
                self.next = Next::Done;
                let usage = Usage { prompt_tokens: *prompt_tokens, completion_tokens: finished.generated_tokens };
                Some(event(&answer.usage_chunk(usage)))
            }
            Update::Finished(_) => {
                self.next = Next::Nothing;
                Some(SseEvent::default().data("[DONE]"))
            }
        }
    }
}

fn event(chunk: &Value) -> SseEvent {
    SseEvent::default().data(chunk.to_string())
}
