//! One request after the other.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;

use super::tally::{Outcome, Tally, lock};
use super::{LoadError, Plan};

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
    pub(super) fn new(plan: &Plan, tally: Arc<Mutex<Tally>>) -> Result<Self, LoadError> {
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
        })
    }

    /// Counts a request as sent now and gives the future that carries it out. After anything but an answer that
    /// future lasts `pause` longer.
    pub(super) fn send(&mut self, endpoints: &[String], pause: Duration) -> impl Future<Output = ()> + Send + use<> {
        self.sent = self.sent.wrapping_add(1);
        let endpoint = lock(&self.tally).dispatch(endpoints);
        let request = endpoint.as_ref().map(|base| {
            let body = json!({
                "model": self.model,
                "prompt": prompt(&self.salt, self.sent, self.prompt_tokens),
                "max_tokens": self.max_tokens,
                "ignore_eos": true,
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
    let status = match request.send().await {
        // The answer counts once its last byte is here.
        Ok(response) => {
            let status = response.status();
            response.bytes().await.map(|_| status)
        }
        Err(error) => Err(error),
    };
    match status {
        Ok(StatusCode::TOO_MANY_REQUESTS) => Outcome::Rejected,
        Ok(status) if status.is_success() => Outcome::Ok(started.elapsed()),
        Ok(status) => Outcome::Failed(format!("HTTP status {status}")),
        Err(error) => Outcome::Failed(with_causes(&error)),
    }
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
