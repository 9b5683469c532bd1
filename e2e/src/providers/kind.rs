//! Clusters of containers, made by the `kind` program (<https://kind.sigs.k8s.io>), 0.30 or newer.
//!
//! Each cluster has a name, a folder and a kubeconfig of its own, so any number run side by side; nobody's
//! `~/.kube/config` is touched. Every call of `kind` and `docker` ends within a limit. A cluster that cannot be made
//! leaves its logs behind and nothing else.

pub mod command;
pub mod config;
mod failure;
pub mod host;
pub mod images;
pub mod nodes;
mod provider;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::try_join_all;
use kube::config::{KubeConfigOptions, Kubeconfig};

use self::command::Program;
use self::config::{AUDIT_POLICY, Config};
use self::host::Host;
pub use self::provider::Kind;
use crate::wait::TimedOut;

/// How long the parts of a cluster's life may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `kind create cluster`, with the time to fetch a node image.
    pub create: Duration,
    /// Nodes, and then the pods of kube-system, until they are Ready.
    pub ready: Duration,
    /// One `kind load image-archive`.
    pub load: Duration,
    /// `kind export logs`, `kind delete cluster`, `docker version`.
    pub other: Duration,
}

impl Default for Limits {
    /// At least five times what was seen on a busy machine with two cores.
    fn default() -> Self {
        Self {
            create: Duration::from_mins(10),
            ready: Duration::from_mins(4),
            load: Duration::from_mins(3),
            other: Duration::from_mins(2),
        }
    }
}

/// How often a creation is tried that fails for a reason which passes.
const ATTEMPTS: u32 = 3;

/// What to make, and with what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `kind` program.
    pub kind: PathBuf,
    /// `PATH` for it, where `docker` must be; that of this process when `None`.
    pub path: Option<OsString>,
    /// Node image, as `kindest/node:v1.35.0`; kind's own default when `None`.
    pub image: Option<String>,
    /// Nodes and patches. The audit policy and the version are filled in.
    pub config: Config,
    /// Time limits.
    pub limits: Limits,
}

