//! Changes of single fields of an object that is there: whoever owns the rest of it keeps it. What this program applied it
//! applies again, so that its next apply finds nothing to quarrel with; of other objects only these fields are patched.

mod owned;

use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::commands::list_models::HELM_RELEASE;
use crate::session::Session;
use crate::writers::apply::FIELD_MANAGER;
use crate::{Error, session};

/// One object and what is to be different of it.
#[derive(Clone, Debug)]
pub struct Edit {
    resource: ApiResource,
    before: DynamicObject,
    /// All of the object, in which fields are looked up.
    live: Value,
    changes: Vec<FieldChange>,
}

/// One field that changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// The way to it.
    pub path: Vec<String>,
    /// Its value now; null when there is none.
    pub before: Value,
    /// Its value then; null takes it away.
    pub after: Value,
}

impl Edit {
    /// Reads an object of the session's namespace; nothing is to be different yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn of(session: &Session, resource: ApiResource, name: &str) -> Result<Self, session::Error> {
        let api: Api<DynamicObject> = Api::namespaced_with(session.client.clone(), &session.namespace, &resource);
        let doing = format!("read {} {name} in namespace {}", resource.kind, session.namespace);
        Ok(Self::new(resource, session.ask(doing, api.get(name)).await?))
    }

    /// The same of an object that was read.
    pub fn new(resource: ApiResource, before: DynamicObject) -> Self {
        let live = serde_json::to_value(&before).unwrap_or_default();
        Self { resource, before, live, changes: Vec::new() }
    }

    /// Has a field be something else. Null takes it away.
    pub fn set(&mut self, path: &[&str], after: Value) {
        let before = self.get(path);
        if *before != after {
            let before = before.clone();
            let path = path.iter().map(|part| (*part).to_owned()).collect();
            self.changes.push(FieldChange { path, before, after });
        }
    }

    /// The value of a field now; null when there is none.
    pub fn get(&self, path: &[&str]) -> &Value {
        path.iter().try_fold(&self.live, |value, part| value.get(part)).unwrap_or(&Value::Null)
    }

    /// What is to be different.
    pub fn changes(&self) -> &[FieldChange] {
        &self.changes
    }

    /// `kind.group/name`, as kubectl names it.
    pub fn name(&self) -> String {
        let kind = self.resource.kind.to_lowercase();
        let group = if self.resource.group.is_empty() { String::new() } else { format!(".{}", self.resource.group) };
        format!("{kind}{group}/{}", self.before.name_any())
    }

    /// The helm release it belongs to, if helm keeps track of it.
    pub fn helm_release(&self) -> Option<&str> {
        self.before.annotations().get(HELM_RELEASE).map(String::as_str)
    }

    /// Whether the project's chart made it.
    pub fn is_of_chart(&self) -> bool {
        let chart = self.before.labels().get("helm.sh/chart");
        chart.is_some_and(|chart| chart.starts_with("workload-variant-autoscaler-"))
    }

    /// Who else applies a field that changes, and may set it back: `manager (field)`.
    pub fn rivals(&self) -> Vec<String> {
        let entries = self.before.metadata.managed_fields.iter().flatten();
        let others = entries.filter(|entry| {
            entry.operation.as_deref() == Some("Apply") && entry.manager.as_deref() != Some(FIELD_MANAGER)
        });
        let rivals = others.flat_map(|entry| {
            let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
            let manager = entry.manager.clone().unwrap_or_default();
            let owned =
                self.changes.iter().filter(move |change| fields.is_some_and(|it| owned::owns(it, &change.path)));
            owned.map(move |change| format!("{manager} ({})", change.path.join(".")))
        });
        rivals.collect()
    }

    /// Writes the changes, or has the API server check them; nothing is asked when there are none. `force` takes fields over
    /// from others.
    ///
    /// # Errors
    /// When the API server refuses them.
    pub async fn send(&self, session: &Session, dry_run: bool, force: bool) -> Result<(), Error> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let namespace = self.before.namespace().unwrap_or_else(|| session.namespace.clone());
        let api: Api<DynamicObject> = Api::namespaced_with(session.client.clone(), &namespace, &self.resource);
        let params = PatchParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let doing = format!("change {} in namespace {namespace}", self.name());
        let name = self.before.name_any();
        match self.applied_again() {
            Some(object) => {
                let params = PatchParams { force, ..params };
                session.ask(doing, api.patch(&name, &params, &Patch::Apply(object))).await?;
            }
            None => {
                session.ask(doing, api.patch(&name, &params, &Patch::Merge(self.patch()))).await?;
            }
        }
        Ok(())
    }

    /// What this program applied before, with the changes; `None` when it did not apply the object.
    fn applied_again(&self) -> Option<Value> {
        let mut managed = self.before.metadata.managed_fields.iter().flatten();
        let ours = managed.find(|entry| {
            entry.operation.as_deref() == Some("Apply")
                && entry.manager.as_deref() == Some(FIELD_MANAGER)
                && entry.subresource.is_none()
        })?;
        let mut object = owned::part(&ours.fields_v1.as_ref()?.0, &self.live);
        object["apiVersion"] = json!(self.resource.api_version);
        object["kind"] = json!(self.resource.kind);
        object["metadata"]["name"] = json!(self.before.name_any());
        object["metadata"]["namespace"] = json!(self.before.namespace());
        for change in &self.changes {
            put(&mut object, &change.path, &change.after, false);
        }
        Some(object)
    }

    /// The changes as a merge patch.
    fn patch(&self) -> Value {
        let mut patch = json!({});
        for change in &self.changes {
            put(&mut patch, &change.path, &change.after, true);
        }
        patch
    }
}

