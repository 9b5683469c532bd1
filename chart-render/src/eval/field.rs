//! What stands behind a point: the field of a value, or a method of an object.

use super::Operand;
use crate::fault::Fault;
use crate::funcs;
use crate::value::{Object, Value};

/// One field of a value, or a method call. A field of nothing is nothing, a field of nil a mistake.
pub(super) fn of(receiver: &Operand, name: &str, arguments: &[Value]) -> Result<Operand, Fault> {
    match receiver {
        Operand::Nothing => Ok(Operand::Nothing),
        Operand::Value(value) => of_value(value, name, arguments).map(Operand::Value),
    }
}

/// Whether a name calls the method of a chart's values that gives them as the map that they are, which charts made by
/// transpilers do. Only the values of a chart have it, which stand behind that name.
pub(super) fn is_values_as_map(behind: &str, name: &str) -> bool {
    behind == "Values" && name == "AsMap"
}

fn of_value(receiver: &Value, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
    match receiver {
        Value::Nil => Err(Fault::new(format!("nil pointer evaluating interface {{}}.{name}"))),
        Value::Map(map) if arguments.is_empty() => Ok(map.borrow().get(name).cloned().unwrap_or(Value::Nil)),
        Value::Object(Object::Texts(texts)) if arguments.is_empty() => {
            Ok(Value::str(texts.get(name).map_or("", String::as_str)))
        }
        Value::Map(_) | Value::Object(Object::Texts(_)) => {
            Err(Fault::new(format!("{name} is not a method but has arguments")))
        }
        Value::Object(Object::ApiVersions(versions)) if name == "Has" => {
            let [Value::Str(wanted)] = arguments else {
                return Err(Fault::new("wrong number of args for Has: want 1 string"));
            };
            Ok(Value::Bool(versions.iter().any(|version| **version == **wanted)))
        }
        Value::Object(Object::KubeVersion(kube)) => match name {
            "Version" | "GitVersion" | "String" => Ok(Value::str(&kube.version)),
            "Major" => Ok(Value::str(&kube.major)),
            "Minor" => Ok(Value::str(&kube.minor)),
            _ => Err(Fault::new(format!("can't evaluate field {name} in type {}", receiver.go_type()))),
        },
        Value::Object(Object::Struct(object)) => object
            .fields
            .iter()
            .find(|(field, _, _)| *field == name && arguments.is_empty())
            .map(|(_, _, value)| value.clone())
            .ok_or_else(|| Fault::new(format!("can't evaluate field {name} in type {}", receiver.go_type()))),
        Value::Object(Object::Version(version)) => funcs::versions::method(version, name, arguments),
        Value::Object(Object::Time(time)) => funcs::dates::method(time, name, arguments),
        Value::Object(Object::Files(files)) => funcs::files::method(files, name, arguments),
        other => Err(Fault::new(format!("can't evaluate field {name} in type {}", other.go_type()))),
    }
}
