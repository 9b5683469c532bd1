//! The demo as a newcomer runs it: the real binary, its exit status, and what it leaves behind.
//!
//! In clusters of their own, which the demo starts.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use wva_e2e::programs;
use wva_e2e::wait::{self, Look};

fn demo(dir: &Path) -> Command {
    let mut command = Command::new(programs::ours("wva-e2e").expect("our own binary"));
    command.arg("demo").arg("--dir").arg(dir).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Command lines and environments of running processes that mention the folder: what a demo in it started.
fn left_behind(dir: &Path) -> Vec<String> {
    let needle = dir.as_os_str().as_encoded_bytes();
    let mentions = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let processes = std::fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
    processes
        .filter(|entry| entry.file_name().to_string_lossy() != std::process::id().to_string())
        .filter_map(|entry| {
            let command = std::fs::read(entry.path().join("cmdline")).ok()?;
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            (mentions(&command) || mentions(&environment)).then(|| String::from_utf8_lossy(&command).replace('\0', " "))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_of_the_demo_holds() {
    let dir = tempfile::tempdir().unwrap();
    let demo_dir = dir.path().join("demo");
    let output = demo(&demo_dir).output().await.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(stdout.matches("  ok    ").count(), 9, "{stdout}");
    assert!(!stdout.contains('\x1b'), "piped output holds no control characters: {stdout}");
    assert!(std::fs::read_to_string(demo_dir.join("demo.svg")).unwrap().contains("</svg>"));
    assert_eq!(left_behind(&demo_dir), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_stops_the_demo_and_leaves_no_process_behind() {
    let dir = tempfile::tempdir().unwrap();
    let demo_dir = dir.path().join("demo");
    let mut child = demo(&demo_dir).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // By now a Prometheus and controllers are running.
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("add-model") {
            break;
        }
    }
    assert!(!left_behind(&demo_dir).is_empty(), "the demo's processes are recognised by its folder");
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGINT).unwrap();
    while lines.next_line().await.unwrap().is_some() {}
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    wait::until("its processes to be gone", Duration::from_secs(5), || {
        let left = left_behind(&demo_dir);
        std::future::ready(if left.is_empty() { Look::Done(()) } else { Look::NotYet(left.join("\n")) })
    })
    .await
    .unwrap();
}
