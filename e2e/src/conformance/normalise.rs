//! The normal form of answers: what differs between two runs on one server is replaced.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

/// Brings the answers of one run of a script into normal form. Replaced are:
///
/// - names of the run (`<run>`, `<ns>`) and generated names and hashes (`<gen>`, `<hash>`);
/// - uids and resource versions, numbered by first appearance (`<uid:1>`, `<rv:1>`); versions of lists (`<listrv>`),
///   `continue` tokens (`<continue>`) and storage version hashes;
/// - times (`<time>`, `<microtime>`), ages in tables (`<age>`), tokens (`<jwt>`), addresses (`<ip>`), node ports
///   (`<port>`), certificates (`<ca>`);
/// - prose that is no behaviour: descriptions (`<text>`);
/// - the order of `managedFields`, bookmarks that end no initial list, `kube-root-ca.crt` in lists, and the order of
///   schema errors of custom resources.
#[derive(Debug)]
pub(super) struct Normaliser {
    /// Longest first, so that a name within another one is not taken for itself.
    literals: Vec<(String, String)>,
    seen: BTreeMap<&'static str, BTreeMap<String, usize>>,
    generated: BTreeMap<String, &'static str>,
    /// Columns of the last table that hold ages: rows of a watch come without their columns.
    ages: Option<Vec<usize>>,
}

