//! What makes a definition unusable: names that do not fit together, versions nobody could store, columns and paths
//! that lead nowhere, a schema that is not structural.
//!
//! Where all versions agree on a part, the real server speaks of it as if it stood at the top of `spec`, where older
//! definitions had it; [`Shared`] says where a part is said to be.

mod expressions;
mod names;
mod schema;
mod versions;

use serde_json::{Value, json};

use crate::apiserver::failure::Cause;
use crate::apiserver::validation;

/// A group of these domains needs to say who approved its API.
const PROTECTED: [&str; 2] = [".k8s.io", ".kubernetes.io"];
const APPROVAL: &str = "api-approved.kubernetes.io";

/// Everything wrong with a definition that is to replace `old`, or to be created.
pub(in crate::apiserver) fn problems(old: Option<&Value>, definition: &Value) -> Vec<Cause> {
    let spec = &definition["spec"];
    let mut causes = Vec::new();
    if old.is_none() {
        let plural = spec["names"]["plural"].as_str().unwrap_or_default();
        let expected = format!("{plural}.{}", spec["group"].as_str().unwrap_or_default());
        if definition["metadata"]["name"] != expected.as_str() {
            let detail = "must be spec.names.plural+\".\"+spec.group";
            causes.push(Cause::invalid("metadata.name", &definition["metadata"]["name"], detail));
        }
    }
    if let Some(old) = old {
        immutable(old, definition, &mut causes);
    }
    causes.extend(names::group(&spec["group"]));
    causes.extend(approval(definition));
    let scopes = ["Cluster", "Namespaced"].map(ToOwned::to_owned);
    match spec["scope"].as_str().unwrap_or_default() {
        "" => causes.push(Cause::required("spec.scope", "")),
        scope if scopes.iter().any(|known| known == scope) => {}
        _ => causes.push(Cause::unsupported("spec.scope", &spec["scope"], &scopes)),
    }
    causes.extend(names::names(&spec["names"]));
    causes.extend(versions::versions(spec));
    causes.extend(conversion(&spec["conversion"]));
    causes.extend(stored_versions(old, spec));
    causes
}

/// What cannot change once a definition is served.
fn immutable(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let conditions = old["status"]["conditions"].as_array().into_iter().flatten();
    let established =
        conditions.into_iter().any(|condition| condition["type"] == "Established" && condition["status"] == "True");
    let fields: &[&str] = if established {
        &["/spec/scope", "/spec/names/kind", "/spec/group", "/spec/names/plural"]
    } else {
        &["/spec/group", "/spec/names/plural"]
    };
    for pointer in fields {
        validation::immutable(Some(old), new, pointer, causes);
    }
}

fn approval(definition: &Value) -> Option<Cause> {
    let group = definition["spec"]["group"].as_str().unwrap_or_default();
    let protected = PROTECTED.iter().any(|domain| group.ends_with(domain) || group == &domain[1..]);
    let approved = definition["metadata"]["annotations"][APPROVAL].as_str().unwrap_or_default();
    let field = format!("metadata.annotations[{APPROVAL}]");
    if !protected || approved.starts_with("unapproved") || approved.starts_with("https://") {
        return None;
    }
    if approved.is_empty() {
        let detail = format!(
            "protected groups must have approval annotation {APPROVAL:?}, see \
             https://github.com/kubernetes/enhancements/pull/1111"
        );
        return Some(Cause::required(field, &detail));
    }
    let detail = "protected groups must have approval annotation \"api-approved.kubernetes.io\" with either a URL or a \
                  reason starting with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111";
    Some(Cause::invalid(field, &json!(approved), detail))
}

fn conversion(conversion: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    match conversion["strategy"].as_str().unwrap_or_default() {
        "" => causes.push(Cause::required("spec.conversion.strategy", "")),
        "None" => {
            if conversion["webhook"].is_object() {
                let detail = "should not be set when strategy is not set to Webhook";
                causes.push(Cause::forbidden("spec.conversion.webhookClientConfig", detail));
            }
        }
        "Webhook" => {
            let webhook = &conversion["webhook"];
            if !webhook["clientConfig"].is_object() {
                let detail = "required when strategy is set to Webhook";
                causes.push(Cause::required("spec.conversion.webhookClientConfig", detail));
            }
            if webhook["conversionReviewVersions"].as_array().is_none_or(Vec::is_empty) {
                causes.push(Cause::required("spec.conversion.conversionReviewVersions", ""));
            }
        }
        _ => {
            let known = ["None", "Webhook"].map(ToOwned::to_owned);
            causes.push(Cause::unsupported("spec.conversion.strategy", &conversion["strategy"], &known));
        }
    }
    causes
}

/// The status has to know every version that objects may be stored in.
fn stored_versions(old: Option<&Value>, spec: &Value) -> Vec<Cause> {
    let field = "status.storedVersions";
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let storage: Vec<&Value> =
        versions.iter().filter(|version| version["storage"] == true).map(|version| &version["name"]).collect();
    let mut stored: Vec<Value> =
        old.and_then(|old| old["status"]["storedVersions"].as_array().cloned()).unwrap_or_default();
    if let Some(first) = storage.first()
        && (stored.is_empty() || old.is_some() && !stored.contains(first))
    {
        stored.push((*first).clone());
    }
    if stored.is_empty() {
        return vec![Cause::invalid(field, &Value::Null, "must have at least one stored version")];
    }
    let mut causes = Vec::new();
    for version in storage.iter().filter(|version| !stored.contains(version)) {
        let detail = format!("must have the storage version {}", version.as_str().unwrap_or_default());
        causes.push(Cause::invalid(field, &json!(stored), &detail));
    }
    for (index, version) in stored.iter().enumerate() {
        if !versions.iter().any(|known| known["name"] == *version) {
            let detail = "missing from spec.versions; v1 was previously a storage version, and must remain in \
                          spec.versions until a storage migration ensures no data remains persisted in v1 and removes \
                          v1 from status.storedVersions"
                .replace("v1", version.as_str().unwrap_or_default());
            causes.push(Cause::invalid(format!("{field}[{index}]"), version, &detail));
        }
    }
    causes
}

/// A part of every version, and where it is said to be: at the top of `spec` if all versions have the same.
struct Shared<'a> {
    /// Place and value, once or once for each version.
    parts: Vec<(String, &'a Value)>,
}

impl<'a> Shared<'a> {
    /// `field` is the part in a version, `top` what it is called at the top.
    fn of(versions: &'a [Value], field: &str, top: &str) -> Self {
        let same = versions.windows(2).all(|pair| pair[0][field] == pair[1][field]);
        let parts = match versions.first() {
            Some(first) if same => vec![(format!("spec.{top}"), &first[field])],
            _ => versions
                .iter()
                .enumerate()
                .map(|(index, version)| (format!("spec.versions[{index}].{field}"), &version[field]))
                .collect(),
        };
        Self { parts }
    }
}

#[cfg(test)]
mod tests;
