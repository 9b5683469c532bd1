//! The controllers in the cluster, read from their Deployments: who they are and what they take care of.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use wva_api::{Claim, Instance, Scope, VariantAutoscaling, config_keys};

use crate::Error;
use crate::commands::list_models::HELM_RELEASE;
use crate::readers::lists::{self, Part};
use crate::readers::{pods, servers, variants, workload};
use crate::session::{self, Session};

/// Labels of every controller Deployment.
pub const SELECTOR: &str = "control-plane=controller-manager,app.kubernetes.io/name=workload-variant-autoscaler";

/// Annotation that counts the roll-outs of a Deployment.
pub const REVISION: &str = "deployment.kubernetes.io/revision";

/// One controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Controller {
    /// Namespace of its Deployment.
    pub namespace: String,
    /// Name of its Deployment.
    pub name: String,
    /// Who it is and which namespaces it watches.
    pub scope: Scope,
    /// Replicas asked for.
    pub replicas: i32,
    /// Replicas ready.
    pub ready: i32,
    /// Its image.
    pub image: Option<String>,
    /// Its container, for settings beyond these.
    pub container: Option<Container>,
    /// Index of that container in its pod.
    pub container_index: usize,
    /// Labels of its pods.
    pub pod_labels: BTreeMap<String, String>,
    /// Release it was installed with.
    pub release: Option<String>,
    /// Whether helm keeps track of that release.
    pub by_helm: bool,
    /// Whether its pods ask by annotation to be scraped.
    pub announced: bool,
    /// How often it was rolled out.
    pub revision: u64,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether fewer pods are ready than there are, or should be.
    pub falls_short: bool,
}

/// Where a Deployment says that a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stated {
    /// It is given literally.
    Value(String),
    /// It is a key of a ConfigMap in the Deployment's namespace.
    ConfigMap {
        /// Name of the ConfigMap.
        name: String,
        /// Key in it.
        key: String,
        /// Whether the pod starts without it.
        optional: bool,
    },
}

impl Controller {
    /// Reads a Deployment; `None` when its settings name no valid instance, with which the process refuses to start.
    pub fn of(deployment: &Deployment) -> Option<Self> {
        let namespace = deployment.metadata.namespace.clone()?;
        let spec = deployment.spec.as_ref()?;
        let containers = spec.template.spec.as_ref().map(|pod| pod.containers.as_slice()).unwrap_or_default();
        let container_index = containers.iter().position(|container| container.name == "manager").unwrap_or(0);
        let container = containers.get(container_index);
        let setting = |key| container.and_then(|container| setting(container, key, &namespace));
        let instance = match setting(config_keys::CONTROLLER_INSTANCE) {
            Some(id) => Instance::parse(&id).ok()?,
            None => Instance::of_labels(deployment.metadata.labels.as_ref().unwrap_or(&BTreeMap::new())),
        };
        let namespaces: BTreeSet<String> = setting(config_keys::WATCH_NAMESPACE)
            .iter()
            .flat_map(|list| list.split(','))
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        let manage_all = setting(config_keys::MANAGE_ALL_INSTANCES).is_some_and(|value| value == "true");
        Some(Self {
            name: deployment.metadata.name.clone()?,
            scope: Scope { instance, namespaces, manage_all },
            replicas: spec.replicas.unwrap_or(1),
            ready: deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0),
            image: container.and_then(|container| container.image.clone()),
            container: container.cloned(),
            container_index,
            pod_labels: spec.template.metadata.as_ref().and_then(|meta| meta.labels.clone()).unwrap_or_default(),
            release: variants::release(&deployment.metadata).map(str::to_owned),
            by_helm: deployment.metadata.annotations.iter().flatten().any(|(key, _)| key == HELM_RELEASE),
            announced: spec.template.metadata.as_ref().is_some_and(workload::announces),
            revision: revision(deployment).unwrap_or(1),
            created: deployment.metadata.creation_timestamp.as_ref().map(|time| time.0),
            falls_short: servers::falls_short(deployment),
            namespace,
        })
    }

    /// A setting of the process by its key, as far as the Deployment states it.
    pub fn stated(&self, key: &str) -> Option<Stated> {
        let container = self.container.as_ref()?;
        if let Some(value) = setting(container, key, &self.namespace) {
            return Some(Stated::Value(value));
        }
        let variable = container.env.iter().flatten().find(|variable| variable.name == key)?;
        let reference = variable.value_from.as_ref()?.config_map_key_ref.as_ref()?;
        let optional = reference.optional.unwrap_or(false);
        Some(Stated::ConfigMap { name: reference.name.clone(), key: reference.key.clone(), optional })
    }

    /// A setting that the Deployment gives literally.
    pub fn literal(&self, key: &str) -> Option<String> {
        match self.stated(key)? {
            Stated::Value(value) => Some(value),
            Stated::ConfigMap { .. } => None,
        }
    }

    /// Whether it takes variants with these labels in this namespace.
    pub fn takes(
        &self,
        labels: &BTreeMap<String, String>,
        namespace: &str,
        annotations: Option<&BTreeMap<String, String>>,
    ) -> bool {
        self.scope.claim(labels, namespace, annotations) == Claim::Mine
    }

    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// What it watches, in words.
    pub fn watches(&self) -> String {
        let namespaces: Vec<&str> = self.scope.namespaces.iter().map(String::as_str).collect();
        match namespaces.as_slice() {
            [] => "all namespaces".to_owned(),
            [one] => format!("namespace {one}"),
            several => format!("namespaces {}", several.join(", ")),
        }
    }
}

