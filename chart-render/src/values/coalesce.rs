//! Merging values.
//!
//! Two different rules: a later file goes over an earlier one and its nulls stay nulls; then all of it goes over the
//! chart's defaults, where a null removes the default.

use serde_json::map::Entry;
use serde_json::{Map, Value as Json};

/// Puts a later layer over an earlier one. Maps merge, everything else replaces.
pub(super) fn layer(base: &mut Map<String, Json>, over: Map<String, Json>) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Json::Object(inner)), Json::Object(map)) => layer(inner, map),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Fills the user's values up with the chart's defaults.
///
/// A null that hides no default stays, so `.Values.x` is there and empty. A table is never replaced by a scalar nor
/// the other way round unless the user says so.
pub(crate) fn over_defaults(mut values: Map<String, Json>, defaults: &Map<String, Json>) -> Map<String, Json> {
    fill(&mut values, defaults);
    values
}

fn fill(values: &mut Map<String, Json>, defaults: &Map<String, Json>) {
    for (key, default) in defaults {
        match values.entry(key.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(default.clone());
            }
            Entry::Occupied(entry) if entry.get().is_null() => {
                entry.remove();
            }
            Entry::Occupied(mut entry) => {
                if let (Json::Object(inner), Json::Object(default)) = (entry.get_mut(), default) {
                    fill(inner, default);
                }
            }
        }
    }
}
