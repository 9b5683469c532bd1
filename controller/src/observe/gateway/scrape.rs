//! Asking an endpoint picker for its queue.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, InvalidHeaderValue};
use reqwest::{Client, StatusCode, redirect};

use super::queue::{self, Malformed, Queue};
use crate::config::Token;

/// Time limit of one page.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A pod of the same cluster takes a connection at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Largest page that is read; a picker's has some ten kilobytes.
const MOST_BYTES: usize = 16 << 20;

/// Pickers cannot be asked with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The token is not one.
    #[error(
        "configuration: EPP_METRIC_READER_BEARER_TOKEN cannot be sent in a header: {0}; is there a line break in it?"
    )]
    Token(#[from] InvalidHeaderValue),
    /// There is no client.
    #[error("cannot set up HTTP to endpoint pickers: {0}")]
    Client(#[from] reqwest::Error),
}

/// A page could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// It wants a token, or another one.
    #[error("HTTP {0}; EPP_METRIC_READER_BEARER_TOKEN must be the token of a service account that may get /metrics")]
    Refused(StatusCode),
    /// It answered something else.
    #[error("HTTP {0}")]
    Status(StatusCode),
    /// It does not end.
    #[error("the page has more than {} MiB", MOST_BYTES >> 20)]
    TooLong,
    /// It is not a metrics page.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// What the pods of a picker said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Requests that wait, over all pods that answered.
    pub queue: Queue,
    /// The first failure among those that did not; then more requests may wait than the queue says.
    pub failure: Option<String>,
}

/// Asks pickers.
#[derive(Clone, Debug)]
pub struct Scraper {
    client: Client,
    token: Option<HeaderValue>,
}

impl Scraper {
    /// With the token as users write it: with or without the word `Bearer` before it, or empty.
    ///
    /// # Errors
    /// When the token cannot be sent.
    pub fn new(token: Option<&Token>) -> Result<Self, SetupError> {
        let token = match token {
            Some(Token::Value(token)) => token,
            // Pickers have no key for a file.
            Some(Token::File(_)) | None => "",
        };
        // Pods are asked by address, and no certificate is made out to one: what TLS is for here is that the token is
        // not sent in the clear. A page that sends us elsewhere does not get the token.
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("wva-controller/", env!("CARGO_PKG_VERSION")))
            .tls_danger_accept_invalid_certs(true)
            .build()?;
        Ok(Self { client, token: authorization(token)? })
    }

    /// Reads the pages of one picker at the same time and adds them up.
    pub async fn ask(&self, pages: &[String]) -> Answer {
        let mut asked: FuturesUnordered<_> =
            pages.iter().map(|page| async move { (page, self.read(page).await) }).collect();
        let mut answer = Answer::default();
        while let Some((page, read)) = asked.next().await {
            match read {
                Ok(queue) => {
                    for (model, waiting) in queue {
                        *answer.queue.entry(model).or_default() += waiting;
                    }
                }
                Err(error) => {
                    answer.failure.get_or_insert_with(|| format!("{page}: {error}"));
                }
            }
        }
        answer
    }

    async fn read(&self, page: &str) -> Result<Queue, Error> {
        let mut request = self.client.get(page).header(ACCEPT, "text/plain;version=0.0.4");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let mut answer = request.send().await.map_err(|error| connection(&error))?;
        match answer.status() {
            StatusCode::OK => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => return Err(Error::Refused(status)),
            status => return Err(Error::Status(status)),
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| connection(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST_BYTES {
                return Err(Error::TooLong);
            }
        }
        Ok(queue::parse(&String::from_utf8_lossy(&body))?)
    }
}

fn authorization(token: &str) -> Result<Option<HeaderValue>, InvalidHeaderValue> {
    let token = token.trim();
    let bare = match token.split_once(char::is_whitespace) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim_start(),
        _ => token,
    };
    if bare.is_empty() {
        return Ok(None);
    }
    let mut header = HeaderValue::from_str(&format!("Bearer {bare}"))?;
    header.set_sensitive(true);
    Ok(Some(header))
}

/// The last cause ("connection refused") is the interesting one; the address stands before it anyway.
fn connection(error: &reqwest::Error) -> Error {
    if error.is_timeout() {
        return Error::Connection(format!("no answer within {} s", TIMEOUT.as_secs()));
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Error::Connection(cause.to_string())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Request;
    use axum::response::{IntoResponse as _, Response};
    use rstest::rstest;

    use super::*;

    fn scraper(token: &str) -> Scraper {
        Scraper::new(Some(&Token::Value(token.to_owned()))).unwrap()
    }

    /// A picker that wants `token`; answers with one waiting request.
    async fn picker(token: &'static str) -> String {
        let answer = move |request: Request| async move {
            let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            if given != Some(token) {
                return StatusCode::UNAUTHORIZED.into_response();
            }
            let page = "inference_extension_flow_control_queue_size{target_model_name=\"llama\"} 1\n";
            Response::new(page.into())
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let page = format!("http://{}/metrics", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
        page
    }

    #[rstest]
    #[case::plain("secret")]
    #[case::as_the_guide_has_it("Bearer secret")]
    #[case::lower_case_with_line_break("bearer  secret\n")]
    #[tokio::test]
    async fn the_token_is_sent_once_with_its_scheme(#[case] token: &str) {
        crate::install_crypto();
        let page = picker("Bearer secret").await;
        let answer = scraper(token).ask(&[page]).await;
        assert_eq!(answer, Answer { queue: [("llama".to_owned(), 1.0)].into(), failure: None });
    }

    #[tokio::test]
    async fn one_pod_that_fails_hides_nothing_of_the_others_and_is_told() {
        crate::install_crypto();
        let (good, strict) = (picker("Bearer secret").await, picker("Bearer other").await);
        let answer = scraper("secret").ask(&[strict.clone(), good.clone(), good]).await;
        assert_eq!(answer.queue, [("llama".to_owned(), 2.0)].into());
        let failure = answer.failure.unwrap();
        assert!(failure.starts_with(&strict) && failure.contains("EPP_METRIC_READER_BEARER_TOKEN"), "{failure}");
    }

    #[tokio::test]
    async fn a_pod_that_is_not_there_is_a_failure_in_words() {
        crate::install_crypto();
        let answer = scraper("").ask(&["http://127.0.0.1:1/metrics".to_owned()]).await;
        assert!(answer.failure.unwrap().contains("refused"));
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused_at_the_start() {
        crate::install_crypto();
        let error = Scraper::new(Some(&Token::Value("sec\nret".to_owned()))).unwrap_err();
        assert!(error.to_string().contains("EPP_METRIC_READER_BEARER_TOKEN"), "{error}");
    }
}
