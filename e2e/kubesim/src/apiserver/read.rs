//! Getting and listing objects.

use std::sync::Arc;

use serde_json::{Value, json};

use super::convert;
use super::failure::Failure;
use super::negotiation::{Form, partial};
use super::page::Page;
use super::selector::Selector;
use super::state::{Call, State};
use super::store::Key;
use super::{options, table};

impl Call {
    /// The selector of a list, watch or delete-collection request.
    pub(super) fn selector(&self) -> Result<Selector, Failure> {
        Selector::parse(
            self.query.get("labelSelector"),
            self.query.get("fieldSelector"),
            &self.resource.api_version(),
            &self.resource.kind,
            self.resource.custom().map(|version| version.selectable.as_slice()),
        )
        .map(|selector| if self.target.watch { selector.named(&self.target.name) } else { selector })
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

/// Lists of custom resources say `continue: ""` where those of Go types leave it out.
fn with_continue(call: &Call, mut metadata: Value) -> Value {
    if call.resource.custom().is_some() && metadata.get("continue").is_none() {
        metadata["continue"] = json!("");
    }
    metadata
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
        self.check_revision(call, false)?;
        let page = Page::asked(call, &self.store)?;
        let past = page.past(call, &self.store)?;
        let shown = |key: &Key, object: &Value| page.is_ahead(key) && call.selects(&selector, object);
        let mut found: Vec<(&Key, &Arc<Value>)> = if let Some(past) = &past {
            past.iter()
                .filter(|(key, _)| call.namespace().is_none_or(|namespace| key.namespace == namespace))
                .filter(|(key, object)| shown(key, object))
                .collect()
        } else {
            let present = self.store.list(call.stored_as(), call.namespace());
            present.filter(|(key, object)| shown(key, object)).collect()
        };
        let metadata = page.cut(&mut found, selector.is_empty());
        let form_of = if form == Form::Full { convert::to_item } else { convert::to_served };
        let objects: Vec<Value> = found.into_iter().map(|(_, object)| form_of(&call.resource, object)).collect();
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
                "metadata": with_continue(call, metadata),
                "items": objects,
            }),
        })
    }

    /// A single object may be asked for at a revision as well.
    pub(super) fn check_revision_of_one(&self, call: &Call) -> Result<(), Failure> {
        self.check_revision(call, true)?;
        self.check_revision(call, false)
    }

    /// Refuses revisions from the future: they belong to a server that has forgotten them.
    pub(super) fn check_revision(&self, call: &Call, watch: bool) -> Result<(), Failure> {
        let Some(wanted) = call.query.get("resourceVersion") else { return Ok(()) };
        let Ok(revision) = wanted.parse::<u64>() else {
            let why =
                format!("resourceVersion: Invalid value: {wanted:?}: {}", options::parse_error("ParseUint", wanted));
            return Err(if watch {
                Failure::unclassified(why)
            } else {
                Failure::bad_request(format!("invalid resource version: {why}"))
            });
        };
        if watch {
            return Ok(());
        }
        let current = self.store.revision();
        if revision > current {
            return Err(Failure::new(
                504,
                "Timeout",
                format!("Timeout: Too large resource version: {revision}, current: {current}"),
            )
            .with_cause("ResourceVersionTooLarge", "", "Too large resource version")
            .with_retry_after(1));
        }
        Ok(())
    }
}
