//! Runs one container: start, probe, restart with back-off, stop.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ObjectReference};
use tokio::sync::watch;

use super::{
    Agent,
    backoff::Backoff,
    expand::expand,
    images::Program,
    log_file::LogWriter,
    log_store::LogKey,
    pod_context::PodContext,
    probe::{Finding, Kind, Prober},
    process::{self, Exit, Invocation, Process},
    sources::{self, Sources},
    view::{Board, Ended, State, View},
    volumes,
};
use crate::machinery::events::Severity;

/// Whether a container initialises the pod, serves those it is for, or is what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Runs to its end before the others start.
    Init,
    /// An init container that always restarts; it starts together with the main ones here, not before them.
    Sidecar,
    Main,
}

/// What happens after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    Restart,
    Rest,
}

fn afterwards(policy: &str, role: Role, exit: Exit) -> Afterwards {
    let failed = exit.code != 0;
    match (policy, role) {
        (_, Role::Sidecar) => Afterwards::Restart,
        ("Never", _) => Afterwards::Rest,
        ("OnFailure", _) | (_, Role::Init) => {
            if failed {
                Afterwards::Restart
            } else {
                Afterwards::Rest
            }
        }
        _ => Afterwards::Restart,
    }
}

/// One container of one pod.
pub(super) struct Supervisor<'a> {
    pub(super) agent: &'a Agent,
    pub(super) pod: &'a PodContext,
    pub(super) container: &'a Container,
    pub(super) role: Role,
    pub(super) board: &'a watch::Sender<Board>,
}

/// Why a run ended.
enum Cause {
    Itself,
    Probe(Kind),
    Stopped(Duration),
}

