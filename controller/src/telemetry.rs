//! Logs: to standard error, values as fields.

use std::io::{self, Write};
use std::sync::OnceLock;

use tracing::Level;
use tracing_subscriber::EnvFilter;

use crate::config::masked;

/// Changes how much is logged.
type Reload = Box<dyn Fn(Level) + Send + Sync>;

static RELOAD: OnceLock<Reload> = OnceLock::new();

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
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_writer(|| WithoutUserInfo(std::io::stderr()))
        .with_ansi(false)
        .with_target(false)
        .with_filter_reloading();
    let handle = subscriber.reload_handle();
    if tracing::subscriber::set_global_default(subscriber.finish()).is_err() {
        tracing::debug!("Logging was started before");
        return;
    }
    let reload: Reload = Box::new(move |level| {
        if let Err(error) = handle.reload(filter(level)) {
            tracing::warn!(%error, "Cannot change how much is logged");
        }
    });
    let _started_before = RELOAD.set(reload).is_err();
}

/// Name of the pod.
pub fn host() -> String {
    std::env::var("HOSTNAME").unwrap_or_else(|_| "wva-controller".to_owned())
}

/// Writes lines without the user info of any address: other crates log those that they were given, such as a proxy's.
struct WithoutUserInfo<W>(W);

impl<W: Write> Write for WithoutUserInfo<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A line comes as a whole; few hold an address.
        if line.contains(&b'@') {
            let shown = masked::without_user_info(&String::from_utf8_lossy(line));
            self.0.write_all(shown.as_bytes())?;
        } else {
            self.0.write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Changes how much is logged from now on.
pub fn set_level(level: Level) {
    if let Some(reload) = RELOAD.get() {
        reload(level);
    }
}

/// The client logs an ERROR without a URL for every request that fails, and whole response bodies when one object does not
/// parse; whoever asked says so itself, once, and with the object's name. Payloads are logged at the highest level only.
fn filter(level: Level) -> EnvFilter {
    let client = if level == Level::TRACE { "debug" } else { "off" };
    EnvFilter::new(format!(
        "{level},kube_client={client},kube_runtime={client},hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,\
         tower=warn,h2=warn"
    ))
}

/// Logs panics like everything else.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let said = panic.payload_as_str().unwrap_or("without a message");
        let place = panic.location().map(ToString::to_string);
        let backtrace = std::backtrace::Backtrace::capture();
        let backtrace =
            (backtrace.status() == std::backtrace::BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(place, backtrace, "Panicked: {said}");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_shows_the_user_info_of_an_address() {
        let mut written = WithoutUserInfo(Vec::new());
        written.write_all(b"INFO proxy=\"http://u:s3cret@proxy:3128\" done\n").unwrap();
        written.write_all(b"INFO plain\n").unwrap();
        assert_eq!(String::from_utf8(written.0).unwrap(), "INFO proxy=\"http://***@proxy:3128\" done\nINFO plain\n");
    }
}
