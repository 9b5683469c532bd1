//! No object may be in two releases, nor twice in one.

use std::collections::BTreeMap;

use super::objects::Object;
use super::{Finding, Reference, Rule};

pub(super) fn findings(objects: &[Object<'_>]) -> Vec<Finding> {
    let mut known: BTreeMap<(&str, &str, &str, &str), Vec<&Object<'_>>> = BTreeMap::new();
    for object in objects.iter().filter(|object| !object.name().is_empty()) {
        known.entry((object.group(), object.kind(), object.namespace(), object.name())).or_default().push(object);
    }
    // Two equal releases share all their objects: that is one mistake and not one for each object.
    let mut shared: BTreeMap<Vec<(&str, usize)>, Vec<Reference>> = BTreeMap::new();
    for same in known.into_values().filter(|same| same.len() > 1 && !is_shared_definition(same)) {
        let mut releases: Vec<_> = same.iter().map(|object| (object.release_name, object.release)).collect();
        releases.sort_unstable();
        releases.dedup();
        shared.entry(releases).or_default().extend(same.iter().map(|object| object.reference()));
    }
    shared.into_iter().map(|(releases, objects)| finding(&releases, objects)).collect()
}

/// Every release may carry the definition of the CRD, as long as it is the same one; helm installs it once.
fn is_shared_definition(same: &[&Object<'_>]) -> bool {
    same[0].kind() == "CustomResourceDefinition"
        && same.iter().all(|object| object.json["spec"] == same[0].json["spec"])
}

fn finding(releases: &[(&str, usize)], mut objects: Vec<Reference>) -> Finding {
    let message = match releases {
        [_] => "one release holds an object twice: give the two objects different names".to_owned(),
        several => format!(
            "releases {} hold the same objects, so the second install fails or takes them from the first: give one \
             release another name or fullnameOverride",
            several.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" and ")
        ),
    };
    objects.sort();
    Finding { rule: Rule::Identity, objects, message }
}
