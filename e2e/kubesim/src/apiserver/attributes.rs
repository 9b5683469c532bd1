//! What admission is told of a request: the operation, on what, and the object before and after.

use kube_cel::{AdmissionRequest, GroupVersionKind, GroupVersionResource};
use serde_json::Value;

use super::resource::Resource;
use super::scale::serialised_selector;
use super::selector::Selector;
use super::state::{Call, State};

/// Objects of this group say what admission does, and are not subject to it: or nobody could mend one that denies
/// everything.
pub(super) const GROUP: &str = "admissionregistration.k8s.io";

/// What is done, in the words of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

impl Operation {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// A request as admission sees it.
#[derive(Debug, Clone)]
pub(super) struct Attributes<'a> {
    pub(super) call: &'a Call,
    pub(super) operation: Operation,
    pub(super) name: String,
    /// `None` when something is deleted.
    pub(super) object: Option<&'a Value>,
    pub(super) old: Option<&'a Value>,
}

impl<'a> Attributes<'a> {
    /// `object` is to be stored in place of `old`.
    pub(super) fn of_write(call: &'a Call, old: Option<&'a Value>, object: &'a Value) -> Self {
        let operation = if old.is_some() { Operation::Update } else { Operation::Create };
        Self { call, operation, name: name_of(object), object: Some(object), old }
    }

    /// `old` is to be deleted.
    pub(super) fn of_deletion(call: &'a Call, old: &'a Value) -> Self {
        Self { call, operation: Operation::Delete, name: name_of(old), object: None, old: Some(old) }
    }

    /// `object` belongs to what the call names: its new state, or an eviction, a binding, a command to execute.
    pub(super) fn of_subresource(
        call: &'a Call,
        operation: Operation,
        old: Option<&'a Value>,
        object: &'a Value,
    ) -> Self {
        let mut names = [call.target.name.clone(), name_of(object), old.map(name_of).unwrap_or_default()].into_iter();
        let name = names.find(|name| !name.is_empty()).unwrap_or_default();
        Self { call, operation, name, object: Some(object).filter(|object| !object.is_null()), old }
    }

    /// The namespace; a namespace lies in itself.
    pub(super) fn namespace(&self) -> &str {
        if self.is_namespace() { &self.name } else { &self.call.target.namespace }
    }

    pub(super) fn is_namespace(&self) -> bool {
        self.call.resource.group.is_empty() && self.call.resource.plural == "namespaces"
    }

    /// Group, version and kind of the object, which is another one for most subresources.
    pub(super) fn kind(&self, resource: &Resource) -> (String, String, String) {
        let subresource = resource.subresources.iter().find(|sub| sub.name == self.call.target.subresource);
        match subresource.and_then(|sub| sub.body) {
            Some((group, version, kind)) => (group.to_owned(), version.to_owned(), kind.to_owned()),
            None => (resource.group.clone(), resource.version.clone(), resource.kind.clone()),
        }
    }

    /// Whether `rule` of a policy or of a webhook covers the operation on `resource`.
    pub(super) fn are_covered(&self, rule: &Value, resource: &Resource) -> bool {
        let lists = |field: &str, wanted: &str| {
            rule[field].as_array().into_iter().flatten().any(|one| one == "*" || one == wanted)
        };
        let subresource = &self.call.target.subresource;
        let names = |listed: &Value| {
            let listed = listed.as_str().unwrap_or_default();
            let (plural, sub) = listed.split_once('/').unwrap_or((listed, ""));
            (plural == "*" || plural == resource.plural) && (sub == "*" || sub == subresource)
        };
        let cluster_scoped = self.is_namespace() || self.namespace().is_empty();
        let in_scope = match rule["scope"].as_str() {
            Some("Cluster") => cluster_scoped,
            Some("Namespaced") => !cluster_scoped,
            _ => true,
        };
        in_scope
            && lists("apiGroups", &resource.group)
            && lists("apiVersions", &resource.version)
            && lists("operations", self.operation.text())
            && rule["resources"].as_array().into_iter().flatten().any(names)
    }

    /// The same in CEL's variable `request`.
    pub(super) fn request(&self) -> AdmissionRequest {
        let Call { user, resource, query, .. } = self.call;
        let (group, version, kind) = self.kind(resource);
        AdmissionRequest {
            operation: self.operation.text().to_owned(),
            username: user.name.clone(),
            uid: user.uid.clone(),
            groups: user.groups.clone(),
            name: self.name.clone(),
            namespace: self.namespace().to_owned(),
            dry_run: query.dry_run(),
            kind: GroupVersionKind { group, version, kind },
            resource: GroupVersionResource {
                group: resource.group.clone(),
                version: resource.version.clone(),
                resource: resource.plural.clone(),
            },
        }
    }
}

fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

impl State {
    /// Whether the selectors of `constraints`, `objectSelector` and `namespaceSelector`, choose such a request.
    pub(super) fn selects(&self, constraints: &Value, attributes: &Attributes<'_>) -> bool {
        let selected = |selector: &Value, subject: &Value| {
            let text = serialised_selector(selector);
            text.is_empty()
                || Selector::parse(Some(&text), None, "", "", None).is_ok_and(|found| found.matches(subject))
        };
        let by_object = [attributes.object, attributes.old]
            .into_iter()
            .flatten()
            .any(|object| selected(&constraints["objectSelector"], object));
        let wanted = &constraints["namespaceSelector"];
        let written = attributes.object.filter(|_| {
            attributes.is_namespace() && matches!(attributes.operation, Operation::Create | Operation::Update)
        });
        by_object
            && match (written, self.namespace(attributes.namespace())) {
                (Some(namespace), _) => selected(wanted, namespace),
                (None, Some(namespace)) => selected(wanted, namespace),
                // What lies in no namespace is never left out.
                (None, None) => true,
            }
    }
}
