//! The names of a definition and its group.

use serde_json::Value;

use crate::apiserver::failure::Cause;
use crate::apiserver::validation::metadata::subdomain_problem;

const LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
    character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
    '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// What is wrong with a label that starts with a letter (RFC 1035).
pub(super) fn label_problem(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some("must be no more than 63 characters".to_owned());
    }
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let sound = text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(inner) && !text.ends_with('-');
    (!sound).then(|| LABEL.to_owned())
}

pub(super) fn group(group: &Value) -> Option<Cause> {
    let text = group.as_str().unwrap_or_default();
    if text.is_empty() {
        return Some(Cause::required("spec.group", ""));
    }
    if let Some(problem) = subdomain_problem(text) {
        return Some(Cause::invalid("spec.group", group, &problem));
    }
    (!text.contains('.')).then(|| Cause::invalid("spec.group", group, "should be a domain with at least one dot"))
}

pub(super) fn names(names: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |field: &str| names[field].as_str().unwrap_or_default();
    let at = |field: &str| format!("spec.names.{field}");
    for field in ["plural", "singular", "kind", "listKind"] {
        if text(field).is_empty() {
            causes.push(Cause::required(at(field), ""));
        }
    }
    for field in ["plural", "singular"] {
        let problem = Some(text(field)).filter(|text| !text.is_empty()).and_then(label_problem);
        causes.extend(problem.map(|problem| Cause::invalid(at(field), &names[field], &problem)));
    }
    for field in ["kind", "listKind"] {
        let problem = Some(text(field)).filter(|text| !text.is_empty()).and_then(|t| label_problem(&t.to_lowercase()));
        causes.extend(problem.map(|problem| {
            let detail = format!("may have mixed case, but should otherwise match: {problem}");
            Cause::invalid(at(field), &names[field], &detail)
        }));
    }
    for list in ["shortNames", "categories"] {
        for (index, name) in names[list].as_array().into_iter().flatten().enumerate() {
            let problem = label_problem(name.as_str().unwrap_or_default());
            let field = format!("spec.names.{list}[{index}]");
            causes.extend(problem.map(|problem| Cause::invalid(field, name, &problem)));
        }
    }
    if !text("kind").is_empty() && text("kind") == text("listKind") {
        causes.push(Cause::invalid(at("listKind"), &names["listKind"], "kind and listKind may not be the same"));
    }
    causes
}
