//! RFC 6902: a list of operations on paths.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::apiserver::failure::Failure;

/// Applies all operations in order; the first that fails refuses the patch.
pub(in crate::apiserver) fn json_patch(target: &mut Value, patch: &Value) -> Result<(), Failure> {
    let operations = patch.as_array().ok_or_else(|| Failure::bad_request("Invalid JSON Patch"))?;
    for operation in operations {
        apply(target, operation).map_err(|why| {
            tracing::debug!(why, "JSON patch refused");
            Failure::new(422, "Invalid", "the server rejected our request due to an error in our request")
                .with_details()
        })?;
    }
    Ok(())
}

fn apply(target: &mut Value, operation: &Value) -> Result<(), String> {
    let operation = lenient(target, operation);
    if let Some(operation) = operation {
        let operation = serde_json::from_value(operation.into_owned()).map_err(|error| error.to_string())?;
        json_patch::patch(target, &[operation]).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The operation as the server's library understands it: replacing a field that is absent sets it, so that defaults need not
/// be spelt out, and testing one for null holds, which leaves nothing to do.
fn lenient<'a>(target: &Value, operation: &'a Value) -> Option<Cow<'a, Value>> {
    let path = operation["path"].as_str().unwrap_or_default();
    if target.pointer(path).is_some() {
        return Some(Cow::Borrowed(operation));
    }
    let parent = path.rsplit_once('/').and_then(|(parent, _)| target.pointer(parent));
    match operation["op"].as_str() {
        Some("replace") if parent.is_some_and(Value::is_object) => {
            let mut operation = operation.clone();
            operation["op"] = json!("add");
            Some(Cow::Owned(operation))
        }
        Some("test") if operation["value"].is_null() => None,
        _ => Some(Cow::Borrowed(operation)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::add(json!([{"op": "add", "path": "/a/x~1y", "value": 1}]), json!({"a": {"b": 1, "x/y": 1}, "l": [1, 2]}))]
    #[case::append(json!([{"op": "add", "path": "/l/-", "value": 3}]), json!({"a": {"b": 1}, "l": [1, 2, 3]}))]
    #[case::insert(json!([{"op": "add", "path": "/l/0", "value": 0}]), json!({"a": {"b": 1}, "l": [0, 1, 2]}))]
    #[case::remove(json!([{"op": "remove", "path": "/a/b"}]), json!({"a": {}, "l": [1, 2]}))]
    #[case::relocate(json!([{"op": "move", "from": "/a/b", "path": "/c"}]), json!({"a": {}, "c": 1, "l": [1, 2]}))]
    #[case::checked(
        json!([{"op": "test", "path": "/a/b", "value": 1}, {"op": "replace", "path": "/a/b", "value": 2}]),
        json!({"a": {"b": 2}, "l": [1, 2]})
    )]
    fn operations_change_the_object(#[case] patch: Value, #[case] expected: Value) {
        let mut object = json!({"a": {"b": 1}, "l": [1, 2]});
        json_patch(&mut object, &patch).expect("applies");
        assert_eq!(object, expected);
    }

    #[rstest]
    #[case(json!([{"op": "remove", "path": "/nope"}]))]
    #[case(json!([{"op": "replace", "path": "/nope/below", "value": 1}]))]
    #[case(json!([{"op": "test", "path": "/a", "value": 1}]))]
    #[case(json!([{"op": "add", "path": "/l/7", "value": 1}]))]
    fn an_operation_that_does_not_fit_is_refused(#[case] patch: Value) {
        let mut object = json!({"a": {}, "l": []});
        assert_eq!(json_patch(&mut object, &patch).expect_err("does not fit").code, 422);
    }
}
