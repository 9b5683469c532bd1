//! What the cluster, and the controller, say about one variant.

use futures::join;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt as _;
use kube::api::ListParams;
use wva_api::VariantAutoscaling;

use crate::Error;
use crate::readers::controllers::{self, Controller};
use crate::readers::lists::{self, Part};
use crate::readers::{debug_state, external, variants};
use crate::session::Session;

/// Everything a variant is explained from.
#[derive(Clone, Debug)]
pub struct Found {
    /// The variant.
    pub variant: VariantAutoscaling,
    /// Its Deployment, when it scales one that exists.
    pub deployment: Part<Deployment>,
    /// The HPA that scales its target, when there is one.
    pub hpa: Part<HorizontalPodAutoscaler>,
    /// The number the external metrics API gives for it, or why not.
    pub published: Result<Vec<f64>, String>,
    /// Why nobody scales it: every controller is known, and none takes it.
    pub orphaned: Option<String>,
    /// Its controller, when one takes it.
    pub controller: Option<Controller>,
    /// What `/debug/state` of the leader answered, or why it could not be asked.
    pub state: Result<String, String>,
}

/// Reads it all; only the variant itself must be there.
pub(super) async fn gather(session: &Session, name: &str) -> Result<Found, Error> {
    let namespace = session.namespace.clone();
    let all = ListParams::default();
    let (listed, deployments, hpas, controllers) = join!(
        variants::list(session, Some(&namespace)),
        lists::list::<Deployment>(session, Some(&namespace), "list Deployments", &all),
        lists::list::<HorizontalPodAutoscaler>(session, Some(&namespace), "list HPAs", &all),
        controllers::list(session),
    );
    let listed = listed?;
    let variant = variants::named(&listed, name, &namespace)?.clone();
    let target = variant.spec.scale_target_ref.clone();
    let taken = controllers.as_ref().ok().map(|known| controllers::that_takes(known, &variant));
    let controller = taken.as_ref().and_then(|taken| taken.as_ref().ok().copied().cloned());
    let orphaned = taken.and_then(Result::err);
    let state = async {
        match (&controllers, &controller) {
            (Err(error), _) => Err(error.to_string()),
            (Ok(_), None) => Err("no controller takes the variant".to_owned()),
            (Ok(_), Some(controller)) => debug_state::fetch(session, controller)
                .await
                .map_err(|error| error.hint().map_or(error.to_string(), |hint| format!("{error} ({hint})"))),
        }
    };
    let variant_name = variant.name_any();
    let published =
        async { external::desired_of(session, &namespace, &variant_name).await.map_err(|error| error.to_string()) };
    let (state, published) = join!(state, published);
    Ok(Found {
        deployment: deployments.map(|all| {
            all.into_iter().filter(|found| target.kind == "Deployment" && found.name_any() == target.name).collect()
        }),
        hpa: hpas.map(|all| {
            let follows = |hpa: &HorizontalPodAutoscaler| {
                hpa.spec.as_ref().is_some_and(|spec| {
                    spec.scale_target_ref.kind == target.kind && spec.scale_target_ref.name == target.name
                })
            };
            all.into_iter().filter(follows).collect()
        }),
        variant,
        published,
        orphaned,
        controller,
        state,
    })
}
