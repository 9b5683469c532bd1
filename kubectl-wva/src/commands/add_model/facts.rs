//! What the cluster says before a model is added. The only reads.

use std::collections::BTreeMap;

use futures::try_join;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::ListParams;

use crate::readers::controllers::{self, Controller};
use crate::readers::variants::{self, Guarded};
use crate::session::{self, Session};

/// Everything a plan may depend on besides the flags.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Namespace the model goes into.
    pub namespace: String,
    /// Its annotations; `None` when we may not read them.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Deployments in the namespace.
    pub deployments: Vec<Deployment>,
    /// Variants in the namespace.
    pub variants: Vec<Guarded>,
    /// Controllers of the cluster.
    pub controllers: Controllers,
}

/// The controllers of the cluster, if we may see them.
#[derive(Clone, Debug)]
pub enum Controllers {
    /// All of them.
    Known(Vec<Controller>),
    /// We may not list them. Holds the API server's words.
    Hidden(String),
}

/// Reads the facts; the requests go out together.
pub(super) async fn gather(session: &Session) -> Result<Facts, session::Error> {
    let namespace = session.namespace.clone();
    let api: Api<Deployment> = Api::namespaced(session.client.clone(), &namespace);
    let everything = ListParams::default();
    let doing = format!("list Deployments in namespace {namespace}");
    let (variants, deployments, controllers, annotations) = try_join!(
        variants::list(session, Some(&namespace)),
        session.ask(doing, api.list(&everything)),
        controllers(session),
        annotations(session),
    )?;
    Ok(Facts { namespace, annotations, deployments: deployments.items, variants, controllers })
}

async fn controllers(session: &Session) -> Result<Controllers, session::Error> {
    match controllers::list(session).await {
        Ok(found) => Ok(Controllers::Known(found)),
        Err(session::Error::Forbidden { message, .. }) => Ok(Controllers::Hidden(message)),
        Err(error) => Err(error),
    }
}

async fn annotations(session: &Session) -> Result<Option<BTreeMap<String, String>>, session::Error> {
    let api: Api<Namespace> = Api::all(session.client.clone());
    match session.ask("read the namespace", api.get(&session.namespace)).await {
        Ok(namespace) => Ok(Some(namespace.metadata.annotations.unwrap_or_default())),
        Err(session::Error::Forbidden { .. }) => Ok(None),
        Err(session::Error::NotFound { .. }) => {
            session.require_namespace(&session.namespace).await?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
