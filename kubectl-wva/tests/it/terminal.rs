//! The plugin in a terminal: what a person sees at the end, and what the keyboard does.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::cli::cluster;
use crate::fake_api::{FakeApi, list};
use crate::objects::{decided, variant};

const PATIENCE: Duration = Duration::from_secs(20);

/// The plugin in a terminal of its own.
struct Terminal {
    child: Child,
    keyboard: File,
    output: Receiver<Vec<u8>>,
    emulator: vt100::Parser,
}

impl Terminal {
    fn open(args: &[&str], kubeconfig: &Path, columns: u16, rows: u16) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).unwrap();
        let end = |end: &std::os::fd::OwnedFd| Stdio::from(end.try_clone().unwrap());
        let child = Command::new(assert_cmd::cargo::cargo_bin!("kubectl-wva"))
            .args(args)
            .env("KUBECONFIG", kubeconfig)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(end(&pair.slave))
            .stdout(end(&pair.slave))
            .stderr(end(&pair.slave))
            .spawn()
            .unwrap();
        drop(pair.slave);
        let keyboard = File::from(pair.master);
        let mut screen = keyboard.try_clone().unwrap();
        let (send, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The terminal hangs up when the last program has gone.
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let emulator = vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0);
        Self { child, keyboard, output, emulator }
    }

    /// Waits until the screen is as it should be.
    fn until(&mut self, what: &str, done: impl Fn(&vt100::Screen) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self.emulator.screen()) {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.emulator.process(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{what} was never seen:\n{}", self.emulator.screen().contents());
                }
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end, and gives the exit status and the screen that stays.
    fn end(mut self) -> (ExitStatus, vt100::Parser) {
        let status = self.child.wait().unwrap();
        while let Ok(bytes) = self.output.recv_timeout(PATIENCE) {
            self.emulator.process(&bytes);
        }
        (status, self.emulator)
    }
}

fn rows(screen: &vt100::Screen) -> Vec<String> {
    screen.rows(0, screen.size().1.get()).map(|row| row.trim_end().to_owned()).collect()
}

#[test]
fn a_watched_status_has_a_screen_a_clock_and_marks_and_leaves_the_last_answer_behind() {
    let desired = Arc::new(Mutex::new(2));
    let now = Arc::clone(&desired);
    let api = FakeApi::start(move |method, path| match path {
        "/apis/llmd.ai/v1alpha1/namespaces/models/variantautoscalings" => list(&[
            decided(variant("models", "llama", "llama-decode", "team-a"), *now.lock().unwrap()),
            decided(variant("models", "qwen", "llama-decode", "team-a"), 2),
        ]),
        _ => cluster(method, path),
    });
    let mut terminal = Terminal::open(&["status", "-w", "--interval", "20ms"], &api.kubeconfig, 80, 24);
    let llama =
        |screen: &vt100::Screen| rows(screen).into_iter().find(|row| row.contains("llama  ")).unwrap_or_default();
    terminal.until("an answer", |screen| llama(screen).contains("2 -> 2"));
    let screen = terminal.emulator.screen();
    assert!(screen.alternate_screen() && screen.hide_cursor());
    let first = rows(screen);
    let clock = regex::Regex::new(r"^every 20ms, Ctrl-C ends; \d\d:\d\d:\d\d$").unwrap();
    assert!(clock.is_match(&first[0]), "{first:?}");
    assert!(!screen.contents().contains('▌'), "nothing has changed yet:\n{}", screen.contents());

    *desired.lock().unwrap() = 3;
    terminal.until("the change, marked", |screen| llama(screen).starts_with('▌') && llama(screen).contains("2 -> 3"));
    let qwen = rows(terminal.emulator.screen()).into_iter().find(|row| row.contains("qwen")).unwrap();
    assert!(!qwen.starts_with('▌'), "only what has changed is marked: {qwen}");

    kill(Pid::from_raw(terminal.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let (status, emulator) = terminal.end();
    let screen = emulator.screen();
    assert_eq!(status.code(), Some(0));
    assert!(!screen.alternate_screen() && !screen.hide_cursor());
    assert!(llama(screen).contains("2 -> 3") && !screen.contents().contains("Ctrl-C"), "{}", screen.contents());
}

/// A cluster in which a namespace is excluded, so that there is one thing to fix.
fn excluded(method: &str, path: &str) -> (u16, serde_json::Value) {
    match path {
        "/api/v1/namespaces" => list(&[json!({"metadata": {
            "name": "models", "annotations": {"wva.llmd.ai/exclude": "true"},
        }})]),
        _ => cluster(method, path),
    }
}

#[test]
fn fixing_asks_before_each_command_and_no_is_no() {
    let api = FakeApi::start(excluded);
    for (keys, runs) in [("n\n", false), ("\n", false), ("y\n", true)] {
        let mut terminal = Terminal::open(&["doctor", "--fix"], &api.kubeconfig, 120, 60);
        terminal.until("the question", |screen| screen.contents().contains("carry it out? [y/N]"));
        let asked = api.asked().len();
        terminal.press(keys);
        let (_, emulator) = terminal.end();
        let text = emulator.screen().contents();
        assert!(text.contains("kubectl annotate namespace models wva.llmd.ai/exclude-"), "{text}");
        // There is no kubectl that could work here: that it did not is how one sees that it ran.
        assert_eq!(text.contains("this did not work"), runs, "{keys:?}: {text}");
        assert!(runs || api.asked().len() == asked, "nothing else is asked of the cluster");
    }
}
