//! Reading and following a log the way `kubectl logs` asks for it.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    sync::watch,
};

use super::log_file::{Line, LogState, LogWriter};

/// The query parameters of a log request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogQuery {
    /// Go on with what is written later.
    pub(super) follow: bool,
    /// Only the last lines.
    pub(super) tail_lines: Option<usize>,
    /// The run before the current one.
    pub(super) previous: bool,
    /// A time before each line.
    pub(super) timestamps: bool,
    /// Only lines of the last seconds.
    pub(super) since_seconds: Option<u64>,
    /// Only lines since then, RFC 3339.
    pub(super) since_time: Option<Timestamp>,
    /// Stop after so many bytes.
    pub(super) limit_bytes: Option<usize>,
}

impl LogQuery {
    fn since(&self, now: Timestamp) -> Option<Timestamp> {
        let ago = self.since_seconds.and_then(|seconds| now.checked_sub(Duration::from_secs(seconds)).ok());
        ago.or(self.since_time)
    }

    fn format(&self, line: &Line<'_>, out: &mut Vec<u8>) {
        if self.timestamps {
            out.extend_from_slice(line.time.as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(line.text);
        out.push(b'\n');
    }
}

/// The part of `content`, whole lines of a log file, that was asked for.
fn select(query: &LogQuery, content: &[u8], now: Timestamp) -> Vec<u8> {
    let since = query.since(now);
    let lines = content.split(|byte| *byte == b'\n').filter_map(Line::parse);
    let wanted: Vec<Line<'_>> = lines.filter(|line| since.is_none_or(|since| line.is_since(since))).collect();
    let skipped = query.tail_lines.map_or(0, |tail| wanted.len().saturating_sub(tail));
    let mut out = Vec::new();
    for line in &wanted[skipped..] {
        query.format(line, &mut out);
    }
    out
}

/// A reader in the middle of a log.
struct Follower {
    state: watch::Receiver<LogState>,
    query: LogQuery,
    file: File,
    /// Bytes read so far, all of them whole lines.
    position: u64,
    /// Bytes that may still be sent.
    budget: usize,
    /// The first read selects, later ones pass everything on.
    started: bool,
}

/// The log as a stream of chunks; it ends with the log, or after what is there when not following.
pub(super) async fn read(
    log: Arc<LogWriter>,
    query: LogQuery,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
    let file = File::open(log.path()).await?;
    let budget = query.limit_bytes.unwrap_or(usize::MAX);
    let follower = Follower { state: log.state(), query, file, position: 0, budget, started: false };
    Ok(stream::try_unfold(follower, Follower::next))
}

impl Follower {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        loop {
            if self.budget == 0 || (self.started && !self.query.follow) {
                return Ok(None);
            }
            let LogState { length, finished } = *self.state.borrow_and_update();
            if self.started && length == self.position {
                if finished || self.state.changed().await.is_err() {
                    return Ok(None);
                }
                continue;
            }
            let mut content = vec![0; usize::try_from(length - self.position).map_err(io::Error::other)?];
            self.file.seek(io::SeekFrom::Start(self.position)).await?;
            self.file.read_exact(&mut content).await?;
            self.position = length;
            let query = if self.started {
                LogQuery { timestamps: self.query.timestamps, ..LogQuery::default() }
            } else {
                self.query.clone()
            };
            self.started = true;
            let mut chunk = select(&query, &content, Timestamp::now());
            chunk.truncate(self.budget);
            self.budget -= chunk.len();
            if !chunk.is_empty() {
                return Ok(Some((chunk.into(), self)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use rstest::rstest;

    use super::*;
    use crate::node::log_file::Stream as Source;

    const CONTENT: &[u8] =
        b"2026-01-01T10:00:00Z stdout one\n2026-01-01T10:00:05Z stderr two\n2026-01-01T10:00:09Z stdout three\n";

    fn now() -> Timestamp {
        "2026-01-01T10:00:10Z".parse().unwrap()
    }

    #[rstest]
    #[case::everything(LogQuery::default(), "one\ntwo\nthree\n")]
    #[case::tail(LogQuery { tail_lines: Some(1), ..LogQuery::default() }, "three\n")]
    #[case::no_lines(LogQuery { tail_lines: Some(0), ..LogQuery::default() }, "")]
    #[case::recent(LogQuery { since_seconds: Some(6), ..LogQuery::default() }, "two\nthree\n")]
    #[case::timed(LogQuery { tail_lines: Some(1), timestamps: true, ..LogQuery::default() }, "2026-01-01T10:00:09Z three\n")]
    fn the_query_selects_lines(#[case] query: LogQuery, #[case] expected: &str) {
        assert_eq!(String::from_utf8(select(&query, CONTENT, now())).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_follower_gets_later_lines_and_ends_with_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(LogWriter::create(&dir.path().join("0.log")).unwrap());
        log.write(Source::Stdout, b"old");
        log.write(Source::Stdout, b"before");
        let query = LogQuery { follow: true, tail_lines: Some(1), ..LogQuery::default() };
        let mut lines = Box::pin(read(Arc::clone(&log), query).await.unwrap());
        assert_eq!(lines.next().await.unwrap().unwrap(), "before\n");
        log.write(Source::Stdout, b"after");
        assert_eq!(lines.next().await.unwrap().unwrap(), "after\n");
        log.finish();
        assert!(lines.next().await.is_none());
    }

    #[tokio::test]
    async fn the_byte_limit_ends_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(LogWriter::create(&dir.path().join("0.log")).unwrap());
        log.write(Source::Stdout, b"0123456789");
        let query = LogQuery { follow: true, limit_bytes: Some(4), ..LogQuery::default() };
        let chunks: Vec<_> = read(log, query).await.unwrap().collect().await;
        assert_eq!(chunks.len(), 1);
        assert_eq!(chunks[0].as_ref().unwrap(), "0123");
    }
}
