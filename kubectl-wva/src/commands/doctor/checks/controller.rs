//! Whether controllers run, and whether one of their replicas leads.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use wva_api::{Instance, config_keys};

use super::metrics;
use crate::commands::doctor::examination::{Examination, Managed};
use crate::commands::doctor::finding::{Cause, Finding, Subject};
use crate::commands::doctor::{Facts, Installed};
use crate::duration;
use crate::readers::controllers::Controller;
use crate::readers::pods::Health;

/// How long a Lease may be overdue: clocks differ, and a renewal takes a moment.
const OVERDUE: SignedDuration = SignedDuration::from_secs(5);
/// How long a controller may take until it is ready.
const STARTING: SignedDuration = SignedDuration::from_secs(20);
/// Longest that a Lease left behind is waited for, in seconds.
const LONGEST_LEASE: i64 = 60;
/// Lines of a log shown as evidence.
const SHOWN: usize = 3;

/// Checks the controllers; the variants of those that do not work go no further.
pub(in crate::commands::doctor) fn check<'a>(
    examination: &mut Examination<'a>,
    managed: Vec<Managed<'a>>,
) -> Vec<Managed<'a>> {
    if examination.facts.namespace.is_none() || examination.facts.controllers.as_ref().is_ok_and(Vec::is_empty) {
        for deployment in &examination.facts.broken {
            examination.found(broken(deployment));
        }
    }
    for one in examination.controllers() {
        for unread in [one.pods.as_ref().err(), one.lease.as_ref().err()].into_iter().flatten() {
            examination.unknown(&[Cause::NoLeader], unread);
        }
        let now = examination.facts.now;
        if let Some(mut stuck) = rollout_stuck(one, now).or_else(|| unanswered_rollout(examination.facts, one)) {
            let variants =
                managed.iter().filter(|m| m.owner.is_some_and(|o| o.controller.key() == one.controller.key()));
            stuck.affects = variants.map(Managed::key).collect();
            examination.found(stuck);
        }
        let Some(mut finding) = down(examination.facts, one).or_else(|| leaderless(one, now)) else { continue };
        examination.unhealthy.insert(one.controller.key());
        if let Some(age) = young(one, now, finding.cause) {
            let what =
                if finding.cause == Cause::NoLeader { "none of its replicas leads yet" } else { "not ready yet" };
            examination.starting(format!("controller {}: {what} ({age})", one.controller.key()));
            continue;
        }
        let variants = managed.iter().filter(|m| m.owner.is_some_and(|o| o.controller.key() == one.controller.key()));
        finding.affects = variants.map(Managed::key).collect();
        examination.found(finding);
    }
    let works =
        |one: &Managed<'_>| one.owner.is_none_or(|owner| !examination.unhealthy.contains(&owner.controller.key()));
    managed.into_iter().filter(works).collect()
}

/// A controller whose instance id is no label value: its process refuses to start.
pub(super) fn broken(deployment: &Deployment) -> Finding {
    let (name, namespace) = (deployment.name_any(), deployment.namespace().unwrap_or_default());
    Finding::new(
        Cause::ControllerDown,
        Subject::new("deployment", &namespace, &name),
        format!("controller {namespace}/{name} cannot start: its instance id is not a valid label value"),
    )
    .shown_by(format!("{} in its environment or arguments", config_keys::CONTROLLER_INSTANCE))
    .fixed_by(format!("kubectl set env deployment/{name} -n {namespace} {}", labelled(deployment)))
}

/// The setting with the id that the Deployment is labelled for, or without one.
fn labelled(deployment: &Deployment) -> String {
    let key = config_keys::CONTROLLER_INSTANCE;
    match Instance::of_labels(deployment.labels()).id() {
        Some(id) => format!("{key}={id}"),
        None => format!("{key}-"),
    }
}

/// The age of the youngest pod of a controller that has had no time yet to be ready, or to take the Lease over from one
/// that is gone without a word; `None` when something is wrong with it, or it has had the time.
fn young(one: &Installed, now: Timestamp, cause: Cause) -> Option<String> {
    let pods = one.pods.as_ref().ok()?;
    if pods.iter().any(|pod| Health::of(pod, &one.nodes, now).is_bad()) {
        return None;
    }
    let log = one.log.as_deref().unwrap_or_default();
    let born = pods.iter().filter_map(|pod| Some(pod.metadata.creation_timestamp.as_ref()?.0)).max()?;
    let age = now.duration_since(born);
    let lease = one.lease.as_ref().ok().and_then(Option::as_ref).and_then(|lease| lease.spec.as_ref());
    let inherited = lease.and_then(|spec| Some((spec.renew_time.as_ref()?.0, spec.lease_duration_seconds?)));
    let granted = match (cause, inherited) {
        (Cause::ControllerDown, _) if metrics::unanswered(log).is_none() => STARTING,
        // What somebody else has renewed since is no leftover.
        (Cause::NoLeader, Some((renewed, holds))) if renewed < born + STARTING => {
            STARTING + SignedDuration::from_secs(i64::from(holds).min(LONGEST_LEASE))
        }
        (Cause::NoLeader, None) => STARTING,
        _ => return None,
    };
    (age < granted).then(|| duration::age(born, now))
}

