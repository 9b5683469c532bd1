//! Regular expressions. Go's RE2 and the regex crate share most of their syntax; what differs is translated.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use regex::Regex;

use super::{Call, Entry, text};
use crate::fault::Fault;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    // Without `must`, Sprig answers false for a pattern that does not compile.
    ("regexMatch", 2, Some(2), |call| {
        let value = call.str(1)?;
        Ok(Value::Bool(compile(&call.str(0)?).is_ok_and(|pattern| pattern.is_match(&value))))
    }),
    ("mustRegexMatch", 2, Some(2), |call| Ok(Value::Bool(pattern(call)?.is_match(&call.str(1)?)))),
    ("regexFind", 2, Some(2), find),
    ("regexFindAll", 3, Some(3), |call| {
        let (value, limit) = (call.str(1)?, limit(call.int(2)?));
        Ok(Value::list(pattern(call)?.find_iter(&value).take(limit).map(|found| Value::str(found.as_str())).collect()))
    }),
    ("regexReplaceAll", 3, Some(3), |call| text(pattern(call)?.replace_all(&call.str(1)?, &*call.str(2)?))),
    ("regexReplaceAllLiteral", 3, Some(3), |call| {
        let replacement = call.str(2)?;
        text(pattern(call)?.replace_all(&call.str(1)?, regex::NoExpand(&replacement)))
    }),
    ("regexSplit", 3, Some(3), |call| {
        let (value, limit) = (call.str(1)?, limit(call.int(2)?));
        Ok(Value::list(split(&pattern(call)?, &value, limit)))
    }),
    ("regexQuoteMeta", 1, Some(1), |call| {
        text(
            regex::escape(&call.str(0)?)
                .replace("\\-", "-")
                .replace("\\#", "#")
                .replace("\\&", "&")
                .replace("\\~", "~"),
        )
    }),
];

/// Patterns kept at a time. Compiling one takes longer than all else that a chart does with it.
const KEPT: usize = 64;

thread_local! {
    static COMPILED: RefCell<HashMap<Rc<str>, Regex>> = RefCell::default();
}

/// More often than this Go repeats nothing.
const MOST_REPEATS: u32 = 1000;

/// Whether a `{n,m}` asks for more than Go allows.
fn repeats_too_often(pattern: &str) -> bool {
    pattern.split('{').skip(1).filter_map(|behind| behind.split_once('}')).any(|(counts, _)| {
        let is_count = |count: &str| count.bytes().all(|byte| byte.is_ascii_digit());
        let mut counts = counts.splitn(2, ',');
        counts.clone().all(is_count)
            && counts.any(|count| !count.is_empty() && !count.parse().is_ok_and(|count: u32| count <= MOST_REPEATS))
    })
}

fn compile(pattern: &Rc<str>) -> Result<Regex, regex::Error> {
    COMPILED.with_borrow_mut(|compiled| {
        if let Some(known) = compiled.get(pattern) {
            return Ok(known.clone());
        }
        if repeats_too_often(pattern) {
            return Err(regex::Error::Syntax("invalid repeat count".to_owned()));
        }
        let new = Regex::new(&translated(pattern))?;
        if compiled.len() == KEPT {
            compiled.clear();
        }
        compiled.insert(Rc::clone(pattern), new.clone());
        Ok(new)
    })
}

/// The pattern as the regex crate has to see it: in Go `\d`, `\w` and `\s` are ASCII, within brackets a `[` or a `-`
/// behind a class is itself and there are no set operations, and `\Q…\E` quotes.
fn translated(pattern: &str) -> String {
    let mut out = String::new();
    let mut characters = pattern.chars().peekable();
    let (mut in_class, mut behind_class) = (false, false);
    while let Some(character) = characters.next() {
        let after_class = std::mem::take(&mut behind_class);
        match (character, in_class) {
            ('\\', _) => {
                let escaped = characters.next();
                behind_class = in_class && matches!(escaped, Some('d' | 'D' | 'w' | 'W' | 's' | 'S'));
                match (escaped, in_class) {
                    (Some('d'), false) => out.push_str("[0-9]"),
                    (Some('D'), _) => out.push_str("[^0-9]"),
                    (Some('w'), false) => out.push_str("[0-9A-Za-z_]"),
                    (Some('W'), _) => out.push_str("[^0-9A-Za-z_]"),
                    (Some('s'), false) => out.push_str("[\\t\\n\\f\\r ]"),
                    (Some('S'), _) => out.push_str("[^\\t\\n\\f\\r ]"),
                    (Some('d'), true) => out.push_str("0-9"),
                    (Some('w'), true) => out.push_str("0-9A-Za-z_"),
                    (Some('s'), true) => out.push_str("\\t\\n\\f\\r "),
                    (Some('b'), false) => out.push_str("(?-u:\\b)"),
                    (Some('Q'), false) => {
                        let rest: String = characters.by_ref().collect();
                        let (quoted, behind) = rest.split_once("\\E").unwrap_or((&rest, ""));
                        out.push_str(&regex::escape(quoted));
                        out.push_str(&translated(behind));
                    }
                    (Some(other), _) => out.extend(['\\', other]),
                    (None, _) => out.push('\\'),
                }
            }
            ('[', false) => {
                in_class = true;
                out.push('[');
                out.extend(characters.next_if_eq(&'^'));
                // The first bracket in a class closes nothing.
                if characters.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            ('[', true) if characters.peek() == Some(&':') => {
                out.push('[');
                for inner in characters.by_ref() {
                    out.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            ('[' | '&' | '~', true) => out.extend(['\\', character]),
            ('-', true) if after_class || out.ends_with('-') => out.push_str("\\-"),
            (']', true) => {
                in_class = false;
                out.push(']');
            }
            (other, _) => out.push(other),
        }
    }
    out
}

fn pattern(call: &Call<'_>) -> Result<Regex, Fault> {
    compile(&call.str(0)?).map_err(|error| Fault::new(format!("error parsing regexp: {error}")))
}

/// Go's rule: an empty match at the start separates nothing, and nothing stands behind a match at the end.
fn split(pattern: &Regex, value: &str, limit: usize) -> Vec<Value> {
    if value.is_empty() && limit > 0 {
        return vec![Value::str("")];
    }
    let mut parts = Vec::new();
    let (mut start, mut end) = (0, 0);
    for found in pattern.find_iter(value) {
        if limit == 0 || parts.len() + 1 == limit {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(Value::str(&value[start..end]));
        }
        start = found.end();
    }
    if end != value.len() && limit > 0 {
        parts.push(Value::str(&value[start..]));
    }
    parts
}

fn find(call: &Call<'_>) -> Result<Value, Fault> {
    let value = call.str(1)?;
    text(pattern(call)?.find(&value).map_or("", |found| found.as_str()))
}

/// A negative limit means all.
fn limit(count: i64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
