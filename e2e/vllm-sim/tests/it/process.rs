//! The program as a process: flags, signals, exit codes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use assert_cmd::cargo::cargo_bin;

/// Ends the program when a test fails half-way.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn vllm_sim() -> Command {
    let mut command = Command::new(cargo_bin!("vllm-sim"));
    command.env_remove("BIND_HOST").env_remove("RUST_LOG");
    command
}

/// Starts a server and reads its log until it says where it listens.
fn start(command: &mut Command) -> (Running, String) {
    let mut child = Running(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut log = BufReader::new(child.0.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Listening") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the program ended before it listened");
    }
    // The rest of the log must have somewhere to go.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    let addr = line.split("127.").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    (child, format!("127.{addr}"))
}

fn signal(child: &Running, name: &str) {
    let status = Command::new("kill").args([name, &child.0.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn the_program_serves_on_bind_host_and_stops_on_sigterm() {
    let mut command = vllm_sim();
    command.args(["serve", "some/model", "--port", "0", "--startup-delay", "0", "--dtype", "auto"]);
    let (mut child, addr) = start(command.env("BIND_HOST", "127.0.0.1").env("NO_COLOR", "1"));
    let health = std::net::TcpStream::connect(&addr);
    assert!(health.is_ok(), "{addr}");
    signal(&child, "-TERM");
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

#[test]
fn ctrl_c_stops_it_too() {
    let mut command = vllm_sim();
    let (mut child, _) =
        start(command.args(["--model", "m", "--host", "127.0.0.1", "--port", "0"]).env("NO_COLOR", "1"));
    signal(&child, "-INT");
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

#[test]
fn flags_come_from_the_environment_too() {
    let mut command = vllm_sim();
    command.env("VLLM_SIM_MODEL", "m").env("VLLM_SIM_HOST", "127.0.0.1").env("VLLM_SIM_PORT", "0").env("NO_COLOR", "1");
    let (child, addr) = start(&mut command);
    assert!(addr.starts_with("127.0.0.1:"), "{addr}");
    signal(&child, "-TERM");
}

#[test]
fn an_unknown_flag_ends_with_2_and_a_hint() {
    let output = vllm_sim().args(["serve", "m", "--warp-drive"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("--warp-drive") && text.contains("--allow-unknown-flags"), "{text}");
}

#[test]
fn a_taken_port_ends_with_1_and_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = vllm_sim().args(["serve", "m", "--host", "127.0.0.1", "--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(&format!("could not listen on 127.0.0.1:{port}")), "{text}");
}
