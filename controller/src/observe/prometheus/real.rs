//! What the queries mean, by a real Prometheus with series that hold a history.

mod server;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use wva_api::{Instance, Scope};
use wva_engine::settings::{Analyzer, PerModel, TokenThresholds, ZeroPolicies, ZeroPolicy};
use wva_engine::snapshot::{Demand, Reading};
use wva_engine::{Memory, Snapshot, decide};

use self::server::{History, Server};
use super::*;
use crate::cluster::index::{Index, Pod};
use crate::cluster::pools::Pools;
use crate::config::Matchers;
use crate::fixtures::variant;
use crate::metrics::Metrics;
use crate::observe::members::Members;
use crate::observe::{demand, snapshot};
use crate::ownership::conflict::Refusals;
use crate::ownership::variants::Ownership;

const WINDOW: Duration = Duration::from_mins(1);
const RETENTION: SignedDuration = SignedDuration::from_mins(2);

fn settings() -> Settings {
    Settings {
        zero: ZeroPolicies::all(ZeroPolicy { enabled: true, retention: RETENTION }),
        analyzer: PerModel::all(Analyzer::Saturation(TokenThresholds::default())),
        proactive: Some(wva_engine::settings::Proactive::default()),
        ..Settings::default()
    }
}

/// Everything a controller with these pods observes, of the series that the matchers select.
async fn observed(server: &Server, index: &Index, members: &mut Members, matchers: &str) -> Snapshot {
    let now = Timestamp::now();
    let selector = Selector::new(&["ns".to_owned()].into(), &Matchers::parse(matchers).unwrap());
    let prometheus = Prometheus::new(
        Transport::new(&server.config()).unwrap(),
        Queries::new(WINDOW, selector),
        Metrics::new(&Instance::default()).prometheus,
    );
    let settings = settings();
    let readings = prometheus.read(&Wanted::by(&settings)).await;
    let ownership = Ownership::take(index, &Scope::default(), &Refusals::new());
    let mut snapshot = snapshot::snapshot(index, &ownership, &readings, |_| None, now);
    members.note(&snapshot, index, RETENTION, now);
    let view = demand::View {
        index,
        pools: &Pools::default(),
        queues: &crate::observe::gateway::readings::Readings::default(),
        now,
    };
    demand::fill(&mut snapshot, view, Some(&readings.unwrap()), members, &settings.zero);
    snapshot
}

async fn demanded(server: &Server, index: &Index) -> Demand {
    observed(server, index, &mut Members::default(), "").await.models[0].demand
}

/// Variant `a` with these pods, created long ago.
fn old_pods(pods: &[&str]) -> Index {
    let index = Index::default().with_variant(&variant("a")).with_deployment("a", 1);
    pods.iter().fold(index, |index, pod| index.with_pod("a", pod))
}

/// One whole server of model `llama`: so many requests completed a second, so many in it.
fn serving(history: &mut History, labels: &str, rate: f64, present: f64) {
    let labels = format!("{labels},model_name=\"llama\"");
    history.add("vllm:num_requests_running", &labels, |_| Some(present));
    history.add("vllm:num_requests_waiting", &labels, |_| Some(0.0));
    history.add("vllm:kv_cache_usage_perc", &labels, |_| Some(0.3));
    history
        .add("vllm:request_success_total", &format!("{labels},finished_reason=\"stop\""), |at| Some(1e4 + rate * at));
}

fn is_near(reading: Option<Reading>, expect: f64) -> bool {
    reading.is_some_and(|it| (it.value - expect).abs() <= 0.05 * expect.max(1.0))
}

