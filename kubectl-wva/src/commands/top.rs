//! `top`: variants by load, by the size of their last change, by cost or by name.

use std::cmp::Ordering;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::commands::status::{self, Filter, LoadView, StatusView, VariantView, load_cell};
use crate::connection::Connection;
use crate::output::Format;
use crate::output::console::Console;
use crate::output::table;
use crate::output::table::{Cell, Column};
use crate::output::watch::WatchArgs;
use crate::session::Session;
use crate::{Error, Verdict, duration};

/// Flags of `top`.
#[derive(Args, Clone, Debug, Default)]
pub struct TopArgs {
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// What to sort by, the most first; names from a to z.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = SortBy::Load)]
    pub sort_by: SortBy,
    /// Looking again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// What variants are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SortBy {
    /// The share of the KV cache in use, then the queue.
    #[default]
    Load,
    /// Replicas wanted and not there, or there and not wanted; of equals the latest decision.
    Change,
    /// Cost per hour of the replicas there are.
    Cost,
    /// Namespace and name.
    Name,
}

/// One variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopView {
    /// Cost per hour of the replicas there are, in the currency of `variantCost`; absent when they are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_per_hour: Option<f64>,
    /// The variant, as `status` shows it.
    #[serde(flatten)]
    pub variant: VariantView,
}

/// Carries out `top`.
///
/// # Errors
/// When the variants cannot be listed.
pub async fn run(flags: &Connection, args: &TopArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let namespace = (!args.all_namespaces).then(|| session.namespace.clone());
    let again = async |console: &mut Console<'_>| {
        let view = status::look(&session, namespace.as_deref(), &Filter::default()).await?;
        print(&view, args.sort_by, namespace.is_none(), console)
    };
    args.watch.repeat(console, again).await
}

/// Prints the variants of a view in their order; `namespaces` adds the column that tells them apart.
///
/// # Errors
/// When the answer cannot be written.
pub fn print(view: &StatusView, by: SortBy, namespaces: bool, console: &mut Console<'_>) -> Result<Verdict, Error> {
    for text in &view.notes {
        console.note(&format!("note: {text}"))?;
    }
    for unread in &view.unread {
        console.note(&format!("warning: {} unknown: {}", unread.what, unread.error))?;
    }
    let sorted = sorted(&view.variants, by);
    match console.format {
        Format::Json => console.json(&sorted)?,
        Format::Yaml => console.yaml(&sorted)?,
        Format::Name => {
            console.lines(sorted.iter().map(|one| format!("variantautoscaling.llmd.ai/{}", one.variant.name)))?;
        }
        Format::Table | Format::Wide if sorted.is_empty() => {
            console.note(&format!("no variants{}", if namespaces { "" } else { "; -A shows all namespaces" }))?;
        }
        Format::Table | Format::Wide => {
            let rows = sorted.iter().map(|one| row(one, view, namespaces)).collect();
            let columns = if namespaces { &COLUMNS[..] } else { &COLUMNS[1..] };
            console.data(&table::render(columns, rows, console.headers, console.width))?;
        }
    }
    Ok(if view.unread.is_empty() { Verdict::Fine } else { Verdict::Unknown })
}

const COLUMNS: [Column; 8] = [
    Column::new("NAMESPACE", 1),
    Column::new("NAME", 0),
    Column::new("LOAD", 0),
    Column::new("REPLICAS", 0),
    Column::new("CHANGE", 0),
    Column::new("SINCE", 2),
    Column::new("COST/H", 0),
    Column::new("MODEL", 3),
];

fn sorted(variants: &[VariantView], by: SortBy) -> Vec<TopView> {
    let view = |variant: &VariantView| TopView { cost_per_hour: cost(variant), variant: variant.clone() };
    let mut all: Vec<TopView> = variants.iter().map(view).collect();
    // What is not known comes last.
    let most = |a: Option<f64>, b: Option<f64>| b.unwrap_or(-1.0).total_cmp(&a.unwrap_or(-1.0));
    let load = |one: &TopView, of: fn(&LoadView) -> f64| one.variant.load.as_ref().map(of);
    let order = |a: &TopView, b: &TopView| -> Ordering {
        match by {
            SortBy::Load => most(load(a, |it| it.kv_usage), load(b, |it| it.kv_usage))
                .then_with(|| most(load(a, |it| it.queue_length), load(b, |it| it.queue_length))),
            SortBy::Change => {
                let size = |one: &TopView| change(&one.variant).map(|change| f64::from(change.abs()));
                most(size(a), size(b)).then_with(|| b.variant.decided_at.cmp(&a.variant.decided_at))
            }
            SortBy::Cost => most(a.cost_per_hour, b.cost_per_hour),
            SortBy::Name => Ordering::Equal,
        }
    };
    let name = |one: &TopView| (one.variant.namespace.clone(), one.variant.shown().to_owned());
    all.sort_by(|a, b| order(a, b).then_with(|| name(a).cmp(&name(b))));
    all
}

/// Replicas that are wanted and not there; below 0 when some are to go.
fn change(variant: &VariantView) -> Option<i32> {
    Some(variant.replicas.desired? - variant.replicas.current?)
}

fn cost(variant: &VariantView) -> Option<f64> {
    Some(variant.cost.parse::<f64>().ok()? * f64::from(variant.replicas.current?))
}

fn row(one: &TopView, view: &StatusView, namespaces: bool) -> Vec<Cell> {
    let variant = &one.variant;
    let unknown = || "-".to_owned();
    let mut cells = if namespaces { vec![Cell::new(&variant.namespace)] } else { Vec::new() };
    cells.extend([
        Cell::new(variant.shown()),
        variant.load.as_ref().map_or_else(|| Cell::new("-"), load_cell),
        Cell::new(variant.replicas.current.map_or_else(unknown, |current| current.to_string())),
        Cell::new(match change(variant) {
            None => unknown(),
            Some(0) => "0".to_owned(),
            Some(change) => format!("{change:+}"),
        }),
        Cell::new(variant.decided_at.map_or_else(unknown, |then| duration::age(then, view.as_of))),
        Cell::new(one.cost_per_hour.map_or_else(unknown, |cost| format!("{cost:.2}"))),
        Cell::new(variant.model.as_deref().unwrap_or("-")),
    ]);
    cells
}
