//! Refusals in the words of a Kubernetes API server: the `Status` object every client parses.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::remarks::Remarks;

/// A request the server refuses, ready to be sent as a `Status` of kind `Failure`.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) code: u16,
    pub(super) reason: Cow<'static, str>,
    pub(super) message: String,
    details: Value,
    /// Answered as plain text: paths that no API serves.
    pub(super) plain: bool,
    /// What is told beside it.
    pub(super) remarks: Box<Remarks>,
}

/// One field that makes an object invalid; its text is what `kubectl` prints after the field path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    reason: &'static str,
    field: String,
    message: String,
}

impl Cause {
    pub(super) fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueRequired", field, "Required value", detail)
    }

    pub(super) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new("FieldValueInvalid", field, &format!("Invalid value: {value}"), detail)
    }

    pub(super) fn wrong_type(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self { reason: "FieldValueTypeInvalid", ..Self::invalid(field, value, detail) }
    }

    pub(super) fn unsupported(field: impl Into<String>, value: &Value, supported: &[String]) -> Self {
        let supported = supported.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", ");
        Self::new(
            "FieldValueNotSupported",
            field,
            &format!("Unsupported value: {value}"),
            &format!("supported values: {supported}"),
        )
    }

    pub(super) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueForbidden", field, "Forbidden", detail)
    }

    pub(super) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::new("FieldValueDuplicate", field, &format!("Duplicate value: {value}"), "")
    }

    pub(super) fn too_long(field: impl Into<String>, limit: u64) -> Self {
        Self::new("FieldValueTooLong", field, "Too long", &format!("may not be more than {limit} bytes"))
    }

    pub(super) fn too_many(field: impl Into<String>, count: usize, limit: u64) -> Self {
        Self::new(
            "FieldValueTooMany",
            field,
            &format!("Too many: {count}"),
            &format!("must have at most {limit} items"),
        )
    }

    /// A reference to something that is not there.
    pub(super) fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self::new("FieldValueNotFound", field, &format!("Not found: {value}"), "")
    }

    /// Whether the object lacks the shape that rules are written for.
    pub(super) fn is_blocking(&self) -> bool {
        matches!(
            self.reason,
            "FieldValueNotSupported"
                | "FieldValueRequired"
                | "FieldValueTooLong"
                | "FieldValueTooMany"
                | "FieldValueTypeInvalid"
        )
    }

    /// The server's own view of a whole object, which is no JSON value.
    pub(super) fn raw(field: impl Into<String>, value: &str, detail: &str) -> Self {
        Self::new("FieldValueInvalid", field, &format!("Invalid value: {value}"), detail)
    }

    /// A rule of a custom resource on an object or a list, whose value is not shown.
    pub(super) fn unshown(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueInvalid", field, "Invalid value", detail)
    }

    /// The same, found in a value that stands at `place`.
    pub(super) fn below(self, place: &str) -> Self {
        let field = match self.field.as_str() {
            "" => place.to_owned(),
            field if field.starts_with('[') => format!("{place}{field}"),
            field => format!("{place}.{field}"),
        };
        Self { field, ..self }
    }

    fn new(reason: &'static str, field: impl Into<String>, what: &str, detail: &str) -> Self {
        let message = if detail.is_empty() { what.to_owned() } else { format!("{what}: {detail}") };
        Self { reason, field: field.into(), message }
    }

    fn text(&self) -> String {
        if self.field.is_empty() {
            return self.message.clone();
        }
        format!("{}: {}", self.field, self.message)
    }
}

impl Failure {
    pub(super) fn new(code: u16, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let (reason, message) = (reason.into(), message.into());
        Self { code, reason, message, details: Value::Null, plain: false, remarks: Box::default() }
    }

    /// A refusal that somebody else words, with the details he gives.
    pub(super) fn worded(code: u16, reason: String, message: String, details: Value) -> Self {
        Self { details, ..Self::new(code, reason, message) }
    }

