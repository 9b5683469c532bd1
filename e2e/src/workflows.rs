//! The workflows of the repository, held to the Makefile and to the rules for workflows: tests alone.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Name and content of each.
fn workflows() -> Vec<(String, Value)> {
    let files = std::fs::read_dir(root().join(".github/workflows")).unwrap().map(|file| file.unwrap().path());
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.file_name().unwrap().to_string_lossy().into_owned(), serde_saphyr::from_str(&text).unwrap())
    };
    files.map(read).collect()
}

/// Every job with its workflow's and its own name.
fn jobs() -> Vec<(String, Value)> {
    let jobs = |(file, workflow): (String, Value)| {
        let jobs = workflow["jobs"].as_object().cloned().unwrap_or_default();
        jobs.into_iter().map(move |(name, job)| (format!("{file}: {name}"), job))
    };
    workflows().into_iter().flat_map(jobs).collect()
}

fn steps(job: &Value) -> Vec<Value> {
    job["steps"].as_array().cloned().unwrap_or_default()
}

/// The targets of the Makefile.
fn targets() -> BTreeSet<String> {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let rules =
        makefile.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()) && !line.contains(":="));
    rules.filter_map(|line| line.split_once(':')).flat_map(|(names, _)| names.split(' ')).map(str::to_owned).collect()
}

/// The words after `make` that are targets: neither options nor variables.
fn made(line: &str) -> Vec<String> {
    let Some(arguments) = line.trim().strip_prefix("make ") else { return Vec::new() };
    let target = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.contains('=');
    arguments.split(' ').filter(target).map(str::to_owned).collect()
}

#[test]
fn every_target_that_a_workflow_makes_is_in_the_makefile() {
    let targets = targets();
    let mut made_in_all = 0;
    for (name, job) in jobs() {
        let listed = job["strategy"]["matrix"]["include"].as_array().cloned().unwrap_or_default();
        let listed = listed.iter().filter_map(|entry| entry["targets"].as_str()).flat_map(|list| list.split(' '));
        let mut wanted: Vec<String> = listed.map(str::to_owned).collect();
        let steps = steps(&job);
        wanted.extend(steps.iter().filter_map(|step| step["run"].as_str()).flat_map(str::lines).flat_map(made));
        for target in &wanted {
            assert!(targets.contains(target), "{name} makes {target}, which the Makefile does not have");
        }
        made_in_all += wanted.len();
    }
    assert!(made_in_all > 10, "only {made_in_all} targets were found in the workflows");
}

/// What a shell says to the commands of a target, without running them.
fn syntax(target: &str, variables: &[&str]) -> Result<(), String> {
    let mut make = Command::new("make");
    make.current_dir(root()).env_remove("MAKEFLAGS").args(["-n", "TAG=v1"]).args(variables).arg(target);
    let dry = make.output().unwrap();
    assert!(dry.status.success(), "make -n {target}: {}", String::from_utf8_lossy(&dry.stderr));
    let mut shell = Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(&dry.stdout).unwrap();
    let said = shell.wait_with_output().unwrap();
    if said.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said.stderr).into_owned()) }
}

#[test]
fn the_commands_of_every_target_are_ones_that_a_shell_understands() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let phony = makefile.lines().filter_map(|line| line.strip_prefix(".PHONY:"));
    let targets: Vec<&str> = phony.flat_map(str::split_whitespace).collect();
    assert!(targets.contains(&"test-e2e") && targets.len() > 30, "{targets:?}");
    let e2e = ["T=smoke", "SHARD=1/4", "PROVIDER=kind", "CONTROLLER_INSTANCE=test-a"];
    for target in targets {
        for variables in [&[][..], &e2e] {
            assert_eq!(syntax(target, variables), Ok(()), "make {target} {}", variables.join(" "));
        }
    }
}

#[test]
fn actions_are_pinned_by_commit_and_say_their_version() {
    for file in std::fs::read_dir(root().join(".github/workflows")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| line.contains("uses:")) {
            let pin = line.split_once('@').and_then(|(_, pin)| pin.split_once(" # v"));
            let pinned = pin.is_some_and(|(sha, _)| sha.len() == 40 && sha.chars().all(|c| c.is_ascii_hexdigit()));
            assert!(pinned, "{}: not pinned by commit, with its version: {line}", path.display());
        }
    }
}

#[test]
fn a_job_has_a_time_limit_and_only_the_rights_it_names() {
    for (name, workflow) in workflows() {
        assert_eq!(workflow["permissions"], serde_json::json!({}), "{name} gives rights to all its jobs");
    }
    for (name, job) in jobs() {
        assert!(job["timeout-minutes"].is_u64(), "{name} has no time limit");
        let rights = job["permissions"].as_object().unwrap_or_else(|| panic!("{name} names no rights"));
        let writes: Vec<_> =
            rights.iter().filter(|(_, right)| *right == "write").map(|(scope, _)| scope.as_str()).collect();
        let expect: &[&str] = if name == "release.yml: publish" { &["contents", "packages"] } else { &[] };
        assert_eq!(writes, expect, "{name}");
    }
}

#[test]
fn one_job_named_ok_waits_for_all_others() {
    for (name, workflow) in workflows() {
        let jobs = workflow["jobs"].as_object().unwrap();
        let others: BTreeSet<&str> = jobs.keys().map(String::as_str).filter(|job| *job != "ok").collect();
        let needs = workflow["jobs"]["ok"]["needs"].as_array().unwrap_or_else(|| panic!("{name} has no job ok"));
        let needs: BTreeSet<&str> = needs.iter().filter_map(Value::as_str).collect();
        assert_eq!(needs, others, "{name}");
        assert_eq!(
            workflow["jobs"]["ok"]["if"], "always()",
            "{name}: a failed job would skip it, which counts as success"
        );
    }
}

#[test]
fn what_a_token_checked_out_is_not_left_on_disk() {
    for (name, job) in jobs() {
        for step in steps(&job) {
            if step["uses"].as_str().is_some_and(|action| action.starts_with("actions/checkout@")) {
                assert_eq!(step["with"]["persist-credentials"], false, "{name}");
            }
        }
    }
}
