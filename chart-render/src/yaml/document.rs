//! Reads YAML into JSON by Helm's rules.

use serde_json::Value as Json;

use super::{compose, quick};

/// The documents of a stream, by the lines `---` between them.
pub(crate) fn documents(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let mut at = 0;
        for line in current.split_inclusive('\n') {
            if at > 0 && line.strip_prefix("---").is_some_and(|behind| behind.trim().is_empty()) {
                rest = Some(&current[at + line.len()..]);
                return Some(&current[..at]);
            }
            at += line.len();
        }
        rest = None;
        Some(current)
    })
}

/// Reads the first document, whatever stands behind it; an empty one is null.
pub(crate) fn parse(text: &str) -> Result<Json, String> {
    quick::parse(text).map_or_else(|| compose::document(text), Ok).map_err(|why| {
        // The words by which charts tell an error from a list.
        format!("error converting YAML to JSON: yaml: {why}")
    })
}