/// Puts a value where a path leads. Null takes it away, unless `null_stays`.
fn put(object: &mut Value, path: &[String], value: &Value, null_stays: bool) {
    let Some((last, parents)) = path.split_last() else { return };
    let parent = parents.iter().fold(object, |object, part| {
        if !object.is_object() {
            *object = Value::Object(Map::new());
        }
        &mut object[part.as_str()]
    });
    match parent.as_object_mut() {
        Some(parent) if value.is_null() && !null_stays => {
            parent.remove(last);
        }
        _ => parent[last.as_str()] = value.clone(),
    }
}

/// The first of these that changes an object of a helm release, with the release: helm's next upgrade would set its own values
/// again.
pub fn of_helm<'a>(edits: impl IntoIterator<Item = &'a Edit>) -> Option<(&'a Edit, &'a str)> {
    let mut changed = edits.into_iter().filter(|edit| !edit.changes().is_empty());
    changed.find_map(|edit| Some((edit, edit.helm_release()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(managed: &Value) -> Edit {
        let hpa = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "llama-hpa", "namespace": "models", "managedFields": managed},
            "spec": {"minReplicas": 1, "maxReplicas": 4, "behavior": {"scaleUp": {"stabilizationWindowSeconds": 7}}},
        });
        let resource = ApiResource::erase::<k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler>(&());
        let mut edit = Edit::new(resource, serde_json::from_value(hpa).unwrap());
        edit.set(&["spec", "maxReplicas"], json!(8));
        edit.set(&["spec", "minReplicas"], json!(1));
        edit
    }

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "autoscaling/v2", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn of_a_foreign_object_only_what_changes_is_patched() {
        let edit = edit(&json!([entry("kubectl-create", "Update", &json!({"f:spec": {"f:maxReplicas": {}}}))]));
        assert_eq!(edit.applied_again(), None);
        assert_eq!(edit.patch(), json!({"spec": {"maxReplicas": 8}}));
        assert!(edit.rivals().is_empty(), "an update sets nothing back");
        assert_eq!(edit.name(), "horizontalpodautoscaler.autoscaling/llama-hpa");
    }

    #[test]
    fn of_an_own_object_what_was_applied_is_applied_again_without_what_others_set() {
        let ours = json!({"f:spec": {"f:minReplicas": {}, "f:maxReplicas": {}}});
        let theirs = json!({"f:spec": {"f:behavior": {"f:scaleUp": {"f:stabilizationWindowSeconds": {}}}}});
        let edit = edit(&json!([entry(FIELD_MANAGER, "Apply", &ours), entry("kubectl-edit", "Update", &theirs)]));
        let expect = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "llama-hpa", "namespace": "models"}, "spec": {"minReplicas": 1, "maxReplicas": 8},
        });
        assert_eq!(edit.applied_again(), Some(expect));
    }

    #[test]
    fn who_applies_the_field_and_may_set_it_back_is_named() {
        let fields = json!({"f:spec": {"f:maxReplicas": {}}});
        let edit = edit(&json!([entry("argocd-controller", "Apply", &fields)]));
        assert_eq!(edit.rivals(), ["argocd-controller (spec.maxReplicas)"]);
    }
}
