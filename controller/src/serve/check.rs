//! `wva-controller check`: asks the controller pods of a release whether they are ready. `helm test` runs it in a pod
//! with the controller's own account, so it needs no rights that the controller lacks.

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use tokio::time::Instant;

use crate::config::value::{format_duration, parse_duration};

/// Name of the subcommand.
pub const NAME: &str = "check";

/// Time limit of one question to a pod.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Pause before the pods that were not ready are asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// The question could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pods could not be listed.
    #[error("listing the pods {selector:?} in namespace {namespace}: {source}")]
    List {
        /// Where.
        namespace: String,
        /// Which.
        selector: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// A client for HTTP could not be made.
    #[error("making a client for the pods' probes: {0}")]
    Client(#[source] reqwest::Error),
}

/// Which pods are asked, and for how long.
#[derive(Clone, Debug)]
pub struct Check {
    namespace: String,
    selector: String,
    port: u16,
    timeout: Duration,
}

/// What a pod answered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    pod: String,
    /// What it waits for, or why it could not be asked; `None` when it is ready.
    trouble: Option<String>,
}

/// The subcommand's command line.
pub fn command() -> Command {
    let text = |name: &'static str| Arg::new(name).long(name).value_name("TEXT").required(true);
    Command::new(NAME)
        .about("Asks controller pods whether they are ready; exit 0 only if all are")
        .arg(text("namespace").help("Namespace of the pods"))
        .arg(text("selector").help("Label selector of the pods"))
        .arg(
            Arg::new("port")
                .long("port")
                .value_name("N")
                .default_value("8081")
                .value_parser(clap::value_parser!(u16))
                .help("Port of their probes"),
        )
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("DURATION")
                .default_value("60s")
                .value_parser(parse_duration)
                .help("How long to wait until they are ready"),
        )
}

impl Check {
    /// From the subcommand's arguments.
    pub fn new(matches: &ArgMatches) -> Self {
        let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
        Self {
            namespace: text("namespace"),
            selector: text("selector"),
            port: matches.get_one("port").copied().unwrap_or_default(),
            timeout: matches.get_one("timeout").copied().unwrap_or_default(),
        }
    }

    /// Asks until every pod is ready or the time is over, and prints what each answered last.
    ///
    /// # Errors
    /// When the pods cannot be listed.
    pub async fn run(&self, client: kube::Client) -> Result<ExitCode, Error> {
        let pods: Api<Pod> = Api::namespaced(client, &self.namespace);
        let http = http_client().map_err(Error::Client)?;
        let deadline = Instant::now() + self.timeout;
        loop {
            let answers = self.ask(&pods, &http).await?;
            let ready = !answers.is_empty() && answers.iter().all(|answer| answer.trouble.is_none());
            if ready || Instant::now() >= deadline {
                // Nobody reads the report when writing it fails; the exit code still tells.
                let _unread = self.print(&answers, ready);
                return Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask(&self, pods: &Api<Pod>, http: &reqwest::Client) -> Result<Vec<Answer>, Error> {
        let list = pods.list(&ListParams::default().labels(&self.selector)).await.map_err(|source| Error::List {
            namespace: self.namespace.clone(),
            selector: self.selector.clone(),
            source: Box::new(source),
        })?;
        let running = list.items.iter().filter(|pod| counts(pod));
        Ok(futures::future::join_all(running.map(|pod| self.ask_pod(pod, http))).await)
    }

    async fn ask_pod(&self, pod: &Pod, http: &reqwest::Client) -> Answer {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).map(str::parse::<IpAddr>);
        let trouble = match address {
            Some(Ok(ip)) => trouble(http, SocketAddr::new(ip, self.port)).await,
            Some(Err(_)) | None => Some("it has no address yet".to_owned()),
        };
        Answer { pod: name, trouble }
    }

    fn print(&self, answers: &[Answer], ready: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for Answer { pod, trouble } in answers {
            match trouble {
                None => writeln!(out, "{pod}: ready")?,
                Some(trouble) => writeln!(out, "{pod}: {}", trouble.trim_end())?,
            }
        }
        if answers.is_empty() {
            let Self { namespace, selector, .. } = self;
            writeln!(out, "no pod {selector:?} in namespace {namespace}; look at the Deployment's events")?;
        } else if !ready {
            writeln!(out, "not every pod became ready within {}", format_duration(self.timeout))?;
        }
        Ok(())
    }
}

/// Asks pods over plain HTTP, so it trusts nobody: looking for authorities would fail where there are none. A proxy that
/// leads out of the cluster does not reach pods.
fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).tls_certs_only([]).build()
}

/// A pod that is going or has ended says nothing about the release.
fn counts(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

async fn trouble(http: &reqwest::Client, address: SocketAddr) -> Option<String> {
    let answer = match http.get(format!("http://{address}/readyz")).send().await {
        Ok(answer) => answer,
        Err(error) => return Some(format!("it does not answer at {address}: {}", error.without_url())),
    };
    if answer.status().is_success() {
        return None;
    }
    let status = answer.status();
    Some(answer.text().await.unwrap_or_else(|_| format!("it answers {status}")))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;

    async fn pod_that_says(status: StatusCode, body: &'static str) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/readyz", get(move || async move { (status, body) }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    async fn trouble_of(address: SocketAddr) -> Option<String> {
        crate::install_crypto();
        trouble(&http_client().unwrap(), address).await
    }

    #[tokio::test]
    async fn a_ready_pod_has_no_trouble() {
        assert_eq!(trouble_of(pod_that_says(StatusCode::OK, "ok").await).await, None);
    }

    #[tokio::test]
    async fn a_pod_says_itself_what_it_waits_for() {
        let address = pod_that_says(StatusCode::SERVICE_UNAVAILABLE, "not ready, waiting for:\n- Prometheus\n").await;
        assert_eq!(trouble_of(address).await.unwrap(), "not ready, waiting for:\n- Prometheus\n");
    }

    #[tokio::test]
    async fn a_pod_that_does_not_answer_is_in_trouble() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(trouble_of(address).await.unwrap().starts_with("it does not answer at 127.0.0.1:"));
    }

    #[test]
    fn pods_that_ended_or_are_going_do_not_count() {
        let pod = |json| serde_json::from_value::<Pod>(json).unwrap();
        assert!(counts(&pod(serde_json::json!({"status": {"phase": "Pending"}}))));
        assert!(!counts(&pod(serde_json::json!({"status": {"phase": "Failed"}}))));
        assert!(!counts(&pod(serde_json::json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}))));
    }

    #[test]
    fn the_command_line_names_pods_port_and_patience() {
        let line = ["check", "--namespace=a", "--selector=x=y", "--timeout=5s"];
        let Check { namespace, selector, port, timeout } = Check::new(&command().get_matches_from(line));
        assert_eq!((&*namespace, &*selector, port, timeout), ("a", "x=y", 8081, Duration::from_secs(5)));
    }
}
