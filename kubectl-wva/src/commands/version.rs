//! `version`: of this program, of the chart in it, and of the controllers in the cluster.

use clap::Args;
use serde::Serialize;

use crate::connection::Connection;

use crate::output::Format;
use crate::output::console::Console;
use crate::readers::controllers::{self, Controller};
use crate::session::{self, Session};
use crate::writers::install;
use crate::{Error, Verdict};

/// Flags of `version`.
#[derive(Args, Clone, Debug, Default)]
pub struct VersionArgs {
    /// Do not ask the cluster.
    #[arg(long)]
    pub client: bool,
}

/// The versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionView {
    /// Of this program.
    pub client: String,
    /// Of the chart it installs.
    pub chart: String,
    /// Of the controllers; absent when the cluster was not or could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controllers: Option<Vec<ControllerVersion>>,
}

/// One controller's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ControllerVersion {
    /// Namespace of its Deployment.
    pub namespace: String,
    /// Name of its Deployment.
    pub name: String,
    /// Its image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// Carries out `version`. A cluster that does not answer leaves its part out and is named beside the answer.
///
/// # Errors
/// When the answer cannot be written.
pub async fn run(flags: &Connection, args: &VersionArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let (controllers, verdict) = if args.client {
        (None, Verdict::Fine)
    } else {
        match ask(flags).await {
            Ok(found) => (Some(found), Verdict::Fine),
            Err(error) => {
                console.note(Error::from(error).report().trim_end())?;
                (None, Verdict::Unknown)
            }
        }
    };
    let view = VersionView {
        client: env!("CARGO_PKG_VERSION").to_owned(),
        chart: install::chart()?.version().to_owned(),
        controllers,
    };
    match console.format {
        Format::Json => console.json(&view)?,
        Format::Yaml => console.yaml(&view)?,
        Format::Table | Format::Wide | Format::Name => console.lines(text(&view))?,
    }
    Ok(verdict)
}

async fn ask(flags: &Connection) -> Result<Vec<ControllerVersion>, session::Error> {
    let session = Session::open(flags).await?;
    let version = |Controller { namespace, name, image, .. }| ControllerVersion { namespace, name, image };
    Ok(controllers::list(&session).await?.into_iter().map(version).collect())
}

fn text(view: &VersionView) -> Vec<String> {
    let mut lines = vec![format!("client: {}", view.client), format!("chart: {}", view.chart)];
    lines.extend(view.controllers.iter().flatten().map(|ControllerVersion { namespace, name, image }| {
        format!("controller {namespace}/{name}: {}", image.as_deref().unwrap_or("unknown image"))
    }));
    lines
}
