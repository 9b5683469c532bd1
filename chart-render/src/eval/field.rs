//! What stands behind a point: the field of a value, or a method of an object.

use crate::fault::Fault;
use crate::funcs;
use crate::value::{Object, Value};

/// One field of a value, or a method call.
pub(super) fn of(receiver: &Value, name: &str, lenient: bool, arguments: &[Value]) -> Result<Value, Fault> {
    match receiver {
        Value::Nil if lenient => Ok(Value::Nil),
        Value::Nil => Err(Fault::new(format!("nil pointer evaluating interface {{}}.{name}"))),
        Value::Map(map) if arguments.is_empty() => Ok(map.borrow().get(name).cloned().unwrap_or(Value::Nil)),
        Value::Map(_) => Err(Fault::new(format!("{name} is not a method but has arguments"))),
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
