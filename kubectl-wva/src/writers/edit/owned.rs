//! Which part of an object a field manager owns, from its `fieldsV1`: `f:NAME` is a member, `k:{…}` the item of a list with
//! these keys, `v:VALUE` the item with this value, `i:N` the item at this place; `.` is the thing itself.

use serde_json::{Map, Value};

/// The part of a live object that these fields name.
pub(super) fn part(fields: &Value, live: &Value) -> Value {
    let children: Vec<(&String, &Value)> =
        fields.as_object().into_iter().flatten().filter(|(key, _)| key.as_str() != ".").collect();
    match live {
        _ if fields.as_object().is_none_or(Map::is_empty) => live.clone(),
        Value::Object(live) => {
            let member = |(key, fields): (&String, &Value)| {
                let name = key.strip_prefix("f:")?;
                Some((name.to_owned(), part(fields, live.get(name)?)))
            };
            Value::Object(children.into_iter().filter_map(member).collect())
        }
        Value::Array(items) => {
            let owned = |(at, item): (usize, &Value)| {
                let (_, fields) = children.iter().find(|(key, _)| names(key, at, item))?;
                Some(part(fields, item))
            };
            Value::Array(items.iter().enumerate().filter_map(owned).collect())
        }
        scalar => scalar.clone(),
    }
}

/// Whether these fields name the field at a path of members.
pub(super) fn owns(fields: &Value, path: &[String]) -> bool {
    let at = path.iter().try_fold(fields, |fields, part| match fields.as_object() {
        // Who owns a whole owns its parts.
        Some(children) if children.is_empty() => Some(fields),
        _ => fields.get(format!("f:{part}")),
    });
    at.is_some()
}

/// Whether a key of `fieldsV1` means this item of a list.
fn names(key: &str, at: usize, item: &Value) -> bool {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    match key.split_at_checked(2) {
        Some(("k:", keys)) => parsed(keys).is_some_and(|keys| {
            keys.as_object().is_some_and(|keys| keys.iter().all(|(name, value)| item.get(name) == Some(value)))
        }),
        Some(("v:", value)) => parsed(value).as_ref() == Some(item),
        Some(("i:", index)) => index.parse() == Ok(at),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_items_by_key_by_value_and_whole_lists_are_told_apart() {
        let live = json!({
            "metadata": {"labels": {"a": "1", "b": "2"}, "finalizers": ["x", "y"]},
            "spec": {"ports": [{"port": 80, "name": "a", "nodePort": 3}, {"port": 81}], "metrics": [{"type": "External"}], "n": 1},
        });
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:a": {}}, "f:finalizers": {"v:\"y\"": {}}},
            "f:spec": {
                "f:ports": {".": {}, "k:{\"port\":80}": {".": {}, "f:port": {}, "f:name": {}}},
                "f:metrics": {}, "f:gone": {},
            },
        });
        let expect = json!({
            "metadata": {"labels": {"a": "1"}, "finalizers": ["y"]},
            "spec": {"ports": [{"port": 80, "name": "a"}], "metrics": [{"type": "External"}]},
        });
        assert_eq!(part(&fields, &live), expect);
    }

    #[test]
    fn who_owns_a_whole_owns_its_parts() {
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let fields = json!({"f:spec": {"f:a": {"f:b": {}}}});
        assert!(
            owns(&fields, &path("spec.a.b")) && owns(&fields, &path("spec.a.b.c")) && owns(&fields, &path("spec.a"))
        );
        assert!(!owns(&fields, &path("spec.c")));
    }
}
