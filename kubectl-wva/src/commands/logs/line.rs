//! One line of a controller's log: a time, a level, a message, and values as `name=value`.

use anstyle::AnsiColor;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::duration;

/// One line, in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// When it was logged; absent when the line has no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG`, `TRACE`, or nothing.
    pub level: String,
    /// What happened.
    pub message: String,
    /// Values, in their order.
    pub fields: Vec<(String, String)>,
}

const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

impl Line {
    /// Takes a line apart. What is not understood is all message.
    pub fn parse(text: &str) -> Self {
        let (at, rest) = text.split_once(' ').unwrap_or((text, ""));
        let Ok(at) = at.parse::<Timestamp>() else {
            return Self { message: text.to_owned(), ..Self::default() };
        };
        let (level, rest) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
        if !LEVELS.contains(&level) {
            return Self { at: Some(at), message: format!("{level} {rest}"), ..Self::default() };
        }
        // Spans come before the message, as `cycle: `.
        let rest = rest.trim_start().split_once(": ").filter(|(span, _)| is_span(span)).map_or(rest, |(_, rest)| rest);
        let (message, fields) = parts(rest.trim());
        Self { at: Some(at), level: level.to_owned(), message, fields }
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it is about a variant: it names it by its fields, or is a line of the variant's namespace that speaks of it.
    pub fn concerns(&self, namespace: &str, name: &str) -> bool {
        let of_namespace = self.field("namespace").is_none_or(|found| found == namespace);
        let named = ["variant", "variant_name", "name"].iter().any(|field| self.field(field) == Some(name));
        of_namespace && (named || has_word(&self.message, name))
    }

    /// The line for people. What everybody knows of a variant's own lines, its name, is left out when `of_one`.
    pub fn readable(&self, of_one: bool, now: Timestamp, zone: &TimeZone) -> String {
        let clock = self.at.map_or_else(String::new, |at| format!("{} ", duration::clock(at, now, zone)));
        let colour = match self.level.as_str() {
            "ERROR" => Some(AnsiColor::Red),
            "WARN" => Some(AnsiColor::Yellow),
            _ => None,
        };
        let level = match (colour, self.level.as_str()) {
            (_, "") => String::new(),
            (Some(colour), level) => {
                let style = colour.on_default();
                format!("{style}{level:<5}{style:#} ")
            }
            (None, level) => format!("{level:<5} "),
        };
        let told = self.fields.iter().filter(|(name, _)| !(of_one && matches!(name.as_str(), "variant" | "namespace")));
        let told: Vec<String> = told.map(|(name, value)| format!("{name}={value}")).collect();
        let told = if told.is_empty() { String::new() } else { format!("  {}", told.join(" ")) };
        format!("{clock}{level}{}{told}", self.message)
    }
}

/// Whether what stands before a colon is the names of spans, such as `cycle` or `cycle:watch{kind="pods"}`.
fn is_span(text: &str) -> bool {
    let head = text.split('{').next().unwrap_or_default();
    !head.is_empty() && head.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | ':'))
}

fn has_word(text: &str, word: &str) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(of_name) && !text[at + word.len()..].starts_with(of_name))
}

/// Splits a message from the values that follow it: words before the first `name=`, then values, in quotes or up to the next
/// `name=`.
fn parts(text: &str) -> (String, Vec<(String, String)>) {
    let begins = begins(text);
    let message = text[..begins.first().map_or(text.len(), |first| *first)].trim_end().to_owned();
    let ends = begins.iter().skip(1).copied().chain([text.len()]);
    let field = |(begin, end): (&usize, usize)| {
        let (name, value) = text[*begin..end].trim_end().split_once('=')?;
        let plain =
            value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(|inner| inner.replace("\\\"", "\""));
        Some((name.to_owned(), plain.unwrap_or_else(|| value.to_owned())))
    };
    let fields = begins.iter().zip(ends).filter_map(field).collect();
    (message, fields)
}

/// Where values begin: at a `name=` after a blank, outside of quotes.
fn begins(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let (mut word, mut quoted, mut escaped) = (Some(0), false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => (quoted, word) = (!quoted, None),
            _ if quoted => {}
            ' ' => word = Some(at + 1),
            '=' => found.extend(word.take().filter(|begin| *begin < at)),
            c if c.is_ascii_alphanumeric() || c == '_' || c == '.' => {}
            _ => word = None,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAFETY_NET: &str = "2026-01-02T03:04:05.678Z  WARN cycle: Safety net activated: emitted fallback metrics variant=\"llama-va\" \
                              namespace=\"models\" currentReplicas=2 evidence=no metrics, since 30 s";

    #[test]
    fn a_line_has_time_level_message_and_values() {
        let line = Line::parse(SAFETY_NET);
        assert_eq!(line.level, "WARN");
        assert_eq!(line.message, "Safety net activated: emitted fallback metrics");
        assert_eq!((line.field("variant"), line.field("currentReplicas")), (Some("llama-va"), Some("2")));
        assert_eq!(line.field("evidence"), Some("no metrics, since 30 s"));
        let said = line.readable(true, line.at.unwrap(), &TimeZone::UTC);
        let said = anstream::adapter::strip_str(&said).to_string();
        let expect = "03:04:05 WARN  Safety net activated: emitted fallback metrics  currentReplicas=2 evidence=no metrics, since 30 s";
        assert_eq!(said, expect);
    }

    #[test]
    fn a_line_concerns_the_variant_it_names_and_no_other() {
        let line = Line::parse(SAFETY_NET);
        assert!(line.concerns("models", "llama-va"));
        assert!(!line.concerns("models", "llama") && !line.concerns("other", "llama-va"));
        let said = Line::parse("2026-01-02T03:04:05Z INFO Waiting for llama-va to go from 1 to 2");
        assert!(said.concerns("models", "llama-va") && !said.concerns("models", "llama"));
    }

    #[test]
    fn what_is_not_understood_stays_as_it_is() {
        let line = Line::parse("thread 'main' panicked at src/main.rs: x=1");
        assert_eq!(
            line.readable(false, Timestamp::UNIX_EPOCH, &TimeZone::UTC),
            "thread 'main' panicked at src/main.rs: x=1"
        );
        let quoted = Line::parse(r#"2026-01-02T03:04:05Z INFO Says why="a \"b=c\" d" n=1"#);
        assert_eq!((quoted.field("why"), quoted.field("n")), (Some(r#"a "b=c" d"#), Some("1")));
    }
}
