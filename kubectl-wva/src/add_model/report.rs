//! What `add-model` prints: kubectl's lines, or the objects themselves for a Git repository.

use chart_render::Rendered;
use serde_json::{Value, json};

use super::{AddModelArgs, DryRun};
use crate::Error;
use crate::apply::Applied;
use crate::console::Console;
use crate::install;
use crate::output::Format;

/// Prints the answer. With `-o yaml` and `-o json` that is the objects, and what became of them is said beside it.
pub(super) fn print(
    args: &AddModelArgs,
    rendered: &Rendered,
    applied: &[Applied],
    console: &mut Console<'_>,
) -> Result<(), Error> {
    let run = match args.dry_run {
        None => "",
        Some(DryRun::Client) => " (dry run)",
        Some(DryRun::Server) => " (server dry run)",
    };
    let mut outcomes = applied.iter().map(|one| format!("{}/{} {}{run}", one.kind, one.name, one.outcome.word()));
    match console.format {
        Format::Table | Format::Wide => console.lines(outcomes),
        Format::Name => console.lines(applied.iter().map(|one| format!("{}/{}", one.kind, one.name))),
        Format::Yaml => {
            outcomes.try_for_each(|outcome| console.note(&outcome))?;
            console.data(&install::text(rendered))
        }
        Format::Json => {
            outcomes.try_for_each(|outcome| console.note(&outcome))?;
            let items: Vec<&Value> = rendered.manifests.iter().map(|manifest| &manifest.object).collect();
            console.json(&json!({"apiVersion": "v1", "kind": "List", "items": items}))
        }
    }
}
