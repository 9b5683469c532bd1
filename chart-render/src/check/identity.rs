//! No object may be in two releases, nor twice in one.

use std::collections::BTreeMap;

use super::objects::Object;
use super::{Finding, Rule};

pub(super) fn findings(objects: &[Object<'_>]) -> Vec<Finding> {
    let mut known: BTreeMap<(&str, &str, &str, &str), Vec<&Object<'_>>> = BTreeMap::new();
    for object in objects.iter().filter(|object| !object.name().is_empty()) {
        known.entry((object.group(), object.kind(), object.namespace(), object.name())).or_default().push(object);
    }
    known
        .into_values()
        .filter(|same| same.len() > 1 && !is_shared_definition(same))
        .map(|same| finding(&same))
        .collect()
}

/// Every release may carry the definition of the CRD, as long as it is the same one; helm installs it once.
fn is_shared_definition(same: &[&Object<'_>]) -> bool {
    same[0].kind() == "CustomResourceDefinition"
        && same.iter().all(|object| object.json["spec"] == same[0].json["spec"])
}

fn finding(same: &[&Object<'_>]) -> Finding {
    let message = if same.iter().all(|object| object.release == same[0].release) {
        "one release holds this object twice: give the two objects different names"
    } else {
        "several releases hold this object, so the second install fails or takes it from the first: give one release \
         another name or fullnameOverride"
    };
    Finding {
        rule: Rule::Identity,
        objects: same.iter().map(|object| object.reference()).collect(),
        message: message.to_owned(),
    }
}
