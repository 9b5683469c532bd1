//! Paths with `/`, by Go's rules.

use super::{Entry, text};
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    ("base", 1, Some(1), |call| text(base(&call.str(0)?))),
    ("dir", 1, Some(1), |call| {
        let path = call.str(0)?;
        text(clean(&path[..path.rfind('/').map_or(0, |at| at + 1)]))
    }),
    ("ext", 1, Some(1), |call| {
        let path = call.str(0)?;
        let name = path.rsplit('/').next().unwrap_or_default();
        text(name.rfind('.').map_or("", |at| &name[at..]))
    }),
    ("clean", 1, Some(1), |call| text(clean(&call.str(0)?))),
    ("isAbs", 1, Some(1), |call| Ok(Value::Bool(call.str(0)?.starts_with('/')))),
];

fn base(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => ".",
        "" => "/",
        trimmed => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

/// Without `.`, `..` and doubled slashes, as far as that can be told without looking at files.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            other => parts.push(other),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}
