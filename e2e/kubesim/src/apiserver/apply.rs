//! Server-side apply: merging an applied configuration into an object and keeping track of who owns what.
//!
//! A manager owns the fields it last applied or changed. Applying takes fields away that it applied before
//! and left out now, unless somebody else owns them too; a field that another manager set to a different
//! value is a conflict, unless forced.

mod fieldset;
mod managers;
pub(super) mod typed;
mod walk;

use serde_json::Value;

use self::managers::Managers;
pub(super) use self::managers::Writer;
use super::failure::Failure;
use super::schema::Node;

/// Merges `config` into `live` for an apply request of `writer`, and records the ownership.
pub(super) fn apply(
    live: &Value,
    config: &Value,
    node: Option<Node<'_>>,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, Failure> {
    let whole = config;
    let config = &writer.owned_part(config);
    let applied = walk::field_set(node, config);
    let mut managers = Managers::of(live);
    let force = force || follows_client_side_apply(live, node, writer, &mut managers, config);
    let last = managers.replace_applied(writer, applied);

    let mut merged = live.clone();
    walk::merge(node, &mut merged, config);
    if let Some(last) = last {
        walk::remove(node, &mut merged, &last, &managers.union());
    }
    let difference = walk::compare(node, &writer.owned_part(live), &writer.owned_part(&merged));
    managers.take_over(writer, &difference, force)?;
    managers.store(&mut merged);
    keep_last_applied(&mut merged, whole, writer);
    Ok(merged)
}

/// What `kubectl apply` on the client's side writes down of a configuration.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether `kubectl apply --server-side` takes an object over that it applied on the client's side before: then all that
/// stands in its way are fields of that earlier configuration.
fn follows_client_side_apply(
    live: &Value,
    node: Option<Node<'_>>,
    writer: &Writer<'_>,
    managers: &mut Managers,
    config: &Value,
) -> bool {
    if writer.manager != KUBECTL {
        return false;
    }
    let Some(text) = live["metadata"]["annotations"][LAST_APPLIED].as_str() else { return false };
    let Ok(earlier) = serde_json::from_str::<Value>(text) else { return false };
    let mut merged = live.clone();
    walk::merge(node, &mut merged, config);
    let difference = walk::compare(node, &writer.owned_part(live), &writer.owned_part(&merged));
    let allowed = walk::field_set(node, &writer.owned_part(&earlier));
    managers.all_conflicts_are_in(writer, &difference, &allowed)
}

/// Who applies by `kubectl apply --server-side`.
const KUBECTL: &str = "kubectl";

/// Keeps the annotation of the client's side up to date while it is there.
fn keep_last_applied(merged: &mut Value, config: &Value, writer: &Writer<'_>) {
    if writer.manager != KUBECTL || !merged["metadata"]["annotations"][LAST_APPLIED].is_string() {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    merged["metadata"]["annotations"][LAST_APPLIED] = Value::from(format!("{config}\n"));
}

/// Records that `writer` changed `before` into `after` by an ordinary update, patch or create.
///
/// Clients may rewrite the record itself, as `kubectl apply --server-side` does with what it once applied on its own
/// side. A record left out stays as it was; one of empty entries forgets all owners.
///
/// An object without any record has forgotten its owners, and nobody becomes one by an update.
pub(super) fn track_update(before: &Value, after: &mut Value, node: Option<Node<'_>>, writer: &Writer<'_>) {
    let mut managers = if after["metadata"]["managedFields"].as_array().is_some_and(|sent| !sent.is_empty()) {
        Managers::of(after)
    } else {
        Managers::of(before)
    };
    if managers.is_empty() && before["metadata"]["uid"].is_string() {
        managers.store(after);
        return;
    }
    let difference = walk::compare(node, &writer.owned_part(before), &writer.owned_part(after));
    managers.record_update(writer, &difference);
    managers.store(after);
}

#[cfg(test)]
mod tests;
