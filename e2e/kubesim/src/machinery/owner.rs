//! Owner references, and who controls whom.

use k8s_openapi::{
    NamespaceResourceScope,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::Resource;

use super::{cache::Change, key::Key};

/// The one owner that manages an object.
pub(crate) fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

pub(crate) fn is_controlled_by(meta: &ObjectMeta, uid: Option<&str>) -> bool {
    uid.is_some() && controller_of(meta).map(|owner| owner.uid.as_str()) == uid
}

/// A reference that makes `owner` the controller and, with foreground deletion, lets it outlive its dependants.
pub(crate) fn controlled_by<K>(owner: &K) -> Option<OwnerReference>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let reference = owner.controller_owner_ref(&())?;
    Some(OwnerReference { block_owner_deletion: Some(true), ..reference })
}

/// The keys of the controllers of kind `kind` on both sides of a change.
pub(crate) fn controller_keys<K: Resource>(change: &Change<K>, kind: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = change
        .sides()
        .filter_map(|object| {
            let owner = controller_of(object.meta()).filter(|owner| owner.kind == kind)?;
            Some(Key::new(object.meta().namespace.as_deref().unwrap_or_default(), &owner.name))
        })
        .collect();
    keys.dedup();
    keys
}