/// Pods of the newest version that do not run, beside others that do.
fn rollout_stuck(one: &Installed, now: Timestamp) -> Option<Finding> {
    let Controller { namespace, name, ready, falls_short, .. } = &one.controller;
    if *ready == 0 || !falls_short {
        return None;
    }
    let bad = |pod: &&Pod| Health::of(pod, &one.nodes, now).is_bad();
    let (mut failing, healthy): (Vec<&Pod>, Vec<&Pod>) = one.pods.iter().flatten().partition(|pod| bad(pod));
    // Pods of a version that is being replaced go by themselves, unless their node is lost.
    let made = |pod: &&Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let latest = one.pods.iter().flatten().max_by_key(made).and_then(replica_set);
    failing.retain(|pod| replica_set(pod) == latest || matches!(Health::of(pod, &one.nodes, now), Health::Lost(_)));
    let newest = |pods: &[&Pod]| pods.iter().filter_map(|pod| Some(pod.metadata.creation_timestamp.as_ref()?.0)).max();
    if failing.is_empty() {
        return None;
    }
    let replaces = newest(&failing) >= newest(&healthy)
        && replica_set(failing[0]) != healthy.first().and_then(|pod| replica_set(pod));
    let says = if replaces {
        format!("the roll-out of controller {namespace}/{name} is stuck: what runs is the version before")
    } else {
        format!("some replicas of controller {namespace}/{name} do not run")
    };
    let mut found = Finding::new(Cause::RolloutStuck, Subject::new("deployment", namespace, name), says);
    for pod in &failing {
        let health = Health::of(pod, &one.nodes, now);
        found = found.shown_by(format!("pod {}: {}", pod.name_any(), health.trouble().unwrap_or_default()));
    }
    for line in last_words(one) {
        found = found.shown_by(format!("log: {line}"));
    }
    let pod = failing[0].name_any();
    if replaces {
        found = found.fixed_by(format!("kubectl rollout undo deployment/{name} -n {namespace}"));
    } else if matches!(Health::of(failing[0], &one.nodes, now), Health::Lost(_)) {
        found = found.fixed_by(format!("kubectl delete pod {pod} -n {namespace} --force --grace-period=0"));
    }
    Some(found.looked_at(format!("kubectl describe pod {pod} -n {namespace}")))
}

/// Pods of the newest version that wait for Prometheus, beside others that had its answer: they never get ready.
fn unanswered_rollout(facts: &Facts, one: &Installed) -> Option<Finding> {
    let Controller { ready, falls_short, .. } = &one.controller;
    let line = one.log.as_deref().and_then(metrics::unanswered).filter(|_| *ready > 0 && *falls_short)?;
    let says = format!(
        "new pods of controller {} get no answer from Prometheus: what runs is the version before",
        one.controller.key()
    );
    Some(Finding { finding: says, ..metrics::unreachable(facts, &one.controller, line) })
}

/// The `ReplicaSet` of a pod: pods of one version share it.
fn replica_set(pod: &Pod) -> Option<String> {
    pod.owner_references().iter().find(|owner| owner.kind == "ReplicaSet").map(|owner| owner.name.clone())
}

/// The last lines of the log that was read.
fn last_words(one: &Installed) -> Vec<String> {
    let log = one.log.as_deref().unwrap_or_default();
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN)..].iter().map(|line| shortened(line)).collect()
}

fn down(facts: &Facts, one: &Installed) -> Option<Finding> {
    let controller = &one.controller;
    let Controller { namespace, name, replicas, ready, .. } = controller;
    let now = facts.now;
    // Scaled to zero, it is as good as gone while its last pod ends.
    if *ready > 0 && *replicas > 0 {
        return None;
    }
    let finding = |what: String| {
        Finding::new(
            Cause::ControllerDown,
            Subject::new("deployment", namespace, name),
            format!("controller {namespace}/{name} does not run: {what}"),
        )
    };
    if *replicas == 0 {
        return Some(
            finding("it is scaled to zero".to_owned())
                .shown_by("spec.replicas is 0")
                .fixed_by(format!("kubectl scale deployment/{name} -n {namespace} --replicas=1")),
        );
    }
    let log = one.log.as_deref().unwrap_or_default();
    if let Some(line) = metrics::unanswered(log) {
        return Some(metrics::unreachable(facts, controller, line));
    }
    let pods: Vec<_> = one.pods.iter().flatten().collect();
    let mut found = match pods.as_slice() {
        [] => finding(format!("there are 0 pods of {replicas}"))
            .shown_by("the Deployment has no pods")
            .looked_at(format!("kubectl describe replicaset -n {namespace} -l control-plane=controller-manager")),
        pods => {
            let mut found = finding(format!("0 of {replicas} replicas are ready"));
            for pod in pods {
                let health = Health::of(pod, &one.nodes, now);
                found = found.shown_by(format!("pod {}: {}", pod.name_any(), health.trouble().unwrap_or("over")));
            }
            found
        }
    };
    for line in last_words(one) {
        found = found.shown_by(format!("log: {line}"));
    }
    if !pods.is_empty() {
        found = remedy(one, found, now)
            .looked_at(format!("kubectl logs -n {namespace} deployment/{name} --tail=100"))
            .looked_at(format!("kubectl describe pods -n {namespace} -l control-plane=controller-manager"));
    }
    Some(found)
}

