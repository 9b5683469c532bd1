//! Which release and which chart the words of a command line mean.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::{Chart, release_name};

/// What helm calls a release when it is given none.
const NAMELESS: &str = "release-name";

/// Where the name of the release comes from when it is no word of its own.
pub(super) struct Names<'a> {
    /// `--name-template`.
    pub(super) template: Option<&'a str>,
    /// `--generate-name`.
    pub(super) generated: bool,
}

/// The name of the release and the chart, or none for the project's own.
pub(super) fn resolve(
    names: &Names<'_>,
    first: Option<&str>,
    second: Option<&Path>,
) -> Result<(String, Option<PathBuf>)> {
    match (names.template, first, second) {
        (None, Some(release), chart @ Some(_)) if !names.generated => {
            Ok((release.to_owned(), chart.map(Path::to_path_buf)))
        }
        // Of the two, helm obeys the template.
        (Some(template), chart, None) => Ok((release_name(template)?, chart.map(PathBuf::from))),
        (None, Some(chart), None) if names.generated => Ok((generated(chart)?, Some(chart.into()))),
        // Never the project's chart for somebody who named his own.
        (None, Some(chart), None) if is_chart(chart) => Ok((NAMELESS.to_owned(), Some(chart.into()))),
        (None, Some(release), None) => Ok((release.to_owned(), None)),
        _ => bail!("give the release either a name, or --name-template or --generate-name, not both"),
    }
}

/// Whether a word that stands alone names a chart rather than a release.
fn is_chart(word: &str) -> bool {
    let path = Path::new(word);
    word.contains(['/', '\\'])
        || matches!(word, "." | "..")
        || path.extension().is_some_and(|extension| extension == "tgz")
        || path.join("Chart.yaml").is_file()
}

/// The chart's name and the present second.
fn generated(chart: &str) -> Result<String> {
    let base = Path::new(chart).file_name().and_then(|name| name.to_str()).and_then(|name| name.split('.').next());
    let base = base.filter(|name| !name.is_empty());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?;
    Ok(format!("{}-{}", base.unwrap_or("chart"), now.as_secs()))
}

/// Reads a chart from disk, and says what to do about one that lies elsewhere.
pub(super) fn load(path: &Path) -> Result<Chart> {
    let word = path.display();
    if word.to_string().contains("://") {
        bail!(
            "chart {word}: chart-render reads directories and .tgz files, no registry and no URL; fetch it with `helm pull {word}` and give the file"
        );
    }
    if !path.exists() {
        bail!(
            "chart {word}: there is no such directory or file; chart-render knows no repositories, so fetch a chart of one with `helm pull` and give the file"
        );
    }
    if path.is_dir() && !path.join("Chart.yaml").is_file() {
        bail!("chart {word}: the directory has no Chart.yaml, so it is no chart");
    }
    Ok(Chart::load(path)?)
}
