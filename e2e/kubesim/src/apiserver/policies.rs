//! `ValidatingAdmissionPolicies`: expressions that an object has to fulfil before it is stored.
//!
//! Left out are variables, parameters, and the authorizer; an expression that needs them cannot be evaluated. What such
//! a one means, the policy says by `failurePolicy`.

use kube_cel::{VapEvaluator, VapExpression};
use serde_json::Value;

use super::attributes::{Attributes, GROUP};
use super::failure::Failure;
use super::state::State;
use super::store::{GroupResource, Key};

impl State {
    /// Has every policy that is bound to such requests judge one.
    pub(super) fn consult_policies(&self, attributes: &Attributes<'_>) -> Result<(), Failure> {
        let call = attributes.call;
        if call.resource.group == GROUP {
            return Ok(());
        }
        let policies = GroupResource::new(GROUP, "validatingadmissionpolicies");
        let bindings = GroupResource::new(GROUP, "validatingadmissionpolicybindings");
        for (key, binding) in self.store.list(&bindings, None) {
            let name = binding["spec"]["policyName"].as_str().unwrap_or_default();
            let Some(policy) = self.store.get(&policies, &Key::new("", name)) else { continue };
            let applies = self.matches(&policy["spec"]["matchConstraints"], attributes)
                && (binding["spec"].get("matchResources").is_none()
                    || self.matches(&binding["spec"]["matchResources"], attributes));
            if !applies {
                continue;
            }
            let Some(problem) = self.judge(policy, attributes) else { continue };
            let text =
                format!("ValidatingAdmissionPolicy '{name}' with binding '{}' denied request: {problem}", key.name);
            let actions = &binding["spec"]["validationActions"];
            let acts = |action: &str| actions.as_array().is_some_and(|all| all.iter().any(|one| one == action));
            if acts("Warn") {
                call.warn(format!("Validation failed for {}", text.replace(" denied request", "")));
            }
            if acts("Deny") {
                let (group, plural) = (&call.resource.group, &call.resource.plural);
                return Err(Failure::denied(group, plural, &attributes.name, &text));
            }
        }
        Ok(())
    }

    /// Whether resource rules and selectors cover a request.
    fn matches(&self, constraints: &Value, attributes: &Attributes<'_>) -> bool {
        let rules = |field: &str| constraints[field].as_array().map(Vec::as_slice).unwrap_or_default();
        let covers = |rule: &Value| attributes.are_covered(rule, &attributes.call.resource);
        let wanted = rules("resourceRules");
        (wanted.is_empty() || wanted.iter().any(covers))
            && !rules("excludeResourceRules").iter().any(covers)
            && self.selects(constraints, attributes)
    }

    /// What expressions about a request are evaluated with.
    fn evaluator(&self, attributes: &Attributes<'_>) -> VapEvaluator {
        let mut evaluator = VapEvaluator::builder().request(attributes.request());
        if let Some(object) = attributes.object {
            evaluator = evaluator.object(object.clone());
        }
        if let Some(old) = attributes.old {
            evaluator = evaluator.old_object(old.clone());
        }
        if let Some(namespace) = self.namespace(attributes.namespace()) {
            evaluator = evaluator.namespace_object((**namespace).clone());
        }
        evaluator.build()
    }

    /// Whether all `matchConditions` of `spec`, a policy's or a webhook's, hold; an error is one that cannot be
    /// evaluated.
    pub(super) fn conditions_hold(&self, spec: &Value, attributes: &Attributes<'_>) -> Result<bool, String> {
        let conditions = expressions(spec, "matchConditions");
        if conditions.is_empty() {
            return Ok(true);
        }
        let evaluator = self.evaluator(attributes);
        let outcomes: Vec<Outcome> = conditions.iter().map(|one| Outcome::of(&evaluator, one)).collect();
        // One that is false settles it, whatever became of the others.
        if outcomes.contains(&Outcome::False) {
            return Ok(false);
        }
        outcomes.into_iter().find_map(Outcome::problem).map_or(Ok(true), Err)
    }

    /// What the policy has against the request.
    fn judge(&self, policy: &Value, attributes: &Attributes<'_>) -> Option<String> {
        let spec = &policy["spec"];
        let fails_open = spec["failurePolicy"] == "Ignore";
        match self.conditions_hold(spec, attributes) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(problem) => return Some(problem).filter(|_| !fails_open),
        }
        let evaluator = self.evaluator(attributes);
        for one in expressions(spec, "validations") {
            match Outcome::of(&evaluator, &one) {
                Outcome::Error(problem) if !fails_open => return Some(problem),
                Outcome::True | Outcome::Error(_) => {}
                Outcome::False => {
                    let says_why = one.message.is_some() || one.message_expression.is_some();
                    let said = evaluator.evaluate(std::slice::from_ref(&one)).pop().and_then(|result| result.message);
                    let plain = || format!("failed expression: {}", one.expression);
                    return Some(said.filter(|_| says_why).unwrap_or_else(plain));
                }
            }
        }
        None
    }
}

fn expressions(spec: &Value, field: &str) -> Vec<VapExpression> {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let all = spec[field].as_array().into_iter().flatten();
    all.map(|one| VapExpression {
        expression: text(&one["expression"]).unwrap_or_default(),
        message: text(&one["message"]),
        message_expression: text(&one["messageExpression"]),
    })
    .collect()
}

/// What became of one expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    True,
    False,
    /// It cannot be evaluated for this object, and why.
    Error(String),
}

impl Outcome {
    fn of(evaluator: &VapEvaluator, wanted: &VapExpression) -> Self {
        let expression = &wanted.expression;
        // Without a message of its own, what the evaluator says of a false expression is known.
        let bare = VapExpression { expression: expression.clone(), message: None, message_expression: None };
        let denial = format!("validation expression '{expression}' evaluated to false");
        match evaluator.evaluate(&[bare]).pop() {
            Some(result) if result.passed => Self::True,
            Some(result) if result.message.as_deref() == Some(&denial) => Self::False,
            result => {
                let why = result.and_then(|result| result.message).unwrap_or_default();
                let why = why.trim_start_matches("evaluation error: ");
                Self::Error(format!("expression '{expression}' resulted in error: {why}"))
            }
        }
    }

    fn problem(self) -> Option<String> {
        match self {
            Self::Error(problem) => Some(problem),
            Self::True | Self::False => None,
        }
    }
}
