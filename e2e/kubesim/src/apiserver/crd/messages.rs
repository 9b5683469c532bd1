//! What a validator finds, in the words of a real API server.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::{Location, LocationSegment};
use kube_cel::{ErrorKind, ValidationError as RuleError};
use serde_json::Value;

use crate::apiserver::failure::Cause;
use crate::apiserver::fields::joined;

/// One violation of a schema.
pub(super) fn cause(error: &jsonschema::ValidationError<'_>) -> Cause {
    let field = dotted(error.instance_path());
    let value = error.instance().as_ref();
    let invalid = |detail: String| Cause::invalid(field.clone(), value, &format!("{field} in body {detail}"));
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            Cause::required(joined(&field, property.as_str().unwrap_or_default()), "")
        }
        ValidationErrorKind::Type { kind } => {
            let found = Value::from(type_name(value));
            let detail = format!("{field} in body must be of type {}: {found}", wanted_type(kind));
            Cause::wrong_type(field.clone(), &found, &detail)
        }
        ValidationErrorKind::Enum { options } => {
            let supported: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .map(|option| option.as_str().map_or_else(|| option.to_string(), ToOwned::to_owned))
                .collect();
            Cause::unsupported(field, value, &supported)
        }
        ValidationErrorKind::Pattern { pattern } => invalid(format!("should match '{pattern}'")),
        ValidationErrorKind::Minimum { limit } => invalid(format!("should be greater than or equal to {limit}")),
        ValidationErrorKind::Maximum { limit } => invalid(format!("should be less than or equal to {limit}")),
        ValidationErrorKind::ExclusiveMinimum { limit } => invalid(format!("should be greater than {limit}")),
        ValidationErrorKind::ExclusiveMaximum { limit } => invalid(format!("should be less than {limit}")),
        ValidationErrorKind::MinLength { limit } => invalid(format!("should be at least {limit} chars long")),
        ValidationErrorKind::MaxLength { limit } => Cause::too_long(field, *limit),
        ValidationErrorKind::MinItems { limit } => invalid(format!("should have at least {limit} items")),
        ValidationErrorKind::MaxItems { limit } => Cause::too_many(field, value.as_array().map_or(0, Vec::len), *limit),
        ValidationErrorKind::MinProperties { limit } => invalid(format!("should have at least {limit} properties")),
        ValidationErrorKind::MaxProperties { limit } => invalid(format!("should have at most {limit} properties")),
        ValidationErrorKind::OneOfNotValid { .. } => Cause::invalid(
            field.clone(),
            value,
            &format!("{field:?} must validate one and only one schema (oneOf). Found none valid"),
        ),
        ValidationErrorKind::AnyOf { .. } => {
            Cause::invalid(field.clone(), value, &format!("{field:?} must validate at least one schema (anyOf)"))
        }
        _ => invalid(format!("is invalid: {error}")),
    }
}

/// One rule that does not hold. Objects and lists are not shown, they would be too long.
pub(super) fn rule_cause(error: &RuleError, object: &Value) -> Cause {
    let value = at(object, &error.field_path);
    let detail = match error.kind {
        ErrorKind::ValidationFailure => error.message.clone(),
        _ => format!("rule {:?} cannot be evaluated: {}", error.rule, error.message),
    };
    match error.reason.as_deref() {
        Some("FieldValueRequired") => Cause::required(error.field_path.as_str(), &detail),
        Some("FieldValueForbidden") => Cause::forbidden(error.field_path.as_str(), &detail),
        _ => match value {
            Value::Object(_) | Value::Array(_) => Cause::unshown(error.field_path.as_str(), &detail),
            scalar => Cause::invalid(error.field_path.as_str(), scalar, &detail),
        },
    }
}

fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    let mut value = object;
    for part in path.split(['.', '[', ']']).filter(|part| !part.is_empty()) {
        value = match part.parse::<usize>() {
            Ok(index) if value.is_array() => value.get(index).unwrap_or(&Value::Null),
            _ => value.get(part).unwrap_or(&Value::Null),
        };
    }
    value
}

fn dotted(path: &Location) -> String {
    let mut out = String::new();
    for segment in path {
        match segment {
            LocationSegment::Property(name) => out = joined(&out, &name),
            LocationSegment::Index(index) => out = format!("{out}[{index}]"),
        }
    }
    out
}

fn wanted_type(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        // `nullable` was spelt out as a second type.
        TypeKind::Multiple(many) => {
            many.iter().map(|one| one.to_string()).find(|one| one != "null").unwrap_or_default()
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
