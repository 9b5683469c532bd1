//! Walking objects along their schema: which fields a value sets, how two differ, how one merges into another.

use serde_json::{Map, Value};

use super::fieldset::{Element, FieldSet};
use crate::apiserver::schema::{ListType, Node, key_value};

/// How one object differs from another, as sets of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

/// How a value takes part in a merge.
enum Shape<'a> {
    /// Owned as a whole: scalars, atomic maps and lists, and whatever the schema does not describe as granular.
    Leaf,
    Fields(&'a Map<String, Value>),
    Items(Vec<(Element, &'a Value)>),
}

fn shape<'a>(node: Option<Node<'_>>, value: &'a Value) -> Shape<'a> {
    match value {
        Value::Object(fields) if !node.is_some_and(Node::is_atomic_map) => Shape::Fields(fields),
        Value::Array(items) => {
            let elements: Option<Vec<_>> =
                items.iter().map(|item| Some((element(node?.list_type(), item)?, item))).collect();
            elements.map_or(Shape::Leaf, Shape::Items)
        }
        _ => Shape::Leaf,
    }
}

fn element(list: ListType<'_>, item: &Value) -> Option<Element> {
    match list {
        ListType::Atomic => None,
        ListType::Set => Some(Element::Value(item.clone())),
        ListType::Map(keys) => {
            item.as_object()?;
            let key: Map<String, Value> = keys
                .iter()
                .filter_map(Value::as_str)
                .map(|key| (key.to_owned(), key_value(item, key)))
                .filter(|(_, value)| !value.is_null())
                .collect();
            (!key.is_empty()).then_some(Element::Key(key))
        }
    }
}

fn field<'a>(node: Option<Node<'a>>, name: &str) -> Option<Node<'a>> {
    node?.field(name)
}

/// The set of fields that `value` gives an opinion on.
pub(super) fn field_set(node: Option<Node<'_>>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    match shape(node, value) {
        Shape::Leaf => set.member = true,
        Shape::Fields(fields) => {
            for (name, child) in fields {
                let mut below = field_set(field(node, name), child);
                below.member |= child.as_object().is_some_and(Map::is_empty);
                if !below.is_empty() {
                    set.children.insert(Element::Field(name.clone()), below);
                }
            }
        }
        Shape::Items(items) => {
            // A list of items that are told apart is nothing without them.
            let atomic = node.is_none_or(|node| node.list_type() == ListType::Atomic);
            set.member = items.is_empty() && atomic;
            for (element, item) in items {
                let mut below = field_set(node.and_then(Node::items), item);
                below.member = true;
                set.children.insert(element, below);
            }
        }
    }
    set
}

/// Every path at or below a value that appears or disappears as a whole.
fn whole(node: Option<Node<'_>>, value: &Value) -> FieldSet {
    fn mark(set: &mut FieldSet) {
        set.member = true;
        set.children.values_mut().for_each(mark);
    }
    let mut set = field_set(node, value);
    mark(&mut set);
    set
}

/// An absent list or map is compared as an empty one: what is in it is added, it itself was there before.
fn empty_like(value: &Value) -> Option<Value> {
    match value {
        Value::Object(_) => Some(Value::Object(Map::new())),
        Value::Array(_) => Some(Value::Array(Vec::new())),
        _ => None,
    }
}

/// What changed from one object to another.
pub(super) fn compare(node: Option<Node<'_>>, before: &Value, after: &Value) -> Difference {
    compare_at(node, before, after, true)
}

