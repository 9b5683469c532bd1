//! Which controller takes a variant, and if none, why not: exclusion, instance label, watched namespaces.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt as _;
use wva_api::{Claim, Instance, VariantAutoscaling, config_keys, labels, metrics, scope};

use super::follower;
use crate::commands::doctor::examination::{Examination, Managed};
use crate::commands::doctor::finding::{Cause, Finding, Subject};
use crate::commands::doctor::{Facts, Installed, fixes};
use crate::readers::controllers::Controller;

/// Causes that only the list of controllers tells.
const OF_CONTROLLERS: [Cause; 9] = [
    Cause::InstanceMismatch,
    Cause::NamespaceNotWatched,
    Cause::NoController,
    Cause::DuplicateSeries,
    Cause::ControllerDown,
    Cause::NoLeader,
    Cause::OptimizationDisabled,
    Cause::OptimizationSlow,
    Cause::SeriesPerPod,
];

/// Finds the controller of each variant to judge; variants without one go no further.
pub(in crate::commands::doctor) fn check<'a>(examination: &mut Examination<'a>) -> Vec<Managed<'a>> {
    let facts = examination.facts;
    if let Err(why) = &facts.namespaces {
        examination.unknown(&[Cause::NamespaceExcluded, Cause::NamespaceNotTracked], why);
    }
    let controllers = match &facts.controllers {
        Ok(controllers) => Some(controllers.as_slice()),
        Err(why) => {
            examination.unknown(&OF_CONTROLLERS, why);
            None
        }
    };
    if facts.chosen().next().is_none() && controllers.is_some_and(<[_]>::is_empty) && facts.broken.is_empty() {
        examination.found(no_controller(facts));
    }
    let mut managed = Vec::new();
    for guarded in facts.chosen() {
        match &guarded.0 {
            Err(invalid) => {
                let (namespace, name) = (invalid.metadata.namespace.clone(), invalid.metadata.name.clone());
                let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
                let command = format!("kubectl get va {name} -n {namespace} -o yaml");
                examination.found(
                    Finding::new(
                        Cause::InvalidVariant,
                        Subject::new("variantautoscaling", &namespace, &name),
                        "the variant does not have the form its definition asks for",
                    )
                    .shown_by(invalid.error.clone())
                    .looked_at(command)
                    .affecting(format!("{namespace}/{name}")),
                );
            }
            Ok(variant) => match controllers {
                None => managed.push(Managed { variant, owner: None }),
                Some(controllers) => match take(facts, controllers, variant) {
                    Ok(owner) => {
                        examination.owners.insert(owner.controller.key());
                        managed.push(Managed { variant, owner: Some(owner) });
                    }
                    Err(finding) => examination.found(finding.affecting(key(variant))),
                },
            },
        }
    }
    managed
}

fn key(variant: &VariantAutoscaling) -> String {
    format!("{}/{}", variant.namespace().unwrap_or_default(), variant.name_any())
}

fn take<'a>(
    facts: &Facts,
    controllers: &'a [Installed],
    variant: &VariantAutoscaling,
) -> Result<&'a Installed, Box<Finding>> {
    let labels = variant.labels();
    let namespace = variant.namespace().unwrap_or_default();
    let annotations = facts.namespace(&namespace).map(|found| found.metadata.annotations.clone().unwrap_or_default());
    let takes = |one: &&Installed| one.controller.takes(labels, &namespace, annotations.as_ref());
    let owners: Vec<&Installed> = controllers.iter().filter(takes).collect();
    match owners.as_slice() {
        [owner] => Ok(owner),
        [] => Err(Box::new(nobody(facts, controllers, variant, &namespace, annotations.as_ref()))),
        several => Err(Box::new(too_many(several, &namespace, variant))),
    }
}

fn nobody(
    facts: &Facts,
    controllers: &[Installed],
    variant: &VariantAutoscaling,
    namespace: &str,
    annotations: Option<&BTreeMap<String, String>>,
) -> Finding {
    if annotations.is_some_and(scope::is_excluded)
        && !controllers.iter().any(|one| one.controller.scope.watches_by_name(namespace))
    {
        return excluded(namespace);
    }
    // A process that cannot start takes nothing, whatever it is labelled for.
    let owner = Instance::of_labels(variant.labels());
    let labelled = facts.broken.iter().find(|broken| Instance::of_labels(broken.labels()) == owner);
    if let Some(broken) = labelled.or_else(|| facts.broken.first().filter(|_| controllers.is_empty())) {
        return super::controller::broken(broken);
    }
    if controllers.is_empty() {
        return no_controller(facts);
    }
    let claim = |one: &&Installed| one.controller.scope.claim(variant.labels(), namespace, annotations);
    match controllers.iter().find(|one| claim(one) == Claim::OutsideNamespaces) {
        Some(one) => not_watched(&one.controller, namespace),
        None => mismatch(facts, controllers, variant, namespace),
    }
}

