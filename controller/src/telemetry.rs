//! Logs: to standard error, values as fields.

use tracing::Level;
use tracing_subscriber::EnvFilter;

/// Level of a verbosity number: up to 2 what changed in the world, 3 and 4 what was considered, from 5 payloads.
pub fn level_of_verbosity(verbosity: i64) -> Level {
    match verbosity {
        ..=2 => Level::INFO,
        3..=4 => Level::DEBUG,
        _ => Level::TRACE,
    }
}

/// Level of a name, in any case; `None` for other words.
pub fn level_of_name(name: &str) -> Option<Level> {
    match name.to_ascii_lowercase().as_str() {
        "error" => Some(Level::ERROR),
        "warn" | "warning" => Some(Level::WARN),
        "info" => Some(Level::INFO),
        "debug" => Some(Level::DEBUG),
        "trace" => Some(Level::TRACE),
        _ => None,
    }
}

/// Starts logging. A second call in one process changes nothing.
pub fn init(level: Level) {
    // The client logs whole response bodies at WARN when one object does not parse; the watches report that
    // themselves, with the object's name.
    let directives =
        format!("{level},kube_client=error,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,tower=warn,h2=warn");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .finish();
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("Logging was started before");
    }
}
