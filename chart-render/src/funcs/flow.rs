//! Functions that decide or lead elsewhere: `include`, `tpl`, `required`, `fail`, `default`, `ternary`, `lookup` …

use serde_json::Value as Json;

use super::{Call, Entry, text};
use crate::cluster::Wanted;
use crate::fault::Fault;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    ("include", 2, Some(2), |call| text(call.engine.include(&call.str(0)?, &call.any(1))?)),
    ("tpl", 2, Some(2), |call| text(call.engine.expand(&call.str(0)?, &call.any(1))?)),
    ("required", 2, Some(2), required),
    ("fail", 1, Some(1), |call| Err(Fault::author(call.str(0)?.to_string()))),
    ("lookup", 4, Some(4), lookup),
    ("default", 1, None, |call| {
        let given = call.arguments.get(1).filter(|value| value.is_true());
        Ok(given.cloned().unwrap_or_else(|| call.any(0)))
    }),
    ("empty", 1, Some(1), |call| Ok(Value::Bool(!call.any(0).is_true()))),
    ("coalesce", 0, None, |call| {
        Ok(call.arguments.iter().find(|value| value.is_true()).cloned().unwrap_or(Value::Nil))
    }),
    ("all", 0, None, |call| Ok(Value::Bool(call.arguments.iter().all(Value::is_true)))),
    ("any", 0, None, |call| Ok(Value::Bool(call.arguments.iter().any(Value::is_true)))),
    ("ternary", 3, Some(3), |call| Ok(call.any(usize::from(!call.bool(2)?)))),
];

/// Without a cluster, or where there is no such object: an empty map, as helm has it.
fn lookup(call: &Call<'_>) -> Result<Value, Fault> {
    let text = |index| call.str(index).map(|text| text.to_string());
    let wanted = Wanted { api_version: text(0)?, kind: text(1)?, namespace: text(2)?, name: text(3)? };
    match call.engine.cluster().map(|cluster| cluster.lookup(&wanted)).transpose().map_err(Fault::new)? {
        None | Some(Json::Null) => Ok(Value::map([])),
        Some(found) => Ok(Value::from_json(&found)),
    }
}

fn required(call: &Call<'_>) -> Result<Value, Fault> {
    let message = call.str(0)?;
    match call.any(1) {
        Value::Nil => Err(Fault::author(message.to_string())),
        Value::Str(text) if text.is_empty() => Err(Fault::author(message.to_string())),
        value => Ok(value),
    }
}