fn revision(deployment: &Deployment) -> Option<u64> {
    deployment.metadata.annotations.as_ref()?.get(REVISION)?.parse().ok()
}

/// Lists the pods of a controller.
///
/// # Errors
/// When they cannot be listed, the reason why.
pub async fn pods_of(session: &Session, controller: &Controller) -> Part<Pod> {
    let params = ListParams::default().labels(SELECTOR);
    let found: Vec<Pod> =
        lists::list(session, Some(&controller.namespace), "list pods of controllers", &params).await?;
    Ok(found.into_iter().filter(|pod| pods::is_of(pod, &controller.name)).collect())
}

/// Lists the controllers of the whole cluster, by namespace and name.
///
/// # Errors
/// When the request fails.
pub async fn list(session: &Session) -> Result<Vec<Controller>, session::Error> {
    Ok(deployments(session).await?.iter().filter_map(Controller::of).collect())
}

/// Lists the Deployments of controllers, those that cannot start among them.
///
/// # Errors
/// When the request fails.
pub async fn deployments(session: &Session) -> Result<Vec<Deployment>, session::Error> {
    let api: Api<Deployment> = Api::all(session.client.clone());
    let list = session.ask("look for controllers", api.list(&ListParams::default().labels(SELECTOR))).await?;
    Ok(list.items)
}

/// The controller of those `known` that takes a variant.
///
/// # Errors
/// When none does, in a sentence that says which there are.
pub fn that_takes<'a>(known: &'a [Controller], variant: &VariantAutoscaling) -> Result<&'a Controller, String> {
    let namespace = variant.namespace().unwrap_or_default();
    known.iter().find(|one| one.takes(variant.labels(), &namespace, None)).ok_or_else(|| {
        let ids: Vec<String> = known.iter().map(|one| one.scope.instance.to_string()).collect();
        let there =
            if ids.is_empty() { "there is no controller".to_owned() } else { format!("there is {}", ids.join(", ")) };
        format!("no controller takes variants of {}: {there}", Instance::of_labels(variant.labels()))
    })
}

/// The controller of a variant.
///
/// # Errors
/// When controllers cannot be listed, or none takes it.
pub async fn of_variant(session: &Session, variant: &VariantAutoscaling) -> Result<Controller, Error> {
    let known = list(session).await?;
    let name = variants::shown(&variant.metadata).to_owned();
    that_takes(&known, variant).cloned().map_err(|why| Error::Orphaned { name, why })
}

