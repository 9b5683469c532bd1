//! Checks values against the `values.schema.json` of a chart and of its dependencies.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value as Json;

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
pub(crate) fn check(node: &Node<'_>, values: &Json) -> Result<(), Error> {
    let mut charts = Vec::new();
    gather(node, values, &mut charts)?;
    if charts.is_empty() { Ok(()) } else { Err(Error::Violated { charts }) }
}

fn gather(node: &Node<'_>, values: &Json, charts: &mut Vec<Violations>) -> Result<(), Error> {
    if let Some(schema) = node.chart.schema() {
        let problems =
            problems(schema, values).map_err(|message| Error::Unusable { chart: node.name.clone(), message })?;
        if !problems.is_empty() {
            charts.push(Violations { chart: node.name.clone(), problems });
        }
    }
    for child in &node.children {
        if let Some(values @ Json::Object(_)) = values.get(&child.name) {
            gather(child, values, charts)?;
        }
    }
    Ok(())
}

/// Schemas kept at a time.
const KEPT: usize = 32;

/// Compiled schemas by their text. Compiling one takes as long as rendering its chart, and a fleet renders one chart
/// many times.
static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

fn compile(schema: &str) -> Result<Arc<Validator>, String> {
    // Whoever panicked in between left the map as it was.
    let known = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(validator) = known().get(schema) {
        return Ok(Arc::clone(validator));
    }
    let json: Json = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    // Patterns as Go has them: no look-around, no references back.
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    let validator = Arc::new(options.build(&json).map_err(|error| error.to_string())?);
    let mut known = known();
    if known.len() >= KEPT {
        known.clear();
    }
    known.insert(schema.to_owned(), Arc::clone(&validator));
    Ok(validator)
}

/// Whole floats count as integers, as JSON Schema has it.
fn problems(schema: &str, values: &Json) -> Result<Vec<String>, String> {
    let validator = compile(schema)?;
    let mut values = values.clone();
    numbers::narrow(&mut values);
    let problem = |error: jsonschema::ValidationError<'_>| match error.instance_path().to_string().as_str() {
        "" => error.to_string(),
        path => format!("at '{path}': {error}"),
    };
    Ok(validator.iter_errors(&values).map(problem).collect())
}
