//! `semverCompare`: constraints on versions, mostly on the cluster's.

use std::cmp::Ordering;

use super::{Call, Entry};
use crate::fault::Fault;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[("semverCompare", 2, Some(2), semver_compare)];

/// A version with as many parts as were written; a pre-release sorts before its release.
#[derive(Clone, Debug)]
struct Version {
    parts: Vec<u64>,
    pre: String,
}

fn semver_compare(call: &Call<'_>) -> Result<Value, Fault> {
    let (constraint, version) = (call.str(0)?, call.str(1)?);
    let message = || Fault::new(format!("improper constraint or invalid semantic version: {constraint}, {version}"));
    satisfies(&constraint, &version).map(Value::Bool).ok_or_else(message)
}

/// Whether a version meets a constraint such as `>=1.23.0-0 <2 || 3.x`; none when either cannot be read.
pub(crate) fn satisfies(constraint: &str, version: &str) -> Option<bool> {
    let version = Version::parse(version).filter(|version| version.parts.len() <= 3)?;
    let mut any = false;
    for alternative in constraint.split("||") {
        let mut all = true;
        for term in terms(alternative) {
            all &= holds(&term, &version)?;
        }
        any |= all;
    }
    Some(any)
}

/// `>= 1.2, <2` and `>=1.2 <2` are two terms each; the operator may stand apart from its version.
fn terms(alternative: &str) -> Vec<String> {
    let mut terms: Vec<String> = Vec::new();
    for word in alternative.split([',', ' ']).filter(|word| !word.is_empty()) {
        match terms.last_mut() {
            Some(last) if last.chars().all(|character| "<>=!~^".contains(character)) => last.push_str(word),
            _ => terms.push(word.to_owned()),
        }
    }
    terms
}

fn holds(term: &str, version: &Version) -> Option<bool> {
    let start = term.find(|character| !"<>=!~^".contains(character)).unwrap_or(term.len());
    let (operator, rest) = term.split_at(start);
    if matches!(rest, "*" | "x" | "X") {
        return Some(version.pre.is_empty());
    }
    let bound = Version::parse(rest)?;
    // A pre-release only satisfies constraints that mention one.
    if !version.pre.is_empty() && bound.pre.is_empty() {
        return Some(false);
    }
    let order = version.compare(&bound);
    let same_prefix = |count: usize| (0..count).all(|index| version.part(index) == bound.part(index));
    Some(match operator {
        "" | "=" => {
            if bound.parts.len() < 3 {
                same_prefix(bound.parts.len())
            } else {
                order.is_eq()
            }
        }
        "!=" => order.is_ne(),
        ">" => {
            if bound.parts.len() < 3 {
                order.is_gt() && !same_prefix(bound.parts.len())
            } else {
                order.is_gt()
            }
        }
        "<" => order.is_lt(),
        ">=" | "=>" => order.is_ge(),
        "<=" | "=<" => order.is_le() || (bound.parts.len() < 3 && same_prefix(bound.parts.len())),
        "~" | "~>" => order.is_ge() && same_prefix(bound.parts.len().min(2)),
        "^" => order.is_ge() && same_prefix(1 + bound.parts.iter().take(2).take_while(|part| **part == 0).count()),
        _ => return None,
    })
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let text = text.split('+').next().unwrap_or_default();
        let (core, pre) = text.split_once('-').unwrap_or((text, ""));
        let parts = core
            .split('.')
            .filter(|part| !matches!(*part, "x" | "X" | "*"))
            .map(|part| part.parse().ok())
            .collect::<Option<Vec<u64>>>()?;
        (!parts.is_empty()).then(|| Self { parts, pre: pre.to_owned() })
    }

    fn part(&self, index: usize) -> u64 {
        self.parts.get(index).copied().unwrap_or(0)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let core = (0..3).map(|index| self.part(index).cmp(&other.part(index))).find(|order| order.is_ne());
        core.unwrap_or_else(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => compare_pre(&self.pre, &other.pre),
        })
    }
}

fn compare_pre(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}
