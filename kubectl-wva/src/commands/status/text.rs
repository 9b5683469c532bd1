//! The view for people: a verdict line for each instance with its problems below, then the table.

use anstyle::AnsiColor;
use comfy_table::Color;

use super::view::{ControllerView, HpaView, InstanceView, Level, LoadView, ReplicasView, StatusView, VariantView};
use super::{Problem, ProblemKind};
use crate::duration;
use crate::output::console::counted;
use crate::output::table::{self as layout, Cell, Column};

/// Variants named in a problem they share before the rest is only counted.
const NAMED: usize = 3;

/// Stands for what is not known.
const UNKNOWN: &str = "-";

/// The verdicts, one line for each instance, and one for each of its problems.
pub fn verdicts(view: &StatusView) -> Vec<String> {
    view.instances.iter().flat_map(|instance| instance_lines(instance, view)).collect()
}

fn instance_lines(instance: &InstanceView, view: &StatusView) -> Vec<String> {
    let InstanceView { instance: id, healthy, variants, ready, controllers, problems, starting } = instance;
    let name = id.as_ref().map_or("no instance id".to_owned(), |id| format!("instance {id}"));
    let members: Vec<&VariantView> = view.variants.iter().filter(|variant| variant.instance == *id).collect();
    let early = starting.len() + members.iter().filter(|variant| !variant.starting.is_empty()).count();
    let (colour, verdict) = if !*healthy {
        let count = problems.len() + members.iter().map(|variant| variant.problems.len()).sum::<usize>();
        (AnsiColor::Red, counted(count, "problem"))
    } else if !view.unread.is_empty() {
        (AnsiColor::Yellow, "no problem in what could be read".to_owned())
    } else if early > 0 {
        (AnsiColor::Cyan, format!("no problem, {early} starting"))
    } else {
        (AnsiColor::Green, "healthy".to_owned())
    };
    let style = colour.on_default();
    let verdict = format!("{style}{verdict}{style:#}");
    let controllers = match controllers.as_deref() {
        None => "controller unknown".to_owned(),
        Some([]) => "no controller".to_owned(),
        Some(all) => all.iter().map(controller_text).collect::<Vec<_>>().join(", "),
    };
    let mut lines =
        vec![format!("{name}: {verdict}; {ready} of {} Ready; {controllers}", counted(*variants, "variant"))];
    lines.extend(problems.iter().map(|problem| format!("  {}", problem.message)));
    lines.extend(grouped(&members));
    lines.extend(starting.iter().map(|what| format!("  {what}")));
    for variant in members {
        let line = |what: &String| format!("  {}/{}: {what}", variant.namespace, variant.shown());
        lines.extend(variant.starting.iter().map(line));
    }
    lines
}

/// The problems of variants; what several have in common is said once.
fn grouped(members: &[&VariantView]) -> Vec<String> {
    let mut groups: Vec<(&Problem, Vec<String>)> = Vec::new();
    for variant in members {
        for problem in &variant.problems {
            let key = format!("{}/{}", variant.namespace, variant.shown());
            match groups.iter_mut().find(|(known, _)| known.kind == problem.kind && known.message == problem.message) {
                Some((_, keys)) => keys.push(key),
                None => groups.push((problem, vec![key])),
            }
        }
    }
    let line = |(problem, keys): (&Problem, Vec<String>)| match keys.as_slice() {
        [one] => format!("  {one}: {}", problem.message),
        several => {
            let named = several.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            let more = several.len().saturating_sub(NAMED);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            let said = problem.message.strip_prefix("PrometheusError: ");
            match said {
                Some(why) => {
                    format!("  Prometheus does not answer: {} variants hold ({named}{more}): {why}", several.len())
                }
                None => format!("  {} variants: {} ({named}{more})", several.len(), problem.message),
            }
        }
    };
    groups.into_iter().map(line).collect()
}

fn controller_text(controller: &ControllerView) -> String {
    let ControllerView { namespace, name, ready, replicas, namespaces: _, image: _ } = controller;
    format!("controller {namespace}/{name} {ready}/{replicas} ready")
}

/// The table of variants. `namespaces` adds the column that tells them apart, `wide` the columns few need.
pub fn table(view: &StatusView, namespaces: bool, wide: bool, headers: bool, width: Option<u16>) -> String {
    let mut columns = Vec::new();
    if namespaces {
        columns.push(Column::new("NAMESPACE", 1));
    }
    columns.extend([
        Column::new("NAME", 0),
        Column::new("TARGET", 7),
        Column::new("MODEL", 6),
        Column::new("ACCELERATOR", 8),
        Column::new("COST", 5),
        Column::new("LOAD", 0),
        Column::new("REPLICAS", 0),
        Column::new("READY", 3),
        Column::new("HPA", 0),
        Column::new("METRICS", 4),
        Column::new("SINCE", 2),
    ]);
    if wide {
        columns.extend([
            Column::new("INSTANCE", 9),
            Column::new("VARIANT", 12),
            Column::new("DECISION", 11),
            Column::new("DATA", 10),
        ]);
    }
    columns.push(Column::or_below("REASON", 13));
    let rows = view.variants.iter().map(|variant| row(variant, view, namespaces, wide)).collect();
    layout::render(&columns, rows, headers, width)
}

