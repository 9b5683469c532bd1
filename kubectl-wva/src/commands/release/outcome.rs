//! What `install`, `upgrade` and `uninstall` print.

use serde::Serialize;

use crate::Error;
use crate::commands::add_model::DryRun;
use crate::output::Format;
use crate::output::console::Console;
use crate::writers::apply::Applied;

/// What was done to a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Outcome {
    /// Name of the release.
    pub(super) release: String,
    /// Its namespace.
    pub(super) namespace: String,
    /// Number of the revision.
    pub(super) revision: u32,
    /// What became of it, in helm's word.
    pub(super) status: String,
    /// Its objects.
    pub(super) objects: Vec<Applied>,
    /// What the chart has to say about it.
    pub(super) notes: String,
}

impl Outcome {
    /// Prints it; lines end with what kind of dry run it was.
    pub(super) fn print(&self, dry_run: Option<DryRun>, console: &mut Console<'_>) -> Result<(), Error> {
        let run = match dry_run {
            None => "",
            Some(DryRun::Client) => " (dry run)",
            Some(DryRun::Server) => " (server dry run)",
        };
        let Self { release, namespace, revision, status, objects, notes } = self;
        match console.format {
            Format::Json => console.json(self),
            Format::Yaml => console.yaml(self),
            Format::Name => console.lines(objects.iter().map(|one| format!("{}/{}", one.kind, one.name))),
            Format::Table | Format::Wide => {
                console.lines(
                    objects.iter().map(|one| format!("{}/{} {}{run}", one.kind, one.name, one.outcome.word())),
                )?;
                console.lines([format!(
                    "release {release} in namespace {namespace}, revision {revision}: {status}{run}"
                )])?;
                if !notes.trim().is_empty() {
                    console.data(&format!("\n{}\n", notes.trim_matches('\n')))?;
                }
                Ok(())
            }
        }
    }
}
