//! Runs one container: start, probe, restart with back-off, stop.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ObjectReference};
use tokio::sync::watch;

use super::{
    Agent,
    backoff::Backoff,
    invocation::{self, Invocation},
    launch::find_program,
    log_file::LogWriter,
    log_store::ContainerKey,
    pod_context::PodContext,
    probe::{Finding, Kind, Prober},
    process::{Exit, Process},
    runs::Running,
    view::{Board, Ended, State, View},
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
            let prepared =
                match invocation::prepare(self.agent, self.pod, self.container, program, self.directory()).await {
                    Ok(invocation) => self.start(Arc::new(invocation), run).await,
                    Err(message) => Err(("CreateContainerConfigError", message)),
                };
            let (process, running, log) = match prepared {
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
            running.drain().await;
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

    /// Images are fixed while the agent runs, so what cannot be pulled now never can: the pod says so as under the
    /// kubelet, which tries again and again.
    async fn report_unknown_image(&self) -> bool {
        let image = self.image();
        if self.container.image_pull_policy.as_deref() == Some("Never") {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            self.event(Severity::Warning, "ErrImageNeverPull", message.clone());
            self.event(Severity::Warning, "Failed", "Error: ErrImageNeverPull".to_owned());
            self.update(|view| view.state = State::Waiting { reason: "ErrImageNeverPull", message: Some(message) });
            self.pod.stopped().await;
            return false;
        }
        let cause = format!("no local program is mapped to it; mapped are: {}", self.agent.images);
        let message = format!("failed to pull image \"{image}\": {cause}");
        self.event(Severity::Normal, "Pulling", format!("Pulling image \"{image}\""));
        self.event(Severity::Warning, "Failed", format!("Failed to pull image \"{image}\": {cause}"));
        self.event(Severity::Warning, "Failed", "Error: ErrImagePull".to_owned());
        self.update(|view| view.state = State::Waiting { reason: "ErrImagePull", message: Some(message.clone()) });
        if self.stopped_within(self.agent.crash_backoff).await {
            return false;
        }
        let back_off = format!("Back-off pulling image \"{image}\"");
        self.event(Severity::Normal, "BackOff", back_off.clone());
        self.event(Severity::Warning, "Failed", "Error: ImagePullBackOff".to_owned());
        let message = format!("{back_off}: ErrImagePull: {message}");
        self.update(|view| view.state = State::Waiting { reason: "ImagePullBackOff", message: Some(message) });
        self.pod.stopped().await;
        false
    }

    fn directory(&self) -> PathBuf {
        self.pod.directory().join("containers").join(&self.container.name)
    }

    async fn start(
        &self,
        invocation: Arc<Invocation>,
        run: u32,
    ) -> Result<(Process, Running<'_>, Arc<LogWriter>), (&'static str, String)> {
        let failed = |error: std::io::Error| {
            ("RunContainerError", format!("starting {}: {error}", invocation.program.display()))
        };
        std::fs::create_dir_all(invocation.directory.join("mounts")).map_err(failed)?;
        let log = Arc::new(LogWriter::create(&invocation.directory.join(format!("{run}.log"))).map_err(failed)?);
        self.agent.logs.rotate(&self.key(), Arc::clone(&log));
        let name = &self.container.name;
        self.event(
            Severity::Normal,
            "Pulled",
            format!("Container image \"{}\" already present on machine", self.image()),
        );
        self.event(Severity::Normal, "Created", format!("Created container: {name}"));
        let program = find_program(&invocation.program).map_err(failed)?;
        let (process, pipes) = invocation.launch(program).start(&self.agent.reaper).await.map_err(failed)?;
        self.event(Severity::Normal, "Started", format!("Started container {name}"));
        let running = self.agent.runs.begin(self.key(), process.id(), Arc::clone(&invocation), pipes, &log);
        Ok((process, running, log))
    }

    fn key(&self) -> ContainerKey {
        ContainerKey { namespace: self.pod.namespace(), pod: self.pod.name(), container: self.container.name.clone() }
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
