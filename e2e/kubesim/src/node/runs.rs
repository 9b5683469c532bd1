//! The containers that run on a node: what `exec` and `attach` need of them, and how their output gets into the log.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::AsyncReadExt,
    sync::{broadcast, watch},
    task::JoinSet,
};

use super::{
    invocation::Invocation,
    launch::{Input, Output, Pipes},
    log_file::{LogWriter, Stream},
    log_store::ContainerKey,
    terminal::Terminal,
};

/// How much is read from a process at once.
const CHUNK: usize = 8 * 1024;

/// Chunks that a client which is attached may lag behind before it misses some.
const BACKLOG: usize = 64;

/// How long to wait for the rest of the output once every process of the group was killed.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

/// The standard input of a container. All clients that are attached share it; `None` once it is closed.
pub(super) type Stdin = Arc<tokio::sync::Mutex<Option<Input>>>;

/// What can be done with a container while it runs.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) process: u32,
    pub(super) invocation: Arc<Invocation>,
    pub(super) stdin: Stdin,
    pub(super) terminal: Option<Arc<Terminal>>,
    output: broadcast::WeakSender<(Stream, Bytes)>,
    over: watch::Receiver<()>,
}

impl Run {
    /// What the container prints from now on; ends with it.
    pub(super) fn output(&self) -> Option<broadcast::Receiver<(Stream, Bytes)>> {
        self.output.upgrade().map(|output| output.subscribe())
    }

    /// Returns when the container has ended.
    pub(super) async fn ended(&mut self) {
        // Nothing is ever sent: the sender goes with the run.
        while self.over.changed().await.is_ok() {}
    }
}

/// The running containers of a node.
#[derive(Default)]
pub(super) struct Runs {
    running: Mutex<HashMap<ContainerKey, Run>>,
}

/// A container that runs, until this is dropped.
pub(super) struct Running<'a> {
    runs: &'a Runs,
    key: ContainerKey,
    _over: watch::Sender<()>,
    output: JoinSet<()>,
}

impl Runs {
    fn lock(&self) -> MutexGuard<'_, HashMap<ContainerKey, Run>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, key: &ContainerKey) -> Option<Run> {
        self.lock().get(key).cloned()
    }

    /// Any container of a pod that runs.
    pub(super) fn of_pod(&self, namespace: &str, pod: &str) -> Option<Run> {
        let running = self.lock();
        running.iter().find(|(key, _)| key.namespace == namespace && key.pod == pod).map(|(_, run)| run.clone())
    }

    /// The process of each container, which leads its group.
    pub(super) fn processes(&self) -> Vec<(ContainerKey, u32)> {
        self.lock().iter().map(|(key, run)| (key.clone(), run.process)).collect()
    }

    /// Copies what the process prints into its log, and makes it known.
    pub(super) fn begin(
        &self,
        key: ContainerKey,
        process: u32,
        invocation: Arc<Invocation>,
        pipes: Pipes,
        log: &Arc<LogWriter>,
    ) -> Running<'_> {
        let (over, receiver) = watch::channel(());
        let attached = broadcast::Sender::new(BACKLOG);
        let run = Run {
            process,
            invocation,
            stdin: Arc::new(tokio::sync::Mutex::new(pipes.stdin)),
            terminal: pipes.terminal,
            output: attached.downgrade(),
            over: receiver,
        };
        let mut output = JoinSet::new();
        for (source, stream) in [(pipes.stdout, Stream::Stdout), (pipes.stderr, Stream::Stderr)] {
            if let Some(source) = source {
                output.spawn(copy(source, stream, Arc::clone(log), attached.clone()));
            }
        }
        self.lock().insert(key.clone(), run);
        Running { runs: self, key, _over: over, output }
    }
}

impl Running<'_> {
    /// Waits for the rest of the output, but not for what a process outside of the group holds open.
    pub(super) async fn drain(mut self) {
        let drained = async { while self.output.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(OUTPUT_TIMEOUT, drained).await;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.runs.lock().remove(&self.key);
    }
}

/// Writes lines to the log, and hands what comes on to whoever is attached.
async fn copy(mut source: Output, stream: Stream, log: Arc<LogWriter>, attached: broadcast::Sender<(Stream, Bytes)>) {
    let mut buffer = vec![0; CHUNK];
    let mut line = Vec::new();
    while let Ok(read @ 1..) = source.read(&mut buffer).await {
        let chunk = &buffer[..read];
        if attached.receiver_count() > 0 {
            // Whoever left meanwhile misses nothing.
            let _ = attached.send((stream, Bytes::copy_from_slice(chunk)));
        }
        let mut parts = chunk.split(|byte| *byte == b'\n');
        line.extend_from_slice(parts.next().unwrap_or_default());
        for part in parts {
            log.write(stream, &line);
            line.clear();
            line.extend_from_slice(part);
        }
    }
    if !line.is_empty() {
        log.write(stream, &line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_is_cut_into_lines_and_the_last_needs_no_end() {
        let directory = tempfile::tempdir().unwrap();
        let log = Arc::new(LogWriter::create(&directory.path().join("0.log")).unwrap());
        let printed: &[u8] = b"one\n\ntwo\nthree";
        let attached = broadcast::Sender::new(BACKLOG);
        let mut client = attached.subscribe();
        copy(Box::new(printed), Stream::Stdout, Arc::clone(&log), attached).await;
        let written = std::fs::read_to_string(log.path()).unwrap();
        let texts: Vec<&str> = written.lines().filter_map(|line| line.splitn(3, ' ').nth(2)).collect();
        assert_eq!(texts, ["one", "", "two", "three"]);
        assert_eq!(client.recv().await.unwrap(), (Stream::Stdout, Bytes::from_static(printed)));
        assert!(client.recv().await.is_err(), "the container is over");
    }
}
