//! Objects as text, their fields in the order in which Go's types have them as far as it shows: what an object is comes
//! before what is in it, and whose it is comes last in its metadata.

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::Value;

/// The text of an answer.
pub(super) fn text(value: &Value) -> String {
    serde_json::to_string(&Ordered(value)).unwrap_or_else(|_| value.to_string())
}

struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => {
                let mut order: Vec<(&String, &Value)> = fields.iter().collect();
                order.sort_by_key(|(name, _)| rank(name));
                let mut map = serializer.serialize_map(Some(order.len()))?;
                for (name, value) in order {
                    map.serialize_entry(name, &Ordered(value))?;
                }
                map.end()
            }
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Ordered(item))?;
                }
                list.end()
            }
            other => other.serialize(serializer),
        }
    }
}

fn rank(name: &str) -> u8 {
    match name {
        "kind" | "type" => 0,
        "apiVersion" => 1,
        "metadata" => 2,
        "ownerReferences" => 4,
        "managedFields" => 5,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_says_first_what_it_is() {
        let object = json!({
            "apiVersion": "v1", "data": {"a": "b"}, "kind": "ConfigMap",
            "metadata": {"managedFields": [], "name": "x", "ownerReferences": [], "uid": "u"},
        });
        let expected = "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\",\"uid\":\"u\",\
                        \"ownerReferences\":[],\"managedFields\":[]},\"data\":{\"a\":\"b\"}}";
        assert_eq!(text(&object), expected);
    }
}
