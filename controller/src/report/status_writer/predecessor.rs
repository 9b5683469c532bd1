//! What a change of owner leaves behind: as long as the earlier owner stands in `metadata.managedFields`, it looks as if two
//! controllers wrote the status. The new owner takes the entry away with its first write; the values stay.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::ObjectMeta;
use serde_json::{Value, json};
use wva_api::Instance;

use crate::cluster::index::convert;

/// The merge patch that leaves out who wrote the status before the object was labelled for `me`; `None` when nobody did.
/// It holds for the version of `metadata` only.
pub(super) fn removal(metadata: &ObjectMeta, me: &Instance) -> Option<Value> {
    let labelled_at = convert::labelled_at(metadata)?;
    let is_predecessor = |entry: &ManagedFieldsEntry| {
        convert::status_write(entry).is_some_and(|write| write.by != *me && write.at <= labelled_at)
    };
    let all = metadata.managed_fields.as_ref()?;
    let rest: Vec<_> = all.iter().filter(|entry| !is_predecessor(entry)).collect();
    let changes = rest.len() < all.len();
    changes.then(|| json!({"metadata": {"resourceVersion": metadata.resource_version, "managedFields": rest}}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::yaml;

    /// An object that was labelled for `new` at second 10, and whose status was written by these at these seconds.
    fn metadata(writers: &[(&str, u32)]) -> ObjectMeta {
        let label = "{manager: kubectl-label, operation: Update, time: '2026-01-01T00:00:10Z', fieldsType: FieldsV1, \
                     fieldsV1: {'f:metadata': {'f:labels': {'f:wva.llmd.ai/controller-instance': {}}}}}";
        let statuses = writers.iter().map(|(manager, at)| {
            format!("{{manager: {manager}, operation: Apply, subresource: status, time: '2026-01-01T00:00:{at:02}Z'}}")
        });
        let entries: Vec<_> = std::iter::once(label.to_owned()).chain(statuses).collect();
        yaml(&format!("{{resourceVersion: '7', managedFields: [{}]}}", entries.join(", ")))
    }

    fn managers(patch: &Value) -> Vec<&str> {
        let entries = patch["metadata"]["managedFields"].as_array().unwrap();
        entries.iter().map(|entry| entry["manager"].as_str().unwrap()).collect()
    }

    #[test]
    fn who_wrote_before_the_label_goes_and_everybody_else_stays() {
        let me = Instance::parse("new").unwrap();
        let writers = [("wva-controller/old", 9), ("wva-controller/new", 11), ("kubectl-edit", 3)];
        let patch = removal(&metadata(&writers), &me).unwrap();
        assert_eq!(managers(&patch), ["kubectl-label", "wva-controller/new", "kubectl-edit"]);
        assert_eq!(patch["metadata"]["resourceVersion"], "7", "nobody else's change is overwritten");
    }

    #[test]
    fn a_conflict_and_a_status_of_ones_own_are_left_alone() {
        let me = Instance::parse("new").unwrap();
        assert_eq!(removal(&metadata(&[("wva-controller/old", 12), ("wva-controller/new", 11)]), &me), None);
        assert_eq!(removal(&metadata(&[("wva-controller/new", 9)]), &me), None);
    }
}
