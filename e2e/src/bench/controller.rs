//! The measured controller: a process of the real binary beside the cluster, and what can be read of it from outside.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

/// The controller could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("starting {} with its log in {}: {source}", program.display(), log.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Where its log goes.
        log: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It runs no more, or the system does not tell.
    #[error("reading /proc of the controller (process {0}): it is not running; its log is in the bench folder")]
    Gone(u32),
    /// Its metrics cannot be read.
    #[error("reading the controller's metrics: {0}")]
    Metrics(#[from] reqwest::Error),
}

/// How to start it.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// The binary.
    pub program: &'a Path,
    /// Way to the API server.
    pub kubeconfig: &'a Path,
    /// Where Prometheus answers.
    pub prometheus: &'a str,
    /// Where it is to serve its metrics.
    pub metrics: SocketAddr,
    /// Pause between two cycles; the built-in one when `None`.
    pub interval: Option<&'a str>,
    /// The namespace it counts as its own, with the ConfigMap `serviceclass`; turns the hybrid mode on.
    pub hybrid_in: Option<String>,
    /// Its log.
    pub log: PathBuf,
}

/// A running controller; killed when dropped.
pub struct Controller {
    child: Child,
    pid: u32,
    http: reqwest::Client,
    url: String,
}

impl Controller {
    /// Starts it.
    ///
    /// # Errors
    /// When the binary cannot be run.
    pub fn start(settings: Settings<'_>) -> Result<Self, Error> {
        let Settings { program, kubeconfig, prometheus, metrics, interval, hybrid_in, log } = settings;
        let failed = |source| Error::Start { program: program.to_owned(), log: log.clone(), source };
        let output = File::create(&log).map_err(failed)?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("KUBECONFIG", kubeconfig)
            .env("PROMETHEUS_BASE_URL", prometheus)
            .env("METRICS_BIND_ADDRESS", metrics.to_string())
            .env("METRICS_SECURE", "false")
            .env("HEALTH_PROBE_BIND_ADDRESS", "0")
            .env("METRICS_WINDOW", "10s");
        if let Some(interval) = interval {
            command.env("GLOBAL_OPT_INTERVAL", interval);
        }
        if let Some(namespace) = hybrid_in {
            command.env("EXPERIMENTAL_PROACTIVE_MODEL", "true").env("POD_NAMESPACE", namespace);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let pid = child.id().ok_or(Error::Gone(0))?;
        Ok(Self { child, pid, http: reqwest::Client::new(), url: format!("http://{metrics}/metrics") })
    }

    /// Its metrics now.
    ///
    /// # Errors
    /// When it does not serve them.
    pub async fn metrics(&self) -> Result<Metrics, Error> {
        let response = self.http.get(&self.url).send().await?.error_for_status()?;
        Ok(Metrics(response.text().await?))
    }

    /// Resident memory, in KiB.
    ///
    /// # Errors
    /// When it is not running.
    pub fn resident_kib(&self) -> Result<u64, Error> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).ok_or(Error::Gone(self.pid))
    }

    /// Processor time used so far, in steps of 10 ms.
    ///
    /// # Errors
    /// When it is not running.
    pub fn cpu(&self) -> Result<Duration, Error> {
        let stat = self.proc("stat")?;
        // The second field is the program's name in parentheses, which may hold spaces; utime and stime are fields 14
        // and 15 (proc(5)), in ticks of which Linux counts 100 to a second on every architecture we run on.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace().collect::<Vec<_>>());
        let ticks = fields.and_then(|fields| Some(number(fields.get(11)?)? + number(fields.get(12)?)?));
        ticks.map(|ticks| Duration::from_millis(ticks * 10)).ok_or(Error::Gone(self.pid))
    }

    /// Ends it.
    pub async fn stop(mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "Stopping the measured controller");
        }
    }

    fn proc(&self, file: &str) -> Result<String, Error> {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.pid)).map_err(|_| Error::Gone(self.pid))
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// What `/metrics` said.
#[derive(Clone, Debug)]
pub struct Metrics(String);

impl Metrics {
    /// Sum over all series of `name` that carry every given `label="value"` text.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.series(name, labels).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// How many series of `name` there are.
    pub fn count(&self, name: &str) -> usize {
        self.series(name, &[]).count()
    }

    fn series<'a>(&'a self, name: &'a str, labels: &'a [&str]) -> impl Iterator<Item = &'a str> {
        self.0.lines().filter(move |line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && labels.iter().all(|label| line.contains(label))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_told_apart_by_full_name_and_labels() {
        let metrics = Metrics("# TYPE a gauge\na{v=\"x\"} 1\na{v=\"y\"} 2\na_b 5\na 4\n".to_owned());
        assert_eq!(metrics.count("a"), 3);
        assert!((metrics.sum("a", &["v=\"y\""]) - 2.0).abs() < f64::EPSILON);
        assert!((metrics.sum("a", &[]) - 7.0).abs() < f64::EPSILON);
    }
}
