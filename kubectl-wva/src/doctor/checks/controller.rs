//! Whether controllers run, and whether one of their replicas leads.

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::ResourceExt as _;
use wva_api::config_keys;

use super::metrics;
use crate::controllers::Controller;
use crate::doctor::Installed;
use crate::doctor::examine::{Examination, Managed};
use crate::doctor::finding::{Cause, Finding, Subject};
use crate::{duration, pods};

/// How long a Lease may be overdue: clocks differ, and a renewal takes a moment.
const OVERDUE: SignedDuration = SignedDuration::from_secs(5);
/// Lines of a log shown as evidence.
const SHOWN: usize = 3;

/// Checks the controllers; the variants of those that do not work go no further.
pub(in crate::doctor) fn check<'a>(examination: &mut Examination<'a>, managed: Vec<Managed<'a>>) -> Vec<Managed<'a>> {
    if examination.facts.namespace.is_none() || examination.facts.controllers.as_ref().is_ok_and(Vec::is_empty) {
        for deployment in &examination.facts.broken {
            examination.found(broken(deployment));
        }
    }
    for one in examination.controllers() {
        if let Err(why) = &one.pods {
            examination.unknown(&[Cause::NoLeader], why);
        }
        if let Err(why) = &one.lease {
            examination.unknown(&[Cause::NoLeader], why);
        }
        let Some(mut finding) = down(one).or_else(|| leaderless(one, examination.facts.now)) else { continue };
        let variants = managed.iter().filter(|m| m.owner.is_some_and(|o| o.controller.key() == one.controller.key()));
        finding.affects = variants.map(Managed::key).collect();
        examination.found(finding);
        examination.ailing.insert(one.controller.key());
    }
    let works = |one: &Managed<'_>| one.owner.is_none_or(|owner| !examination.ailing.contains(&owner.controller.key()));
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
    .mended_by(format!("kubectl set env deployment/{name} -n {namespace} {}=ID", config_keys::CONTROLLER_INSTANCE))
}

fn down(one: &Installed) -> Option<Finding> {
    let controller = &one.controller;
    let Controller { namespace, name, replicas, ready, .. } = controller;
    if *ready > 0 {
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
                .mended_by(format!("kubectl scale deployment/{name} -n {namespace} --replicas=1")),
        );
    }
    let log = one.log.as_deref().unwrap_or_default();
    if let Some(line) = metrics::unanswered(log) {
        return Some(metrics::unreachable(controller, line));
    }
    let pods: Vec<_> = one.pods.iter().flatten().collect();
    let mut found = match pods.as_slice() {
        [] => finding(format!("there are 0 pods of {replicas}"))
            .shown_by("the Deployment has no pods")
            .mended_by(format!("kubectl describe replicaset -n {namespace} -l control-plane=controller-manager")),
        pods => {
            let mut found = finding(format!("0 of {replicas} replicas are ready"));
            for pod in pods {
                found = found.shown_by(format!("pod {}: {}", pod.name_any(), pods::trouble(pod)));
            }
            found
        }
    };
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    for line in &lines[lines.len().saturating_sub(SHOWN)..] {
        found = found.shown_by(format!("log: {}", shortened(line)));
    }
    if found.mend.is_empty() {
        found = found
            .mended_by(format!("kubectl rollout restart deployment/{name} -n {namespace}"))
            .mended_by(format!("kubectl logs -n {namespace} deployment/{name} --tail=100"))
            .mended_by(format!("kubectl describe pods -n {namespace} -l control-plane=controller-manager"));
    }
    Some(found)
}

fn leaderless(one: &Installed, now: jiff::Timestamp) -> Option<Finding> {
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
                    .mended_by(format!("kubectl delete lease {lease_name} -n {namespace}")),
            );
        }
        Some((holder, spec)) => {
            let overdue = overdue(spec, now)?;
            let since = duration::age(now - overdue, now);
            format!("{holder} holds Lease {lease_name} but has not renewed it; it ran out {since} ago")
        }
    };
    Some(found(controller, why).mended_by(format!("kubectl rollout restart deployment/{name} -n {namespace}")))
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
fn overdue(spec: &LeaseSpec, now: jiff::Timestamp) -> Option<SignedDuration> {
    let (renewed, holds) = (spec.renew_time.as_ref()?.0, spec.lease_duration_seconds?);
    let overdue = now.duration_since(renewed) - SignedDuration::from_secs(holds.into());
    (overdue > OVERDUE).then_some(overdue)
}

/// A log line without control characters, cut to what a person reads.
pub(super) fn shortened(line: &str) -> String {
    const LONGEST: usize = 200;
    let plain = anstream::adapter::strip_str(line).to_string();
    let plain = plain.trim();
    match plain.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain.to_owned(),
    }
}
