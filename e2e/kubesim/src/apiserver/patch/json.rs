//! RFC 6902: a list of operations on paths.

use serde_json::Value;

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
    let kind = operation["op"].as_str().unwrap_or_default();
    let path = operation["path"].as_str().ok_or("operation without a path")?;
    let value = || operation.get("value").cloned().ok_or_else(|| format!("{kind} operation without a value: {path}"));
    let from = || operation["from"].as_str().ok_or_else(|| format!("{kind} operation without from: {path}"));
    match kind {
        "add" => add(target, path, value()?),
        "remove" => remove(target, path).map(drop),
        "replace" => replace(target, path, value()?),
        "move" => {
            let moved = remove(target, from()?)?;
            add(target, path, moved)
        }
        "copy" => {
            let from = from()?;
            let copied =
                target.pointer(from).cloned().ok_or_else(|| format!("copy operation: doc is missing path: {from}"))?;
            add(target, path, copied)
        }
        "test" => {
            if target.pointer(path).unwrap_or(&Value::Null) == &value().unwrap_or_default() {
                Ok(())
            } else {
                Err(format!("testing value {path} failed: test failed"))
            }
        }
        other => Err(format!("unexpected kind: {other}")),
    }
}

/// Replacing a field that is absent sets it, as the server's library has it: defaults need not be spelt out.
fn replace(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let missing = || format!("replace operation does not apply: doc is missing path: {path}: missing value");
    if let Some(found) = target.pointer_mut(path) {
        *found = value;
        return Ok(());
    }
    let (parent, last) = split(path)?;
    match target.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.insert(last, value);
            Ok(())
        }
        _ => Err(missing()),
    }
}

/// Splits a pointer into its parent and the unescaped last segment.
fn split(path: &str) -> Result<(&str, String), String> {
    let (parent, last) = path.rsplit_once('/').ok_or_else(|| format!("{path:?} does not name a field"))?;
    Ok((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    let (parent, last) = split(path)?;
    match target.pointer_mut(parent) {
        Some(Value::Object(object)) => {
            object.insert(last, value);
            Ok(())
        }
        Some(Value::Array(items)) if last == "-" => {
            items.push(value);
            Ok(())
        }
        Some(Value::Array(items)) => match last.parse::<usize>() {
            Ok(index) if index <= items.len() => {
                items.insert(index, value);
                Ok(())
            }
            _ => Err(format!("add operation does not apply: index out of bounds: {path}")),
        },
        _ => Err(format!("add operation does not apply: doc is missing path: {path:?}: missing value")),
    }
}

fn remove(target: &mut Value, path: &str) -> Result<Value, String> {
    let (parent, last) = split(path)?;
    let removed = match target.pointer_mut(parent) {
        Some(Value::Object(object)) => object.remove(&last),
        Some(Value::Array(items)) => {
            last.parse::<usize>().ok().filter(|index| *index < items.len()).map(|index| items.remove(index))
        }
        _ => None,
    };
    removed.ok_or_else(|| format!("remove operation does not apply: doc is missing path: {path}: missing value"))
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
