//! A Prometheus process that was given a history by one scrape.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use jiff::Timestamp;

use crate::config;
use crate::observe::prometheus::Transport;

/// How far histories reach back, in seconds.
const REACH: i32 = 600;
/// How far they go on from now: a test that takes its time still has samples of its moment.
const GOES_ON: i32 = 180;
/// Pause between two of its samples.
const STEP: usize = 5;
/// A series counts as there for so long after its last sample. Samples that bring their time are never marked as the last.
const LOOKBACK: &str = "--query.lookback-delta=20s";
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A page of metrics on which every sample has its time.
#[derive(Default)]
pub(super) struct History {
    series: Vec<Series>,
}

/// A series: name, labels, and values by seconds from now.
struct Series(String, String, Vec<(i32, f64)>);

impl History {
    /// Adds a series, by its value at so many seconds from now (those before it are below 0).
    pub(super) fn add(&mut self, name: &str, labels: &str, value: impl Fn(f64) -> Option<f64>) {
        let times = (-REACH..=GOES_ON).step_by(STEP);
        let samples = times.filter_map(|at| Some((at, value(f64::from(at))?))).collect();
        self.series.push(Series(name.to_owned(), labels.to_owned(), samples));
    }

    fn page(&self, now: Timestamp) -> String {
        let mut page = String::new();
        for Series(name, labels, samples) in &self.series {
            for (at, value) in samples {
                let time = now.as_millisecond() + i64::from(*at) * 1000;
                writeln!(page, "{name}{{{labels}}} {value} {time}").unwrap();
            }
        }
        page
    }
}

/// The process, ended with the test.
pub(super) struct Server {
    process: Child,
    url: String,
    _directory: tempfile::TempDir,
}

impl Server {
    pub(super) async fn start(history: &History) -> Self {
        crate::install_crypto();
        let page = history.page(Timestamp::now());
        let exporter = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = exporter.local_addr().unwrap();
        let router = Router::new().route("/metrics", get(move || async move { page }));
        tokio::spawn(async move { axum::serve(exporter, router).await.unwrap() });

        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "scrape_configs: [{{job_name: history, scrape_interval: 1s, honor_labels: true, \
             static_configs: [{{targets: ['{target}']}}]}}]"
        );
        std::fs::write(directory.path().join("prometheus.yml"), config).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new(program())
            .current_dir(&directory)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", LOOKBACK])
            .arg(format!("--web.listen-address={free}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start prometheus ({error}); hack/tools.sh fetches it"));
        let server = Self { process, url: format!("http://{free}"), _directory: directory };
        server.holds(history).await;
        server
    }

    /// How to reach it.
    pub(super) fn config(&self) -> config::Prometheus {
        crate::fixtures::plain_prometheus(&self.url)
    }

    /// Waits until every series is there.
    async fn holds(&self, history: &History) {
        let transport = Transport::new(&self.config()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let samples = transport.query("count(last_over_time({__name__=~\"vllm:.+\"}[15m])) or vector(0)").await;
            let found = samples.as_ref().ok().and_then(|samples| samples.first()).map(|sample| sample.value);
            if found.is_some_and(|found| (found - f64::from(u32::try_from(history.series.len()).unwrap())).abs() < 0.5)
            {
                return;
            }
            assert!(Instant::now() < deadline, "Prometheus does not hold the history: {samples:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_before = self.process.kill().is_err();
        let _ended_before = self.process.wait().is_err();
    }
}

/// The program that `hack/tools.sh` names, in its folder when its environment is not set.
fn program() -> PathBuf {
    let of_tools = || {
        let cache = std::env::var_os("WVA_TOOLS").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/wva-tools")));
        cache.map(|cache| cache.join("bin/prometheus")).filter(|program| program.exists())
    };
    std::env::var_os("PROMETHEUS").map(PathBuf::from).or_else(of_tools).unwrap_or_else(|| "prometheus".into())
}
