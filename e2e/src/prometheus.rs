//! A real Prometheus as a child process, and a small client for its query API.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::scrape::Job;
use crate::wait::{self, Look};

/// Configuration file, in its folder.
const CONFIG: &str = "prometheus.yml";
/// Log, in its folder.
const LOG: &str = "prometheus.log";
/// How long a start, and a stop, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Something went wrong with Prometheus.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its files could not be written.
    #[error("writing {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It could not be started.
    #[error("starting {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It did not become ready.
    #[error("{source}; its log is {}", log.display())]
    NotReady {
        /// What was waited for.
        source: wait::TimedOut,
        /// The log.
        log: PathBuf,
    },
    /// A request failed.
    #[error("asking Prometheus {what}: {source}")]
    Request {
        /// What was asked.
        what: String,
        /// Why.
        source: reqwest::Error,
    },
    /// A request was refused.
    #[error("asking Prometheus {what}: {answer}")]
    Refused {
        /// What was asked.
        what: String,
        /// What it said.
        answer: String,
    },
}

/// A running Prometheus; killed when dropped.
pub struct Prometheus {
    program: PathBuf,
    dir: PathBuf,
    listen: SocketAddr,
    child: Mutex<Child>,
    client: Client,
    interval: Duration,
}

/// Asks a Prometheus; cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

/// One series of an instant query.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Labels, the name among them as `__name__`.
    pub labels: BTreeMap<String, String>,
    /// Value.
    pub value: f64,
}

/// One series of a query over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Seconds since 1970 and value, oldest first.
    pub points: Vec<(f64, f64)>,
}

impl Prometheus {
    /// Starts it in `dir` on `listen`, with scrape jobs to follow by [`Prometheus::set_jobs`].
    ///
    /// # Errors
    /// When it cannot be started or does not become ready.
    pub async fn start(program: &Path, dir: &Path, listen: SocketAddr, interval: Duration) -> Result<Self, Error> {
        let config = dir.join(CONFIG);
        let write = |path: &Path, source| Error::Write { path: path.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(|e| write(dir, e))?;
        std::fs::write(&config, crate::scrape::config(interval, &[])).map_err(|e| write(&config, e))?;
        let child = Mutex::new(spawn(program, dir, listen)?);
        let client = Client::new(format!("http://{listen}"));
        let (program, dir) = (program.to_owned(), dir.to_owned());
        let prometheus = Self { program, dir, listen, child, client, interval };
        prometheus.ready().await?;
        Ok(prometheus)
    }

    async fn ready(&self) -> Result<(), Error> {
        wait::until("Prometheus to be ready", PATIENCE, || async {
            match self.client.get("/-/ready").await {
                Ok(()) => Look::Done(()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await
        .map_err(|source| Error::NotReady { source, log: self.dir.join(LOG) })
    }

    /// Kills it, as a node that fails does; [`Prometheus::start_again`] brings it back.
    pub async fn kill(&self) {
        if let Err(error) = self.child.lock().await.kill().await {
            tracing::warn!(%error, "Killing Prometheus");
        }
    }

    /// Starts it again with the data and the scrape jobs it had.
    ///
    /// # Errors
    /// When it cannot be started or does not become ready.
    pub async fn start_again(&self) -> Result<(), Error> {
        *self.child.lock().await = spawn(&self.program, &self.dir, self.listen)?;
        self.ready().await
    }

    /// A client for it.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Replaces all scrape jobs. New targets are scraped within about 5 s: Prometheus throttles target changes.
    ///
    /// # Errors
    /// When the configuration cannot be written or Prometheus refuses it.
    pub async fn set_jobs(&self, jobs: &[Job]) -> Result<(), Error> {
        let config = self.dir.join(CONFIG);
        std::fs::write(&config, crate::scrape::config(self.interval, jobs))
            .map_err(|source| Error::Write { path: config, source })?;
        self.client.post("/-/reload").await
    }

    /// Stops it and waits for its end.
    pub async fn stop(self) {
        // The data directory is thrown away, so there is nothing to save by stopping it gently.
        self.kill().await;
    }
}

fn spawn(program: &Path, dir: &Path, listen: SocketAddr) -> Result<Child, Error> {
    let log = dir.join(LOG);
    let write = |source| Error::Write { path: log.clone(), source };
    let output = File::options().create(true).append(true).open(&log).map_err(write)?;
    let errors = output.try_clone().map_err(write)?;
    Command::new(program)
        .arg(format!("--config.file={}", dir.join(CONFIG).display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address={listen}"))
        .arg("--web.enable-lifecycle")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        // A Ctrl-C on the terminal is for us; we stop our children in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| Error::Start { program: program.to_owned(), source })
}

#[derive(Deserialize)]
struct Answer<T> {
    data: Data<T>,
}

#[derive(Deserialize)]
struct Data<T> {
    result: Vec<T>,
}

#[derive(Deserialize)]
struct Item {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

#[derive(Deserialize)]
struct Items {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

impl Client {
    /// A client for the server at `url`.
    pub fn new(url: String) -> Self {
        Self { http: reqwest::Client::new(), url }
    }

    /// Where it asks.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The series an instant query gives now.
    ///
    /// # Errors
    /// When Prometheus does not answer, or refuses the query.
    pub async fn query(&self, promql: &str) -> Result<Vec<Series>, Error> {
        let items = self.ask("query", promql, &[("query", promql.to_owned())]).await?;
        let series = |item: Item| Some(Series { labels: item.metric, value: item.value.1.parse().ok()? });
        Ok(items.into_iter().filter_map(series).collect())
    }

    /// The series a query gave between two times (seconds since 1970), every second, or at 600 times if that is longer.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub async fn range(&self, promql: &str, from: f64, to: f64) -> Result<Vec<Range>, Error> {
        let step = ((to - from) / 600.0).max(1.0);
        let form = [("start", from.to_string()), ("end", to.to_string()), ("step", step.to_string())];
        let form: Vec<_> = form.into_iter().chain([("query", promql.to_owned())]).collect();
        let items: Vec<Items> = self.ask("query_range", promql, &form).await?;
        let range = |Items { metric, values }| {
            let points = values.into_iter().filter_map(|(at, value)| Some((at, value.parse().ok()?)));
            Range { labels: metric, points: points.collect() }
        };
        Ok(items.into_iter().map(range).collect())
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        promql: &str,
        form: &[(&str, String)],
    ) -> Result<Vec<T>, Error> {
        let what = || format!("for {promql}");
        let response = self
            .http
            .post(format!("{}/api/v1/{path}", self.url))
            .form(form)
            .send()
            .await
            .map_err(|source| Error::Request { what: what(), source })?;
        if !response.status().is_success() {
            let answer = response.text().await.unwrap_or_default();
            return Err(Error::Refused { what: what(), answer });
        }
        let answer: Answer<T> = response.json().await.map_err(|source| Error::Request { what: what(), source })?;
        Ok(answer.data.result)
    }

    async fn get(&self, path: &str) -> Result<(), Error> {
        self.check(path, self.http.get(format!("{}{path}", self.url))).await
    }

    async fn post(&self, path: &str) -> Result<(), Error> {
        self.check(path, self.http.post(format!("{}{path}", self.url))).await
    }

    async fn check(&self, path: &str, request: reqwest::RequestBuilder) -> Result<(), Error> {
        let what = || path.to_owned();
        let response = request.send().await.map_err(|source| Error::Request { what: what(), source })?;
        if response.status().is_success() {
            return Ok(());
        }
        let answer = format!("{} {}", response.status(), response.text().await.unwrap_or_default());
        Err(Error::Refused { what: what(), answer })
    }
}
