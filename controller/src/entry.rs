//! From the command line to an exit code.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::config::Early;
use crate::config::sources::{Sources, command};
use crate::serve::check::{self, Check};
use crate::{install_crypto, run, telemetry};

/// Runs the controller with the arguments and environment of this process. A wrong flag ends it with code 2, anything
/// else that keeps it from starting with an error.
///
/// # Errors
/// When the configuration cannot be used or the controller cannot start.
pub fn main() -> anyhow::Result<ExitCode> {
    let matches = command().subcommand(check::command()).args_conflicts_with_subcommands(true).get_matches();
    if let Some((check::NAME, arguments)) = matches.subcommand() {
        return run_check(&Check::new(arguments));
    }
    let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let mut sources = Sources::new(&matches, environment);
    sources.read_file()?;
    let early = Early::resolve(&sources)?;
    telemetry::init(early.level);
    telemetry::log_panics();
    install_crypto();
    let runtime = runtime()?;
    let ended = runtime.block_on(run::run(early, sources))?;
    // Tasks that still run serve ports; nothing waits for them.
    runtime.shutdown_background();
    Ok(ended)
}

fn run_check(check: &Check) -> anyhow::Result<ExitCode> {
    install_crypto();
    runtime()?.block_on(async { Ok(check.run(run::client().await?).await?) })
}

/// One worker for what waits most of the time; decisions have a thread of their own. With more, what the watches and servers
/// need for a moment is kept by the allocator once for each.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().context("cannot start the runtime")
}
