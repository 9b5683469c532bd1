//! Instances of a custom resource: defaults, schema and rules of the version they are written in.

use std::sync::{LazyLock, Mutex, PoisonError};

use kube_cel::{CompiledSchema, Validator, compile_schema};
use serde_json::{Map, Value, json};

use super::{lists, messages};
use crate::apiserver::failure::{Cause, Failure};
use crate::apiserver::resource::Resource;
use crate::apiserver::schema::Node;
use crate::apiserver::validation;

/// One served version of a custom resource.
#[derive(Debug)]
pub(in crate::apiserver) struct CustomVersion {
    /// The schema as the definition gives it, with `metadata` added where it was left out.
    schema: Option<Value>,
    no_definitions: Map<String, Value>,
    /// Fields it can be selected by, as dotted paths.
    pub(in crate::apiserver) selectable: Vec<String>,
    /// The definition's own printer columns.
    pub(in crate::apiserver) columns: Vec<Value>,
    checks: LazyLock<Checks, Box<dyn FnOnce() -> Checks + Send + Sync>>,
}

/// What compiling a schema gives; done on first use because a chart may bring dozens that nobody uses.
#[derive(Debug)]
struct Checks {
    schema: Option<jsonschema::Validator>,
    rules: Option<Mutex<(Validator, CompiledSchema)>>,
}

impl CustomVersion {
    pub(super) fn new(version: &Value) -> Self {
        let mut schema = version.pointer("/schema/openAPIV3Schema").cloned();
        if let Some(properties) = schema.as_mut().and_then(|schema| schema.get_mut("properties"))
            && let Some(properties) = properties.as_object_mut()
        {
            for (field, kind) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
                properties.entry(field).or_insert(json!({"type": kind}));
            }
        }
        let compiled = schema.clone();
        Self {
            schema,
            no_definitions: Map::new(),
            selectable: version["selectableFields"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|field| Some(field["jsonPath"].as_str()?.trim_start_matches('.').to_owned()))
                .collect(),
            columns: version["additionalPrinterColumns"].as_array().cloned().unwrap_or_default(),
            checks: LazyLock::new(Box::new(move || Checks::compile(compiled.as_ref()))),
        }
    }

    pub(in crate::apiserver) fn schema(&self) -> Option<&Value> {
        self.schema.as_ref()
    }

    pub(in crate::apiserver) fn node(&self) -> Option<Node<'_>> {
        Some(Node::new(&self.no_definitions, self.schema.as_ref()?))
    }

    /// Fills in the defaults of the schema.
    pub(in crate::apiserver) fn fill(&self, object: &mut Value) {
        if let Some(schema) = &self.schema {
            fill(schema, object, true);
        }
    }

    /// Validates an instance that is about to be stored in place of `old`.
    pub(in crate::apiserver) fn admit(
        &self,
        resource: &Resource,
        old: Option<&Value>,
        object: &Value,
    ) -> Result<(), Failure> {
        let mut causes = validation::validate(resource, validation::Gates::default(), old, object);
        if self.schema.is_some() {
            causes.extend(self.checks.schema_causes(object));
            if let Some(schema) = &self.schema {
                lists::causes(schema, object, "", &mut causes);
            }
            causes.extend(scale_causes(resource, object));
            // Rules are evaluated as long as the object has the shape they are written for.
            if !causes.iter().any(Cause::is_blocking) {
                causes.extend(self.checks.rule_causes(old, object));
            } else if self.checks.rules.is_some() {
                let detail = "some validation rules were not checked because the object was invalid; correct the \
                              existing errors to complete validation";
                causes.push(Cause::invalid("<nil>", &Value::Null, detail));
            }
        }
        if causes.is_empty() {
            return Ok(());
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        Err(Failure::invalid(&resource.group, &resource.kind, name, &causes))
    }
}

/// What is served as a scale has to be a count.
fn scale_causes(resource: &Resource, object: &Value) -> Vec<Cause> {
    let Some(scale) = &resource.scale else { return Vec::new() };
    let judged = |path: &String| {
        let value = object.pointer(&format!("/{}", path.replace('.', "/")))?;
        let detail = match value.as_i64()? {
            count if count < 0 => "should be a non-negative integer",
            count if count > i64::from(i32::MAX) => "should be less than or equal to 2147483647",
            _ => return None,
        };
        Some(Cause::invalid(format!(".{path}"), value, detail))
    };
    [&scale.spec_replicas, &scale.status_replicas].into_iter().filter_map(judged).collect()
}

