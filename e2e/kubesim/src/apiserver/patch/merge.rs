//! RFC 7386: objects merge, `null` removes, everything else replaces.

use serde_json::{Map, Value};

pub(in crate::apiserver) fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(object) = target else { return };
    for (name, value) in fields {
        if value.is_null() {
            object.remove(name);
        } else {
            merge_patch(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_removes_and_lists_are_replaced() {
        let mut object = json!({"a": {"b": 1, "c": 2}, "l": [1, 2]});
        merge_patch(&mut object, &json!({"a": {"b": null, "d": 3}, "l": [9]}));
        assert_eq!(object, json!({"a": {"c": 2, "d": 3}, "l": [9]}));
    }
}
