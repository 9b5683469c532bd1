//! From flags and facts to the values of a model-only install, or to a [`Refusal`]. Pure.

pub(super) mod kept;
mod owner;
mod target;

use serde_json::{Map, Value, json};
use wva_api::{Instance, VariantAutoscaling};

use super::{AddModelArgs, Facts, Refusal};
use crate::readers::variants;
use crate::writers::install::overlay;

/// What is to be installed.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Release name.
    pub release: String,
    /// Release namespace, which is also the model's.
    pub namespace: String,
    /// Instance that is to scale the model.
    pub instance: Instance,
    /// Whether the instance was named on the command line, not found.
    pub instance_given: bool,
    /// Deployment to scale.
    pub target: String,
    /// Values over the chart's defaults.
    pub values: Map<String, Value>,
    /// What the user gave, now and before: kept with the variant for the next call.
    pub settings: Map<String, Value>,
    /// What the user should know, though it stops nothing.
    pub notes: Vec<String>,
}

/// Plans the install. `given_now` are the values of `--values` and `--set`, merged.
///
/// Precedence, weakest first: what the facts suggest, `--values`, `--set`, the other flags, what makes this a
/// model-only install for this namespace and instance.
///
/// # Errors
/// When the install would not give what was asked for.
pub fn plan(args: &AddModelArgs, given_now: &Map<String, Value>, facts: &Facts) -> Result<Plan, Refusal> {
    if let (Some(min), Some(max)) = (args.min, args.max)
        && min > max
    {
        return Err(Refusal::EmptyRange { min, max });
    }
    let before = if args.reset_values { Map::new() } else { kept::before(&args.name, facts) };
    let mut settings = before.clone();
    overlay(&mut settings, Value::Object(given_now.clone()));
    let given = &settings;
    if args.model_id.as_deref().or(text(given, "/llmd/modelID").as_deref()).is_none_or(str::is_empty) {
        return Err(Refusal::NoModelId);
    }
    if let (None, Some(max), Some(min)) = (args.min, args.max, at(given, "/hpa/minReplicas").and_then(Value::as_u64))
        && min > max.into()
    {
        return Err(Refusal::EmptyRange { min: u32::try_from(min).unwrap_or(u32::MAX), max });
    }
    let wanted = args.instance.clone().or_else(|| text(given, "/wva/controllerInstance"));
    let wanted = wanted.or_else(|| kept::instance(&args.name, facts));
    let owner = owner::choose(wanted.as_deref(), facts)?;
    let target = target::choose(args, given, facts)?;

    let fixed = json!({
        "controller": {"enabled": false},
        "va": {"enabled": true},
        "llmd": {"namespace": facts.namespace},
        "wva": {"controllerInstance": owner.instance.id().unwrap_or_default()},
    });
    refuse_overrides(given, &fixed)?;

    let mut values = Map::new();
    let service = match target.port {
        Some(port) => json!({"enabled": true, "port": port, "targetPort": port}),
        None => json!({"enabled": true}),
    };
    let suggested = json!({
        "hpa": {"enabled": true},
        "vllmService": service,
        // Not the chart's default: the controller finds the accelerator out when the label is missing.
        "va": {"accelerator": ""},
        "llmd": {"modelName": target.model_name, "deploymentName": target.name},
        // The objects are called by the name that people know, unless an earlier version of this program, or helm, has
        // called them otherwise.
        "fullnameOverride": if kept::chart_named(&args.name, given, facts) { "" } else { args.name.as_str() },
    });
    for layer in [suggested, Value::Object(given.clone()), flags(args), fixed] {
        overlay(&mut values, layer);
    }
    overlay(&mut settings, flags(args));
    let kept = kept::told(&before, given_now, &flags(args));
    Ok(Plan {
        release: args.name.clone(),
        namespace: facts.namespace.clone(),
        instance: owner.instance,
        instance_given: wanted.is_some(),
        target: target.name,
        values,
        settings,
        notes: [kept.into_iter().collect(), owner.notes, target.notes].concat(),
    })
}

/// Compares the rendered variant with those there are, and returns its name.
///
/// # Errors
/// When its name or its target is taken.
pub fn check_rendered(plan: &Plan, objects: &[&Value], facts: &Facts) -> Result<String, Refusal> {
    let rendered = objects.iter().find(|object| object["kind"] == "VariantAutoscaling");
    let name = rendered.and_then(|object| object["metadata"]["name"].as_str());
    let name = name.ok_or(Refusal::NothingToScale)?;
    for variant in facts.variants.iter().filter_map(|guarded| guarded.0.as_ref().ok()) {
        if variant.metadata.name.as_deref() == Some(name) {
            refuse_foreign(plan, name, variant)?;
        } else if names_target(variant, &plan.target) {
            let variant = variant.metadata.name.clone().unwrap_or_default();
            let (target, namespace) = (plan.target.clone(), plan.namespace.clone());
            return Err(Refusal::TargetTaken { target, variant, namespace });
        }
    }
    Ok(name.to_owned())
}

fn refuse_foreign(plan: &Plan, name: &str, variant: &VariantAutoscaling) -> Result<(), Refusal> {
    let labels = variant.metadata.labels.clone().unwrap_or_default();
    if let Some(release) = variants::release(&variant.metadata).filter(|release| *release != plan.release) {
        return Err(Refusal::VariantTaken { variant: name.to_owned(), owner: release.to_owned() });
    }
    let owner = Instance::of_labels(&labels);
    if owner != plan.instance && !plan.instance_given {
        return Err(Refusal::OtherInstance { variant: name.to_owned(), owner });
    }
    Ok(())
}

fn names_target(variant: &VariantAutoscaling, deployment: &str) -> bool {
    variant.spec.scale_target_ref.kind == "Deployment" && variant.spec.scale_target_ref.name == deployment
}

/// The flags that stand for one chart value each.
fn flags(args: &AddModelArgs) -> Value {
    let mut values = json!({});
    let mut put = |group: &str, key: &str, value: Option<Value>| {
        if let Some(value) = value {
            values[group][key] = value;
        }
    };
    put("llmd", "modelID", args.model_id.clone().map(Value::from));
    put("llmd", "modelName", args.model_name.clone().map(Value::from));
    put("llmd", "deploymentName", args.deployment.clone().map(Value::from));
    put("va", "accelerator", args.accelerator.clone().map(Value::from));
    put("va", "variantCost", args.cost.clone().map(Value::from));
    put("hpa", "minReplicas", args.min.map(Value::from));
    put("hpa", "maxReplicas", args.max.map(Value::from));
    values
}

/// `--set controller.enabled=true` would be overruled; saying so is better than doing something else in silence.
fn refuse_overrides(given: &Map<String, Value>, fixed: &Value) -> Result<(), Refusal> {
    let keys = [
        ("controller.enabled", "/controller/enabled"),
        ("va.enabled", "/va/enabled"),
        ("llmd.namespace", "/llmd/namespace"),
        ("wva.controllerInstance", "/wva/controllerInstance"),
    ];
    for (key, pointer) in keys {
        let ours = fixed.pointer(pointer).unwrap_or(&Value::Null);
        if let Some(given) = at(given, pointer).filter(|given| *given != ours) {
            return Err(Refusal::Overridden { key, ours: ours.to_string(), given: given.to_string() });
        }
    }
    Ok(())
}

/// A value by JSON pointer.
fn at<'a>(values: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    let mut parts = pointer.split('/').skip(1);
    let first = values.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// A text by JSON pointer; empty text counts as missing.
fn text(values: &Map<String, Value>, pointer: &str) -> Option<String> {
    at(values, pointer).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}
