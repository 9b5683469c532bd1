//! The view for people: a verdict line for each instance with its problems below, then the table.

use anstyle::AnsiColor;
use comfy_table::{Cell, Color};

use super::Problem;
use super::view::{ControllerView, HpaView, InstanceView, ReplicasView, StatusView, VariantView};
use crate::console::counted;
use crate::{duration, table as columns};

/// Stands for what is not known.
const UNKNOWN: &str = "-";

/// The verdicts, one line for each instance, and one for each of its problems.
pub fn verdicts(view: &StatusView) -> Vec<String> {
    view.instances.iter().flat_map(|instance| instance_lines(instance, view)).collect()
}

fn instance_lines(instance: &InstanceView, view: &StatusView) -> Vec<String> {
    let InstanceView { instance: id, healthy, variants, ready, controllers, problems } = instance;
    let name = id.as_ref().map_or("no instance id".to_owned(), |id| format!("instance {id}"));
    let members: Vec<&VariantView> = view.variants.iter().filter(|variant| variant.instance == *id).collect();
    let (colour, verdict) = if *healthy && view.unread.is_empty() {
        (AnsiColor::Green, "healthy".to_owned())
    } else if *healthy {
        (AnsiColor::Yellow, "no problem in what could be read".to_owned())
    } else {
        let count = problems.len() + members.iter().map(|variant| variant.problems.len()).sum::<usize>();
        (AnsiColor::Red, counted(count, "problem"))
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
    for variant in members {
        let line = |problem: &Problem| format!("  {}/{}: {}", variant.namespace, variant.name, problem.message);
        lines.extend(variant.problems.iter().map(line));
    }
    lines
}

fn controller_text(controller: &ControllerView) -> String {
    let ControllerView { namespace, name, ready, replicas, namespaces: _, image: _ } = controller;
    format!("controller {namespace}/{name} {ready}/{replicas} ready")
}

/// The table of variants. `namespaces` adds the column that tells them apart, `wide` the columns few need.
pub fn table(view: &StatusView, namespaces: bool, wide: bool, headers: bool, width: Option<u16>) -> String {
    let mut header: Vec<&str> = if namespaces { vec!["NAMESPACE"] } else { Vec::new() };
    header.extend([
        "NAME",
        "TARGET",
        "MODEL",
        "ACCELERATOR",
        "COST",
        "LOAD",
        "REPLICAS",
        "READY",
        "HPA",
        "METRICS",
        "AGE",
    ]);
    if wide {
        header.extend(["INSTANCE", "RELEASE", "DECISION", "DATA"]);
    }
    header.push("REASON");
    let rows = view.variants.iter().map(|variant| row(variant, view, namespaces, wide)).collect();
    columns::render(headers.then_some(&header), rows, width)
}

fn row(variant: &VariantView, view: &StatusView, namespaces: bool, wide: bool) -> Vec<Cell> {
    let mut cells = if namespaces { vec![Cell::new(&variant.namespace)] } else { Vec::new() };
    cells.extend([
        name_cell(variant),
        Cell::new(target_text(variant)),
        known(variant.model.as_deref()),
        known(variant.accelerator.as_deref()),
        Cell::new(&variant.cost),
        known(
            variant
                .load
                .map(|load| format!("{:.0}% kv, {:.0} queued", load.kv_usage * 100.0, load.queue_length))
                .as_deref(),
        ),
        Cell::new(replicas_text(&variant.replicas)),
        known(variant.replicas.ready.map(|ready| ready.to_string()).as_deref()),
        hpa_cell(variant, view),
        metrics_cell(variant),
        known(variant.decided_at.map(|then| duration::age(then, view.as_of)).as_deref()),
    ]);
    if wide {
        let decision = variant.decision.as_ref().map(|decision| decision.reason.as_str());
        cells.extend([known(variant.instance.as_deref()), known(variant.release.as_deref()), known(decision)]);
        cells.push(known(variant.load.map(|load| format!("{}s", load.age_seconds)).as_deref()));
    }
    cells.push(reason_cell(variant));
    cells
}

fn name_cell(variant: &VariantView) -> Cell {
    let cell = Cell::new(&variant.name);
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

fn replicas_text(replicas: &ReplicasView) -> String {
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

fn metrics_cell(variant: &VariantView) -> Cell {
    match &variant.metrics {
        None => Cell::new(UNKNOWN),
        Some(metrics) if metrics.status == "True" => Cell::new("yes").fg(Color::Green),
        Some(metrics) => Cell::new(&metrics.reason).fg(Color::Yellow),
    }
}

/// Why the replicas are as they are: what keeps the variant from being Ready, else the last decision.
fn reason_cell(variant: &VariantView) -> Cell {
    match (&variant.ready, &variant.decision) {
        (Some(ready), _) if ready.status != "True" => Cell::new(&ready.message),
        (_, Some(decision)) => Cell::new(&decision.message),
        (_, None) => Cell::new(UNKNOWN),
    }
}
