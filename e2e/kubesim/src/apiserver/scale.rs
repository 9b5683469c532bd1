//! The scale subresource: one shape for whatever has replicas.

use serde_json::{Value, json};

use super::admission::{self, Origin};
use super::attributes::Operation;
use super::convert;
use super::failure::Failure;
use super::fields::joined;
use super::patch::{json_patch, merge_patch};
use super::resource::ScalePaths;
use super::state::{Call, State};
use super::update::{Write, Written};

/// The `Scale` of an object.
pub(super) fn of(object: &Value, paths: &ScalePaths) -> Value {
    let metadata = &object["metadata"];
    let mut kept = json!({});
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = metadata.get(key) {
            kept[key] = value.clone();
        }
    }
    let number = |path: &str| at(object, path).and_then(Value::as_i64);
    let selector = match &paths.selector {
        Some(path) => at(object, path).and_then(Value::as_str).map(ToOwned::to_owned),
        None => Some(serialised_selector(&object["spec"]["selector"])),
    };
    let mut scale = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": kept,
        "spec": {},
        "status": {"replicas": number(&paths.status_replicas).unwrap_or(0)},
    });
    // A Go type that leaves zeros out.
    if let Some(replicas) = number(&paths.spec_replicas).filter(|replicas| *replicas != 0) {
        scale["spec"]["replicas"] = json!(replicas);
    }
    if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
        scale["status"]["selector"] = json!(selector);
    }
    scale
}

fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, part| value.get(part))
}

/// A structured selector as the text HPAs list pods with.
pub(super) fn serialised_selector(selector: &Value) -> String {
    let labels = selector.get("matchLabels").unwrap_or(selector);
    let mut parts: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values: Vec<&str> =
            expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let values = values.join(",");
        parts.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

impl State {
    /// Changes the replicas of an object through its scale; returns the new scale.
    pub(super) fn write_scale(&mut self, call: &Call, write: Write) -> Result<Value, Failure> {
        let paths = call.resource.scale.clone().ok_or_else(Failure::no_such_resource)?;
        let stored = self.read(call)?;
        let old = of(&convert::to_served(&call.resource, &stored), &paths);
        let mut scale = old.clone();
        let shown = match &write {
            Write::Replace(_) => None,
            Write::JsonPatch(patch)
            | Write::MergePatch(patch)
            | Write::StrategicMergePatch(patch)
            | Write::Apply { config: patch, .. } => Some(patch.to_string()),
        };
        match write {
            Write::Replace(body) => scale = body,
            Write::JsonPatch(patch) => json_patch(&mut scale, &patch)?,
            Write::MergePatch(patch) | Write::StrategicMergePatch(patch) | Write::Apply { config: patch, .. } => {
                merge_patch(&mut scale, &patch);
            }
        }
        let origin = shown.as_deref().map_or(Origin::Body, Origin::Patch);
        admission::report_fields(call, unknown(&scale), origin)?;
        self.admit_subresource(call, Operation::Update, Some(&old), &mut scale)?;
        // An update that leaves replicas out means none: Go decodes the absent field as zero.
        let replicas = scale.pointer("/spec/replicas").cloned().unwrap_or(json!(0));
        // Custom resources are judged by their own schema.
        let sound = |count: &i64| *count >= 0 || call.resource.custom().is_some();
        let Some(count) = replicas.as_i64().filter(sound) else {
            let cause =
                super::failure::Cause::invalid("spec.replicas", &replicas, "must be greater than or equal to 0");
            return Err(Failure::invalid("autoscaling", "Scale", &call.target.name, &[cause]));
        };
        let mut change = json!(count);
        for part in paths.spec_replicas.rsplit('.') {
            change = json!({ part: change });
        }
        if let Some(version) = scale.pointer("/metadata/resourceVersion") {
            change["metadata"]["resourceVersion"] = version.clone();
        }
        let Written { object, .. } = self.write(call, Write::MergePatch(change))?;
        Ok(of(&convert::to_served(&call.resource, &object), &paths))
    }
}

/// Fields that a `Scale` does not have.
fn unknown(scale: &Value) -> Vec<String> {
    let parts: [(&str, &'static [&'static str]); 3] = [
        ("", &["apiVersion", "kind", "metadata", "spec", "status"]),
        ("spec", &["replicas"]),
        ("status", &["replicas", "selector"]),
    ];
    let extra = |(part, known): (&str, &'static [&'static str])| {
        let fields = if part.is_empty() { scale } else { &scale[part] };
        let names = fields.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        let names = names.filter(|name| !known.contains(name));
        names.map(|name| joined(part, name)).collect::<Vec<_>>()
    };
    parts.into_iter().flat_map(extra).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_written_in_the_syntax_of_list_requests() {
        let selector = json!({
            "matchLabels": {"app": "x"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(serialised_selector(&selector), "app=x,tier in (a,b),!old");
    }
}
