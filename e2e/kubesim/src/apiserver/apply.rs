//! Server-side apply: merging an applied configuration into an object and keeping track of who owns what.
//!
//! A manager owns the fields it last applied or changed. Applying takes fields away that it applied before
//! and left out now, unless somebody else owns them too; a field that another manager set to a different
//! value is a conflict, unless forced.

mod fieldset;
mod managers;
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
    let config = writer.owned_part(config);
    let applied = walk::field_set(node, &config);
    let mut managers = Managers::of(live);
    let last = managers.replace_applied(writer, applied);

    let mut merged = live.clone();
    walk::merge(node, &mut merged, &config);
    if let Some(last) = last {
        walk::remove(node, &mut merged, &last, &managers.union());
    }
    let difference = walk::compare(node, &writer.owned_part(live), &writer.owned_part(&merged));
    managers.take_over(writer, &difference, force)?;
    managers.store(&mut merged);
    Ok(merged)
}

/// Records that `writer` changed `before` into `after` by an ordinary update, patch or create.
///
/// Clients may rewrite the record itself, as `kubectl apply --server-side` does with what it once applied on its own
/// side. A record left out stays as it was; one of empty entries forgets all owners.
pub(super) fn track_update(before: &Value, after: &mut Value, node: Option<Node<'_>>, writer: &Writer<'_>) {
    let mut managers = match Managers::of(after) {
        sent if sent.is_empty() => Managers::of(before),
        sent => sent,
    };
    let difference = walk::compare(node, &writer.owned_part(before), &writer.owned_part(after));
    managers.record_update(writer, &difference);
    managers.store(after);
}

#[cfg(test)]
mod tests;
