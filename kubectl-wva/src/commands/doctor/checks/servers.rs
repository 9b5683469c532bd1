//! Whether the pods of the targets run: what is measured and scaled is worth a look only then.

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use wva_api::ScaleTargetRef;

use crate::commands::doctor::examination::{Examination, Managed};
use crate::commands::doctor::finding::{Cause, Finding, Subject};
use crate::readers::controllers::REVISION;
use crate::readers::pods::Health;
use crate::readers::servers::{Ailment, not_made};

/// Pods named below a finding before the rest is only counted.
const NAMED: usize = 3;

/// Shows what nodes have to give.
const NODES: &str = "kubectl get nodes -o custom-columns=NODE:.metadata.name,GPUS:.status.allocatable.nvidia\\.com/gpu";

/// Checks the pods of each target. All variants go further: those that run are measured and scaled all the same.
pub(in crate::commands::doctor) fn check(examination: &mut Examination<'_>, managed: &[Managed<'_>]) {
    let facts = examination.facts;
    for one in managed {
        let (namespace, reference) = (one.namespace(), &one.variant.spec.scale_target_ref);
        if let Some(Err(why)) = facts.servers.pods.get(namespace) {
            examination.unknown(&[Cause::PodsPending, Cause::PodsFailing], why);
        }
        let deployment = facts.deployment(namespace, reference);
        if let Some(why) = deployment.and_then(not_made) {
            let finding = failing(namespace, reference, "pods cannot be made").shown_by(why);
            let quota = format!("kubectl describe resourcequota -n {namespace}");
            examination.found(finding.looked_at(quota).affecting(one.key()));
        }
        for ailment in facts.servers.ailments(namespace, reference, facts.now) {
            let finding = match ailment.health {
                Health::Pending(_) => pending(facts, one, reference, &ailment),
                Health::Failing(_) => broken(namespace, reference, deployment, &ailment),
                Health::Lost(_) => lost(namespace, reference, &ailment),
                Health::Starting(_) | Health::Ready | Health::Over => {
                    examination.starting(format!("{} {}: {}", reference.kind, reference.name, ailment.sentence()));
                    continue;
                }
            };
            examination.found(finding.affecting(one.key()));
        }
    }
}

fn subject(namespace: &str, reference: &ScaleTargetRef) -> Subject {
    let kind = match reference.kind.as_str() {
        "StatefulSet" => "statefulset",
        "LeaderWorkerSet" => "leaderworkerset",
        _ => "deployment",
    };
    Subject::new(kind, namespace, &reference.name)
}

fn failing(namespace: &str, reference: &ScaleTargetRef, what: &str) -> Finding {
    let says = format!("{} {}: {what}", reference.kind, reference.name);
    Finding::new(Cause::PodsFailing, subject(namespace, reference), says)
}

fn named(ailment: &Ailment) -> String {
    let shown = ailment.pods.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = ailment.pods.len().saturating_sub(NAMED);
    let word = if ailment.pods.len() == 1 { "pod" } else { "pods" };
    if more == 0 { format!("{word} {shown}") } else { format!("{word} {shown} and {more} more") }
}

fn pending(
    facts: &crate::commands::doctor::Facts,
    one: &Managed<'_>,
    reference: &ScaleTargetRef,
    ailment: &Ailment,
) -> Finding {
    let namespace = one.namespace();
    let says = format!("{} {}: {}", reference.kind, reference.name, ailment.sentence());
    let finding =
        Finding::new(Cause::PodsPending, subject(namespace, reference), says).shown_by(named(ailment)).advised(
            "add nodes that fit, or free some; a smaller maximum keeps the number within what the cluster has, and lets \
             another variant of the model grow",
        );
    let ready = facts
        .deployment(namespace, reference)
        .and_then(|found| found.status.as_ref()?.ready_replicas)
        .filter(|ready| *ready > 0);
    if let Some(undo) = facts.deployment(namespace, reference).filter(|found| rolls_out(found)).and_then(undone) {
        // It was the change that asked for what no node has.
        return finding
            .fixed_by(undo)
            .looked_at(format!("kubectl describe pod {} -n {namespace}", ailment.pods[0]))
            .looked_at(NODES);
    }
    let follows = facts.hpas.iter().flatten().find(|hpa| super::follower::scales(hpa, namespace, reference));
    let finding = match (follows, ready) {
        (Some(hpa), Some(ready)) if hpa.spec.as_ref().is_some_and(|spec| spec.min_replicas.unwrap_or(1) <= ready) => {
            let patch = serde_json::json!({"spec": {"maxReplicas": ready}});
            finding.fixed_by(crate::commands::doctor::fixes::merge("hpa", namespace, &hpa.name_any(), &patch))
        }
        _ => finding,
    };
    finding.looked_at(format!("kubectl describe pod {} -n {namespace}", ailment.pods[0])).looked_at(NODES)
}

/// Whether pods of the version before are still there.
fn rolls_out(deployment: &Deployment) -> bool {
    let status = deployment.status.clone().unwrap_or_default();
    status.updated_replicas.unwrap_or(0) < status.replicas.unwrap_or(0)
}

/// Takes the last change of a Deployment back: what ran before may run again. `None` where nothing was before.
fn undone(deployment: &Deployment) -> Option<String> {
    let revision = deployment.annotations().get(REVISION)?.parse::<u64>().ok()?;
    let (namespace, name) = (deployment.namespace()?, deployment.name_any());
    (revision > 1).then(|| format!("kubectl rollout undo deployment/{name} -n {namespace}"))
}

fn broken(namespace: &str, reference: &ScaleTargetRef, deployment: Option<&Deployment>, ailment: &Ailment) -> Finding {
    let finding = failing(namespace, reference, &ailment.sentence()).shown_by(named(ailment));
    let finding = deployment.and_then(undone).into_iter().fold(finding, Finding::fixed_by);
    let pod = &ailment.pods[0];
    let crashed = ailment.why.contains("exited with code");
    let log = format!("kubectl logs {pod} -n {namespace} --tail=50{}", if crashed { " --previous" } else { "" });
    let finding = if crashed { finding.looked_at(log) } else { finding };
    finding.looked_at(format!("kubectl describe pod {pod} -n {namespace}"))
}

fn lost(namespace: &str, reference: &ScaleTargetRef, ailment: &Ailment) -> Finding {
    let pods = ailment.pods.join(" ");
    failing(namespace, reference, &ailment.sentence())
        .shown_by(named(ailment))
        .fixed_by(format!("kubectl delete pod {pods} -n {namespace} --force --grace-period=0"))
        .looked_at("kubectl get nodes")
        .advised(
            "only when the node is really gone: a pod deleted by force may go on running on a node that comes back",
        )
}
