//! What is said of each step.

use std::time::Duration;

use super::MoveView;
use super::published::Seen;
use crate::Error;
use crate::commands::add_model::DryRun;
use crate::output::Format;
use crate::output::console::Console;
use crate::writers::edit::Edit;

fn for_people(console: &Console<'_>) -> bool {
    matches!(console.format, Format::Table | Format::Wide)
}

/// One object that was changed.
pub(super) fn step(edit: &Edit, dry_run: Option<DryRun>, console: &mut Console<'_>) -> Result<(), Error> {
    if !for_people(console) {
        return Ok(());
    }
    let run = dry_run.map_or("", DryRun::suffix);
    console.prose([format!("{} handed over{run}", edit.name())])
}

/// Whether the new controller publishes.
pub(super) fn published(
    seen: &Result<Seen, String>,
    view: &MoveView,
    timeout: Duration,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    let MoveView { namespace, shown, from, .. } = view;
    let to = named(view.to.as_deref());
    match seen {
        Ok(Seen::Series) if for_people(console) => console.prose([format!("{to} publishes its number")]),
        Ok(Seen::Series) => Ok(()),
        Ok(Seen::Status) => {
            console.note(&format!("note: {to} writes its status; whether its number is served could not be read"))
        }
        Err(still) => {
            let back = from.as_deref().unwrap_or("\"\"");
            console.note(&format!(
                "{to} does not publish after {timeout:?}: {still}. Its autoscaler keeps the replicas there are. Go on: repeat the \
                 command; back: kubectl wva move {shown} -n {namespace} --to {back}; why: kubectl wva doctor {shown} -n {namespace}"
            ))
        }
    }
}

/// The answer for programs, and the last line for people.
pub(super) fn finish(view: &MoveView, console: &mut Console<'_>) -> Result<(), Error> {
    let MoveView { namespace, shown, changed, published, .. } = view;
    match console.format {
        Format::Json => console.json(view),
        Format::Yaml => console.yaml(view),
        Format::Name => console.lines([format!("variantautoscaling.llmd.ai/{}", view.name)]),
        Format::Table | Format::Wide if changed.is_empty() && *published != Some(false) => {
            console.prose([format!("{namespace}/{shown} belongs to {} already", named(view.to.as_deref()))])
        }
        Format::Table | Format::Wide => Ok(()),
    }
}

fn named(id: Option<&str>) -> String {
    id.map_or_else(|| "the controller without an id".to_owned(), |id| format!("instance {id}"))
}
