//! Everything doctor concludes from. What could not be read is kept as the reason why.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod, Service};
use kube::api::DynamicObject;
use wva_api::ScaleTargetRef;

use crate::readers::controllers::Controller;
use crate::readers::lists::Part;
use crate::readers::pods::Nodes;
use crate::readers::servers::Servers;
use crate::readers::variants::Guarded;

/// What the cluster says.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When it was asked.
    pub now: Timestamp,
    /// Namespace looked at; `None` for all.
    pub namespace: Option<String>,
    /// Name of the variant, or of the release, to look at; `None` for all.
    pub name: Option<String>,
    /// Variants of the namespaces looked at.
    pub variants: Vec<Guarded>,
    /// Namespaces, as far as they may be read.
    pub namespaces: Part<Namespace>,
    /// Every controller of the cluster.
    pub controllers: Part<Installed>,
    /// Deployments that name an instance id with which the process does not start.
    pub broken: Vec<Deployment>,
    /// Deployments of the namespaces looked at.
    pub deployments: Part<Deployment>,
    /// Pods of the namespaces where a target has fewer than it should.
    pub servers: Servers,
    /// Events about ConfigMaps, of the namespaces looked at and of those of the controllers.
    pub events: Part<Event>,
    /// HPAs of the namespaces looked at.
    pub hpas: Part<HorizontalPodAutoscaler>,
    /// KEDA's `ScaledObject`s of the namespaces looked at; none where the kind does not exist.
    pub scaled_objects: Part<DynamicObject>,
    /// ConfigMaps of the namespaces looked at, and of those of the controllers.
    pub config_maps: Part<ConfigMap>,
    /// Services, of all namespaces if they may be read.
    pub services: Part<Service>,
    /// Service and pod monitors, of all namespaces if they may be read; none where the kinds do not exist.
    pub monitors: Part<DynamicObject>,
    /// What the external metrics API says.
    pub external: External,
}

/// A controller and what its cluster knows of it.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The controller.
    pub controller: Controller,
    /// Its pods.
    pub pods: Part<Pod>,
    /// The nodes of its pods that are not ready.
    pub nodes: Nodes,
    /// Its Lease; `None` when there is none.
    pub lease: Result<Option<Lease>, String>,
    /// The end of the log of a pod that is not ready, when there is one.
    pub log: Option<String>,
}

/// The external metrics API.
#[derive(Clone, Debug)]
pub enum External {
    /// It is not there, or whoever is to answer does not. Holds the API server's words.
    Absent(String),
    /// We cannot tell.
    Unread(String),
    /// It answers: the series of `wva_desired_replicas` by namespace, or why they could not be read.
    Answers(BTreeMap<String, Part<Labels>>),
}

/// Labels of one series.
pub type Labels = BTreeMap<String, String>;

impl Facts {
    /// The Deployment a variant scales.
    pub(in crate::commands::doctor) fn deployment(
        &self,
        namespace: &str,
        target: &ScaleTargetRef,
    ) -> Option<&Deployment> {
        let mut deployments = self.deployments.iter().flatten();
        deployments.find(|found| {
            target.kind == "Deployment"
                && found.metadata.namespace.as_deref() == Some(namespace)
                && found.metadata.name.as_deref() == Some(&target.name)
        })
    }

    /// The variants to judge: all, or those of the name asked for.
    pub fn chosen(&self) -> impl Iterator<Item = &Guarded> {
        self.variants.iter().filter(|variant| match (&self.name, &variant.0) {
            (None, _) => true,
            (Some(name), Ok(variant)) => crate::readers::variants::is_named(&variant.metadata, name),
            (Some(name), Err(invalid)) => crate::readers::variants::is_named(&invalid.metadata, name),
        })
    }

    /// The annotations and labels of a namespace; `None` when they are not known.
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.iter().flatten().find(|namespace| namespace.metadata.name.as_deref() == Some(name))
    }

    /// A ConfigMap.
    pub fn config_map(&self, namespace: &str, name: &str) -> Option<&ConfigMap> {
        self.config_maps.iter().flatten().find(|map| {
            map.metadata.namespace.as_deref() == Some(namespace) && map.metadata.name.as_deref() == Some(name)
        })
    }
}
