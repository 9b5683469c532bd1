//! Merging values.
//!
//! Two different rules: a later file goes over an earlier one and its nulls stay nulls; then all of it goes over the
//! chart's defaults, where a null removes the default.

use serde_json::{Map, Value as Json};

use crate::tree::Node;

/// The key whose values every chart below sees.
const GLOBAL: &str = "global";

/// What to do with a null that hides a default.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// It removes the default.
    Remove,
    /// It stays: the values are merged again later.
    Keep,
}

/// A dependency's values are no map.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the values under {0:?} are for the dependency of that name and must be a map")]
pub struct NotATable(pub String);

/// Puts a later layer over an earlier one. Maps merge, everything else replaces.
pub(crate) fn layer(base: &mut Map<String, Json>, over: Map<String, Json>) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Json::Object(inner)), Json::Object(map)) => layer(inner, map),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Fills values up with the defaults of a chart and, under the names of its dependencies, with theirs.
///
/// A null that hides no default stays, so `.Values.x` is there and empty. A table is never replaced by a scalar nor
/// the other way round unless the user says so.
pub(crate) fn over_defaults(
    node: &Node<'_>,
    mut values: Map<String, Json>,
    nulls: Nulls,
) -> Result<Map<String, Json>, NotATable> {
    for (key, default) in &*node.values {
        match values.get_mut(key) {
            None => {
                values.insert(key.clone(), default.clone());
            }
            Some(Json::Null) if nulls == Nulls::Remove => {
                values.remove(key);
            }
            Some(Json::Object(inner)) => {
                if let Json::Object(default) = default {
                    // What belongs to a dependency is merged with its own defaults later, nulls and all.
                    let is_child = node.children.iter().any(|child| child.name == *key);
                    tables(inner, default.clone(), if is_child { Nulls::Keep } else { nulls });
                }
            }
            Some(_) => {}
        }
    }
    for child in &node.children {
        let mut inner = match values.remove(&child.name) {
            None => Map::new(),
            Some(Json::Object(map)) => map,
            Some(_) => return Err(NotATable(child.name.clone())),
        };
        globals(&mut inner, values.get(GLOBAL));
        values.insert(child.name.clone(), Json::Object(over_defaults(child, inner, nulls)?));
    }
    Ok(values)
}

/// The parent's globals win over the child's.
fn globals(child: &mut Map<String, Json>, parent: Option<&Json>) {
    let empty = Map::new();
    let source = match parent {
        None => &empty,
        Some(Json::Object(map)) => map,
        Some(_) => return,
    };
    let Json::Object(target) = child.entry(GLOBAL).or_insert_with(|| Json::Object(Map::new())) else { return };
    for (key, value) in source {
        match (target.get_mut(key), value) {
            (None, value) => {
                target.insert(key.clone(), value.clone());
            }
            (Some(Json::Object(inner)), Json::Object(map)) => {
                let mut merged = map.clone();
                tables(&mut merged, std::mem::take(inner), Nulls::Keep);
                *inner = merged;
            }
            (Some(Json::Object(_)), _) | (Some(_), Json::Object(_)) => {}
            (Some(current), value) => *current = value.clone(),
        }
    }
}

/// Fills `target` up from `source`; what `target` has wins.
pub(crate) fn tables(target: &mut Map<String, Json>, source: Map<String, Json>, nulls: Nulls) {
    for (key, value) in source {
        match target.get_mut(&key) {
            None => {
                target.insert(key, value);
            }
            Some(Json::Null) if nulls == Nulls::Remove && !value.is_null() => {
                target.remove(&key);
            }
            Some(Json::Object(inner)) => {
                if let Json::Object(map) = value {
                    tables(inner, map, nulls);
                }
            }
            Some(_) => {}
        }
    }
}
