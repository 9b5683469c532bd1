//! All resources the server serves right now: the built-in table and what CRDs and API services add.

use std::cmp::Reverse;
use std::sync::Arc;

use super::builtin;
use super::resource::Resource;

/// The resources served, in discovery order: built-in first, then custom ones as they were established.
#[derive(Debug)]
pub(super) struct Catalog {
    resources: Vec<Arc<Resource>>,
}

/// A group and its versions, the preferred one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) versions: Vec<String>,
}

impl Catalog {
    pub(super) fn new() -> Self {
        Self { resources: builtin::resources().into_iter().map(Arc::new).collect() }
    }

    pub(super) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources.iter().find(|r| r.group == group && r.version == version && r.plural == plural)
    }

    /// The other versions in which the objects of a resource are served.
    pub(super) fn equivalents(&self, resource: &Resource) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.iter().filter(move |other| {
            other.stored_as == resource.stored_as
                && (&other.group, &other.version) != (&resource.group, &resource.version)
        })
    }

    /// Whether anything of a group is served, in whatever version.
    pub(super) fn serves(&self, group: &str) -> bool {
        self.resources.iter().any(|resource| resource.group == group)
    }

    /// Resources of one group version.
    pub(super) fn of(&self, group: &str, version: &str) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.iter().filter(move |r| r.group == group && r.version == version)
    }

    /// Replaces everything served for a custom resource; no `versions` removes it.
    pub(super) fn serve_custom(&mut self, group: &str, plural: &str, versions: Vec<Resource>) {
        self.resources.retain(|r| !(r.custom().is_some() && r.group == group && r.plural == plural));
        self.resources.extend(versions.into_iter().map(Arc::new));
    }

    pub(super) fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for resource in &self.resources {
            match groups.iter_mut().find(|group| group.name == resource.group) {
                Some(group) if group.versions.contains(&resource.version) => {}
                Some(group) => group.versions.push(resource.version.clone()),
                None => groups.push(Group { name: resource.group.clone(), versions: vec![resource.version.clone()] }),
            }
        }
        for group in &mut groups {
            group.versions.sort_by_key(|version| Reverse(version_priority(version)));
        }
        groups
    }
}

/// Orders versions as Kubernetes does: GA over beta over alpha, then the larger numbers first.
fn version_priority(version: &str) -> (u8, u32, u32) {
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (major, suffix) = rest.split_at(digits);
    let major = major.parse().unwrap_or(0);
    let number = |text: &str| text.parse().unwrap_or(0);
    match suffix {
        "" => (3, major, 0),
        beta if beta.starts_with("beta") => (2, major, number(&beta[4..])),
        alpha if alpha.starts_with("alpha") => (1, major, number(&alpha[5..])),
        _ => (0, 0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_version_of_a_group_comes_first() {
        let groups = Catalog::new().groups();
        let autoscaling = groups.iter().find(|group| group.name == "autoscaling").expect("served");
        assert_eq!(autoscaling.versions, ["v2", "v1"]);
    }

    #[test]
    fn stable_versions_precede_beta_and_alpha() {
        let mut versions = ["v1alpha1", "v1", "v2beta1", "v10", "v1beta2"];
        versions.sort_by_key(|version| Reverse(version_priority(version)));
        assert_eq!(versions, ["v10", "v1", "v2beta1", "v1beta2", "v1alpha1"]);
    }
}