fn pattern(text: &str) -> Regex {
    // The patterns are constants, and every test of this module uses them.
    Regex::new(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

struct Rules {
    uid: Regex,
    time: Regex,
    jwt: Regex,
    ip: Regex,
    plain: Vec<(Regex, &'static str)>,
    age: Regex,
}

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules {
    uid: pattern(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
    time: pattern(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
    jwt: pattern(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"),
    ip: pattern(r"\b(127|10)\.\d+\.\d+\.\d+(/\d+)?\b"),
    plain: vec![
        (pattern("kube-api-access-[a-z0-9]{5}"), "kube-api-access-<gen>"),
        (pattern(r#"(\\?"resourceVersion\\?":\\?")\d+"#), "${1}<rv>"),
        (pattern(r"(the ResourceVersion in the precondition \()\d+(\).*?\()\d+"), "${1}<rv>${2}<rv>"),
        (pattern(r#"Invalid value: "\{.*?\}": "#), r#"Invalid value: "<object>": "#),
        (pattern(r"\b(Bad_)[a-z0-9]{5}\b"), "${1}<gen>"),
        (pattern(r"(ResourceVersion in (?:precondition|object meta): )\d+"), "${1}<rv>"),
        (pattern(r"too old resource version: \d+ \(\d+\)"), "too old resource version: <rv> (<rv>)"),
        (pattern(r"Too large resource version: \d+, current: \d+"), "Too large resource version: <rv>, current: <rv>"),
    ],
    age: pattern(r"^((\d+[smhd])+|<invalid>)$"),
});

/// Whether a column holds ages: it is known by name, or prints a time as what has passed since.
fn is_age(column: &Value) -> bool {
    column["type"] == "date" || column["name"].as_str().is_some_and(|name| AGES.contains(&name))
}

/// Columns that hold ages.
const AGES: &[&str] = &["Age", "Last Seen", "First Seen", "Duration", "Last Schedule"];

impl Normaliser {
    pub(super) fn new(literals: &BTreeMap<String, String>) -> Self {
        let mut literals: Vec<(String, String)> =
            literals.iter().map(|(text, stands)| (text.clone(), stands.clone())).collect();
        literals.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Self { literals, seen: BTreeMap::new(), generated: BTreeMap::new(), ages: None }
    }

    fn number(&mut self, kind: &'static str, value: &str) -> String {
        let known = self.seen.entry(kind).or_default();
        let next = known.len() + 1;
        let number = *known.entry(value.to_owned()).or_insert(next);
        format!("<{kind}:{number}>")
    }

    /// Learns generated names and hashes from an answer.
    pub(super) fn learn(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                let metadata = &value["metadata"];
                for label in ["pod-template-hash", "controller-revision-hash"] {
                    if let Some(hash) = metadata["labels"][label].as_str()
                        && hash.len() >= 5
                        && !hash.contains('<')
                    {
                        let hash = hash.rsplit('-').next().unwrap_or(hash);
                        self.generated.entry(hash.to_owned()).or_insert("<hash>");
                    }
                }
                if let (Some(prefix), Some(name)) = (metadata["generateName"].as_str(), metadata["name"].as_str())
                    && let Some(suffix) = name.strip_prefix(prefix)
                    && suffix.len() == 5
                {
                    self.generated.entry(suffix.to_owned()).or_insert("<gen>");
                }
                fields.values().for_each(|child| self.learn(child));
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            _ => {}
        }
    }

    pub(super) fn text(&mut self, text: &str) -> String {
        let rules = &*RULES;
        let mut text = text.to_owned();
        for (literal, stands) in &self.literals {
            text = text.replace(literal, stands);
        }
        let uids: Vec<String> = rules.uid.find_iter(&text).map(|found| found.as_str().to_owned()).collect();
        for uid in uids {
            let number = self.number("uid", &uid);
            text = text.replace(&uid, &number);
        }
        let time = |found: &Captures<'_>| if found.get(1).is_some() { "<microtime>" } else { "<time>" }.to_owned();
        text = rules.time.replace_all(&text, time).into_owned();
        text = rules.jwt.replace_all(&text, "<jwt>").into_owned();
        text = rules.ip.replace_all(&text, "<ip>").into_owned();
        for (rule, stands) in &rules.plain {
            text = rule.replace_all(&text, *stands).into_owned();
        }
        for (generated, stands) in &self.generated {
            text = replace_word(&text, generated, stands);
        }
        text
    }

    pub(super) fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(fields) => self.object(value, fields),
            Value::Array(items) => {
                let kept = items.iter().filter(|item| !is_root_ca_event(item) && !is_idle_bookmark(item));
                Value::Array(kept.map(|item| self.value(item)).collect())
            }
            Value::String(text) => Value::String(self.text(text)),
            other => other.clone(),
        }
    }

    fn object(&mut self, value: &Value, fields: &Map<String, Value>) -> Value {
        let kind = value["kind"].as_str().unwrap_or_default();
        let table = kind == "Table" && value["rows"].is_array();
        if table && value["columnDefinitions"].as_array().is_some_and(|columns| !columns.is_empty()) {
            let columns = value["columnDefinitions"].as_array().into_iter().flatten().enumerate();
            let ages = columns.filter(|(_, column)| is_age(column));
            self.ages = Some(ages.map(|(index, _)| index).collect());
        }
        let list = kind.ends_with("List") || table || fields.contains_key("items") && fields.contains_key("kind");
        let mut out = Map::new();
        // Uids and versions are numbered in the order in which the real server writes fields.
        let mut order: Vec<(&String, &Value)> = fields.iter().collect();
        order.sort_by_key(|(key, _)| match key.as_str() {
            "kind" | "type" => 0,
            "apiVersion" => 1,
            "metadata" => 2,
            "ownerReferences" => 4,
            "managedFields" => 5,
            _ => 3,
        });
        for (key, child) in order {
            let normal = match (key.as_str(), child) {
                ("metadata", Value::Object(_)) if list => {
                    let mut metadata = child.clone();
                    for (field, stands) in [("resourceVersion", "<listrv>"), ("continue", "<continue>")] {
                        if metadata[field].as_str().is_some_and(|text| !text.is_empty()) {
                            metadata[field] = json!(stands);
                        }
                    }
                    self.value(&metadata)
                }
                ("resourceVersion", Value::String(version))
                    if version != "0" && !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()) =>
                {
                    json!(self.number("rv", version))
                }
                ("storageVersionHash", _) => json!("<hash>"),
                ("description" | "kubernetes.io/description", Value::String(_)) => json!("<text>"),
                ("object", Value::Object(_)) if value["type"] == "BOOKMARK" && child["metadata"].is_object() => {
                    let mut bookmark = child.clone();
                    bookmark["metadata"]["resourceVersion"] = json!("<listrv>");
                    self.value(&bookmark)
                }
                ("items" | "rows", Value::Array(items)) => {
                    let kept: Vec<Value> = items.iter().filter(|item| !is_root_ca(item)).cloned().collect();
                    self.value(&Value::Array(kept))
                }
                ("nodePort", Value::Number(port)) if port.as_i64().is_some_and(|port| port >= 30000) => json!("<port>"),
                ("cells", Value::Array(cells)) if self.ages.is_some() => {
                    let ages = self.ages.clone().unwrap_or_default();
                    let cells = cells.iter().enumerate().map(|(index, cell)| match cell.as_str() {
                        Some(text) if ages.contains(&index) && RULES.age.is_match(text) => json!("<age>"),
                        _ => cell.clone(),
                    });
                    self.value(&Value::Array(cells.collect()))
                }
                ("managedFields", Value::Array(entries)) => {
                    let mut entries = entries.clone();
                    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
                    entries.sort_by_key(|entry| {
                        ["operation", "manager", "subresource", "apiVersion"].map(|key| text(entry, key))
                    });
                    self.value(&Value::Array(entries))
                }
                ("caBundle" | "ca.crt", Value::String(_)) => json!("<ca>"),
                (_, child) => self.value(child),
            };
            out.insert(self.text(key), normal);
        }
        Value::Object(out)
    }
}

/// Schema errors of custom resources come in random order from the real server.
pub(super) fn sort_causes(body: &mut Value) {
    let Some(causes) = body.pointer_mut("/details/causes").and_then(Value::as_array_mut) else { return };
    if causes.len() < 2 {
        return;
    }
    causes.sort_by_key(ToString::to_string);
    if let Some(message) = body["message"].as_str()
        && message.ends_with(']')
        && let Some((head, _)) = message.split_once("is invalid: [")
    {
        body["message"] = json!(format!("{head}is invalid: [<causes>]"));
    }
}

/// Replaces `word` where no letter or digit stands next to it.
fn replace_word(text: &str, word: &str, stands: &str) -> String {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let last = before.chars().next_back().or_else(|| out.chars().next_back());
        out.push_str(before);
        out.push_str(if joins(last) || joins(after.chars().next()) { word } else { stands });
        rest = after;
    }
    out + rest
}

/// The ConfigMap that every namespace of a real cluster holds.
fn is_root_ca(value: &Value) -> bool {
    const NAME: &str = "kube-root-ca.crt";
    value["metadata"]["name"] == NAME || value["cells"][0] == NAME || value["object"]["metadata"]["name"] == NAME
}

fn is_root_ca_event(value: &Value) -> bool {
    matches!(value["type"].as_str(), Some("ADDED" | "MODIFIED" | "DELETED")) && is_root_ca(&value["object"])
}

/// A bookmark that ends no initial list: it comes when the server likes.
fn is_idle_bookmark(value: &Value) -> bool {
    value["type"] == "BOOKMARK" && !value.to_string().contains("annotations")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(value: &Value) -> Value {
        let literals = BTreeMap::from([("abc".to_owned(), "<run>".to_owned())]);
        let mut normaliser = Normaliser::new(&literals);
        normaliser.learn(value);
        normaliser.value(value)
    }

    #[test]
    fn what_differs_between_runs_is_replaced() {
        let value = json!({
            "kind": "Pod",
            "metadata": {
                "name": "x-abc", "generateName": "p-", "uid": "01234567-0123-0123-0123-0123456789ab",
                "resourceVersion": "17", "creationTimestamp": "2026-01-02T03:04:05Z",
            },
            "status": {"podIP": "127.1.2.3"},
        });
        let expected = json!({
            "kind": "Pod",
            "metadata": {
                "name": "x-<run>", "generateName": "p-", "uid": "<uid:1>", "resourceVersion": "<rv:1>",
                "creationTimestamp": "<time>",
            },
            "status": {"podIP": "<ip>"},
        });
        assert_eq!(normal(&value), expected);
    }

    #[test]
    fn lists_lose_what_only_a_real_cluster_has_and_their_version() {
        let list = json!({
            "kind": "ConfigMapList", "metadata": {"resourceVersion": "5"},
            "items": [{"metadata": {"name": "kube-root-ca.crt"}}, {"metadata": {"name": "a", "resourceVersion": "4"}}],
        });
        let expected = json!({
            "kind": "ConfigMapList", "metadata": {"resourceVersion": "<listrv>"},
            "items": [{"metadata": {"name": "a", "resourceVersion": "<rv:1>"}}],
        });
        assert_eq!(normal(&list), expected);
    }

    #[test]
    fn a_hash_is_replaced_only_as_a_word() {
        assert_eq!(replace_word("d-77fb4-x 77fb4a 77fb4", "77fb4", "<hash>"), "d-<hash>-x 77fb4a <hash>");
    }
}
