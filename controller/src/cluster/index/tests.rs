use rstest::rstest;

use super::*;
use crate::fixtures::{variant, variant_on};

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

fn index() -> Index {
    Index::default().with_variant(&variant("a")).with_deployment("a", 2)
}

#[test]
fn a_target_that_comes_or_goes_calls_for_a_cycle_and_another_deployment_does_not() {
    let mut index = index();
    assert_eq!(index.delete::<Deployment>(&key("a")), Effect::Now);
    assert_eq!(index.apply_deployment("a", 2), Effect::Now);
    assert_eq!(index.apply_deployment("a", 3), Effect::Later, "replicas change all the time");
    assert_eq!(index.apply_deployment("other", 3), Effect::Later);
    assert_eq!(index.delete::<Deployment>(&key("other")), Effect::Later);
}

#[test]
fn a_target_that_is_being_deleted_or_was_replaced_calls_for_a_cycle() {
    let mut index = index();
    let deployment = index.deployments[&key("a")].clone();
    let deleting = Deployment { deleting: true, ..deployment.clone() };
    assert_eq!(index.apply(key("a"), deleting), Effect::Now);
    let replaced = Deployment { uid: "another".to_owned(), ..deployment };
    assert_eq!(index.apply(key("a"), replaced), Effect::Now);
}

#[rstest]
#[case::unchanged(&variant("a"), Effect::Later)]
#[case::target(&variant_on("a", "b"), Effect::Now)]
#[case::label(&variant("a").replace("A100", "H100"), Effect::Now)]
#[case::model(&variant("a").replace("llama", "qwen"), Effect::Now)]
#[case::promise(&variant("a").replace("generation: 1", "annotations: {wva.llmd.ai/slo-tpot-ms: '10'}"), Effect::Now)]
#[case::other_annotation(&variant("a").replace("generation: 1", "annotations: {team: a}"), Effect::Later)]
#[case::cost(&variant("a").replace("spec: {", "spec: {variantCost: '80.0', "), Effect::Now)]
#[case::status(&variant("a").replace("spec: {", "status: {actuation: {applied: true}}, spec: {"), Effect::Later)]
#[case::new(&variant("b"), Effect::Now)]
fn a_variant_calls_for_a_cycle_by_everything_but_its_status(#[case] text: &str, #[case] expect: Effect) {
    assert_eq!(index().apply_variant(text), expect);
}

#[test]
fn a_deleted_variant_calls_for_a_cycle_once() {
    let mut index = index();
    assert_eq!(index.delete::<Variant>(&key("a")), Effect::Now);
    assert_eq!(index.delete::<Variant>(&key("a")), Effect::Later);
}

#[test]
fn limits_of_a_target_call_for_a_cycle_and_limits_of_something_else_do_not() {
    let mut index = index();
    assert_eq!(index.apply_hpa("a", 1, 5), Effect::Now);
    assert_eq!(index.apply_hpa("a", 1, 5), Effect::Later);
    assert_eq!(index.apply_hpa("a", 1, 8), Effect::Now);
    assert_eq!(index.apply_hpa("b", 1, 8), Effect::Later);
}

#[test]
fn an_exclusion_that_comes_or_goes_calls_for_a_cycle() {
    let excluded: BTreeMap<_, _> = [("wva.llmd.ai/exclude".to_owned(), "true".to_owned())].into();
    let namespace = ObjectKey::new("", "ns");
    let mut index = index();
    assert_eq!(index.apply(namespace.clone(), Namespace::default()), Effect::Later);
    assert_eq!(
        index.apply(namespace.clone(), Namespace { annotations: excluded.clone(), ..Namespace::default() }),
        Effect::Now
    );
    assert_eq!(
        index.apply(namespace.clone(), Namespace { annotations: excluded, ..Namespace::default() }),
        Effect::Later
    );
    assert_eq!(index.delete::<Namespace>(&namespace), Effect::Now);
}

#[test]
fn a_complete_list_drops_what_it_does_not_hold_within_its_namespace_only() {
    let mut index = index();
    let elsewhere = ObjectKey::new("elsewhere", "c");
    let copy = index.variants[&key("a")].clone();
    let _effect = index.apply(elsewhere.clone(), copy);
    assert_eq!(index.keep_only::<Variant>(Some("ns"), &BTreeSet::new()), Effect::Now);
    assert_eq!(index.variants.keys().collect::<Vec<_>>(), [&elsewhere]);
    assert_eq!(index.keep_only::<Variant>(None, &[elsewhere].into()), Effect::Later);
}

#[test]
fn writers_of_the_status_and_the_time_of_the_label_are_read_from_the_managed_fields() {
    let managed = "managedFields: [\
        {manager: kubectl, time: '2026-01-01T00:00:05Z', fieldsV1: {'f:metadata': {'f:labels': \
         {'f:wva.llmd.ai/controller-instance': {}}}}}, \
        {manager: helm, time: '2026-01-01T00:00:09Z', fieldsV1: {'f:spec': {}}}, \
        {manager: wva-controller/team-b, subresource: status, time: '2026-01-01T00:00:07Z'}, \
        {manager: wva-controller/team-c, time: '2026-01-01T00:00:07Z'}, \
        {manager: kubectl-edit, subresource: status, time: '2026-01-01T00:00:08Z'}], generation: 1";
    let index = Index::default().with_variant(&variant("a").replace("generation: 1", managed));
    let a = &index.variants[&ObjectKey::new("ns", "a")];
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    assert_eq!(a.labelled_at, Some(at("2026-01-01T00:00:05Z")));
    let by = wva_api::Instance::parse("team-b").unwrap();
    assert_eq!(a.status_writes, [StatusWrite { by, at: at("2026-01-01T00:00:07Z") }]);
}
