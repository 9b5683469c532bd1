use std::time::Duration;

use rstest::rstest;
use wva_api::{Instance, Scope};
use wva_engine::snapshot::{Bounds, Obstacle, Readiness, Reading};

use super::*;
use crate::cluster::index::{Scale, Scaled, TargetKey, convert};
use crate::cluster::selector;
use crate::fixtures::{variant, variant_on, yaml};
use crate::observe::prometheus::readings::Answers;
use crate::observe::prometheus::response::Sample;
use crate::ownership::conflict::Refusals;
use crate::ownership::variants::{Eligibility, Ignored};

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn ownership(index: &Index) -> Ownership {
    Ownership::take(index, &Scope::default(), &Refusals::new())
}

fn observed(index: &Index, readings: &Result<Readings, QueryError>) -> Snapshot {
    snapshot(index, &ownership(index), readings, |_| None, now())
}

fn answered(pods: &[(&str, f64, f64)]) -> Readings {
    let of = |value: fn(&(&str, f64, f64)) -> f64| -> Vec<Sample> {
        let sample = |pod: &(&str, f64, f64)| Sample {
            labels: [("namespace", "ns"), ("pod", pod.0), ("model_name", "llama")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            evaluated_at: 1000.0,
            value: value(pod),
        };
        pods.iter().map(sample).collect()
    };
    let answers =
        Answers { kv_usage: &of(|p| p.1), queue_length: &of(|p| p.2), running: &[], scraped_at: &of(|_| 995.0) };
    Readings::assemble(answers, Duration::from_mins(1))
}

fn one(snapshot: &Snapshot) -> &Observed {
    let [model] = &snapshot.models[..] else { panic!("one model: {snapshot:?}") };
    let [variant] = &model.variants[..] else { panic!("one variant: {model:?}") };
    variant
}

#[test]
fn a_snapshot_takes_no_more_room_than_its_variants_and_pods_need() {
    let index = Index::default().with_variant(&variant("a")).with_deployment("a", 1).with_pod("a", "a-1");
    let snapshot = observed(&index, &Ok(answered(&[("a-1", 0.4, 1.0)])));
    let variants = &snapshot.models[0].variants;
    assert_eq!((variants.len(), variants.capacity()), (1, 1), "of 1,000 models, the rest is megabytes");
    assert_eq!((variants[0].pods.len(), variants[0].pods.capacity()), (1, 1));
}

#[test]
fn a_pod_that_cannot_be_scheduled_is_observed_with_what_the_scheduler_says() {
    let status = "{phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, \
                  lastTransitionTime: '2026-01-01T00:00:00Z', message: '0/2 nodes are available: 1 Insufficient \
                  nvidia.com/gpu.'}]}";
    let index = Index::default()
        .with_variant(&variant("a"))
        .with_deployment("a", 2)
        .with_pod("a", "a-1")
        .with_pod_in_state("a", "a-2", status);

    let snapshot = observed(&index, &Ok(answered(&[("a-1", 0.5, 2.0)])));

    let obstacles: Vec<_> = one(&snapshot).pods.iter().map(|pod| pod.obstacle.clone()).collect();
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    let message = "0/2 nodes are available: 1 Insufficient nvidia.com/gpu.".to_owned();
    assert_eq!(obstacles, [None, Some(Obstacle::Unschedulable { since, message })]);
}

#[test]
fn a_variant_is_observed_with_its_pods_readings_and_limits() {
    let index = Index::default()
        .with_variant(&variant("a"))
        .with_deployment("a", 2)
        .with_pod("a", "a-1")
        .with_pod("a", "a-2")
        .with_hpa("a", 1, 6);
    let snapshot = observed(&index, &Ok(answered(&[("a-1", 0.5, 2.0)])));
    let variant = one(&snapshot);
    assert_eq!(snapshot.models[0].key, ModelKey { namespace: "ns".into(), model_id: "llama".into() });
    assert_eq!((variant.accelerator.as_str(), variant.spec_replicas, variant.current), ("A100", 2, 2));
    assert_eq!(variant.bounds, Bounds { min: Some(1), max: Some(6) });
    assert_eq!(variant.desired, None);
    assert!((variant.cost - 10.0).abs() < f64::EPSILON);
    let [first, second] = &variant.pods[..] else { panic!("two pods") };
    assert!(matches!(first.ready, Readiness::Ready { .. }));
    let reading = Reading { value: 0.5, age: jiff::SignedDuration::from_secs(5) };
    assert_eq!(first.sample.as_ref().unwrap().kv_usage, Some(reading));
    assert_eq!(second.sample, None, "no series is not zero");
}

#[test]
fn pods_belong_to_a_variant_by_their_owners_and_not_when_they_leave() {
    let mut index = Index::default()
        .with_variant(&variant("a"))
        .with_deployment("a", 1)
        .with_deployment("b", 1)
        .with_pod("a", "a-1")
        .with_pod("a", "a-2")
        .with_pod("b", "b-1");
    index.pods.get_mut(&key("a-2")).unwrap().leaving = true;
    let snapshot = observed(&index, &Ok(answered(&[])));
    assert_eq!(one(&snapshot).pods.iter().map(|pod| pod.name.as_str()).collect::<Vec<_>>(), ["a-1"]);
}

#[test]
fn the_arguments_of_a_variants_servers_are_those_of_its_targets_template() {
    let mut index = Index::default().with_variant(&variant("a")).with_deployment("a", 1);
    let deployment = "{metadata: {namespace: ns, name: a, uid: uid-a}, spec: {selector: {}, template: {spec: {containers: \
        [{name: vllm, args: [--max-num-seqs=32]}]}}}}";
    let _effect = index.apply(key("a"), convert::deployment(yaml(deployment)));
    let snapshot = observed(&index, &Ok(Readings::default()));
    assert_eq!(one(&snapshot).server.as_ref().map(|server| server.max_num_seqs), Some(32));
}

#[test]
fn pods_of_other_kinds_belong_to_a_variant_by_their_labels() {
    let pod = |name: &str, labels: &str, owner: &str| {
        let text = format!(
            "{{metadata: {{namespace: ns, name: {name}, labels: {labels}, ownerReferences: \
             [{{apiVersion: v1, kind: {owner}, name: o, uid: u, controller: true}}]}}, status: {{phase: Running}}}}"
        );
        (key(name), convert::pod(yaml(&text)))
    };
    let target = variant("a").replace("kind: Deployment", "kind: StatefulSet, apiVersion: apps/v1");
    let mut index = Index::default().with_variant(&target);
    let pods = [
        pod("leader", "{app: a, role: leader}", "StatefulSet"),
        pod("worker", "{app: a, role: worker}", "StatefulSet"),
        pod("other", "{app: b, role: leader}", "StatefulSet"),
        pod("daemon", "{app: a, role: leader}", "DaemonSet"),
    ];
    for (key, pod) in pods.into_iter().filter_map(|(key, pod)| Some((key, pod?))) {
        let _effect = index.apply(key, pod);
    }
    let target = TargetKey::of("ns", &index.variants[&key("a")].target).unwrap();
    let scale = Scale {
        uid: "uid".to_owned(),
        deleting: false,
        spec_replicas: 1,
        status_replicas: 1,
        pods: Some(selector::parse("app=a,role=leader").unwrap()),
        pod_labels: BTreeMap::new(),
        accelerator: None,
        gpus_per_replica: 8,
        server: None,
    };
    let _effect = index.set_scaled(target.clone(), Scaled::Found(Box::new(scale.clone())));
    let names = |index: &Index| -> Vec<String> {
        one(&observed(index, &Ok(Readings::default()))).pods.iter().map(|pod| pod.name.clone()).collect()
    };
    assert_eq!(names(&index), ["leader"]);
    let unknown = Scale { pods: None, ..scale };
    let _effect = index.set_scaled(target, Scaled::Found(Box::new(unknown)));
    assert_eq!(names(&index), [""; 0], "no selector is not every pod");
}

#[test]
fn a_source_that_fails_is_not_a_source_without_answers() {
    let index = Index::default().with_variant(&variant("a")).with_deployment("a", 1).with_pod("a", "a-1");
    let error = QueryError { query: "queue_length", why: "HTTP 503".to_owned() };
    let snapshot = observed(&index, &Err(error));
    let message = "query queue_length failed: HTTP 503".to_owned();
    assert_eq!(snapshot.models[0].source, Source::Failed { message });
    assert_eq!(one(&snapshot).pods[0].sample, None);
}

#[rstest]
#[case::published_wins(Some(4), 1, Some(4))]
#[case::published_wins_over_what_the_target_has(Some(4), 5, Some(4))]
#[case::stored_after_a_restart(None, 1, Some(3))]
#[case::stored_was_followed(None, 3, Some(3))]
// The status could not be written while the gauge went on and was followed: sending the target back would be a
// scale-down that nobody decided.
#[case::stored_was_not_followed_yet(None, 5, Some(3))]
fn the_last_target_is_what_was_published_or_else_what_is_stored(
    #[case] published: Option<u32>,
    #[case] replicas: u32,
    #[case] expect: Option<u32>,
) {
    let stored = variant("a").replace("spec: {", "status: {desiredOptimizedAlloc: {numReplicas: 3}}, spec: {");
    let index = Index::default().with_variant(&stored).with_deployment("a", replicas);
    let snapshot = snapshot(&index, &ownership(&index), &Ok(answered(&[])), |_| published, now());
    assert_eq!(one(&snapshot).desired, expect);
}

#[test]
fn a_stored_zero_is_a_target_and_not_its_absence() {
    let stored = variant("a").replace("spec: {", "status: {desiredOptimizedAlloc: {numReplicas: 0}}, spec: {");
    let index = Index::default().with_variant(&stored).with_deployment("a", 0);
    assert_eq!(one(&observed(&index, &Ok(answered(&[])))).desired, Some(0));
}

#[rstest]
#[case::label("A100", Some("H100"), "A100")]
#[case::target("", Some("H100"), "H100")]
#[case::nothing("", None, "unknown")]
fn the_accelerator_is_the_label_or_what_the_target_asks_for(
    #[case] label: &str,
    #[case] of_target: Option<&str>,
    #[case] expect: &str,
) {
    let text = variant("a").replace("acceleratorName: A100", &format!("acceleratorName: '{label}'"));
    let mut index = Index::default().with_variant(&text).with_deployment("a", 1);
    index.deployments.get_mut(&key("a")).unwrap().accelerator = of_target.map(str::to_owned);
    assert_eq!(one(&observed(&index, &Ok(answered(&[])))).accelerator, expect);
}

#[test]
fn variants_of_one_model_are_observed_together() {
    let index = Index::default()
        .with_variant(&variant("a"))
        .with_variant(&variant("b"))
        .with_variant(&variant("c").replace("llama", "qwen"))
        .with_deployment("a", 1)
        .with_deployment("b", 1)
        .with_deployment("c", 1);
    let snapshot = observed(&index, &Ok(answered(&[])));
    let models: Vec<_> = snapshot.models.iter().map(|m| (m.key.model_id.as_str(), m.variants.len())).collect();
    assert_eq!(models, [("llama", 2), ("qwen", 1)]);
}

#[rstest]
#[case::ready(&variant("a"), Eligibility::Ready)]
#[case::target_missing(&variant_on("a", "missing"), Eligibility::TargetMissing)]
#[case::target_shared(&variant_on("a", "shared"), Eligibility::TargetConflict(vec!["other".into()]))]
#[case::kind(&variant("a").replace("kind: Deployment", "kind: Job"), Eligibility::Unread)]
#[case::api(&variant("a").replace("kind: Deployment", "kind: Deployment, apiVersion: example.com/v1"), Eligibility::Unread)]
#[case::no_model(&variant("a").replace("modelID: llama, ", ""), Eligibility::NoModel)]
fn only_a_variant_with_a_target_of_its_own_is_decided(#[case] text: &str, #[case] expect: Eligibility) {
    let index = Index::default()
        .with_variant(text)
        .with_variant(&variant_on("other", "shared"))
        .with_deployment("a", 1)
        .with_deployment("shared", 1);
    let ownership = ownership(&index);
    assert_eq!(ownership.mine[&key("a")], expect);
    let decided = observed(&index, &Ok(answered(&[]))).models.iter().any(|m| m.variants.iter().any(|v| v.name == "a"));
    assert_eq!(decided, expect == Eligibility::Ready);
}

#[test]
fn a_target_on_its_way_out_counts_as_missing() {
    let mut index = Index::default().with_variant(&variant("a")).with_deployment("a", 1);
    index.deployments.get_mut(&key("a")).unwrap().deleting = true;
    assert_eq!(ownership(&index).mine[&key("a")], Eligibility::TargetMissing);
}

#[test]
fn what_is_not_mine_is_ignored_for_the_reason_given() {
    let labelled = variant("b").replace("labels: {", "labels: {wva.llmd.ai/controller-instance: team-b, ");
    let index = Index::default()
        .with_variant(&variant("a"))
        .with_variant(&labelled)
        .with_deployment("a", 1)
        .with_deployment("b", 1);
    let ownership_of = |scope: &Scope, index: &Index| {
        let Ownership { mine, ignored, adopted: _ } = Ownership::take(index, scope, &Refusals::new());
        let ignored: Vec<_> = ignored.into_iter().map(|(key, why)| (key.name, why)).collect();
        (mine.into_keys().map(|key| key.name).collect::<Vec<_>>(), ignored)
    };
    let anonymous = Scope::default();
    assert_eq!(ownership_of(&anonymous, &index), (vec!["a".into()], vec![("b".into(), Ignored::OtherInstance)]));
    let team_b = Scope { instance: Instance::parse("team-b").unwrap(), ..Scope::default() };
    assert_eq!(ownership_of(&team_b, &index).0, ["b"]);
    let everybody = Scope { manage_all: true, ..Scope::default() };
    assert_eq!(ownership_of(&everybody, &index).0, ["a", "b"]);
    assert_eq!(Ownership::take(&index, &everybody, &Refusals::new()).adopted, [key("b")].into());

    let mut excluded = index;
    let namespace = yaml("{metadata: {name: ns, annotations: {wva.llmd.ai/exclude: 'true'}}}");
    let _effect = excluded.apply(ObjectKey::new("", "ns"), convert::namespace(namespace));
    assert_eq!(ownership_of(&anonymous, &excluded).1[0], ("a".into(), Ignored::Excluded));
}

#[test]
fn several_autoscalers_on_one_target_leave_their_common_range() {
    let mut index = Index::default().with_variant(&variant("a")).with_deployment("a", 1).with_hpa("a", 1, 6);
    let mut second = index.hpas[&key("a-hpa")].clone();
    second.bounds = Bounds { min: Some(2), max: Some(9) };
    let _effect = index.apply(key("second"), second);
    assert_eq!(one(&observed(&index, &Ok(answered(&[])))).bounds, Bounds { min: Some(2), max: Some(6) });
}

#[rstest]
#[case::published_just_now("2026-01-01T11:59:00Z", (3, 3), 1)]
#[case::long_ago_and_scaled_by_hand_since("2026-01-01T11:00:00Z", (3, 3), 3)]
#[case::long_ago_and_put_to_sleep_by_hand_since("2026-01-01T11:00:00Z", (0, 0), 0)]
#[case::long_ago_and_followed_and_just_rolled_out("2026-01-01T11:00:00Z", (1, 2), 1)]
fn a_stored_number_counts_until_nobody_can_be_following_it_any_longer(
    #[case] at: &str,
    #[case] (asked, there): (u32, u32),
    #[case] expect: u32,
) {
    let status = format!("status: {{desiredOptimizedAlloc: {{numReplicas: 1, lastRunTime: '{at}'}}}}, spec: {{");
    let stored = variant("a").replace("spec: {", &status);
    let index = Index::default().with_variant(&stored).with_deployment_in_state("a", asked, there);
    let snapshot = observed(&index, &Ok(answered(&[])));
    let observed = one(&snapshot);
    assert_eq!(observed.desired, Some(expect));
    assert_eq!(observed.desired_since.is_some(), expect == 1, "the time is that of the stored number");
}

#[test]
fn a_stored_number_counts_for_as_long_as_its_variant_is_paused() {
    let status = "annotations: {wva.llmd.ai/paused: 'true'}}, status: {desiredOptimizedAlloc: {numReplicas: 4, \
                  lastRunTime: '2026-01-01T01:00:00Z'}}, spec: {";
    let stored = variant("a").replace("}, spec: {", &format!(", {status}"));
    let index = Index::default().with_variant(&stored).with_deployment("a", 2);
    let snapshot = observed(&index, &Ok(answered(&[])));
    let one = one(&snapshot);
    assert_eq!((one.desired, &one.pause), (Some(4), &Some(PauseRequest::Asked(Pause::default()))));
}
