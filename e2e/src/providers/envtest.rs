//! A real control plane without nodes, as child processes: etcd and kube-apiserver, and kube-controller-manager and
//! kube-scheduler where they are there, all from the folder of `KUBEBUILDER_ASSETS`.
//!
//! Its pods run as processes of this machine, by our node agent. Roles are enforced, and there is an audit log.

mod files;
mod provider;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use self::files::Files;
pub use self::provider::Envtest;
use crate::wait::{self, Look, TimedOut};

/// How long the API server may take until it is ready, and etcd before it.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a process gets to end by itself.
const GRACE: Duration = Duration::from_secs(10);

/// The control plane cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody says where the programs are.
    #[error(
        "PROVIDER=envtest needs KUBEBUILDER_ASSETS, the folder of etcd and kube-apiserver (setup-envtest use -p path)"
    )]
    NoAssets,
    /// A program is not there.
    #[error("{} is not there; KUBEBUILDER_ASSETS names the folder of etcd and kube-apiserver (setup-envtest use -p path)", .0.display())]
    Missing(PathBuf),
    /// No free port.
    #[error("finding a free port on 127.0.0.1: {0}")]
    Port(#[source] std::io::Error),
    /// Keys, certificates, kubeconfigs.
    #[error(transparent)]
    Files(#[from] files::Error),
    /// A program cannot be started.
    #[error("starting {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A client cannot be made.
    #[error("making a client for the API server: {0}")]
    Client(#[from] reqwest::Error),
    /// It does not become ready.
    #[error("{source}; logs: {}\n{tail}", logs.display())]
    NotReady {
        /// What was waited for.
        source: TimedOut,
        /// Where the logs are.
        logs: PathBuf,
        /// The API server's last words.
        tail: String,
    },
}

/// How to start one.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the programs.
    pub assets: PathBuf,
    /// Folder for data, keys and logs.
    pub dir: PathBuf,
    /// How often horizontal pod autoscalers look.
    pub hpa_sync_period: Duration,
    /// How long to wait until it is ready.
    pub patience: Duration,
}

impl Options {
    /// For the programs of a folder, with files in `dir`.
    pub fn new(assets: PathBuf, dir: PathBuf) -> Self {
        Self { assets, dir, hpa_sync_period: Duration::from_secs(1), patience: PATIENCE }
    }
}

/// A running control plane; killed when dropped.
pub struct ControlPlane {
    files: Files,
    /// In the order of their start.
    children: Vec<Child>,
    programs: Vec<&'static str>,
}

impl ControlPlane {
    /// Starts it and waits until the API server is ready.
    ///
    /// # Errors
    /// When a program is not there, cannot be started or does not become ready; what was started is killed.
    pub async fn start(options: &Options) -> Result<Self, Error> {
        let Options { assets, dir, hpa_sync_period, patience } = options;
        let program = |name: &str| Some(assets.join(name)).filter(|path| path.is_file());
        for needed in ["etcd", "kube-apiserver"] {
            program(needed).ok_or_else(|| Error::Missing(assets.join(needed)))?;
        }
        let (etcd, peer, api) = (free_port()?, free_port()?, free_port()?);
        let files = Files::create(&dir.join("files"), api)?;
        let manager = program("kube-controller-manager").is_some();
        let mut plane = Self { files, children: Vec::new(), programs: Vec::new() };
        plane.spawn(options, "etcd", etcd_flags(dir, etcd, peer))?;
        plane.spawn(options, "kube-apiserver", api_flags(&plane.files, dir, etcd, api, manager))?;
        plane.ready(api, dir, *patience).await?;
        // Both write to the API server at once.
        if manager {
            plane.spawn(
                options,
                "kube-controller-manager",
                manager_flags(&plane.files, *hpa_sync_period, free_port()?),
            )?;
        }
        if program("kube-scheduler").is_some() {
            plane.spawn(options, "kube-scheduler", client_flags(&plane.files, free_port()?))?;
        }
        Ok(plane)
    }

    /// Kubeconfig of somebody who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.files.path("kubeconfig")
    }

    /// Names of the programs that run.
    pub fn programs(&self) -> &[&'static str] {
        &self.programs
    }

    /// Stops everything, the API server after its clients and etcd last.
    pub async fn stop(mut self) {
        use nix::sys::signal::{Signal, kill};
        while let Some(mut child) = self.children.pop() {
            if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
                // One that has ended by itself is no failure.
                let _ = kill(nix::unistd::Pid::from_raw(id), Signal::SIGTERM);
            }
            if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }

    fn spawn(&mut self, options: &Options, name: &'static str, flags: Vec<String>) -> Result<(), Error> {
        let program = options.assets.join(name);
        let failed = |source| Error::Start { program: program.clone(), source };
        let log = File::create(options.dir.join(format!("{name}.log"))).map_err(failed)?;
        let child = Command::new(&program)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            // A Ctrl-C is for us; we stop our children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        self.children.push(child);
        self.programs.push(name);
        Ok(())
    }

    async fn ready(&self, port: u16, dir: &Path, patience: Duration) -> Result<(), Error> {
        let ca = reqwest::Certificate::from_pem(self.files.ca.as_bytes())?;
        let client =
            reqwest::Client::builder().no_proxy().tls_certs_only([ca]).timeout(Duration::from_secs(5)).build()?;
        let url = format!("https://127.0.0.1:{port}/readyz?verbose");
        let ready = wait::until("kube-apiserver to be ready", patience, || async {
            match client.get(&url).bearer_auth(&self.files.token).send().await {
                Ok(answer) if answer.status().is_success() => Look::Done(()),
                Ok(answer) => Look::NotYet(format!("{}: {}", answer.status(), answer.text().await.unwrap_or_default())),
                Err(error) => Look::NotYet(error.to_string()),
            }
        });
        ready.await.map_err(|source| {
            let log = std::fs::read_to_string(dir.join("kube-apiserver.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(10)..].join("\n");
            Error::NotReady { source, logs: dir.to_owned(), tail }
        })
    }
}

/// Of the range that the system gives out; another process may take it in between, which then is told by the program.
fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::Port)?;
    Ok(listener.local_addr().map_err(Error::Port)?.port())
}