/// A cluster cannot be made, used or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `kind` or `docker` failed.
    #[error(transparent)]
    Command(#[from] Box<command::Error>),
    /// Its files cannot be written.
    #[error("writing {} for kind: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no container engine that answers.
    #[error("kind needs a docker program on PATH that reaches an engine: {0}")]
    Engine(#[source] Box<command::Error>),
    /// Somebody has a cluster of that name; it is left alone.
    #[error("kind cluster {name} exists already and is not ours; remove it: kind delete cluster --name {name}")]
    Exists {
        /// The cluster.
        name: String,
    },
    /// Creation failed.
    #[error("creating kind cluster {name}: {source}{}; logs: {}", told(.causes), logs.display())]
    Create {
        /// The cluster.
        name: String,
        /// What `kind` said.
        source: Box<command::Error>,
        /// What the kubelets' journals say.
        causes: Vec<String>,
        /// Where the logs are.
        logs: PathBuf,
    },
    /// It was created but did not become ready.
    #[error("kind cluster {name}: {source}; logs: {}", logs.display())]
    NotReady {
        /// The cluster.
        name: String,
        /// What was waited for.
        source: Box<TimedOut>,
        /// Where the logs are.
        logs: PathBuf,
    },
    /// Its nodes could not be given GPUs.
    #[error("kind cluster {name}: {source}")]
    Gpus {
        /// The cluster.
        name: String,
        /// Why.
        source: Box<nodes::Error>,
    },
    /// A patch of the user's cannot be read.
    #[error("reading the patch {} that {variable} names: {source}", path.display())]
    Patch {
        /// The environment variable.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// kind's kubeconfig makes no client.
    #[error("using the kubeconfig {} of kind: {source}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn told(causes: &[String]) -> String {
    if causes.is_empty() { String::new() } else { format!("\nthe kubelet says:\n  {}\n", causes.join("\n  ")) }
}

/// A running cluster. [`KindCluster::delete`] removes it; when dropped before, it is removed in the background.
pub struct KindCluster {
    name: String,
    dir: PathBuf,
    options: Options,
    client: kube::Client,
    /// Nothing is left to remove.
    deleted: bool,
}

impl KindCluster {
    /// Makes a cluster called `name` with its files in `dir`, and waits until nodes and kube-system are Ready. `progress`
    /// hears of each step.
    ///
    /// # Errors
    /// When it cannot be made; what there was of it is removed, its logs stay in `dir`.
    pub async fn create(
        name: &str,
        dir: &Path,
        options: Options,
        mut progress: impl FnMut(&str),
    ) -> Result<Self, Error> {
        let maker = Maker { name, dir, options: &options };
        maker.engine_answers().await?;
        let nodes = options.config.workers.len() + 1;
        if let Some(warning) = host::inotify_warning(nodes) {
            progress(&warning);
        }
        maker.write_files()?;
        let mut attempt = 1;
        while let Err(error) = maker.create().await {
            let (again, error) = maker.give_up(error).await?;
            let Some(why) = again.filter(|_| attempt < ATTEMPTS) else { return Err(error) };
            attempt += 1;
            progress(&format!("Trying to create kind cluster {name} again ({attempt} of {ATTEMPTS}): {why}"));
        }
        progress(&format!("kind cluster {name} is created"));
        match maker.ready().await {
            Ok(client) => {
                progress(&format!("kind cluster {name} is ready: {nodes} nodes, kube-system"));
                Ok(Self { name: name.to_owned(), dir: dir.to_owned(), options, client, deleted: false })
            }
            Err(error) => {
                maker.remove().await?;
                Err(error)
            }
        }
    }

    /// Its name, for `kind` and in the names of its nodes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its kubeconfig; the context is `kind-NAME`.
    pub fn kubeconfig(&self) -> PathBuf {
        kubeconfig(&self.dir)
    }

    /// A client of the administrator.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Loads image archives into all nodes, all at once. An image that a node has already is skipped there.
    ///
    /// # Errors
    /// When one cannot be loaded.
    pub async fn load(&self, archives: &[PathBuf]) -> Result<(), Error> {
        let kind = self.maker().kind();
        let loads = archives.iter().map(|archive| {
            let archive = archive.as_os_str();
            let args = ["load".as_ref(), "image-archive".as_ref(), archive, "--name".as_ref(), self.name.as_ref()];
            let kind = kind.clone();
            async move { kind.run(&args, self.options.limits.load).await.map(drop) }
        });
        try_join_all(loads).await.map_err(Box::new)?;
        Ok(())
    }

    /// Writes the logs of nodes and pods, the audit log among them, into `to`.
    ///
    /// # Errors
    /// When they cannot be fetched in time.
    pub async fn export_logs(&self, to: &Path) -> Result<(), Error> {
        self.maker().export_logs(to).await.map_err(|error| Box::new(error).into())
    }

    /// Removes it.
    ///
    /// # Errors
    /// When `kind` cannot remove it in time; then its containers have to be removed by hand.
    pub async fn delete(mut self) -> Result<(), Error> {
        // Also after a failure: trying again in the background would not help.
        self.deleted = true;
        self.maker().delete().await.map_err(|error| Box::new(error).into())
    }

    fn maker(&self) -> Maker<'_> {
        Maker { name: &self.name, dir: &self.dir, options: &self.options }
    }
}

impl Drop for KindCluster {
    fn drop(&mut self) {
        if self.deleted {
            return;
        }
        let mut command = std::process::Command::new(&self.options.kind);
        command.args(self.maker().delete_args()).stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        if let Some(path) = &self.options.path {
            command.env("PATH", path);
        }
        if let Err(error) = command.spawn() {
            tracing::error!(name = self.name, %error, "A kind cluster is left behind; remove it with kind delete cluster");
        }
    }
}

/// A kubeconfig of its own for each cluster.
fn kubeconfig(dir: &Path) -> PathBuf {
    dir.join("kubeconfig")
}

/// The steps of a cluster's life.
struct Maker<'a> {
    name: &'a str,
    dir: &'a Path,
    options: &'a Options,
}

