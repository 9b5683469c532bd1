use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use rstest::rstest;
use wva_api::Scope;
use wva_engine::plan::Evidence;
use wva_engine::settings::{ZeroPolicies, ZeroPolicy};
use wva_engine::snapshot::{Autoscaler, Demand, Gateway, Model, Variant, Zero};
use wva_engine::{Reason, Snapshot, Target, VariantKey};

use super::*;
use crate::cluster::pools::{Group, Pool, Served};
use crate::fixtures::{variant, variant_on};
use crate::observe::gateway::scrape::Answer;
use crate::observe::prometheus::readings::Answers;
use crate::observe::prometheus::response::Sample;
use crate::observe::prometheus::{Arrivals, Completed, Lookbacks, Readings as Metrics};
use crate::observe::{demand, snapshot};
use crate::ownership::conflict::Refusals;
use crate::ownership::variants::Ownership;
use crate::triggers::asleep;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
const RETENTION: SignedDuration = SignedDuration::from_mins(10);

fn pool(name: &str) -> PoolKey {
    PoolKey { group: Group::Stable, namespace: "ns".to_owned(), name: name.to_owned() }
}

/// Both groups answered; one pool for pods of `app: llama`.
fn pools() -> Pools {
    let mut pools = Pools { groups: Group::ALL.map(|group| (group, Served::No)).into(), ..Pools::default() };
    let selector = BTreeMap::from([("app".to_owned(), "llama".to_owned())]);
    pools.pools.insert(pool("p"), Pool { selector, picker: "p-epp".to_owned() });
    pools
}

fn queues(answer: Answer) -> Readings {
    let mut readings = Readings::default();
    readings.put(pool("p"), answer, NOW - SignedDuration::from_secs(2));
    readings
}

fn queue(model: &str, waiting: f64) -> Answer {
    Answer { queue: [(model.to_owned(), waiting)].into(), failure: None }
}

/// Variants `a` and `b` of the model, `a` with so many replicas, with pods of `app: llama`.
fn index(replicas: u32) -> Index {
    let mut index = Index::default()
        .with_variant(&variant("a"))
        .with_deployment("a", replicas)
        .with_variant(&variant("b"))
        .with_deployment("b", 0);
    for deployment in index.deployments.values_mut() {
        deployment.pod_labels = BTreeMap::from([("app".to_owned(), "llama".to_owned())]);
    }
    index
}

fn of_pod(pod: &str, value: f64) -> Sample {
    sample(&[("namespace", "ns"), ("pod", pod), ("model_name", "llama")], value)
}

fn sample(labels: &[(&str, &str)], value: f64) -> Sample {
    let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Sample { labels, evaluated_at: 1000.0, value }
}

/// Metrics that say so much of each pod: running, waiting.
fn metrics(pods: &[(&str, f64, f64)], completed: Option<f64>) -> Metrics {
    let of = |value: fn(&(&str, f64, f64)) -> f64| -> Vec<Sample> {
        pods.iter().map(|pod| of_pod(pod.0, value(pod))).collect()
    };
    let answers = Answers {
        running: &of(|pod| pod.1),
        queue_length: &of(|pod| pod.2),
        scraped_at: &of(|_| 997.0),
        kv_usage: &[],
    };
    let labels = |pod| [("namespace", "ns"), ("pod", pod), ("model_name", "llama"), ("wva_lookback_seconds", "600")];
    // Those of a pod of nobody we know among them.
    let both = |value| [sample(&labels("a-1"), value), sample(&labels("x-1"), 100.0)];
    let completed: Vec<Sample> = completed.map(both).into_iter().flatten().collect();
    Metrics::assemble(answers, Duration::from_mins(1))
        .with_completed(Completed::read(&completed), Lookbacks::new([RETENTION], Duration::from_mins(1)))
}

fn demanded(index: &Index, pools: &Pools, queues: &Readings, metrics: &Metrics, enabled: bool) -> Demand {
    let ownership = Ownership::take(index, &Scope::default(), &Refusals::new());
    let mut snapshot = snapshot::snapshot(index, &ownership, &Ok(metrics.clone()), |_| None, Timestamp::UNIX_EPOCH);
    let policies = ZeroPolicies::all(ZeroPolicy { enabled, retention: RETENTION });
    let view = demand::View { index, pools, queues, now: NOW };
    let mut members = crate::observe::members::Members::default();
    members.note(&snapshot, index, RETENTION, NOW);
    demand::fill(&mut snapshot, view, Some(metrics), &members, &policies);
    snapshot.models[0].demand
}

