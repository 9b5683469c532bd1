//! Webhooks that change an object before it is judged and stored.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::attributes::{Attributes, Operation};
use super::super::convert;
use super::super::failure::Failure;
use super::super::patch::json_patch;
use super::super::state::{Call, State};
use super::hook::{Hook, Kind};

/// What a webhook changed, in audit events that hold bodies.
pub(in crate::apiserver) const PATCH_ANNOTATION: &str = "patch.webhook.admission.k8s.io/";
/// Whether a webhook changed anything.
const MUTATION_ANNOTATION: &str = "mutation.webhook.admission.k8s.io/";

/// What an object goes through beside the webhooks that may change it.
pub(in crate::apiserver) trait Plugins {
    /// Gives what a webhook made of the object the form of its kind.
    fn settle(&self, object: &mut Value) -> Result<(), Failure>;

    /// Has the server's own plugins look again at an object that webhooks changed.
    fn again(&self, object: &mut Value) -> Result<(), Failure>;
}

/// For objects that are not stored.
pub(in crate::apiserver) struct NoPlugins;

impl Plugins for NoPlugins {
    fn settle(&self, _: &mut Value) -> Result<(), Failure> {
        Ok(())
    }

    fn again(&self, _: &mut Value) -> Result<(), Failure> {
        Ok(())
    }
}

/// A request while it is changed.
struct Mutation<'a> {
    call: &'a Call,
    operation: Operation,
    old: Option<&'a Value>,
    plugins: &'a dyn Plugins,
}

impl State {
    /// Has webhooks change `object`, one after the other, and those again that ask for it when later ones changed it.
    pub(in crate::apiserver) fn mutate(
        &self,
        call: &Call,
        operation: Operation,
        old: Option<&Value>,
        object: &mut Value,
        plugins: &dyn Plugins,
    ) -> Result<(), Failure> {
        let hooks = self.hooks(call, Kind::Mutating);
        let mutation = Mutation { call, operation, old, plugins };
        let (mut invoked, mut again) = (BTreeSet::new(), BTreeSet::new());
        let mut changed = false;
        for (index, hook) in hooks.iter().enumerate() {
            if self.change(&mutation, object, hook, &format!("round_0_index_{index}"))? {
                changed = true;
                again.append(&mut invoked);
            }
            if hook.spec["reinvocationPolicy"] == "IfNeeded" {
                invoked.insert(index);
            }
        }
        if !changed {
            return Ok(());
        }
        let before = object.clone();
        plugins.again(object)?;
        if before != *object {
            again.append(&mut invoked);
        }
        for (index, hook) in hooks.iter().enumerate() {
            if again.contains(&index) && self.change(&mutation, object, hook, &format!("round_1_index_{index}"))? {
                again.append(&mut invoked);
            }
        }
        Ok(())
    }

    /// Has one webhook change `object`; whether it did.
    fn change(
        &self,
        mutation: &Mutation<'_>,
        object: &mut Value,
        hook: &Hook<'_>,
        place: &str,
    ) -> Result<bool, Failure> {
        let Mutation { call, operation, old, plugins } = *mutation;
        let attributes = Attributes::of_subresource(call, operation, old, object);
        let Some(resource) = self.invoked(hook, &attributes)? else { return Ok(false) };
        let note = |mutated: bool| {
            let told = json!({"configuration": hook.configuration, "webhook": hook.name(), "mutated": mutated});
            call.annotate(format!("{MUTATION_ANNOTATION}{place}"), told.to_string());
        };
        let question = self.question(hook, &attributes, &resource)?;
        let patch = match call.consult(hook, question, place)?.map(|response| response.patch()) {
            None | Some(Ok(None)) => {
                note(false);
                return Ok(false);
            }
            Some(Err(problem)) => {
                note(false);
                return hook.excuse(call, &problem, place).map(|()| false);
            }
            Some(Ok(Some(patch))) => patch,
        };
        if operation == Operation::Delete {
            return Err(Failure::internal_error(&format!(
                "admission webhook {:?} attempted to modify the object, which is not supported for this operation",
                hook.name()
            )));
        }
        let converted = resource.version != call.resource.version || resource.group != call.resource.group;
        let mut patched = if converted {
            convert::to_served(&resource, &convert::to_stored(&call.resource, object.clone()))
        } else {
            object.clone()
        };
        json_patch(&mut patched, &patch).map_err(|failure| Failure::internal_error(&failure.message))?;
        if converted {
            patched = convert::to_served(&call.resource, &convert::to_stored(&resource, patched));
        }
        plugins.settle(&mut patched)?;
        let mutated = patched != *object;
        note(mutated);
        let told = json!({
            "configuration": hook.configuration, "webhook": hook.name(), "patch": patch, "patchType": "JSONPatch",
        });
        call.annotate(format!("{PATCH_ANNOTATION}{place}"), told.to_string());
        *object = patched;
        Ok(mutated)
    }
}
