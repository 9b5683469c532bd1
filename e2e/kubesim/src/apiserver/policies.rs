//! `ValidatingAdmissionPolicies`: expressions that an object has to fulfil before it is stored.
//!
//! Left out are variables, parameters, and the authorizer; an expression that needs them cannot be evaluated. What such
//! a one means, the policy says by `failurePolicy`.

use kube_cel::{AdmissionRequest, GroupVersionKind, GroupVersionResource, VapEvaluator, VapExpression};
use serde_json::Value;

use super::failure::Failure;
use super::scale::serialised_selector;
use super::selector::Selector;
use super::state::{Call, State};
use super::store::{GroupResource, Key};

const GROUP: &str = "admissionregistration.k8s.io";

impl State {
    /// Has every policy that is bound to such requests judge `object`, which is to replace `old` or to be created.
    pub(super) fn consult_policies(&self, call: &Call, old: Option<&Value>, object: &Value) -> Result<(), Failure> {
        if call.resource.group == GROUP {
            // Or nobody could mend a policy that denies everything.
            return Ok(());
        }
        let policies = GroupResource::new(GROUP, "validatingadmissionpolicies");
        let bindings = GroupResource::new(GROUP, "validatingadmissionpolicybindings");
        for (key, binding) in self.store.list(&bindings, None) {
            let name = binding["spec"]["policyName"].as_str().unwrap_or_default();
            let Some(policy) = self.store.get(&policies, &Key::new("", name)) else { continue };
            let applies = self.matches(&policy["spec"]["matchConstraints"], call, old, object)
                && (binding["spec"].get("matchResources").is_none()
                    || self.matches(&binding["spec"]["matchResources"], call, old, object));
            if !applies {
                continue;
            }
            let Some(problem) = self.judge(policy, call, old, object) else { continue };
            let text =
                format!("ValidatingAdmissionPolicy '{name}' with binding '{}' denied request: {problem}", key.name);
            let actions = &binding["spec"]["validationActions"];
            let acts = |action: &str| actions.as_array().is_some_and(|all| all.iter().any(|one| one == action));
            if acts("Warn") {
                call.warn(format!("Validation failed for {}", text.replace(" denied request", "")));
            }
            if acts("Deny") {
                let subject = object["metadata"]["name"].as_str().unwrap_or_default();
                let (group, plural) = (&call.resource.group, &call.resource.plural);
                return Err(Failure::denied(group, plural, subject, &text));
            }
        }
        Ok(())
    }

    /// Whether resource rules and selectors cover a request.
    fn matches(&self, constraints: &Value, call: &Call, old: Option<&Value>, object: &Value) -> bool {
        let operation = if old.is_some() { "UPDATE" } else { "CREATE" };
        let lists = |rule: &Value, field: &str, wanted: &str| {
            let mut all = rule[field].as_array().into_iter().flatten();
            all.any(|one| one == "*" || one == wanted)
        };
        let resource = call.action.combined_resource();
        let covers = |rule: &Value| {
            lists(rule, "apiGroups", &call.resource.group)
                && lists(rule, "apiVersions", &call.resource.version)
                && lists(rule, "operations", operation)
                && (lists(rule, "resources", &resource) || lists(rule, "resources", "*/*"))
        };
        let rules = |field: &str| constraints[field].as_array().map(Vec::as_slice).unwrap_or_default();
        let wanted = rules("resourceRules");
        let selected = |selector: &Value, subject: &Value| {
            let text = serialised_selector(selector);
            text.is_empty()
                || Selector::parse(Some(&text), None, "", "", None).is_ok_and(|found| found.matches(subject))
        };
        let namespace = self.namespace(&call.target.namespace);
        (wanted.is_empty() || wanted.iter().any(covers))
            && !rules("excludeResourceRules").iter().any(covers)
            && selected(&constraints["objectSelector"], object)
            && namespace.is_none_or(|namespace| selected(&constraints["namespaceSelector"], namespace))
    }

    /// What the policy has against the object.
    fn judge(&self, policy: &Value, call: &Call, old: Option<&Value>, object: &Value) -> Option<String> {
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let mut evaluator = VapEvaluator::builder().object(object.clone()).request(request(call, old, object));
        if let Some(old) = old {
            evaluator = evaluator.old_object(old.clone());
        }
        if let Some(namespace) = self.namespace(&call.target.namespace) {
            evaluator = evaluator.namespace_object((**namespace).clone());
        }
        let evaluator = evaluator.build();
        let expressions = |field: &str| -> Vec<VapExpression> {
            let all = policy["spec"][field].as_array().into_iter().flatten();
            all.map(|one| VapExpression {
                expression: text(&one["expression"]).unwrap_or_default(),
                message: text(&one["message"]),
                message_expression: text(&one["messageExpression"]),
            })
            .collect()
        };
        let fails_open = policy["spec"]["failurePolicy"] == "Ignore";
        let conditions: Vec<Outcome> =
            expressions("matchConditions").iter().map(|one| Outcome::of(&evaluator, one)).collect();
        // One that is false settles it, whatever became of the others.
        if conditions.contains(&Outcome::False) {
            return None;
        }
        let broken = conditions.into_iter().find_map(Outcome::problem);
        if broken.is_some() {
            return broken.filter(|_| !fails_open);
        }
        for one in expressions("validations") {
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

fn request(call: &Call, old: Option<&Value>, object: &Value) -> AdmissionRequest {
    let resource = &call.resource;
    AdmissionRequest {
        operation: if old.is_some() { "UPDATE" } else { "CREATE" }.to_owned(),
        username: call.user.name.clone(),
        uid: call.user.uid.clone(),
        groups: call.user.groups.clone(),
        name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        namespace: call.target.namespace.clone(),
        dry_run: call.query.dry_run(),
        kind: GroupVersionKind {
            group: resource.group.clone(),
            version: resource.version.clone(),
            kind: resource.kind.clone(),
        },
        resource: GroupVersionResource {
            group: resource.group.clone(),
            version: resource.version.clone(),
            resource: resource.plural.clone(),
        },
    }
}
