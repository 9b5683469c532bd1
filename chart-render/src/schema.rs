//! Checks values against the chart's `values.schema.json`.

use serde_json::{Map, Value as Json};

use crate::numbers;

/// Why values are refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The values break rules of the schema.
    #[error("values don't meet the specifications of the schema of chart {chart}:\n{}", list(problems))]
    Violated {
        /// The chart.
        chart: String,
        /// One sentence for each broken rule, with the path of the value.
        problems: Vec<String>,
    },
    /// The schema itself cannot be used.
    #[error("values.schema.json of chart {chart}: {message}")]
    Unusable {
        /// The chart.
        chart: String,
        /// What is wrong with it.
        message: String,
    },
}

fn list(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("- {problem}")).collect::<Vec<_>>().join("\n")
}

/// Whole floats count as integers, as JSON Schema has it.
pub(crate) fn check(chart: &str, schema: &str, values: &Map<String, Json>) -> Result<(), Error> {
    let unusable = |message: String| Error::Unusable { chart: chart.to_owned(), message };
    let schema: Json = serde_json::from_str(schema).map_err(|error| unusable(error.to_string()))?;
    let validator = jsonschema::validator_for(&schema).map_err(|error| unusable(error.to_string()))?;
    let mut values = Json::Object(values.clone());
    numbers::narrow(&mut values);
    let problems: Vec<String> = validator
        .iter_errors(&values)
        .map(|error| match error.instance_path().to_string().as_str() {
            "" => error.to_string(),
            path => format!("at '{path}': {error}"),
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::Violated { chart: chart.to_owned(), problems }) }
}
