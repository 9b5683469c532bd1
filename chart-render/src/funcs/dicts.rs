//! Dicts. `set`, `unset` and the merges change their first argument in place.

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
        let Value::Map(dict) = call.any(0) else {
            call.dict(0)?;
            return Err(Fault::new("assignment to entry in nil map"));
        };
        dict.borrow_mut().insert(call.str(1)?.to_string(), call.any(2));
        Ok(call.any(0))
    }),
    ("unset", 2, Some(2), |call| {
        let dict = call.dict(0)?;
        dict.borrow_mut().remove(&*call.str(1)?);
        Ok(Value::Map(dict))
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
    let mut value = call.any(last);
    if let Some(other) = call.arguments[..last - 1].iter().find(|key| !matches!(key, Value::Str(_))) {
        return Err(super::wrong_type("string", other));
    }
    for key in call.arguments[..last - 1].iter().map(to_string) {
        let Value::Map(map) = &value else { return Err(super::wrong_type("map[string]interface {}", &value)) };
        let found = map.borrow().get(&key).cloned();
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
        merge(target, source, overwrite);
    }
    Ok(Value::Map(Rc::clone(target)))
}

/// The rules of mergo. Tables are merged in place. Else with `overwrite` every value of the source counts, false, zero,
/// empty and nil as well; without, only where the target has nothing but an empty value, and nil is passed over.
fn merge(target: &Dict, source: &Dict, overwrite: bool) {
    if Rc::ptr_eq(target, source) {
        return;
    }
    // A copy of the entries: the target may be part of the source.
    let entries = source.borrow().clone();
    for (key, value) in entries {
        let current = target.borrow().get(&key).cloned();
        if matches!(value, Value::Nil) && !overwrite {
            continue;
        }
        if let (Some(Value::Map(inner)), Value::Map(other)) = (&current, &value) {
            merge(inner, other, overwrite);
            if !inner.borrow().is_empty() {
                continue;
            }
        }
        if overwrite || !current.is_some_and(|current| current.is_true()) {
            target.borrow_mut().insert(key, value);
        }
    }
}
