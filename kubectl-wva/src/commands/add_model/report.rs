//! What `add-model` prints: kubectl's lines, or the objects themselves for a Git repository.

use chart_render::Rendered;
use serde_json::{Value, json};

use super::{AddModelArgs, DryRun};
use crate::Error;
use crate::output::Format;
use crate::output::console::Console;
use crate::writers::apply::Applied;
use crate::writers::install;

/// Prints the answer. With `-o yaml` and `-o json` that is the objects, and what became of them is said beside it.
pub(super) fn print(
    args: &AddModelArgs,
    rendered: &Rendered,
    applied: &[Applied],
    console: &mut Console<'_>,
) -> Result<(), Error> {
    let run = args.dry_run.map_or("", DryRun::suffix);
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

/// What the window before growth costs, and how it is changed; `None` where there is none.
pub(super) fn slow_growth(objects: &[&Value]) -> Option<String> {
    const WINDOW: &str = "/spec/behavior/scaleUp/stabilizationWindowSeconds";
    let hpa = objects.iter().find(|object| object["kind"] == "HorizontalPodAutoscaler")?;
    let window = hpa.pointer(WINDOW)?.as_u64().filter(|window| *window > 0)?;
    Some(format!(
        "the HPA adds a replica only after {window} s in which it was asked for, and a model that is full stays so for as long; \
         where servers start fast enough to be worth it sooner: --set hpa.behavior.scaleUp.stabilizationWindowSeconds=0"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_before_growth_is_told_with_the_setting_that_takes_it_away() {
        let told = |window: Value| {
            let hpa = json!({"kind": "HorizontalPodAutoscaler",
                "spec": {"behavior": {"scaleUp": {"stabilizationWindowSeconds": window}}}});
            slow_growth(&[&json!({"kind": "Service"}), &hpa])
        };
        let note = told(json!(240)).unwrap();
        assert!(note.contains("after 240 s") && note.contains("stabilizationWindowSeconds=0"), "{note}");
        assert_eq!(told(json!(0)), None);
        assert_eq!(told(Value::Null), None);
        assert_eq!(slow_growth(&[]), None);
    }
}
