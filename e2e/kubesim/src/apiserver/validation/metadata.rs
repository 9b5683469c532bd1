//! Names, labels and annotations.

use serde_json::Value;

use super::IMMUTABLE;
use crate::apiserver::failure::Cause;
use crate::apiserver::resource::Resource;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
    and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
    validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED_NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
    with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

const LABEL_KEY: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and \
    end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";

pub(super) fn validate(resource: &Resource, old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let metadata = &object["metadata"];
    let mut causes = Vec::new();
    if old.is_none() {
        let generated = metadata["generateName"].as_str().unwrap_or_default();
        if !generated.is_empty() {
            // What is generated from has to be a name as well, but for the dash at its end.
            let prefix = Value::from(generated.trim_end_matches('-'));
            let problem = name_problem(resource, prefix.as_str().unwrap_or_default());
            causes.extend(
                problem.map(|problem| Cause::invalid("metadata.generateName", &metadata["generateName"], &problem)),
            );
        }
        causes.extend(name(resource, &metadata["name"]));
    }
    if let Some(old) = old
        && old["metadata"]["name"] != metadata["name"]
    {
        causes.push(Cause::invalid("metadata.name", &metadata["name"], IMMUTABLE));
    }
    let judged = labels_and_owners(metadata);
    // An update is judged with the metadata, with the object that is changed, and with the one that comes of it.
    for _ in 0..match old {
        None => 1,
        Some(_) if resource.custom().is_some() => 2,
        Some(_) => 3,
    } {
        causes.extend(judged.clone());
    }
    causes.extend(finalizers(metadata));
    causes.extend(new_finalizers(old, metadata));
    causes
}

fn labels_and_owners(metadata: &Value) -> Vec<Cause> {
    let mut causes = owners(metadata);
    causes.extend(labels(&metadata["labels"], "metadata.labels"));
    for key in metadata["annotations"].as_object().into_iter().flatten().map(|(key, _)| key) {
        causes.extend(key_cause("metadata.annotations", key, &key.to_lowercase()));
    }
    causes
}

/// What is wrong with labels at `field`.
pub(super) fn labels(labels: &Value, field: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in labels.as_object().into_iter().flatten() {
        causes.extend(key_cause(field, key, key));
        causes.extend(
            label_value_problem(value.as_str().unwrap_or_default()).map(|why| Cause::invalid(field, value, &why)),
        );
    }
    causes
}

fn key_cause(field: &str, key: &str, judged: &str) -> Option<Cause> {
    key_problem(judged).map(|problem| Cause::invalid(field, &Value::from(key), &problem))
}

fn owners(metadata: &Value) -> Vec<Cause> {
    let field = "metadata.ownerReferences";
    let mut causes = Vec::new();
    let mut controller: Option<&Value> = None;
    for owner in metadata["ownerReferences"].as_array().into_iter().flatten() {
        for (name, label) in [("apiVersion", "version"), ("kind", "kind"), ("name", "name"), ("uid", "uid")] {
            let value = &owner[name];
            if value.as_str().unwrap_or_default().is_empty() {
                let place = if name == "apiVersion" { "apiVersion" } else { label };
                causes.push(Cause::invalid(format!("{field}.{place}"), &Value::from(""), "must not be empty"));
            }
        }
        if owner["controller"] == true {
            if let Some(first) = controller {
                let name = |owner: &Value| {
                    let text = |key: &str| owner[key].as_str().unwrap_or_default().to_owned();
                    format!("{}/{}", text("kind"), text("name"))
                };
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
                    name(first),
                    name(owner)
                );
                causes.push(Cause::raw(field, &go_owners(&metadata["ownerReferences"]), &detail));
                return causes;
            }
            controller = Some(owner);
        }
    }
    causes
}

/// Owner references in the order of their fields in Go.
fn go_owners(owners: &Value) -> String {
    let one = |owner: &Value| {
        let fields = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
        let parts = fields.iter().filter_map(|&field| Some(format!("{field:?}:{}", owner.get(field)?)));
        format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
    };
    format!("[{}]", owners.as_array().into_iter().flatten().map(one).collect::<Vec<_>>().join(","))
}

