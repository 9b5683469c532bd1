//! The values templates compute with.
//!
//! Go templates see Go types, and Helm charts can tell them apart: `int` is what `len` and number literals give,
//! `int64` what `--set` and arithmetic give, `float64` what every number of a YAML file becomes. Maps are shared and
//! mutable because `set` and `unset` change the dict in place, for every holder.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::capabilities::KubeVersion;
use crate::gotime::Time;
use crate::numbers;
use crate::semver::Version;

/// A dict that every holder sees change.
pub(crate) type Dict = Rc<RefCell<BTreeMap<String, Value>>>;

/// One template value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    /// Go `int`.
    Int(i64),
    /// Go `int64`.
    Int64(i64),
    Float(f64),
    Str(Rc<str>),
    List(Rc<Vec<Self>>),
    Map(Dict),
    Object(Object),
}

/// Values with methods.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    /// `.Files`: the chart's files outside `templates/`, by path.
    Files(Arc<BTreeMap<String, Vec<u8>>>),
    /// `.Capabilities.APIVersions`.
    ApiVersions(Rc<Vec<String>>),
    /// `.Capabilities.KubeVersion`, which prints as its version.
    KubeVersion(Rc<KubeVersion>),
    /// `.Capabilities` and `.Capabilities.HelmVersion`.
    Struct(Rc<Struct>),
    /// A map that holds nothing but text, where a missing key is an empty text: what `split` gives, and annotations.
    Texts(Rc<BTreeMap<String, String>>),
    /// What `semver` gives.
    Version(Rc<Version>),
    /// What `now` and `toDate` give.
    Time(Rc<Time>),
}

/// A Go struct: a fixed set of fields in a fixed order, where any other name is an error.
#[derive(Clone, Debug)]
pub(crate) struct Struct {
    pub(crate) go_type: &'static str,
    /// Name, name in JSON, value.
    pub(crate) fields: Vec<(&'static str, &'static str, Value)>,
}

impl Value {
    pub(crate) fn str(text: impl AsRef<str>) -> Self {
        Self::Str(Rc::from(text.as_ref()))
    }

    pub(crate) fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(items))
    }

    pub(crate) fn map(entries: impl IntoIterator<Item = (String, Self)>) -> Self {
        Self::Map(Rc::new(RefCell::new(entries.into_iter().collect())))
    }

    /// Whether `if` takes the branch: Go's rule, so empty containers, empty strings and zeros do not.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Int64(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => !map.borrow().is_empty(),
            Self::Object(Object::Files(files)) => !files.is_empty(),
            Self::Object(Object::ApiVersions(versions)) => !versions.is_empty(),
            Self::Object(Object::Texts(texts)) => !texts.is_empty(),
            Self::Object(Object::KubeVersion(_) | Object::Struct(_) | Object::Version(_) | Object::Time(_)) => true,
        }
    }

    /// The Go type, as Go's error messages name it.
    pub(crate) fn go_type(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Object(Object::Files(_)) => "engine.files",
            Self::Object(Object::ApiVersions(_)) => "common.VersionSet",
            Self::Object(Object::Texts(_)) => "map[string]string",
            Self::Object(Object::KubeVersion(_)) => "*common.KubeVersion",
            Self::Object(Object::Struct(object)) => object.go_type,
            Self::Object(Object::Version(_)) => "*semver.Version",
            Self::Object(Object::Time(_)) => "time.Time",
        }
    }

    /// The Go kind, as `kindOf` answers.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "invalid",
            Self::List(_) | Self::Object(Object::ApiVersions(_)) => "slice",
            Self::Map(_) | Self::Object(Object::Files(_) | Object::Texts(_)) => "map",
            Self::Object(Object::KubeVersion(_) | Object::Version(_)) => "ptr",
            Self::Object(Object::Struct(object)) if object.go_type.starts_with('*') => "ptr",
            Self::Object(Object::Struct(_) | Object::Time(_)) => "struct",
            scalar => scalar.go_type(),
        }
    }

    /// JSON to template values; JSON floats stay `float64`, JSON integers become `int64`.
    pub(crate) fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(integer) if !number.is_f64() => Self::Int64(integer),
                _ => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::str(text),
            Json::Array(items) => Self::list(items.iter().map(Self::from_json).collect()),
            Json::Object(map) => Self::map(map.iter().map(|(key, value)| (key.clone(), Self::from_json(value)))),
        }
    }

    /// Template values to JSON, as Go's encoder sees them: a whole float is written without a fraction.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Nil => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) | Self::Int64(value) => Json::from(*value),
            Self::Float(value) => numbers::to_json(*value),
            Self::Str(text) => Json::String(text.to_string()),
            Self::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Self::Map(map) => {
                Json::Object(map.borrow().iter().map(|(key, value)| (key.clone(), value.to_json())).collect())
            }
            Self::Object(Object::ApiVersions(versions)) => {
                Json::Array(versions.iter().map(|version| Json::from(version.as_str())).collect())
            }
            Self::Object(Object::Texts(texts)) => {
                Json::Object(texts.iter().map(|(key, text)| (key.clone(), Json::from(text.as_str()))).collect())
            }
            Self::Object(Object::KubeVersion(kube)) => {
                json!({"Version": kube.version, "Major": kube.major, "Minor": kube.minor})
            }
            Self::Object(Object::Struct(object)) => {
                let field = |(_, key, value): &(&str, &str, Self)| ((*key).to_owned(), value.to_json());
                Json::Object(object.fields.iter().map(field).collect())
            }
            Self::Object(Object::Version(version)) => Json::from(version.to_string()),
            Self::Object(Object::Time(time)) => Json::from(time.rfc3339()),
            Self::Object(Object::Files(files)) => {
                let encoded = |data: &Vec<u8>| Json::String(STANDARD.encode(data));
                Json::Object(files.iter().map(|(path, data)| (path.clone(), encoded(data))).collect())
            }
        }
    }

    /// Deep equality as Go's `reflect.DeepEqual`: types count, so `1` (`int`) is not `1` (`float64`).
    pub(crate) fn deep_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) | (Self::Int64(a), Self::Int64(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b).is_eq() || (*a == 0.0 && *b == 0.0),
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.deep_equal(b))
            }
            (Self::Map(a), Self::Map(b)) => {
                let (a, b) = (a.borrow(), b.borrow());
                a.len() == b.len() && a.iter().zip(b.iter()).all(|((ka, va), (kb, vb))| ka == kb && va.deep_equal(vb))
            }
            (Self::Object(Object::Texts(a)), Self::Object(Object::Texts(b))) => a == b,
            _ => false,
        }
    }

    /// A copy that shares nothing, as `deepCopy` gives.
    pub(crate) fn deep_copy(&self) -> Self {
        match self {
            Self::List(items) => Self::list(items.iter().map(Self::deep_copy).collect()),
            Self::Map(map) => Self::map(map.borrow().iter().map(|(key, value)| (key.clone(), value.deep_copy()))),
            other => other.clone(),
        }
    }
}
