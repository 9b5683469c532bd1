//! What is said of each variant.

use wva_api::Pause;

use super::{Choice, PausedView};
use crate::Error;
use crate::add_model::DryRun;
use crate::console::Console;
use crate::output::Format;

/// Says what became of a variant as soon as it has.
pub(super) fn line(view: &PausedView, dry_run: Option<DryRun>, console: &mut Console<'_>) -> Result<(), Error> {
    if !matches!(console.format, Format::Table | Format::Wide) {
        return Ok(());
    }
    let run = match dry_run {
        None => "",
        Some(DryRun::Client) => " (dry run)",
        Some(DryRun::Server) => " (server dry run)",
    };
    console.prose([format!("{}/{} {}{run}", view.namespace, view.shown, happened(view))])
}

/// Prints the answer for programs, and says when nothing was chosen.
pub(super) fn finish(views: &[PausedView], choice: &Choice, console: &mut Console<'_>) -> Result<(), Error> {
    if views.is_empty() {
        let narrowed = if choice.model.is_some() || choice.instance.is_some() { " that this leaves" } else { "" };
        console.note(&format!("no variants{narrowed}; `kubectl wva status -A` shows all variants"))?;
    }
    match console.format {
        Format::Json => console.json(&views),
        Format::Yaml => console.yaml(&views),
        Format::Name => console.lines(views.iter().map(|view| format!("variantautoscaling.llmd.ai/{}", view.name))),
        Format::Table | Format::Wide => Ok(()),
    }
}

fn happened(view: &PausedView) -> String {
    match (view.paused, view.changed) {
        (false, true) => return "resumed".to_owned(),
        (false, false) => return "was not paused".to_owned(),
        (true, _) => {}
    }
    let Pause { replicas, until, by, reason } = &view.pause;
    let at = match replicas {
        Some(1) => " at 1 replica".to_owned(),
        Some(replicas) => format!(" at {replicas} replicas"),
        None => " at the replicas that are published".to_owned(),
    };
    let until = until.map_or_else(|| " until resume".to_owned(), |until| format!(" until {until:.0}"));
    let by = by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
    let reason = reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    format!("paused{by}{at}{until}{reason}")
}
