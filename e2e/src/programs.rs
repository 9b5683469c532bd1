//! The programs the framework drives: our own binaries, and what `hack/tools.sh` provides.

use std::env;
use std::path::{Path, PathBuf};

/// A program cannot be run because it is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of ours.
    #[error("looked for our program {name} beside {}; build it first: make build", dir.display())]
    Ours {
        /// File name.
        name: String,
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// One that `hack/tools.sh` provides.
    #[error("looked for {name} in ${variable} and on PATH; run: eval \"$(hack/tools.sh env)\"")]
    Tool {
        /// File name.
        name: String,
        /// Environment variable that may name it.
        variable: String,
    },
    /// The path of this process is not known.
    #[error("finding the folder of our own programs: {0}")]
    CurrentExe(#[source] std::io::Error),
}

/// One of our binaries, from the folder this process was started from. Tests run in its subfolder `deps`.
///
/// # Errors
/// When it is not there.
pub fn ours(name: &str) -> Result<PathBuf, Error> {
    let exe = env::current_exe().map_err(Error::CurrentExe)?;
    let dir = exe.parent().unwrap_or(Path::new("."));
    let dir = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    let path = dir.join(name);
    if path.is_file() { Ok(path) } else { Err(Error::Ours { name: name.to_owned(), dir: dir.to_owned() }) }
}

/// The real Prometheus.
///
/// # Errors
/// When it is not there.
pub fn prometheus() -> Result<PathBuf, Error> {
    tool("prometheus")
}

/// The real kubectl.
///
/// # Errors
/// When it is not there.
pub fn kubectl() -> Result<PathBuf, Error> {
    tool("kubectl")
}

/// The real helm.
///
/// # Errors
/// When it is not there.
pub fn helm() -> Result<PathBuf, Error> {
    tool("helm")
}

/// The real kind.
///
/// # Errors
/// When it is not there.
pub fn kind() -> Result<PathBuf, Error> {
    tool("kind")
}

/// A real Chromium, which `hack/tools.sh` finds and does not fetch.
///
/// # Errors
/// When it is not there.
pub fn chromium() -> Result<PathBuf, Error> {
    tool("chromium")
}

fn tool(name: &str) -> Result<PathBuf, Error> {
    let variable = name.to_uppercase();
    let named = env::var_os(&variable).map(PathBuf::from).filter(|path| path.is_file());
    let on_path = || env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file());
    named.or_else(on_path).ok_or_else(|| Error::Tool { name: name.to_owned(), variable })
}
