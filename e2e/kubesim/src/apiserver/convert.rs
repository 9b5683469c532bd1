//! Between the version a client speaks and the one an object is stored in.

use serde_json::{Value, json};

use super::resource::Resource;

/// From the served version to the stored form.
pub(super) fn to_stored(_resource: &Resource, object: Value) -> Value {
    object
}

/// From the stored form to what `resource` serves.
pub(super) fn to_served(resource: &Resource, object: &Value) -> Value {
    let mut object = object.clone();
    object["apiVersion"] = json!(resource.api_version());
    object["kind"] = json!(resource.kind);
    object
}
