//! One reading of the cluster for all browsers, and what is answered when it fails.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::DashboardView;
use super::reader::Reader;
use super::server::Answers;
use crate::Error;

/// How old an answer may be before the cluster is asked again.
const FRESH: Duration = Duration::from_secs(3);
/// The same of what `doctor` finds, which takes more requests.
const FRESH_FINDINGS: Duration = Duration::from_secs(20);

/// What the page is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer<'a, T> {
    /// The last reading that worked; absent before the first.
    pub last: Option<&'a T>,
    /// Why it is not newer; absent when it is the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl<T: Serialize> Answer<'_, T> {
    /// The answer as JSON.
    pub fn json(&self) -> String {
        // Views have keys that are texts and numbers that are finite; what cannot be written is said as trouble.
        serde_json::to_string(self)
            .unwrap_or_else(|error| serde_json::json!({"last": null, "trouble": error.to_string()}).to_string())
    }
}

/// Answers from the cluster.
pub(super) struct Cluster<'a> {
    state: Mutex<State<'a>>,
    findings: Mutex<Option<Kept>>,
    doctor: super::reader::Doctor<'a>,
}

struct State<'a> {
    reader: Reader<'a>,
    /// The last reading that worked.
    last: DashboardView,
    kept: Kept,
}

/// An answer that was given before.
struct Kept {
    at: Instant,
    text: String,
}

impl Kept {
    fn new(text: String) -> Self {
        Self { at: Instant::now(), text }
    }
}

impl<'a> Cluster<'a> {
    /// Begins with a first reading.
    pub(super) fn new(reader: Reader<'a>, first: &DashboardView) -> Self {
        let doctor = reader.doctor();
        let kept = Kept::new(Answer { last: Some(first), trouble: None }.json());
        Self { state: Mutex::new(State { reader, last: first.clone(), kept }), findings: Mutex::new(None), doctor }
    }
}

impl Answers for Cluster<'_> {
    async fn state(&self) -> String {
        // Whoever comes while another is read waits for that one.
        let mut state = self.state.lock().await;
        if state.kept.at.elapsed() >= FRESH {
            let trouble = match Box::pin(state.reader.read()).await {
                Ok(view) => {
                    state.last = view;
                    None
                }
                Err(error) => Some(said(&error)),
            };
            state.kept = Kept::new(Answer { last: Some(&state.last), trouble }.json());
        }
        state.kept.text.clone()
    }

    async fn findings(&self) -> String {
        let mut kept = self.findings.lock().await;
        if kept.as_ref().is_none_or(|kept| kept.at.elapsed() >= FRESH_FINDINGS) {
            let found = Box::pin(self.doctor.look()).await;
            let answer = Answer { last: found.as_ref().ok(), trouble: found.as_ref().err().map(said) };
            *kept = Some(Kept::new(answer.json()));
        }
        kept.as_ref().map(|kept| kept.text.clone()).unwrap_or_default()
    }
}

/// An error with its hint, as one sentence.
fn said(error: &Error) -> String {
    error.hint().map_or_else(|| error.to_string(), |hint| format!("{error} ({hint})"))
}
