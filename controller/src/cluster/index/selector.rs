//! Label selectors as text, the form in which a scale subresource names its pods. The client library writes this form
//! but does not read it.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::{Expression, SelectorExt as _};

/// The text is no label selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no label selector requirement")]
pub struct Invalid(String);

/// A selector: every requirement has to be met. Without requirements it selects everything.
pub type Selector = Vec<Expression>;

/// Reads a selector like `app=vllm,tier in (a, b),!canary`.
///
/// # Errors
/// When a requirement has none of the known forms.
pub fn parse(text: &str) -> Result<Selector, Invalid> {
    requirements(text).into_iter().filter(|part| !part.is_empty()).map(requirement).collect()
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

fn requirement(text: &str) -> Result<Expression, Invalid> {
    let invalid = || Invalid(text.to_owned());
    let key = |key: &str| {
        let key = key.trim();
        if key.is_empty() || key.contains(char::is_whitespace) { Err(invalid()) } else { Ok(key.to_owned()) }
    };
    if let Some(values) = text.strip_suffix(')') {
        let (head, values) = values.split_once('(').ok_or_else(invalid)?;
        let values: BTreeSet<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        let (name, operator) = head.trim().rsplit_once(char::is_whitespace).ok_or_else(invalid)?;
        return match operator {
            "in" => Ok(Expression::In(key(name)?, values)),
            "notin" => Ok(Expression::NotIn(key(name)?, values)),
            _ => Err(invalid()),
        };
    }
    if let Some((name, value)) = text.split_once("!=") {
        return Ok(Expression::NotEqual(key(name)?, value.trim().to_owned()));
    }
    if let Some((name, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Expression::Equal(key(name)?, value.trim().to_owned()));
    }
    match text.strip_prefix('!') {
        Some(name) => Ok(Expression::DoesNotExist(key(name)?)),
        None => Ok(Expression::Exists(key(text)?)),
    }
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
    #[case("", "")]
    fn every_form_is_read(#[case] text: &str, #[case] expect: &str) {
        let selector = parse(text).unwrap();
        assert_eq!(selector.iter().map(ToString::to_string).collect::<Vec<_>>().join(","), expect);
    }

    #[rstest]
    #[case("a b")]
    #[case("=x")]
    #[case("tier in a)")]
    #[case("tier of (a)")]
    fn anything_else_is_refused(#[case] text: &str) {
        assert_eq!(parse(text).unwrap_err(), Invalid(text.to_owned()));
    }

    #[test]
    fn what_was_read_selects() {
        let labels = BTreeMap::from([("app".to_owned(), "vllm".to_owned()), ("tier".to_owned(), "a".to_owned())]);
        let selected = |text| selects(&parse(text).unwrap(), &labels);
        assert!(selected("app=vllm,tier in (a,b),!canary") && !selected("app=vllm,tier notin (a)"));
    }
}
