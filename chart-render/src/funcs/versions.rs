//! `semver` and `semverCompare`: versions, mostly the cluster's.

use std::rc::Rc;

use super::{Entry, text};
use crate::fault::Fault;
use crate::semver::{Version, satisfies};
use crate::value::{Object, Value};

pub(super) const TABLE: &[Entry] = &[
    ("semverCompare", 2, Some(2), |call| {
        let (constraint, version) = (call.str(0)?, call.str(1)?);
        satisfies(&constraint, &version).map(Value::Bool).ok_or_else(|| {
            Fault::new(format!("improper constraint or invalid semantic version: {constraint}, {version}"))
        })
    }),
    ("semver", 1, Some(1), |call| {
        let text = call.str(0)?;
        let version = Version::parse(&text).ok_or_else(|| Fault::new(format!("invalid semantic version: {text}")))?;
        Ok(Value::Object(Object::Version(Rc::new(version))))
    }),
];

/// Methods of what `semver` gives.
pub(crate) fn method(version: &Version, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
    #[expect(clippy::cast_possible_wrap, reason = "a part of a version beyond 2^63 is no version of this world")]
    let number = |part: u64| Ok(Value::Int64(part as i64));
    match (name, arguments) {
        ("Major", []) => number(version.major),
        ("Minor", []) => number(version.minor),
        ("Patch", []) => number(version.patch),
        ("Prerelease", []) => text(&version.pre),
        ("Metadata", []) => text(&version.metadata),
        ("Original", []) => text(&version.original),
        ("String", []) => text(version.to_string()),
        ("Compare", [Value::Object(Object::Version(other))]) => Ok(Value::Int(version.compare(other) as i64)),
        ("Equal", [Value::Object(Object::Version(other))]) => Ok(Value::Bool(version.compare(other).is_eq())),
        ("LessThan", [Value::Object(Object::Version(other))]) => Ok(Value::Bool(version.compare(other).is_lt())),
        ("GreaterThan", [Value::Object(Object::Version(other))]) => Ok(Value::Bool(version.compare(other).is_gt())),
        _ => Err(Fault::new(format!(
            "chart-render has no method {name} of *semver.Version with {} arguments",
            arguments.len()
        ))),
    }
}
