//! The faults, one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kubesim::apiserver::{Fault, Matcher, WriteRequest};
use nix::sys::signal::Signal;

use super::report::Outcome;
use super::scene::{ControllerPod, NEEDED_THEN, Scene};
use super::watchdog::Watchdog;
use super::{Error, INTERVAL, process};
use crate::environment::Environment;
use crate::wait::{self, Look};

/// How long a fault lasts that is not over by itself: three cycles.
const LASTS: Duration = Duration::from_secs(3);
/// Longer than the lease of the suite's controller.
const PAST_LEASE: Duration = Duration::from_secs(5);
/// Longest wait for the right answer, and for a leader.
const PATIENCE: Duration = Duration::from_secs(30);

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    ApiServerRestarted,
    ApiServerAwayPastLease,
    WatchesDropped,
    Gone,
    Conflicts,
    ConflictsUntilDeposed,
    TooManyRequests,
    Latency,
    PrometheusKilled,
    KilledWhileWriting,
    LeaderPaused,
}

/// What is at hand to carry a fault out.
struct Hands<'a> {
    environment: &'a Environment,
    scene: &'a Scene,
    watchdog: &'a Watchdog,
    index: usize,
}

impl Case {
    pub(super) const ALL: [Self; 11] = [
        Self::ApiServerRestarted,
        Self::ApiServerAwayPastLease,
        Self::WatchesDropped,
        Self::Gone,
        Self::Conflicts,
        Self::ConflictsUntilDeposed,
        Self::TooManyRequests,
        Self::Latency,
        Self::PrometheusKilled,
        Self::KilledWhileWriting,
        Self::LeaderPaused,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ApiServerRestarted => "API server restarted",
            Self::ApiServerAwayPastLease => "API server away past the lease",
            Self::WatchesDropped => "watches dropped",
            Self::Gone => "410 Gone after compaction",
            Self::Conflicts => "409 on status writes",
            Self::ConflictsUntilDeposed => "409 on status writes, then 429 on every request",
            Self::TooManyRequests => "429 on every request",
            Self::Latency => "10 s latency on every request",
            Self::PrometheusKilled => "Prometheus killed for three cycles",
            Self::KilledWhileWriting => "leader killed while writing",
            Self::LeaderPaused => "leader paused past its lease",
        }
    }

    /// Carries the fault out on the variant of this number, and sees what comes of it.
    pub(super) async fn carry_out(
        self,
        environment: &Environment,
        scene: &Scene,
        watchdog: &Watchdog,
        index: usize,
    ) -> Result<Outcome, Error> {
        let hands = Hands { environment, scene, watchdog, index };
        let started = Timestamp::now();
        let happened = hands.strike(self).await?;
        let healed = Instant::now();
        let cycles_then = watchdog.cycles();
        let deployment = &scene.deployments()[index];
        let answered = wait::until("the right answer", PATIENCE, || async {
            match watchdog.desired(deployment) {
                Some((pod, cycles, desired)) if desired >= f64::from(NEEDED_THEN) => Look::Done((pod, cycles)),
                seen => Look::NotYet(format!("{seen:?}")),
            }
        })
        .await;
        let took = healed.elapsed();
        watchdog.needs(deployment, NEEDED_THEN);
        let scaled = wait::until("the Deployment to be scaled and the status to be written", PATIENCE, || async {
            match watchdog.replicas(deployment) {
                (Some(replicas), Some(recorded)) if replicas.min(recorded) >= NEEDED_THEN => Look::Done(()),
                seen => Look::NotYet(format!("{seen:?}")),
            }
        })
        .await
        .is_ok();
        // The next fault shall find a leader and a standby.
        hands.both().await?;
        let (wrong, lost) = watchdog.take();
        let doubles = double_writers(&environment.control()?.writes(), started);
        let cycles =
            answered.ok().map(|(pod, cycles)| cycles.saturating_sub(cycles_then.get(&pod).copied().unwrap_or(0)));
        Ok(Outcome { fault: self.name(), happened, wrong, doubles, lost, cycles, took, scaled })
    }
}