fn etcd_flags(dir: &Path, client: u16, peer: u16) -> Vec<String> {
    let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    vec![
        format!("--data-dir={}", dir.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        // The data is thrown away with the run.
        "--unsafe-no-fsync".to_owned(),
    ]
}

fn api_flags(files: &Files, dir: &Path, etcd: u16, port: u16, manager: bool) -> Vec<String> {
    let path = |name: &str| files.path(name).display().to_string();
    let mut flags = vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--tls-cert-file={}", path("server.crt")),
        format!("--tls-private-key-file={}", path("server.key")),
        format!("--token-auth-file={}", path("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", path("accounts.key")),
        format!("--service-account-signing-key-file={}", path("accounts.key")),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        // There is no kube-proxy: an aggregated API is reached at its endpoints.
        "--enable-aggregator-routing=true".to_owned(),
        "--feature-gates=HPAScaleToZero=true".to_owned(),
        format!("--audit-policy-file={}", path("audit-policy.yaml")),
        format!("--audit-log-path={}", dir.join("audit.log").display()),
    ];
    if !manager {
        // Nobody would make the accounts that every pod must have.
        flags.push("--disable-admission-plugins=ServiceAccount".to_owned());
    }
    flags
}

fn client_flags(files: &Files, port: u16) -> Vec<String> {
    let kubeconfig = files.path("kubeconfig").display().to_string();
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        "--leader-elect=false".to_owned(),
    ]
}

fn manager_flags(files: &Files, hpa_sync_period: Duration, port: u16) -> Vec<String> {
    let mut flags = client_flags(files, port);
    flags.extend([
        format!("--service-account-private-key-file={}", files.path("accounts.key").display()),
        format!("--root-ca-file={}", files.path("ca.crt").display()),
        format!("--horizontal-pod-autoscaler-sync-period={}ms", hpa_sync_period.as_millis()),
        "--feature-gates=HPAScaleToZero=true".to_owned(),
    ]);
    flags
}
