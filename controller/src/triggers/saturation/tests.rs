use jiff::Timestamp;
use rstest::rstest;
use wva_api::Instance;
use wva_engine::{Memory, Settings, Snapshot};

use super::*;
use crate::cluster::index::Index;
use crate::fixtures::{FakePrometheus, eventually, variant};
use crate::metrics::Metrics;
use crate::observe::prometheus::{Queries, Selector, Transport};
use crate::shared::LastCycle;

fn pod(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

#[test]
fn a_replica_is_news_once_until_it_has_been_away_for_a_while() {
    let (mut known, start) = (Known::default(), Instant::now());
    let mut at = |seconds, near: &[&str]| {
        let near = near.iter().map(|name| ((pod(name), Load::KvUsage), 0.75)).collect();
        known.take(near, start + Duration::from_secs(seconds)).into_iter().map(|(pod, _)| pod).collect::<Vec<_>>()
    };
    assert_eq!(at(0, &["a"]), [pod("a")]);
    assert_eq!(at(1, &["a", "b"]), [pod("b")]);
    assert_eq!(at(20, &[]), []);
    assert_eq!(at(25, &["a"]), [], "it only swings about the limit");
    assert_eq!(at(54, &["b"]), [pod("b")], "it has been away for longer");
    assert_eq!(at(56, &["a"]), [pod("a")]);
}

#[test]
fn a_replica_is_news_again_when_its_load_has_risen() {
    let (mut known, start) = (Known::default(), Instant::now());
    let mut at = |seconds, load, value| {
        let near = [((pod("a"), load), value)].into();
        !known.take(near, start + Duration::from_secs(seconds)).is_empty()
    };
    let looks = [
        (Load::QueueLength, 3.0, true),
        (Load::QueueLength, 3.5, false),
        (Load::KvUsage, 0.72, true),
        (Load::KvUsage, 0.76, false),
        (Load::KvUsage, 0.78, true),
        (Load::QueueLength, 4.0, true),
        // Falling and rising back is what was decided on already.
        (Load::KvUsage, 0.71, false),
        (Load::KvUsage, 0.80, false),
        (Load::KvUsage, 0.95, true),
    ];
    for (second, (load, value, news)) in (0..).zip(looks) {
        assert_eq!(at(second, load, value), news, "look {second}: {load:?} {value}");
    }
}

#[test]
fn a_replica_that_has_stayed_lower_for_a_while_is_news_when_it_rises_from_there() {
    let (mut known, start) = (Known::default(), Instant::now());
    let mut at = |seconds, value| {
        let near = [((pod("a"), Load::KvUsage), value)].into();
        !known.take(near, start + Duration::from_secs(seconds)).is_empty()
    };
    assert!(at(0, 0.9));
    assert!((1..60).all(|second| !at(second, 0.4)));
    assert!(at(60, 0.5), "it has risen from what it was for half a minute");
}

/// A cycle that decided nothing by the built-in settings.
fn decided() -> LastCycle {
    let (settings, snapshot, at) = (Settings::default(), Snapshot::default(), Timestamp::UNIX_EPOCH);
    let before = Memory::default();
    let mut memory = before.clone();
    let plan = wva_engine::decide(&snapshot, &mut memory, &settings, at);
    LastCycle { at, settings, snapshot, before, memory, plan }
}

/// Looks out at a Prometheus that knows one pod, `a-1`, for a controller with variant `a`.
async fn look_at(load: f64, index: Index) -> (Arc<Shared>, FakePrometheus, tokio::task::JoinHandle<()>) {
    let prometheus = FakePrometheus::default();
    prometheus.set("a-1", load, 0.0);
    let transport = Transport::new(&prometheus.start().await).unwrap();
    let queries = Queries::new(Duration::from_mins(1), Selector::default());
    let asked = Prometheus::new(transport, queries, Metrics::new(&Instance::default()).prometheus);
    let shared = Arc::new(Shared::default());
    *shared.index() = index;
    *shared.last_cycle() = Some(decided());
    let watcher = SaturationWatcher::new(asked, Arc::clone(&shared), Leadership::always());
    (shared, prometheus, tokio::spawn(watcher.run()))
}

/// Variant `a` with one pod.
fn serving(pod: &str) -> Index {
    Index::default().with_variant(&variant("a")).with_deployment("a", 1).with_pod("a", pod)
}

#[tokio::test]
async fn a_replica_near_its_limit_wakes_the_cycle_once() {
    let (shared, prometheus, task) = look_at(0.75, serving("a-1")).await;
    shared.wake.notified().await;
    eventually("three looks", || prometheus.requests() >= 3).await;
    let again = tokio::time::timeout(Duration::from_millis(10), shared.wake.notified()).await;
    assert!(again.is_err(), "it was woken for what it knows");
    task.abort();
}

#[tokio::test]
async fn replicas_below_the_limit_and_those_of_others_wake_nobody() {
    // In the second, a pod of the same namespace that belongs to no variant.
    for (load, index) in [(0.65, serving("a-1")), (0.95, serving("a-2")), (0.95, Index::default())] {
        let (shared, prometheus, task) = look_at(load, index).await;
        eventually("two looks", || prometheus.requests() >= 2).await;
        assert!(tokio::time::timeout(Duration::from_millis(10), shared.wake.notified()).await.is_err());
        task.abort();
    }
}

#[rstest]
#[case::quick(20, 1_000)]
#[case::slow(300, 3_000)]
#[case::the_machine_stood_still(18_000, 10_000)]
fn the_pause_grows_with_what_a_look_takes_but_not_without_end(#[case] took: u64, #[case] pause: u64) {
    assert_eq!(pause_after(Duration::from_millis(took)), Duration::from_millis(pause));
}
