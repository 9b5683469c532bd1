//! Rules that cannot be compiled, in the words of the compiler of CEL.
//!
//! Types are not inferred: found are faults of syntax, and fields of `self` that its schema does not declare.

use std::sync::LazyLock;

use kube_cel::compile_schema;
use regex::Regex;
use serde_json::{Value, json};

/// What an operand may begin with.
const OPERAND: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, \
    BYTES, IDENTIFIER}";

/// Texts in quotes, which are no code.
static QUOTED: LazyLock<Regex> = LazyLock::new(|| pattern(r#"'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*""#));
/// A field of `self` or `oldSelf`; with a parenthesis it is a function.
static SELECTION: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|[^\w.])(?:self|oldSelf)\.([A-Za-z_]\w*)(\s*\()?"));

fn pattern(text: &str) -> Regex {
    // The patterns are constants, and the tests of definitions use them.
    Regex::new(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

/// Why `rule` cannot be compiled for values of `schema`.
pub(super) fn problem(rule: &str, schema: &Value, root: bool) -> Option<String> {
    let told = |at: usize, what: &str| {
        let line = rule.lines().next().unwrap_or_default();
        format!("compilation failed: ERROR: <input>:1:{}: {what}\n | {line}\n | {}^", at + 1, ".".repeat(at))
    };
    let trimmed = rule.trim_end();
    if trimmed.ends_with(['+', '-', '*', '/', '<', '>', '=', '&', '|', '(']) && !rule.contains('\n') {
        let what = format!("Syntax error: mismatched input '<EOF>' expecting {OPERAND}");
        return Some(told(rule.chars().count(), &what));
    }
    let alone = json!({"type": schema["type"], "x-kubernetes-validations": [{ "rule": rule }]});
    if let Some(error) = compile_schema(&alone).compilation_errors().first() {
        return Some(format!("compilation failed: {error}"));
    }
    let code = QUOTED.replace_all(rule, |quoted: &regex::Captures<'_>| " ".repeat(quoted[0].len()));
    let undeclared = SELECTION.captures_iter(&code).find_map(|found| {
        let field = found.get(1)?;
        let function = found.get(2).is_some();
        (!function && !declares(schema, field.as_str(), root)).then_some(field)
    })?;
    Some(told(undeclared.start().saturating_sub(1), &format!("undefined field '{}'", undeclared.as_str())))
}

/// Whether rules may select a field of a value.
fn declares(schema: &Value, field: &str, root: bool) -> bool {
    let name = field.strip_prefix("__").and_then(|rest| rest.strip_suffix("__")).unwrap_or(field);
    // Characters that names in CEL lack are spelt out.
    let name = name
        .replace("__dot__", ".")
        .replace("__dash__", "-")
        .replace("__slash__", "/")
        .replace("__underscores__", "__");
    let whole = root || schema["x-kubernetes-embedded-resource"] == true;
    if whole && matches!(field, "metadata" | "apiVersion" | "kind") {
        return true;
    }
    match schema["type"].as_str() {
        Some("object") => {
            schema["additionalProperties"].is_object()
                || !schema["properties"].is_object()
                || schema["properties"].get(&name).is_some()
                || schema["properties"].get(field).is_some()
        }
        Some(_) => false,
        None => true,
    }
}