/// A setting of the process as its Deployment states it: the flag wins over the environment variable. The flag is the
/// key in lower case with dashes.
fn setting(container: &Container, key: &str, namespace: &str) -> Option<String> {
    let flag = format!("--{}", key.to_lowercase().replace('_', "-"));
    let args: Vec<&String> = container.command.iter().chain(&container.args).flatten().collect();
    let given = args.iter().enumerate().find_map(|(index, arg)| match arg.strip_prefix(&flag)? {
        "" => Some(args.get(index + 1).filter(|next| !next.starts_with('-')).map_or("true", |next| next.as_str())),
        rest => rest.strip_prefix('='),
    });
    let value = match given {
        Some(value) => expand(value, container, namespace),
        None => variable(container, key, namespace)?,
    };
    Some(value).filter(|value| !value.is_empty())
}

/// Replaces `$(NAME)` as the kubelet does.
fn expand(value: &str, container: &Container, namespace: &str) -> String {
    let Some((before, rest)) = value.split_once("$(") else { return value.to_owned() };
    let Some((name, after)) = rest.split_once(')') else { return value.to_owned() };
    let inner = variable(container, name, namespace).unwrap_or_else(|| format!("$({name})"));
    format!("{before}{inner}{}", expand(after, container, namespace))
}

/// An environment variable whose value the Deployment tells: a literal, or the pod's namespace or instance label.
fn variable(container: &Container, name: &str, namespace: &str) -> Option<String> {
    let variable = container.env.iter().flatten().find(|variable| variable.name == name)?;
    if let Some(value) = &variable.value {
        return Some(value.clone());
    }
    let path = &variable.value_from.as_ref()?.field_ref.as_ref()?.field_path;
    (path == "metadata.namespace").then(|| namespace.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn controller(args: &Value, env: &Value, label: &str) -> Option<Controller> {
        let object = json!({
            "metadata": {
                "namespace": "wva-system", "name": "wva-controller-manager",
                "labels": {"wva.llmd.ai/controller-instance": label},
            },
            "spec": {"selector": {}, "template": {"spec": {"containers": [
                {"name": "sidecar", "args": ["--watch-namespace=none"]},
                {"name": "manager", "args": args, "env": env},
            ]}}},
        });
        Controller::of(&serde_json::from_value(object).unwrap())
    }

    #[rstest]
    #[case::label(json!([]), json!([]), "a", "a")]
    #[case::variable_beats_label(json!([]), json!([{"name": "CONTROLLER_INSTANCE", "value": "b"}]), "a", "b")]
    #[case::flag_beats_variable(json!(["--controller-instance=c"]), json!([{"name": "CONTROLLER_INSTANCE", "value": "b"}]), "a", "c")]
    #[case::flag_in_two_words(json!(["--controller-instance", "c"]), json!([]), "", "c")]
    #[case::none(json!([]), json!([]), "", "")]
    fn the_instance_is_what_the_process_would_take(
        #[case] args: Value,
        #[case] env: Value,
        #[case] label: &str,
        #[case] expect: &str,
    ) {
        let found = controller(&args, &env, label).unwrap();
        assert_eq!(found.scope.instance.id().unwrap_or_default(), expect);
    }

    #[rstest]
    #[case::all(json!([]), json!([]), &[])]
    #[case::list(json!(["--watch-namespace=x, y"]), json!([]), &["x", "y"])]
    #[case::own(
        json!(["--watch-namespace=$(POD_NAMESPACE),y"]),
        json!([{"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]),
        &["wva-system", "y"]
    )]
    #[case::variable(json!([]), json!([{"name": "WATCH_NAMESPACE", "value": "z"}]), &["z"])]
    fn the_namespaces_are_those_the_process_would_watch(
        #[case] args: Value,
        #[case] env: Value,
        #[case] expect: &[&str],
    ) {
        let found = controller(&args, &env, "").unwrap();
        assert_eq!(found.scope.namespaces.iter().map(String::as_str).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn a_bare_switch_is_on() {
        assert!(
            controller(&json!(["--manage-all-instances", "--leader-elect"]), &json!([]), "").unwrap().scope.manage_all
        );
        assert!(!controller(&json!(["--manage-all-instances=false"]), &json!([]), "").unwrap().scope.manage_all);
    }

    #[test]
    fn a_process_that_cannot_start_is_no_controller() {
        assert_eq!(controller(&json!(["--controller-instance=a b"]), &json!([]), ""), None);
    }
}
