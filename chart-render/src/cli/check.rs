//! `chart-render check`: do several releases stay out of each other's way?

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{Output, Verdict};
use crate::check::{Installed, check};

/// Compare releases: objects, selectors, scale targets and instance ids must not collide.
///
/// Each file is one release, and so is each directory with all that lies below it. What kubectl prints with -o yaml is
/// taken apart into the releases helm installed:
/// kubectl get va,hpa,deploy,svc,servicemonitor -A -o yaml | chart-render check -
///
/// The exit code is 0 when nothing is wrong, 1 with findings and 2 when a file cannot be read.
#[derive(Args)]
pub(super) struct Check {
    /// Files or directories of manifests, `-` for the standard input.
    #[arg(required = true, value_name = "RELEASE")]
    releases: Vec<PathBuf>,
    /// How to print the findings.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

impl Check {
    pub(super) fn run(self, out: &mut impl Write) -> Result<Verdict> {
        let mut releases = Vec::new();
        let mut seen = BTreeSet::new();
        for path in &self.releases {
            // The same file twice is one release; `-` and what cannot be found are for `read`.
            if seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())) {
                releases.extend(read(path)?);
            }
        }
        if releases.iter().all(|release| release.objects.is_empty()) {
            bail!("there is no object to check: the input is empty; did the command that writes it fail?");
        }
        let report = check(&releases);
        match self.output {
            Output::Table => write!(out, "{report}")?,
            Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
        }
        Ok(if report.is_clean() { Verdict::Fine } else { Verdict::Finding })
    }
}

fn read(path: &Path) -> Result<Vec<Installed>> {
    let name = path.display().to_string();
    if name == "-" {
        let text = io::read_to_string(io::stdin()).context("read the standard input")?;
        return Ok(Installed::read("stdin", &text)?);
    }
    if !path.is_dir() {
        let text = fs::read_to_string(path).with_context(|| format!("read {name}"))?;
        return Ok(Installed::read(&name, &text)?);
    }
    let mut files = Vec::new();
    walk(path, &mut files)?;
    files.sort();
    let mut objects = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        objects.extend(
            Installed::read(&file.display().to_string(), &text)?.into_iter().flat_map(|release| release.objects),
        );
    }
    Ok(vec![Installed { name, objects }])
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        let manifest =
            path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json");
        if path.is_dir() {
            walk(&path, files)?;
        } else if manifest {
            files.push(path);
        }
    }
    Ok(())
}
