//! `report`: a zip for whoever helps: objects, events, logs, metrics, decisions. Secrets are left out or blackened.

mod archive;
mod gather;
mod redact;

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

pub use redact::Redactor;

use crate::connection::Connection;

use crate::output::Format;
use crate::output::console::{Console, counted};
use crate::session::Session;
use crate::{Error, Verdict};

/// Flags of `report`.
#[derive(Args, Clone, Debug, Default)]
pub struct ReportArgs {
    /// File to write; if not given, wva-report-TIME.zip.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Lines of each log.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub log_lines: i64,
    /// Do not blacken tokens and passwords in environments, ConfigMaps and logs. Secrets are never read.
    #[arg(long)]
    pub no_redact: bool,
}

/// What is in the archive, and what is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportView {
    /// The archive.
    pub file: String,
    /// When the cluster was asked.
    pub as_of: Timestamp,
    /// Version of this program.
    pub client: String,
    /// Whether tokens and passwords were blackened.
    pub redacted: bool,
    /// Files in the archive.
    pub contents: Vec<String>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// Carries out `report`.
///
/// # Errors
/// When the cluster cannot be reached at all, or the file cannot be written. What may not be read is listed instead.
pub async fn run(flags: &Connection, args: &ReportArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let now = Timestamp::now();
    let redactor = if args.no_redact { Redactor::off() } else { Redactor::new() };
    let namespace = (!args.all_namespaces).then(|| session.namespace.clone());
    if let Some(namespace) = &namespace {
        session.require_namespace(namespace).await?;
    }
    let bundle = Box::pin(gather::gather(&session, namespace.as_deref(), args.log_lines, &redactor)).await?;
    let file = args.file.clone().unwrap_or_else(|| format!("wva-report-{}.zip", now.strftime("%Y%m%d-%H%M%S")).into());
    let view = ReportView {
        file: file.display().to_string(),
        as_of: now,
        client: env!("CARGO_PKG_VERSION").to_owned(),
        redacted: !args.no_redact,
        contents: bundle.files.keys().cloned().collect(),
        unread: bundle.unread.clone(),
    };
    let failed = |source| Error::File { path: file.clone(), source };
    archive::write(&file, &view, &bundle.files).map_err(failed)?;
    match console.format {
        Format::Json => console.json(&view)?,
        Format::Yaml => console.yaml(&view)?,
        Format::Name => console.lines([view.file.clone()])?,
        Format::Table | Format::Wide => {
            console.lines([format!("wrote {}: {}", view.file, counted(view.contents.len(), "file"))])?;
            if console.format == Format::Wide {
                console.lines(view.contents.iter().map(|name| format!("  {name}")))?;
            }
            for why in &view.unread {
                console.note(&format!("not in it: {why}"))?;
            }
        }
    }
    // With few rights it holds what there is; without any it is of no use.
    let objects = view.contents.iter().any(|name| name.starts_with("objects/"));
    Ok(if objects || view.unread.is_empty() { Verdict::Fine } else { Verdict::Unknown })
}
