//! Kubernetes protobuf bodies, as typed Go clients send them.

use serde_json::Value;

/// Decodes the `k8s\0` envelope and the object in it.
pub(super) fn decode(_body: &[u8]) -> Result<Value, String> {
    Err("protobuf bodies are not served yet".to_owned())
}
