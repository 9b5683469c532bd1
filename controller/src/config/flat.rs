//! Flat YAML: one `key: value` a line, every value a text for its reader to make sense of.
//!
//! Entries of ConfigMaps and configuration files have this form. Values stay as they were written, so that `60s`,
//! `0.80` and `"0.80"` reach the one parser of each kind of value, which says what is wrong in its own words.

use std::collections::BTreeMap;

/// Longest text that is read; the API server allows a ConfigMap no more in total.
const LONGEST: usize = 1 << 20;

/// Reads flat YAML. Keys without a value are left out.
///
/// # Errors
/// What is wrong and where, in words for a person, on one line.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    read::<Given>(text, "a list of `key: value` lines").map(without_nothing)
}

/// Reads a list whose items are flat YAML. Keys without a value are left out.
///
/// # Errors
/// What is wrong and where, in words for a person, on one line.
pub fn parse_list(text: &str) -> Result<Vec<BTreeMap<String, String>>, String> {
    let items = read::<Option<Vec<Given>>>(text, "a list of items with `key: value` lines")?;
    Ok(items.unwrap_or_default().into_iter().map(without_nothing).collect())
}

type Given = BTreeMap<String, Option<String>>;

fn without_nothing(given: Given) -> BTreeMap<String, String> {
    given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn read<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Result<T, String> {
    if text.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes"));
    }
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| words(&error, what))
}

/// The library's message without its hints for programmers, the place first.
fn words(error: &serde_saphyr::Error, what: &str) -> String {
    let message = error.to_string();
    let place = error.location().map_or(String::new(), |at| format!("line {} column {}: ", at.line(), at.column()));
    let message = message.lines().next().unwrap_or_default();
    let end = [" at line ", ", set ", "; use "].iter().filter_map(|hint| message.find(hint)).min();
    format!("is not {what}: {place}{}", &message[..end.unwrap_or(message.len())])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn values_stay_as_they_were_written() {
        let read = parse("a: 60s\nb: 0.80\nc: true\nd: ':8443'\nnone:\nnothing: ~\n# a comment\n").unwrap();
        let expect = [("a", "60s"), ("b", "0.80"), ("c", "true"), ("d", ":8443")];
        assert_eq!(read, expect.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert!(parse("").unwrap().is_empty());
    }

    #[rstest]
    #[case::nested("a: {b: 1}", "expected string scalar")]
    #[case::list("- a", "expected mapping start")]
    #[case::sentence("hello", "expected mapping start")]
    #[case::twice("a: 1\na: 2", "line 2 column 1: duplicate mapping key: a")]
    #[case::two_documents("a: 1\n---\nb: 2", "multiple YAML documents detected")]
    #[case::unclosed("a: \"x", "unclosed quote")]
    fn other_yaml_is_refused_with_the_place(#[case] text: &str, #[case] expect: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.starts_with("is not a list of `key: value` lines: line "), "{error}");
        assert!(error.contains(expect), "{error}");
        assert!(!error.contains("Policy") && !error.contains("from_str") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn a_list_of_flat_items_is_read_item_by_item() {
        let read = parse_list("- a: 1\n  b: x # a comment\n\n- a: 2\n").unwrap();
        assert_eq!(read.iter().map(|item| item["a"].as_str()).collect::<Vec<_>>(), ["1", "2"]);
        assert!(parse_list("").unwrap().is_empty());
        let error = parse_list("a: 1").unwrap_err();
        assert!(error.starts_with("is not a list of items with `key: value` lines: line 1"), "{error}");
    }

    #[test]
    fn no_text_is_too_long_to_be_refused() {
        assert!(parse(&"a: b\n".repeat(LONGEST / 4)).unwrap_err().starts_with("is longer than"));
    }
}
