//! The answer for people: each model with its variants and its cheapest mix, then the sum.

use jiff::tz::TimeZone;

use super::view::Amounts;
use super::{CostView, MixView, ModelCost, VariantCost};
use crate::output::Format;
use crate::output::console::Console;
use crate::output::table;
use crate::output::table::{Cell, Column};
use crate::{Error, duration};

/// Prints a view.
///
/// # Errors
/// When it cannot be written.
pub fn print(view: &CostView, console: &mut Console<'_>) -> Result<(), Error> {
    for unread in &view.unread {
        console.note(&format!("warning: {} unknown: {}", unread.what, unread.error))?;
    }
    for note in &view.notes {
        console.note(&format!("note: {note}"))?;
    }
    match console.format {
        Format::Json => return console.json(view),
        Format::Yaml => return console.yaml(view),
        Format::Name => {
            let names = view.models.iter().flat_map(|model| &model.variants);
            return console.lines(names.map(|variant| format!("variantautoscaling.llmd.ai/{}", variant.name)));
        }
        Format::Table | Format::Wide => {}
    }
    if view.models.is_empty() {
        return console.note("no variants; -A shows all namespaces");
    }
    for model in &view.models {
        console.prose([format!("{} in {}: {}", model.model, model.namespace, now_and_decided(&model.amounts))])?;
        let rows = model.variants.iter().map(|variant| row(variant, view)).collect();
        let columns: Vec<Column> =
            if view.since.is_some() { [&COLUMNS[..], &SPENT[..]].concat() } else { COLUMNS.to_vec() };
        console.data(&table::render(&columns, rows, console.headers, console.width))?;
        console.prose(mix(model))?;
        console.lines([String::new()])?;
    }
    let Amounts { per_month, per_month_decided, .. } = view.total;
    console.prose([format!("all: {}", now_and_decided(&view.total))])?;
    console.prose([format!("per month of 730 hours: {per_month:.2} now, {per_month_decided:.2} as decided")])
}

const COLUMNS: [Column; 7] = [
    Column::new("NAME", 0),
    Column::new("ACCELERATOR", 3),
    Column::new("REPLICAS", 0),
    Column::new("EACH/H", 1),
    Column::new("NOW/H", 0),
    Column::new("DECIDED/H", 0),
    Column::new("DECIDED/MONTH", 2),
];

const SPENT: [Column; 2] = [Column::new("SPENT", 0), Column::new("SINCE", 1)];

fn now_and_decided(amounts: &Amounts) -> String {
    let Amounts { per_hour, per_hour_decided, spent, .. } = amounts;
    let spent = spent.map_or_else(String::new, |spent| format!("; {spent:.2} spent"));
    format!("{per_hour:.2} per hour now, {per_hour_decided:.2} as decided{spent}")
}

fn row(variant: &VariantCost, view: &CostView) -> Vec<Cell> {
    let unknown = || "-".to_owned();
    let count = |count: Option<u32>| count.map_or_else(unknown, |count| count.to_string());
    let money = |amount: f64| if variant.per_replica_hour.is_some() { format!("{amount:.2}") } else { unknown() };
    let mut cells = vec![
        Cell::new(&variant.shown),
        Cell::new(variant.accelerator.as_deref().unwrap_or("-")),
        Cell::new(format!("{} -> {}", count(variant.current), count(variant.decided))),
        Cell::new(money(variant.per_replica_hour.unwrap_or_default())),
        Cell::new(money(variant.amounts.per_hour)),
        Cell::new(money(variant.amounts.per_hour_decided)),
        Cell::new(money(variant.amounts.per_month_decided)),
    ];
    if view.since.is_some() {
        let since = variant.spent_since.map(|since| duration::clock(since, view.as_of, &TimeZone::system()));
        cells.push(Cell::new(variant.amounts.spent.map_or_else(unknown, |spent| format!("{spent:.2}"))));
        cells.push(Cell::new(since.unwrap_or_else(unknown)));
    }
    cells
}

fn mix(model: &ModelCost) -> Vec<String> {
    match &model.cheapest {
        MixView::Known { capacity, unit, replicas, per_hour, saves_per_hour } => {
            let mix: Vec<String> = replicas.iter().map(|(name, replicas)| format!("{name} {replicas}")).collect();
            let amount = if *unit == "tokens" { format!("{capacity:.0}") } else { format!("{capacity:.2}") };
            let saves = match saves_per_hour {
                saves if *saves > 0.005 => format!("{saves:.2} less than what is decided"),
                _ => "nothing less than what is decided".to_owned(),
            };
            vec![format!(
                "cheapest mix for the same {amount} {unit}: {}: {per_hour:.2} per hour, {saves}",
                mix.join(", ")
            )]
        }
        MixView::Unknown { why } if model.variants.len() > 1 => {
            vec![format!("cheapest mix for the same: not known: {why}")]
        }
        MixView::Unknown { .. } => Vec::new(),
    }
}
