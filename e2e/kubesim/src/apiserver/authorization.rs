//! Who may do what: role-based access control, as Kubernetes evaluates it.
//!
//! Roles and bindings are read from the store at each request, so a change counts at once.

mod bootstrap;
mod escalation;
mod rules;

use serde_json::{Value, json};

use self::rules::Rule;
use super::action::Action;
use super::failure::Failure;
use super::scale;
use super::selector::Selector;
use super::state::State;
use super::store::{GroupResource, Key};
use super::tokens::{MASTERS, User};

/// How requests are authorised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authorization {
    /// Everybody may do everything, and who brings no token is the administrator.
    #[default]
    AlwaysAllow,
    /// By Roles and `ClusterRoles`; who brings no token is anonymous and may hardly do anything.
    Rbac,
}

/// The answer to "may they?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) allowed: bool,
    /// Which binding allowed it.
    pub(super) reason: String,
}

impl Decision {
    /// The 403, unless it is allowed.
    pub(super) fn or_refuse(&self, user: &User, action: &Action) -> Result<(), Failure> {
        if self.allowed { Ok(()) } else { Err(refusal(user, action)) }
    }
}

pub(super) const GROUP: &str = "rbac.authorization.k8s.io";

/// Chains of aggregated roles longer than this do not occur.
const AGGREGATION_ROUNDS: usize = 8;

impl State {
    /// Decides on an action of a user.
    pub(super) fn decide(&self, user: &User, action: &Action) -> Decision {
        let allowed = |reason: &str| Decision { allowed: true, reason: reason.to_owned() };
        if self.authorization == Authorization::AlwaysAllow {
            return allowed("");
        }
        if user.groups.iter().any(|group| group == MASTERS) {
            return allowed("the user is in the group system:masters");
        }
        let granted = self.grants(user, &action.namespace).into_iter();
        let mut matching = granted.filter(|grant| grant.rules().any(|rule| rule.allows(action)));
        match matching.next() {
            Some(grant) => allowed(&grant.reason()),
            None => Decision { allowed: false, reason: String::new() },
        }
    }

    /// Refuses what the user may not do.
    pub(super) fn require(&self, user: &User, action: &Action) -> Result<(), Failure> {
        self.decide(user, action).or_refuse(user, action)
    }

    /// The rules that hold for a user in a namespace, as `SelfSubjectRulesReview` lists them.
    pub(super) fn rules_of(&self, user: &User, namespace: &str) -> Value {
        if self.authorization == Authorization::AlwaysAllow || user.groups.iter().any(|group| group == MASTERS) {
            return json!({
                "incomplete": false,
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            });
        }
        let grants = self.grants(user, namespace);
        let rules = || grants.iter().flat_map(Grant::rules).map(|rule| rule.0.clone());
        let is_path = |rule: &Value| rule.get("nonResourceURLs").is_some();
        json!({
            "incomplete": false,
            "resourceRules": rules().filter(|rule| !is_path(rule)).collect::<Vec<_>>(),
            "nonResourceRules": rules().filter(is_path).collect::<Vec<_>>(),
        })
    }

    /// Every binding that names the user, with its role, cluster-wide ones first.
    fn grants<'a>(&'a self, user: &User, namespace: &'a str) -> Vec<Grant<'a>> {
        let [everywhere, here] =
            ["clusterrolebindings", "rolebindings"].map(|plural| GroupResource::new(GROUP, plural));
        let everywhere = self.store.list(&everywhere, None);
        let here = self.store.list(&here, Some(namespace));
        everywhere
            .chain(here.filter(|_| !namespace.is_empty()))
            .filter(|(key, binding)| {
                let mut subjects = binding["subjects"].as_array().into_iter().flatten();
                subjects.any(|subject| rules::is_subject(subject, user, &key.namespace))
            })
            .filter_map(|(key, binding)| {
                let (kind, name) = (binding["roleRef"]["kind"].as_str()?, binding["roleRef"]["name"].as_str()?);
                let (plural, place) =
                    if kind == "Role" { ("roles", key.namespace.as_str()) } else { ("clusterroles", "") };
                let role = self.store.get(&GroupResource::new(GROUP, plural), &Key::new(place, name))?;
                Some(Grant { binding, role })
            })
            .collect()
    }

    /// Puts the roles and bindings into the store that every cluster has.
    pub(super) fn found_roles(&mut self, now: &str) {
        for (plural, mut object) in bootstrap::objects() {
            let metadata = &mut object["metadata"];
            metadata["uid"] = json!(uuid::Uuid::new_v4().to_string());
            metadata["creationTimestamp"] = json!(now);
            let name = metadata["name"].as_str().unwrap_or_default().to_owned();
            self.store.put(&GroupResource::new(GROUP, plural), Key::new("", &name), object);
        }
        self.aggregate_roles();
    }

    /// Fills each `ClusterRole` that has an aggregation rule with the rules of those it selects.
    pub(super) fn aggregate_roles(&mut self) {
        let roles = GroupResource::new(GROUP, "clusterroles");
        for _ in 0..AGGREGATION_ROUNDS {
            let stale: Vec<(Key, Value)> = self
                .store
                .list(&roles, None)
                .filter_map(|(key, role)| {
                    let union = self.aggregated_rules(key, role)?;
                    (role["rules"] != union).then(|| {
                        let mut filled = role.as_ref().clone();
                        filled["rules"] = union;
                        (key.clone(), filled)
                    })
                })
                .collect();
            if stale.is_empty() {
                return;
            }
            for (key, role) in stale {
                self.store.put(&roles, key, role);
            }
        }
    }

    fn aggregated_rules(&self, key: &Key, role: &Value) -> Option<Value> {
        let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array()?;
        let selectors: Vec<Selector> = selectors
            .iter()
            .filter_map(|selector| {
                let text = scale::serialised_selector(selector);
                Selector::parse(Some(&text), None, "", "", None).ok()
            })
            .collect();
        let all = GroupResource::new(GROUP, "clusterroles");
        let mut union: Vec<Value> = Vec::new();
        for (other, selected) in self.store.list(&all, None) {
            if other == key || !selectors.iter().any(|selector| selector.matches(selected)) {
                continue;
            }
            for rule in selected["rules"].as_array().into_iter().flatten() {
                if !union.contains(rule) {
                    union.push(rule.clone());
                }
            }
        }
        Some(Value::Array(union))
    }
}

/// A binding and the role it gives.
struct Grant<'a> {
    binding: &'a Value,
    role: &'a Value,
}

impl<'a> Grant<'a> {
    fn rules(&self) -> impl Iterator<Item = Rule<'a>> + use<'a> {
        self.role["rules"].as_array().into_iter().flatten().map(Rule)
    }

    fn reason(&self) -> String {
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let kind = |object: &Value| object["kind"].as_str().unwrap_or_default().to_owned();
        format!(
            "RBAC: allowed by {} {:?} of {} {:?}",
            kind(self.binding),
            name(self.binding),
            kind(self.role),
            name(self.role)
        )
    }
}

/// The 403 in the words of the real server.
fn refusal(user: &User, action: &Action) -> Failure {
    let Action { verb, group, namespace, name, path, .. } = action;
    if !action.is_resource() {
        let message = format!("forbidden: User {:?} cannot {verb} path {path:?}", user.name);
        return Failure::new(403, "Forbidden", message).with_details();
    }
    let place = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {namespace:?}")
    };
    let why = format!(
        "User {:?} cannot {verb} resource {:?} in API group {group:?} {place}",
        user.name,
        action.combined_resource()
    );
    Failure::forbidden(group, &action.resource, name, &why)
}
