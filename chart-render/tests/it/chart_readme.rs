//! The table of values in the chart's README agrees with values.yaml.

use std::collections::BTreeMap;
use std::fs;

use chart_render::Chart;
use serde_json::Value as Json;

use crate::helm::chart;

/// Documented as one value although it has parts.
const WHOLE: &[&str] = &["wva.resources"];

fn leaves(prefix: &str, json: &Json, out: &mut BTreeMap<String, Json>) {
    match json {
        Json::Object(map) if !map.is_empty() && !WHOLE.contains(&prefix) => {
            for (key, value) in map {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                leaves(&path, value, out);
            }
        }
        other => {
            out.insert(prefix.to_owned(), other.clone());
        }
    }
}

/// 10 and 10.0 are the same default.
fn comparable(json: &Json) -> Json {
    match json {
        Json::Number(number) => Json::from(number.as_f64()),
        Json::Array(items) => items.iter().map(comparable).collect(),
        Json::Object(map) => map.iter().map(|(key, value)| (key.clone(), comparable(value))).collect(),
        other => other.clone(),
    }
}

#[test]
fn every_value_stands_in_the_readme_with_its_default() {
    let mut expected = BTreeMap::new();
    let values = Chart::load(chart()).expect("chart").values().clone();
    leaves("", &Json::Object(values), &mut expected);

    let readme = fs::read_to_string(chart().join("README.md")).expect("README.md");
    let rows =
        readme.lines().skip_while(|line| !line.starts_with("| Key |")).skip(2).take_while(|line| line.starts_with('|'));
    let documented: BTreeMap<String, Json> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split(" | ").collect();
            let default = cells[2].trim_matches('`');
            let value = serde_json::from_str(default).unwrap_or_else(|error| panic!("{row}: {error}"));
            assert!(!cells[3].trim_matches([' ', '|']).is_empty(), "no description: {row}");
            (cells[0].trim_start_matches("| ").to_owned(), comparable(&value))
        })
        .collect();
    let expected: BTreeMap<String, Json> =
        expected.iter().map(|(key, value)| (key.clone(), comparable(value))).collect();
    assert_eq!(documented, expected);
}
