//! `up` and `down`: an environment that outlives the command that started it.
//!
//! `up` starts this program again in the background (`serve`) and waits until it is ready; the folder of the session
//! holds its process id, its log and the kubeconfig. `down` stops that process, which stops everything it started.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use clap::Args;

use crate::environment::{self, Environment, Settings};
use crate::instance::{self, Controller};
use crate::providers::{Choice, Facts};
use crate::wait::{self, Look};
use crate::{kubectl, programs};

/// Namespace and release of the controller in a session, as the users' guides have it.
pub const CONTROLLER_NAMESPACE: &str = "workload-variant-autoscaler-system";
/// See [`CONTROLLER_NAMESPACE`].
pub const CONTROLLER_RELEASE: &str = "workload-variant-autoscaler";

/// How long a stop may take.
const STOP: Duration = Duration::from_secs(30);

/// A session could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One is running already.
    #[error("an environment is already up in {} (process {pid}); take it down first: wva-e2e down", dir.display())]
    AlreadyUp {
        /// The session's folder.
        dir: PathBuf,
        /// Its process.
        pid: i32,
    },
    /// None is running.
    #[error("no environment is up in {}", dir.display())]
    NotUp {
        /// The session's folder.
        dir: PathBuf,
    },
    /// The background process ended early.
    #[error("the environment ended while starting; its log ({}) ends with:\n{tail}", log.display())]
    Ended {
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// It took too long.
    #[error(transparent)]
    TimedOut(#[from] wait::TimedOut),
    /// A file of the session.
    #[error("{what} {}: {source}", path.display())]
    File {
        /// What was done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A signal could not be sent.
    #[error("stopping process {pid}: {source}")]
    Signal {
        /// The process.
        pid: i32,
        /// Why.
        source: nix::Error,
    },
    /// Our own program is missing.
    #[error(transparent)]
    Program(#[from] programs::Error),
    /// The facts of the environment.
    #[error("reading what is known of the environment from {}: {source}", path.display())]
    Facts {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The environment.
    #[error(transparent)]
    Environment(#[from] environment::Error),
    /// The controller.
    #[error(transparent)]
    Instance(#[from] instance::Error),
    /// kubectl.
    #[error(transparent)]
    Kubectl(#[from] kubectl::Error),
}

/// What is started.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Where the cluster comes from.
    #[arg(long, value_name = "NAME", env = "PROVIDER", default_value_t)]
    pub provider: Choice,
    /// Install no controller.
    #[arg(long)]
    pub bare: bool,
    /// For many instances at once: roles are enforced, and there are GPUs for all of them. Suites are run in it by
    /// SESSION=FOLDER.
    #[arg(long)]
    pub shared: bool,
    /// Controller to run instead of our own.
    #[arg(long, value_name = "FILE", env = "E2E_CONTROLLER")]
    pub controller: Option<PathBuf>,
}

impl Start {
    fn arguments(&self) -> Vec<String> {
        let Self { provider, bare, shared, controller } = self;
        let controller = controller.iter().flat_map(|file| ["--controller".to_owned(), file.display().to_string()]);
        let flag = |set: bool, name: &str| set.then(|| name.to_owned());
        let provider = ["--provider".to_owned(), provider.to_string()];
        provider.into_iter().chain(flag(*bare, "--bare")).chain(flag(*shared, "--shared")).chain(controller).collect()
    }

    fn settings(&self, dir: &Path) -> Settings {
        let settings = if self.shared { Settings::shared(dir) } else { Settings::quick(dir) };
        Settings { provider: self.provider, controller: self.controller.clone(), ..settings }
    }
}

/// A session's folder and what is in it.
#[derive(Clone, Debug)]
pub struct Session {
    dir: PathBuf,
}

impl Session {
    /// The session kept in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Starts an environment in the background and waits until it is ready. It ends with the process `with`, if one is
    /// given, else by [`Session::down`].
    ///
    /// # Errors
    /// When one is up already, or the new one does not become ready; then it is stopped again.
    pub async fn up(&self, start: &Start, with: Option<i32>) -> Result<Facts, Error> {
        if let Some(pid) = self.running() {
            return Err(Error::AlreadyUp { dir: self.dir.clone(), pid });
        }
        let _ = fs::remove_dir_all(&self.dir);
        fs::create_dir_all(&self.dir).map_err(failed("making", &self.dir))?;
        let log = self.file("log");
        let output = File::create(&log).map_err(failed("creating", &log))?;
        let errors = output.try_clone().map_err(failed("creating", &log))?;
        let mut command = Command::new(programs::ours("wva-e2e")?);
        command.arg("serve").arg("--dir").arg(&self.dir).args(start.arguments());
        command.args(with.map(|pid| format!("--with={pid}")));
        // A process group of its own: Ctrl-C on this terminal later is not meant for it.
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let mut child = command.spawn().map_err(failed("starting", Path::new("wva-e2e serve")))?;
        let pid_file = self.file("pid");
        fs::write(&pid_file, child.id().to_string()).map_err(failed("writing", &pid_file))?;

        let patience = start.provider.start_limit();
        let outcome = wait::until("the environment to be ready", patience, || {
            let look = match (self.facts(), child.try_wait()) {
                (Ok(Some(facts)), _) => Look::Done(Ok(Some(facts))),
                (Err(error), _) => Look::Done(Err(error)),
                (Ok(None), Ok(Some(_))) => Look::Done(Ok(None)),
                (Ok(None), _) => Look::NotYet(tail(&log)),
            };
            std::future::ready(look)
        })
        .await;
        match outcome {
            Ok(Ok(Some(facts))) => Ok(facts),
            Ok(Ok(None)) => Err(Error::Ended { tail: tail(&log), log }),
            Ok(Err(error)) => Err(error),
            Err(timed_out) => {
                let _ = self.down().await;
                Err(timed_out.into())
            }
        }
    }

    /// Stops the environment and waits for its end.
    ///
    /// # Errors
    /// When none is up, or it does not end.
    pub async fn down(&self) -> Result<(), Error> {
        let Some(pid) = self.running() else { return Err(Error::NotUp { dir: self.dir.clone() }) };
        kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(|source| Error::Signal { pid, source })?;
        wait::until("the environment to end", STOP, || {
            let look = if self.running().is_none() { Look::Done(()) } else { Look::NotYet(format!("process {pid}")) };
            std::future::ready(look)
        })
        .await?;
        fs::remove_dir_all(&self.dir).map_err(failed("removing", &self.dir))
    }

    /// What is known of the environment; `None` while it is not ready.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn facts(&self) -> Result<Option<Facts>, Error> {
        let path = self.file("facts.json");
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|source| Error::Facts { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("reading", &path)(error)),
        }
    }

    /// The background half: starts everything, says so in the session's folder, and runs until `stop`.
    ///
    /// # Errors
    /// When something cannot be started; what was started is stopped.
    pub async fn serve(&self, start: &Start, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let environment = Environment::start(&start.settings(&self.dir), |step| tracing::info!("{step}")).await?;
        let prepared = async {
            if !start.bare {
                install_controller(&environment).await?;
            }
            self.announce(environment.facts())
        };
        let prepared = prepared.await;
        if prepared.is_ok() {
            stop.await;
        }
        environment.stop().await;
        prepared
    }

    /// Tells others what there is: whole, or not yet.
    fn announce(&self, facts: &Facts) -> Result<(), Error> {
        let (path, fresh) = (self.file("facts.json"), self.file("facts.new"));
        let text = serde_json::to_vec_pretty(facts).map_err(|source| Error::Facts { path: path.clone(), source })?;
        fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &path)).map_err(failed("writing", &path))
    }

    /// Process id of the session's environment, if it is alive and is ours.
    fn running(&self) -> Option<i32> {
        let pid: i32 = fs::read_to_string(self.file("pid")).ok()?.trim().parse().ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        // A process id is used again some day, and an ended child stays as a zombie until its parent asks for it.
        let ours = command.windows(5).any(|window| window == b"serve");
        let zombie = status.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
        (ours && !zombie).then_some(pid)
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File { what, path, source }
}

async fn install_controller(environment: &Environment) -> Result<(), Error> {
    let prometheus = environment.prometheus();
    Controller::quick(CONTROLLER_RELEASE, CONTROLLER_NAMESPACE, "", prometheus.url())
        .install(environment.kubectl())
        .await?;
    let deployment = format!("deployment/{CONTROLLER_RELEASE}-controller-manager");
    environment
        .kubectl()
        .run(&["wait", "--namespace", CONTROLLER_NAMESPACE, "--for=condition=Available", "--timeout=60s", &deployment])
        .await?;
    Ok(())
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn taking_down_what_is_not_up_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let error = Session::new(dir.path()).down().await.unwrap_err();
        assert!(error.to_string().starts_with("no environment is up in "), "{error}");
    }

    #[tokio::test]
    async fn a_process_id_that_belongs_to_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pid"), std::process::id().to_string()).unwrap();
        assert!(matches!(Session::new(dir.path()).down().await, Err(Error::NotUp { .. })));
    }
}
