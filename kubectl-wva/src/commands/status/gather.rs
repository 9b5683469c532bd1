//! What the cluster says about variants: four lists, however many variants there are.

use std::collections::BTreeMap;

use futures::future::join_all;
use futures::join;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt as _;
use kube::api::ListParams;

use super::Loads;
use crate::readers::controllers::{self, Controller};
use crate::readers::lists::{self, Part};
use crate::readers::pods::{Health, Nodes};
use crate::readers::servers::Servers;
use crate::readers::variants::{self, Guarded};
use crate::session::{self, Session};

/// Begins what is said of a pod that is only on its way.
pub(super) const STARTING: &str = "starting: ";

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
    /// Pods of targets that have fewer than they should.
    pub servers: Servers,
    /// What keeps pods of controllers from being ready, by `namespace/name` of the controller.
    pub troubles: BTreeMap<String, Vec<String>>,
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
    let (loads, servers, troubles) = join!(
        Box::pin(Loads::gather(session, &controllers, &variants)),
        Servers::gather(session, &variants, &deployments),
        troubles(session, &controllers),
    );
    Ok(Gathered { variants, deployments, hpas, controllers, loads, servers, troubles })
}

/// Asks for the pods of controllers that have fewer ready than they should.
async fn troubles(session: &Session, controllers: &Part<Controller>) -> BTreeMap<String, Vec<String>> {
    let ask = |controller: &Controller| {
        let controller = controller.clone();
        async move {
            let pods = controllers::pods_of(session, &controller).await.unwrap_or_default();
            let nodes = Nodes::gather(session, pods.iter()).await;
            let now = Timestamp::now();
            let said = pods.iter().filter_map(|pod| {
                let health = Health::of(pod, &nodes, now);
                let why = health.trouble()?;
                let word = if health.is_bad() { "" } else { STARTING };
                Some(format!("{word}pod {}: {why}", pod.name_any()))
            });
            (controller.key(), said.collect())
        }
    };
    let short = controllers.iter().flatten().filter(|controller| controller.falls_short);
    join_all(short.map(ask)).await.into_iter().collect()
}
