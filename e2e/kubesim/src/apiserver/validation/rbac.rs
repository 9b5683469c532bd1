//! Roles and their bindings.

use serde_json::Value;

use super::{at, words};
use crate::apiserver::failure::Cause;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn role(_: Option<&Value>, object: &Value) -> Vec<Cause> {
    rules(object, true)
}

pub(super) fn cluster_role(_: Option<&Value>, object: &Value) -> Vec<Cause> {
    rules(object, false)
}

fn rules(object: &Value, namespaced: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (index, rule) in object["rules"].as_array().into_iter().flatten().enumerate() {
        let place = format!("rules[{index}]");
        let some = |field: &str| rule[field].as_array().is_some_and(|list| !list.is_empty());
        if !some("verbs") {
            causes.push(Cause::required(at(&place, "verbs"), "verbs must contain at least one value"));
        }
        if some("nonResourceURLs") {
            let field = at(&place, "nonResourceURLs");
            if namespaced {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                causes.push(Cause::invalid(field, &rule["nonResourceURLs"], detail));
            } else if some("apiGroups") || some("resources") || some("resourceNames") {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                causes.push(Cause::invalid(field, &rule["nonResourceURLs"], detail));
            }
            continue;
        }
        if !some("apiGroups") {
            let detail = "resource rules must supply at least one api group";
            causes.push(Cause::required(at(&place, "apiGroups"), detail));
        }
        if !some("resources") {
            let detail = "resource rules must supply at least one resource";
            causes.push(Cause::required(at(&place, "resources"), detail));
        }
    }
    causes
}

pub(super) fn role_binding(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    binding(old, object, &["Role", "ClusterRole"])
}

pub(super) fn cluster_role_binding(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    binding(old, object, &["ClusterRole"])
}

fn binding(old: Option<&Value>, object: &Value, kinds: &[&str]) -> Vec<Cause> {
    let role = &object["roleRef"];
    let mut causes = Vec::new();
    if role["apiGroup"] != GROUP {
        causes.push(Cause::unsupported("roleRef.apiGroup", &role["apiGroup"], &words(&[GROUP])));
    }
    let kind = role["kind"].as_str().unwrap_or_default();
    if !kinds.contains(&kind) {
        causes.push(Cause::unsupported("roleRef.kind", &Value::from(kind), &words(kinds)));
    }
    if role["name"].as_str().unwrap_or_default().is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    }
    for (index, subject) in object["subjects"].as_array().into_iter().flatten().enumerate() {
        causes.extend(subject_causes(&format!("subjects[{index}]"), subject, kinds.len() > 1));
    }
    if let Some(before) = old
        && before["roleRef"] != *role
    {
        let text = |key: &str| role[key].to_string();
        let shown =
            format!("{{\"APIGroup\":{},\"Kind\":{},\"Name\":{}}}", text("apiGroup"), text("kind"), text("name"));
        causes.push(Cause::raw("roleRef", &shown, "cannot change roleRef"));
    }
    causes
}

/// Where a binding lies in a namespace, its accounts may as well.
fn subject_causes(place: &str, subject: &Value, namespaced: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |key: &str| subject[key].as_str().unwrap_or_default();
    if text("name").is_empty() {
        causes.push(Cause::required(at(place, "name"), ""));
    }
    match text("kind") {
        "ServiceAccount" => {
            if !text("apiGroup").is_empty() {
                causes.push(Cause::unsupported(at(place, "apiGroup"), &subject["apiGroup"], &words(&[""])));
            }
            if !namespaced && text("namespace").is_empty() {
                causes.push(Cause::required(at(place, "namespace"), ""));
            }
        }
        "User" | "Group" => {
            if text("apiGroup") != GROUP {
                causes.push(Cause::unsupported(at(place, "apiGroup"), &subject["apiGroup"], &words(&[GROUP])));
            }
        }
        _ => {
            let known = words(&["ServiceAccount", "User", "Group"]);
            causes.push(Cause::unsupported(at(place, "kind"), &subject["kind"], &known));
        }
    }
    causes
}
