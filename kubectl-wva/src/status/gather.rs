//! What the cluster says about variants: four lists, however many variants there are.

use futures::join;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::ListParams;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::controllers::{self, Controller};
use crate::session::{self, Session};
use crate::variants::{self, Guarded};

/// A part of the answer that may be missing without taking the rest with it; the text says why.
pub type Part<T> = Result<Vec<T>, String>;

/// Everything a view is built from.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The variants. Without them there is no answer.
    pub variants: Vec<Guarded>,
    /// Deployments in the same namespaces.
    pub deployments: Part<Deployment>,
    /// HPAs in the same namespaces.
    pub hpas: Part<HorizontalPodAutoscaler>,
    /// Controllers of the whole cluster.
    pub controllers: Part<Controller>,
}

/// Lists everything, at once. `None` means all namespaces.
pub(super) async fn gather(session: &Session, namespace: Option<&str>) -> Result<Gathered, session::Error> {
    let (variants, deployments, hpas, controllers) = join!(
        variants::list(session, namespace),
        list(session, namespace, "list Deployments"),
        list(session, namespace, "list HPAs"),
        controllers::list(session),
    );
    Ok(Gathered { variants: variants?, deployments, hpas, controllers: controllers.map_err(|error| error.to_string()) })
}

async fn list<K>(session: &Session, namespace: Option<&str>, doing: &str) -> Part<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(session.client.clone(), namespace),
        None => Api::all(session.client.clone()),
    };
    let list = session.ask(doing, api.list(&ListParams::default())).await;
    list.map(|list| list.items).map_err(|error| error.to_string())
}
