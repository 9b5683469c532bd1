//! May this caller read metrics? The API server decides: who the token's bearer is (`TokenReview`) and whether they may
//! (`SubjectAccessReview`).

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use sha2::{Digest as _, Sha256};

use crate::lock::lock;

/// How long a yes holds. A scraper asks every few seconds; a right that is withdrawn ends within this time.
const REMEMBER: Duration = Duration::from_mins(1);
/// How long a no holds: a right that is granted counts soon.
const REMEMBER_NO: Duration = Duration::from_secs(10);
/// Answers remembered at most; beyond it all are forgotten, so that made-up tokens cannot fill the memory.
const CAPACITY: usize = 1000;
/// Time limit of one review.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Answer to "may this caller?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allowed,
    /// The token is missing or not valid.
    Unauthenticated,
    /// The caller is known but lacks the right.
    Denied {
        /// Who it is.
        user: String,
    },
    /// The API server did not answer.
    Unknown {
        /// Why.
        why: String,
    },
}

/// Asks the API server and remembers its answers for a while.
pub struct Authenticator {
    client: Client,
    remembered: Mutex<HashMap<[u8; 32], (Instant, Verdict)>>,
}

impl Authenticator {
    /// Asks through this client, whose account needs the right to create both reviews.
    pub fn new(client: Client) -> Self {
        Self { client, remembered: Mutex::default() }
    }

    /// Whether the bearer of `token` may `verb` the non-resource `path`.
    pub async fn check(&self, token: Option<&str>, verb: &str, path: &str) -> Verdict {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Verdict::Unauthenticated };
        let question: [u8; 32] = Sha256::digest(format!("{verb}\0{path}\0{token}")).into();
        if let Some(verdict) = self.remembered(&question, Instant::now()) {
            return verdict;
        }
        let verdict = match tokio::time::timeout(TIMEOUT, self.ask(token, verb, path)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => return Verdict::Unknown { why: crate::api_error::words(&error) },
            Err(_) => return Verdict::Unknown { why: "the API server did not answer in time".to_owned() },
        };
        self.remember(question, verdict.clone(), Instant::now());
        verdict
    }

    async fn ask(&self, token: &str, verb: &str, path: &str) -> Result<Verdict, kube::Error> {
        let review = TokenReview {
            spec: TokenReviewSpec { token: Some(token.to_owned()), audiences: None },
            ..TokenReview::default()
        };
        let review = Api::<TokenReview>::all(self.client.clone()).create(&PostParams::default(), &review).await?;
        let status = review.status.unwrap_or_default();
        let (Some(true), Some(user)) = (status.authenticated, status.user) else { return Ok(Verdict::Unauthenticated) };
        let UserInfo { username, groups, uid, extra } = user;
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: username.clone(),
                groups,
                uid,
                extra,
                non_resource_attributes: Some(NonResourceAttributes {
                    path: Some(path.to_owned()),
                    verb: Some(verb.to_owned()),
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let review =
            Api::<SubjectAccessReview>::all(self.client.clone()).create(&PostParams::default(), &review).await?;
        let allowed = review.status.is_some_and(|status| status.allowed && status.denied != Some(true));
        Ok(if allowed { Verdict::Allowed } else { Verdict::Denied { user: username.unwrap_or_default() } })
    }

    fn remembered(&self, question: &[u8; 32], now: Instant) -> Option<Verdict> {
        let remembered = lock(&self.remembered);
        let (until, verdict) = remembered.get(question)?;
        (now < *until).then(|| verdict.clone())
    }

    fn remember(&self, question: [u8; 32], verdict: Verdict, now: Instant) {
        let mut remembered = lock(&self.remembered);
        if remembered.len() >= CAPACITY {
            remembered.clear();
        }
        let holds = if verdict == Verdict::Allowed { REMEMBER } else { REMEMBER_NO };
        remembered.insert(question, (now + holds, verdict));
    }
}

#[cfg(test)]
mod tests;
