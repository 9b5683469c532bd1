//! Faults on purpose: requests that are delayed, refused or cut off, as long as a test wants them to be.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::Action;
use super::failure::Failure;
use super::tokens::User;

/// Which requests. What is left out matches all; texts may end in `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Matcher {
    /// User name.
    pub user: Option<String>,
    /// Name of the pod whose token is used.
    pub pod: Option<String>,
    /// Verbs, one of which it is.
    pub verbs: Vec<String>,
    /// API group; empty for the core group.
    pub group: Option<String>,
    /// Plurals, one of which it is, with subresource as in `deployments/scale`. Paths have none.
    pub resources: Vec<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Object name.
    pub name: Option<String>,
}

impl Matcher {
    /// Every request.
    pub fn all() -> Self {
        Self::default()
    }

    /// Of this user.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// With the token of this pod.
    #[must_use]
    pub fn pod(mut self, pod: impl Into<String>) -> Self {
        self.pod = Some(pod.into());
        self
    }

    /// With one of these verbs.
    #[must_use]
    pub fn verbs<const N: usize>(mut self, verbs: [&str; N]) -> Self {
        self.verbs = verbs.map(ToOwned::to_owned).to_vec();
        self
    }

    /// On one of these resources.
    #[must_use]
    pub fn resources<const N: usize>(mut self, resources: [&str; N]) -> Self {
        self.resources = resources.map(ToOwned::to_owned).to_vec();
        self
    }

    pub(super) fn matches(&self, user: &User, action: &Action) -> bool {
        let Self { user: name, pod, verbs, group, resources, namespace, name: object } = self;
        let fits = |pattern: &Option<String>, text: &str| pattern.as_deref().is_none_or(|pattern| like(pattern, text));
        let one_of =
            |patterns: &[String], text: &str| patterns.is_empty() || patterns.iter().any(|pattern| like(pattern, text));
        fits(name, &user.name)
            && fits(pod, &user.pod)
            && one_of(verbs, &action.verb)
            && fits(group, &action.group)
            && one_of(resources, &action.combined_resource())
            && fits(namespace, &action.namespace)
            && fits(object, &action.name)
    }
}

fn like(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => text.starts_with(beginning),
        None => pattern == text,
    }
}

/// What happens to the requests that match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Fault {
    /// Which requests.
    #[serde(rename = "match")]
    pub matcher: Matcher,
    /// Wait before anything else happens.
    pub delay_milliseconds: u64,
    /// Refuse with this HTTP status: 409, 410, 429, 500, 503 or another.
    pub status: Option<u16>,
    /// Say when to come back, in the header `Retry-After`.
    pub retry_after_seconds: Option<u64>,
    /// Close the connection without an answer.
    pub disconnect: bool,
    /// How many requests are struck before the fault is over; all if absent.
    pub times: Option<u64>,
}

impl Fault {
    /// Delays the requests.
    pub fn delay(matcher: Matcher, delay: Duration) -> Self {
        let delay_milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Self { matcher, delay_milliseconds, ..Self::default() }
    }

    /// Refuses the requests with an HTTP status.
    pub fn status(matcher: Matcher, status: u16) -> Self {
        Self { matcher, status: Some(status), ..Self::default() }
    }

    /// Closes the connection instead of answering.
    pub fn disconnect(matcher: Matcher) -> Self {
        Self { matcher, disconnect: true, ..Self::default() }
    }

    /// Asks to come back after this many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Strikes this many requests only.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }
}

/// A fault that is in force, and how often it struck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveFault {
    /// Number by which it is removed.
    pub id: u64,
    /// What it does.
    #[serde(flatten)]
    pub fault: Fault,
    /// Requests it struck.
    pub struck: u64,
}

