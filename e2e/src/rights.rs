//! What a service account may do, compared with what it did: rights granted by roles, and rights used by requests.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use kubesim::apiserver::Seen;

/// One verb on one resource, or on one path. Namespaces and object names are left out of account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// API group; empty for the core group and for paths.
    pub group: String,
    /// Plural, with the subresource as in `deployments/scale`; or the path.
    pub resource: String,
    /// Verb.
    pub verb: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, resource, verb } = self;
        if group.is_empty() { write!(f, "{verb} {resource}") } else { write!(f, "{verb} {resource}.{group}") }
    }
}

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Account {
    /// Its user name.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    fn is(&self, subject: &Subject) -> bool {
        subject.kind == "ServiceAccount"
            && subject.name == self.name
            && subject.namespace.as_deref() == Some(&self.namespace)
    }

    /// The rights that bindings give to this account itself, not to a group it is in.
    ///
    /// # Errors
    /// When roles and bindings cannot be listed.
    pub async fn granted(&self, client: &Client) -> Result<BTreeSet<Right>, kube::Error> {
        let all = ListParams::default();
        let cluster_roles = Api::<ClusterRole>::all(client.clone()).list(&all).await?.items;
        let local_roles = Api::<Role>::all(client.clone()).list(&all).await?.items;
        let everywhere = Api::<ClusterRoleBinding>::all(client.clone()).list(&all).await?.items;
        let somewhere = Api::<RoleBinding>::all(client.clone()).list(&all).await?.items;
        let mine = |subjects: &Option<Vec<Subject>>| subjects.iter().flatten().any(|subject| self.is(subject));
        let everywhere = everywhere.iter().filter(|binding| mine(&binding.subjects));
        let somewhere = somewhere.iter().filter(|binding| mine(&binding.subjects));
        let references = everywhere
            .map(|binding| (&binding.role_ref, None))
            .chain(somewhere.map(|binding| (&binding.role_ref, binding.namespace())));
        let rules = references.flat_map(|(RoleRef { kind, name, .. }, namespace)| {
            let cluster = cluster_roles.iter().filter(|role| kind == "ClusterRole" && role.name_any() == *name);
            let local = local_roles
                .iter()
                .filter(|role| kind == "Role" && role.name_any() == *name && role.namespace() == namespace);
            let rules = cluster.map(|role| &role.rules).chain(local.map(|role| &role.rules));
            rules.flatten().flatten().collect::<Vec<_>>()
        });
        Ok(rules.flat_map(rights_of).collect())
    }

    /// The rights that requests of this account used.
    pub fn used(&self, requests: &[Seen]) -> BTreeSet<Right> {
        self.requests(requests, true)
    }

    /// The rights that requests of this account lacked.
    pub fn lacked(&self, requests: &[Seen]) -> BTreeSet<Right> {
        self.requests(requests, false)
    }

    fn requests(&self, requests: &[Seen], allowed: bool) -> BTreeSet<Right> {
        let user = self.user();
        let mine = requests.iter().map(|seen| &seen.request).filter(|it| it.user == user && it.allowed == allowed);
        mine.map(|request| {
            let action = &request.action;
            let resource = if action.is_resource() { action.combined_resource() } else { action.path.clone() };
            Right { group: action.group.clone(), resource, verb: action.verb.clone() }
        })
        .collect()
    }
}

fn rights_of(rule: &PolicyRule) -> Vec<Right> {
    let groups = rule.api_groups.as_deref().unwrap_or_default();
    let resources = rule.resources.as_deref().unwrap_or_default();
    let paths = rule.non_resource_urls.iter().flatten().map(|path| (String::new(), path.clone()));
    let pairs = groups.iter().flat_map(|group| resources.iter().map(move |it| (group.clone(), it.clone())));
    let places: Vec<(String, String)> = pairs.chain(paths).collect();
    let right = |(group, resource): &(String, String), verb: &String| Right {
        group: group.clone(),
        resource: resource.clone(),
        verb: verb.clone(),
    };
    places.iter().flat_map(|place| rule.verbs.iter().map(move |verb| right(place, verb))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_every_verb_on_every_resource() {
        let rule = PolicyRule {
            api_groups: Some(vec![String::new(), "apps".to_owned()]),
            resources: Some(vec!["deployments/scale".to_owned()]),
            verbs: vec!["get".to_owned(), "patch".to_owned()],
            ..PolicyRule::default()
        };
        let rights: Vec<String> = rights_of(&rule).iter().map(ToString::to_string).collect();
        assert_eq!(
            rights,
            [
                "get deployments/scale",
                "patch deployments/scale",
                "get deployments/scale.apps",
                "patch deployments/scale.apps"
            ]
        );
    }
}