fn value(reading: Option<Reading>) -> Option<f64> {
    reading.map(|reading| reading.value)
}

#[test]
fn what_is_asked_of_a_model_is_added_up_over_its_pods() {
    let index = index(2).with_pod("a", "a-1").with_pod("a", "a-2");
    let metrics = metrics(&[("a-1", 2.0, 0.0), ("a-2", 1.0, 4.0)], Some(7.5));
    let demand = demanded(&index, &pools(), &queues(queue("llama", 3.0)), &metrics, true);
    let seen = [demand.completed, demand.running, demand.waiting].map(value);
    assert_eq!(seen, [Some(7.5), Some(3.0), Some(4.0)]);
    let age = SignedDuration::from_secs(2);
    assert_eq!(demand.gateway, Gateway::Queued(Reading { value: 3.0, age }));
    assert_eq!(demand.running.unwrap().age, SignedDuration::from_secs(3));
}

#[test]
fn a_ready_pod_without_a_reading_makes_the_sum_unknown_and_a_missing_counter_is_not_zero() {
    let index = index(2).with_pod("a", "a-1").with_pod("a", "a-2");
    let demand = demanded(&index, &pools(), &Readings::default(), &metrics(&[("a-1", 0.0, 0.0)], None), true);
    assert_eq!((demand.completed, demand.running, demand.waiting), (None, None, None));
}

#[test]
fn the_rate_at_which_requests_arrive_is_that_of_the_pods_of_the_model() {
    let index = index(1).with_pod("a", "a-1");
    let labels = |pod, model| [("namespace", "ns"), ("pod", pod), ("model_name", model)];
    let of = |pod, model, rate| sample(&labels(pod, model), rate);
    let rates = [of("a-1", "llama", 4.0), of("a-1", "qwen", 9.0), of("x-1", "llama", 7.0)];
    let rates = Arrivals::read(&rates, &[], Duration::from_mins(1));
    let with_rates = metrics(&[("a-1", 2.0, 0.0)], None).with_arrivals(rates);
    let rate = |metrics: &Metrics| value(demanded(&index, &pools(), &Readings::default(), metrics, false).arrival_rate);
    assert_eq!(rate(&with_rates), Some(4.0));
    assert_eq!(rate(&metrics(&[("a-1", 2.0, 0.0)], None)), None, "not known is not zero");
}

#[test]
fn of_a_model_that_may_not_go_to_zero_only_the_gateway_is_looked_at() {
    let index = index(1).with_pod("a", "a-1");
    let metrics = metrics(&[("a-1", 2.0, 0.0)], Some(7.5));
    let demand = demanded(&index, &pools(), &queues(queue("llama", 3.0)), &metrics, false);
    assert_eq!((demand.completed, demand.running, demand.waiting), (None, None, None));
    assert!(matches!(demand.gateway, Gateway::Queued(_)));
}

#[rstest]
#[case::others_wait(queue("qwen", 3.0), "Queued 0")]
#[case::it_waits(queue("llama", 3.0), "Queued 3")]
#[case::a_pod_failed_but_something_is_known(Answer { failure: Some("refused".to_owned()), ..queue("llama", 1.0) }, "Queued 1")]
#[case::a_pod_failed_and_nothing_is_known(Answer { failure: Some("refused".to_owned()), ..queue("qwen", 1.0) }, "Unknown")]
fn what_waits_at_a_pool(#[case] answer: Answer, #[case] expect: &str) {
    let demand = demanded(&index(0), &pools(), &queues(answer), &metrics(&[], None), true);
    let seen = match demand.gateway {
        Gateway::Queued(reading) => format!("Queued {}", reading.value),
        other => format!("{other:?}"),
    };
    assert_eq!(seen, expect);
}

