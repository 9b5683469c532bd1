//! The rules of the election, as a state machine: a Lease and the time go in, what to write comes out.
//!
//! Compatible with client-go's leader election, so that both can contend for one Lease. Clocks of different machines
//! are never compared: a holder counts as alive for the lease duration after its last *observed* change, by the clock
//! of the observer.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::config;

/// One candidate.
#[derive(Debug)]
pub struct Elector {
    identity: String,
    lease_duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
    observed: Option<Observed>,
    /// When the claim was last written, if this candidate leads.
    renewed: Option<Instant>,
}

/// The Lease as last seen to change.
#[derive(Clone, Debug, PartialEq)]
struct Observed {
    spec: LeaseSpec,
    at: Instant,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Write this, provided that nobody else has written in the meantime.
    Write(LeaseSpec),
    /// Somebody else holds the Lease.
    Wait,
}

impl Elector {
    /// A candidate of the given identity, which must be unique.
    pub fn new(identity: String, election: &config::Election) -> Self {
        let config::Election { lease_name: _, lease_duration, renew_deadline, retry_period } = *election;
        Self { identity, lease_duration, renew_deadline, retry_period, observed: None, renewed: None }
    }

    /// Its identity.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether it leads, as far as it knows.
    pub fn leads(&self) -> bool {
        self.renewed.is_some()
    }

    /// Until when its claim holds without renewal. Earlier than others may take the Lease, because the renew deadline
    /// is shorter than the lease duration and both count from the same write.
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.renewed? + self.renew_deadline)
    }

    /// Time to the next attempt: the retry period, or less when the claim ends before.
    pub fn pause(&self, now: Instant) -> Duration {
        self.deadline().map_or(self.retry_period, |deadline| self.retry_period.min(deadline - now.min(deadline)))
    }

    /// Time limit of one request: a leader has to notice in time that it cannot renew.
    pub fn request_timeout(&self, now: Instant) -> Duration {
        let limit = self.deadline().map_or(self.renew_deadline, |deadline| deadline - now.min(deadline));
        limit.max(Duration::from_millis(100))
    }

    /// Looks at the Lease (`None`: there is none).
    pub fn consider(&mut self, found: Option<&LeaseSpec>, now: Instant, wall: Timestamp) -> Step {
        let Some(found) = found else { return Step::Write(self.claim(None, wall)) };
        if self.observed.as_ref().is_none_or(|observed| changed(&observed.spec, found)) {
            self.observed = Some(Observed { spec: found.clone(), at: now });
        }
        let mine = found.holder_identity.as_deref() == Some(&self.identity);
        if !mine {
            // Somebody else wrote in the meantime.
            self.renewed = None;
        }
        if mine || self.is_free(now) { Step::Write(self.claim(Some(found), wall)) } else { Step::Wait }
    }

    /// The claim was written by a request sent at `asked`.
    pub fn wrote(&mut self, spec: LeaseSpec, asked: Instant) {
        self.observed = Some(Observed { spec, at: asked });
        self.renewed = Some(asked);
    }

    /// Leads no longer; what it knows of the Lease stays.
    pub fn resign(&mut self) {
        self.renewed = None;
    }

    fn is_free(&self, now: Instant) -> bool {
        let Some(Observed { spec, at }) = &self.observed else { return true };
        if spec.holder_identity.as_deref().unwrap_or_default().is_empty() {
            return true;
        }
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.map_or(self.lease_duration, Duration::from_secs);
        now.saturating_duration_since(*at) >= duration
    }

    fn claim(&self, found: Option<&LeaseSpec>, wall: Timestamp) -> LeaseSpec {
        let mine = found.filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity));
        let transitions = found.map_or(0, |spec| spec.lease_transitions.unwrap_or(0));
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            // Rounded up: others must not think the claim shorter than it is.
            lease_duration_seconds: i32::try_from(self.lease_duration.as_millis().div_ceil(1000)).ok(),
            acquire_time: mine.and_then(|spec| spec.acquire_time.clone()).or(Some(MicroTime(wall))),
            renew_time: Some(MicroTime(wall)),
            lease_transitions: Some(transitions + i32::from(found.is_some() && mine.is_none())),
            ..LeaseSpec::default()
        }
    }
}

/// What to write so that another candidate need not wait; `None` when the Lease is not that of `identity`.
pub fn released(found: &LeaseSpec, identity: &str, wall: Timestamp) -> Option<LeaseSpec> {
    (found.holder_identity.as_deref() == Some(identity)).then(|| LeaseSpec {
        holder_identity: Some(String::new()),
        lease_duration_seconds: Some(1),
        renew_time: Some(MicroTime(wall)),
        ..found.clone()
    })
}

