//! What has to be done, and in which order: first what breaks nothing, then the release, then what is left over.

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde::Serialize;
use serde_json::{Value, json};

use super::releases::Release;
use super::survey::{self, Kind, OLD_PREFIX, Survey};

/// The series of the releases to 0.4, without their prefix; the later ones begin with `wva_`.
const SERIES: [&str; 4] = ["desired_replicas", "current_replicas", "desired_ratio", "replica_scaling_total"];
const HELM_RELEASE: &str = "meta.helm.sh/release-name";
const HELM_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// The steps.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Plan {
    /// In their order.
    pub(super) steps: Vec<Step>,
    /// What keeps the steps from being taken.
    pub(super) blocked: Vec<String>,
    /// What only a person can do.
    pub(super) notes: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    /// What it does, to which object.
    pub(super) title: String,
    /// The command that does the same by hand.
    pub(super) command: String,
    /// What to do.
    #[serde(skip)]
    pub(super) action: Action,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Apply the definition.
    Define,
    /// Change an object by a merge patch.
    Patch(Kind, Box<DynamicObject>, Value),
    /// Delete an object.
    Delete(Kind, Box<DynamicObject>),
    /// Upgrade a release to this program's chart.
    Upgrade(Box<Release>),
}

impl Plan {
    /// What follows from what there is.
    pub(super) fn of(survey: &Survey) -> Self {
        let mut plan = Self::default();
        let go: Vec<&Release> = survey.releases.iter().filter(|release| release.is_go()).collect();
        if !survey.missing_fields.is_empty() {
            plan.step(
                format!("Apply the definition of VariantAutoscaling, which lacks {}", survey.missing_fields.join(", ")),
                "helm show crds CHART | kubectl apply --server-side --force-conflicts -f -".to_owned(),
                Action::Define,
            );
        }
        survey.variants.iter().filter(|variant| !of_helm(variant)).for_each(|variant| plan.name_target(variant));
        for autoscaler in survey.autoscalers.iter().filter(|autoscaler| !of_helm(autoscaler)) {
            plan.follow(survey, autoscaler, &go);
        }
        for (kind, objects) in [(survey::SCALED_OBJECT, &survey.scaled_objects), (survey::RULE, &survey.rules)] {
            for object in objects {
                plan.rename(kind, object);
            }
        }
        for release in &go {
            plan.upgrade(release);
        }
        survey.roles.iter().filter(|role| is_left_over(role, &survey.releases)).for_each(|role| plan.drop_role(role));
        plan.notes.extend(survey.config_maps.iter().map(|map| {
            format!(
                "configmap {map} speaks of {OLD_PREFIX}…, which nothing exports any more; if it is prometheus-adapter's, \
                 put wva_… in its rules with the values it was installed with"
            )
        }));
        plan
    }

    fn step(&mut self, title: String, command: String, action: Action) {
        self.steps.push(Step { title, command, action });
    }

    /// To 0.4 a variant was called as its Deployment, and did not name it.
    fn name_target(&mut self, variant: &DynamicObject) {
        if variant.data["spec"]["scaleTargetRef"].is_object() {
            return;
        }
        let patch = json!({"spec": {"scaleTargetRef": {"name": variant.name_any()}}});
        self.patch(survey::VARIANT, variant, patch, "Name the Deployment that it scales:");
    }

    /// An autoscaler made by hand that follows the series of 0.4. One whose target a release scales too has to go.
    fn follow(&mut self, survey: &Survey, autoscaler: &DynamicObject, go: &[&Release]) {
        let Some(metrics) = renamed(&autoscaler.data["spec"]["metrics"]) else { return };
        let target = &autoscaler.data["spec"]["scaleTargetRef"];
        let namespace = autoscaler.namespace();
        let twin = survey.autoscalers.iter().find(|other| {
            of_helm(other) && other.namespace() == namespace && other.data["spec"]["scaleTargetRef"] == *target
        });
        if let Some(twin) = twin.filter(|_| !go.is_empty()) {
            let title = format!("Delete a second autoscaler of the target of hpa {}:", twin.name_any());
            return self.delete(survey::AUTOSCALER, autoscaler, &title);
        }
        self.patch(survey::AUTOSCALER, autoscaler, json!({"spec": {"metrics": metrics}}), "Follow wva_…:");
    }

    fn rename(&mut self, kind: Kind, object: &DynamicObject) {
        if let Some(spec) = renamed(&object.data["spec"]) {
            self.patch(kind, object, json!({ "spec": spec }), "Read wva_… instead of inferno_…:");
        }
    }

    fn upgrade(&mut self, release: &Release) {
        let Release { name, namespace, version, chart, .. } = release;
        self.step(
            format!("Upgrade helm release {namespace}/{name}, revision {version} of chart {}", chart.metadata.version),
            format!("helm upgrade {name} CHART --namespace {namespace} --reuse-values"),
            Action::Upgrade(Box::new(release.clone())),
        );
    }

    fn drop_role(&mut self, role: &DynamicObject) {
        let is_role = role.types.as_ref().is_some_and(|types| types.kind == "ClusterRole");
        let kind = if is_role { survey::ROLE } else { survey::BINDING };
        self.delete(kind, role, "Delete what an earlier release left:");
    }

    fn patch(&mut self, kind: Kind, object: &DynamicObject, patch: Value, title: &str) {
        let command =
            format!("kubectl{} patch {} --type merge -p '{patch}'", in_namespace(object), argument(kind, object));
        let title = format!("{title} {}", place(kind, object));
        self.step(title, command, Action::Patch(kind, Box::new(object.clone()), patch));
    }

    fn delete(&mut self, kind: Kind, object: &DynamicObject, title: &str) {
        let command = format!("kubectl{} delete {}", in_namespace(object), argument(kind, object));
        let title = format!("{title} {}", place(kind, object));
        self.step(title, command, Action::Delete(kind, Box::new(object.clone())));
    }
}

/// The same with the series' new names; `None` when it has none of the old.
fn renamed(part: &Value) -> Option<Value> {
    let text = part.to_string();
    let new = SERIES
        .iter()
        .fold(text.clone(), |text, series| text.replace(&format!("{OLD_PREFIX}{series}"), &format!("wva_{series}")));
    (new != text).then(|| serde_json::from_str(&new).ok()).flatten()
}

fn of_helm(object: &DynamicObject) -> bool {
    object.annotations().contains_key(HELM_RELEASE)
}

/// A role that helm made for a release that is gone, or that does not consist of it any more. Roles of a Go release go
/// with its upgrade.
fn is_left_over(role: &DynamicObject, releases: &[Release]) -> bool {
    let (Some(name), Some(namespace)) = (role.annotations().get(HELM_RELEASE), role.annotations().get(HELM_NAMESPACE))
    else {
        return false;
    };
    let release = releases.iter().find(|release| release.name == *name && release.namespace == *namespace);
    release.is_none_or(|release| !release.manifest.contains(&role.name_any()))
}

fn in_namespace(object: &DynamicObject) -> String {
    object.namespace().map(|namespace| format!(" -n {namespace}")).unwrap_or_default()
}

fn argument((_, _, _, plural): Kind, object: &DynamicObject) -> String {
    format!("{plural}/{}", object.name_any())
}

fn place((_, _, kind, _): Kind, object: &DynamicObject) -> String {
    let namespace = object.namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{kind} {namespace}{}", object.name_any())
}

#[cfg(test)]
mod tests;
