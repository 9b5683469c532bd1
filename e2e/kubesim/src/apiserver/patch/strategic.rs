//! Strategic merge patch: a merge patch that merges lists by the key their schema names, with directives.

use serde_json::{Map, Value};

use crate::apiserver::failure::Failure;
use crate::apiserver::schema::Node;
use crate::apiserver::update::go_map;

const DIRECTIVE: &str = "$patch";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";
const RETAIN_KEYS: &str = "$retainKeys";

/// Merges `patch` into `target` along the schema of the type.
pub(in crate::apiserver) fn strategic_merge_patch(
    target: &mut Value,
    patch: &Value,
    node: Option<Node<'_>>,
) -> Result<(), Failure> {
    let Value::Object(fields) = patch else {
        target.clone_from(patch);
        return Ok(());
    };
    match fields.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => {
            let mut replaced = fields.clone();
            replaced.remove(DIRECTIVE);
            *target = Value::Object(replaced);
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => {
            let shown = go_map(patch);
            return Err(Failure::unclassified(format!("unknown patch type: {other} in map: {shown}")));
        }
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(object) = target else { return Ok(()) };
    if let Some(Value::Array(keep)) = fields.get(RETAIN_KEYS) {
        object.retain(|name, _| keep.iter().any(|kept| kept == name));
    }
    for (name, value) in fields {
        if let Some(list) = name.strip_prefix(DELETE_FROM_LIST) {
            if let (Some(Value::Array(items)), Value::Array(gone)) = (object.get_mut(list), value) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if name.starts_with('$') {
            continue;
        }
        let below = node.and_then(|node| node.field(name));
        if value.is_null() {
            object.remove(name);
        } else if let (Value::Array(patch), Some(node)) = (value, below) {
            merge_list(object.entry(name.clone()).or_insert(Value::Null), patch, node)?;
        } else {
            strategic_merge_patch(object.entry(name.clone()).or_insert(Value::Null), value, below)?;
        }
    }
    for (name, order) in fields {
        if let (Some(list), Value::Array(order)) = (name.strip_prefix(SET_ORDER), order) {
            let key = node.and_then(|node| node.field(list)).and_then(Node::patch_merge_key);
            if let Some(Value::Array(items)) = object.get_mut(list) {
                reorder(items, order, key);
            }
        }
    }
    Ok(())
}

fn merge_list(target: &mut Value, patch: &[Value], node: Node<'_>) -> Result<(), Failure> {
    let replace = patch.iter().any(|item| item.get(DIRECTIVE).is_some_and(|directive| directive == "replace"));
    let Some(key) = node.patch_merge_key() else {
        if node.merges_scalars() && target.is_array() {
            let Value::Array(items) = target else { return Ok(()) };
            let before = items.clone();
            let new: Vec<Value> = patch.iter().filter(|item| !items.contains(item)).cloned().collect();
            items.extend(new);
            *items = in_order(std::mem::take(items), patch, &before, |one, other| one == other);
        } else {
            *target = Value::Array(patch.to_vec());
        }
        return Ok(());
    };
    if replace || !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Value::Array(items) = target else { return Ok(()) };
    let before = items.clone();
    for change in patch {
        let directive = change.get(DIRECTIVE).and_then(Value::as_str);
        let Some(id) = change.get(key) else {
            if directive.is_some() {
                continue;
            }
            let shown = go_map(change);
            return Err(Failure::unclassified(format!("map: {shown} does not contain declared merge key: {key}")));
        };
        let position = items.iter().position(|item| item.get(key) == Some(id));
        match (directive, position) {
            (Some("delete"), Some(_)) => items.retain(|item| item.get(key) != Some(id)),
            (Some("delete"), None) => {}
            (_, Some(position)) => strategic_merge_patch(&mut items[position], change, node.items())?,
            (_, None) => {
                let mut new = Value::Null;
                strategic_merge_patch(&mut new, change, node.items())?;
                items.push(new);
            }
        }
    }
    let same = |one: &Value, other: &Value| one.get(key).is_some() && one.get(key) == other.get(key);
    *items = in_order(std::mem::take(items), patch, &before, same);
    Ok(())
}

/// Merges the items a patch names, in its order, with those it does not name, in theirs: one of these goes first only
/// where it was before the other one all along. What is new therefore comes before what was there.
fn in_order(items: Vec<Value>, patch: &[Value], before: &[Value], same: impl Fn(&Value, &Value) -> bool) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| list.iter().position(|other| same(other, item));
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| place(patch, item).is_some());
    named.sort_by_key(|item| place(patch, item));
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    let mut merged = Vec::new();
    while let (Some(right), Some(left)) = (named.peek(), others.peek()) {
        let first = match (place(before, left), place(before, right)) {
            (Some(left), Some(right)) => left < right,
            _ => false,
        };
        merged.extend(if first { others.next() } else { named.next() });
    }
    merged.extend(named);
    merged.extend(others);
    merged
}