fn changed(seen: &LeaseSpec, found: &LeaseSpec) -> bool {
    seen.holder_identity != found.holder_identity || seen.renew_time != found.renew_time
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Candidates and a Lease on a clock that moves by hand.
    struct Script {
        start: Instant,
        seconds: u64,
        lease: Option<LeaseSpec>,
    }

    impl Script {
        fn new() -> Self {
            Self { start: Instant::now(), seconds: 0, lease: None }
        }

        fn now(&self) -> Instant {
            self.start + Duration::from_secs(self.seconds)
        }

        fn wall(&self) -> Timestamp {
            Timestamp::from_second(1_700_000_000 + i64::try_from(self.seconds).unwrap()).unwrap()
        }

        /// The candidate looks, and writes if it may; returns whether it wrote.
        fn turn(&mut self, candidate: &mut Elector) -> bool {
            match candidate.consider(self.lease.as_ref(), self.now(), self.wall()) {
                Step::Write(spec) => {
                    candidate.wrote(spec.clone(), self.now());
                    self.lease = Some(spec);
                    true
                }
                Step::Wait => false,
            }
        }

        fn pass(&mut self, seconds: u64) {
            self.seconds += seconds;
        }
    }

    fn candidate(identity: &str) -> Elector {
        let election = config::Election {
            lease_name: "lease".to_owned(),
            lease_duration: Duration::from_mins(1),
            renew_deadline: Duration::from_secs(50),
            retry_period: Duration::from_secs(10),
        };
        Elector::new(identity.to_owned(), &election)
    }

    #[test]
    fn the_first_takes_the_lease_and_the_second_waits_while_it_is_renewed() {
        let (mut script, mut a, mut b) = (Script::new(), candidate("a"), candidate("b"));
        assert!(script.turn(&mut a));
        for _ in 0..20 {
            script.pass(10);
            assert!(script.turn(&mut a) && !script.turn(&mut b));
        }
        let lease = script.lease.unwrap();
        assert_eq!((lease.lease_transitions, lease.lease_duration_seconds), (Some(0), Some(60)));
        assert_eq!(lease.acquire_time.unwrap().0.as_second(), 1_700_000_000, "renewal keeps the time of acquisition");
    }

    #[test]
    fn a_dead_leader_is_followed_after_the_lease_duration_by_the_observers_clock() {
        let (mut script, mut a, mut b) = (Script::new(), candidate("a"), candidate("b"));
        script.turn(&mut a);
        script.pass(30);
        assert!(!script.turn(&mut b), "b sees the lease for the first time");
        script.pass(59);
        assert!(!script.turn(&mut b));
        script.pass(1);
        assert!(script.turn(&mut b));
        assert_eq!(script.lease.unwrap().lease_transitions, Some(1));
    }

    #[test]
    fn a_leader_gives_up_before_another_can_take_over() {
        let (mut script, mut a, mut b) = (Script::new(), candidate("a"), candidate("b"));
        script.turn(&mut a);
        script.turn(&mut b);
        let deadline = a.deadline().unwrap();
        script.pass(50);
        assert!(script.now() >= deadline);
        assert!(!script.turn(&mut b), "ten seconds remain in which nobody writes");
        script.pass(10);
        assert!(script.turn(&mut b));
    }

    #[test]
    fn a_released_lease_is_taken_at_once() {
        let (mut script, mut a, mut b) = (Script::new(), candidate("a"), candidate("b"));
        script.turn(&mut a);
        script.turn(&mut b);
        script.lease = released(script.lease.as_ref().unwrap(), a.identity(), script.wall());
        assert!(script.turn(&mut b));
    }

    #[test]
    fn nothing_is_released_that_belongs_to_another() {
        let (mut script, mut a, b) = (Script::new(), candidate("a"), candidate("b"));
        script.turn(&mut a);
        assert_eq!(released(script.lease.as_ref().unwrap(), b.identity(), script.wall()), None);
    }

    #[test]
    fn a_leader_that_finds_another_holder_no_longer_leads() {
        let (mut script, mut a, mut b) = (Script::new(), candidate("a"), candidate("b"));
        script.turn(&mut a);
        script.turn(&mut b);
        script.pass(60);
        script.turn(&mut b);
        assert!(!script.turn(&mut a) && !a.leads());
    }

    #[test]
    fn a_leader_looks_again_before_its_claim_ends() {
        let (mut script, mut a) = (Script::new(), candidate("a"));
        script.turn(&mut a);
        assert_eq!(a.pause(script.now()), Duration::from_secs(10));
        script.pass(47);
        assert_eq!(a.pause(script.now()), Duration::from_secs(3));
        assert_eq!(a.request_timeout(script.now()), Duration::from_secs(3));
    }
}
