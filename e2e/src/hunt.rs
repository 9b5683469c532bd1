//! Hunting flaky tests: the suites again and again, what failed ranked by rate and by what it said.

pub mod junit;
pub mod promises;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Instant;

use self::junit::Case;

/// What to run, and how often.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How often.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,
    /// Only the tests whose name contains this text.
    #[arg(long, value_name = "TEXT")]
    test: Option<String>,
    /// Packages, as cargo names them.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "wva-e2e")]
    package: Vec<String>,
    /// Folder for the report, and for the result and output of each run.
    #[arg(long, default_value = ".wva-e2e/hunt")]
    dir: PathBuf,
}

/// The hunt cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// Reading or writing.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// nextest.
    #[error("running cargo nextest: {0}; install it: hack/tools.sh")]
    Nextest(#[source] std::io::Error),
    /// A run that tells nothing.
    #[error("run {run} ended with {status} and no result; its output is {}", output.display())]
    NoResult {
        /// Which.
        run: u32,
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: PathBuf,
    },
}

/// Runs the tests; `progress` hears of each run. Gives whether nothing failed, and writes `report.md`.
///
/// # Errors
/// When nextest cannot be run or does not run the tests.
pub fn run(args: &Args, mut progress: impl FnMut(&str)) -> Result<bool, Error> {
    let Args { times, test, package, dir } = args;
    std::fs::create_dir_all(dir).map_err(|source| Error::File { doing: "making", path: dir.clone(), source })?;
    let mut runs: Vec<Vec<Case>> = Vec::new();
    for run in 1..=*times {
        let begun = Instant::now();
        let cases = once(run, test.as_deref(), package, dir)?;
        let failed: Vec<&str> =
            cases.iter().filter(|case| case.failed_attempts > 0).map(|case| case.name.as_str()).collect();
        let said = if failed.is_empty() { "all passed".to_owned() } else { format!("failed: {}", failed.join(", ")) };
        progress(&format!(
            "run {run} of {times}: {} tests in {:.0} s, {said}",
            cases.len(),
            begun.elapsed().as_secs_f64()
        ));
        runs.push(cases);
        // After each: a hunt that is broken off has a report as well.
        write(&dir.join("report.md"), &junit::ranking(&runs))?;
    }
    progress(&junit::ranking(&runs));
    Ok(runs.iter().flatten().all(|case| case.failed_attempts == 0))
}

/// One run, without retries: a test that passes the second time has failed.
fn once(run: u32, test: Option<&str>, packages: &[String], dir: &Path) -> Result<Vec<Case>, Error> {
    let result = target_dir().join("nextest/default/junit.xml");
    // That of an earlier run would be taken for this one's.
    let _ = std::fs::remove_file(&result);
    let mut command = Command::new("cargo");
    command.args(["nextest", "run", "--retries", "0", "--no-fail-fast", "--status-level", "fail"]);
    command.args(packages.iter().flat_map(|name| ["-p", name]));
    // A text is a filter of nextest's own: part of the name.
    command.args(test);
    let output = command.output().map_err(Error::Nextest)?;
    let log = dir.join(format!("run-{run}.log"));
    write(&log, &format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))?;
    let Ok(xml) = std::fs::read_to_string(&result) else {
        return Err(Error::NoResult { run, status: output.status, output: log });
    };
    write(&dir.join(format!("run-{run}.xml")), &xml)?;
    Ok(junit::read(&xml))
}

/// What the last run of nextest is asked.
#[derive(clap::Args, Debug)]
pub struct Asked {
    /// Result of nextest, a `JUnit` file; that of the last run if not given.
    file: Option<PathBuf>,
    /// How many of the slowest tests.
    #[arg(long, default_value_t = 10)]
    slowest: usize,
    /// Fail unless every row of this table of promises has tests, and all of them passed. For runs of all tests.
    #[arg(long, value_name = "FILE")]
    promises: Option<PathBuf>,
}

/// The table of the last run of nextest, and whether it keeps the promises that were asked for.
///
/// # Errors
/// When there is no result of one, or no table of promises.
pub fn summary(Asked { file, slowest, promises }: &Asked) -> Result<(String, bool), Error> {
    let xml = read(&file.clone().unwrap_or_else(|| target_dir().join("nextest/default/junit.xml")))?;
    let cases = junit::read(&xml);
    let mut text = junit::summary(&cases, junit::wall_time(&xml), *slowest);
    let Some(promises) = promises else { return Ok((text, true)) };
    let table = read(promises)?;
    let rows = promises::rows(&table);
    let unproven = promises::unproven(&rows, &cases);
    let _ =
        writeln!(text, "{} promises in {}, {} of their proofs missing", rows.len(), promises.display(), unproven.len());
    for line in &unproven {
        let _ = writeln!(text, "  {line}");
    }
    Ok((text, unproven.is_empty() && !rows.is_empty()))
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::File { doing: "reading", path: path.to_owned(), source })
}

fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| Error::File { doing: "writing", path: path.to_owned(), source })
}
