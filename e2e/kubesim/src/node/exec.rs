//! Runs a command beside a container, and lets clients attach to a container itself.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use tokio::{
    io::AsyncReadExt,
    sync::{broadcast, mpsc, oneshot},
};

use super::{
    client::Client,
    invocation::Invocation,
    launch::{Launch, Output, Pipes, find_program},
    log_file::Stream,
    mount_namespace::View,
    process::Process,
    reaper::Reaper,
    runs::Run,
    streams::{self, Ends, Wanted},
};
use crate::machinery::remote_command;

/// Chunks of output on their way to a client; a full queue stops reading from the process.
const QUEUE: usize = 16;

/// How much is read from a process at once.
const CHUNK: usize = 32 * 1024;

/// Runs the client's command in the environment of the container. What it leaves behind is killed with it, and it is
/// with the container.
pub(super) async fn exec(client: Client, wanted: Wanted, mut run: Run, reaper: &Reaper) {
    let (sender, output) = mpsc::channel(QUEUE);
    let started = start(&wanted, &run, reaper).await;
    let (mut process, pipes) = match started {
        Ok(started) => started,
        Err(why) => {
            drop(sender);
            let ends = Ends { stdin: None, closes_stdin: false, output, terminal: None };
            return streams::serve(client, &wanted, ends, async { remote_command::failure(&why) }).await;
        }
    };
    for (source, stream) in [(pipes.stdout, Stream::Stdout), (pipes.stderr, Stream::Stderr)] {
        if let Some(source) = source {
            tokio::spawn(pump(source, stream, sender.clone()));
        }
    }
    drop(sender);
    let stdin = pipes.stdin.map(|stdin| Arc::new(tokio::sync::Mutex::new(Some(stdin))));
    let ends = Ends { stdin, closes_stdin: true, output, terminal: pipes.terminal };
    let (staying, left) = oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        tokio::select! {
            _ = process.ended() => {}
            () = run.ended() => {}
            _ = left => {}
        }
        process.kill();
        process.collect().await
    });
    let outcome = async {
        match running.await {
            Ok(Ok(exit)) => remote_command::outcome(&wanted.command, exit.code),
            Ok(Err(error)) => remote_command::failure(&error.to_string()),
            Err(error) => remote_command::failure(&error.to_string()),
        }
    };
    streams::serve(client, &wanted, ends, outcome).await;
    drop(staying);
}

async fn start(wanted: &Wanted, run: &Run, reaper: &Reaper) -> Result<(Process, Pipes), String> {
    let Invocation { env, directory, translated, mounts, .. } = &*run.invocation;
    let translate = |word: &String| translated.translate(word);
    let command: Vec<String> = wanted.command.iter().map(translate).collect();
    let Some((program, args)) = command.split_first() else { return Err("no command specified".to_owned()) };
    let program = match Path::new(program) {
        // What it names may exist in the container's file system only.
        path if path.components().count() > 1 => path.to_owned(),
        name => find_program(name).map_err(|_| format!("exec: {program:?}: executable file not found in $PATH"))?,
    };
    let mut env = env.clone();
    if wanted.tty {
        env.entry("TERM".to_owned()).or_insert_with(|| "xterm".to_owned());
    }
    let launch = Launch {
        program,
        args,
        env: &env,
        directory,
        view: mounts.as_ref().map(|_| View::Of(run.process)),
        stdin: wanted.stdin,
        tty: wanted.tty,
    };
    launch.start(reaper).await.map_err(|error| format!("starting {}: {error}", wanted.command[0]))
}

async fn pump(mut source: Output, stream: Stream, sender: mpsc::Sender<(Stream, Bytes)>) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(read @ 1..) = source.read(&mut buffer).await {
        if sender.send((stream, Bytes::copy_from_slice(&buffer[..read]))).await.is_err() {
            return;
        }
    }
}

/// Joins the client to the container's own streams, from now on.
pub(super) async fn attach(client: Client, wanted: Wanted, run: Run) {
    let (sender, output) = mpsc::channel(QUEUE);
    if let Some(mut printed) = run.output() {
        tokio::spawn(async move {
            loop {
                let sent = match printed.recv().await {
                    Ok(chunk) => sender.send(chunk).await.is_ok(),
                    // A client that is too slow misses some.
                    Err(broadcast::error::RecvError::Lagged(_)) => true,
                    Err(broadcast::error::RecvError::Closed) => false,
                };
                if !sent {
                    return;
                }
            }
        });
    }
    let ends = Ends {
        stdin: wanted.stdin.then_some(run.stdin),
        closes_stdin: run.invocation.stdin_once,
        output,
        terminal: run.terminal,
    };
    streams::serve(client, &wanted, ends, async { remote_command::outcome(&[], 0) }).await;
}