fn row(variant: &VariantView, view: &StatusView, namespaces: bool, wide: bool) -> Vec<Cell> {
    let mut cells = if namespaces { vec![Cell::new(&variant.namespace)] } else { Vec::new() };
    cells.extend([
        name_cell(variant),
        Cell::new(target_text(variant)),
        known(variant.model.as_deref()),
        known(variant.accelerator.as_deref()),
        Cell::new(&variant.cost),
        variant.load.as_ref().map_or_else(|| Cell::new(UNKNOWN), load_cell),
        Cell::new(replicas_text(&variant.replicas)),
        known(variant.replicas.ready.map(|ready| ready.to_string()).as_deref()),
        hpa_cell(variant, view),
        metrics_cell(variant),
        known(variant.decided_at.map(|then| duration::age(then, view.as_of)).as_deref()),
    ]);
    if wide {
        let decision = variant.decision.as_ref().map(|decision| decision.reason.as_str());
        cells.extend([known(variant.instance.as_deref()), Cell::new(&variant.name), known(decision)]);
        cells.push(known(variant.load.as_ref().map(|load| format!("{}s", load.age_seconds)).as_deref()));
    }
    cells.push(Cell::new(reason_text(variant, view)));
    cells
}

/// The colour of a load by the thresholds in force.
pub(super) fn level_colour(level: Level) -> Option<Color> {
    match level {
        Level::Usual => None,
        Level::High => Some(Color::Yellow),
        Level::Saturated => Some(Color::Red),
    }
}

/// A load, coloured by the thresholds in force.
pub(crate) fn load_cell(load: &LoadView) -> Cell {
    let cell = Cell::new(format!("{:.0}% kv, {:.0} queued", load.kv_usage * 100.0, load.queue_length));
    level_colour(load.level).into_iter().fold(cell, Cell::fg)
}

fn name_cell(variant: &VariantView) -> Cell {
    let cell = Cell::new(variant.shown());
    if variant.problems.is_empty() { cell } else { cell.fg(Color::Red) }
}

fn known(text: Option<&str>) -> Cell {
    Cell::new(text.unwrap_or(UNKNOWN))
}

fn target_text(variant: &VariantView) -> String {
    // Nearly all targets are Deployments; only the others name their kind.
    match variant.target.kind.as_str() {
        "" => UNKNOWN.to_owned(),
        "Deployment" => variant.target.name.clone(),
        kind => format!("{}/{}", kind.to_lowercase(), variant.target.name),
    }
}

pub(super) fn replicas_text(replicas: &ReplicasView) -> String {
    let number = |count: Option<i32>| count.map_or(UNKNOWN.to_owned(), |count| count.to_string());
    format!("{} -> {}", number(replicas.current), number(replicas.desired))
}

/// Current replicas with the bounds, `2 (1-10)`.
fn hpa_cell(variant: &VariantView, view: &StatusView) -> Cell {
    match &variant.hpa {
        Some(HpaView { current, min, max, inactive, .. }) => {
            let current = current.map_or(UNKNOWN.to_owned(), |current| current.to_string());
            match inactive {
                None if variant.hpa.as_ref().is_some_and(|hpa| hpa.scaled_object.is_some()) => {
                    Cell::new(format!("{current} ({min}-{max}) keda"))
                }
                None => Cell::new(format!("{current} ({min}-{max})")),
                Some(_) => Cell::new(format!("{current} ({min}-{max}) inactive")).fg(Color::Red),
            }
        }
        None if view.unread.iter().any(|unread| unread.what == "HPAs") => Cell::new("?"),
        None => Cell::new("missing").fg(Color::Red),
    }
}

/// Whether nobody decides for it any longer; what its status says is what an earlier controller wrote.
fn is_orphaned(variant: &VariantView) -> bool {
    variant.problems.iter().any(|problem| problem.kind == ProblemKind::NoController)
}

fn metrics_cell(variant: &VariantView) -> Cell {
    match &variant.metrics {
        _ if is_orphaned(variant) => Cell::new(UNKNOWN),
        None => Cell::new(UNKNOWN),
        Some(metrics) if metrics.status == "True" => Cell::new("yes").fg(Color::Green),
        Some(metrics) => Cell::new(&metrics.reason).fg(Color::Yellow),
    }
}

/// Why the replicas are as they are: what keeps the variant from being Ready, else the last decision, and what holds it
/// up. Variants are called by the names that people know.
pub(super) fn reason_text(variant: &VariantView, view: &StatusView) -> String {
    if is_orphaned(variant) {
        let since = variant.decided_at.map(|then| duration::age(then, view.as_of));
        let since = since.map_or_else(String::new, |age| format!("; its number is {age} old"));
        return format!("Orphaned: nobody decides{since}");
    }
    let said = match (&variant.ready, &variant.decision) {
        (Some(ready), _) if ready.status != "True" => ready.message.clone(),
        (_, Some(decision)) => decision.message.clone(),
        (_, None) => return UNKNOWN.to_owned(),
    };
    let said = view
        .variants
        .iter()
        .filter(|other| other.namespace == variant.namespace)
        .filter_map(|other| Some((&other.name, other.release.as_ref()?)))
        .fold(said, |said, (name, release)| said.replace(name.as_str(), release));
    match variant.hpa.as_ref().and_then(|hpa| hpa.waits.as_ref()) {
        // The controller says it itself, of its own time.
        Some(_) if said.contains("held by ") => said,
        Some(wait) => format!("{said}; the HPA waits {}", wait.text(view.as_of)).replace("waits at its", "is at its"),
        None => said,
    }
}
