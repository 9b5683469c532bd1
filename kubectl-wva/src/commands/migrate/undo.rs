//! Undoes the steps.

use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::Failure;
use super::journal::Done;
use super::perform::{DEFINITION_NAME, Helm};
use super::survey::{self, DEFINITION, KINDS, Kind, VARIANT};
use crate::Error;
use crate::session::Session;
use crate::writers::apply::FIELD_MANAGER;

/// Undoes one step: the object is as it was, or the release at its old revision.
///
/// # Errors
/// When the cluster or helm refuses it.
pub(super) async fn step(session: &Session, helm: &Helm, done: &Done) -> Result<(), Error> {
    match done {
        Done::Changed { before, .. } => {
            let (kind, object) = read(before)?;
            restore(session, kind, object).await
        }
        Done::Upgraded { release, namespace, revision, .. } => {
            let line = ["rollback", release, &revision.to_string(), "--namespace", namespace];
            Ok(helm.run(&line).await?)
        }
    }
}

fn read(before: &Value) -> Result<(Kind, DynamicObject), Error> {
    let broken = |why: String| Failure::Journal { path: "of this migration".into(), why };
    let object: DynamicObject = serde_json::from_value(before.clone()).map_err(|error| broken(error.to_string()))?;
    let kind = KINDS.iter().find(|kind| object.types.as_ref().is_some_and(|types| types.kind == kind.2));
    let kind = kind.ok_or_else(|| broken(format!("an object of no known kind: {}", object.name_any())))?;
    Ok((*kind, object))
}

/// Puts an object back: its spec, labels and annotations if it is there, the whole object if not.
async fn restore(session: &Session, kind: Kind, mut object: DynamicObject) -> Result<(), Error> {
    let name = object.name_any();
    let api: Api<DynamicObject> = survey::api(session, kind, object.namespace().as_deref());
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let mut there = session.ask(format!("read {} {name}", kind.2), api.get_opt(&name)).await?;
    if kind == VARIANT && there.as_ref().is_some_and(|there| there.data.get("status").is_some()) {
        // The old definition demands more of a status than this release's controller writes, and an object is taken only
        // as a whole.
        let (params, none) = (PatchParams::default(), Patch::Merge(json!({"status": null})));
        let patched = api.patch_status(&name, &params, &none);
        there = Some(session.ask(format!("clear the status of {} {name}", kind.2), patched).await?);
    }
    object.metadata.managed_fields = None;
    object.metadata.resource_version = there.as_ref().and_then(|there| there.metadata.resource_version.clone());
    object.metadata.uid = there.as_ref().and_then(|there| there.metadata.uid.clone());
    if kind == DEFINITION && name == DEFINITION_NAME {
        // What is stored says which versions there were.
        object.data.as_object_mut().map(|data| data.remove("status"));
    }
    let doing = format!("put {} {name} back", kind.2);
    match there {
        Some(_) => session.ask(doing, api.replace(&name, &params, &object)).await?,
        None => session.ask(doing, api.create(&params, &object)).await?,
    };
    Ok(())
}
