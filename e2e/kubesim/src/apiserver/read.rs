//! Getting and listing objects.

use std::sync::Arc;

use serde_json::{Value, json};

use super::convert;
use super::failure::Failure;
use super::negotiation::{Form, partial};
use super::page::Page;
use super::selector::Selector;
use super::state::{Call, State};
use super::table;

impl Call {
    /// The selector of a list, watch or delete-collection request.
    pub(super) fn selector(&self) -> Result<Selector, Failure> {
        Selector::parse(
            self.query.get("labelSelector"),
            self.query.get("fieldSelector"),
            &self.resource.api_version(),
            &self.resource.kind,
        )
    }

    /// Namespace the request is limited to.
    pub(super) fn namespace(&self) -> Option<&str> {
        Some(self.target.namespace.as_str()).filter(|namespace| !namespace.is_empty())
    }

    /// Whether the selector sees the object as this version serves it.
    pub(super) fn selects(&self, selector: &Selector, stored: &Value) -> bool {
        if self.resource.stored_as.group == self.resource.group {
            selector.matches(stored)
        } else {
            selector.matches(&convert::to_served(&self.resource, stored))
        }
    }

    /// One object as the client asked for it.
    pub(super) fn present(&self, stored: &Value, form: Form) -> Value {
        let object = convert::to_served(&self.resource, stored);
        match form {
            Form::Full => object,
            Form::Metadata => partial(&object),
            Form::Table => table::of(&self.resource, &[object], self.query.get("includeObject")),
        }
    }
}

impl State {
    pub(super) fn read(&self, call: &Call) -> Result<Arc<Value>, Failure> {
        self.store
            .get(call.stored_as(), &call.key())
            .cloned()
            .ok_or_else(|| Failure::not_found(&call.resource.group, &call.resource.plural, &call.target.name))
    }

    pub(super) fn list(&self, call: &Call, form: Form) -> Result<Value, Failure> {
        let selector = call.selector()?;
        self.check_revision(call)?;
        let page = Page::asked(call, &self.store)?;
        let mut found: Vec<_> = self
            .store
            .list(call.stored_as(), call.namespace())
            .filter(|(key, object)| page.is_ahead(key) && call.selects(&selector, object))
            .collect();
        let metadata = page.cut(&mut found);
        let objects: Vec<Value> =
            found.into_iter().map(|(_, object)| convert::to_served(&call.resource, object)).collect();
        Ok(match form {
            Form::Table => {
                let mut table = table::of(&call.resource, &objects, call.query.get("includeObject"));
                table["metadata"] = metadata;
                table
            }
            Form::Metadata => json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": objects.iter().map(partial).collect::<Vec<_>>(),
            }),
            Form::Full => json!({
                "kind": call.resource.list_kind,
                "apiVersion": call.resource.api_version(),
                "metadata": metadata,
                "items": objects,
            }),
        })
    }

    /// Refuses revisions from the future: they belong to a server that has forgotten them.
    pub(super) fn check_revision(&self, call: &Call) -> Result<(), Failure> {
        let Some(wanted) = call.query.get("resourceVersion") else { return Ok(()) };
        let Ok(revision) = wanted.parse::<u64>() else {
            return Err(Failure::bad_request(format!("invalid resource version {wanted:?}")));
        };
        let current = self.store.revision();
        if revision > current {
            return Err(Failure::new(
                504,
                "Timeout",
                format!("Too large resource version: {revision}, current: {current}"),
            )
            .with_cause("ResourceVersionTooLarge", "", "Too large resource version"));
        }
        Ok(())
    }
}
