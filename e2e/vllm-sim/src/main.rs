//! Entry point of the emulated vLLM server.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use vllm_sim::{Server, cli};

/// The address a wildcard host stands for, set by whoever runs this program as a pod.
const BIND_HOST: &str = "BIND_HOST";

fn main() -> anyhow::Result<()> {
    let parsed = cli::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    if !parsed.ignored.is_empty() {
        tracing::warn!(flags = ?parsed.ignored, "Ignoring flags without effect in the emulator");
    }
    let config = parsed.args.resolve(std::env::var(BIND_HOST).ok().as_deref())?;
    // One thread: the work is a few thousand events a second, and many servers share a machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(serve(config))
}

async fn serve(config: vllm_sim::Config) -> anyhow::Result<()> {
    // Registered before the port opens, so that no signal after that is missed.
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let server = Server::start(config).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.shutdown().await;
    Ok(())
}
