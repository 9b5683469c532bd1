use std::time::{Duration, Instant};

use tokio::sync::watch;
use vllm_sim::load::{Load, Plan, Report, Shape};

use crate::support::{MODEL, Target, quick, start, stuck};

fn plan(shape: Shape) -> Plan {
    Plan { model: MODEL.to_owned(), shape, prompt_tokens: 20, max_tokens: 5, timeout: Duration::from_secs(10) }
}

fn endpoints(targets: &[&Target]) -> (watch::Sender<Vec<String>>, watch::Receiver<Vec<String>>) {
    watch::channel(targets.iter().map(|target| target.url("")).collect())
}

/// Waits until the counts satisfy the condition.
async fn eventually(load: &Load, what: &str, holds: impl Fn(&Report) -> bool) -> Report {
    let started = Instant::now();
    loop {
        let report = load.report();
        if holds(&report) {
            return report;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{what}: {report:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn assert_adds_up(report: &Report) {
    let Report { sent, ok, rejected, failed, cut_off, in_flight, .. } = report;
    assert_eq!(*sent, ok + rejected + failed + cut_off + in_flight, "{report:?}");
}

#[tokio::test]
async fn a_constant_rate_is_kept() {
    // Room for the burst with which the generator makes up for a stall of this machine.
    let mut config = quick();
    config.engine.max_num_waiting = 1000;
    let target = start(config).await;
    let (_keep, urls) = endpoints(&[&target]);
    let started = Instant::now();
    let load = Load::start(&plan(Shape::Rate { per_second: 100.0 }), urls).unwrap();
    eventually(&load, "50 answers", |report| report.ok >= 50).await;
    let elapsed = started.elapsed();
    let report = load.stop(Duration::from_secs(5)).await;
    assert!(elapsed >= Duration::from_millis(480), "50 requests at 100 a second took {elapsed:?}");
    assert_eq!((report.ok, report.in_flight), (report.sent, 0), "{report:?}");
    assert!(report.latencies.percentile(99.0) >= Some(Duration::from_millis(5)), "five iterations of a millisecond");
    assert_eq!(target.metric("vllm:prefix_cache_hits_total{").await, Some(0.0), "no two prompts start alike");
    assert_eq!(
        target.metric("vllm:request_prompt_tokens_sum{").await,
        Some(f64::from(u32::try_from(report.ok * 20).unwrap()))
    );
}

#[tokio::test]
async fn concurrency_keeps_that_many_in_flight() {
    let target = start(stuck()).await;
    let (_keep, urls) = endpoints(&[&target]);
    let load = Load::start(&plan(Shape::Concurrency { clients: 3 }), urls).unwrap();
    eventually(&load, "three in flight", |report| report.in_flight == 3).await;
    load.reshape(Shape::Concurrency { clients: 5 });
    let report = eventually(&load, "five in flight", |report| report.in_flight == 5).await;
    assert_eq!(report.sent, 5);
    let report = load.stop(Duration::from_millis(50)).await;
    assert_eq!((report.cut_off, report.in_flight), (5, 0));
    target.metric_becomes("vllm:num_requests_running{", 0.0).await;
}

#[tokio::test]
async fn load_moves_to_servers_as_they_come_and_go() {
    let (first, second) = (start(quick()).await, start(quick()).await);
    let (list, urls) = endpoints(&[&first]);
    let load = Load::start(&plan(Shape::Concurrency { clients: 4 }), urls).unwrap();
    eventually(&load, "answers", |report| report.ok >= 10).await;
    list.send_replace(vec![first.url(""), second.url("")]);
    let served = "vllm:request_success_total{engine=\"0\",finished_reason=\"length\"";
    let started = Instant::now();
    while second.metric(served).await < Some(10.0) {
        assert!(started.elapsed() < Duration::from_secs(10), "the second server gets nothing");
    }
    list.send_replace(vec![]);
    eventually(&load, "rest", |report| report.in_flight == 0).await;
    let report = load.stop(Duration::ZERO).await;
    assert_eq!(report.failed, 0, "{report:?}");
    assert_adds_up(&report);
}

#[tokio::test]
async fn refusals_are_counted_apart_from_failures() {
    let target = start(stuck()).await;
    let (_keep, urls) = endpoints(&[&target]);
    let load = Load::start(&plan(Shape::Rate { per_second: 200.0 }), urls).unwrap();
    let report = eventually(&load, "refusals", |report| report.rejected >= 5).await;
    assert_adds_up(&report);
    assert_eq!(report.failed, 0, "{report:?}");
    load.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn an_open_loop_without_servers_fails() {
    let (_keep, urls) = watch::channel(Vec::new());
    let load = Load::start(&plan(Shape::Rate { per_second: 100.0 }), urls).unwrap();
    let report = eventually(&load, "failures", |report| report.failed >= 3).await;
    assert_eq!(report.last_failure.as_deref(), Some("no server to send to"));
}

#[tokio::test]
async fn a_pause_sends_nothing_until_reshaped() {
    let target = start(quick()).await;
    let (_keep, urls) = endpoints(&[&target]);
    let load = Load::start(&plan(Shape::Pause), urls).unwrap();
    tokio::task::yield_now().await;
    assert_eq!(load.report().sent, 0);
    load.reshape(Shape::Concurrency { clients: 1 });
    eventually(&load, "answers", |report| report.ok > 0).await;
}

#[tokio::test]
async fn a_reader_of_a_stream_is_told_when_the_first_token_came_and_how_far_the_others_were_apart() {
    // Room for what a busy machine makes wait.
    let mut config = quick();
    config.engine.max_num_waiting = 1000;
    let target = start(config).await;
    let (_keep, urls) = endpoints(&[&target]);
    // Long enough that the first token is not the last one's neighbour, on a busy machine as well.
    let plan = Plan { max_tokens: 100, ..plan(Shape::Poisson { per_second: 20.0, seed: 1 }) };
    let load = Load::streaming(&plan, urls).unwrap();
    eventually(&load, "20 answers", |report| report.ok >= 20).await;
    let report = load.stop(Duration::from_secs(5)).await;
    assert_eq!((report.failed, report.rejected), (0, 0), "{report}");
    let (ttft, whole) = (report.ttft.percentile(50.0).unwrap(), report.latencies.percentile(50.0).unwrap());
    assert!(ttft < whole, "{report}");
    assert!(
        report.itl.percentile(50.0) >= Some(Duration::from_micros(500)),
        "an iteration takes a millisecond: {report}"
    );
    assert!(report.to_string().contains("\nTTFT: p50 "), "{report}");
}

#[tokio::test]
async fn a_replayed_trace_asks_for_the_lengths_it_recorded_and_ends() {
    let target = start(quick()).await;
    let (_keep, urls) = endpoints(&[&target]);
    let trace = "0,30,2\n0.01,40,3\n0.02,50,4\n".parse().unwrap();
    let load = Load::start(&plan(Shape::Trace(std::sync::Arc::new(trace))), urls).unwrap();
    let report = eventually(&load, "three answers", |report| report.ok >= 3).await;
    assert_eq!(report.sent, 3);
    assert_eq!(target.metric("vllm:request_prompt_tokens_sum{").await, Some(120.0));
    assert_eq!(target.metric("vllm:request_generation_tokens_sum{").await, Some(9.0));
    load.stop(Duration::ZERO).await;
}
