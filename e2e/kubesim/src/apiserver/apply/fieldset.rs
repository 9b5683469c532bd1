//! Sets of field paths: who owns what, in the `FieldsV1` form of `metadata.managedFields`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Element {
    /// A field of a struct or a key of a map.
    Field(String),
    /// The item of a list whose key fields have these values.
    Key(Map<String, Value>),
    /// The item of a set with this value.
    Value(Value),
}

impl Element {
    fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(key) => format!("k:{}", Value::Object(key.clone())),
            Self::Value(value) => format!("v:{value}"),
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Self::Field(rest.to_owned())),
            "k" => serde_json::from_str(rest).ok().map(Self::Key),
            "v" => serde_json::from_str(rest).ok().map(Self::Value),
            _ => None,
        }
    }

    /// As conflict messages write it: `.spec`, `[name="a"]`, `[="x"]`.
    fn write(&self, out: &mut String) {
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Field(name) => write!(out, ".{name}"),
            Self::Key(key) => {
                let pairs: Vec<String> = key.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(out, "[{}]", pairs.join(","))
            }
            Self::Value(value) => write!(out, "[={value}]"),
        };
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        self.encode().cmp(&other.encode())
    }
}

/// A tree of paths. A node is a member when its own path belongs to the set, whatever its children.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    pub(super) member: bool,
    pub(super) children: BTreeMap<Element, Self>,
}

impl FieldSet {
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// The node below `element`, created when missing.
    pub(super) fn at(&mut self, element: Element) -> &mut Self {
        self.children.entry(element).or_default()
    }

    pub(super) fn union(&mut self, other: &Self) {
        self.member |= other.member;
        for (element, child) in &other.children {
            self.at(element.clone()).union(child);
        }
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (element, child) in &other.children {
            if let Some(mine) = self.children.get_mut(element) {
                mine.subtract(child);
                if mine.is_empty() {
                    self.children.remove(element);
                }
            }
        }
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        let children = self
            .children
            .iter()
            .filter_map(|(element, mine)| {
                let both = mine.intersection(other.children.get(element)?);
                (!both.is_empty()).then(|| (element.clone(), both))
            })
            .collect();
        Self { member: self.member && other.member, children }
    }

    /// The member paths as text, in order.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.collect_paths(&mut String::new(), &mut out);
        out
    }

    fn collect_paths(&self, prefix: &mut String, out: &mut Vec<String>) {
        if self.member {
            out.push(prefix.clone());
        }
        for (element, child) in &self.children {
            let length = prefix.len();
            element.write(prefix);
            child.collect_paths(prefix, out);
            prefix.truncate(length);
        }
    }

    /// `FieldsV1`: leaves are empty objects, a member with children carries a `.` entry.
    pub(super) fn encode(&self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.children.is_empty() {
            fields.insert(".".to_owned(), json!({}));
        }
        for (element, child) in &self.children {
            fields.insert(element.encode(), child.encode());
        }
        Value::Object(fields)
    }

    pub(super) fn decode(fields: &Value) -> Self {
        let Some(fields) = fields.as_object() else { return Self::default() };
        Self {
            member: fields.is_empty() || fields.contains_key("."),
            children: fields
                .iter()
                .filter_map(|(text, child)| Some((Element::decode(text)?, Self::decode(child))))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned() -> Value {
        json!({"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}}}, "f:replicas": {}}})
    }

    #[test]
    fn fields_v1_survives_a_round_trip() {
        assert_eq!(FieldSet::decode(&owned()).encode(), owned());
    }

    #[test]
    fn paths_are_written_as_conflicts_show_them() {
        assert_eq!(
            FieldSet::decode(&owned()).paths(),
            [".spec.containers[name=\"a\"]", ".spec.containers[name=\"a\"].image", ".spec.replicas"]
        );
    }

    #[test]
    fn subtracting_everything_leaves_nothing() {
        let mut set = FieldSet::decode(&owned());
        set.subtract(&FieldSet::decode(&owned()));
        assert!(set.is_empty());
    }
}
