//! Label selectors and field selectors of list, watch and delete-collection requests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::failure::Failure;
use super::validation::metadata;

/// What a client wants to see of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selector {
    labels: Vec<LabelRequirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum LabelRequirement {
    Exists(String),
    Absent(String),
    In(String, BTreeSet<String>),
    /// Objects without the label match as well.
    NotIn(String, BTreeSet<String>),
    Above(String, i64),
    Below(String, i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    path: String,
    value: String,
    equal: bool,
}

impl Selector {
    /// Parses both query parameters; `declared` are the fields a custom resource can be selected by.
    pub(super) fn parse(
        labels: Option<&str>,
        fields: Option<&str>,
        api_version: &str,
        kind: &str,
        declared: Option<&[String]>,
    ) -> Result<Self, Failure> {
        let known: Vec<&str> = match declared {
            Some(declared) => declared.iter().map(String::as_str).collect(),
            None => selectable(api_version, kind).to_vec(),
        };
        Ok(Self {
            labels: parse_labels(labels.unwrap_or_default())?,
            fields: parse_fields(fields.unwrap_or_default(), &known, declared.is_some())?,
        })
    }

    /// Narrowed to the object of this name; an empty name narrows nothing.
    pub(super) fn named(mut self, name: &str) -> Self {
        if !name.is_empty() {
            let path = "metadata.name".to_owned();
            self.fields.push(FieldRequirement { path, value: name.to_owned(), equal: true });
        }
        self
    }

    /// Whether it leaves anything out.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.matches(labels))
            && self.fields.iter().all(|requirement| requirement.matches(object))
    }
}

/// A label selector by itself, for the other servers and controllers of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelSelector(Vec<LabelRequirement>);

impl LabelSelector {
    /// Reads `app=web,tier in (a, b),!old`; an error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        parse_labels(text).map(Self).map_err(|failure| failure.message)
    }

    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let labels = json!(labels);
        self.0.iter().all(|requirement| requirement.matches(&labels))
    }
}

impl LabelRequirement {
    fn matches(&self, labels: &Value) -> bool {
        let value = |key: &str| labels.get(key).and_then(Value::as_str);
        let number = |key: &str| value(key).and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::Exists(key) => value(key).is_some(),
            Self::Absent(key) => value(key).is_none(),
            Self::In(key, values) => value(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => value(key).is_none_or(|value| !values.contains(value)),
            Self::Above(key, bound) => number(key).is_some_and(|number| number > *bound),
            Self::Below(key, bound) => number(key).is_some_and(|number| number < *bound),
        }
    }
}

impl FieldRequirement {
    fn matches(&self, object: &Value) -> bool {
        let mut found = object;
        for part in self.path.split('.') {
            found = &found[part];
        }
        let text = match found {
            Value::Null if BOOLEANS.contains(&self.path.as_str()) => "false".to_owned(),
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        (text == self.value) == self.equal
    }
}

/// Fields that are false when they are absent.
const BOOLEANS: &[&str] = &["spec.hostNetwork", "spec.unschedulable"];

fn parse_labels(text: &str) -> Result<Vec<LabelRequirement>, Failure> {
    let mut parser = Parser { tokens: tokens(text), at: 0 };
    let mut requirements = Vec::new();
    while !parser.is_done() {
        requirements.push(parser.requirement().map_err(Failure::bad_request)?);
        match parser.take() {
            None => {}
            Some(",") if !parser.is_done() => {}
            Some(",") => return Err(Failure::bad_request("found '', expected: identifier after ','")),
            Some(other) => {
                return Err(Failure::bad_request(format!("found '{other}', expected: ',' or 'end of string'")));
            }
        }
    }
    Ok(requirements)
}

/// Words and operators of a label selector.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '!' | '=' if rest[1..].starts_with('=') => 2,
            '(' | ')' | ',' | '!' | '=' | '>' | '<' => 1,
            _ => rest.find(|c: char| c.is_whitespace() || "()!,=<>".contains(c)).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        out.push(token);
        rest = after.trim_start();
    }
    out
}

