//! Lists, and Go's `len`, `index` and `slice`.

use std::rc::Rc;

use super::types::{to_int64, to_string, to_strings};
use super::{Call, Entry};
use crate::bytes;
use crate::fault::Fault;
use crate::value::{Object, Value};

pub(super) const TABLE: &[Entry] = &[
    ("list", 0, None, |call| Ok(Value::list(call.arguments.to_vec()))),
    ("first", 1, Some(1), |call| Ok(call.list(0)?.first().cloned().unwrap_or(Value::Nil))),
    ("last", 1, Some(1), |call| Ok(call.list(0)?.last().cloned().unwrap_or(Value::Nil))),
    ("rest", 1, Some(1), |call| Ok(Value::list(call.list(0)?.iter().skip(1).cloned().collect()))),
    ("initial", 1, Some(1), |call| {
        let items = call.list(0)?;
        Ok(Value::list(items[..items.len().saturating_sub(1)].to_vec()))
    }),
    ("append", 2, Some(2), append),
    ("prepend", 2, Some(2), |call| {
        Ok(Value::list(std::iter::once(call.any(1)).chain(call.list(0)?.iter().cloned()).collect()))
    }),
    ("concat", 0, None, |call| {
        let lists = (0..call.arguments.len()).map(|index| call.list(index)).collect::<Result<Vec<_>, _>>()?;
        Ok(Value::list(lists.iter().flat_map(|items| items.iter().cloned()).collect()))
    }),
    ("reverse", 1, Some(1), |call| Ok(Value::list(call.list(0)?.iter().rev().cloned().collect()))),
    ("uniq", 1, Some(1), |call| {
        let mut kept: Vec<Value> = Vec::new();
        for item in call.list(0)?.iter() {
            if !kept.iter().any(|known| known.deep_equal(item)) {
                kept.push(item.clone());
            }
        }
        Ok(Value::list(kept))
    }),
    ("compact", 1, Some(1), |call| {
        Ok(Value::list(call.list(0)?.iter().filter(|item| item.is_true()).cloned().collect()))
    }),
    ("without", 1, None, |call| {
        let dropped = call.rest(1);
        let keeps = |item: &&Value| !dropped.iter().any(|other| other.deep_equal(item));
        Ok(Value::list(call.list(0)?.iter().filter(keeps).cloned().collect()))
    }),
    ("has", 2, Some(2), |call| match call.any(1) {
        Value::Nil => Ok(Value::Bool(false)),
        _ => Ok(Value::Bool(call.list(1)?.iter().any(|item| item.deep_equal(&call.any(0))))),
    }),
    ("sortAlpha", 1, Some(1), |call| {
        let mut items = match call.any(0) {
            Value::Nil => vec![to_string(&Value::Nil)],
            value => to_strings(&value),
        };
        items.sort();
        Ok(Value::list(items.iter().map(Value::str).collect()))
    }),
    ("chunk", 2, Some(2), |call| {
        let items = call.list(1)?;
        let size = usize::try_from(call.int(0)?).ok().filter(|size| *size > 0);
        let size = size.ok_or_else(|| Fault::new("runtime error: integer divide by zero"))?;
        Ok(Value::list(items.chunks(size).map(|chunk| Value::list(chunk.to_vec())).collect()))
    }),
    ("len", 1, Some(1), len),
    ("index", 1, None, index),
    ("slice", 1, Some(4), slice),
];

fn append(call: &Call<'_>) -> Result<Value, Fault> {
    let mut items = Rc::unwrap_or_clone(call.list(0)?);
    items.push(call.any(1));
    Ok(Value::list(items))
}

fn len(call: &Call<'_>) -> Result<Value, Fault> {
    let length = match call.any(0) {
        Value::Str(text) => bytes::of(&text).len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.borrow().len(),
        Value::Object(Object::ApiVersions(versions)) => versions.len(),
        Value::Object(Object::Files(files)) => files.len(),
        Value::Object(Object::Texts(texts)) => texts.len(),
        other => return Err(Fault::new(format!("len of type {}", other.go_type()))),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// `index x 1 "a"` is Go's `x[1]["a"]`; a missing key is nothing, a missing element an error.
fn index(call: &Call<'_>) -> Result<Value, Fault> {
    let mut value = call.any(0);
    if matches!(value, Value::Nil) {
        return Err(Fault::new("index of untyped nil"));
    }
    for key in call.rest(1) {
        if let Value::Object(Object::ApiVersions(versions)) = &value {
            value = Value::list(versions.iter().map(Value::str).collect());
        }
        value = match (&value, key) {
            (Value::Map(map), Value::Str(key)) => map.borrow().get(&**key).cloned().unwrap_or(Value::Nil),
            (Value::List(items), Value::Int(_) | Value::Int64(_)) => {
                let at = to_int64(key);
                let found = usize::try_from(at).ok().and_then(|at| items.get(at));
                found.cloned().ok_or_else(|| Fault::new(format!("index out of range: {at}")))?
            }
            (Value::Str(text), Value::Int(_) | Value::Int64(_)) => {
                let at = to_int64(key);
                let byte = usize::try_from(at).ok().and_then(|at| bytes::of(text).get(at).copied());
                byte.map(|byte| Value::Int(byte.into()))
                    .ok_or_else(|| Fault::new(format!("index out of range: {at}")))?
            }
            (Value::Object(Object::Texts(texts)), Value::Str(key)) => {
                Value::str(texts.get(&**key).map_or("", String::as_str))
            }
            (Value::Object(Object::Files(files)), Value::Str(path)) => super::files::content(files, path),
            (Value::Nil, _) => return Err(Fault::new("index of nil pointer")),
            (other, key) => {
                return Err(Fault::new(format!("cannot index {} with {}", other.go_type(), key.go_type())));
            }
        };
    }
    Ok(value)
}

fn slice(call: &Call<'_>) -> Result<Value, Fault> {
    let bound = |index: usize, fallback: usize| match call.arguments.get(index) {
        None => Ok(fallback),
        Some(value) => usize::try_from(to_int64(value)).map_err(|_| Fault::new("index out of range")),
    };
    let out_of_range = || Fault::new("index out of range");
    match call.any(0) {
        Value::List(items) if items.is_empty() => Ok(Value::Nil),
        Value::List(items) => {
            let (from, to) = (bound(1, 0)?, bound(2, items.len())?);
            Ok(Value::list(items.get(from..to).ok_or_else(out_of_range)?.to_vec()))
        }
        other => Err(Fault::new(format!("list should be type of slice or array but {}", other.go_type()))),
    }
}
