//! Startup, readiness and liveness probes of one run of a container.

use std::{net::Ipv4Addr, time::Duration};

use k8s_openapi::{
    api::core::v1::{Container, HTTPGetAction, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use tokio::net::TcpStream;

use super::tally::Tally;

/// Which of the three probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Startup,
    Readiness,
    Liveness,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }
}

/// What probing has found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// The startup probe succeeded, or there is none.
    Started,
    /// The readiness probe changed its mind, or there is none and the container is ready once started.
    Ready(bool),
    /// One probe failed; enough for an event, not for a verdict.
    Failed(Kind, String),
    /// A probe of a kind that is not supported; it counts as a success.
    Unsupported(Kind),
}

/// Probes one container on one address.
#[derive(Clone)]
pub(super) struct Prober<'a> {
    pub(super) container: &'a Container,
    pub(super) ip: Ipv4Addr,
    pub(super) http: &'a reqwest::Client,
}

/// What one probe does.
enum Check {
    Http(reqwest::Url, Vec<(String, String)>),
    Tcp(String, u16),
    Unsupported,
    Misconfigured(String),
}

impl Prober<'_> {
    /// Probes until the container has to be restarted, and returns the kind of probe that says so.
    pub(super) async fn run(&self, report: impl Fn(Finding)) -> Kind {
        if let Some(probe) = &self.container.startup_probe {
            let mut failed = false;
            self.repeat(Kind::Startup, probe, &report, |success| {
                failed = !success;
                false
            })
            .await;
            if failed {
                return Kind::Startup;
            }
        }
        report(Finding::Started);
        let readiness = async {
            match &self.container.readiness_probe {
                None => report(Finding::Ready(true)),
                Some(probe) => {
                    self.repeat(Kind::Readiness, probe, &report, |success| {
                        report(Finding::Ready(success));
                        true
                    })
                    .await;
                }
            }
            std::future::pending::<Kind>().await
        };
        let liveness = async {
            match &self.container.liveness_probe {
                None => std::future::pending().await,
                Some(probe) => {
                    self.repeat(Kind::Liveness, probe, &report, |success| success).await;
                    Kind::Liveness
                }
            }
        };
        tokio::select! { kind = readiness => kind, kind = liveness => kind }
    }

    /// Repeats one probe; `verdict` hears each verdict and says whether to go on.
    async fn repeat(
        &self,
        kind: Kind,
        probe: &Probe,
        report: &impl Fn(Finding),
        mut verdict: impl FnMut(bool) -> bool,
    ) {
        let seconds = |value: Option<i32>, default: u64| {
            Duration::from_secs(value.and_then(|value| u64::try_from(value).ok()).unwrap_or(default))
        };
        let threshold =
            |value: Option<i32>, default| value.and_then(|value| u32::try_from(value).ok()).unwrap_or(default).max(1);
        let timeout = seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1));
        let period = seconds(probe.period_seconds, 10).max(Duration::from_secs(1));
        let mut tally = Tally::new(threshold(probe.success_threshold, 1), threshold(probe.failure_threshold, 3));
        let check = self.check(probe);
        tokio::time::sleep(seconds(probe.initial_delay_seconds, 0)).await;
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if matches!(check, Check::Unsupported) {
            report(Finding::Unsupported(kind));
        }
        loop {
            ticks.tick().await;
            let result = self.perform(&check, timeout).await;
            if let Err(message) = &result {
                report(Finding::Failed(kind, message.clone()));
            }
            if let Some(success) = tally.count(result.is_ok())
                && !verdict(success)
            {
                return;
            }
        }
    }

    fn check(&self, probe: &Probe) -> Check {
        if let Some(action) = &probe.http_get {
            return match self.url(action) {
                Ok(url) => {
                    let headers = action.http_headers.iter().flatten();
                    Check::Http(url, headers.map(|header| (header.name.clone(), header.value.clone())).collect())
                }
                Err(message) => Check::Misconfigured(message),
            };
        }
        if let Some(action) = &probe.tcp_socket {
            let host = action.host.clone().unwrap_or_else(|| self.ip.to_string());
            return match self.port(&action.port) {
                Some(port) => Check::Tcp(host, port),
                None => Check::Misconfigured(format!("no container port is named {:?}", action.port)),
            };
        }
        Check::Unsupported
    }

    fn url(&self, action: &HTTPGetAction) -> Result<reqwest::Url, String> {
        let scheme = action.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
        let host = action.host.clone().unwrap_or_else(|| self.ip.to_string());
        let port = self.port(&action.port).ok_or_else(|| format!("no container port is named {:?}", action.port))?;
        let path = action.path.as_deref().unwrap_or("/");
        let slash = if path.starts_with('/') { "" } else { "/" };
        format!("{scheme}://{host}:{port}{slash}{path}")
            .parse()
            .map_err(|error| format!("the probe's URL is invalid: {error}"))
    }

    fn port(&self, port: &IntOrString) -> Option<u16> {
        let named = |name: &str| {
            let mut ports = self.container.ports.iter().flatten();
            ports.find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port)
        };
        let number = match port {
            IntOrString::Int(number) => Some(*number),
            IntOrString::String(text) => text.parse().ok().or_else(|| named(text)),
        };
        u16::try_from(number?).ok()
    }

    async fn perform(&self, check: &Check, timeout: Duration) -> Result<(), String> {
        let attempt = async {
            match check {
                Check::Http(url, headers) => self.get(url, headers).await,
                Check::Tcp(host, port) => match TcpStream::connect((host.as_str(), *port)).await {
                    Ok(_) => Ok(()),
                    Err(error) => Err(format!("dial tcp {host}:{port}: {error}")),
                },
                Check::Unsupported => Ok(()),
                Check::Misconfigured(message) => Err(message.clone()),
            }
        };
        let late = || Err(format!("no answer within {} s", timeout.as_secs()));
        tokio::time::timeout(timeout, attempt).await.unwrap_or_else(|_| late())
    }

    async fn get(&self, url: &reqwest::Url, headers: &[(String, String)]) -> Result<(), String> {
        let mut request = self.http.get(url.clone()).header("User-Agent", "kube-probe/1.35");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(answer) if answer.status().is_success() || answer.status().is_redirection() => Ok(()),
            Ok(answer) => Err(format!("HTTP probe failed with statuscode: {}", answer.status().as_u16())),
            Err(error) => Err(format!("Get \"{url}\": {}", root_cause(&error))),
        }
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// A client for probes: certificates are not verified, as the kubelet does not, and proxies are for the outside.
pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().tls_danger_accept_invalid_certs(true).no_proxy().pool_max_idle_per_host(0).build()
}