fn finalizers(metadata: &Value) -> Vec<Cause> {
    const STANDARD: &[&str] = &["kubernetes", "orphan", "foregroundDeletion"];
    let mut causes = Vec::new();
    for (index, finalizer) in metadata["finalizers"].as_array().into_iter().flatten().enumerate() {
        let text = finalizer.as_str().unwrap_or_default();
        if let Some(problem) = key_problem(text) {
            causes.push(Cause::invalid("metadata.finalizers", finalizer, &problem));
        } else if !text.contains('/') && !STANDARD.contains(&text) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(format!("metadata.finalizers[{index}]"), finalizer, detail));
        }
    }
    causes
}

/// Nothing may come to hold on to an object that is being deleted.
fn new_finalizers(old: Option<&Value>, metadata: &Value) -> Vec<Cause> {
    let Some(old) = old.map(|old| &old["metadata"]).filter(|old| old.get("deletionTimestamp").is_some()) else {
        return Vec::new();
    };
    let before = old["finalizers"].as_array().cloned().unwrap_or_default();
    let added = metadata["finalizers"].as_array().into_iter().flatten().filter(|name| !before.contains(name));
    let added: Vec<String> = added.map(Value::to_string).collect();
    if added.is_empty() {
        return Vec::new();
    }
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        added.join(", ")
    );
    // Judged once with the metadata and once with the object.
    vec![Cause::forbidden("metadata.finalizers", &detail), Cause::forbidden("metadata.finalizers", &detail)]
}

fn name(resource: &Resource, name: &Value) -> Option<Cause> {
    let problem = name_problem(resource, name.as_str().unwrap_or_default())?;
    Some(Cause::invalid("metadata.name", name, &problem))
}

fn name_problem(resource: &Resource, text: &str) -> Option<String> {
    match (resource.group.as_str(), resource.kind.as_str()) {
        // Role names are path segments: they may hold colons and capitals.
        ("rbac.authorization.k8s.io", _) => match text {
            "." | ".." => Some(format!("may not be '{text}'")),
            _ => ['/', '%'].into_iter().find(|odd| text.contains(*odd)).map(|odd| format!("may not contain '{odd}'")),
        },
        ("", "Service") if text.contains('.') && text.len() <= 63 => Some("must not contain dots".to_owned()),
        ("", "Namespace" | "Service") => label_problem(text),
        _ => subdomain_problem(text),
    }
}

/// What is wrong with a DNS label.
pub(in crate::apiserver) fn label_problem(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some("must be no more than 63 characters".to_owned());
    }
    (!is_dns_label(text)).then(|| LABEL.to_owned())
}

/// What is wrong with a DNS subdomain.
pub(in crate::apiserver) fn subdomain_problem(text: &str) -> Option<String> {
    if text.len() > 253 {
        return Some("must be no more than 253 characters".to_owned());
    }
    (!is_subdomain(text)).then(|| SUBDOMAIN.to_owned())
}

/// What is wrong with the value of a label.
pub(in crate::apiserver) fn label_value_problem(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some("must be no more than 63 bytes".to_owned());
    }
    (!is_label_value(text)).then(|| LABEL_VALUE.to_owned())
}

/// What is wrong with the key of a label, with its prefix.
pub(in crate::apiserver) fn key_problem(key: &str) -> Option<String> {
    let (prefix, name) = match key.split('/').collect::<Vec<_>>().as_slice() {
        [name] => (None, *name),
        [prefix, name] => (Some(*prefix), *name),
        _ => return Some(LABEL_KEY.to_owned()),
    };
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            return Some("prefix part must be non-empty".to_owned());
        }
        if let Some(problem) = subdomain_problem(prefix) {
            return Some(format!("prefix part {problem}"));
        }
    }
    if name.is_empty() {
        return Some("name part must be non-empty".to_owned());
    }
    if name.len() > 63 {
        return Some("name part must be no more than 63 bytes".to_owned());
    }
    (!is_name_part(name)).then(|| QUALIFIED_NAME.to_owned())
}

fn is_dns_label(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=63).contains(&text.len())
        && text.chars().all(|c| alphanumeric(c) || c == '-')
        && text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
}

fn is_subdomain(text: &str) -> bool {
    let part = |part: &str| {
        let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.chars().all(|c| alphanumeric(c) || c == '-')
            && part.starts_with(alphanumeric)
            && part.ends_with(alphanumeric)
    };
    (1..=253).contains(&text.len()) && text.split('.').all(part)
}

fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name_part(text)
}

fn is_name_part(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}
