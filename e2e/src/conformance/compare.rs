//! Two answers, place by place.

use std::fmt;

use serde_json::Value;

/// One place in which answers differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where.
    pub path: String,
    /// What the real server says there.
    pub real: Option<Value>,
    /// What the other one says.
    pub got: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 300;
        let shown = |value: &Option<Value>| {
            let text = value.as_ref().map_or_else(|| "<absent>".to_owned(), Value::to_string);
            if text.chars().count() > LONGEST {
                text.chars().take(LONGEST).chain("…".chars()).collect()
            } else {
                text
            }
        };
        write!(f, "{}: real {}, got {}", self.path, shown(&self.real), shown(&self.got))
    }
}

/// Every place in which `got` differs from `real`.
pub(super) fn differences(real: &Value, got: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(real, got, "", &mut found);
    found
}

fn walk(real: &Value, got: &Value, path: &str, found: &mut Vec<Difference>) {
    match (real, got) {
        (Value::Object(one), Value::Object(other)) => {
            let missing = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(missing) {
                let place = if key.contains('.') { format!("{path}[{key:?}]") } else { format!("{path}.{key}") };
                let place = place.trim_start_matches('.').to_owned();
                match (one.get(key), other.get(key)) {
                    (Some(one), Some(other)) => walk(one, other, &place, found),
                    (real, got) => {
                        found.push(Difference { path: place, real: real.cloned(), got: got.cloned() });
                    }
                }
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                walk(one, other, &format!("{path}[{index}]"), found);
            }
        }
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => {}
        (one, other) if one == other => {}
        (one, other) => {
            found.push(Difference { path: path.to_owned(), real: Some(one.clone()), got: Some(other.clone()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_told_by_its_place() {
        let found = differences(&json!({"a": [1, {"b": 2}], "c": 1}), &json!({"a": [1, {"b": 3}], "d": null}));
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["a[1].b: real 2, got 3", "c: real 1, got <absent>", "d: real <absent>, got null"]);
    }
}
