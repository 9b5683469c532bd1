//! The zip file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::ReportView;

/// Name of the file that says what the others are.
const INDEX: &str = "report.json";

/// Writes the archive. One that is there already is replaced only when the new one is complete.
pub(super) fn write(path: &Path, view: &ReportView, files: &BTreeMap<String, String>) -> io::Result<()> {
    let part = path.with_extension("zip.part");
    let outcome = fill(&part, view, files).and_then(|()| std::fs::rename(&part, path));
    if outcome.is_err() {
        // Half an archive helps nobody; that it cannot be removed is less important than why it was not written.
        let _ = std::fs::remove_file(&part);
    }
    outcome
}

fn fill(path: &Path, view: &ReportView, files: &BTreeMap<String, String>) -> io::Result<()> {
    let mut archive = ZipWriter::new(File::create(path)?);
    let options = SimpleFileOptions::default().unix_permissions(0o644);
    let index = serde_json::to_string_pretty(view)?;
    for (name, text) in
        std::iter::once((INDEX, index.as_str())).chain(files.iter().map(|(n, t)| (n.as_str(), t.as_str())))
    {
        archive.start_file(name, options).map_err(io::Error::other)?;
        archive.write_all(text.as_bytes())?;
    }
    archive.finish().map_err(io::Error::other)?;
    Ok(())
}
