//! The comments of values.yaml are the one description of each value: the README's table and the schema repeat them.
//!
//! `make generate` (this test with `UPDATE_CHART_DOCS=1`) writes both.

use std::fmt::Write as _;
use std::{env, fs};

use chart_render::Chart;
use serde_json::{Map, Value as Json};

use crate::helm::chart;

const BEGIN: &str = "| Key | Type | Default | Description |\n|-----|------|---------|-------------|\n";

/// A value with a comment, hence a row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Documented {
    path: Vec<String>,
    description: String,
}

/// The keys behind a `# -- …` comment, as helm-docs has it. A key with a comment stands for everything below it.
fn documented(values: &str) -> Vec<Documented> {
    let mut found = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut description: Option<String> = None;
    let mut whole: Option<usize> = None;
    for line in values.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if whole.is_some_and(|outer| indent > outer || text.starts_with("- ")) {
            continue;
        }
        if let Some(comment) = text.strip_prefix('#') {
            let comment = comment.trim();
            match (comment.strip_prefix("-- "), description.as_mut()) {
                (Some(start), _) => description = Some(start.to_owned()),
                (None, Some(so_far)) => so_far.extend([" ", comment]),
                (None, None) => {}
            }
            continue;
        }
        let Some((key, _)) = text.split_once(':') else { continue };
        path.retain(|(outer, _)| *outer < indent);
        path.push((indent, key.to_owned()));
        whole = description.is_some().then_some(indent);
        if let Some(description) = description.take() {
            found.push(Documented { path: path.iter().map(|(_, key)| key.clone()).collect(), description });
        }
    }
    found.sort_by_key(|entry| entry.path.join("."));
    found
}

/// Paths of the values that no comment describes, neither theirs nor that of a map around them.
fn undescribed(prefix: &[String], json: &Json, documented: &[Documented], out: &mut Vec<String>) {
    if documented.iter().any(|entry| entry.path == prefix) {
        return;
    }
    match json {
        Json::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path: Vec<String> = prefix.iter().chain([key]).cloned().collect();
                undescribed(&path, value, documented, out);
            }
        }
        _ => out.push(prefix.join(".")),
    }
}

fn at<'a>(values: &'a Map<String, Json>, path: &[String]) -> &'a Json {
    path.iter()
        .fold(None, |found: Option<&Json>, key| found.map_or_else(|| values.get(key), |json| json.get(key)))
        .expect("a value")
}

/// Helm reads every number as a float; the table shows whole ones as such.
fn whole_numbers(json: &Json) -> Json {
    match json {
        Json::Number(number) => {
            let text = number.as_f64().map(|float| float.to_string()).unwrap_or_default();
            text.parse::<i64>().map_or_else(|_| json.clone(), Json::from)
        }
        Json::Array(items) => items.iter().map(whole_numbers).collect(),
        Json::Object(map) => map.iter().map(|(key, value)| (key.clone(), whole_numbers(value))).collect(),
        other => other.clone(),
    }
}

fn type_of(json: &Json) -> &'static str {
    match json {
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_f64() => "float",
        // The values without a default are all counts.
        Json::Null | Json::Number(_) => "int",
        Json::String(_) => "string",
        Json::Array(_) => "list",
        Json::Object(_) => "object",
    }
}

fn table(values: &Map<String, Json>, documented: &[Documented]) -> String {
    let mut table = BEGIN.to_owned();
    for Documented { path, description } in documented {
        let default = whole_numbers(at(values, path));
        let description = description.replace('|', "\\|");
        writeln!(table, "| {} | {} | `{default}` | {description} |", path.join("."), type_of(&default))
            .expect("a string");
    }
    table
}

/// The README with its table replaced.
fn readme(old: &str, table: &str) -> String {
    let start = old.find(BEGIN).expect("the README has a table of values");
    let rest = old[start..].find("\n\n").map_or("", |end| &old[start + end + 1..]);
    format!("{}{table}{rest}", &old[..start])
}

/// The schema with each description replaced.
fn schema(old: &str, documented: &[Documented]) -> String {
    let mut schema: Json = serde_json::from_str(old).expect("values.schema.json");
    for Documented { path, description } in documented {
        let place = path.iter().fold(&mut schema, |node, key| &mut node["properties"][key]);
        let place = place.as_object_mut().expect("every value stands in the schema");
        place.insert("description".to_owned(), Json::from(description.replace('`', "")));
    }
    serde_json::to_string_pretty(&schema).expect("JSON") + "\n"
}

/// The values once more, for templates, which cannot read values.yaml.
fn defaults(values: &Map<String, Json>) -> String {
    let values = whole_numbers(&Json::Object(values.clone()));
    let json = serde_json::to_string_pretty(&values).expect("JSON");
    format!("# Generated by `make generate` from values.yaml, which templates cannot read. JSON is YAML.\n{json}\n")
}

#[test]
fn readme_and_schema_repeat_the_comments_of_the_values() {
    let text = fs::read_to_string(chart().join("values.yaml")).expect("values.yaml");
    let values = Chart::load(chart()).expect("chart").values().clone();
    let documented = documented(&text);
    let mut missing = Vec::new();
    undescribed(&[], &Json::Object(values.clone()), &documented, &mut missing);
    assert!(missing.is_empty(), "no `# -- …` comment above {missing:?} in values.yaml");

    let update = env::var_os("UPDATE_CHART_DOCS").is_some();
    let table = table(&values, &documented);
    renew("README.md", update, |old| readme(old, &table));
    renew("values.schema.json", update, |old| schema(old, &documented));
    renew("defaults.yaml", update, |_| defaults(&values));
}

/// Writes a file of the chart anew, or compares it with what would be written.
fn renew(file: &str, update: bool, new: impl FnOnce(&str) -> String) {
    let path = chart().join(file);
    let old = fs::read_to_string(&path).expect(file);
    let new = new(&old);
    if update {
        fs::write(&path, &new).expect(file);
    }
    assert!(update || old == new, "{file} is out of date: run `make generate` and commit the result");
}

#[test]
fn a_comment_of_several_lines_is_one_sentence_and_covers_what_is_below() {
    let text = "# Not about a value.\na:\n  # -- First\n  # second.\n  b:\n    c: 1\n    # -- hidden\n    d: 2\n  # plain\n  # -- Third.\n  e: []\n";
    let entry = |path: &[&str], description: &str| Documented {
        path: path.iter().map(|key| (*key).to_owned()).collect(),
        description: description.to_owned(),
    };
    assert_eq!(documented(text), [entry(&["a", "b"], "First second."), entry(&["a", "e"], "Third.")]);
}
