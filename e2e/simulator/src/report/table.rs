//! A table in plain text.

use crate::Outcome;
use crate::compare::Compared;

/// A column: its head and what stands in it.
type Column = (&'static str, fn(&Compared) -> String);

const COLUMNS: [Column; 17] = [
    ("policy", |it| it.name.clone()),
    ("SLO %", |it| format!("{:.2}", 100.0 * it.median(|o| o.attainment))),
    ("cost", |it| format!("{:.1}", it.median(|o| o.used.cost))),
    ("GPU h", |it| format!("{:.2}", it.median(|o| o.used.gpu_hours))),
    ("TTFT p50 s", |it| format!("{:.2}", it.median(|o| o.ttft.p50))),
    ("TTFT p99 s", |it| format!("{:.1}", it.median(|o| o.ttft.p99))),
    ("ITL p99 ms", |it| format!("{:.0}", 1000.0 * it.median(|o| o.itl.p99))),
    ("waited long", |it| whole(it, |o| o.requests.waited_long)),
    ("gave up", |it| whole(it, |o| o.requests.gave_up)),
    ("when ready", |it| whole(it, |o| o.requests.gave_up_when_ready)),
    ("failed", |it| whole(it, |o| o.requests.refused + o.requests.killed)),
    ("first wanted", |it| optional(it, |o| o.scaling.first_wanted.map(f64::from))),
    ("right size s", |it| optional(it, |o| o.scaling.seconds_to_right_size)),
    ("most", |it| whole(it, |o| o.scaling.most_wanted)),
    ("changes", |it| whole(it, |o| o.scaling.events)),
    ("turns", |it| whole(it, |o| o.scaling.direction_changes)),
    ("short s", |it| format!("{:.0}", it.median(|o| o.scaling.under_seconds))),
];

fn whole(it: &Compared, of: fn(&Outcome) -> u32) -> String {
    format!("{:.0}", it.median(|o| f64::from(of(o))))
}

/// The median where more than half have a value.
fn optional(it: &Compared, of: fn(&Outcome) -> Option<f64>) -> String {
    let median = it.median(|o| of(o).unwrap_or(f64::INFINITY));
    if median.is_finite() { format!("{median:.0}") } else { "-".to_owned() }
}

/// Heads and cells, one row for each policy: medians over the seeds.
pub(super) fn rows(compared: &[Compared]) -> Vec<Vec<String>> {
    let head = COLUMNS.map(|(head, _)| head.to_owned()).to_vec();
    let rows = compared.iter().map(|it| COLUMNS.map(|(_, cell)| cell(it)).to_vec());
    std::iter::once(head).chain(rows).collect()
}

/// Medians over the seeds, one line for each policy.
pub fn table(compared: &[Compared]) -> String {
    aligned(&rows(compared))
}

/// Cells in columns: names to the left, numbers to the right.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|it| it.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
