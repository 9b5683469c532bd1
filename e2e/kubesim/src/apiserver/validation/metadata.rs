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

pub(super) fn validate(resource: &Resource, old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let metadata = &object["metadata"];
    let mut causes = Vec::new();
    if old.is_none() {
        causes.extend(name(resource, &metadata["name"]));
    }
    if let Some(old) = old
        && old["metadata"]["name"] != metadata["name"]
    {
        causes.push(Cause::invalid("metadata.name", &metadata["name"], IMMUTABLE));
    }
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        causes.extend(qualified_name("metadata.labels", key));
        if !is_label_value(value.as_str().unwrap_or_default()) {
            causes.push(Cause::invalid("metadata.labels", value, LABEL_VALUE));
        }
    }
    for key in metadata["annotations"].as_object().into_iter().flatten().map(|(key, _)| key) {
        causes.extend(qualified_name("metadata.annotations", &key.to_lowercase()));
    }
    causes
}

fn name(resource: &Resource, name: &Value) -> Option<Cause> {
    let text = name.as_str().unwrap_or_default();
    match (resource.group.as_str(), resource.kind.as_str()) {
        // Role names are path segments: they may hold colons and capitals.
        ("rbac.authorization.k8s.io", _) => {
            let bad = text.contains(['/', '%']) || matches!(text, "." | "..");
            bad.then(|| Cause::invalid("metadata.name", name, "may not contain '/' or '%'"))
        }
        ("", "Namespace" | "Service") => (!is_dns_label(text)).then(|| Cause::invalid("metadata.name", name, LABEL)),
        _ => (!is_subdomain(text)).then(|| Cause::invalid("metadata.name", name, SUBDOMAIN)),
    }
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

fn qualified_name(field: &str, key: &str) -> Option<Cause> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let value = Value::from(key);
    if prefix.is_some_and(|prefix| !is_subdomain(prefix)) {
        return Some(Cause::invalid(field, &value, &format!("prefix part {SUBDOMAIN}")));
    }
    (!is_name_part(name)).then(|| Cause::invalid(field, &value, QUALIFIED_NAME))
}
