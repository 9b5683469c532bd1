//! The instance id must be the same on a controller, its variants and everything of their release, and every variant
//! must have exactly one controller that watches its namespace.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::objects::Object;
use super::{Finding, Rule};

/// The label that assigns an object to a controller; absent for the controller without an id.
pub(super) const LABEL: &str = "wva.llmd.ai/controller-instance";

/// Names of environment variables by which a controller is known among Deployments.
const CONTROLLER_ENV: &[&str] = &["CONTROLLER_INSTANCE", "CONFIG_MAP_NAME", "SATURATION_CONFIG_MAP_NAME"];

pub(super) fn findings(objects: &[Object<'_>]) -> Vec<Finding> {
    let controllers: Vec<Controller<'_>> = objects.iter().filter_map(Controller::of).collect();
    let mut findings = labels_within_releases(objects);
    findings.extend(controllers.iter().filter_map(Controller::mislabelled));
    findings.extend(rivals(&controllers));
    if !controllers.is_empty() {
        let variants = objects.iter().filter(|object| object.kind() == "VariantAutoscaling");
        findings.extend(variants.filter_map(|variant| owner(variant, &controllers)));
    }
    findings
}

/// A controller's Deployment, as far as it decides who owns what.
struct Controller<'a> {
    object: &'a Object<'a>,
    instance: Option<&'a str>,
    all_instances: bool,
    /// None: all namespaces.
    namespaces: Option<Vec<String>>,
    lease: Option<&'a str>,
}

impl<'a> Controller<'a> {
    fn of(object: &'a Object<'a>) -> Option<Self> {
        if object.kind() != "Deployment" || object.label("control-plane") != Some("controller-manager") {
            return None;
        }
        let container = &object.pod_template()["spec"]["containers"][0];
        let entries = container["env"].as_array().map(Vec::as_slice).unwrap_or_default();
        let env = |name: &str| entries.iter().find(|entry| entry["name"].as_str() == Some(name));
        CONTROLLER_ENV.iter().find_map(|name| env(name))?;
        let value = |name: &str| env(name).and_then(|entry| entry["value"].as_str()).filter(|value| !value.is_empty());
        let flag = |name: &str| {
            let arguments = container["args"].as_array().map(Vec::as_slice).unwrap_or_default();
            arguments
                .iter()
                .filter_map(Json::as_str)
                .find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='))
        };
        let watched = flag("--watch-namespace").or_else(|| value("WATCH_NAMESPACE"));
        let namespaces = watched.map(|list| {
            let one = |name: &str| name.trim().replace("$(POD_NAMESPACE)", object.namespace());
            list.split(',').map(one).filter(|name| !name.is_empty()).collect()
        });
        Some(Self {
            object,
            instance: flag("--controller-instance").or_else(|| value("CONTROLLER_INSTANCE")),
            all_instances: flag("--manage-all-instances").or_else(|| value("MANAGE_ALL_INSTANCES")) == Some("true"),
            namespaces,
            lease: flag("--leader-election-id").or_else(|| value("LEADER_ELECTION_ID")),
        })
    }

    fn watches(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|names| names.iter().any(|name| name == namespace))
    }

    fn owns(&self, variant: &Object<'_>) -> bool {
        self.watches(variant.namespace()) && (self.all_instances || self.instance == variant.label(LABEL))
    }

    fn meets(&self, other: &Self) -> bool {
        match (&self.namespaces, &other.namespaces) {
            (Some(mine), Some(theirs)) => mine.iter().any(|name| theirs.contains(name)),
            _ => true,
        }
    }

    /// The Lease it leads by: two controllers with one Lease in one namespace take turns instead of working.
    fn lease(&self) -> (&str, String) {
        let own = self.instance.map_or_else(|| "72dd1cf1.llm-d.ai".to_owned(), |id| format!("{id}.72dd1cf1.llm-d.ai"));
        (self.object.namespace(), self.lease.map_or(own, str::to_owned))
    }

    fn mislabelled(&self) -> Option<Finding> {
        let label = self.object.label(LABEL);
        (label != self.instance).then(|| {
            let message = format!(
                "the controller runs with {} but its Deployment is labelled with {}: set wva.controllerInstance, and \
                 not the variable alone",
                say(self.instance),
                say(label)
            );
            Finding { rule: Rule::Instance, objects: vec![self.object.reference()], message }
        })
    }
}

fn say(id: Option<&str>) -> String {
    id.map_or("no instance id".to_owned(), |id| format!("instance id {id:?}"))
}

/// All objects of a release carry the same id, or none carries one.
fn labels_within_releases(objects: &[Object<'_>]) -> Vec<Finding> {
    let mut ids: BTreeMap<usize, BTreeMap<&str, &Object<'_>>> = BTreeMap::new();
    for object in objects {
        let of_pods = object.pod_template()["metadata"]["labels"][LABEL].as_str();
        for id in object.label(LABEL).into_iter().chain(of_pods.filter(|_| object.is_workload())) {
            ids.entry(object.release).or_default().entry(id).or_insert(object);
        }
    }
    let mixed = ids.into_values().filter(|ids| ids.len() > 1);
    mixed
        .map(|ids| {
            let names: Vec<String> = ids.keys().map(|id| format!("{id:?}")).collect();
            Finding {
                rule: Rule::Instance,
                objects: ids.values().map(|object| object.reference()).collect(),
                message: format!(
                    "objects of one release carry different instance ids ({}): set one wva.controllerInstance",
                    names.join(", ")
                ),
            }
        })
        .collect()
}

/// Controllers that would both manage one variant, or share a Lease.
fn rivals(controllers: &[Controller<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, one) in controllers.iter().enumerate() {
        for other in &controllers[index + 1..] {
            let same_object =
                (one.object.namespace(), one.object.name()) == (other.object.namespace(), other.object.name());
            let same_variants = one.instance == other.instance || one.all_instances || other.all_instances;
            let message = if same_object {
                continue;
            } else if same_variants && one.meets(other) {
                format!(
                    "two controllers manage the same variants ({}): give each its own wva.controllerInstance, or \
                     namespaces that do not overlap",
                    say(one.instance)
                )
            } else if one.lease() == other.lease() {
                format!("two controllers share the Lease {} and take turns: give each its own", one.lease().1)
            } else {
                continue;
            };
            let objects = vec![one.object.reference(), other.object.reference()];
            findings.push(Finding { rule: Rule::Owner, objects, message });
        }
    }
    findings
}

/// A variant that no controller here manages. Two that do are reported as rivals.
fn owner(variant: &Object<'_>, controllers: &[Controller<'_>]) -> Option<Finding> {
    if controllers.iter().any(|controller| controller.owns(variant)) {
        return None;
    }
    let id = variant.label(LABEL);
    let named = controllers.iter().find(|controller| controller.instance == id);
    let message = match named {
        Some(controller) => format!(
            "the controller with {} does not watch the namespace {}: add it to --watch-namespace, or install the \
             controller with wva.namespaceScoped=false",
            say(controller.instance),
            variant.namespace()
        ),
        None => format!(
            "no controller here has {}: correct wva.controllerInstance of the model or of its controller",
            say(id)
        ),
    };
    let objects = std::iter::once(variant.reference()).chain(named.map(|controller| controller.object.reference()));
    Some(Finding { rule: Rule::Owner, objects: objects.collect(), message })
}