/// What strikes one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Strike {
    pub(super) delay: Duration,
    pub(super) disconnect: bool,
    pub(super) refusal: Option<(u16, Option<u64>)>,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    active: Mutex<(u64, Vec<ActiveFault>)>,
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, (u64, Vec<ActiveFault>)> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, fault: Fault) -> u64 {
        let mut active = self.lock();
        active.0 += 1;
        let id = active.0;
        active.1.push(ActiveFault { id, fault, struck: 0 });
        id
    }

    /// The fault as it was at the end.
    pub(super) fn remove(&self, id: u64) -> Option<ActiveFault> {
        let active = &mut self.lock().1;
        let place = active.iter().position(|fault| fault.id == id)?;
        Some(active.remove(place))
    }

    pub(super) fn clear(&self) {
        self.lock().1.clear();
    }

    pub(super) fn list(&self) -> Vec<ActiveFault> {
        self.lock().1.clone()
    }

    /// Everything that strikes a request. Delays add up; the first refusal counts.
    pub(super) fn strike(&self, user: &User, action: &Action) -> Strike {
        let mut strike = Strike::default();
        for active in &mut self.lock().1 {
            let over = active.fault.times.is_some_and(|times| active.struck >= times);
            if over || !active.fault.matcher.matches(user, action) {
                continue;
            }
            active.struck += 1;
            let Fault { matcher: _, delay_milliseconds, status, retry_after_seconds, disconnect, times: _ } =
                &active.fault;
            strike.delay += Duration::from_millis(*delay_milliseconds);
            strike.disconnect |= disconnect;
            if strike.refusal.is_none() {
                strike.refusal = status.map(|status| (status, *retry_after_seconds));
            }
        }
        strike
    }
}

/// The refusal of a request, in the words of the real server.
pub(super) fn refusal(status: u16, retry_after: Option<u64>, action: &Action) -> Failure {
    let failure = match status {
        409 => Failure::modified(&action.group, &action.resource, &action.name),
        410 => Failure::expired("The resourceVersion for the provided list is too old."),
        429 => Failure::new(429, "TooManyRequests", "too many requests, please try again later"),
        500 => Failure::internal("an error on the server has prevented the request from succeeding"),
        503 => Failure::unavailable("the server is currently unable to handle the request"),
        504 => Failure::new(504, "Timeout", "the server was unable to return a response in the time allotted"),
        other => Failure::new(other, "Unknown", "refused by a fault that was injected"),
    };
    match retry_after {
        Some(seconds) => failure.with_retry_after(seconds),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn patch(resource: &str) -> Action {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Action {
            verb: "patch".to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            ..Action::default()
        }
    }

    #[rstest]
    #[case::everything(Matcher::all(), true)]
    #[case::user(Matcher::all().user("system:serviceaccount:a:*"), true)]
    #[case::other_user(Matcher::all().user("system:serviceaccount:b:*"), false)]
    #[case::resource(Matcher::all().verbs(["update", "patch"]).resources(["pods", "pods/status"]), true)]
    #[case::other_resource(Matcher::all().resources(["pods"]), false)]
    fn a_matcher_narrows_by_what_it_names(#[case] matcher: Matcher, #[case] expected: bool) {
        assert_eq!(matcher.matches(&User::service_account("a", "x", ""), &patch("pods/status")), expected);
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_says() {
        let faults = Faults::default();
        let (user, action) = (User::admin(), patch("pods"));
        let id = faults.add(Fault::status(Matcher::all(), 429).retry_after(1).times(1));
        faults.add(Fault::delay(Matcher::all(), Duration::from_secs(2)));
        let first = faults.strike(&user, &action);
        assert_eq!((first.delay, first.refusal), (Duration::from_secs(2), Some((429, Some(1)))));
        assert_eq!(faults.strike(&user, &action).refusal, None);
        assert_eq!(faults.remove(id).map(|fault| fault.struck), Some(1));
        faults.clear();
        assert_eq!(faults.strike(&user, &action), Strike::default());
    }

    #[test]
    fn a_fault_is_read_from_json() {
        let text = r#"{"match": {"verbs": ["patch"]}, "status": 409, "times": 3}"#;
        let fault: Fault = serde_json::from_str(text).expect("a fault");
        assert_eq!(fault, Fault::status(Matcher::all().verbs(["patch"]), 409).times(3));
        assert!(serde_json::from_str::<Fault>(r#"{"matcher": {}}"#).is_err());
    }
}
