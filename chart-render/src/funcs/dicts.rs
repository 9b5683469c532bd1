//! Dicts. `set`, `unset` and the merges change their first argument in place.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::types::to_string;
use super::{Call, Entry};
use crate::fault::Fault;
use crate::value::{Dict, Value};

pub(super) const TABLE: &[Entry] = &[
    ("dict", 0, None, dict),
    ("get", 2, Some(2), |call| {
        Ok(call.dict(0)?.borrow().get(&*call.str(1)?).cloned().unwrap_or_else(|| Value::str("")))
    }),
    ("set", 3, Some(3), |call| {
        call.dict(0)?.borrow_mut().insert(call.str(1)?.to_string(), call.any(2));
        Ok(call.any(0))
    }),
    ("unset", 2, Some(2), |call| {
        call.dict(0)?.borrow_mut().remove(&*call.str(1)?);
        Ok(call.any(0))
    }),
    ("hasKey", 2, Some(2), |call| Ok(Value::Bool(call.dict(0)?.borrow().contains_key(&*call.str(1)?)))),
    ("keys", 0, None, |call| {
        let dicts = dicts(call)?;
        Ok(Value::list(
            dicts.iter().flat_map(|dict| dict.borrow().keys().map(Value::str).collect::<Vec<_>>()).collect(),
        ))
    }),
    ("values", 1, Some(1), |call| Ok(Value::list(call.dict(0)?.borrow().values().cloned().collect()))),
    ("pick", 1, None, |call| {
        let names: Vec<String> = call.rest(1).iter().map(to_string).collect();
        Ok(filtered(&call.dict(0)?, |key| names.iter().any(|name| name == key)))
    }),
    ("omit", 1, None, |call| {
        let names: Vec<String> = call.rest(1).iter().map(to_string).collect();
        Ok(filtered(&call.dict(0)?, |key| !names.iter().any(|name| name == key)))
    }),
    ("pluck", 1, None, |call| {
        let name = call.str(0)?;
        let dicts = (1..call.arguments.len()).map(|index| call.dict(index)).collect::<Result<Vec<_>, _>>()?;
        Ok(Value::list(dicts.iter().filter_map(|dict| dict.borrow().get(&*name).cloned()).collect()))
    }),
    ("dig", 3, None, dig),
    ("merge", 1, None, |call| merge_all(call, false)),
    ("mergeOverwrite", 1, None, |call| merge_all(call, true)),
];

fn dicts(call: &Call<'_>) -> Result<Vec<Dict>, Fault> {
    (0..call.arguments.len()).map(|index| call.dict(index)).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "the shape every function returns")]
fn dict(call: &Call<'_>) -> Result<Value, Fault> {
    Ok(Value::map(
        call.arguments
            .chunks(2)
            .map(|pair| (to_string(&pair[0]), pair.get(1).cloned().unwrap_or_else(|| Value::str("")))),
    ))
}

fn filtered(dict: &Dict, keeps: impl Fn(&str) -> bool) -> Value {
    Value::map(dict.borrow().iter().filter(|(key, _)| keeps(key)).map(|(key, value)| (key.clone(), value.clone())))
}

/// `dig "a" "b" fallback dict`.
fn dig(call: &Call<'_>) -> Result<Value, Fault> {
    let last = call.arguments.len() - 1;
    let mut value = Value::Map(call.dict(last)?);
    for key in &call.arguments[..last - 1] {
        let Value::Str(key) = key else { return Err(super::wrong_type("string", key)) };
        let Value::Map(map) = &value else { return Err(super::wrong_type("map[string]interface {}", &value)) };
        let found = map.borrow().get(&**key).cloned();
        match found {
            Some(found) => value = found,
            None => return Ok(call.any(last - 1)),
        }
    }
    Ok(value)
}

/// The first dict takes what it lacks from the others; with `overwrite` the others win.
fn merge_all(call: &Call<'_>, overwrite: bool) -> Result<Value, Fault> {
    let dicts = dicts(call)?;
    let Some((target, sources)) = dicts.split_first() else { return Ok(Value::map([])) };
    for source in sources {
        if !Rc::ptr_eq(target, source) {
            merge(target, &source.borrow(), overwrite);
        }
    }
    Ok(call.any(0))
}

/// Empty values of the target count as missing, empty values of the source never overwrite.
fn merge(target: &Dict, source: &BTreeMap<String, Value>, overwrite: bool) {
    for (key, value) in source {
        let current = target.borrow().get(key).cloned();
        match (&current, value) {
            (Some(Value::Map(inner)), Value::Map(other)) => {
                if !Rc::ptr_eq(inner, other) {
                    merge(inner, &other.borrow(), overwrite);
                }
            }
            (Some(present), _) if present.is_true() && !overwrite => {}
            (Some(_), missing) if !missing.is_true() => {}
            _ => {
                target.borrow_mut().insert(key.clone(), value.clone());
            }
        }
    }
}
