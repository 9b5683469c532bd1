//! Label selectors as text: what a scale subresource names its pods by, and what the configuration names GPU nodes by. The
//! client library writes this form but does not read it.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::{Expression, SelectorExt as _};

/// Longest name or value of a label, and longest prefix of a name.
const LONGEST: (usize, usize) = (63, 253);

/// The text is no label selector: what is wrong with it, in words for a person that follow the name of what holds it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

/// A selector: every requirement has to be met. Without requirements it selects everything.
pub type Selector = Vec<Expression>;

/// One part between commas.
enum Requirement {
    /// What the client library knows.
    Known(Expression),
    /// A comparison with a whole number, which only the API server evaluates.
    Comparison,
}

/// Reads a selector like `app=vllm,tier in (a, b),!canary`.
///
/// # Errors
/// When a requirement has none of these forms, or a name or value that no label has.
pub fn parse(text: &str) -> Result<Selector, Invalid> {
    let known = |part: &str| match requirement(part)? {
        Requirement::Known(expression) => Ok(expression),
        Requirement::Comparison => Err(invalid(format!("compares in {part:?}, which is not known here"))),
    };
    requirements(text).into_iter().map(known).collect()
}

/// Checks a selector that the API server is to evaluate, as `kubectl get --selector` takes it: a mistake in the
/// configuration is to end the start, not to make a watch fail for ever.
///
/// # Errors
/// As [`parse`], but comparisons with a whole number (`gpus>3`) may be in it.
pub fn check(text: &str) -> Result<(), Invalid> {
    requirements(text).into_iter().try_for_each(|part| requirement(part).map(drop))
}

/// Whether a selector selects what has these labels.
pub fn selects(selector: &[Expression], labels: &BTreeMap<String, String>) -> bool {
    selector.iter().all(|expression| expression.matches(labels))
}

/// The labels a selector demands with one value each.
pub fn pairs(selector: &[Expression]) -> impl Iterator<Item = (&str, &str)> {
    selector.iter().filter_map(|expression| match expression {
        Expression::Equal(name, value) => Some((name.as_str(), value.as_str())),
        _ => None,
    })
}

/// The parts between commas; those in parentheses separate values.
fn requirements(text: &str) -> Vec<&str> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mut depth = 0;
    let separator = |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    };
    text.split(separator).map(str::trim).collect()
}

fn requirement(text: &str) -> Result<Requirement, Invalid> {
    if let Some(name) = text.strip_prefix('!') {
        return Ok(Requirement::Known(Expression::DoesNotExist(key(name)?)));
    }
    if let Some(list) = text.strip_suffix(')') {
        let (head, values) = list.split_once('(').ok_or_else(|| invalid(format!("has a ) without a ( in {text:?}")))?;
        let (name, operator) = head.trim_end().rsplit_once(char::is_whitespace).unwrap_or((head, ""));
        let expression: fn(String, BTreeSet<String>) -> Expression = match operator {
            "in" => Expression::In,
            "notin" => Expression::NotIn,
            _ => return Err(invalid(format!("has neither `in` nor `notin` before the ( in {text:?}"))),
        };
        let values = values.split(',').map(value).collect::<Result<_, _>>()?;
        return Ok(Requirement::Known(expression(key(name)?, values)));
    }
    if let Some((name, wanted)) = text.split_once("!=") {
        return Ok(Requirement::Known(Expression::NotEqual(key(name)?, value(wanted)?)));
    }
    if let Some((name, wanted)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Requirement::Known(Expression::Equal(key(name)?, value(wanted)?)));
    }
    if let Some((name, number)) = text.split_once(['<', '>']) {
        key(name)?;
        let number = number.trim();
        let is_number = number.parse::<i64>().is_ok();
        let why = || invalid(format!("compares with {number:?}, which is no whole number"));
        return if is_number { Ok(Requirement::Comparison) } else { Err(why()) };
    }
    Ok(Requirement::Known(Expression::Exists(key(text)?)))
}

fn key(text: &str) -> Result<String, Invalid> {
    let text = text.trim();
    let (prefix, name) = text.rsplit_once('/').unwrap_or(("", text));
    let is_name = name.len() <= LONGEST.0 && is_word(name, "-_.");
    let labels_ok = prefix.split('.').all(|part| is_word(part, "-") && part == part.to_ascii_lowercase());
    let is_prefix = !text.contains('/') || (!prefix.is_empty() && prefix.len() <= LONGEST.1 && labels_ok);
    let why = || invalid(format!("has {text:?} where the name of a label must stand"));
    if is_name && is_prefix { Ok(text.to_owned()) } else { Err(why()) }
}

fn value(text: &str) -> Result<String, Invalid> {
    let text = text.trim();
    let is_value = text.len() <= LONGEST.0 && (text.is_empty() || is_word(text, "-_."));
    if is_value { Ok(text.to_owned()) } else { Err(invalid(format!("has {text:?}, which is no value of a label"))) }
}

/// Letters and digits, with the other characters allowed in between.
fn is_word(text: &str, between: &str) -> bool {
    let ends = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    ends(text.chars().next())
        && ends(text.chars().next_back())
        && text.chars().all(|char| char.is_ascii_alphanumeric() || between.contains(char))
}

fn invalid(why: String) -> Invalid {
    Invalid(why)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("app=vllm", "app=vllm")]
    #[case("app == vllm , !canary", "app=vllm,!canary")]
    #[case("tier in (b, a),app!=x", "tier in (a,b),app!=x")]
    #[case("tier notin (a),example.com/ready", "tier notin (a),example.com/ready")]
    #[case("pool=", "pool=")]
    #[case("", "")]
    fn every_form_is_read(#[case] text: &str, #[case] expect: &str) {
        let selector = parse(text).unwrap();
        assert_eq!(selector.iter().map(ToString::to_string).collect::<Vec<_>>().join(","), expect);
        assert_eq!(check(text), Ok(()));
    }

    #[rstest]
    #[case::comparison("gpu-count>3,gpu-count<9")]
    #[case::with_others("nvidia.com/gpu.present,!spot,gpu-count>3")]
    fn comparisons_are_left_to_the_api_server(#[case] text: &str) {
        assert_eq!(check(text), Ok(()));
        assert!(parse(text).unwrap_err().to_string().contains("compares in \"gpu-count>3\""));
    }

    #[rstest]
    #[case::no_key("=gpu", "name of a label")]
    #[case::trailing_comma("pool=gpu,", "name of a label")]
    #[case::space_in_value("pool=a b", "no value")]
    #[case::word("pool is gpu", "name of a label")]
    #[case::unclosed("zone in (a", "name of a label")]
    #[case::unopened("zone in a)", "without a (")]
    #[case::unknown_operator("zone within (a)", "neither")]
    #[case::no_number("gpu-count>many", "whole number")]
    #[case::capitals_in_the_prefix("Nvidia.com/gpu=1", "name of a label")]
    #[case::long_value(&format!("a={}", "x".repeat(64)), "no value")]
    fn a_selector_that_cannot_be_says_what_is_wrong(#[case] text: &str, #[case] why: &str) {
        let error = check(text).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(parse(text), Err(error));
    }

    #[test]
    fn what_was_read_selects() {
        let labels = BTreeMap::from([("app".to_owned(), "vllm".to_owned()), ("tier".to_owned(), "a".to_owned())]);
        let selected = |text| selects(&parse(text).unwrap(), &labels);
        assert!(selected("app=vllm,tier in (a,b),!canary") && !selected("app=vllm,tier notin (a)"));
    }
}
