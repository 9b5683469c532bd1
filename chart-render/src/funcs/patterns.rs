//! Regular expressions. Go's RE2 and the regex crate share their syntax.

use regex::Regex;

use super::{Call, Entry, text};
use crate::fault::Fault;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    // Without `must`, Sprig answers false for a pattern that does not compile.
    ("regexMatch", 2, Some(2), |call| {
        let value = call.str(1)?;
        Ok(Value::Bool(Regex::new(&call.str(0)?).is_ok_and(|pattern| pattern.is_match(&value))))
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
        Ok(Value::list(pattern(call)?.splitn(&value, limit).map(Value::str).collect()))
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

fn pattern(call: &Call<'_>) -> Result<Regex, Fault> {
    Regex::new(&call.str(0)?).map_err(|error| Fault::new(format!("error parsing regexp: {error}")))
}

fn find(call: &Call<'_>) -> Result<Value, Fault> {
    let value = call.str(1)?;
    text(pattern(call)?.find(&value).map_or("", |found| found.as_str()))
}

/// A negative limit means all.
fn limit(count: i64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
