//! Checks values against the `values.schema.json` of a chart and of its dependencies.

use serde_json::{Map, Value as Json};

use crate::numbers;
use crate::tree::Node;

/// Why values are refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The values break rules of a schema.
    #[error("values don't meet the specifications of the schema of {}", list(charts))]
    Violated {
        /// The charts whose schema is broken.
        charts: Vec<Violations>,
    },
    /// A schema itself cannot be used.
    #[error("values.schema.json of chart {chart}: {message}")]
    Unusable {
        /// The chart.
        chart: String,
        /// What is wrong with it.
        message: String,
    },
}

/// The broken rules of one chart's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations {
    /// The chart, as its parent names it.
    pub chart: String,
    /// One sentence for each broken rule, with the path of the value.
    pub problems: Vec<String>,
}

fn list(charts: &[Violations]) -> String {
    let one = |Violations { chart, problems }: &Violations| {
        let problems: Vec<String> = problems.iter().map(|problem| format!("\n- {problem}")).collect();
        format!("chart {chart}:{}", problems.concat())
    };
    charts.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Checks a chart and those below it, each with its part of the values.
pub(crate) fn check(node: &Node<'_>, values: &Map<String, Json>) -> Result<(), Error> {
    let mut charts = Vec::new();
    gather(node, values, &mut charts)?;
    if charts.is_empty() { Ok(()) } else { Err(Error::Violated { charts }) }
}

fn gather(node: &Node<'_>, values: &Map<String, Json>, charts: &mut Vec<Violations>) -> Result<(), Error> {
    if let Some(schema) = node.chart.schema() {
        let problems =
            problems(schema, values).map_err(|message| Error::Unusable { chart: node.name.clone(), message })?;
        if !problems.is_empty() {
            charts.push(Violations { chart: node.name.clone(), problems });
        }
    }
    for child in &node.children {
        if let Some(Json::Object(values)) = values.get(&child.name) {
            gather(child, values, charts)?;
        }
    }
    Ok(())
}

/// Whole floats count as integers, as JSON Schema has it.
fn problems(schema: &str, values: &Map<String, Json>) -> Result<Vec<String>, String> {
    let schema: Json = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
    let mut values = Json::Object(values.clone());
    numbers::narrow(&mut values);
    let problem = |error: jsonschema::ValidationError<'_>| match error.instance_path().to_string().as_str() {
        "" => error.to_string(),
        path => format!("at '{path}': {error}"),
    };
    Ok(validator.iter_errors(&values).map(problem).collect())
}
