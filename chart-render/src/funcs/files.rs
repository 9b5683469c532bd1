//! Methods of `.Files`.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use super::text;
use crate::bytes;
use crate::fault::Fault;
use crate::glob;
use crate::value::{Object, Value};
use crate::yaml;

type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn method(files: &Arc<Files>, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
    let read = |path: &str| files.get(path).map(|data| bytes::to_text(data)).unwrap_or_default();
    let base_name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    match (name, arguments) {
        ("Get", [Value::Str(path)]) => text(read(path)),
        ("Lines", [Value::Str(path)]) => {
            let content = read(path);
            let content = content.strip_suffix('\n').unwrap_or(&content);
            if content.is_empty() && !files.contains_key(&**path) {
                return Ok(Value::list(Vec::new()));
            }
            Ok(Value::list(content.split('\n').map(Value::str).collect()))
        }
        ("Glob", [Value::Str(pattern)]) => {
            let pattern = glob::paths(pattern).ok_or_else(|| Fault::new(format!("bad file pattern {pattern:?}")))?;
            let found = files.iter().filter(|(path, _)| pattern.is_match(path));
            Ok(Value::Object(Object::Files(Arc::new(found.map(|(path, data)| (path.clone(), data.clone())).collect()))))
        }
        ("AsConfig", []) => text(as_yaml(
            files
                .iter()
                .map(|(path, data)| (base_name(path), Json::String(String::from_utf8_lossy(data).into_owned()))),
        )),
        ("AsSecrets", []) => {
            text(as_yaml(files.iter().map(|(path, data)| (base_name(path), Json::String(STANDARD.encode(data))))))
        }
        ("GetBytes", [Value::Str(path)]) => Ok(content(files, path)),
        // The files are a map, and its keys can be asked for like fields.
        (path, []) => Ok(content(files, path)),
        _ => Err(Fault::new(format!("chart-render has no .Files.{name} with {} arguments", arguments.len()))),
    }
}

/// The bytes of a file, none without the file.
pub(super) fn content(files: &Files, path: &str) -> Value {
    bytes_of(files.get(path).map(Vec::as_slice).unwrap_or_default())
}

fn bytes_of(data: &[u8]) -> Value {
    Value::list(data.iter().map(|byte| Value::Int(i64::from(*byte))).collect())
}

fn as_yaml(entries: impl Iterator<Item = (String, Json)>) -> String {
    let map: Map<String, Json> = entries.collect();
    yaml::to_yaml(&Json::Object(map))
}
