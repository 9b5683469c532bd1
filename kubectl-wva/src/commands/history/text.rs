//! The answer for people: a headline, then a table or a chart.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::chart::{Extent, chart};
use super::{ChangeView, HistoryView, RECORDED};
use crate::output::Format;
use crate::output::console::{Console, counted};
use crate::output::table;
use crate::output::table::{Cell, Column};
use crate::{Error, duration};

/// Width of a chart that goes elsewhere than to a terminal.
const USUAL_WIDTH: u16 = 80;

const COLUMNS: [Column; 7] = [
    Column::new("TIME", 0),
    Column::new("FOR", 1),
    Column::new("DECIDED", 0),
    Column::new("THERE", 0),
    Column::new("LOAD", 0),
    Column::new("COST/H", 0),
    Column::or_below("REASON", 2),
];

/// Prints a view; times are those of `zone`.
///
/// # Errors
/// When it cannot be written.
pub fn print(view: &HistoryView, as_chart: bool, zone: &TimeZone, console: &mut Console<'_>) -> Result<(), Error> {
    match console.format {
        Format::Json => return console.json(view),
        Format::Yaml => return console.yaml(view),
        Format::Name => return console.lines([format!("variantautoscaling.llmd.ai/{}", view.name)]),
        Format::Table | Format::Wide => {}
    }
    if let Some(note) = gap(view, zone) {
        console.note(&format!("note: {note}"))?;
    }
    console.prose([headline(view)])?;
    if view.changes.is_empty() {
        return Ok(());
    }
    console.lines([String::new()])?;
    if as_chart {
        let width = usize::from(console.width.unwrap_or(USUAL_WIDTH));
        return console.lines(chart(&view.changes, Extent { from: start(view), to: view.as_of, width }, zone));
    }
    let rows = view.changes.iter().rev().map(|change| row(change, view.as_of, zone)).collect();
    console.data(&table::render(&COLUMNS, rows, console.headers, console.width))
}

/// Begin of what can be shown: nothing is drawn of a time that nobody remembers.
fn start(view: &HistoryView) -> Timestamp {
    view.changes.first().map_or(view.from, |first| first.at.max(view.from))
}

fn headline(view: &HistoryView) -> String {
    let of_model = view.model.as_ref().map_or_else(String::new, |model| format!(" ({model})"));
    let changes = match view.changes.len() {
        0 if view.known_since.is_none() => "nothing decided yet".to_owned(),
        0 => "nothing decided in this time".to_owned(),
        count => counted(count, "decision"),
    };
    let now = view.changes.last().map_or_else(String::new, |last| {
        let told = last.to.to_string();
        format!("; now {} there, {told} decided", last.current)
    });
    format!("{}/{}{of_model}: {changes} in {}{now}", view.namespace, view.shown, length(view.from, view.as_of))
}

/// Why the answer does not reach as far back as was asked, or who tells of the time before.
fn gap(view: &HistoryView, zone: &TimeZone) -> Option<String> {
    let since = view.known_since?;
    let own = view.changes.iter().filter(|change| change.class != RECORDED);
    let begin = own.clone().next().map_or(since, |first| first.at);
    let from = duration::clock(begin, view.as_of, zone);
    if let Some(service) = &view.recorded_by {
        let first = duration::clock(view.changes.first()?.at, view.as_of, zone);
        return Some(format!(
            "from {from} on as the controller keeps it; before that, from {first} on, as Prometheus {service} recorded it, \
             without load and reasons, at today's cost"
        ));
    }
    let why = match view.unrecorded.first() {
        Some(why) => format!("; Prometheus, which may know more, does not tell: {why}"),
        None => String::new(),
    };
    if view.cut {
        let kept = counted(own.count(), "decision");
        return Some(format!("the controller keeps the last {kept} only, from {from} on{why}"));
    }
    (since > view.from).then(|| {
        let from = duration::clock(since, view.as_of, zone);
        let age = duration::age(since, view.as_of);
        format!("the leader decides for it since {from} ({age}) and knows nothing of the time before{why}")
    })
}

fn row(change: &ChangeView, now: Timestamp, zone: &TimeZone) -> Vec<Cell> {
    let from = change.from.map_or("-".to_owned(), |from| from.to_string());
    let decided = if change.from == Some(change.to) { from } else { format!("{from} -> {}", change.to) };
    vec![
        Cell::new(duration::clock(change.at, now, zone)),
        Cell::new(length(change.at, change.until)),
        Cell::new(decided),
        Cell::new(change.current),
        Cell::new(load(change)),
        Cell::new(format!("{:.2}", change.cost_per_hour)),
        Cell::new(&change.reason),
    ]
}

fn load(change: &ChangeView) -> String {
    match (change.kv_usage, change.queue_length) {
        (Some(kv), Some(queue)) => format!("{:.0}% kv, {queue:.0} queued", kv * 100.0),
        _ => "-".to_owned(),
    }
}

/// The time between two moments in its two largest units.
fn length(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds % 86_400 / 3_600, seconds % 3_600 / 60);
    let pair = |large: i64, unit, small: i64, of| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{of}") }
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => pair(minutes, "m", seconds % 60, "s"),
        3_600..86_400 => pair(hours, "h", minutes, "m"),
        _ => pair(days, "d", hours, "h"),
    }
}
