//! Reading OpenAPI schemas as a map of an object: which fields exist, how lists merge, what is atomic.
//!
//! Built-in types and custom resources use the same vocabulary (`x-kubernetes-list-type` and friends), so
//! server-side apply, strategic merge, validation and pruning all walk a [`Node`].

use serde_json::{Map, Value};

/// A place in a schema. `definitions` resolves its references and is empty for custom resources.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    definitions: &'a Map<String, Value>,
    at: &'a Value,
    /// The name of the type, where it is not the name of a reference.
    name: Option<&'a str>,
}

/// How the items of a list are told apart when two writers change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListType<'a> {
    /// Replaced as a whole.
    Atomic,
    /// Scalars, each of them a member of its own.
    Set,
    /// Objects identified by these fields.
    Map(&'a [Value]),
}

const REF_PREFIX: &str = "#/components/schemas/";

impl<'a> Node<'a> {
    pub(super) fn new(definitions: &'a Map<String, Value>, at: &'a Value) -> Self {
        Self { definitions, at, name: None }
    }

    /// The same place, known to be of the type `name`.
    pub(super) fn named(self, name: &'a str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// The schema itself, references followed.
    pub(super) fn schema(self) -> &'a Value {
        let mut at = self.at;
        // Built-in schemas refer one level at a time; the bound only guards against a cycle of bare references.
        for _ in 0..8 {
            let reference = at.get("$ref").or_else(|| at.pointer("/allOf/0/$ref")).and_then(Value::as_str);
            let target = reference.and_then(|name| self.definitions.get(name.strip_prefix(REF_PREFIX)?));
            match target {
                Some(target) => at = target,
                None => break,
            }
        }
        at
    }

    /// The type name a reference leads to, such as `io.k8s.api.core.v1.Container`.
    pub(super) fn type_name(self) -> Option<&'a str> {
        if self.name.is_some() {
            return self.name;
        }
        let reference = self.at.get("$ref").or_else(|| self.at.pointer("/allOf/0/$ref")).and_then(Value::as_str)?;
        reference.strip_prefix(REF_PREFIX)
    }

    /// An object of which nothing is declared: anything goes into it in a built-in type, nothing in a custom resource.
    pub(super) fn is_free_form(self) -> bool {
        let schema = self.schema();
        !self.definitions.is_empty() && schema["type"] == "object" && schema.get("properties").is_none()
    }

    /// A declared field, or the value type of a map.
    pub(super) fn field(self, name: &str) -> Option<Self> {
        let schema = self.schema();
        let at = schema
            .get("properties")
            .and_then(|properties| properties.get(name))
            .or_else(|| schema.get("additionalProperties").filter(|values| values.is_object()))?;
        Some(Self { at, name: None, ..self })
    }

    /// Whether `name` is a field of a struct, as opposed to a key of a map.
    pub(super) fn declares(self, name: &str) -> bool {
        self.schema().get("properties").is_some_and(|properties| properties.get(name).is_some())
    }

    pub(super) fn items(self) -> Option<Self> {
        Some(Self { at: self.schema().get("items")?, name: None, ..self })
    }

    pub(super) fn list_type(self) -> ListType<'a> {
        let at = |key| self.at.get(key).or_else(|| self.schema().get(key));
        match at("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => ListType::Set,
            Some("map") => match at("x-kubernetes-list-map-keys").and_then(Value::as_array) {
                Some(keys) => ListType::Map(keys),
                None => ListType::Atomic,
            },
            _ => ListType::Atomic,
        }
    }

    /// A map or struct that changes owner as a whole, such as a selector.
    pub(super) fn is_atomic_map(self) -> bool {
        self.at
            .get("x-kubernetes-map-type")
            .or_else(|| self.schema().get("x-kubernetes-map-type"))
            .is_some_and(|kind| kind == "atomic")
    }

    /// The field that strategic merge identifies list items by; `None` replaces the list.
    pub(super) fn patch_merge_key(self) -> Option<&'a str> {
        self.at.get("x-kubernetes-patch-merge-key").and_then(Value::as_str)
    }

    /// A list of scalars that strategic merge adds to.
    pub(super) fn merges_scalars(self) -> bool {
        self.at.get("x-kubernetes-patch-strategy").is_some_and(|strategy| strategy == "merge")
    }
}

/// The value of a list-map key in an item, with the default Kubernetes gives it when it is left out.
pub(super) fn key_value(item: &Value, key: &str) -> Value {
    match item.get(key) {
        Some(value) => value.clone(),
        None if key == "protocol" => Value::from("TCP"),
        None => Value::Null,
    }
}
