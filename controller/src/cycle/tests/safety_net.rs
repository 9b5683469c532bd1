//! What keeps a target in force when metrics do not allow a decision: hold, say so, recover.

use rstest::rstest;

use super::log::Log;
use super::*;

/// A variant with two pods, both saturated, which has been given a third replica.
async fn scaled_up() -> Scene {
    let index =
        Index::default().with_variant(&variant("a")).with_deployment("a", 2).with_pod("a", "a-1").with_pod("a", "a-2");
    let prometheus = FakePrometheus::default();
    heal(&prometheus);
    let scene = Scene::start_with(prometheus, index, Duration::from_millis(50)).await;
    scene.desired("a", Some("3")).await;
    scene.reported("a", "MetricsAvailable", "True MetricsFound").await;
    scene
}

fn heal(prometheus: &FakePrometheus) {
    prometheus.break_down(false);
    prometheus.report_model("llama");
    prometheus.age(3.0);
    for pod in ["a-1", "a-2"] {
        prometheus.set(pod, 0.95, 9.0);
    }
}

#[rstest]
#[case::down("PrometheusError", |p: &FakePrometheus| p.break_down(true))]
#[case::empty("MetricsMissing", |p: &FakePrometheus| { p.forget("a-1"); p.forget("a-2"); })]
#[case::partial_a_pod_is_missing_from_the_scrape("MetricsMissing", |p: &FakePrometheus| p.forget("a-2"))]
#[case::nan("MetricsMissing", |p: &FakePrometheus| { p.set("a-1", f64::NAN, f64::NAN); p.set("a-2", f64::NAN, 0.0); })]
#[case::infinite("MetricsMissing", |p: &FakePrometheus| { p.set("a-1", f64::INFINITY, 0.0); p.set("a-2", 0.1, f64::NEG_INFINITY); })]
#[case::negative("MetricsMissing", |p: &FakePrometheus| { p.set("a-1", -1.0, 0.0); p.set("a-2", 0.1, -3.0); })]
#[case::wrong_model_name("ModelNotServed", |p: &FakePrometheus| p.report_model("qwen"))]
#[case::stale("MetricsStale", |p: &FakePrometheus| p.age(3600.0))]
#[tokio::test]
async fn metrics_that_allow_no_decision_hold_the_target_say_so_and_recover(
    #[case] reason: &str,
    #[case] fault: fn(&FakePrometheus),
) {
    let log = Log::default();
    let _guard = log.begin();
    let scene = scaled_up().await;
    fault(&scene.prometheus);
    scene.reported("a", "MetricsAvailable", &format!("False {reason}")).await;
    scene.reported("a", "OptimizationReady", "False MetricsUnavailable").await;
    eventually("an event", || scene.events().contains(&"SafetyNetActivated".to_owned())).await;
    let asked = scene.prometheus.requests();
    eventually("three more cycles", || scene.prometheus.requests() > asked + 9).await;
    assert_eq!(scene.gauge("wva_desired_replicas", "a").as_deref(), Some("3"), "held, and not gone");
    assert_eq!(scene.gauge("wva_current_replicas", "a").as_deref(), Some("2"));
    assert!(scene.metrics.encode(true).unwrap().contains("wva_safety_net_active 1"));
    let lines = log.lines("Safety net activated: emitted fallback metrics");
    assert_eq!(lines.len(), 1, "once, not every cycle: {lines:?}");
    let fields = [
        "variant=\"a\"",
        "currentReplicas=2",
        "desiredReplicas=3",
        "accelerator=\"A100\"",
        "fallbackSource=\"previous-desired\"",
    ];
    assert!(fields.iter().all(|field| lines[0].contains(field)), "{}", lines[0]);

    heal(&scene.prometheus);
    scene.reported("a", "MetricsAvailable", "True MetricsFound").await;
    eventually("an event", || scene.events().contains(&"SafetyNetReleased".to_owned())).await;
    assert!(scene.metrics.encode(true).unwrap().contains("wva_safety_net_active 0"));
    assert_eq!(log.lines("Safety net released").len(), 1);
    // Nothing froze: the workload follows, the load ends, and the target goes down again.
    scene.change(|index| index.apply_deployment("a", 3));
    scene.change(|index| {
        *index = std::mem::take(index).with_pod("a", "a-3");
        Effect::Now
    });
    for pod in ["a-1", "a-2", "a-3"] {
        scene.prometheus.set(pod, 0.1, 0.0);
    }
    scene.desired("a", Some("2")).await;
}

#[tokio::test]
async fn without_an_earlier_target_the_safety_net_publishes_the_current_replicas() {
    let log = Log::default();
    let _guard = log.begin();
    let index = Index::default().with_variant(&variant("a")).with_deployment("a", 4).with_pod("a", "a-1");
    let scene = Scene::start(index, LONG).await;
    scene.desired("a", Some("4")).await;
    let lines = log.lines("Safety net activated: emitted fallback metrics");
    assert!(lines[0].contains("fallbackSource=\"current-replicas\""), "{lines:?}");
    assert!(lines[0].contains("currentReplicas=4 desiredReplicas=4"), "{lines:?}");
}

/// On a clock that runs ahead whenever nothing else is left to do.
#[tokio::test(start_paused = true)]
async fn a_prometheus_that_hangs_is_given_up_on_and_the_target_is_held() {
    let scene = scaled_up().await;
    scene.prometheus.fall_silent(true);
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(scene.gauge("wva_desired_replicas", "a").as_deref(), Some("3"), "held while it is waited for");
        if scene.condition("a", "MetricsAvailable").as_deref() == Some("False PrometheusError") {
            return;
        }
    }
    panic!("the hanging Prometheus was not noticed");
}

/// Ages are differences between times of Prometheus; the clock of this machine has no part in them.
#[rstest]
#[case::years_behind(1_000_000_000.0)]
#[case::years_ahead(4_000_000_000.0)]
#[tokio::test]
async fn a_clock_that_differs_from_that_of_prometheus_changes_no_decision(#[case] clock: f64) {
    let prometheus = FakePrometheus::default();
    prometheus.set_clock(clock);
    prometheus.set("a-1", 0.95, 9.0);
    let scene = Scene::start_with(prometheus, one_variant(), Duration::from_millis(50)).await;
    scene.desired("a", Some("2")).await;
    scene.reported("a", "MetricsAvailable", "True MetricsFound").await;
    scene.prometheus.age(3600.0);
    scene.reported("a", "MetricsAvailable", "False MetricsStale").await;
    scene.desired("a", Some("2")).await;
}
