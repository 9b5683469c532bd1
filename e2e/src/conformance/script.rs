//! Scripts: what is sent, and what a real server answered.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Error;

/// One script. `${var}` in it stands for a captured value, `${ns}` for a fresh namespace, `${run}` for a random word.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Script {
    /// Its name, which is that of its file.
    pub name: String,
    /// What it is about.
    pub group: String,
    /// What the server has to bring along: `metrics` is an external metrics API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    #[serde(default = "one_namespace")]
    pub(super) namespaces: Vec<String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(super) nslabels: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) cleanup: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) strip: Vec<String>,
    /// Sent when no other one is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub serial: bool,
    /// Longer scripts weigh more and are sent first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weight: i64,
    pub(super) steps: Vec<Step>,
}

fn one_namespace() -> Vec<String> {
    vec!["ns".to_owned()]
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// One request and its answer.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the file")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Step {
    #[serde(default = "get", skip_serializing_if = "is_get")]
    pub(super) method: String,
    pub(super) path: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, Option<String>>,
    /// A body in JSON; `{"$repeat": ["x", 3]}` in it is the text `xxx`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Value>,
    /// A body as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) raw: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) anonymous: bool,
    /// Values of the answer to remember, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) capture: BTreeMap<String, String>,
    /// The answer is a stream of lines.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) watch: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) poll: Option<Poll>,
    /// Seconds to wait before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pause: Option<f64>,
    /// Places that are not compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) strip: Vec<String>,
    /// The only places that are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) only: Option<Vec<String>>,
    /// Lists whose order does not matter, and what they are sorted by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) sort: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) hidden: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) codeonly: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) allheaders: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) note: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(super) answer: Value,
}

fn get() -> String {
    "GET".to_owned()
}

fn is_get(method: &str) -> bool {
    method == "GET"
}

/// Asking again until something holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Poll {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) until: Vec<(String, String, Value)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<f64>,
    /// Seconds for which the answer has to stay the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stable: Option<f64>,
}

impl Script {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        read_json(path)
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(format!("{}.json", self.name));
        let failed = |why: String| Error::Format { path: path.display().to_string(), why };
        let text = serde_json::to_string(self).map_err(|error| failed(error.to_string()))?;
        std::fs::write(&path, format!("{text}\n")).map_err(|error| failed(error.to_string()))
    }

    /// What the real server answered to a step.
    pub(super) fn answer(&self, step: usize) -> Value {
        self.steps.get(step).map_or(Value::Null, |step| step.answer.clone())
    }

    pub(super) fn with_answers(mut self, answers: Vec<Value>) -> Self {
        for (step, answer) in self.steps.iter_mut().zip(answers) {
            step.answer = answer;
        }
        self
    }
}

/// A file of JSON.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let shown = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::File { what: "reading", path: shown.clone(), source })?;
    serde_json::from_str(&text).map_err(|error| Error::Format { path: shown, why: error.to_string() })
}

/// A body with its repetitions written out.
pub(super) fn written_out(body: &Value) -> Value {
    match body {
        Value::Object(fields) => {
            if let Some([Value::String(text), times]) =
                fields.get("$repeat").and_then(Value::as_array).map(Vec::as_slice)
            {
                let times = times.as_u64().and_then(|times| usize::try_from(times).ok()).unwrap_or_default();
                return json!(text.repeat(times));
            }
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), written_out(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(written_out).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_is_written_out() {
        assert_eq!(written_out(&json!({"data": {"k": {"$repeat": ["ab", 3]}}})), json!({"data": {"k": "ababab"}}));
    }
}