#[test]
fn without_a_pool_nothing_can_wait_once_it_is_known_that_there_is_none() {
    let of = |pools: &Pools| demanded(&index(1), pools, &Readings::default(), &metrics(&[], None), true).gateway;
    let none = Pools { pools: BTreeMap::new(), ..pools() };
    assert_eq!(of(&none), Gateway::None);
    assert_eq!(of(&Pools::default()), Gateway::Unknown, "nobody has asked yet whether pools are served");
    let mut listing = none.clone();
    listing.groups.insert(Group::Experimental, Served::Yes([None].into()));
    assert_eq!(of(&listing), Gateway::Unknown, "they are served and have not been listed");
    listing.groups.insert(Group::Experimental, Served::Yes([Some("elsewhere".to_owned())].into()));
    assert_eq!(of(&listing), Gateway::None, "they have, in this namespace");
    assert_eq!(of(&pools()), Gateway::Unknown, "there is a pool, which has not been asked yet");
}

#[test]
fn a_model_sleeps_when_none_of_its_variants_asks_for_replicas() {
    let of = |index: &Index| {
        let ownership = Ownership::take(index, &Scope::default(), &Refusals::new());
        asleep::sleepers(index, &ownership, &pools())
    };
    assert_eq!(of(&index(1)).len(), 0, "one variant runs");
    let found = of(&index(0));
    let [sleeper] = found.values().collect::<Vec<_>>()[..] else { panic!("{found:?}") };
    let variants: Vec<&str> = sleeper.variants.iter().map(|key| key.name.as_str()).collect();
    assert_eq!((variants, &sleeper.fronts), (vec!["a", "b"], &[pool("p")].into()));
    let conflicting = index(0).with_variant(&variant_on("c", "b"));
    assert_eq!(
        of(&conflicting).values().next().unwrap().variants.len(),
        1,
        "one that cannot be decided does not count"
    );
}

#[test]
fn a_variant_that_several_pools_select_is_told() {
    let mut pools = pools();
    let copy = pools.pools[&pool("p")].clone();
    pools.pools.insert(pool("o"), copy);
    let index = index(0);
    let ownership = Ownership::take(&index, &Scope::default(), &Refusals::new());
    let told = asleep::ambiguities(&index, &ownership, &pools);
    let names: Vec<(&str, &str)> = told.iter().map(|it| (it.variant.name.as_str(), it.pool.name.as_str())).collect();
    assert_eq!(names, [("a", "o"), ("b", "o")]);
}

#[rstest]
#[case::a_plain_hpa(Zero::Controller, 2, 0, true)]
#[case::who_goes_to_zero_alone(Zero::Autoscaler, 2, 0, false)]
#[case::who_keeps_replicas(Zero::Never, 2, 0, false)]
#[case::asleep_already(Zero::Controller, 0, 0, false)]
#[case::one_that_keeps_a_replica(Zero::Controller, 2, 1, false)]
fn the_controller_scales_to_zero_what_its_autoscaler_would_keep_awake(
    #[case] zero: Zero,
    #[case] spec_replicas: u32,
    #[case] replicas: u32,
    #[case] ours: bool,
) {
    let autoscaler = Some(Autoscaler { zero, ..Autoscaler::default() });
    let variant = Variant { name: "a".to_owned(), spec_replicas, autoscaler, ..Variant::default() };
    let key = ModelKey { namespace: "ns".to_owned(), model_id: "llama".to_owned() };
    let snapshot =
        Snapshot { models: vec![Model { key, variants: vec![variant], ..Model::default() }], ..Snapshot::default() };
    let target = |reason: Reason| Target {
        variant: VariantKey { namespace: "ns".to_owned(), name: "a".to_owned() },
        model_id: "llama".to_owned(),
        accelerator: "A100".to_owned(),
        current: spec_replicas,
        replicas,
        reason,
        notes: Vec::new(),
        evidence: Evidence::Complete,
    };
    let expect: Vec<_> = ours.then(|| (ObjectKey::new("ns", "a"), spec_replicas)).into_iter().collect();
    let slept = target(Reason::ScaledToZero { retention: RETENTION });
    assert_eq!(asleep::ours_to_scale(&[slept], &snapshot), expect);
    let held = target(Reason::Held);
    assert_eq!(asleep::ours_to_scale(&[held], &snapshot), [], "only an idle model is put to sleep");
}
