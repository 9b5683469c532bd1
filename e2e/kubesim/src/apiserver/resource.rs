//! What the server serves under one path: a resource in one version, built in or defined by a CRD.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::crd::CustomVersion;
use super::store::GroupResource;

/// Where the scale subresource of a resource finds its numbers, as dotted paths into the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScalePaths {
    pub(super) spec_replicas: String,
    pub(super) status_replicas: String,
    /// A string field holding a serialised selector; built-in kinds have a structured `spec.selector` instead.
    pub(super) selector: Option<String>,
}

/// A part of an object that is served under a path of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subresource {
    pub(super) name: &'static str,
    /// Group, version and kind of its body; `None` is the kind of the object itself.
    pub(super) body: Option<(&'static str, &'static str, &'static str)>,
    pub(super) verbs: &'static [&'static str],
}

/// Where the schema of a resource comes from.
#[derive(Debug, Clone)]
pub(super) enum Definition {
    /// A Kubernetes type: adds its schema and those it refers to, under its name in the OpenAPI documents.
    Builtin { name: fn() -> std::borrow::Cow<'static, str>, generate: fn(&mut SchemaGenerator) -> Schema },
    /// One version of a custom resource definition.
    Custom(Arc<CustomVersion>),
}

/// One served resource.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) list_kind: String,
    pub(super) plural: String,
    pub(super) singular: String,
    pub(super) short_names: Vec<String>,
    pub(super) categories: Vec<String>,
    pub(super) namespaced: bool,
    /// Reviews are answered, never stored.
    pub(super) create_only: bool,
    pub(super) subresources: Vec<Subresource>,
    pub(super) scale: Option<ScalePaths>,
    /// The collection its objects are filed under; differs from the group where two groups show one object.
    pub(super) stored_as: GroupResource,
    pub(super) definition: Definition,
}

const ALL_VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

impl Resource {
    /// `v1` or `apps/v1`, as in the `apiVersion` field.
    pub(super) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    pub(super) fn has(&self, subresource: &str) -> bool {
        self.subresources.iter().any(|sub| sub.name == subresource)
    }

    pub(super) fn custom(&self) -> Option<&Arc<CustomVersion>> {
        match &self.definition {
            Definition::Custom(version) => Some(version),
            Definition::Builtin { .. } => None,
        }
    }

    /// Nothing of it is stored: what there is to see is made up for each request.
    pub(super) fn is_computed(&self) -> bool {
        self.group.is_empty() && self.kind == "ComponentStatus"
    }

    pub(super) fn verbs(&self) -> &'static [&'static str] {
        /// In the order in which definitions serve them.
        const CUSTOM: &[&str] = &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
        /// Namespaces are deleted one by one.
        const NO_COLLECTION: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
        match &self.definition {
            _ if self.create_only => &["create"],
            _ if self.is_computed() => &["get", "list"],
            Definition::Custom(_) => CUSTOM,
            Definition::Builtin { .. } if self.group.is_empty() && self.plural == "namespaces" => NO_COLLECTION,
            Definition::Builtin { .. } => ALL_VERBS,
        }
    }

    /// The `group/version, Kind` triple as discovery and OpenAPI write it.
    pub(super) fn gvk(&self) -> Value {
        json!({"group": self.group, "version": self.version, "kind": self.kind})
    }
}

pub(super) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}