impl CustomVersion {
    /// What is wrong with a default at `place` in a schema of which this is the version.
    pub(super) fn default_causes(&self, place: &str, default: &Value) -> Vec<Cause> {
        let mut causes = self.checks.schema_causes(default);
        if let Some(schema) = &self.schema {
            lists::causes(schema, default, "", &mut causes);
        }
        causes.into_iter().map(|cause| cause.below(place)).collect()
    }
}

impl Checks {
    fn compile(schema: Option<&Value>) -> Self {
        let Some(schema) = schema else { return Self { schema: None, rules: None } };
        let has_rules = schema.to_string().contains("x-kubernetes-validations");
        Self {
            // `problems` compiled the same schema when the definition was admitted.
            schema: jsonschema::options().should_validate_formats(false).build(&plain(schema)).ok(),
            rules: has_rules.then(|| Mutex::new((Validator::new(), compile_schema(schema)))),
        }
    }

    fn schema_causes(&self, object: &Value) -> Vec<Cause> {
        self.schema.iter().flat_map(|schema| schema.iter_errors(object)).map(|error| messages::cause(&error)).collect()
    }

    fn rule_causes(&self, old: Option<&Value>, object: &Value) -> Vec<Cause> {
        let Some(rules) = &self.rules else { return Vec::new() };
        let rules = rules.lock().unwrap_or_else(PoisonError::into_inner);
        let (validator, compiled) = &*rules;
        match validator.validate_compiled(compiled, object, old) {
            Ok(()) => Vec::new(),
            Err(errors) => errors.into_vec().iter().map(|error| messages::rule_cause(error, object)).collect(),
        }
    }
}

/// Fills in defaults, also in place of `null` where `null` is not a value.
fn fill(schema: &Value, value: &mut Value, root: bool) {
    match value {
        Value::Object(fields) => {
            for (name, below) in schema["properties"].as_object().into_iter().flatten() {
                if root && name == "metadata" {
                    continue;
                }
                if let Some(default) = below.get("default") {
                    let absent = fields.get(name).is_none_or(|value| value.is_null() && below["nullable"] != true);
                    if absent {
                        fields.insert(name.clone(), default.clone());
                    }
                }
                if let Some(child) = fields.get_mut(name) {
                    fill(below, child, false);
                }
            }
            if let Some(below) = schema.get("additionalProperties").filter(|below| below.is_object()) {
                for child in fields.values_mut() {
                    fill(below, child, false);
                }
            }
        }
        Value::Array(items) => {
            if let Some(below) = schema.get("items") {
                for item in items.iter_mut() {
                    fill(below, item, false);
                }
            }
        }
        _ => {}
    }
}

/// A structural schema as plain JSON schema: without extensions, with `nullable` and int-or-string spelt out.
pub(super) fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut out: Map<String, Value> = fields
                .iter()
                .filter(|(name, _)| {
                    !name.starts_with("x-kubernetes-") && !matches!(name.as_str(), "nullable" | "default" | "example")
                })
                .map(|(name, value)| {
                    let verbatim = matches!(name.as_str(), "enum" | "required" | "pattern" | "description");
                    (name.clone(), if verbatim { value.clone() } else { plain_below(name, value) })
                })
                .collect();
            if fields.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
                out.remove("type");
                out.insert("anyOf".to_owned(), json!([{"type": "integer"}, {"type": "string"}]));
            }
            // In definitions the bound is exclusive or not; in JSON schema the exclusive bound stands for itself.
            for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
                match fields.get(exclusive) {
                    Some(Value::Bool(true)) => {
                        if let Some(limit) = out.remove(bound) {
                            out.insert(exclusive.to_owned(), limit);
                        } else {
                            out.remove(exclusive);
                        }
                    }
                    Some(Value::Bool(false)) => drop(out.remove(exclusive)),
                    _ => {}
                }
            }
            if fields.get("nullable") == Some(&Value::Bool(true))
                && let Some(kind) = out.get("type").cloned()
            {
                out.insert("type".to_owned(), json!([kind, "null"]));
            }
            Value::Object(out)
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        other => other.clone(),
    }
}

/// The members of `properties` are names of fields, not keywords.
fn plain_below(keyword: &str, value: &Value) -> Value {
    match (keyword, value) {
        ("properties", Value::Object(fields)) => {
            Value::Object(fields.iter().map(|(name, below)| (name.clone(), plain(below))).collect())
        }
        _ => plain(value),
    }
}

#[cfg(test)]
mod tests;
