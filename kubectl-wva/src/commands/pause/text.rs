//! What is said of each variant.

use jiff::Timestamp;
use wva_api::Pause;

use super::{Choice, PausedView};
use crate::Error;
use crate::commands::add_model::DryRun;
use crate::output::Format;
use crate::output::console::Console;
use crate::readers::variants::{self, Guarded};

/// Says what became of a variant as soon as it has.
pub(super) fn line(view: &PausedView, dry_run: Option<DryRun>, console: &mut Console<'_>) -> Result<(), Error> {
    if !matches!(console.format, Format::Table | Format::Wide) {
        return Ok(());
    }
    let run = dry_run.map_or("", DryRun::suffix);
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
    words(&view.pause)
}

/// A pause in words.
fn words(Pause { replicas, until, by, reason }: &Pause) -> String {
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

/// That a variant is paused, and how; `None` when it is not. A pause that cannot be understood is none.
pub(crate) fn told(variant: &Guarded, now: Timestamp) -> Option<String> {
    let metadata = variants::metadata(variant);
    let pause = Pause::read(metadata.annotations.as_ref()?).ok()??;
    if pause.until.is_some_and(|until| until <= now) {
        return None;
    }
    let (namespace, shown) = (metadata.namespace.as_deref().unwrap_or_default(), variants::shown(metadata));
    Some(format!("{namespace}/{shown} {}", words(&pause)))
}
