//! Kinds that scale by making other kinds: their pods are found by the selector of their scale subresource.

use std::collections::BTreeMap;

use rstest::rstest;

use super::*;
use crate::cluster::index::{Scale, TargetKey, convert};
use crate::cluster::selector;
use crate::fixtures::{variant, variant_on, yaml};

const ROLLOUT: &str = "apiVersion: argoproj.io/v1alpha1, kind: Rollout";

/// A pod with label `app`, of the `ReplicaSet` with this uid.
fn pod(index: &mut Index, name: &str, app: &str, set: &str) {
    let object = yaml(&format!(
        "{{metadata: {{namespace: ns, name: {name}, labels: {{app: {app}}}, ownerReferences: \
         [{{apiVersion: apps/v1, kind: ReplicaSet, name: s, uid: {set}, controller: true}}]}}, status: {{phase: Running}}}}"
    ));
    let _effect = index.apply(ObjectKey::new("ns", name), convert::pod(object).unwrap());
}

/// A `ReplicaSet` that something with this kind and uid made.
fn set(index: &mut Index, uid: &str, (kind, owner): (&str, &str)) {
    let object = yaml(&format!(
        "{{metadata: {{namespace: ns, name: {uid}, uid: {uid}, ownerReferences: \
         [{{apiVersion: x/v1, kind: {kind}, name: o, uid: {owner}, controller: true}}]}}}}"
    ));
    let _effect = index.apply(ObjectKey::new("ns", uid), convert::replica_set(object).unwrap());
}

/// Makes the target of variant `name` a found one with this uid, whose pods have label `app: a`.
fn found(index: &mut Index, name: &str, uid: &str) {
    let key = ObjectKey::new("ns", name);
    let scale = Scale {
        uid: uid.to_owned(),
        deleting: false,
        spec_replicas: 1,
        status_replicas: 1,
        pods: Some(selector::parse("app=a").unwrap()),
        pod_labels: BTreeMap::new(),
        accelerator: None,
        gpus_per_replica: 1,
        server: None,
    };
    let target = TargetKey::of("ns", &index.variants[&key].target).unwrap();
    let _effect = index.set_scaled(target, Scaled::Found(Box::new(scale)));
}

fn names(index: &Index, variant: &str) -> Vec<String> {
    let found = &index.variants[&ObjectKey::new("ns", variant)];
    let Target::Found(target) = index.target("ns", &found.target) else { panic!("no target") };
    let mut names: Vec<_> = Pods::of(index).find("ns", target.pods).iter().map(|(key, _)| key.name.clone()).collect();
    names.sort();
    names
}

/// A variant on a Rollout, whose pods are behind two `ReplicaSet`s: the stable one and the canary.
fn rollout() -> Index {
    let mut index = Index::default().with_variant(&variant("a").replace("kind: Deployment", ROLLOUT));
    for uid in ["stable", "canary"] {
        set(&mut index, uid, ("Rollout", "uid-rollout"));
        pod(&mut index, uid, "a", uid);
    }
    found(&mut index, "a", "uid-rollout");
    index
}

#[test]
fn pods_of_a_rollout_are_found_behind_its_replica_sets() {
    assert_eq!(names(&rollout(), "a"), ["canary", "stable"]);
}

#[test]
fn pods_of_a_plain_replica_set_are_its_own() {
    let mut index = Index::default().with_variant(&variant("a").replace("kind: Deployment", "kind: ReplicaSet"));
    pod(&mut index, "a-1", "a", "uid-set");
    pod(&mut index, "b-1", "b", "uid-set");
    found(&mut index, "a", "uid-set");
    assert_eq!(names(&index, "a"), ["a-1"]);
}

#[rstest]
#[case::deployment_that_is_no_target(false, &["canary", "stable", "web"])]
#[case::deployment_of_another_variant(true, &["canary", "stable"])]
fn pods_of_another_targets_deployment_are_none_of_a_rollouts(#[case] is_target: bool, #[case] expect: &[&str]) {
    let mut index = rollout().with_deployment("web", 1);
    if is_target {
        index = index.with_variant(&variant("web"));
    }
    pod(&mut index, "web", "a", "uid-web-1");
    assert_eq!(names(&index, "a"), expect);
    if is_target {
        assert_eq!(names(&index, "web"), ["web"]);
    }
}

#[test]
fn pods_of_another_target_of_the_same_labels_are_not_counted_twice() {
    let other = variant_on("b", "b").replace("kind: Deployment", ROLLOUT);
    let mut index = rollout().with_variant(&other);
    found(&mut index, "b", "uid-other");
    set(&mut index, "third", ("Rollout", "uid-other"));
    pod(&mut index, "third", "a", "third");
    assert_eq!(
        (names(&index, "a"), names(&index, "b")),
        (vec!["canary".into(), "stable".into()], vec!["third".into()])
    );
}

#[test]
fn pods_are_found_behind_a_deployment_that_the_target_made() {
    let mut index = rollout().with_deployment("made", 1);
    index.deployments.get_mut(&ObjectKey::new("ns", "made")).unwrap().owner = Some("uid-rollout".to_owned());
    pod(&mut index, "made", "a", "uid-made-1");
    assert_eq!(names(&index, "a"), ["canary", "made", "stable"]);
}

#[test]
fn owners_that_lead_in_a_circle_lead_nowhere() {
    let mut index = rollout();
    set(&mut index, "one", ("Rollout", "two"));
    set(&mut index, "two", ("Rollout", "one"));
    pod(&mut index, "odd", "a", "one");
    assert_eq!(names(&index, "a"), ["canary", "odd", "stable"]);
}

#[test]
fn pods_of_one_owner_share_their_labels_in_memory() {
    let read = convert::SharedLabels::default();
    let pod = |name: &str, app: &str| {
        read.share(
            convert::pod(yaml(&format!(
                "{{metadata: {{namespace: ns, name: {name}, labels: {{app: {app}}}, ownerReferences: \
             [{{apiVersion: apps/v1, kind: ReplicaSet, name: s, uid: s, controller: true}}]}}}}"
            )))
            .unwrap(),
        )
    };
    let (first, second, other) = (pod("1", "a"), pod("2", "a"), pod("3", "b"));
    assert!(std::sync::Arc::ptr_eq(&first.labels, &second.labels));
    assert_eq!(other.labels["app"], "b");
}