fn compare_at(node: Option<Node<'_>>, before: &Value, after: &Value, root: bool) -> Difference {
    let mut difference = Difference::default();
    if before == after {
        return difference;
    }
    let nothing = after.as_array().is_some_and(Vec::is_empty) || after.as_object().is_some_and(Map::is_empty);
    if before.is_null() && nothing {
        difference.modified.member = true;
        return difference;
    }
    let (filled_before, filled_after);
    let (mut before, mut after) = (before, after);
    if before.is_null()
        && let Some(empty) = empty_like(after)
    {
        filled_before = empty;
        before = &filled_before;
    } else if after.is_null()
        && let Some(empty) = empty_like(before)
    {
        filled_after = empty;
        after = &filled_after;
    }
    match (shape(node, before), shape(node, after)) {
        (Shape::Fields(old), Shape::Fields(new)) => {
            let element = |name: &String| Element::Field(name.clone());
            for (name, value) in old {
                match new.get(name) {
                    Some(other) => difference.nest(&element(name), compare_at(field(node, name), value, other, false)),
                    None => drop(difference.removed.children.insert(element(name), whole(field(node, name), value))),
                }
            }
            for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                let mut added = whole(field(node, name), value);
                if root && name == "metadata" {
                    // Metadata itself belongs to nobody.
                    added.member = false;
                }
                difference.added.children.insert(element(name), added);
            }
        }
        (Shape::Items(old), Shape::Items(new)) => {
            let items = node.and_then(Node::items);
            for (element, value) in &old {
                match new.iter().find(|(other, _)| other == element) {
                    Some((_, other)) => difference.nest(&element.clone(), compare_at(items, value, other, false)),
                    None => drop(difference.removed.children.insert(element.clone(), whole(items, value))),
                }
            }
            for (element, value) in &new {
                if !old.iter().any(|(other, _)| other == element) {
                    difference.added.children.insert(element.clone(), whole(items, value));
                }
            }
        }
        _ => difference.modified.member = true,
    }
    difference
}

impl Difference {
    fn nest(&mut self, element: &Element, below: Self) {
        let Self { added, modified, removed } = below;
        for (set, child) in [(&mut self.added, added), (&mut self.modified, modified), (&mut self.removed, removed)] {
            if !child.is_empty() {
                set.children.insert(element.clone(), child);
            }
        }
    }
}

/// Merges `config` into `live`: maps by key, keyed lists by key, everything else replaced.
pub(super) fn merge(node: Option<Node<'_>>, live: &mut Value, config: &Value) {
    match shape(node, config) {
        Shape::Leaf => live.clone_from(config),
        Shape::Fields(fields) => {
            if !live.is_object() {
                *live = Value::Object(Map::new());
            }
            for (name, value) in fields {
                merge(field(node, name), &mut live[name.as_str()], value);
            }
        }
        Shape::Items(items) => {
            let list = node.map_or(ListType::Atomic, Node::list_type);
            let below = node.and_then(Node::items);
            let mut present = live.as_array_mut().map(std::mem::take).unwrap_or_default();
            for (wanted, item) in items {
                let found = present.iter_mut().find(|present| element(list, present).as_ref() == Some(&wanted));
                if let Some(found) = found {
                    merge(below, found, item);
                } else {
                    let mut new = Value::Null;
                    merge(below, &mut new, item);
                    present.push(new);
                }
            }
            *live = Value::Array(present);
        }
    }
}

/// Removes from `value` what is in `last` but in nobody's set any more.
pub(super) fn remove(node: Option<Node<'_>>, value: &mut Value, last: &FieldSet, owned: &FieldSet) {
    for (element, below) in &last.children {
        match owned.children.get(element) {
            Some(owned) => {
                if let Some((node, child)) = child_mut(node, value, element) {
                    remove(node, child, below, owned);
                }
            }
            None => remove_child(node, value, element),
        }
    }
}

fn child_mut<'a, 'n>(
    node: Option<Node<'n>>,
    value: &'a mut Value,
    wanted: &Element,
) -> Option<(Option<Node<'n>>, &'a mut Value)> {
    match wanted {
        Element::Field(name) => Some((field(node, name), value.get_mut(name)?)),
        Element::Key(_) | Element::Value(_) => {
            let list = node?.list_type();
            let items = value.as_array_mut()?;
            let found = items.iter_mut().find(|item| element(list, item).as_ref() == Some(wanted))?;
            Some((node.and_then(Node::items), found))
        }
    }
}

fn remove_child(node: Option<Node<'_>>, value: &mut Value, wanted: &Element) {
    match (wanted, value) {
        (Element::Field(name), Value::Object(fields)) => drop(fields.remove(name)),
        (Element::Key(_) | Element::Value(_), Value::Array(items)) => {
            let list = node.map_or(ListType::Atomic, Node::list_type);
            items.retain(|item| element(list, item).as_ref() != Some(wanted));
        }
        _ => {}
    }
}
