//! The options of a request: in its query, or in the body of a deletion.

use axum::http::Method;
use serde_json::{Value, json};

use super::failure::{Cause, Failure};
use super::request::{Query, Target};

const MATCH: &str = "resourceVersionMatch";

/// Refuses options that are not valid, before anything else is looked at.
pub(super) fn check(method: &Method, target: &Target, query: &Query, content_type: &str) -> Result<(), Failure> {
    let apply = content_type.starts_with("application/apply-patch");
    match (target.verb(method, query), method) {
        ("create", _) => refuse("CreateOptions", &write_causes(query)),
        ("update", _) => refuse("UpdateOptions", &write_causes(query)),
        ("patch", _) => {
            let mut causes = Vec::new();
            if apply && query.get("fieldManager").is_none() {
                causes.push(Cause::required("fieldManager", "is required for apply patch"));
            }
            if !apply && query.get("force").is_some() {
                causes.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
            }
            causes.extend(write_causes(query));
            refuse("PatchOptions", &causes)
        }
        ("list", _) => list(query, false),
        ("watch", _) => list(query, true),
        _ => Ok(()),
    }
}

fn refuse(kind: &str, causes: &[Cause]) -> Result<(), Failure> {
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid_options(kind, causes)) }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|&word| word.to_owned()).collect()
}

fn write_causes(query: &Query) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(manager) = query.get("fieldManager") {
        let length = manager.chars().count();
        if length > 128 {
            causes.push(Cause::too_long("fieldManager", 128));
        }
        if let Some((at, odd)) = manager.chars().enumerate().find(|(_, c)| c.is_control()) {
            let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(odd));
            let shown: String = manager
                .chars()
                .map(|c| if c.is_control() { format!("\\x{:02x}", u32::from(c)) } else { c.to_string() })
                .collect();
            causes.push(Cause::raw("fieldManager", &format!("\"{shown}\""), &detail));
        }
    }
    causes.extend(dry_run_cause(query.get("dryRun")));
    if let Some(mode) = query.get("fieldValidation")
        && !["Ignore", "Strict", "Warn"].contains(&mode)
    {
        causes.push(Cause::unsupported("fieldValidation", &json!(mode), &words(&["", "Ignore", "Strict", "Warn"])));
    }
    causes
}

fn dry_run_cause(given: Option<&str>) -> Option<Cause> {
    let given = given.filter(|given| *given != "All")?;
    Some(Cause::unsupported("dryRun", &json!([given]), &words(&["All"])))
}

fn list(query: &Query, watch: bool) -> Result<(), Failure> {
    if let Some(seconds) = query.get("timeoutSeconds")
        && seconds.parse::<i64>().is_err()
    {
        return Err(Failure::bad_request(parse_error("ParseInt", seconds)));
    }
    if let Some(limit) = query.get("limit")
        && limit.parse::<i64>().is_err()
    {
        return Err(Failure::bad_request(parse_error("ParseInt", limit)));
    }
    let how = query.get(MATCH).unwrap_or_default();
    let version = query.get("resourceVersion").unwrap_or_default();
    let mut causes = Vec::new();
    let mut forbidden = |detail: &str| causes.push(Cause::forbidden(MATCH, detail));
    let initial = query.get("sendInitialEvents").is_some();
    if watch {
        if initial {
            if how != "NotOlderThan" {
                forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
                if !how.is_empty() {
                    causes.push(Cause::unsupported(MATCH, &json!(how), &words(&["NotOlderThan"])));
                }
                return refuse("ListOptions", &causes);
            }
        } else if !how.is_empty() {
            forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
        }
        if query.get("continue").is_some() {
            forbidden("resourceVersionMatch is forbidden when continue is provided");
        }
    } else {
        if initial {
            causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
            return refuse("ListOptions", &causes);
        }
        if !how.is_empty() {
            if version.is_empty() {
                forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided");
            }
            if query.get("continue").is_some() {
                forbidden("resourceVersionMatch is forbidden when continue is provided");
            }
        }
    }
    if !how.is_empty() && !["Exact", "NotOlderThan"].contains(&how) {
        causes.push(Cause::unsupported(MATCH, &json!(how), &words(&["Exact", "NotOlderThan", ""])));
    }
    if how == "Exact" && version == "0" {
        causes.push(Cause::forbidden(MATCH, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
    }
    refuse("ListOptions", &causes)
}

/// What Go says of a text that is no number.
pub(super) fn parse_error(function: &str, text: &str) -> String {
    format!("strconv.{function}: parsing {text:?}: invalid syntax")
}

/// Refuses options of a deletion that are not valid.
pub(super) fn check_deletion(query: &Query, body: &Value) -> Result<(), Failure> {
    if let Some(kind) = body["kind"].as_str()
        && kind != "DeleteOptions"
    {
        let version = body["apiVersion"].as_str().unwrap_or_default();
        return Err(Failure::bad_request(format!(
            "no kind {kind:?} is registered for version {version:?} in scheme \
             \"pkg/apis/meta/internalversion/scheme/register.go:27\""
        )));
    }
    let mut causes = Vec::new();
    let policy = body["propagationPolicy"].as_str().or_else(|| query.get("propagationPolicy"));
    let orphans =
        body.get("orphanDependents").is_some_and(Value::is_boolean) || query.get("orphanDependents").is_some();
    if let Some(policy) = policy {
        if !["Foreground", "Background", "Orphan"].contains(&policy) {
            let supported = words(&["Foreground", "Background", "Orphan", "nil"]);
            causes.push(Cause::unsupported("propagationPolicy", &json!(policy), &supported));
        } else if orphans {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            causes.push(Cause::invalid("propagationPolicy", &json!(policy), detail));
        }
    }
    let asked =
        body["dryRun"].as_array().and_then(|all| all.iter().find_map(|one| one.as_str().filter(|one| *one != "All")));
    causes.extend(dry_run_cause(query.get("dryRun").or(asked)));
    refuse("DeleteOptions", &causes)
}