struct Parser<'a> {
    tokens: Vec<&'a str>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn take(&mut self) -> Option<&'a str> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    fn requirement(&mut self) -> Result<LabelRequirement, String> {
        let negated = self.peek() == Some("!");
        if negated {
            self.at += 1;
        }
        let key = match self.take() {
            Some(key) if !is_operator(key) => key,
            other => {
                let found = other.unwrap_or_default();
                return Err(format!("found '{found}', expected: !, identifier, or 'end of string'"));
            }
        };
        check_key(key)?;
        if negated {
            return Ok(LabelRequirement::Absent(key.to_owned()));
        }
        if matches!(self.peek(), None | Some(",")) {
            return Ok(LabelRequirement::Exists(key.to_owned()));
        }
        let operator = self.take().unwrap_or_default();
        let requirement = match operator {
            "in" => LabelRequirement::In(key.to_owned(), self.values(key)?),
            "notin" => LabelRequirement::NotIn(key.to_owned(), self.values(key)?),
            "=" | "==" => LabelRequirement::In(key.to_owned(), BTreeSet::from([self.value(key)?])),
            "!=" => LabelRequirement::NotIn(key.to_owned(), BTreeSet::from([self.value(key)?])),
            ">" => LabelRequirement::Above(key.to_owned(), self.bound()?),
            "<" => LabelRequirement::Below(key.to_owned(), self.bound()?),
            other => {
                return Err(format!(
                    "unable to parse requirement: found '{other}', expected: in, notin, =, ==, !=, gt, lt"
                ));
            }
        };
        Ok(requirement)
    }

    /// The value after `=`; none at all is the empty one.
    fn value(&mut self, key: &str) -> Result<String, String> {
        let value = match self.peek() {
            None | Some(",") => String::new(),
            Some(value) => {
                self.at += 1;
                value.to_owned()
            }
        };
        check_value(key, 0, &value)?;
        Ok(value)
    }

    fn bound(&mut self) -> Result<i64, String> {
        let text = self.take().unwrap_or_default();
        text.parse().map_err(|_| {
            "unable to parse requirement: values[0]: Invalid value: for 'Gt', 'Lt' operators, the value must be an integer"
                .to_owned()
        })
    }

    fn values(&mut self, key: &str) -> Result<BTreeSet<String>, String> {
        match self.take() {
            Some("(") => {}
            other => {
                let found = other.unwrap_or_default();
                return Err(format!("unable to parse requirement: found '{found}' expected: '('"));
            }
        }
        let mut values = BTreeSet::new();
        let mut after_comma = true;
        loop {
            match self.take() {
                Some(")") => {
                    if after_comma {
                        values.insert(String::new());
                    }
                    break;
                }
                Some(",") => {
                    if after_comma {
                        values.insert(String::new());
                    }
                    after_comma = true;
                }
                Some(value) if after_comma => {
                    values.insert(value.to_owned());
                    after_comma = false;
                }
                other => {
                    let found = other.unwrap_or_default();
                    return Err(format!("unable to parse requirement: found '{found}', expected: ',' or ')'"));
                }
            }
        }
        for (index, value) in values.iter().enumerate() {
            check_value(key, index, value)?;
        }
        Ok(values)
    }
}

fn is_operator(token: &str) -> bool {
    matches!(token, "(" | ")" | "," | "!" | "!=" | "=" | "==" | ">" | "<")
}

fn check_key(key: &str) -> Result<(), String> {
    match metadata::key_problem(key) {
        None => Ok(()),
        Some(problem) => Err(format!("unable to parse requirement: <nil>: Invalid value: {key:?}: {problem}")),
    }
}

fn check_value(key: &str, index: usize, value: &str) -> Result<(), String> {
    match metadata::label_value_problem(value) {
        None => Ok(()),
        Some(problem) => {
            Err(format!("unable to parse requirement: values[{index}][{key}]: Invalid value: {value:?}: {problem}"))
        }
    }
}

/// Fields that can be selected by, besides name and namespace, which every resource has.
fn selectable(api_version: &str, kind: &str) -> &'static [&'static str] {
    match (api_version, kind) {
        ("v1", "Pod") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("v1", "Event") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io/v1", "Event") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "reason",
            "reportingController",
            "type",
        ],
        ("v1", "Namespace") => &["status.phase"],
        ("v1", "Node") => &["spec.unschedulable"],
        ("v1", "Secret") => &["type"],
        ("v1", "Service") => &["spec.clusterIP", "spec.type"],
        ("batch/v1", "Job") => &["status.successful"],
        ("v1", "ReplicationController") => &["status.replicas"],
        _ => &[],
    }
}

fn parse_fields(text: &str, known: &[&str], custom: bool) -> Result<Vec<FieldRequirement>, Failure> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
                (path, value, false)
            } else if let Some((path, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (path, value, true)
            } else {
                return Err(Failure::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'")));
            };
            if !matches!(path, "metadata.name" | "metadata.namespace") && !known.contains(&path) {
                return Err(Failure::bad_request(if known.is_empty() && !custom {
                    format!("\"{path}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
                } else {
                    format!("field label not supported: {path}")
                }));
            }
            Ok(FieldRequirement { path: path.to_owned(), value: value.to_owned(), equal })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        json!({
            "metadata": {"name": "p", "labels": {"app": "vllm", "tier": "gold", "gen": "3"}},
            "spec": {"nodeName": "n1"},
            "status": {"phase": "Running"},
        })
    }

    #[rstest]
    #[case("app=vllm", true)]
    #[case("app==vllm,tier!=silver", true)]
    #[case("app=other", false)]
    #[case("app in (vllm, other)", true)]
    #[case("tier notin (gold)", false)]
    #[case("missing notin (gold)", true)]
    #[case("missing!=x", true)]
    #[case("app", true)]
    #[case("!app", false)]
    #[case("!missing", true)]
    #[case("gen>2", true)]
    #[case("gen<3", false)]
    #[case("app in (vllm),tier in (gold,silver),!wva.llmd.ai/controller-instance", true)]
    fn label_selectors_follow_their_operator(#[case] text: &str, #[case] expected: bool) {
        let selector = Selector::parse(Some(text), None, "v1", "Pod", None).expect("valid");
        assert_eq!(selector.matches(&pod()), expected);
    }

    #[rstest]
    #[case("metadata.name=p", true)]
    #[case("spec.nodeName=n1,status.phase!=Failed", true)]
    #[case("spec.nodeName!=n1", false)]
    #[case("spec.nodeName=", false)]
    fn field_selectors_compare_text(#[case] text: &str, #[case] expected: bool) {
        let selector = Selector::parse(None, Some(text), "v1", "Pod", None).expect("valid");
        assert_eq!(selector.matches(&pod()), expected);
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let failure = Selector::parse(None, Some("spec.color=red"), "v1", "Pod", None).expect_err("not selectable");
        assert_eq!(failure.message, "field label not supported: spec.color");
    }
}