/// A namespace that is excluded.
pub(super) fn excluded(namespace: &str) -> Finding {
    Finding::new(
        Cause::NamespaceExcluded,
        Subject::cluster("namespace", namespace),
        format!("namespace {namespace} is excluded: no controller looks at its variants and ConfigMaps"),
    )
    .shown_by(format!("namespace {namespace} is annotated {}=true", labels::EXCLUDE))
    .fixed_by(format!("kubectl annotate namespace {namespace} {}-", labels::EXCLUDE))
    .advised("a controller that watches this namespace by name (--watch-namespace) ignores the annotation")
}

fn no_controller(facts: &Facts) -> Finding {
    let home = "workload-variant-autoscaler-system";
    let prometheus = super::metrics::addresses(facts)
        .first()
        .map_or(String::new(), |url| format!(" --set wva.prometheus.baseURL={url}"));

    Finding::new(
        Cause::NoController,
        Subject::cluster("deployment", "workload-variant-autoscaler-controller-manager"),
        "there is no controller in the cluster",
    )
    .shown_by(format!("no Deployment is labelled {}", crate::readers::controllers::SELECTOR))
    .fixed_by(format!(
        "(kubectl get namespace {home} || kubectl create namespace {home}) && kubectl wva render \
         workload-variant-autoscaler -n {home} --include-crds --set \
         va.enabled=false,hpa.enabled=false,vllmService.enabled=false{prometheus} | kubectl apply --server-side -n {home} -f -"
    ))
    .advised("or with helm, and the values of your choice: helm upgrade -i … charts/workload-variant-autoscaler")
}

fn not_watched(controller: &Controller, namespace: &str) -> Finding {
    let Controller { namespace: home, name, container, .. } = controller;
    let mut watched = controller.scope.namespaces.clone();
    watched.insert(namespace.to_owned());
    let list = watched.into_iter().collect::<Vec<_>>().join(",");
    let args = container.iter().flat_map(|container| container.args.iter().flatten());
    let at = args.clone().position(|arg| arg.starts_with("--watch-namespace="));
    let command = match at {
        Some(at) => {
            let path = format!("/spec/template/spec/containers/{}/args/{at}", controller.container_index);
            let replacement =
                serde_json::json!([{"op": "replace", "path": path, "value": format!("--watch-namespace={list}")}]);
            fixes::json("deployment", home, name, &replacement)
        }
        None => format!("kubectl set env deployment/{name} -n {home} {}={list}", config_keys::WATCH_NAMESPACE),
    };
    Finding::new(
        Cause::NamespaceNotWatched,
        Subject::new("deployment", home, name),
        format!("the controller {} watches only {}, not {namespace}", controller.key(), controller.watches()),
    )
    .shown_by(format!(
        "its --watch-namespace is {}",
        controller.scope.namespaces.iter().cloned().collect::<Vec<_>>().join(",")
    ))
    .fixed_by(command)
    .advised(
        "an install with wva.namespaceScoped=true has rights only in its own namespaces; install it with \
         wva.namespaceScoped=false to watch all of them",
    )
}

fn mismatch(facts: &Facts, controllers: &[Installed], variant: &VariantAutoscaling, namespace: &str) -> Finding {
    let (owner, name) = (Instance::of_labels(variant.labels()), variant.name_any());
    let label = labels::CONTROLLER_INSTANCE;
    let mut ids: Vec<&Controller> = controllers.iter().map(|one| &one.controller).collect();
    // Most likely is the instance whose number the HPA asks for, then the one that is called alike.
    let followed = followed_instance(facts, variant, namespace);
    let typed = owner.id().unwrap_or_default();
    ids.sort_by_key(|controller| {
        let id = controller.scope.instance.id();
        (followed.as_deref() != id || followed.is_none(), strsim::damerau_levenshtein(typed, id.unwrap_or_default()))
    });
    let told = |controller: &Controller| match controller.scope.instance.id() {
        Some(id) => format!("{} takes instance {id}", controller.key()),
        None => format!("{} takes variants without the label", controller.key()),
    };
    let carries = owner.id().map_or(format!("carries no label {label}"), |id| format!("is labelled {label}={id}"));
    let mut finding = Finding::new(
        Cause::InstanceMismatch,
        Subject::new("variantautoscaling", namespace, &name),
        format!("variant {name} {carries}, which no controller takes"),
    )
    .shown_by(ids.iter().map(|controller| told(controller)).collect::<Vec<_>>().join("; "))
    .advised("its HPA must select the same instance; for a variant that was added with add-model or helm, change wva.controllerInstance of its release instead");
    for controller in ids {
        let change =
            controller.scope.instance.id().map_or(format!("{label}-"), |id| format!("{label}={id} --overwrite"));
        let command = format!("kubectl label va {name} -n {namespace} {change}");
        if !finding.fix.contains(&command) {
            finding = finding.fixed_by(command);
        }
    }
    finding
}

