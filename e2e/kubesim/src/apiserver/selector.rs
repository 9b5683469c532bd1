//! Label selectors and field selectors of list, watch and delete-collection requests.

use std::collections::BTreeSet;

use serde_json::Value;

use super::failure::Failure;

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
    /// Parses both query parameters; `field_labels` are the fields the resource can be selected by.
    pub(super) fn parse(
        labels: Option<&str>,
        fields: Option<&str>,
        api_version: &str,
        kind: &str,
    ) -> Result<Self, Failure> {
        Ok(Self {
            labels: parse_labels(labels.unwrap_or_default())?,
            fields: parse_fields(fields.unwrap_or_default(), api_version, kind)?,
        })
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.matches(labels))
            && self.fields.iter().all(|requirement| requirement.matches(object))
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
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        (text == self.value) == self.equal
    }
}

fn parse_labels(text: &str) -> Result<Vec<LabelRequirement>, Failure> {
    split_top_level(text)
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            parse_label(part).ok_or_else(|| {
                Failure::bad_request(format!(
                    "unable to parse requirement: {part:?} is not a valid label selector requirement"
                ))
            })
        })
        .collect()
}

fn parse_label(part: &str) -> Option<LabelRequirement> {
    let one = |value: &str| BTreeSet::from([value.trim().to_owned()]);
    let requirement = if let Some((key, values)) = split_word(part, "notin") {
        LabelRequirement::NotIn(label_key(key)?, label_set(values)?)
    } else if let Some((key, values)) = split_word(part, "in") {
        LabelRequirement::In(label_key(key)?, label_set(values)?)
    } else if let Some((key, value)) = part.split_once("!=") {
        LabelRequirement::NotIn(label_key(key)?, one(value))
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        LabelRequirement::In(label_key(key)?, one(value))
    } else if let Some((key, bound)) = part.split_once('>') {
        LabelRequirement::Above(label_key(key)?, bound.trim().parse().ok()?)
    } else if let Some((key, bound)) = part.split_once('<') {
        LabelRequirement::Below(label_key(key)?, bound.trim().parse().ok()?)
    } else if let Some(key) = part.strip_prefix('!') {
        LabelRequirement::Absent(label_key(key)?)
    } else {
        LabelRequirement::Exists(label_key(part)?)
    };
    Some(requirement)
}

/// Splits `key in (a,b)` at the operator, which stands before the parenthesis.
fn split_word<'a>(part: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let (head, values) = part.split_once('(')?;
    let key = head.trim_end().strip_suffix(word)?;
    key.ends_with(char::is_whitespace).then_some((key, values))
}

fn label_set(values: &str) -> Option<BTreeSet<String>> {
    let values = values.trim_end().strip_suffix(')')?;
    Some(values.split(',').map(|value| value.trim().to_owned()).collect())
}

fn label_key(key: &str) -> Option<String> {
    let key = key.trim();
    let valid = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    valid.then(|| key.to_owned())
}

fn split_top_level(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
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
        ("apps/v1", "ReplicaSet") | ("v1", "ReplicationController") => &["status.replicas"],
        _ => &[],
    }
}

fn parse_fields(text: &str, api_version: &str, kind: &str) -> Result<Vec<FieldRequirement>, Failure> {
    let known = selectable(api_version, kind);
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
                (path, value, false)
            } else if let Some((path, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (path, value, true)
            } else {
                return Err(Failure::bad_request(format!(
                    "invalid field selector {part:?}: can't understand {part:?}"
                )));
            };
            if !matches!(path, "metadata.name" | "metadata.namespace") && !known.contains(&path) {
                return Err(Failure::bad_request(format!("field label not supported: {path}")));
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
        let selector = Selector::parse(Some(text), None, "v1", "Pod").expect("valid");
        assert_eq!(selector.matches(&pod()), expected);
    }

    #[rstest]
    #[case("metadata.name=p", true)]
    #[case("spec.nodeName=n1,status.phase!=Failed", true)]
    #[case("spec.nodeName!=n1", false)]
    #[case("spec.nodeName=", false)]
    fn field_selectors_compare_text(#[case] text: &str, #[case] expected: bool) {
        let selector = Selector::parse(None, Some(text), "v1", "Pod").expect("valid");
        assert_eq!(selector.matches(&pod()), expected);
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let failure = Selector::parse(None, Some("spec.color=red"), "v1", "Pod").expect_err("not selectable");
        assert_eq!(failure.message, "field label not supported: spec.color");
    }
}
