//! One self-contained page.

use std::fmt::Write as _;

use super::charts;
use super::svg::{escaped, grid};
use super::table::rows;
use crate::Scenario;
use crate::compare::Compared;

/// A page with the table, what was kept against what it cost, and the course of each policy's first run side by side. It
/// loads nothing.
pub fn page(scenario: &Scenario, compared: &[Compared], capacities: &[f64]) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{name}</title><style>\
         body{{font:14px sans-serif;color:#222;margin:24px}}p{{max-width:1100px}}svg{{margin-top:18px}}table{{border-collapse:collapse}}\
         td,th{{padding:3px 9px;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}}\
         td:first-child,th:first-child{{text-align:left}}.wide{{overflow-x:auto}}</style><h1>{name}</h1><p>{description}.</p>",
        name = escaped(&scenario.name),
        description = escaped(&scenario.description),
    );
    let seeds = compared.first().map_or(0, |it| it.outcomes.len());
    let takes = scenario.variants.iter().zip(capacities).map(|(variant, rate)| {
        format!("{} {rate:.2} requests/s at a cost of {} an hour", escaped(&variant.name), variant.cost)
    });
    let _ = write!(
        html,
        "<p>Start-up {} s, scrapes every {} s. SLO: first token within {} s, then {} ms between tokens on average; requests \
         that were dropped, failed or given up are misses. What one replica takes within that: {}. \
         Medians of {seeds} runs; the courses below are those of the first.</p>",
        scenario.start_up_seconds,
        scenario.scrape_seconds,
        scenario.slo.ttft_seconds,
        scenario.slo.itl_seconds * 1000.0,
        takes.collect::<Vec<_>>().join(", "),
    );
    html += "<div class=\"wide\"><table>";
    for (place, row) in rows(compared).iter().enumerate() {
        let tag = if place == 0 { "th" } else { "td" };
        let cells: Vec<_> = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
        let _ = write!(html, "<tr>{}</tr>", cells.concat());
    }
    html += "</table></div>";
    html += &grid(&[charts::attainment_and_cost(compared)], 1, 1.8);
    let columns = charts::of_policies(scenario, compared);
    let by_row: Vec<_> =
        (0..charts::OF_POLICY).flat_map(|row| columns.iter().map(move |column| column[row].clone())).collect();
    let _ = write!(html, "<div class=\"wide\">{}</div></html>", grid(&by_row, columns.len(), 1.0));
    html
}

/// Replicas of each policy's first run, as one drawing.
pub fn replicas_drawing(scenario: &Scenario, compared: &[Compared]) -> String {
    grid(&charts::replicas(scenario, compared), 2, 1.0)
}

/// What was kept against what it cost, as one drawing.
pub fn front_drawing(compared: &[Compared]) -> String {
    grid(&[charts::attainment_and_cost(compared)], 1, 1.6)
}
