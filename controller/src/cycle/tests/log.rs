//! How much is logged, at the level that is the default: what changes, and not what stays as it is.

use std::io::Write;
use std::sync::Mutex;

use super::*;

/// Keeps what is logged on this thread, where the test's tasks run too.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(super) fn begin(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub(super) fn lines(&self, with: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(with)).map(str::to_owned).collect()
    }
}

/// Variants `v0`, `v1`, … with one pod each, all decided once.
async fn with_variants(count: usize) -> Scene {
    let prometheus = FakePrometheus::default();
    let mut index = Index::default();
    for number in 0..count {
        let (name, pod) = (format!("v{number}"), format!("v{number}-1"));
        prometheus.set(&pod, 0.3, 0.0);
        index = index.with_variant(&variant(&name)).with_deployment(&name, 1).with_pod(&name, &pod);
    }
    let scene = Scene::start_with(prometheus, index, Duration::from_millis(50)).await;
    scene.desired(&format!("v{}", count - 1), Some("1")).await;
    scene
}

#[tokio::test]
async fn a_thousand_variants_that_stay_as_they_are_take_no_line_of_log() {
    let log = Log::default();
    let _guard = log.begin();
    let scene = with_variants(1000).await;
    let cycles = async |more: usize| {
        let asked = scene.prometheus.requests();
        eventually(&format!("{more} more cycles"), || scene.prometheus.requests() > asked + 3 * more).await;
    };
    cycles(2).await;
    let before = log.lines("").len();
    assert!(before < 1100, "a line for each first number, and few others: {before}");
    cycles(5).await;
    let said = log.lines("").split_off(before);
    assert!(said.is_empty(), "{said:#?}");

    // A change takes its line, however many others there are.
    scene.change(|index| index.delete::<Variant>(&ObjectKey::new("ns", "v7")));
    eventually("the end of v7 to be told", || log.lines("").len() > before).await;
    cycles(2).await;
    let lines = log.lines("");
    let said = &lines[before..];
    assert!(said.len() == 1 && said[0].contains("Removed series") && said[0].contains("v7"), "{said:#?}");
}

#[tokio::test]
async fn an_outage_takes_as_many_lines_of_log_for_hundreds_of_variants_as_for_a_few() {
    let log = Log::default();
    let _guard = log.begin();
    let scene = with_variants(300).await;
    let held = |count: &str| {
        let active = format!("wva_safety_net_active {count}\n");
        scene.metrics.encode(true).unwrap().contains(&active)
    };
    eventually("decisions on metrics", || held("0")).await;
    let before = log.lines("").len();

    scene.prometheus.break_down(true);
    eventually("every variant to be held", || held("300")).await;
    let asked = scene.prometheus.requests();
    eventually("twenty more cycles", || scene.prometheus.requests() > asked + 60).await;
    scene.prometheus.break_down(false);
    eventually("every variant to be decided again", || held("0")).await;

    let lines = log.lines("");
    let said = &lines[before..];
    assert!(said.len() <= 50, "{} lines: {said:#?}", said.len());
    for words in ["furtherVariants=280", "Prometheus does not answer", "Prometheus answers again"] {
        assert!(said.iter().any(|line| line.contains(words)), "{words}: {said:#?}");
    }
}
