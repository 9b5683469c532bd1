//! What changed, as a diff of fields.

use anstyle::AnsiColor;
use serde_json::Value;

use super::SetView;
use crate::Error;
use crate::commands::add_model::{DryRun, REMEMBERED};
use crate::output::Format;
use crate::output::console::Console;
use crate::writers::edit::FieldChange;

/// Prints what became of the objects.
pub(super) fn print(views: &[SetView], dry_run: Option<DryRun>, console: &mut Console<'_>) -> Result<(), Error> {
    match console.format {
        Format::Json => return console.json(&views),
        Format::Yaml => return console.yaml(&views),
        Format::Name => return console.lines(views.iter().map(|view| view.object.clone())),
        Format::Table | Format::Wide => {}
    }
    let run = dry_run.map_or("", DryRun::suffix);
    for SetView { object, changes } in views {
        let (kept, seen): (Vec<&FieldChange>, Vec<&FieldChange>) =
            changes.iter().partition(|change| change.path.last().is_some_and(|part| part == REMEMBERED));
        match (seen.is_empty(), kept.is_empty()) {
            (true, true) => console.lines([format!("{object} unchanged{run}")])?,
            (true, false) => console.lines([format!("{object} keeps it for the next add-model{run}")])?,
            (false, _) => console.lines([format!("{object} changed{run}")])?,
        }
        console.lines(seen.into_iter().flat_map(diff))?;
    }
    Ok(())
}

fn diff(change: &FieldChange) -> Vec<String> {
    let field = change.path.join(".");
    let line = |sign: char, colour: AnsiColor, value: &Value| {
        let style = colour.on_default();
        format!("{style}{sign} {field}: {value}{style:#}")
    };
    let gone = (!change.before.is_null()).then(|| line('-', AnsiColor::Red, &change.before));
    let come = (!change.after.is_null()).then(|| line('+', AnsiColor::Green, &change.after));
    gone.into_iter().chain(come).collect()
}
