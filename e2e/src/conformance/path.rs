//! Places in JSON, as scripts write them: `metadata.labels["a.b/c"]`, `items[0].spec`, `rows.*.object`.

use serde_json::{Map, Value};

/// The steps of a path.
pub(super) fn parts(path: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let (part, after) = quoted.split_once("\"]").unwrap_or((quoted, ""));
            parts.push(part.to_owned());
            rest = after;
        } else if let Some(after) = rest.strip_prefix(['.', '[', ']']) {
            rest = after;
        } else {
            let end = rest.find(['.', '[', ']']).unwrap_or(rest.len());
            parts.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
    }
    parts
}

/// The value at a path; `Null` when there is none.
pub(super) fn dig(value: &Value, path: &str) -> Value {
    let mut at = value;
    for part in parts(path) {
        let next = match at {
            Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
            Value::Object(fields) => fields.get(&part),
            _ => None,
        };
        let Some(next) = next else { return Value::Null };
        at = next;
    }
    at.clone()
}

/// Takes what is at a path away; an item of a list is only marked, so that the others keep their places.
pub(super) fn strip(value: &mut Value, parts: &[String]) {
    let [head, rest @ ..] = parts else { return };
    match value {
        Value::Array(items) if head == "*" => items.iter_mut().for_each(|item| strip(item, rest)),
        Value::Array(items) => {
            let Some(item) = head.parse::<usize>().ok().and_then(|index| items.get_mut(index)) else { return };
            if rest.is_empty() {
                *item = Value::from("<ignored>");
            } else {
                strip(item, rest);
            }
        }
        Value::Object(fields) if rest.is_empty() && head == "*" => fields.clear(),
        Value::Object(fields) if rest.is_empty() => drop(fields.remove(head)),
        Value::Object(fields) if head == "*" => fields.values_mut().for_each(|child| strip(child, rest)),
        Value::Object(fields) => {
            if let Some(child) = fields.get_mut(head) {
                strip(child, rest);
            }
        }
        _ => {}
    }
}

/// Only these places, by their paths.
pub(super) fn only(value: &Value, paths: &[String]) -> Value {
    Value::Object(paths.iter().map(|path| (path.clone(), dig(value, path))).collect::<Map<_, _>>())
}

/// The list at a path, for changing it.
pub(super) fn list_mut<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Vec<Value>> {
    let mut at = value;
    for part in parts(path) {
        at = match at {
            Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?)?,
            Value::Object(fields) => fields.get_mut(&part)?,
            _ => return None,
        };
    }
    at.as_array_mut()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_through_lists_and_quoted_names() {
        let value = json!({"items": [{"labels": {"a.b/c": 1}}]});
        assert_eq!(dig(&value, "items[0].labels[\"a.b/c\"]"), json!(1));
        assert_eq!(dig(&value, "items[1].labels"), Value::Null);
    }

    #[test]
    fn what_is_stripped_leaves_the_other_items_in_their_places() {
        let mut value = json!({"l": [{"x": 1, "y": 2}, {"x": 3}]});
        strip(&mut value, &parts("l.*.x"));
        assert_eq!(value, json!({"l": [{"y": 2}, {}]}));
        strip(&mut value, &parts("l[0]"));
        assert_eq!(value, json!({"l": ["<ignored>", {}]}));
    }
}
