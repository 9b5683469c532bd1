//! Pod Security admission: what the labels `pod-security.kubernetes.io/…` of a namespace ask of its pods.
//!
//! The checks, their order and their sentences are those of `pod-security-admission`, for the version of the standards that
//! a label such as `enforce-version` asks for.

mod checks;

use serde_json::Value;

use self::checks::Level;
use super::failure::{Cause, Failure};
use super::state::{Call, State};

const PREFIX: &str = "pod-security.kubernetes.io/";

/// Later than any version that brought a rule.
const NEWEST: u32 = u32::MAX - 1;

/// A level and the version of the standards it is of, as it is shown.
struct Policy {
    level: Level,
    /// The minor version of Kubernetes.
    minor: u32,
    shown: String,
}

impl Policy {
    /// What a namespace says for a mode; nothing is `privileged`.
    fn of(namespace: &Value, mode: &str) -> Self {
        let label = |name: String| namespace["metadata"]["labels"][name].as_str();
        let given = label(format!("{PREFIX}{mode}")).unwrap_or("privileged");
        // What cannot be read is taken for the strictest.
        let level = Level::parse(given).unwrap_or(Level::Restricted);
        let version = label(format!("{PREFIX}{mode}-version")).unwrap_or("latest");
        let minor = version.strip_prefix("v1.").and_then(|minor| minor.parse().ok());
        Self { level, minor: minor.unwrap_or(NEWEST), shown: format!("{given}:{version}") }
    }

    fn violation(&self, verb: &str, spec: &Value) -> Option<String> {
        let found = checks::violations(self.level, self.minor, spec);
        (!found.is_empty()).then(|| format!("{verb} PodSecurity {:?}: {}", self.shown, found.join(", ")))
    }
}

/// The specification of a pod, or of the pods that an object of this kind makes.
fn template<'a>(kind: &str, object: &'a Value) -> Option<&'a Value> {
    match kind {
        "Pod" => object.get("spec"),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicationController" => {
            object.pointer("/spec/template/spec")
        }
        "CronJob" => object.pointer("/spec/jobTemplate/spec/template/spec"),
        "PodTemplate" => object.pointer("/template/spec"),
        _ => None,
    }
}

impl State {
    /// Refuses a pod that the level enforced in its namespace rules out, warns of what a level warned of does, and leaves in
    /// the audit event what a level audited does. What makes pods is warned of and audited only.
    pub(super) fn check_pod_security(&self, call: &Call, old: Option<&Value>, object: &Value) -> Result<(), Failure> {
        let subresource = call.target.subresource.as_str();
        let Some(namespace) = self.namespace(&call.target.namespace) else { return Ok(()) };
        if !matches!(subresource, "" | "ephemeralcontainers") {
            return Ok(());
        }
        let is_pod = call.resource.group.is_empty() && call.resource.kind == "Pod";
        let kind = call.resource.kind.as_str();
        let Some(spec) = template(kind, object) else { return Ok(()) };
        // An update that leaves alone what is checked passes, whatever was allowed before.
        if old.is_some_and(|old| template(kind, old) == Some(spec)) {
            return Ok(());
        }
        let policy = |mode| Policy::of(namespace, mode);
        if is_pod {
            let enforced = policy("enforce");
            call.annotate(format!("{PREFIX}enforce-policy"), enforced.shown.clone());
            if let Some(why) = enforced.violation("violates", spec) {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                return Err(Failure::forbidden("", "pods", name, &why));
            }
        }
        if let Some(why) = policy("audit").violation("would violate", spec) {
            call.annotate(format!("{PREFIX}audit-violations"), why);
        }
        if let Some(why) = policy("warn").violation("would violate", spec) {
            call.warn(why);
        }
        Ok(())
    }
}

/// What is wrong with the labels of a namespace.
pub(super) fn label_problems(namespace: &Value) -> Vec<Cause> {
    let labels = namespace["metadata"]["labels"].as_object();
    let mut causes = Vec::new();
    for (name, value) in labels.into_iter().flatten() {
        let Some(mode) = name.strip_prefix(PREFIX) else { continue };
        let field = format!("metadata.labels[{name}]");
        let text = value.as_str().unwrap_or_default();
        if matches!(mode, "enforce" | "warn" | "audit") && Level::parse(text).is_none() {
            causes.push(Cause::invalid(field, value, "must be one of privileged, baseline, restricted"));
        } else if matches!(mode, "enforce-version" | "warn-version" | "audit-version") && !is_version(text) {
            causes.push(Cause::invalid(field, value, "must be \"latest\" or \"v1.x\""));
        }
    }
    causes
}

fn is_version(text: &str) -> bool {
    text == "latest" || text.strip_prefix("v1.").is_some_and(|minor| minor.parse::<u32>().is_ok())
}