/// Items named in `order` come in that order, each of the others stays behind the one it followed.
fn reorder(items: &mut [Value], order: &[Value], key: Option<&str>) {
    let mut rank = 0;
    let mut ranked: Vec<(usize, Value)> = Vec::with_capacity(items.len());
    for item in items.iter() {
        let named = order.iter().position(|wanted| match key {
            Some(key) => wanted.get(key).is_some() && wanted.get(key) == item.get(key),
            None => wanted == item,
        });
        rank = named.unwrap_or(rank);
        ranked.push((rank, item.clone()));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    for (slot, (_, item)) in items.iter_mut().zip(ranked) {
        *slot = item;
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn patched(patch: &Value) -> Value {
        let schema = json!({"properties": {
            "containers": {
                "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge",
                "items": {"properties": {"args": {"items": {}}}},
            },
            "finalizers": {"x-kubernetes-patch-strategy": "merge", "items": {}},
            "strategy": {"properties": {}},
        }});
        let definitions = Map::new();
        let mut object = json!({
            "containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "2"}],
            "finalizers": ["one"],
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        });
        strategic_merge_patch(&mut object, patch, Some(Node::new(&definitions, &schema))).expect("applies");
        object
    }

    #[rstest]
    #[case::by_key("/containers", json!({"containers": [{"name": "b", "image": "3"}, {"name": "c"}]}),
        json!([{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "3"}, {"name": "c"}]))]
    #[case::new_comes_first("/containers", json!({"containers": [{"name": "c"}]}),
        json!([{"name": "c"}, {"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "2"}]))]
    #[case::delete_item("/containers", json!({"containers": [{"$patch": "delete", "name": "a"}]}),
        json!([{"name": "b", "image": "2"}]))]
    #[case::replace_list("/containers", json!({"containers": [{"$patch": "replace"}, {"name": "z"}]}),
        json!([{"name": "z"}]))]
    #[case::plain_lists_are_replaced("/containers/0/args", json!({"containers": [{"name": "a", "args": ["y"]}]}),
        json!(["y"]))]
    #[case::scalars_are_added("/finalizers", json!({"finalizers": ["two"]}), json!(["two", "one"]))]
    #[case::scalars_are_deleted("/finalizers", json!({"$deleteFromPrimitiveList/finalizers": ["one"]}), json!([]))]
    #[case::replace_map("/strategy", json!({"strategy": {"$patch": "replace", "type": "Recreate"}}),
        json!({"type": "Recreate"}))]
    #[case::retain_keys("/strategy", json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
        json!({"type": "Recreate"}))]
    #[case::order("/containers", json!({
        "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
        "containers": [{"name": "a", "image": "9"}]}),
        json!([{"name": "b", "image": "2"}, {"name": "a", "image": "9", "args": ["x"]}]))]
    fn directives_and_keys_are_honoured(#[case] pointer: &str, #[case] patch: Value, #[case] expected: Value) {
        assert_eq!(patched(&patch).pointer(pointer), Some(&expected));
    }
}
