//! Log files of container runs, one line per line of output: `2026-01-01T10:00:00.123456789Z stdout text`.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::watch;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// The log of one run, being written.
#[derive(Debug)]
pub(super) struct LogWriter {
    path: PathBuf,
    file: Mutex<File>,
    state: watch::Sender<LogState>,
}

/// What a reader that follows the log waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LogState {
    /// Bytes written so far.
    pub(super) length: u64,
    /// Nothing will follow.
    pub(super) finished: bool,
}

impl LogWriter {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = Mutex::new(File::create(path)?);
        Ok(Self { path: path.to_owned(), file, state: watch::Sender::new(LogState::default()) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn state(&self) -> watch::Receiver<LogState> {
        self.state.subscribe()
    }

    /// Lines that cannot be written are lost, like those of a container on a full disk.
    pub(super) fn write(&self, stream: Stream, line: &[u8]) {
        let name = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let mut entry = format!("{:.9} {name} ", Timestamp::now()).into_bytes();
        entry.extend_from_slice(line);
        entry.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.write_all(&entry).is_ok() {
            self.state.send_modify(|state| state.length += entry.len() as u64);
        }
    }

    pub(super) fn finish(&self) {
        self.state.send_modify(|state| state.finished = true);
    }
}

/// One line of a log file, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) time: &'a str,
    pub(super) text: &'a [u8],
}

impl<'a> Line<'a> {
    /// `None` for a line that is not of the format, such as one cut off.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let time = std::str::from_utf8(parts.next()?).ok()?;
        parts.next()?;
        Some(Self { time, text: parts.next()? })
    }

    pub(super) fn is_since(&self, since: Timestamp) -> bool {
        self.time.parse::<Timestamp>().is_ok_and(|time| time >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_line_is_read_back_with_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let log = LogWriter::create(&dir.path().join("0.log")).unwrap();
        let before = Timestamp::now();
        log.write(Stream::Stderr, b"out of memory");
        let content = std::fs::read(log.path()).unwrap();
        let line = Line::parse(content.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!(line.text, b"out of memory");
        assert!(line.is_since(before));
        assert!(!line.is_since(Timestamp::now()));
        assert_eq!(log.state().borrow().length, content.len() as u64);
    }

    #[test]
    fn a_line_of_another_format_is_no_line() {
        assert_eq!(Line::parse(b"short"), None);
    }
}
