//! An API server held to the truth: scripts of requests, and what a real Kubernetes control plane answered to them.
//!
//! A script is a file `tests/conformance/NAME.json` of the crate kubesim. It says what is sent, and what came back from
//! the real server it was recorded from, in a normal form in which only what matters is left (see
//! `normalise`). A check sends the same to another server and compares. The differences
//! that are known and accepted are in `accepted.json` beside the scripts, each with its reason; one that is gone is an
//! error as well, so that the list only shrinks.

mod compare;
mod metrics;
mod normalise;
mod path;
mod run;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use self::compare::Difference;
pub use self::metrics::Metrics;
pub use self::run::Server;
pub use self::script::Script;

/// Why scripts could not be read or sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error("{what} {path}: {source}")]
    File {
        /// What was done with it.
        what: &'static str,
        /// Which one.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is no script, list or kubeconfig.
    #[error("reading {path}: {why}")]
    Format {
        /// Which one.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The HTTP client.
    #[error("building the HTTP client: {0}")]
    Client(#[source] reqwest::Error),
    /// A request that got no answer.
    #[error("{method} {path}: {source}")]
    Request {
        /// Its method.
        method: String,
        /// Its path.
        path: String,
        /// What went wrong.
        source: reqwest::Error,
    },
}

/// Differences that are known: steps of a script, and why they may differ.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Script.
    pub script: String,
    /// Its steps that may differ.
    pub steps: BTreeSet<usize>,
    /// Steps that differ on some runs only, because they depend on what happens at the same time.
    #[serde(default)]
    pub sometimes: BTreeSet<usize>,
    /// Why.
    pub reason: String,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Number of scripts sent.
    pub scripts: usize,
    /// Number of requests compared.
    pub requests: usize,
    /// Differences by script and step.
    pub differences: BTreeMap<String, BTreeMap<usize, Vec<Difference>>>,
    /// Scripts that could not be sent to their end.
    pub failures: BTreeMap<String, String>,
}

impl Report {
    /// Number of requests whose answers differ.
    pub fn different(&self) -> usize {
        self.differences.values().map(BTreeMap::len).sum()
    }

    /// Differences that `accepted` does not name, and entries of it that are no difference any more, a line each.
    pub fn surprises(&self, accepted: &[Accepted], scripts: &[Script]) -> Vec<String> {
        let mut lines = Vec::new();
        let known = |script: &str, step: usize| {
            accepted
                .iter()
                .any(|entry| entry.script == script && (entry.steps.contains(&step) || entry.sometimes.contains(&step)))
        };
        for (script, failure) in &self.failures {
            lines.push(format!("{script}: {failure}"));
        }
        for (script, steps) in &self.differences {
            for (step, differences) in steps.iter().filter(|(step, _)| !known(script, **step)) {
                lines.push(format!("{script} step {step}:"));
                lines.extend(differences.iter().take(6).map(|difference| format!("    {difference}")));
            }
        }
        for entry in accepted.iter().filter(|entry| scripts.iter().any(|script| script.name == entry.script)) {
            let differs =
                |step: &&usize| self.differences.get(&entry.script).is_some_and(|steps| steps.contains_key(*step));
            for step in entry.steps.iter().filter(|step| !differs(step)) {
                lines.push(format!(
                    "{} step {step} is equal now: take it out of accepted.json ({})",
                    entry.script, entry.reason
                ));
            }
        }
        lines
    }
}

/// Reads every script below `folder`, by name.
///
/// # Errors
/// When a file cannot be read.
pub fn scripts(folder: &Path) -> Result<Vec<Script>, Error> {
    let failed = |source| Error::File { what: "listing", path: folder.display().to_string(), source };
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let named = path.file_name().is_some_and(|name| name != "accepted.json");
        if named && path.extension().is_some_and(|extension| extension == "json") {
            scripts.push(Script::read(&path)?);
        }
    }
    scripts.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(scripts)
}

/// Reads the accepted differences in `folder`.
///
/// # Errors
/// When the file cannot be read.
pub fn accepted(folder: &Path) -> Result<Vec<Accepted>, Error> {
    script::read_json(&folder.join("accepted.json"))
}

/// Sends every script to the server, `jobs` at a time, and compares the answers with those recorded.
///
/// # Errors
/// When the HTTP client cannot be built.
pub async fn check(server: &Server, scripts: &[Script], jobs: usize) -> Result<Report, Error> {
    let mut report = Report { scripts: scripts.len(), ..Report::default() };
    for (script, answers) in answers(server, scripts, jobs).await? {
        match answers {
            Ok(answers) => {
                report.requests += answers.len();
                let differences: BTreeMap<usize, Vec<Difference>> = answers
                    .iter()
                    .enumerate()
                    .map(|(step, answer)| (step, compare::differences(&script.answer(step), answer)))
                    .filter(|(_, differences)| !differences.is_empty())
                    .collect();
                if !differences.is_empty() {
                    report.differences.insert(script.name.clone(), differences);
                }
            }
            Err(error) => drop(report.failures.insert(script.name.clone(), error.to_string())),
        }
    }
    Ok(report)
}

/// Sends every script to the server and writes what it answers into the scripts.
///
/// # Errors
/// When a script cannot be sent to its end, or not be written.
pub async fn record(server: &Server, scripts: &[Script], folder: &Path, jobs: usize) -> Result<usize, Error> {
    let mut recorded = 0;
    for (script, answers) in answers(server, scripts, jobs).await? {
        recorded += 1;
        script.with_answers(answers?).write(folder)?;
    }
    Ok(recorded)
}

type Answers = Result<Vec<Value>, Error>;

async fn answers(server: &Server, scripts: &[Script], jobs: usize) -> Result<Vec<(Script, Answers)>, Error> {
    let permits = Arc::new(Semaphore::new(jobs));
    let (serial, parallel): (Vec<&Script>, Vec<&Script>) = scripts.iter().partition(|script| script.serial);
    let mut tasks = JoinSet::new();
    let mut order: Vec<Script> = parallel.into_iter().cloned().collect();
    // The longest first, so that none is left over.
    order.sort_by_key(|script| std::cmp::Reverse(script.weight));
    for script in order {
        let (server, permits) = (server.clone(), Arc::clone(&permits));
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await;
            let answers = run::run(&server, &script).await;
            (script, answers)
        });
    }
    let mut all = tasks.join_all().await;
    for script in serial {
        all.push((script.clone(), run::run(server, script).await));
    }
    Ok(all)
}