/// What brings the pods of a controller back, as far as the cluster tells.
fn remedy(one: &Installed, found: Finding, now: Timestamp) -> Finding {
    let Controller { namespace, name, .. } = &one.controller;
    let lost: Vec<String> = one
        .pods
        .iter()
        .flatten()
        .filter(|pod| matches!(Health::of(pod, &one.nodes, now), Health::Lost(_)))
        .map(ResourceExt::name_any)
        .collect();
    if !lost.is_empty() {
        return found
            .fixed_by(format!("kubectl delete pod {} -n {namespace} --force --grace-period=0", lost.join(" ")));
    }
    // A pod that cannot start with what it is given does not start with the same a second time.
    let hopeless = one.pods.iter().flatten().any(|pod| Health::of(pod, &one.nodes, now).is_bad());
    if !hopeless {
        return found.fixed_by(format!("kubectl rollout restart deployment/{name} -n {namespace}"));
    }
    match one.controller.revision {
        2.. => found.fixed_by(format!("kubectl rollout undo deployment/{name} -n {namespace}")),
        _ => found,
    }
}

fn leaderless(one: &Installed, now: Timestamp) -> Option<Finding> {
    let controller = &one.controller;
    if controller.literal(config_keys::LEADER_ELECT).as_deref() != Some("true") {
        return None;
    }
    let (Ok(lease), Ok(pods)) = (&one.lease, &one.pods) else { return None };
    let (namespace, name, lease_name) = (&controller.namespace, &controller.name, controller.lease_name());
    let why = match lease.as_ref().and_then(holder) {
        None => format!("Lease {lease_name} has no holder"),
        Some((holder, _)) if !pods.iter().any(|pod| holder.starts_with(&pod.name_any())) => {
            return Some(
                found(controller, format!("Lease {lease_name} is held by {holder}, which is none of its pods"))
                    .fixed_by(format!("kubectl delete lease {lease_name} -n {namespace}")),
            );
        }
        Some((holder, spec)) => {
            let overdue = overdue(spec, now)?;
            let since = duration::age(now - overdue, now);
            format!("{holder} holds Lease {lease_name} but has not renewed it; it ran out {since} ago")
        }
    };
    Some(found(controller, why).fixed_by(format!("kubectl rollout restart deployment/{name} -n {namespace}")))
}

fn found(controller: &Controller, evidence: String) -> Finding {
    Finding::new(
        Cause::NoLeader,
        Subject::new("deployment", &controller.namespace, &controller.name),
        format!("controller {} runs, but none of its replicas leads: nobody decides", controller.key()),
    )
    .shown_by(evidence)
}

fn holder(lease: &Lease) -> Option<(&str, &LeaseSpec)> {
    let spec = lease.spec.as_ref()?;
    let holder = spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())?;
    Some((holder, spec))
}

/// How long ago a Lease ran out; `None` while it holds.
fn overdue(spec: &LeaseSpec, now: Timestamp) -> Option<SignedDuration> {
    let (renewed, holds) = (spec.renew_time.as_ref()?.0, spec.lease_duration_seconds?);
    let overdue = now.duration_since(renewed) - SignedDuration::from_secs(holds.into());
    (overdue > OVERDUE).then_some(overdue)
}

/// A log line without control characters, with what stands in its middle left out when it is too long to read: the
/// cause stands at the end.
pub(super) fn shortened(line: &str) -> String {
    const BEGINNING: usize = 120;
    const END: usize = 140;
    let plain = anstream::adapter::strip_str(line).to_string();
    let letters: Vec<char> = plain.trim().chars().collect();
    if letters.len() <= BEGINNING + END {
        return letters.into_iter().collect();
    }
    let (beginning, end) = (&letters[..BEGINNING], &letters[letters.len() - END..]);
    beginning.iter().chain(&[' ', '…', ' ']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_keeps_its_beginning_and_its_point() {
        let line = format!("Prometheus does not answer {}dns error: Name or service not known", "x".repeat(400));
        let short = shortened(&line);
        assert!(short.starts_with("Prometheus does not answer") && short.ends_with("Name or service not known"));
        assert!(short.chars().count() < 270, "{short}");
    }
}
