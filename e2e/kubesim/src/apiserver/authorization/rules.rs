//! Matching one rule with one action, and one subject with one user.

use serde_json::Value;

use crate::apiserver::action::Action;
use crate::apiserver::tokens::User;

/// A `PolicyRule`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule<'a>(pub(super) &'a Value);

impl<'a> Rule<'a> {
    fn has(self, list: &str, wanted: impl Fn(&str) -> bool) -> bool {
        self.strings(list).any(wanted)
    }

    fn strings(self, list: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0[list].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether the rule allows the action by itself.
    pub(super) fn allows(self, action: &Action) -> bool {
        if !self.has("verbs", |verb| verb == "*" || verb == action.verb) {
            return false;
        }
        if !action.is_resource() {
            return self.has("nonResourceURLs", |pattern| path_matches(pattern, &action.path));
        }
        self.has("apiGroups", |group| group == "*" || group == action.group)
            && self.has("resources", |resource| resource_matches(resource, action))
            && (self.strings("resourceNames").next().is_none() || self.has("resourceNames", |name| name == action.name))
    }
}

/// `*`, `pods`, `pods/log` or `*/scale`. A resource does not include its subresources.
fn resource_matches(pattern: &str, action: &Action) -> bool {
    pattern == "*"
        || pattern == action.combined_resource()
        || (!action.subresource.is_empty() && pattern.strip_prefix("*/") == Some(action.subresource.as_str()))
}

/// A path, or the beginning of one followed by `*`.
fn path_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => path.starts_with(beginning),
        None => pattern == path,
    }
}

/// Whether a binding's subject is this user. `namespace` is where service accounts are looked for that name none.
pub(super) fn is_subject(subject: &Value, user: &User, namespace: &str) -> bool {
    let text = |key: &str| subject[key].as_str().unwrap_or_default();
    match text("kind") {
        "User" => user.name == text("name"),
        "Group" => user.groups.iter().any(|group| group == text("name")),
        "ServiceAccount" => {
            let namespace = if text("namespace").is_empty() { namespace } else { text("namespace") };
            user.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'))
                == Some((namespace, text("name")))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn on(verb: &str, group: &str, resource: &str, name: &str) -> Action {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Action {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            name: name.to_owned(),
            ..Action::default()
        }
    }

    #[rstest]
    #[case::verb(json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}), on("list", "", "pods", ""), true)]
    #[case::other_verb(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}), on("list", "", "pods", ""), false)]
    #[case::other_group(json!({"verbs": ["*"], "apiGroups": ["apps"], "resources": ["pods"]}), on("get", "", "pods", "p"), false)]
    #[case::everything(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}), on("patch", "apps", "deployments/scale", "d"), true)]
    #[case::no_subresource(json!({"verbs": ["*"], "apiGroups": ["apps"], "resources": ["deployments"]}), on("patch", "apps", "deployments/scale", "d"), false)]
    #[case::subresource(json!({"verbs": ["*"], "apiGroups": ["apps"], "resources": ["deployments/scale"]}), on("patch", "apps", "deployments/scale", "d"), true)]
    #[case::any_scale(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*/scale"]}), on("patch", "apps", "deployments/scale", "d"), true)]
    #[case::named(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s"]}), on("get", "", "secrets", "s"), true)]
    #[case::named_otherwise(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s"]}), on("get", "", "secrets", "t"), false)]
    #[case::unnamed(json!({"verbs": ["create"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s"]}), on("create", "", "secrets", ""), false)]
    fn a_rule_allows_what_it_names(#[case] rule: Value, #[case] action: Action, #[case] expected: bool) {
        assert_eq!(Rule(&rule).allows(&action), expected);
    }

    #[rstest]
    #[case("/metrics", "/metrics", true)]
    #[case("/metrics", "/metrics/x", false)]
    #[case("/healthz/*", "/healthz/etcd", true)]
    #[case("*", "/anything", true)]
    fn paths_are_matched_whole_or_by_their_beginning(
        #[case] pattern: &str,
        #[case] path: &str,
        #[case] expected: bool,
    ) {
        let rule = json!({"verbs": ["get"], "nonResourceURLs": [pattern]});
        let action = Action { verb: "get".to_owned(), path: path.to_owned(), ..Action::default() };
        assert_eq!(Rule(&rule).allows(&action), expected);
    }

    #[rstest]
    #[case::account(json!({"kind": "ServiceAccount", "name": "x", "namespace": "a"}), true)]
    #[case::account_here(json!({"kind": "ServiceAccount", "name": "x"}), true)]
    #[case::account_elsewhere(json!({"kind": "ServiceAccount", "name": "x", "namespace": "b"}), false)]
    #[case::group(json!({"kind": "Group", "name": "system:serviceaccounts:a"}), true)]
    #[case::user(json!({"kind": "User", "name": "system:serviceaccount:a:x"}), true)]
    #[case::other_user(json!({"kind": "User", "name": "x"}), false)]
    fn a_subject_is_a_user_a_group_or_a_service_account(#[case] subject: Value, #[case] expected: bool) {
        let user = User::service_account("a", "x", "");
        assert_eq!(is_subject(&subject, &user, "a"), expected);
    }
}