impl Maker<'_> {
    fn kind(&self) -> Program {
        Program::new(&self.options.kind, &self.logs()).with_path(self.options.path.clone())
    }

    fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// An engine that hangs would make kind hang; better told now and by name.
    async fn engine_answers(&self) -> Result<(), Error> {
        let search = self.options.path.clone().or_else(|| std::env::var_os("PATH")).unwrap_or_default();
        let docker = std::env::split_paths(&search).map(|dir| dir.join("docker")).find(|path| path.is_file());
        let docker = Program::new(&docker.unwrap_or_else(|| "docker".into()), &self.logs());
        let answer = docker.with_path(Some(search)).run(&["version"], self.options.limits.other).await;
        answer.map(drop).map_err(|error| Error::Engine(error.into()))
    }

    fn write_files(&self) -> Result<(), Error> {
        let mut config = self.options.config.clone();
        let policy = self.dir.join("audit-policy.yaml");
        // A node can mount a file of this machine only where the engine is on this machine.
        let remote = std::env::var("DOCKER_HOST").is_ok_and(|host| !host.starts_with("unix:"));
        config.audit_policy = (!remote).then(|| policy.clone());
        config.minor = self.options.image.as_deref().and_then(config::minor);
        for (path, text) in [(policy, AUDIT_POLICY.to_owned()), (self.config(), config.text(Host::look()))] {
            let written = std::fs::create_dir_all(self.dir).and_then(|()| std::fs::write(&path, text));
            written.map_err(|source| Error::Write { path, source })?;
        }
        Ok(())
    }

    fn config(&self) -> PathBuf {
        self.dir.join("kind.yaml")
    }

    async fn create(&self) -> Result<(), command::Error> {
        let (config, kubeconfig) = (self.config(), kubeconfig(self.dir));
        let mut args: Vec<OsString> =
            ["create", "cluster", "--name", self.name, "--retain", "--wait", "120s"].map(OsString::from).to_vec();
        args.extend(["--config".into(), config.into(), "--kubeconfig".into(), kubeconfig.into()]);
        if let Some(image) = &self.options.image {
            args.extend(["--image".into(), image.into()]);
        }
        self.kind().run(&args, self.options.limits.create).await.map(drop)
    }

    /// After a creation that failed: fetches the logs, removes what there is, and says whether another try may help.
    async fn give_up(&self, error: command::Error) -> Result<(Option<&'static str>, Error), Error> {
        if error.output().contains("already exist for a cluster with the name") {
            return Err(Error::Exists { name: self.name.to_owned() });
        }
        if matches!(error, command::Error::Start { .. } | command::Error::Log { .. }) {
            return Err(Box::new(error).into());
        }
        let again = failure::passing(error.output());
        let logs = self.remove().await?;
        let causes = failure::causes(&journals(&logs));
        Ok((again, Error::Create { name: self.name.to_owned(), source: Box::new(error), causes, logs }))
    }

    /// Fetches the logs, if there are any, and removes the cluster; gives the folder of the logs.
    async fn remove(&self) -> Result<PathBuf, Error> {
        let logs = self.dir.join("nodes");
        if let Err(error) = self.export_logs(&logs).await {
            // The error that brought us here tells more.
            tracing::warn!(%error, "The logs of a failed kind cluster could not be fetched");
        }
        self.delete().await.map_err(Box::new)?;
        Ok(logs)
    }

    async fn ready(&self) -> Result<kube::Client, Error> {
        let path = kubeconfig(self.dir);
        let client = connect(&path).await.map_err(|source| Error::Kubeconfig { path, source })?;
        let (workers, limit) = (&self.options.config.workers, self.options.limits.ready);
        let not_ready = |source| Error::NotReady {
            name: self.name.to_owned(),
            source: Box::new(source),
            logs: self.dir.join("nodes"),
        };
        nodes::ready(&client, workers.len() + 1, limit).await.map_err(not_ready)?;
        nodes::system_ready(&client, limit).await.map_err(not_ready)?;
        let added = nodes::add_gpus(&client, workers).await;
        added.map_err(|source| Error::Gpus { name: self.name.to_owned(), source: Box::new(source) })?;
        Ok(client)
    }

    async fn export_logs(&self, to: &Path) -> Result<(), command::Error> {
        let args = ["export".as_ref(), "logs".as_ref(), to.as_os_str(), "--name".as_ref(), self.name.as_ref()];
        self.kind().run(&args, self.options.limits.other).await.map(drop)
    }

    /// `kind delete cluster` of a cluster that does not exist succeeds.
    async fn delete(&self) -> Result<(), command::Error> {
        self.kind().run(&self.delete_args(), self.options.limits.other).await.map(drop)
    }

    fn delete_args(&self) -> [OsString; 6] {
        // Without the kubeconfig, kind would look for the cluster in the user's own.
        let kubeconfig = kubeconfig(self.dir).into_os_string();
        ["delete".into(), "cluster".into(), "--name".into(), self.name.into(), "--kubeconfig".into(), kubeconfig]
    }
}

/// The kubelets' journals among exported logs.
fn journals(logs: &Path) -> String {
    let nodes = std::fs::read_dir(logs).into_iter().flatten().flatten();
    let journal = |node: std::fs::DirEntry| std::fs::read_to_string(node.path().join("kubelet.log")).ok();
    nodes.filter_map(journal).collect()
}

async fn connect(path: &Path) -> Result<kube::Client, Box<dyn std::error::Error + Send + Sync>> {
    let file = Kubeconfig::read_from(path)?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}
