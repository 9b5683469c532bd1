//! JSON with what a map does not keep: the order of fields, and those that are given twice.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::apiserver::fields::joined;

/// What was met on the way.
#[derive(Debug, Default)]
pub(in crate::apiserver) struct Places {
    /// Every field, in the order in which they stand.
    pub(in crate::apiserver) fields: Vec<String>,
    /// Fields that their object has already.
    pub(in crate::apiserver) twice: Vec<String>,
}

/// Parses JSON; whether a field was given twice is told beside it.
pub(super) fn parse(text: &[u8]) -> Result<(Value, bool), serde_json::Error> {
    let twice = RefCell::new(false);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Quick(&twice).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, twice.into_inner()))
}

/// The places of a body that can be parsed.
pub(in crate::apiserver) fn places(text: &[u8]) -> Places {
    let places = RefCell::new(Places::default());
    // A body that is read again has been read before.
    let _ = Thorough { places: &places, path: "" }.deserialize(&mut serde_json::Deserializer::from_slice(text));
    places.into_inner()
}

#[derive(Clone, Copy)]
struct Quick<'a>(&'a RefCell<bool>);

impl<'de> DeserializeSeed<'de> for Quick<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Quick<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if fields.insert(name, value).is_some() {
                self.0.replace(true);
            }
        }
        Ok(Value::Object(fields))
    }
}

/// Visits for the places alone.
#[derive(Clone, Copy)]
struct Thorough<'a> {
    places: &'a RefCell<Places>,
    path: &'a str,
}

impl<'de> DeserializeSeed<'de> for Thorough<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Thorough<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        loop {
            let path = format!("{}[{index}]", self.path);
            if items.next_element_seed(Thorough { path: &path, ..self })?.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut names: Vec<String> = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            let path = joined(self.path, &name);
            let mut places = self.places.borrow_mut();
            if names.contains(&name) {
                places.twice.push(path.clone());
            } else {
                places.fields.push(path.clone());
                names.push(name);
            }
            drop(places);
            entries.next_value_seed(Thorough { path: &path, ..self })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_of_two_counts_and_both_are_told() {
        let text = br#"{"metadata": {"name": "u", "name": "v"}, "b": [{"x": 1, "x": 2}], "a": 1.5}"#;
        let (value, twice) = parse(text).unwrap();
        assert_eq!(value, json!({"metadata": {"name": "v"}, "b": [{"x": 2}], "a": 1.5}));
        assert!(twice);
        let places = places(text);
        assert_eq!(places.twice, ["metadata.name", "b[0].x"]);
        assert_eq!(places.fields, ["metadata", "metadata.name", "b", "b[0].x", "a"]);
    }

    #[test]
    fn numbers_are_what_serde_makes_of_them() {
        for text in ["1", "-1", "18446744073709551615", "1.0", "1e3", "[]", "null", "\"x\""] {
            assert_eq!(parse(text.as_bytes()).unwrap().0, serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
    }
}