impl Supervisor<'_> {
    /// Runs the container until it is done or the pod is stopped; true if it ended well.
    pub(super) async fn run(&self) -> bool {
        let mut backoff = Backoff::new(self.agent.crash_backoff);
        let mut run = 0;
        loop {
            let Some(program) = self.agent.images.find(self.image()) else { return self.report_unknown_image().await };
            let prepared = match self.prepare(program).await {
                Ok(invocation) => self.start(&invocation, run).await,
                Err(message) => Err(("CreateContainerConfigError", message)),
            };
            let (process, log) = match prepared {
                Ok(started) => started,
                Err((reason, message)) => {
                    self.event(Severity::Warning, "Failed", format!("Error: {message}"));
                    self.update(|view| view.state = State::Waiting { reason, message: Some(message) });
                    if self.stopped_within(self.agent.crash_backoff.min(CONFIG_RETRY)).await {
                        return false;
                    }
                    continue;
                }
            };
            let since = Timestamp::now();
            let id = format!("process://{}", self.pod.instance_id(&self.container.name, run));
            self.update(|view| view.state = State::Running { since, id: id.clone() });
            let (cause, exit) = self.watch(process).await;
            log.finish();
            let ended = Ended {
                exit,
                reason: if exit.code == 0 { "Completed" } else { "Error" },
                message: None,
                started: since,
                finished: Timestamp::now(),
                id,
            };
            self.update(|view| {
                (view.ready, view.started) = (self.role == Role::Init && exit.code == 0, false);
                view.state = State::Ended(ended.clone());
            });
            let over = afterwards(self.pod.restart_policy(), self.role, exit) == Afterwards::Rest;
            if over || matches!(cause, Cause::Stopped(_)) || self.pod.is_stopping() {
                return exit.code == 0;
            }
            let ran = Duration::try_from(ended.finished.duration_since(ended.started)).unwrap_or_default();
            if self.wait_before_restart(ended, backoff.after_run(ran)).await {
                return false;
            }
            run += 1;
        }
    }

    fn image(&self) -> &str {
        self.container.image.as_deref().unwrap_or_default()
    }

    /// Images are fixed while the agent runs, so there is nothing to retry.
    async fn report_unknown_image(&self) -> bool {
        let message =
            format!("no local program is mapped to image \"{}\"; mapped are: {}", self.image(), self.agent.images);
        self.event(Severity::Warning, "Failed", format!("Failed to pull image \"{}\": {message}", self.image()));
        self.event(Severity::Normal, "BackOff", format!("Back-off pulling image \"{}\"", self.image()));
        self.update(|view| view.state = State::Waiting { reason: "ImagePullBackOff", message: Some(message) });
        self.pod.stopped().await;
        false
    }

    async fn prepare(&self, program: &Program) -> Result<Invocation, String> {
        let namespace = self.pod.namespace();
        let sources = Sources::read(&self.agent.client, &namespace, sources::of_env(self.container)).await;
        let sources = sources.map_err(|error| error.to_string())?;
        let account = self.pod.account_directory();
        let kubeconfig = super::account::kubeconfig_path(&account);
        let base = process::base_env(&self.pod.name(), self.pod.ip(), &kubeconfig, &self.agent.api.url);
        let env = super::env::resolve(self.container, &self.pod.facts(self.agent), &sources, base);
        let mut env = env.map_err(|error| error.to_string())?;
        let lookup = env.clone();
        let mounts = volumes::mounts(self.container, self.pod.places(), &account);
        for value in env.values_mut() {
            *value = mounts.translate(value);
        }
        let text = |text: &String| mounts.translate(&expand(text, |name| lookup.get(name).map(String::as_str)));
        // The image says what runs, so the first word of `command` has no meaning here.
        let command = self.container.command.iter().flatten().skip(1).map(text);
        let args = self.container.args.iter().flatten().map(text);
        Ok(Invocation {
            program: program.path.clone(),
            args: program.args.iter().cloned().chain(command).chain(args).collect(),
            env,
            directory: self.directory(),
        })
    }

    fn directory(&self) -> PathBuf {
        self.pod.directory().join("containers").join(&self.container.name)
    }

    async fn start(
        &self,
        invocation: &Invocation,
        run: u32,
    ) -> Result<(Process, Arc<LogWriter>), (&'static str, String)> {
        let failed = |error: std::io::Error| {
            ("RunContainerError", format!("starting {}: {error}", invocation.program.display()))
        };
        std::fs::create_dir_all(&invocation.directory).map_err(failed)?;
        let log = Arc::new(LogWriter::create(&invocation.directory.join(format!("{run}.log"))).map_err(failed)?);
        self.agent.logs.rotate(&self.log_key(), Arc::clone(&log));
        let name = &self.container.name;
        self.event(
            Severity::Normal,
            "Pulled",
            format!("Container image \"{}\" already present on machine", self.image()),
        );
        self.event(Severity::Normal, "Created", format!("Created container: {name}"));
        let process = Process::start(invocation, Arc::clone(&log), &self.agent.reaper).await.map_err(failed)?;
        self.event(Severity::Normal, "Started", format!("Started container {name}"));
        Ok((process, log))
    }

    fn log_key(&self) -> LogKey {
        LogKey { namespace: self.pod.namespace(), pod: self.pod.name(), container: self.container.name.clone() }
    }

    /// Returns when the process is gone, and why it went.
    async fn watch(&self, mut process: Process) -> (Cause, Exit) {
        let prober = Prober { container: self.container, ip: self.pod.ip(), http: &self.agent.http };
        let probing = async {
            if self.role == Role::Init {
                // Init containers have no probes: ending well is their readiness.
                return std::future::pending().await;
            }
            prober.run(|finding| self.note(finding)).await
        };
        let cause = tokio::select! {
            _ = process.ended() => Cause::Itself,
            kind = probing => Cause::Probe(kind),
            grace = self.pod.stopped() => Cause::Stopped(grace),
        };
        let name = &self.container.name;
        match cause {
            Cause::Itself => {}
            Cause::Probe(kind) => {
                let probe = kind.name().to_lowercase();
                self.event(
                    Severity::Normal,
                    "Killing",
                    format!("Container {name} failed {probe} probe, will be restarted"),
                );
                // Probes end with the run, and so does what they found.
                self.update(|view| view.ready = false);
                process.terminate(self.pod.grace()).await;
            }
            Cause::Stopped(grace) => {
                self.event(Severity::Normal, "Killing", format!("Stopping container {name}"));
                process.terminate(grace).await;
            }
        }
        // A status that cannot be collected is reported as the shell reports a command that could not be run.
        let exit = process.collect().await.unwrap_or(Exit { code: 127, signal: None });
        (cause, exit)
    }

    fn note(&self, finding: Finding) {
        match finding {
            Finding::Started => self.update(|view| view.started = true),
            Finding::Ready(ready) => self.update(|view| view.ready = ready),
            Finding::Failed(kind, message) => {
                self.event(Severity::Warning, "Unhealthy", format!("{} probe failed: {message}", kind.name()));
            }
            Finding::Unsupported(kind) => {
                let message =
                    format!("{} probe: only httpGet and tcpSocket are supported here; counted as success", kind.name());
                self.event(Severity::Warning, "ProbeWarning", message);
            }
        }
    }

    /// True if the pod was stopped meanwhile.
    async fn wait_before_restart(&self, ended: Ended, delay: Duration) -> bool {
        let name = &self.container.name;
        if !delay.is_zero() {
            let message = format!(
                "Back-off {}s restarting failed container={name} pod={}_{}({})",
                delay.as_secs(),
                self.pod.name(),
                self.pod.namespace(),
                self.pod.uid()
            );
            let event = format!(
                "Back-off restarting failed container {name} in pod {}_{}({})",
                self.pod.name(),
                self.pod.namespace(),
                self.pod.uid()
            );
            self.event(Severity::Warning, "BackOff", event);
            self.update(|view| {
                view.last = Some(ended.clone());
                view.state = State::Waiting { reason: "CrashLoopBackOff", message: Some(message) };
            });
            if self.stopped_within(delay).await {
                return true;
            }
        }
        self.update(|view| {
            view.last = Some(ended);
            view.restarts += 1;
        });
        false
    }

    async fn stopped_within(&self, delay: Duration) -> bool {
        tokio::time::timeout(delay, self.pod.stopped()).await.is_ok()
    }

    fn update(&self, change: impl FnOnce(&mut View)) {
        self.board.send_if_modified(|board| {
            let views = match self.role {
                Role::Init | Role::Sidecar => &mut board.init,
                Role::Main => &mut board.main,
            };
            let view = views.entry(self.container.name.clone()).or_default();
            let before = view.clone();
            change(view);
            *view != before
        });
    }

    fn event(&self, severity: Severity, reason: &'static str, message: String) {
        let list = match self.role {
            Role::Init | Role::Sidecar => "initContainers",
            Role::Main => "containers",
        };
        let field = format!("spec.{list}{{{}}}", self.container.name);
        let about = ObjectReference { field_path: Some(field), ..self.pod.reference() };
        self.agent.recorder.record(about, severity, reason, message);
    }
}

/// How often a container whose configuration is missing is tried again.
const CONFIG_RETRY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_server_always_runs("Always", Role::Main, 0, Afterwards::Restart)]
    #[case::a_finished_init_container_rests("Always", Role::Init, 0, Afterwards::Rest)]
    #[case::a_failed_init_container_is_repeated("Always", Role::Init, 1, Afterwards::Restart)]
    #[case::a_failed_task_is_repeated("OnFailure", Role::Main, 1, Afterwards::Restart)]
    #[case::a_finished_task_rests("OnFailure", Role::Main, 0, Afterwards::Rest)]
    #[case::never_means_never("Never", Role::Main, 1, Afterwards::Rest)]
    fn the_restart_policy_decides(
        #[case] policy: &str,
        #[case] role: Role,
        #[case] code: i32,
        #[case] expected: Afterwards,
    ) {
        assert_eq!(afterwards(policy, role, Exit { code, signal: None }), expected);
    }
}
