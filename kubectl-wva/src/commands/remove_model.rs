//! `remove-model`: takes away what `add-model` made, and nothing else.

use clap::Args;
use kube::api::{DeleteParams, DynamicObject, ListParams, Preconditions};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt as _};
use serde::Serialize;
use wva_api::VariantAutoscaling;

use crate::commands::add_model::{DryRun, release_name};
use crate::commands::list_models::HELM_RELEASE;
use crate::connection::Connection;
use crate::output::Format;
use crate::output::console::Console;
use crate::readers::variants;
use crate::readers::variants::RELEASE_LABEL;
use crate::session::{self, Session};
use crate::writers::install;
use crate::{Error, Verdict};

/// Flags of `remove-model`.
#[derive(Args, Clone, Debug, Default)]
pub struct RemoveModelArgs {
    /// The NAME given to add-model.
    #[arg(value_name = "NAME", value_parser = release_name)]
    pub name: String,
    /// Only show what would be deleted: client lists it, server also has the API server check it.
    #[arg(long, value_enum, value_name = "WHERE")]
    pub dry_run: Option<DryRun>,
}

/// What was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// `kind.group`, as kubectl names it.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// Kinds that a model-only install consists of, whoever depends on another first: without its HPA nothing scales the
/// target any more, and the number that the controller publishes last does no harm.
const KINDS: [(&str, &str, &str, &str); 5] = [
    ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ("llmd.ai", "v1alpha1", "VariantAutoscaling", "variantautoscalings"),
    ("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
    ("", "v1", "Service", "services"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles"),
];

/// Carries out `remove-model`. The Deployment stays, with the replicas it has.
///
/// # Errors
/// When there is no such model, it was installed by helm, or a request fails; what was deleted before stays deleted, and
/// the command can be repeated.
pub async fn run(flags: &Connection, args: &RemoveModelArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let found = find(&session, &args.name).await?;
    let run = args.dry_run.map_or("", DryRun::suffix);
    let mut removed = Vec::new();
    for (kind, api, object) in found {
        let name = object.name_any();
        if args.dry_run != Some(DryRun::Client) {
            let params = DeleteParams {
                dry_run: args.dry_run == Some(DryRun::Server),
                // What was listed is what is deleted: somebody may have made another of this name since.
                preconditions: Some(Preconditions { uid: object.uid(), resource_version: None }),
                ..DeleteParams::default()
            };
            match session.ask(format!("delete {kind}/{name}"), api.delete(&name, &params)).await {
                Ok(_) | Err(session::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if matches!(console.format, Format::Table | Format::Wide) {
            console.lines([format!("{kind}/{name} deleted{run}")])?;
        }
        removed.push(Removed { kind, name });
    }
    match console.format {
        Format::Json => console.json(&removed)?,
        Format::Yaml => console.yaml(&removed)?,
        Format::Name => console.lines(removed.iter().map(|one| format!("{}/{}", one.kind, one.name)))?,
        Format::Table | Format::Wide => {}
    }
    Ok(Verdict::Fine)
}

type Doomed = (String, Api<DynamicObject>, DynamicObject);

async fn find(session: &Session, release: &str) -> Result<Vec<Doomed>, Error> {
    let namespace = &session.namespace;
    let listed = variants::list(session, Some(namespace)).await?;
    let known = listed.iter().filter_map(|one| variants::release(variants::metadata(one)).map(str::to_owned)).collect();
    let variants: Vec<VariantAutoscaling> = listed
        .into_iter()
        .filter_map(|guarded| guarded.0.ok())
        .filter(|variant| variants::release(&variant.metadata) == Some(release))
        .collect();
    if let Some(helm) = variants.iter().find_map(|variant| variant.annotations().get(HELM_RELEASE)) {
        return Err(Error::OfHelm { release: helm.clone(), namespace: namespace.clone() });
    }
    let selector = ListParams::default().labels(&format!("{RELEASE_LABEL}={release}"));
    let roles = role_names(release, namespace)?;
    let mut found = Vec::new();
    for (group, version, kind, plural) in KINDS {
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        let of_cluster = kind == "ClusterRole";
        let api: Api<DynamicObject> = if of_cluster {
            Api::all_with(session.client.clone(), &resource)
        } else {
            Api::namespaced_with(session.client.clone(), namespace, &resource)
        };
        let listed = match session.ask(format!("list {plural}"), api.list(&selector)).await {
            Ok(list) => list.items,
            // A kind the cluster does not know has no objects; roles we may not even list are not ours to delete.
            Err(session::Error::NotFound { .. }) => Vec::new(),
            Err(session::Error::Forbidden { .. }) if of_cluster => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let qualified = if group.is_empty() { kind.to_lowercase() } else { format!("{}.{group}", kind.to_lowercase()) };
        // Releases of one name in several namespaces share a label; their roles' names differ.
        let own =
            listed.into_iter().filter(|object| ours(object) && (!of_cluster || roles.contains(&object.name_any())));
        found.extend(own.map(|object| (qualified.clone(), api.clone(), object)));
    }
    if found.is_empty() {
        return Err(Error::NoSuchModel { name: release.to_owned(), namespace: namespace.clone(), known });
    }
    Ok(found)
}

/// Whether the chart made it, and no helm keeps track of it.
fn ours(object: &DynamicObject) -> bool {
    let chart =
        object.labels().get("helm.sh/chart").is_some_and(|chart| chart.starts_with("workload-variant-autoscaler-"));
    chart && !object.annotations().contains_key(HELM_RELEASE)
}

/// The names of a release's user roles.
fn role_names(release: &str, namespace: &str) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    // By the name given to add-model, and by the chart's own rule.
    for fullname in [release, ""] {
        let values = serde_json::json!({
            "controller": {"enabled": false}, "llmd": {"namespace": namespace}, "fullnameOverride": fullname,
        });
        let serde_json::Value::Object(values) = values else { continue };
        let rendered = install::render(release, namespace, values)?;
        let roles = rendered.manifests.iter().filter(|manifest| manifest.kind() == "ClusterRole");
        names.extend(roles.filter_map(|role| role.object["metadata"]["name"].as_str().map(str::to_owned)));
    }
    Ok(names)
}
