use serde_json::{Map, Value, json};

use super::*;

fn schema() -> Value {
    json!({"properties": {
        "metadata": {"properties": {"labels": {"additionalProperties": {"type": "string"}}}},
        "spec": {"properties": {
            "replicas": {"type": "integer"},
            "selector": {"x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
            "containers": {
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"properties": {"name": {}, "image": {}, "args": {"type": "array", "items": {}}}},
            },
        }},
        "status": {"properties": {"phase": {}}},
    }})
}

fn writer(manager: &str) -> Writer<'_> {
    Writer { manager, api_version: "v1", subresource: "", now: "2026-01-01T00:00:00Z", status_is_separate: true }
}

fn applied(live: &Value, manager: &str, spec: &Value, force: bool) -> Result<Value, Failure> {
    let (definitions, schema) = (Map::new(), schema());
    apply(live, &json!({"spec": spec}), Some(Node::new(&definitions, &schema)), &writer(manager), force)
}

fn updated(live: &Value, manager: &str, change: impl FnOnce(&mut Value)) -> Value {
    let (definitions, schema) = (Map::new(), schema());
    let mut after = live.clone();
    change(&mut after);
    track_update(live, &mut after, Some(Node::new(&definitions, &schema)), &writer(manager));
    after
}

fn empty() -> Value {
    json!({"metadata": {"name": "x"}})
}

#[test]
fn a_field_left_out_of_the_next_apply_disappears() {
    let first = applied(&empty(), "a", &json!({"replicas": 1, "selector": {"k": "v"}}), false).expect("no conflict");
    let second = applied(&first, "a", &json!({"replicas": 1}), false).expect("no conflict");
    assert_eq!(second["spec"], json!({"replicas": 1}));
}

#[test]
fn a_field_that_somebody_else_applied_too_stays() {
    let first = applied(&empty(), "a", &json!({"replicas": 1}), false).expect("no conflict");
    let shared = applied(&first, "b", &json!({"replicas": 1}), false).expect("same value is no conflict");
    let left = applied(&shared, "a", &json!({}), false).expect("no conflict");
    assert_eq!(left["spec"]["replicas"], 1);
}

#[test]
fn another_value_for_an_owned_field_conflicts_and_names_the_owner() {
    let live = applied(&empty(), "a", &json!({"replicas": 1}), false).expect("no conflict");
    let failure = applied(&live, "b", &json!({"replicas": 2}), false).expect_err("owned by a");
    assert_eq!(failure.message, "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas");
    let forced = applied(&live, "b", &json!({"replicas": 2}), true).expect("forced");
    assert_eq!(forced["spec"]["replicas"], 2);
    let owners: Vec<&Value> =
        forced["metadata"]["managedFields"].as_array().expect("owned").iter().map(|entry| &entry["manager"]).collect();
    assert_eq!(owners, ["b"]);
}

#[test]
fn several_conflicts_are_listed_per_owner() {
    let live = applied(&empty(), "a", &json!({"replicas": 1, "selector": {"k": "v"}}), false).expect("no conflict");
    let failure = applied(&live, "b", &json!({"replicas": 2, "selector": {"k": "w"}}), false).expect_err("owned by a");
    assert_eq!(
        failure.message,
        "Apply failed with 2 conflicts: conflicts with \"a\":\n- .spec.replicas\n- .spec.selector"
    );
}

#[test]
fn an_update_takes_ownership_of_what_it_changed() {
    let live = applied(&empty(), "a", &json!({"replicas": 1}), false).expect("no conflict");
    let scaled = updated(&live, "hpa", |object| object["spec"]["replicas"] = json!(3));
    let failure = applied(&scaled, "a", &json!({"replicas": 1}), false).expect_err("owned by hpa");
    assert_eq!(failure.message, "Apply failed with 1 conflict: conflict with \"hpa\" using v1: .spec.replicas");
}

#[test]
fn keyed_lists_merge_item_by_item() {
    let first =
        applied(&empty(), "a", &json!({"containers": [{"name": "x", "image": "1"}]}), false).expect("no conflict");
    let second =
        applied(&first, "b", &json!({"containers": [{"name": "y", "image": "2"}]}), false).expect("no conflict");
    let third =
        applied(&second, "a", &json!({"containers": [{"name": "x", "args": ["-v"]}]}), false).expect("no conflict");
    assert_eq!(third["spec"]["containers"], json!([{"name": "x", "args": ["-v"]}, {"name": "y", "image": "2"}]));
}

#[test]
fn status_is_not_owned_through_the_main_object() {
    let (definitions, schema) = (Map::new(), schema());
    let config = json!({"spec": {"replicas": 1}, "status": {"phase": "x"}});
    let object =
        apply(&empty(), &config, Some(Node::new(&definitions, &schema)), &writer("a"), false).expect("no conflict");
    assert_eq!(object["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
    assert!(object.get("status").is_none());
}

#[test]
fn an_added_map_belongs_to_the_one_who_added_it() {
    let object = updated(&empty(), "kubectl", |object| object["metadata"]["labels"] = json!({"app": "x"}));
    assert_eq!(
        object["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}}})
    );
}
