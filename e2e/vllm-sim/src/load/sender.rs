//! One request after the other.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use reqwest::StatusCode;
use serde_json::json;

use super::tally::{Answered, Outcome, Tally, lock};
use super::{Arrival, LoadError, Plan};

/// A closed loop takes a breath after a failure: a server that refuses at once would otherwise be hammered.
pub(super) const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Makes requests and counts what becomes of them.
#[derive(Debug)]
pub(super) struct Sender {
    client: reqwest::Client,
    tally: Arc<Mutex<Tally>>,
    model: String,
    prompt_tokens: u32,
    max_tokens: u32,
    /// First word of every prompt, so that two loads on one server share nothing.
    salt: String,
    sent: u32,
    stream: bool,
}

/// Counts the request even when its task is dropped half-way.
struct InFlight {
    tally: Arc<Mutex<Tally>>,
    endpoint: Option<String>,
    outcome: Option<Outcome>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        lock(&self.tally).settle(self.endpoint.as_deref(), self.outcome.take());
    }
}

impl Sender {
    pub(super) fn new(plan: &Plan, tally: Arc<Mutex<Tally>>, stream: bool) -> Result<Self, LoadError> {
        // reqwest asks for a process-wide provider even though only plain HTTP is spoken; a first one may be there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            client: reqwest::Client::builder().no_proxy().timeout(plan.timeout).build()?,
            tally,
            model: plan.model.clone(),
            prompt_tokens: plan.prompt_tokens,
            max_tokens: plan.max_tokens,
            salt: uuid::Uuid::new_v4().simple().to_string()[..8].to_owned(),
            sent: 0,
            stream,
        })
    }

    /// Counts a request as sent now and gives the future that carries it out. Its lengths are those of `arrival` where it
    /// has some. After anything but an answer that future lasts `pause` longer.
    pub(super) fn send(
        &mut self,
        endpoints: &[String],
        arrival: Option<Arrival>,
        pause: Duration,
    ) -> impl Future<Output = ()> + Send + use<> {
        let prompt_tokens = arrival.and_then(|arrival| arrival.prompt_tokens).unwrap_or(self.prompt_tokens);
        let max_tokens = arrival.and_then(|arrival| arrival.max_tokens).unwrap_or(self.max_tokens);
        self.sent = self.sent.wrapping_add(1);
        let endpoint = lock(&self.tally).dispatch(endpoints);
        let request = endpoint.as_ref().map(|base| {
            let body = json!({
                "model": self.model,
                "prompt": prompt(&self.salt, self.sent, prompt_tokens),
                "max_tokens": max_tokens,
                "ignore_eos": true,
                "stream": self.stream,
            });
            self.client.post(format!("{}/v1/completions", base.trim_end_matches('/'))).json(&body)
        });
        let mut in_flight = InFlight { tally: Arc::clone(&self.tally), endpoint, outcome: None };
        async move {
            let outcome = match request {
                Some(request) => carry_out(request).await,
                None => Outcome::Failed("no server to send to".to_owned()),
            };
            let answered = matches!(outcome, Outcome::Ok(_));
            in_flight.outcome = Some(outcome);
            drop(in_flight);
            if !answered && !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }
}

async fn carry_out(request: reqwest::RequestBuilder) -> Outcome {
    let started = Instant::now();
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Outcome::Failed(with_causes(&error)),
    };
    let status = response.status();
    let streamed = response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
    let mut answered = Answered::default();
    let mut last = None;
    // The answer counts once its last byte is here.
    let mut body = response.bytes_stream();
    while let Some(part) = body.next().await {
        let part = match part {
            Ok(part) => part,
            Err(error) => return Outcome::Failed(with_causes(&error)),
        };
        // An event is a line `data: …`; every token comes as one, and several may come at once.
        for _ in 0..events(&part).min(if streamed { usize::MAX } else { 0 }) {
            let now = Instant::now();
            match last.replace(now) {
                None => answered.ttft = Some(now - started),
                Some(before) => answered.gaps.push(now - before),
            }
        }
    }
    answered.latency = started.elapsed();
    match status {
        StatusCode::TOO_MANY_REQUESTS => Outcome::Rejected,
        status if status.is_success() => Outcome::Ok(answered),
        status => Outcome::Failed(format!("HTTP status {status}")),
    }
}

/// Server-sent events that begin in a part of a body, but for the one that only says that it is over.
fn events(part: &[u8]) -> usize {
    let begins = |prefix: &'static [u8]| part.windows(prefix.len()).filter(move |window| *window == prefix).count();
    begins(b"data: ") - begins(b"data: [DONE]")
}

/// `tokens` words of at most eight characters, the first two different in every request.
fn prompt(salt: &str, number: u32, tokens: u32) -> String {
    let number = format!("{number:x}");
    let unique = [number.as_str(), salt];
    let filler = std::iter::repeat("word");
    let words = unique.into_iter().chain(filler).take(usize::try_from(tokens.max(1)).unwrap_or(usize::MAX));
    words.collect::<Vec<_>>().join(" ")
}

fn with_causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Prompt;
    use rstest::rstest;

    #[rstest]
    #[case(b"data: {}\n\ndata: {}\n\n", 2)]
    #[case(b"data: {}\n\ndata: [DONE]\n\n", 1)]
    #[case(b"rest of one\n\n", 0)]
    fn tokens_are_counted_and_the_end_is_not(#[case] part: &[u8], #[case] expect: usize) {
        assert_eq!(events(part), expect);
    }

    #[rstest]
    #[case(1)]
    #[case(2)]
    #[case(500)]
    fn a_prompt_has_the_tokens_asked_for(#[case] tokens: u32) {
        assert_eq!(Prompt::from_text(&prompt("0a1b2c3d", u32::MAX, tokens)).len(), tokens);
    }

    #[test]
    fn no_two_prompts_start_alike() {
        let (first, second) = (prompt("salt", 1, 64), prompt("salt", 2, 64));
        assert_ne!(Prompt::from_text(&first).block_hashes(16)[0], Prompt::from_text(&second).block_hashes(16)[0]);
    }
}
