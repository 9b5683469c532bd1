//! Whether the cluster's definition of `VariantAutoscaling` has the fields this program works with. Early releases had a
//! definition of the same version without a scale target; objects in it cannot be read, and are not worth a guess.

use serde_json::Value;

use crate::session::Session;

/// Where the API server publishes the definition. Unlike the definition itself, everybody may read it.
const DOCUMENT: &str = "/openapi/v3/apis/llmd.ai/v1alpha1";
/// Fields of `spec` without which nothing works.
const NEEDED: [&str; 3] = ["scaleTargetRef", "modelID", "variantCost"];

/// The fields that the cluster's definition lacks, such as `spec.modelID`. None when it cannot be read: whatever is
/// wrong then shows elsewhere.
pub async fn missing(session: &Session) -> Vec<String> {
    let text = session.get("read the definition of VariantAutoscaling", DOCUMENT).await;
    let document = text.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    document.as_ref().and_then(spec).map(lacks).unwrap_or_default()
}

/// The properties of `spec` in an `OpenAPI` document; `None` when it does not say.
fn spec(document: &Value) -> Option<&Value> {
    let schemas = document["components"]["schemas"].as_object()?;
    let of_kind = |schema: &&Value| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        kinds.into_iter().flatten().any(|kind| kind["kind"] == "VariantAutoscaling")
    };
    let properties = &schemas.values().find(of_kind)?["properties"]["spec"]["properties"];
    properties.is_object().then_some(properties)
}

fn lacks(properties: &Value) -> Vec<String> {
    let missing = NEEDED.iter().filter(|field| properties.get(field).is_none());
    missing.map(|field| format!("spec.{field}")).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::today(json!({"spec": {"properties": {"scaleTargetRef": {}, "modelID": {}, "variantCost": {}}}}), &[])]
    #[case::early(json!({"spec": {"properties": {"modelID": {}, "modelProfile": {}}}}), &["spec.scaleTargetRef", "spec.variantCost"])]
    #[case::without_schema(json!({"spec": {}}), &[])]
    fn a_definition_is_old_when_it_has_a_schema_without_our_fields(#[case] properties: Value, #[case] expect: &[&str]) {
        let kind = json!([{"group": "llmd.ai", "version": "v1alpha1", "kind": "VariantAutoscaling"}]);
        let schema = json!({"properties": properties, "x-kubernetes-group-version-kind": kind});
        let document = json!({"components": {"schemas": {"ai.llmd.v1alpha1.VariantAutoscaling": schema}}});
        assert_eq!(spec(&document).map(lacks).unwrap_or_default(), expect);
    }
}
