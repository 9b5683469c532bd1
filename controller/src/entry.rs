//! From the command line to an exit code.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::config::Config;
use crate::config::sources::{Sources, command};
use crate::{install_crypto, run, telemetry};

/// Runs the controller with the arguments and environment of this process. A wrong flag ends it with code 2, anything
/// else that keeps it from starting with an error.
///
/// # Errors
/// When the configuration cannot be used or the controller cannot start.
pub fn main() -> anyhow::Result<ExitCode> {
    let matches = command().get_matches();
    let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let mut sources = Sources::new(&matches, environment);
    sources.read_file()?;
    let config = Config::resolve(&sources)?;
    telemetry::init(config.live.level);
    install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(run::run(config))?;
    // Tasks that still run serve ports; nothing waits for them.
    runtime.shutdown_background();
    Ok(ended)
}