/// The instance whose number the HPA of a variant's target asks for, or that it is labelled for.
fn followed_instance(facts: &Facts, variant: &VariantAutoscaling, namespace: &str) -> Option<String> {
    let target = &variant.spec.scale_target_ref;
    let hpa = facts.hpas.iter().flatten().find(|hpa| follower::scales(hpa, namespace, target))?;
    let metrics = hpa.spec.as_ref()?.metrics.iter().flatten();
    let mut selectors =
        metrics.filter_map(|metric| metric.external.as_ref()?.metric.selector.as_ref()?.match_labels.as_ref());
    let selected = selectors.find_map(|labels| labels.get(metrics::LABEL_CONTROLLER_INSTANCE));
    selected.or_else(|| hpa.labels().get(labels::CONTROLLER_INSTANCE)).cloned()
}

fn too_many(owners: &[&Installed], namespace: &str, variant: &VariantAutoscaling) -> Finding {
    let instances: BTreeSet<&Instance> = owners.iter().map(|one| &one.controller.scope.instance).collect();
    let shown = |finding: Finding| {
        owners.iter().fold(finding, |finding, one| {
            let Controller { scope, ready, replicas, .. } = &one.controller;
            let all = if scope.manage_all { ", takes the variants of all instances" } else { "" };
            let instance =
                scope.instance.id().map_or("without an instance id".to_owned(), |id| format!("of instance {id}"));
            let made = one.controller.created.map_or(String::new(), |at| format!(", made {}", at.strftime("%F %TZ")));
            finding.shown_by(format!(
                "{} {instance} watches {}{all}; {ready}/{replicas} ready{made}",
                one.controller.key(),
                one.controller.watches()
            ))
        })
    };
    let says = |intruder: &Controller, rest: &[&Installed]| {
        let others: Vec<String> = rest.iter().map(|one| one.controller.key()).collect();
        format!(
            "controller {} takes variants that {} takes as well: HPAs add up what both publish",
            intruder.key(),
            others.join(", ")
        )
    };
    if instances.len() > 1 {
        let all = owners.iter().find(|one| one.controller.scope.manage_all).unwrap_or(&owners[0]);
        let rest: Vec<&Installed> =
            owners.iter().filter(|one| one.controller.key() != all.controller.key()).copied().collect();
        let Controller { name, namespace: home, .. } = &all.controller;
        let subject = Subject::new("deployment", home, name);
        return shown(Finding::new(Cause::DuplicateSeries, subject, says(&all.controller, &rest)))
            .fixed_by(format!(
                "kubectl set env deployment/{name} -n {home} {}=false",
                config_keys::MANAGE_ALL_INSTANCES
            ))
            .advised("only a controller that is alone in its cluster may take the variants of all instances");
    }
    // The one that came later, or does not even work, is the intruder.
    let mut ranked: Vec<&Installed> = owners.to_vec();
    ranked.sort_by_key(|one| {
        let Controller { ready, created, .. } = &one.controller;
        (*ready > 0, leads(one), std::cmp::Reverse(*created))
    });
    let [intruder, rest @ ..] = ranked.as_slice() else {
        return Finding::new(
            Cause::DuplicateSeries,
            Subject::new("variantautoscaling", namespace, variant.name_any()),
            "",
        );
    };
    let Controller { name, namespace: home, release, by_helm, .. } = &intruder.controller;
    let subject = Subject::new("deployment", home, name);
    let command = match release.as_ref().filter(|_| *by_helm) {
        Some(release) => format!("helm uninstall {release} -n {home}"),
        None => format!("kubectl delete deployment {name} -n {home}"),
    };
    shown(Finding::new(Cause::DuplicateSeries, subject, says(&intruder.controller, rest))).fixed_by(command).advised(
        "it came later, or does not work; if it is the one to stay, give it an instance id of its own \
         (wva.controllerInstance)",
    )
}

/// Whether one of its pods holds its Lease.
fn leads(one: &Installed) -> bool {
    let lease = one.lease.as_ref().ok().and_then(Option::as_ref);
    let holder = lease.and_then(|lease| lease.spec.as_ref()?.holder_identity.clone()).unwrap_or_default();
    one.pods.iter().flatten().any(|pod| holder.starts_with(&pod.name_any()))
}
