//! Blackens what ought to stay at home: tokens, passwords, credentials in addresses.

use regex::Regex;
use serde_json::Value;

/// What stands in place of a secret.
const BLACK: &str = "[redacted]";
/// Words in the name of a setting whose value is a secret. Paths and names of files and keys are none.
const SECRET_WORDS: [&str; 10] = [
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "CREDENTIAL",
    "APIKEY",
    "ACCESSKEY",
    "PRIVATEKEY",
    "AUTHORIZATION",
];
const HARMLESS_ENDINGS: [&str; 4] = ["PATH", "NAME", "FILE", "EXPIRY"];
/// Fields that hold a copy of the whole object, or only bookkeeping.
const DROPPED: [&str; 2] = ["managedFields", "kubectl.kubernetes.io/last-applied-configuration"];

/// Blackens texts and objects.
#[derive(Debug)]
pub struct Redactor {
    patterns: Vec<(Regex, &'static str)>,
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}

impl Redactor {
    /// Blackens.
    pub fn new() -> Self {
        let patterns = [
            (r"(?i)((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", "${1}[redacted]"),
            (r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", BLACK),
            (r"([a-z][a-z0-9+.-]*://)[^/\s:@]+:[^/\s@]+@", "${1}[redacted]@"),
            (
                r#"(?i)((?:token|password|passwd|passphrase|secret|credentials?|(?:api|access|private)[-_]?key)["']?\s*[=:]\s*["']?)[^\s,;&"']+"#,
                "${1}[redacted]",
            ),
            // The forms that model hubs, API providers and Git hosts give their tokens.
            (r"\b(?:hf_|sk-|gh[pousr]_|glpat-|AKIA)[A-Za-z0-9_-]{12,}", BLACK),
            (r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", BLACK),
        ];
        let compiled = patterns.into_iter().filter_map(|(pattern, by)| Some((Regex::new(pattern).ok()?, by)));
        Self { patterns: compiled.collect() }
    }

    /// Leaves everything as it is.
    pub fn off() -> Self {
        Self { patterns: Vec::new() }
    }

    /// Blackens a text.
    pub fn text(&self, text: &str) -> String {
        self.patterns.iter().fold(text.to_owned(), |text, (pattern, by)| pattern.replace_all(&text, *by).into_owned())
    }

    /// Blackens a JSON document; what is none is a text.
    pub fn json(&self, text: &str) -> String {
        let document = serde_json::from_str::<Value>(text);
        let blackened = document.and_then(|document| serde_json::to_string_pretty(&self.object(document)));
        blackened.unwrap_or_else(|_| self.text(text))
    }

    /// Blackens an object: values of settings with telling names, and whatever the texts in it give away.
    pub fn object(&self, mut object: Value) -> Value {
        self.visit(&mut object);
        object
    }

    fn visit(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                for key in DROPPED {
                    map.remove(key);
                }
                let named = map.get("name").and_then(Value::as_str).is_some_and(is_secret);
                if let Some(Value::String(text)) = map.get_mut("value").filter(|_| named && !self.patterns.is_empty()) {
                    BLACK.clone_into(text);
                }
                for (key, value) in map.iter_mut() {
                    match value {
                        Value::String(text) if is_secret(key) && !self.patterns.is_empty() => BLACK.clone_into(text),
                        // Of a ConfigMap: whatever it is, it cannot be looked through.
                        Value::Object(files) if key == "binaryData" && !self.patterns.is_empty() => {
                            files.values_mut().for_each(|file| *file = BLACK.into());
                        }
                        value => self.visit(value),
                    }
                }
            }
            Value::Array(items) => {
                let mut after_flag = false;
                for item in items {
                    if after_flag && item.as_str().is_some_and(|word| !word.starts_with('-')) {
                        *item = BLACK.into();
                    } else {
                        self.visit(item);
                    }
                    // `--api-key KEY` in a command line: the value is a word of its own.
                    after_flag = !self.patterns.is_empty()
                        && item
                            .as_str()
                            .is_some_and(|word| word.starts_with('-') && !word.contains('=') && is_secret(word));
                }
            }
            Value::String(text) => *text = self.text(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Whether a setting of this name holds a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_uppercase().replace(['-', '_', '.'], "");
    SECRET_WORDS.iter().any(|word| name.contains(word)) && !HARMLESS_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::bearer("Authorization: Bearer abcdefgh12345", "Authorization: Bearer [redacted]")]
    #[case::jwt("got eyJhbGciOiJSUzI1.eyJzdWIiOiJ4.sig-na_ture", "got [redacted]")]
    #[case::address("url=https://me:hunter2@prometheus:9090/x", "url=https://[redacted]@prometheus:9090/x")]
    #[case::setting("password=hunter2, user=me", "password=[redacted], user=me")]
    #[case::flag("--bearer-token=abc", "--bearer-token=[redacted]")]
    #[case::json(r#"{"apiKey": "abc", "n": 1}"#, r#"{"apiKey": "[redacted]", "n": 1}"#)]
    #[case::basic("authorization: Basic YWxhZGRpbjpvcGVu", "authorization: Basic [redacted]")]
    #[case::hub("HF=hf_abcdefghijklmnopqrst", "HF=[redacted]")]
    #[case::harmless("tokens in use: 5 of 100", "tokens in use: 5 of 100")]
    fn a_text_keeps_no_secret(#[case] text: &str, #[case] expect: &str) {
        assert_eq!(Redactor::new().text(text), expect);
    }

    #[test]
    fn an_object_keeps_no_secret_and_no_copy_of_itself() {
        let object = json!({
            "metadata": {"managedFields": [1], "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "env": [
                {"name": "PROMETHEUS_BEARER_TOKEN", "value": "abc"},
                {"name": "PROMETHEUS_TOKEN_PATH", "value": "/var/run/token"},
            ],
            "args": ["--api-key", "abc", "--port", "8000", "--token", "--verbose"],
            "data": {"EPP_METRIC_READER_BEARER_TOKEN": "abc", "GLOBAL_OPT_INTERVAL": "60s"},
            "binaryData": {"keystore": "YWJj"},
        });
        let expect = json!({
            "metadata": {"annotations": {}},
            "env": [
                {"name": "PROMETHEUS_BEARER_TOKEN", "value": "[redacted]"},
                {"name": "PROMETHEUS_TOKEN_PATH", "value": "/var/run/token"},
            ],
            "args": ["--api-key", "[redacted]", "--port", "8000", "--token", "--verbose"],
            "data": {"EPP_METRIC_READER_BEARER_TOKEN": "[redacted]", "GLOBAL_OPT_INTERVAL": "60s"},
            "binaryData": {"keystore": "[redacted]"},
        });
        assert_eq!(Redactor::new().object(object), expect);
    }

    #[test]
    fn everything_stays_when_asked_for() {
        let object = json!({"data": {"TOKEN": "abc"}});
        assert_eq!(Redactor::off().object(object.clone()), object);
    }
}
