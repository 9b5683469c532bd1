//! Nobody gives what they do not have: whoever writes a role or binds one holds the rights in it.

use serde_json::Value;

use super::rules::Rule;
use super::{Authorization, GROUP};
use crate::apiserver::action::Action;
use crate::apiserver::failure::Failure;
use crate::apiserver::state::{Call, State};
use crate::apiserver::store::{GroupResource, Key};
use crate::apiserver::tokens::MASTERS;

impl State {
    /// Refuses a role or binding that would give more than its writer has.
    pub(in crate::apiserver) fn refuse_escalation(
        &self,
        call: &Call,
        old: Option<&Value>,
        object: &Value,
    ) -> Result<(), Failure> {
        let user = &call.user;
        let exempt = self.authorization != Authorization::Rbac || user.groups.iter().any(|group| group == MASTERS);
        if exempt || call.resource.group != GROUP {
            return Ok(());
        }
        let may = |verb: &str, plural: &str, name: &str| {
            let action = Action {
                verb: verb.to_owned(),
                group: GROUP.to_owned(),
                resource: plural.to_owned(),
                namespace: call.target.namespace.clone(),
                name: name.to_owned(),
                ..Action::default()
            };
            self.decide(user, &action).allowed
        };
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let granted: Vec<Value> = if let plural @ ("roles" | "clusterroles") = call.resource.plural.as_str() {
            if old.is_some_and(|old| old["rules"] == object["rules"]) || may("escalate", plural, name) {
                return Ok(());
            }
            object["rules"].as_array().cloned().unwrap_or_default()
        } else {
            let role = &object["roleRef"];
            let unchanged = |old: &Value| old["roleRef"] == *role && old["subjects"] == object["subjects"];
            let role_name = role["name"].as_str().unwrap_or_default();
            let (plural, place) =
                if role["kind"] == "Role" { ("roles", call.target.namespace.as_str()) } else { ("clusterroles", "") };
            if old.is_some_and(unchanged) || may("bind", plural, role_name) {
                return Ok(());
            }
            let Some(role) = self.store.get(&GroupResource::new(GROUP, plural), &Key::new(place, role_name)) else {
                return Err(Failure::not_found(GROUP, plural, role_name));
            };
            role["rules"].as_array().cloned().unwrap_or_default()
        };
        let held = self.rules_of(user, &call.target.namespace);
        let held: Vec<Value> = ["resourceRules", "nonResourceRules"]
            .iter()
            .flat_map(|list| held[*list].as_array().cloned().unwrap_or_default())
            .collect();
        let missing: Vec<String> = granted.iter().flat_map(|rule| lacking(&held, rule)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let groups: Vec<String> = user.groups.iter().map(|group| format!("{group:?}")).collect();
        let why = format!(
            "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
            user.name,
            groups.join(" "),
            missing.join("\n")
        );
        Err(Failure::forbidden(GROUP, &call.resource.plural, name, &why))
    }
}

/// What of a rule is not among those held, each right of a resource in one line.
fn lacking(held: &[Value], rule: &Value) -> Vec<String> {
    let words =
        |field: &str| -> Vec<&str> { rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect() };
    let quoted = |list: &[&str]| list.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" ");
    let verbs = words("verbs");
    let mut lines = Vec::new();
    for path in words("nonResourceURLs") {
        let missing: Vec<&str> = verbs
            .iter()
            .copied()
            .filter(|verb| {
                let action = Action { verb: (*verb).to_owned(), path: path.to_owned(), ..Action::default() };
                !held.iter().any(|rule| Rule(rule).allows(&action))
            })
            .collect();
        if !missing.is_empty() {
            lines.push(format!("{{NonResourceURLs:[{path:?}], Verbs:[{}]}}", quoted(&missing)));
        }
    }
    let names = words("resourceNames");
    let names = if names.is_empty() { vec![""] } else { names };
    for group in words("apiGroups") {
        for resource in words("resources") {
            for name in &names {
                let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                let missing: Vec<&str> = verbs
                    .iter()
                    .copied()
                    .filter(|verb| {
                        let action = Action {
                            verb: (*verb).to_owned(),
                            group: group.to_owned(),
                            resource: plural.to_owned(),
                            subresource: subresource.to_owned(),
                            name: (*name).to_owned(),
                            ..Action::default()
                        };
                        !held.iter().any(|rule| Rule(rule).allows(&action))
                    })
                    .collect();
                if missing.is_empty() {
                    continue;
                }
                let only = if name.is_empty() { String::new() } else { format!(", ResourceNames:[{name:?}]") };
                lines.push(format!(
                    "{{APIGroups:[{group:?}], Resources:[{resource:?}]{only}, Verbs:[{}]}}",
                    quoted(&missing)
                ));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_lacks_what_no_rule_held_covers() {
        let held = [json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]})];
        let wanted = json!({"verbs": ["get", "delete"], "apiGroups": [""], "resources": ["pods", "secrets"]});
        assert_eq!(
            lacking(&held, &wanted),
            [
                "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}",
                "{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\" \"delete\"]}",
            ]
        );
    }

    #[test]
    fn everything_covers_everything() {
        let held = [json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})];
        let wanted = json!({"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*"]});
        assert!(lacking(&held, &wanted).is_empty());
    }
}
