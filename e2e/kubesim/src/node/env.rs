//! The environment of a container, from all the places a manifest may take it from.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVarSource};

use super::{
    downward::Facts,
    expand::expand,
    sources::{Kind, Sources},
};

/// A reference that leads nowhere; the container waits with `CreateContainerConfigError` until it does.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Error {
    #[error("{} \"{name}\" not found", kind.noun())]
    NoObject { kind: Kind, name: String },
    #[error("couldn't find key {key} in {} {name}", kind.noun())]
    NoKey { kind: Kind, name: String, key: String },
    #[error("the downward API has no field {0}")]
    NoField(String),
    #[error("{} {name}: the value of {key} is not text", kind.noun())]
    NotText { kind: Kind, name: String, key: String },
    #[error("env variable {0} has a source of a kind that is not supported")]
    Unsupported(String),
}

/// All variables of `container` on top of `base`. Later ones win: those of `envFrom`, then `env` in order, each value
/// seeing the ones before it.
pub(super) fn resolve(
    container: &Container,
    facts: &Facts<'_>,
    sources: &Sources,
    base: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Error> {
    let mut env = base;
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let config_map = source.config_map_ref.as_ref().map(|map| (Kind::ConfigMap, &map.name, map.optional));
        let secret = source.secret_ref.as_ref().map(|secret| (Kind::Secret, &secret.name, secret.optional));
        let Some((kind, name, optional)) = config_map.or(secret) else { continue };
        match sources.get(kind, name) {
            Some(data) => {
                let text = |(key, value): (&String, &Vec<u8>)| {
                    Some((format!("{prefix}{key}"), String::from_utf8(value.clone()).ok()?))
                };
                env.extend(data.iter().filter_map(text));
            }
            None if optional == Some(true) => {}
            None => return Err(Error::NoObject { kind, name: name.clone() }),
        }
    }
    for variable in container.env.iter().flatten() {
        let value = match &variable.value_from {
            Some(source) => from_source(&variable.name, source, container, facts, sources)?,
            None => {
                Some(expand(variable.value.as_deref().unwrap_or_default(), |name| env.get(name).map(String::as_str)))
            }
        };
        if let Some(value) = value {
            env.insert(variable.name.clone(), value);
        }
    }
    Ok(env)
}

/// `None` for an optional reference to something that does not exist: the variable is left out.
fn from_source(
    variable: &str,
    source: &EnvVarSource,
    container: &Container,
    facts: &Facts<'_>,
    sources: &Sources,
) -> Result<Option<String>, Error> {
    if let Some(field) = &source.field_ref {
        return facts.field(&field.field_path).map(Some).ok_or_else(|| Error::NoField(field.field_path.clone()));
    }
    if let Some(resource) = &source.resource_field_ref {
        let value = facts.resource(resource, Some(container));
        return value.map(Some).ok_or_else(|| Error::NoField(resource.resource.clone()));
    }
    let config_map = source.config_map_key_ref.as_ref().map(|key| (Kind::ConfigMap, &key.name, &key.key, key.optional));
    let secret = source.secret_key_ref.as_ref().map(|key| (Kind::Secret, &key.name, &key.key, key.optional));
    let Some((kind, name, key, optional)) = config_map.or(secret) else {
        return Err(Error::Unsupported(variable.to_owned()));
    };
    let data = sources.get(kind, name);
    match data.and_then(|data| data.get(key)) {
        Some(value) => {
            let text = String::from_utf8(value.clone());
            text.map(Some).map_err(|_| Error::NotText { kind, name: name.clone(), key: key.clone() })
        }
        None if optional == Some(true) => Ok(None),
        None if data.is_none() => Err(Error::NoObject { kind, name: name.clone() }),
        None => Err(Error::NoKey { kind, name: name.clone(), key: key.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    use super::*;

    fn resolved(container: Value) -> Result<BTreeMap<String, String>, Error> {
        let mut sources = Sources::default();
        sources.insert(Kind::ConfigMap, "settings".into(), Some(BTreeMap::from([("LEVEL".into(), b"debug".to_vec())])));
        sources.insert(Kind::Secret, "token".into(), Some(BTreeMap::from([("value".into(), b"s3cret".to_vec())])));
        let mut container = container;
        container["name"] = json!("c");
        let container: Container = serde_json::from_value(container).unwrap();
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "web-1", "namespace": "ns"}})).unwrap();
        let facts = Facts {
            pod: &pod,
            pod_ip: Ipv4Addr::new(127, 9, 1, 0),
            host_ip: Ipv4Addr::LOCALHOST,
            allocatable: &BTreeMap::new(),
        };
        resolve(&container, &facts, &sources, BTreeMap::from([("BIND_HOST".into(), "127.9.1.0".into())]))
    }

    #[test]
    fn values_come_from_every_kind_of_source() {
        let env = resolved(json!({
            "envFrom": [{"prefix": "APP_", "configMapRef": {"name": "settings"}}],
            "env": [
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}},
                {"name": "URL", "value": "http://$(BIND_HOST):8000/$(NAME)?level=$(APP_LEVEL)"},
                {"name": "LATER", "value": "$(UNSET_YET)"},
                {"name": "EMPTY"},
            ],
        }))
        .unwrap();
        assert_eq!(env["APP_LEVEL"], "debug");
        assert_eq!(env["SECRET"], "s3cret");
        assert_eq!(env["URL"], "http://127.9.1.0:8000/web-1?level=debug");
        assert_eq!(env["LATER"], "$(UNSET_YET)");
        assert_eq!(env["EMPTY"], "");
    }

    #[test]
    fn a_missing_source_is_an_error_unless_it_is_optional() {
        let reference = |optional: bool| json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "none", "optional": optional}}}]});
        let error = Error::NoKey { kind: Kind::ConfigMap, name: "settings".into(), key: "none".into() };
        assert_eq!(resolved(reference(false)), Err(error));
        assert!(!resolved(reference(true)).unwrap().contains_key("A"));
        let whole = json!({"envFrom": [{"secretRef": {"name": "none"}}]});
        assert_eq!(resolved(whole).unwrap_err().to_string(), "secret \"none\" not found");
    }
}