#[tokio::test]
async fn a_pod_that_is_scraped_twice_counts_once() {
    let mut history = History::default();
    // By two monitors, and by two Prometheus servers behind one store.
    for scraped_by in [
        r#"job="vllm-service",prometheus_replica="0""#,
        r#"job="vllm-podmonitor",prometheus_replica="0""#,
        r#"job="vllm-service",prometheus_replica="1""#,
    ] {
        serving(&mut history, &format!(r#"namespace="ns",pod="a-1",engine="0",{scraped_by}"#), 12.0, 4.0);
    }
    let server = Server::start(&history).await;
    let demand = demanded(&server, &old_pods(&["a-1"])).await;
    assert!(is_near(demand.arrival_rate, 12.0), "12 requests a second, not 24 or 36: {demand:?}");
    assert!(is_near(demand.completed, 12.0 * 120.0) && is_near(demand.running, 4.0), "{demand:?}");
}

#[tokio::test]
async fn a_pod_under_other_spellings_of_its_labels_is_found_and_counts_once() {
    let mut history = History::default();
    for labels in [
        r#"kubernetes_namespace="ns",kubernetes_pod_name="a-1""#,
        r#"k8s_namespace_name="ns",k8s_pod_name="a-1""#,
        r#"namespace="ns",pod_name="a-1""#,
    ] {
        serving(&mut history, labels, 3.0, 2.0);
    }
    let server = Server::start(&history).await;
    let demand = demanded(&server, &old_pods(&["a-1"])).await;
    assert!(is_near(demand.arrival_rate, 3.0) && is_near(demand.running, 2.0), "{demand:?}");
}

#[tokio::test]
async fn requests_of_pods_that_we_do_not_own_do_not_count() {
    let mut history = History::default();
    serving(&mut history, r#"namespace="ns",pod="a-1",cluster="east""#, 0.0, 0.0);
    // A pod of no variant, or of another instance; the same in another cluster; one of ours in another namespace.
    serving(&mut history, r#"namespace="ns",pod="other-1",cluster="east""#, 5.0, 3.0);
    serving(&mut history, r#"namespace="ns",pod="a-7d9c5b7f6d-other",cluster="west""#, 5.0, 3.0);
    serving(&mut history, r#"namespace="elsewhere",pod="a-1",cluster="east""#, 5.0, 3.0);
    let server = Server::start(&history).await;
    let demand = demanded(&server, &old_pods(&["a-1"])).await;
    let seen = [demand.completed, demand.running, demand.arrival_rate].map(|it| it.map(|it| it.value));
    assert_eq!(seen, [Some(0.0); 3], "an idle model stays idle");
}

#[tokio::test]
async fn matchers_tell_pods_of_one_name_in_two_clusters_apart() {
    let mut history = History::default();
    serving(&mut history, r#"namespace="ns",pod="a-0",cluster="east""#, 1.0, 1.0);
    serving(&mut history, r#"namespace="ns",pod="a-0",cluster="west""#, 5.0, 9.0);
    let server = Server::start(&history).await;
    let mut rates = Vec::new();
    for matchers in [r#"cluster="east""#, r#"cluster="west""#] {
        let snapshot = observed(&server, &old_pods(&["a-0"]), &mut Members::default(), matchers).await;
        let demand = snapshot.models[0].demand;
        rates.push((demand.arrival_rate.unwrap().value.round(), demand.running.unwrap().value));
    }
    assert_eq!(rates, [(1.0, 1.0), (5.0, 9.0)]);
}

#[tokio::test]
async fn a_counter_that_comes_back_after_a_gap_is_no_new_request() {
    let mut history = History::default();
    // Not scraped from four minutes ago to 70 seconds ago: over the start of the look-back.
    let gap = |at: f64| (!(-240.0..=-70.0).contains(&at)).then_some(());
    let labels = r#"namespace="ns",pod="a-1",model_name="llama""#;
    history.add("vllm:num_requests_running", labels, |at| gap(at).map(|()| 0.0));
    history.add("vllm:num_requests_waiting", labels, |at| gap(at).map(|()| 0.0));
    let counter = format!("{labels},finished_reason=\"stop\"");
    history.add("vllm:request_success_total", &counter, |at| gap(at).map(|()| 395.0));
    let server = Server::start(&history).await;
    let completed = demanded(&server, &old_pods(&["a-1"])).await.completed;
    assert_eq!(completed.map(|it| it.value), Some(0.0), "its 395 requests are old ones");

    let mut young = old_pods(&["a-1"]);
    let created = Timestamp::now() - SignedDuration::from_secs(100);
    young.pods.values_mut().for_each(|pod| pod.created = created);
    let completed = demanded(&server, &young).await.completed;
    assert_eq!(completed.map(|it| it.value), Some(395.0), "a pod that is younger than the look-back has served them");
}

#[tokio::test]
async fn the_first_request_of_an_old_pod_counts_although_its_counter_is_new() {
    let mut history = History::default();
    let labels = r#"namespace="ns",pod="a-1",model_name="llama""#;
    history.add("vllm:num_requests_running", labels, |_| Some(0.0));
    history.add("vllm:num_requests_waiting", labels, |_| Some(0.0));
    let counter = format!("{labels},finished_reason=\"length\"");
    history.add("vllm:request_success_total", &counter, |at| (at > -30.0).then_some(1.0));
    let server = Server::start(&history).await;
    assert_eq!(demanded(&server, &old_pods(&["a-1"])).await.completed.map(|it| it.value), Some(1.0));
}

#[tokio::test]
async fn what_a_pod_served_that_has_just_gone_still_counts() {
    let mut history = History::default();
    for pod in ["a-1", "a-2"] {
        serving(&mut history, &format!(r#"namespace="ns",pod="{pod}""#), 2.0, 1.0);
    }
    let server = Server::start(&history).await;
    let (mut index, mut members) = (old_pods(&["a-1", "a-2"]), Members::default());
    let before = observed(&server, &index, &mut members, "").await.models[0].demand;
    let _effect = index.delete::<Pod>(&crate::cluster::index::ObjectKey::new("ns", "a-2"));
    let after = observed(&server, &index, &mut members, "").await.models[0].demand;
    assert!(is_near(before.arrival_rate, 4.0) && is_near(after.arrival_rate, 4.0), "{before:?} {after:?}");
    assert!(is_near(after.running, 1.0), "what it computes now is with the others: {after:?}");
}

/// Nine engines in two pods, each with 4000 blocks of 16 tokens at 75 %.
#[tokio::test]
async fn the_engines_of_a_data_parallel_pod_add_up() {
    let mut history = History::default();
    let engines = (0..8).map(|engine| ("dp8-1", engine)).chain([("single-1", 0)]);
    for (pod, engine) in engines {
        let own = format!(r#"namespace="ns",pod="{pod}",engine="{engine}""#);
        history
            .add("vllm:cache_config_info", &format!(r#"{own},num_gpu_blocks="4000",block_size="16""#), |_| Some(1.0));
        let labels = format!("{own},model_name=\"llama\"");
        history.add("vllm:kv_cache_usage_perc", &labels, |_| Some(0.75));
        history.add("vllm:num_requests_waiting", &labels, |_| Some(0.0));
        history.add("vllm:num_requests_running", &labels, |_| Some(20.0));
        for (histogram, length) in [("vllm:request_prompt_tokens", 512.0), ("vllm:request_generation_tokens", 128.0)] {
            history.add(&format!("{histogram}_sum"), &labels, |at| Some(1e6 + 2.0 * length * at));
            history.add(&format!("{histogram}_count"), &labels, |at| Some(1e4 + 2.0 * at));
        }
    }
    let server = Server::start(&history).await;
    let costing =
        |name: &str, cost: &str| variant(name).replace("spec: {", &format!("spec: {{variantCost: '{cost}', "));
    let index = Index::default()
        .with_variant(&costing("dp8", "80"))
        .with_variant(&costing("single", "15"))
        .with_deployment("dp8", 1)
        .with_deployment("single", 1)
        .with_pod("dp8", "dp8-1")
        .with_pod("single", "single-1");
    let mut snapshot = observed(&server, &index, &mut Members::default(), "").await;
    let running = snapshot.models[0].demand.running;
    assert!(is_near(running, 180.0), "{running:?}");

    snapshot.models[0].demand = Demand::default();
    let settings = Settings { proactive: None, zero: ZeroPolicies::default(), ..settings() };
    let plan = decide(&snapshot, &mut Memory::default(), &settings, Timestamp::now());
    let told: Vec<String> = plan
        .targets
        .iter()
        .map(|it| format!("{} {} → {}: {}", it.variant.name, it.current, it.replicas, it.explanation()))
        .collect();
    let analysis = plan.models[0].tokens.as_ref().unwrap();
    assert_eq!((analysis.demand, analysis.supply), (432_000, 460_800), "{told:?}");
    assert!((analysis.required - 47_435.0).abs() < 1.0, "{told:?}");
    let grown: Vec<_> = plan.targets.iter().filter(|it| it.replicas > it.current).map(|it| &*it.variant.name).collect();
    assert_eq!(grown, ["dp8"], "it costs less for each token: {told:?}");
}

#[rstest]
#[case::a_service_monitor_and_a_pod_monitor(&[
    r#"job="vllm",service="llama",endpoint="http",instance="10.0.0.1:8000""#,
    r#"job="ns/pods",container="vllm",endpoint="metrics",instance="10.0.0.1:8200""#,
])]
#[case::two_services_in_front_of_it(&[
    r#"job="llama",service="llama",instance="10.0.0.1:8000""#, r#"job="all",service="all-models",instance="10.0.0.1:8000""#,
])]
#[case::through_a_side_car_and_itself(&[
    r#"job="vllm",container="vllm",instance="10.0.0.1:8000""#, r#"job="vllm",container="routing-proxy",instance="10.0.0.1:8001""#,
])]
#[tokio::test]
async fn who_scrapes_a_pod_and_where_changes_no_number(#[case] scrapes: &[&str]) {
    let mut history = History::default();
    for scraped in scrapes {
        for engine in [0, 1] {
            serving(&mut history, &format!(r#"namespace="ns",pod="a-1",engine="{engine}",{scraped}"#), 6.0, 2.0);
        }
    }
    let server = Server::start(&history).await;
    let demand = demanded(&server, &old_pods(&["a-1"])).await;
    assert!(is_near(demand.arrival_rate, 12.0) && is_near(demand.running, 4.0), "{demand:?}");
}

#[tokio::test]
async fn series_of_a_data_parallel_pod_that_name_no_engine_are_of_all_of_them() {
    let mut history = History::default();
    let own = r#"namespace="ns",pod="a-1""#;
    // The size of the cache and the counter come from the front end, which is one for all engines.
    history.add("vllm:cache_config_info", &format!(r#"{own},num_gpu_blocks="4000",block_size="16""#), |_| Some(1.0));
    let labels = format!("{own},model_name=\"llama\"");
    history
        .add("vllm:request_success_total", &format!("{labels},finished_reason=\"stop\""), |at| Some(1e4 + 12.0 * at));
    for (engine, usage) in [(0, 0.5), (1, 0.25)] {
        let labels = format!("{labels},engine=\"{engine}\"");
        history.add("vllm:num_requests_running", &labels, |_| Some(3.0));
        history.add("vllm:num_requests_waiting", &labels, |_| Some(0.0));
        history.add("vllm:kv_cache_usage_perc", &labels, |_| Some(usage));
    }
    let server = Server::start(&history).await;
    let snapshot = observed(&server, &old_pods(&["a-1"]), &mut Members::default(), "").await;
    let demand = &snapshot.models[0].demand;
    assert!(is_near(demand.arrival_rate, 12.0) && is_near(demand.running, 6.0), "{demand:?}");
    let tokens = &snapshot.models[0].variants[0].pods[0].sample.as_ref().unwrap().tokens;
    assert_eq!((tokens.kv_capacity(), tokens.kv_in_use), (Some(128_000), Some(48_000.0)));
}

#[rstest]
#[case::a_container_that_was_restarted(&[], SignedDuration::from_hours(1))]
#[case::a_pod_of_a_stateful_set_that_was_replaced_under_its_name(&[(-90.0, -60.0)], SignedDuration::from_secs(75))]
#[tokio::test]
async fn a_counter_that_starts_again_counts_what_came_after(#[case] gaps: &[(f64, f64)], #[case] age: SignedDuration) {
    let mut history = History::default();
    let there = |at: f64| (!gaps.iter().any(|(from, to)| (*from..=*to).contains(&at))).then_some(());
    let labels = r#"namespace="ns",pod="a-0",model_name="llama""#;
    history.add("vllm:num_requests_running", labels, |at| there(at).map(|()| 0.0));
    history.add("vllm:num_requests_waiting", labels, |at| there(at).map(|()| 0.0));
    let counter = format!("{labels},finished_reason=\"stop\"");
    let served = |at: f64| if at < -60.0 { 5000.0 } else { 3.0 };
    history.add("vllm:request_success_total", &counter, |at| there(at).map(|()| served(at)));
    let server = Server::start(&history).await;
    let mut index = old_pods(&["a-0"]);
    let created = Timestamp::now() - age;
    index.pods.values_mut().for_each(|pod| pod.created = created);
    let completed = demanded(&server, &index).await.completed;
    assert!(is_near(completed, 3.0), "the 5000 before are old ones: {completed:?}");
}

#[tokio::test]
async fn adapters_of_a_model_neither_hide_its_requests_nor_double_them() {
    let mut history = History::default();
    serving(&mut history, r#"namespace="ns",pod="a-1",engine="0""#, 4.0, 2.0);
    // What vLLM tells of its LoRA adapters, one series for each set of them that ran together.
    for running in ["", "sql", "sql,chat"] {
        let labels = format!(
            r#"namespace="ns",pod="a-1",max_lora="4",waiting_lora_adapters="",running_lora_adapters="{running}""#
        );
        history.add("vllm:lora_requests_info", &labels, |at| Some(1.8e9 + at));
    }
    let server = Server::start(&history).await;
    let demand = demanded(&server, &old_pods(&["a-1"])).await;
    assert!(is_near(demand.arrival_rate, 4.0) && is_near(demand.running, 2.0), "{demand:?}");
}

#[tokio::test]
async fn a_look_out_finds_the_pods_above_a_limit_once() {
    let mut history = History::default();
    for scraped_by in ["x", "y"] {
        for (pod, usage) in [("a-1", 0.9), ("a-2", 0.2)] {
            let labels = format!(r#"namespace="ns",pod="{pod}",job="{scraped_by}",model_name="llama""#);
            history.add("vllm:kv_cache_usage_perc", &labels, |_| Some(usage));
            history.add("vllm:num_requests_waiting", &labels, |_| Some(usage * 10.0));
        }
    }
    let server = Server::start(&history).await;
    let metrics = Metrics::new(&Instance::default()).prometheus;
    let queries = Queries::new(WINDOW, Selector::default());
    let prometheus = Prometheus::new(Transport::new(&server.config()).unwrap(), queries, metrics);
    let near = prometheus.near_limits(&QuietLimits { kv_usage: 0.7, queue_length: 2.0 }).await.unwrap();
    let a = ObjectKey::new("ns", "a-1");
    assert_eq!(near, [((a.clone(), Load::KvUsage), 0.9), ((a, Load::QueueLength), 9.0)].into());
}

#[tokio::test]
async fn series_that_name_no_pod_are_told_with_their_labels() {
    let mut history = History::default();
    serving(&mut history, r#"job="vllm",node="n-1",namespace="ns""#, 1.0, 1.0);
    serving(&mut history, r#"job="vllm",instance="10.0.0.1:8000",pod="a-1""#, 1.0, 1.0);
    let server = Server::start(&history).await;
    let selector = Selector::new(&["ns".to_owned()].into(), &Matchers::default());
    let metrics = Metrics::new(&Instance::default()).prometheus;
    let prometheus =
        Prometheus::new(Transport::new(&server.config()).unwrap(), Queries::new(WINDOW, selector), metrics);
    let wanted = Wanted { unlabelled: true, ..Wanted::default() };
    let readings = prometheus.read(&wanted).await.unwrap();
    let index = old_pods(&["a-1"]);
    let ownership = Ownership::take(&index, &Scope::default(), &Refusals::new());
    let snapshot = snapshot::snapshot(&index, &ownership, &Ok(readings), |_| None, Timestamp::now());
    let plan = decide(&snapshot, &mut Memory::default(), &Settings::default(), Timestamp::now());
    let told = plan.targets[0].evidence.to_string();
    assert!(told.contains("no labels name their pods") && told.contains("job, model_name"), "{told}");
    assert!(told.contains("set both by relabelling"), "{told}");
}