    /// The resource or path itself is unknown: clients tell this from a missing object by the absent name.
    pub(super) fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").with_details()
    }

    /// No API serves the path.
    pub(super) fn no_such_path() -> Self {
        Self { plain: true, ..Self::new(404, "NotFound", "404 page not found\n") }
    }

    /// There is nothing, and nothing is said of it.
    pub(super) fn nothing() -> Self {
        Self { plain: true, ..Self::new(404, "NotFound", "") }
    }

    /// Nothing serves the group the request is for.
    pub(super) fn unreachable_group() -> Self {
        Self { plain: true, ..Self::new(503, "ServiceUnavailable", "service unavailable\n") }
    }

    /// A refusal without a reason, which is how Go reports errors that nobody classified.
    pub(super) fn unclassified(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// Options in the query or in a body of options that are not valid.
    pub(super) fn invalid_options(kind: &str, causes: &[Cause]) -> Self {
        Self::invalid("meta.k8s.io", kind, "", causes)
    }

    /// A patch whose result is no object of its kind.
    pub(super) fn invalid_patch(patch: &str, why: &str) -> Self {
        let cause = Cause::new("FieldValueInvalid", "patch", &format!("Invalid value: {patch:?}"), why);
        let mut failure = Self::invalid("", "", "", &[cause]);
        if let Some(details) = failure.details.as_object_mut() {
            details.remove("kind");
        }
        failure
    }

    /// With `details`, empty until something is said there.
    pub(super) fn with_details(mut self) -> Self {
        if self.details.is_null() {
            self.details = json!({});
        }
        self
    }

    pub(super) fn not_found(group: &str, plural: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", qualified(group, plural)))
            .about(group, plural, name)
    }

    pub(super) fn already_exists(group: &str, plural: &str, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", qualified(group, plural)))
            .about(group, plural, name)
    }

    pub(super) fn conflict(group: &str, plural: &str, name: &str, why: &str) -> Self {
        Self::new(
            409,
            "Conflict",
            format!("Operation cannot be fulfilled on {} {name:?}: {why}", qualified(group, plural)),
        )
        .about(group, plural, name)
    }

    /// Some other writer changed the object since the caller read it.
    pub(super) fn modified(group: &str, plural: &str, name: &str) -> Self {
        Self::conflict(
            group,
            plural,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// Server-side apply met fields of other managers; `conflicts` holds (manager, field path).
    pub(super) fn apply_conflict(conflicts: &[(String, String)]) -> Self {
        let (first, lines) = match conflicts {
            [(manager, field)] => {
                ("Apply failed with 1 conflict".to_owned(), vec![format!("conflict with {manager}: {field}")])
            }
            many => {
                let mut lines = Vec::new();
                let mut last = "";
                for (manager, field) in many {
                    if manager != last {
                        lines.push(format!("conflicts with {manager}:"));
                        last = manager;
                    }
                    lines.push(format!("- {field}"));
                }
                (format!("Apply failed with {} conflicts", many.len()), lines)
            }
        };
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|(manager, field)| {
                json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": field})
            })
            .collect();
        let mut failure = Self::new(409, "Conflict", format!("{first}: {}", lines.join("\n")));
        failure.details = json!({ "causes": causes });
        failure
    }

    pub(super) fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for text in causes.iter().map(Cause::text) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let text = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut failure = Self::new(422, "Invalid", format!("{} {name:?} is invalid: {text}", qualified(group, kind)))
            .about(group, kind, name);
        failure.details["causes"] = causes
            .iter()
            .map(|cause| {
                let mut shown = json!({"reason": cause.reason, "message": cause.message});
                if !cause.field.is_empty() {
                    shown["field"] = json!(cause.field);
                }
                shown
            })
            .collect();
        failure
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// `name` is empty for requests that are not about one object.
    pub(super) fn forbidden(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let what = if name.is_empty() { String::new() } else { format!(" {name:?}") };
        Self::new(403, "Forbidden", format!("{}{what} is forbidden: {why}", qualified(group, plural)))
            .about(group, plural, name)
    }

    /// A policy denies the object: a refusal in the words of what is forbidden, with the code of what is invalid.
    pub(super) fn denied(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let mut failure = Self { code: 422, reason: "Invalid".into(), ..Self::forbidden(group, plural, name, why) };
        failure.details["causes"] = json!([{ "message": why }]);
        failure
    }

    /// History before the asked resource version is gone: the client must list again.
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .with_details()
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message)
    }

    /// Something went wrong that is nobody's fault who asked.
    pub(super) fn internal_error(why: &str) -> Self {
        let mut failure = Self::internal(format!("Internal error occurred: {why}"));
        failure.details = json!({"causes": [{ "message": why }]});
        failure
    }

    /// Asks to come back after this many seconds.
    pub(super) fn with_retry_after(mut self, seconds: u64) -> Self {
        if self.details.is_null() {
            self.details = json!({});
        }
        self.details["retryAfterSeconds"] = json!(seconds);
        self
    }

    /// What goes into the header `Retry-After`.
    pub(super) fn retry_after(&self) -> Option<u64> {
        self.details["retryAfterSeconds"].as_u64()
    }

    pub(super) fn with_cause(mut self, reason: &str, field: &str, message: &str) -> Self {
        if self.details.is_null() {
            self.details = json!({});
        }
        let mut cause = json!({"reason": reason, "message": message});
        if !field.is_empty() {
            cause["field"] = json!(field);
        }
        self.details["causes"] = json!([cause]);
        self
    }

    fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        self.details = json!({"kind": kind});
        if !name.is_empty() {
            self.details["name"] = json!(name);
        }
        if !group.is_empty() {
            self.details["group"] = json!(group);
        }
        self
    }

    /// The `Status` object clients decode.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

fn qualified(group: &str, name: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}