impl Hands<'_> {
    /// Lets the load rise in the middle of the fault, ends the fault, and says what happened.
    async fn strike(&self, case: Case) -> Result<String, Error> {
        let control = self.environment.control()?;
        let controller = || Matcher::all().user(Scene::controller_user());
        match case {
            Case::ApiServerRestarted => self.api_server_away(LASTS).await,
            Case::ApiServerAwayPastLease => {
                let text = self.api_server_away(PAST_LEASE).await?;
                self.leader().await?;
                Ok(text)
            }
            Case::WatchesDropped => {
                self.scene.raise(self.index).await?;
                let mut dropped = 0;
                for _ in 0..3 {
                    dropped += control.drop_watches(&controller());
                    tokio::time::sleep(INTERVAL).await;
                }
                Ok(format!("{dropped} watches in three rounds"))
            }
            Case::Gone => {
                self.scene.raise(self.index).await?;
                control.compact();
                // Those that end on an old version get 410 again when they continue from it.
                let expired = control.expire_watches(&controller());
                control.compact();
                Ok(format!("{expired} watches expired"))
            }
            Case::Conflicts => {
                let writes = controller().verbs(["update", "patch"]).resources(["variantautoscalings/status"]);
                self.while_in_force(Fault::status(writes, 409), LASTS, "status writes refused").await
            }
            Case::ConflictsUntilDeposed => self.conflicts_until_deposed().await,
            Case::TooManyRequests => {
                let fault = Fault::status(controller(), 429).retry_after(1);
                let text = self.while_in_force(fault, LASTS, "requests refused").await?;
                self.leader().await?;
                Ok(text)
            }
            Case::Latency => {
                let delay = Duration::from_secs(10);
                let text = self.while_in_force(Fault::delay(controller(), delay), delay, "requests delayed").await?;
                self.leader().await?;
                Ok(text)
            }
            Case::PrometheusKilled => {
                self.environment.kill_prometheus().await?;
                self.scene.raise(self.index).await?;
                tokio::time::sleep(LASTS).await;
                self.environment.start_prometheus().await?;
                self.scraped().await?;
                Ok("killed, 3 s later started and scraping".to_owned())
            }
            Case::KilledWhileWriting => self.kill_while_writing().await,
            Case::LeaderPaused => self.pause_leader().await,
        }
    }

    async fn api_server_away(&self, down: Duration) -> Result<String, Error> {
        let control = self.environment.control()?;
        control.stop_listening().await;
        self.scene.raise(self.index).await?;
        tokio::time::sleep(down).await;
        control.listen_again().await.map_err(Error::ApiServer)?;
        Ok(format!("{} s without an API server", down.as_secs()))
    }

    async fn while_in_force(&self, fault: Fault, lasts: Duration, what: &str) -> Result<String, Error> {
        let control = self.environment.control()?;
        let id = control.inject(fault);
        self.scene.raise(self.index).await?;
        tokio::time::sleep(lasts).await;
        let struck = control.remove_fault(id).map_or(0, |fault| fault.struck);
        Ok(format!("{struck} {what}"))
    }

    /// The gauge is followed while the status cannot say so; then the leader loses its lease, and whoever leads next finds
    /// only that old status.
    async fn conflicts_until_deposed(&self) -> Result<String, Error> {
        let control = self.environment.control()?;
        let controller = || Matcher::all().user(Scene::controller_user());
        let writes = controller().verbs(["update", "patch"]).resources(["variantautoscalings/status"]);
        let conflicts = control.inject(Fault::status(writes, 409));
        self.scene.raise(self.index).await?;
        let deployment = &self.scene.deployments()[self.index];
        let followed = wait::until("the Deployment to follow the gauge", PATIENCE, || async {
            match self.watchdog.replicas(deployment) {
                (Some(replicas), _) if replicas >= NEEDED_THEN => Look::Done(()),
                seen => Look::NotYet(format!("{seen:?}")),
            }
        });
        followed.await?;
        let refusals = control.inject(Fault::status(controller(), 429).retry_after(1));
        tokio::time::sleep(PAST_LEASE).await;
        let refused = control.remove_fault(refusals).map_or(0, |fault| fault.struck);
        let conflicts = control.remove_fault(conflicts).map_or(0, |fault| fault.struck);
        self.leader().await?;
        Ok(format!("{conflicts} status writes and {refused} requests refused"))
    }

    async fn kill_while_writing(&self) -> Result<String, Error> {
        let control = self.environment.control()?;
        let leader = self.leader().await?;
        let pid = process::at(leader.ip)?;
        // Long enough to strike the process down before the answer.
        let writes = Matcher::all().pod(leader.name.clone()).resources(["variantautoscalings/status"]);
        let id = control.inject(Fault::delay(writes, Duration::from_secs(5)));
        self.scene.raise(self.index).await?;
        let struck = || async {
            let struck = control.faults().iter().find(|fault| fault.id == id).map_or(0, |fault| fault.struck);
            if struck > 0 { Look::Done(()) } else { Look::NotYet("no write yet".to_owned()) }
        };
        wait::until("the leader to write a status", PATIENCE, struck).await?;
        process::signal(pid, Signal::SIGKILL)?;
        control.remove_fault(id);
        let next = self.other_leader(&leader).await?;
        Ok(format!("{} killed, {} leads", short(&leader.name), short(&next.name)))
    }

    async fn pause_leader(&self) -> Result<String, Error> {
        let leader = self.leader().await?;
        let pid = process::at(leader.ip)?;
        process::signal(pid, Signal::SIGSTOP)?;
        let paused = async {
            self.scene.raise(self.index).await?;
            self.other_leader(&leader).await
        };
        let next = paused.await;
        // Whatever came of it, nobody is left paused.
        process::signal(pid, Signal::SIGCONT)?;
        let next = next?;
        Ok(format!("{} paused, {} led, then resumed", short(&leader.name), short(&next.name)))
    }

    async fn leader(&self) -> Result<ControllerPod, Error> {
        let found = wait::until("a leader", PATIENCE, || async {
            self.watchdog.leader().map_or_else(|| Look::NotYet("nobody leads".to_owned()), Look::Done)
        });
        Ok(found.await?)
    }

    async fn other_leader(&self, than: &ControllerPod) -> Result<ControllerPod, Error> {
        let found = wait::until("the standby to lead", PATIENCE, || async {
            match self.watchdog.leader() {
                Some(leader) if leader.name != than.name => Look::Done(leader),
                seen => Look::NotYet(format!("{seen:?}")),
            }
        });
        Ok(found.await?)
    }

    /// Waits for a leader, and for a second pod that answers.
    async fn both(&self) -> Result<(), Error> {
        self.leader().await?;
        let answering = wait::until("leader and standby to answer", PATIENCE, || async {
            let cycles = self.watchdog.cycles();
            if cycles.len() == 2 { Look::Done(()) } else { Look::NotYet(format!("{cycles:?}")) }
        });
        Ok(answering.await?)
    }

    /// Waits until Prometheus knows the risen load.
    async fn scraped(&self) -> Result<(), Error> {
        let prometheus = self.environment.prometheus();
        let query = format!(
            "vllm:kv_cache_usage_perc{{model_name=\"example/{}\"}} > 0.9",
            self.scene.deployments()[self.index]
        );
        let known = wait::until("Prometheus to scrape again", PATIENCE, || async {
            match prometheus.query(&query).await {
                Ok(series) if !series.is_empty() => Look::Done(()),
                Ok(_) => Look::NotYet("no series".to_owned()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        });
        Ok(known.await?)
    }
}

/// The last, random part of a pod's name.
fn short(pod: &str) -> &str {
    pod.rsplit('-').next().unwrap_or(pod)
}

/// Writes since `since` of a pod that did not hold the Lease: whoever wrote the Lease last holds it.
fn double_writers(writes: &[WriteRequest], since: Timestamp) -> BTreeSet<String> {
    let controller = format!("system:serviceaccount:{}:", Scene::controller_namespace());
    let accepted = writes.iter().filter(|write| write.user.starts_with(&controller) && write.code < 300);
    let mut holder = "";
    let mut doubles: BTreeMap<String, usize> = BTreeMap::new();
    for write in accepted {
        let action = &write.action;
        if action.resource == "leases" {
            holder = &write.pod;
        } else if write.pod != holder && write.at >= since && !is_review(&action.group) {
            let text = format!(
                "{} {} {} by {}, held by {holder}",
                action.verb,
                action.combined_resource(),
                action.name,
                write.pod
            );
            *doubles.entry(text).or_default() += 1;
        }
    }
    doubles.into_iter().map(|(text, count)| format!("{text}: {count}")).collect()
}

/// Reviews are created, but nothing is written.
fn is_review(group: &str) -> bool {
    matches!(group, "authentication.k8s.io" | "authorization.k8s.io")
}

#[cfg(test)]
mod tests {
    use kubesim::apiserver::Action;

    use super::*;

    fn write(second: i64, pod: &str, resource: &str, code: u16) -> WriteRequest {
        let action = Action { verb: "patch".to_owned(), resource: resource.to_owned(), ..Action::default() };
        WriteRequest {
            at: Timestamp::from_second(second).unwrap(),
            user: format!("system:serviceaccount:{}:wva", Scene::controller_namespace()),
            pod: pod.to_owned(),
            manager: "wva-controller".to_owned(),
            action,
            code,
        }
    }

    #[test]
    fn a_pod_may_write_while_it_was_the_last_to_write_the_lease() {
        let writes = [
            write(1, "a", "leases", 200),
            write(2, "a", "variantautoscalings", 200),
            // Refused, so it holds nothing.
            write(3, "b", "leases", 409),
            write(4, "a", "variantautoscalings", 200),
            write(5, "b", "leases", 200),
            write(6, "b", "variantautoscalings", 200),
            write(7, "a", "variantautoscalings", 409),
        ];
        assert_eq!(double_writers(&writes, Timestamp::UNIX_EPOCH), BTreeSet::new());
        let late = [&writes[..], &[write(8, "a", "variantautoscalings", 200)]].concat();
        let doubles = double_writers(&late, Timestamp::UNIX_EPOCH);
        assert_eq!(doubles, BTreeSet::from(["patch variantautoscalings  by a, held by b: 1".to_owned()]));
        assert_eq!(double_writers(&late, Timestamp::from_second(9).unwrap()), BTreeSet::new());
    }
}
