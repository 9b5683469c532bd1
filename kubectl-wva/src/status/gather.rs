//! What the cluster says about variants: four lists, however many variants there are.

use futures::join;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::ListParams;

use super::Loads;
use crate::controllers::{self, Controller};
use crate::lists::{self, Part};
use crate::session::{self, Session};
use crate::variants::{self, Guarded};

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
    /// Loads the controllers saw last.
    pub loads: Loads,
}

/// Lists everything, at once. `None` means all namespaces.
pub(super) async fn gather(session: &Session, namespace: Option<&str>) -> Result<Gathered, session::Error> {
    let all = ListParams::default();
    let (variants, deployments, hpas, controllers) = join!(
        variants::list(session, namespace),
        lists::list(session, namespace, "list Deployments", &all),
        lists::list(session, namespace, "list HPAs", &all),
        controllers::list(session),
    );
    let (variants, controllers) = (variants?, controllers.map_err(|error| error.to_string()));
    let loads = Box::pin(Loads::gather(session, &controllers, &variants)).await;
    Ok(Gathered { variants, deployments, hpas, controllers, loads })
}
