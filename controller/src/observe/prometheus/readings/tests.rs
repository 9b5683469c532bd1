use super::super::tokens;
use super::*;

const NOW: f64 = 1_700_000_000.0;
const WINDOW: Duration = Duration::from_mins(1);

fn sample(labels: &[(&str, &str)], value: f64) -> response::Sample {
    let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    response::Sample { labels, evaluated_at: NOW, value }
}

fn of_pod(pod: &str, value: f64) -> response::Sample {
    sample(&[("namespace", "ns"), ("pod", pod), ("model_name", "llama")], value)
}

fn of_engine(pod: &str, engine: &str, value: f64) -> response::Sample {
    sample(&[("namespace", "ns"), ("pod", pod), ("model_name", "llama"), ("engine", engine)], value)
}

fn assemble(
    kv_usage: &[response::Sample],
    queue_length: &[response::Sample],
    scraped_at: &[response::Sample],
) -> Readings {
    Readings::assemble(Answers { kv_usage, queue_length, scraped_at, running: &[] }, WINDOW)
}

fn age(reading: Option<Reading>) -> Option<i64> {
    reading.map(|reading| reading.age.as_secs())
}

#[test]
fn a_missing_or_non_finite_number_stays_missing() {
    let readings = assemble(&[of_pod("a", 0.5), of_pod("b", f64::NAN)], &[of_pod("b", 3.0)], &[]);
    let a = readings.of(&ObjectKey::new("ns", "a"), "llama").unwrap();
    let b = readings.of(&ObjectKey::new("ns", "b"), "llama").unwrap();
    assert_eq!((a.kv_usage.map(|r| r.value), a.queue_length), (Some(0.5), None));
    assert_eq!((b.kv_usage, b.queue_length.map(|r| r.value)), (None, Some(3.0)));
    assert_eq!(readings.of(&ObjectKey::new("ns", "c"), "llama"), None);
}

#[test]
fn age_is_measured_by_the_clock_of_prometheus() {
    let readings = assemble(&[of_pod("a", 0.5), of_pod("gone", 0.9)], &[], &[of_pod("a", NOW - 12.0)]);
    let of = |pod| age(readings.of(&ObjectKey::new("ns", pod), "llama").unwrap().kv_usage);
    assert_eq!(of("a"), Some(12));
    assert_eq!(of("gone"), Some(60), "its series has ended, somewhere within the window");
}

#[test]
fn a_series_that_names_no_pod_is_left_out() {
    let nameless = sample(&[("namespace", "ns"), ("model_name", "llama")], 0.5);
    assert_eq!(assemble(&[nameless, of_pod("a", 0.5)], &[], &[]).pods.len(), 1);
}

#[test]
fn a_pod_that_serves_another_model_is_reported_under_that_name() {
    let readings = assemble(&[of_pod("a", 0.5)], &[], &[]);
    assert_eq!(readings.of(&ObjectKey::new("ns", "a"), "qwen").unwrap().model_id, "llama");
}

#[test]
fn of_several_engines_the_fullest_speaks_for_the_pod_and_what_they_hold_adds_up() {
    let labels = |engine| {
        [("namespace", "ns"), ("pod", "a"), ("engine", engine), ("num_gpu_blocks", "100"), ("block_size", "16")]
    };
    let caches: Vec<_> = ["0", "1"].iter().map(|engine| sample(&labels(engine), 1.0)).collect();
    let kv = [of_engine("a", "0", 0.25), of_engine("a", "1", 0.75)];
    let queues = [of_engine("a", "0", 4.0), of_engine("a", "1", 3.0)];
    let readings = assemble(&kv, &queues, &[]).with_tokens(tokens::read(&caches, &[], &[]));
    let a = readings.of(&ObjectKey::new("ns", "a"), "llama").unwrap();
    let value = |reading: Option<Reading>| reading.map(|it| it.value);
    assert_eq!((value(a.kv_usage), value(a.queue_length)), (Some(0.75), Some(4.0)));
    assert_eq!((a.tokens.kv_capacity(), a.tokens.kv_in_use, a.tokens.queued), (Some(3200), Some(1600.0), Some(7.0)));
}

#[test]
fn a_pod_under_two_spellings_of_its_labels_has_one_queue_and_the_younger_age() {
    let older = |value| {
        let labels = [("kubernetes_namespace", "ns"), ("kubernetes_pod_name", "a"), ("model_name", "llama")];
        sample(&labels, value)
    };
    let readings = assemble(&[], &[older(4.0), of_pod("a", 5.0)], &[older(NOW - 3.0), of_pod("a", NOW - 20.0)]);
    let waiting = readings.waiting(&ObjectKey::new("ns", "a"), "llama");
    assert_eq!((waiting.map(|it| it.value), age(waiting)), (Some(5.0), Some(3)));
}
