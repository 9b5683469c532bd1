//! The objects of a release on their way into the cluster and out of it, marked as helm marks them.

use kube::api::{DeleteParams, DynamicObject, Preconditions, PropagationPolicy};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::cluster::Served;
use super::{FIELD_MANAGER, Refusal};
use crate::Error;
use crate::commands::add_model::DryRun;
use crate::commands::list_models::HELM_RELEASE;
use crate::session::{self, Session};
use crate::writers::apply::{self, Applied};

const HELM_NAMESPACE: &str = "meta.helm.sh/release-namespace";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const POLICY: &str = "helm.sh/resource-policy";

/// Marks objects as those of a release.
pub(crate) fn mark(objects: &mut [Value], release: &str, namespace: &str) {
    for object in objects {
        object["metadata"]["labels"][MANAGED_BY] = json!("Helm");
        object["metadata"]["annotations"][HELM_RELEASE] = json!(release);
        object["metadata"]["annotations"][HELM_NAMESPACE] = json!(namespace);
    }
}

/// Whether an object carries the marks of a release.
fn is_of(object: &DynamicObject, release: &str, namespace: &str) -> bool {
    let says = |key: &str, value: &str| object.annotations().get(key).is_some_and(|found| found == value);
    object.labels().get(MANAGED_BY).is_some_and(|by| by == "Helm")
        && says(HELM_RELEASE, release)
        && says(HELM_NAMESPACE, namespace)
}

/// Finds the objects in the cluster, and sees to it that none belongs to somebody else.
pub(super) async fn prepare<'a>(
    session: &'a Session,
    objects: &[Value],
    release: &str,
    force: bool,
) -> Result<apply::Run<'a>, Error> {
    let objects: Vec<&Value> = objects.iter().collect();
    let run = apply::Run::prepare(session, &objects, force).await?.by(FIELD_MANAGER);
    let namespace = &session.namespace;
    if let Some(object) = run.standing().find(|(_, object)| !is_of(object, release, namespace)).map(|(name, _)| name) {
        return Err(Refusal::Foreign { object, name: release.to_owned(), namespace: namespace.clone() }.into());
    }
    Ok(run)
}

/// What a dry run would do.
pub(crate) async fn rehearse(
    session: &Session,
    objects: &[Value],
    release: &str,
    how: DryRun,
    force: bool,
) -> Result<Vec<Applied>, Error> {
    match how {
        DryRun::Client => Ok(apply::rendered_only(&objects.iter().collect::<Vec<_>>())?),
        DryRun::Server => Ok(prepare(session, objects, release, force).await?.rehearse().await?),
    }
}

/// The same object, whatever is in it.
fn same(one: &Value, other: &Value, namespace: &str) -> bool {
    let place = |object: &Value| object["metadata"]["namespace"].as_str().unwrap_or(namespace).to_owned();
    let group = |object: &Value| {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        version.split_once('/').map(|(group, _)| group.to_owned()).unwrap_or_default()
    };
    one["kind"] == other["kind"]
        && group(one) == group(other)
        && one["metadata"]["name"] == other["metadata"]["name"]
        && place(one) == place(other)
}

/// Objects of an earlier revision that a later one lacks.
pub(super) fn dropped(before: Vec<Value>, after: &[Value], namespace: &str) -> Vec<Value> {
    before.into_iter().filter(|old| !after.iter().any(|new| same(old, new, namespace))).collect()
}

/// Deletes objects of a release, the last installed first. What has no mark of the release, or `helm.sh/resource-policy:
/// keep`, stays. Gives what was deleted, or would be.
pub(super) async fn delete(
    session: &Session,
    served: &Served,
    objects: &[Value],
    release: &str,
    dry_run: Option<DryRun>,
) -> Result<Vec<Value>, Error> {
    let mut deleted = Vec::new();
    for object in objects.iter().rev() {
        let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
        // A kind that the cluster no longer knows has no objects.
        let Some((resource, capabilities)) = served.find(&text(&object["apiVersion"]), &kind) else { continue };
        let api: Api<DynamicObject> = match capabilities.scope {
            kube::discovery::Scope::Cluster => Api::all_with(session.client.clone(), &resource),
            kube::discovery::Scope::Namespaced => {
                let namespace = object["metadata"]["namespace"].as_str().unwrap_or(&session.namespace);
                Api::namespaced_with(session.client.clone(), namespace, &resource)
            }
        };
        let doing = format!("read {}/{name}", kind.to_lowercase());
        let Some(found) = session.ask(doing, api.get_opt(&name)).await? else { continue };
        let kept = found.annotations().get(POLICY).is_some_and(|policy| policy == "keep");
        if kept || !is_of(&found, release, &session.namespace) {
            continue;
        }
        if dry_run != Some(DryRun::Client) {
            let params = DeleteParams {
                dry_run: dry_run == Some(DryRun::Server),
                propagation_policy: Some(PropagationPolicy::Background),
                preconditions: Some(Preconditions { uid: found.uid(), resource_version: None }),
                ..DeleteParams::default()
            };
            match session.ask(format!("delete {}/{name}", kind.to_lowercase()), api.delete(&name, &params)).await {
                Ok(_) | Err(session::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        deleted.push(object.clone());
    }
    Ok(deleted)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn object(api_version: &str, kind: &str, namespace: Option<&str>) -> Value {
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": namespace}})
    }

    #[rstest]
    #[case::another_version_of_the_group(object("apps/v1beta1", "Deployment", None), true)]
    #[case::the_namespace_of_the_release(object("apps/v1", "Deployment", Some("here")), true)]
    #[case::another_namespace(object("apps/v1", "Deployment", Some("there")), false)]
    #[case::another_group(object("v1", "Deployment", None), false)]
    #[case::another_kind(object("apps/v1", "StatefulSet", None), false)]
    fn an_object_stays_when_the_new_revision_has_it(#[case] old: Value, #[case] stays: bool) {
        let new = [object("apps/v1", "Deployment", None)];
        assert_eq!(dropped(vec![old], &new, "here").is_empty(), stays);
    }

    #[test]
    fn a_marked_object_is_of_its_release_and_of_no_other() {
        let mut objects = [object("v1", "ConfigMap", None)];
        mark(&mut objects, "wva", "here");
        let object: DynamicObject = serde_json::from_value(objects[0].clone()).unwrap();
        assert!(is_of(&object, "wva", "here"));
        assert!(!is_of(&object, "wva", "there") && !is_of(&object, "other", "here"));
    }
}
