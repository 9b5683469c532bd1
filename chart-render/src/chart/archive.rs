//! Reads a packaged chart: a gzipped tar whose files lie in one folder.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use super::Error;

/// Helm's limit for all files of an archive: an archive that unpacks to more is broken or hostile.
const MAX_BYTES: u64 = 100 << 20;

pub(super) fn open(path: &Path) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    unpack(&path.display().to_string(), file)
}

/// The files of an archive, without the name of the folder they lie in.
pub(super) fn unpack(name: &str, data: impl Read) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let failed = |source: io::Error| Error::Read { path: name.into(), source };
    let mut archive = tar::Archive::new(GzDecoder::new(data));
    let mut files = Vec::new();
    let mut left = MAX_BYTES;
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path().map_err(failed)?.to_string_lossy().replace('\\', "/");
        let Some((_, inside)) = path.split_once('/') else {
            return Err(failed(io::Error::other(format!("{path} lies outside the chart's folder"))));
        };
        if inside.split('/').any(|part| part == "..") {
            return Err(failed(io::Error::other(format!("{path} points out of the chart"))));
        }
        let mut content = Vec::new();
        let read = (&mut entry).take(left + 1).read_to_end(&mut content).map_err(failed)? as u64;
        left = left
            .checked_sub(read)
            .ok_or_else(|| failed(io::Error::other(format!("it unpacks to more than {} MiB", MAX_BYTES >> 20))))?;
        files.push((inside.to_owned(), content));
    }
    Ok(files)
}
