//! Values written into the text of `values.yaml`, so that its comments and order stay.

use serde_json::{Map, Number, Value};

/// The text with the values of `layer` in place of its own; `None` where the text has no place for one of them.
pub(super) fn with(text: &str, layer: &Map<String, Value>) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut leaves = Vec::new();
    flatten(&mut Vec::new(), layer, &mut leaves);
    for (path, value) in leaves {
        let at = find(&lines, &path)?;
        let line = &lines[at];
        let key_end = line.find(':')? + 1;
        // What stands below the key would stay behind.
        let deeper = |other: &String| indent(other) > indent(line);
        let next = lines[at + 1..].iter().find(|other| !matches!(other.trim().chars().next(), None | Some('#')));
        if next.is_some_and(deeper) {
            return None;
        }
        lines[at] = format!("{} {}", &line[..key_end], whole(value));
    }
    Some(lines.join("\n") + "\n")
}

fn flatten(path: &mut Vec<String>, map: &Map<String, Value>, found: &mut Vec<(Vec<String>, Value)>) {
    for (key, value) in map {
        path.push(key.clone());
        match value {
            Value::Object(inner) if !inner.is_empty() => flatten(path, inner, found),
            value => found.push((path.clone(), value.clone())),
        }
        path.pop();
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The line of a key, by the keys above it.
fn find(lines: &[String], path: &[String]) -> Option<usize> {
    let mut above: Vec<(usize, String)> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let word = line.trim_start();
        if word.is_empty() || word.starts_with(['#', '-']) {
            continue;
        }
        let (key, _) = word.split_once(':')?;
        above.retain(|(depth, _)| *depth < indent(line));
        above.push((indent(line), key.trim_matches(['"', '\'']).to_owned()));
        if above.len() == path.len() && above.iter().zip(path).all(|((_, key), wanted)| key == wanted) {
            return Some(at);
        }
    }
    None
}

/// Numbers without a fraction are whole: `8200`, not `8200.0`.
pub(crate) fn whole(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
                Value::Number(Number::from(float as i64))
            }
            _ => Value::Number(number),
        },
        Value::Array(items) => Value::Array(items.into_iter().map(whole).collect()),
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, whole(value))).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "# Pods.\npods:\n  # -- How many.\n  count: 1\n  labels: {}\nname: x\n";

    #[test]
    fn a_value_takes_the_place_of_the_one_that_was_there_and_comments_stay() {
        let layer = json!({"pods": {"count": 3.0, "labels": {}}, "name": "it's: \"y\""});
        let text = with(TEXT, layer.as_object().unwrap()).unwrap();
        assert_eq!(text, "# Pods.\npods:\n  # -- How many.\n  count: 3\n  labels: {}\nname: \"it's: \\\"y\\\"\"\n");
    }

    #[test]
    fn what_has_no_place_in_the_text_is_not_forced_into_it() {
        for layer in [json!({"other": 1}), json!({"pods": 1}), json!({"pods": {"labels": {"a": "b"}}})] {
            assert_eq!(with(TEXT, layer.as_object().unwrap()), None, "{layer}");
        }
    }
}
