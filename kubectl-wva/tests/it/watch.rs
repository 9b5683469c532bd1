//! `--watch`: the answer comes again and again, and a cluster that is away for a moment does not end it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rstest::rstest;

use crate::cli::{cluster, wva};
use crate::fake_api::{FakeApi, list, refusal};

#[rstest]
#[case::status(&["status"])]
#[case::models(&["list-models"])]
#[case::instances(&["instances"])]
#[case::explain(&["explain", "llama"])]
#[case::top(&["top"])]
#[case::cost(&["cost"])]
fn an_answer_is_printed_again_until_the_reader_has_seen_enough(#[case] command: &[&str]) {
    let api = FakeApi::start(|method, path| match path {
        "/apis/llmd.ai/v1alpha1/variantautoscalings" => {
            cluster(method, "/apis/llmd.ai/v1alpha1/namespaces/models/variantautoscalings")
        }
        "/api/v1/namespaces" => list(&[]),
        _ => cluster(method, path),
    });
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("kubectl-wva"))
        .args(command)
        .args(["--watch", "--interval", "1ms", "--no-headers", "-o", "name"])
        .env("KUBECONFIG", &api.kubeconfig)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let seen: Vec<String> = lines.by_ref().take(3).collect();
    assert!(seen.iter().all(|line| *line == seen[0]), "{seen:?}");
    // Nobody reads on: the next answer ends it, and that is no error.
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_cluster_that_is_away_for_a_moment_is_said_and_seen_through() {
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let api = FakeApi::start(move |method, path| {
        let second = path.ends_with("/variantautoscalings") && counted.fetch_add(1, Ordering::SeqCst) == 1;
        if second { refusal(500, "InternalError", "away") } else { cluster(method, path) }
    });
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("kubectl-wva"))
        .args(["list-models", "-w", "--interval", "1ms", "-o", "name"])
        .env("KUBECONFIG", &api.kubeconfig)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.by_ref().take(2).map(Result::unwrap).collect::<Vec<_>>(), ["meta/llama"; 2]);
    drop(lines);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("error: could not list variants: away"), "{said}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_first_look_must_succeed() {
    let api = FakeApi::start(|_, _| refusal(403, "Forbidden", "no"));
    assert_eq!(wva(&["status", "--watch"], Some(&api.kubeconfig)).code, 2);
}

#[test]
fn what_cannot_be_watched_says_what_can_be_done() {
    let answer = wva(&["doctor", "--watch"], None);
    assert!(answer.code == 2 && answer.err.contains("--wait"), "{}", answer.err);
}
