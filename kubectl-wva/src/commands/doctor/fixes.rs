//! Commands that fix things, ready to be copied into a shell.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;
use serde_json::Value;
use wva_api::Instance;

use super::Facts;
use super::examination::Managed;
use crate::commands::add_model::REMEMBERED;
use crate::commands::list_models::HELM_RELEASE;
use crate::readers::controllers::Controller;
use crate::readers::{variants, workload};

/// Annotation that helm gives what it installs: where it keeps the release.
const HELM_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// `kubectl patch`, as a merge patch.
pub(super) fn merge(kind: &str, namespace: &str, name: &str, patch: &Value) -> String {
    format!("kubectl patch {kind} {name} -n {namespace} --type=merge -p {}", quoted(&patch.to_string()))
}

/// `kubectl patch`, as a JSON patch.
pub(super) fn json(kind: &str, namespace: &str, name: &str, patch: &Value) -> String {
    format!("kubectl patch {kind} {name} -n {namespace} --type=json -p {}", quoted(&patch.to_string()))
}

/// Installs the release of a variant once more, as far as the cluster still tells how it was done: what is missing is
/// made, and what is there stays.
pub(super) fn install_again(facts: &Facts, one: &Managed<'_>) -> String {
    let (variant, namespace) = (one.variant, one.namespace());
    if let Some(release) = variant.annotations().get(HELM_RELEASE) {
        // A release may be kept in another namespace than the model's.
        let home = variant.annotations().get(HELM_NAMESPACE).map_or(namespace, String::as_str);
        return format!(
            "helm get manifest {release} -n {home} | kubectl apply --server-side --force-conflicts -n {namespace} -f -"
        );
    }
    let known = variants::release(&variant.metadata).filter(|_| variant.annotations().contains_key(REMEMBERED));
    if let Some(release) = known {
        // What it was given before, it remembers.
        return format!("kubectl wva add-model {release} -n {namespace}");
    }
    let (spec, reference) = (&variant.spec, &variant.spec.scale_target_ref);
    let name = variant.name_any();
    let release = variants::release(&variant.metadata).unwrap_or(&name);
    let mut words = vec![format!("kubectl wva add-model {release} -n {namespace} --deployment {}", reference.name)];
    words.push(format!("--model-id {} --cost {}", quoted(spec.model().unwrap_or_default()), spec.variant_cost));
    words.extend(variant.accelerator_label().map(|accelerator| format!("--accelerator {}", quoted(accelerator))));
    words.extend(Instance::of_labels(variant.labels()).id().map(|id| format!("--instance {id}")));
    let hpas = facts.hpas.iter().flatten().filter(|hpa| hpa.namespace().as_deref() == Some(namespace));
    let bounds = hpas.filter_map(|hpa| hpa.spec.as_ref()).find(|spec| spec.scale_target_ref.name == reference.name);
    words.extend(bounds.map(|spec| format!("--min {} --max {}", spec.min_replicas.unwrap_or(1), spec.max_replicas)));
    words.extend(port(facts, one).map(|port| format!("--set vllmService.port={port},vllmService.targetPort={port}")));
    words.join(" ")
}

/// Makes the monitor of a controller again, with the values it was installed with where helm knows them.
pub(super) fn monitor_again(controller: &Controller) -> String {
    let Controller { namespace, release, by_helm, scope, .. } = controller;
    let release = release.as_deref().unwrap_or("workload-variant-autoscaler");
    let apply = format!("kubectl apply --server-side --force-conflicts -n {namespace} -f -");
    if *by_helm {
        return format!("helm get manifest {release} -n {namespace} | {apply}");
    }
    let instance = scope.instance.id().map_or(String::new(), |id| format!(" --set wva.controllerInstance={id}"));
    format!(
        "kubectl wva render {release} -n {namespace} --set va.enabled=false,hpa.enabled=false,vllmService.enabled=false\
         {instance} --show-only templates/controller/metrics-servicemonitor.yaml | {apply}"
    )
}

/// The port the servers listen on: of the release's Service, else of the pods.
fn port(facts: &Facts, one: &Managed<'_>) -> Option<i32> {
    let release = variants::release(&one.variant.metadata);
    let own = facts.services.iter().flatten().find(|service| {
        service.namespace().as_deref() == Some(one.namespace())
            && release.is_some()
            && variants::release(&service.metadata) == release
    });
    let port = own.and_then(|service| service.spec.as_ref()?.ports.as_ref()?.first());
    match port.and_then(|port| port.target_port.clone()) {
        Some(IntOrString::Int(port)) => Some(port),
        _ => workload::port(facts.deployment(one.namespace(), &one.variant.spec.scale_target_ref)?),
    }
}

/// A word that a shell takes as it is.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_survives_the_shell() {
        let command = merge("va", "models", "llama-va", &json!({"spec": {"modelID": "it's"}}));
        assert_eq!(command, r#"kubectl patch va llama-va -n models --type=merge -p '{"spec":{"modelID":"it'\''s"}}'"#);
    }
}
