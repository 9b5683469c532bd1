//! Replicas and load over time, drawn with characters.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::ChangeView;
use crate::duration;

/// Most lines for replicas; of more replicas a line stands for several.
const HEIGHT: u32 = 8;
/// Narrowest part of a chart in which anything can be seen.
const LEAST: usize = 20;
/// Blanks between the names of two times.
const APART: usize = 6;

/// Replicas that are there, and wanted.
const THERE: char = '█';
/// Replicas that are wanted and not there.
const MISSING: char = '░';
/// Replicas that are there and not wanted.
const LEAVING: char = '▒';
/// From nothing to full.
const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What a chart covers.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Its left edge.
    pub from: Timestamp,
    /// Its right edge.
    pub to: Timestamp,
    /// Columns of the terminal.
    pub width: usize,
}

/// The lines of a chart of changes, oldest first; times are those of `zone`.
pub fn chart(changes: &[ChangeView], extent: Extent, zone: &TimeZone) -> Vec<String> {
    let most = changes.iter().map(|change| change.to.max(change.current)).max().unwrap_or(0).max(1);
    let margin = most.to_string().len().max("kv".len());
    let columns = extent.width.saturating_sub(margin + 2).max(LEAST);
    let moments = moments(changes, extent, columns);
    let mut lines = vec!["replicas".to_owned()];
    let height = most.min(HEIGHT);
    for line in (1..=height).rev() {
        let level = (line * most).div_ceil(height);
        let cells = moments.iter().map(|moment| moment.map_or(' ', |change| replicas_cell(change, level)));
        lines.push(format!("{level:>margin$} ┤{}", coloured(cells)));
    }
    lines.push(format!("{:>margin$} └{}", 0, "─".repeat(columns)));
    lines.push(format!("{:margin$}  {}", "", times(extent, columns, zone)));
    lines.push(format!("{:margin$}  {THERE} there  {MISSING} decided, not there  {LEAVING} there, to go", ""));
    lines.extend(load_lines(&moments, margin, extent, zone));
    lines
}

/// The change that each column shows: that in force at its end, or the one that asked for most of those within it.
fn moments(changes: &[ChangeView], extent: Extent, columns: usize) -> Vec<Option<&ChangeView>> {
    let edge = |column: usize| extent.from + portion(extent, column, columns);
    let of = |column: usize| {
        let (begin, end) = (edge(column), edge(column + 1));
        let within = changes.iter().filter(|change| change.at >= begin && change.at < end);
        within.max_by_key(|change| change.to).or_else(|| changes.iter().rev().find(|change| change.at <= begin))
    };
    (0..columns).map(of).collect()
}

/// The time from the left edge to a column.
fn portion(extent: Extent, column: usize, columns: usize) -> SignedDuration {
    let whole = extent.to.duration_since(extent.from).as_millis();
    let part = whole * i128::try_from(column).unwrap_or(0) / i128::try_from(columns.max(1)).unwrap_or(1);
    SignedDuration::from_millis(i64::try_from(part).unwrap_or(i64::MAX))
}

fn replicas_cell(change: &ChangeView, level: u32) -> char {
    match (change.current >= level, change.to >= level) {
        (true, true) => THERE,
        (false, true) => MISSING,
        (true, false) => LEAVING,
        (false, false) => ' ',
    }
}

/// Cells with colours by what they mean, one style for each run of equal cells.
fn coloured(cells: impl Iterator<Item = char>) -> String {
    let mut text = String::new();
    let mut last = (' ', Style::new());
    for cell in cells {
        if cell != last.0 {
            let style = match cell {
                THERE => AnsiColor::Green.on_default(),
                MISSING => AnsiColor::Yellow.on_default(),
                LEAVING => AnsiColor::Cyan.on_default(),
                _ => Style::new(),
            };
            let _infallible = write!(text, "{:#}{style}", last.1);
            last = (cell, style);
        }
        text.push(cell);
    }
    let _infallible = write!(text, "{:#}", last.1);
    text
}

/// Names of times under the columns they stand for, as many as there is room for; the last is "now".
fn times(extent: Extent, columns: usize, zone: &TimeZone) -> String {
    let mut line = String::new();
    let mut column = 0;
    loop {
        let at = extent.from + portion(extent, column, columns);
        let name = duration::clock(at, extent.to, zone);
        if column + name.chars().count() + APART > columns.saturating_sub("now".len()) {
            break;
        }
        line.push_str(&name);
        let next = (column + columns / 4).max(column + name.chars().count() + APART);
        line.push_str(&" ".repeat(next - column - name.chars().count()));
        column = next;
    }
    format!("{:<1$}now", line.trim_end(), columns.saturating_sub("now".len()))
}

/// Load at each decision: the KV cache between 0 and 100 %, the queue up to the longest.
fn load_lines(moments: &[Option<&ChangeView>], margin: usize, extent: Extent, zone: &TimeZone) -> Vec<String> {
    let known: Vec<&ChangeView> =
        moments.iter().copied().flatten().filter(|change| change.kv_usage.is_some()).collect();
    let Some(fullest) = known.iter().max_by(|a, b| a.kv_usage.unwrap_or(0.0).total_cmp(&b.kv_usage.unwrap_or(0.0)))
    else {
        return vec![String::new(), "the load is not known".to_owned()];
    };
    let longest = known.iter().filter_map(|change| change.queue_length).fold(0.0_f32, f32::max);
    let spark = |value: fn(&ChangeView) -> Option<f32>, full: f32| -> String {
        let cell = |moment: Option<&ChangeView>| moment.and_then(value).map_or(' ', |value| level(value, full));
        moments.iter().copied().map(cell).collect::<String>().trim_end().to_owned()
    };
    let peak = fullest.kv_usage.unwrap_or(0.0) * 100.0;
    let at = duration::clock(fullest.at, extent.to, zone);
    let mut lines = vec![
        String::new(),
        format!("load at each decision: KV cache up to {peak:.0}% (at {at}), queue up to {longest:.0}"),
        format!("{:>margin$} ┤{}", "kv", spark(|change| change.kv_usage, 1.0)),
    ];
    if longest > 0.0 {
        lines.push(format!("{:>margin$} ┤{}", "q", spark(|change| change.queue_length, longest)));
    }
    lines
}

/// The character for a share of what is full; anything above nothing is seen.
fn level(value: f32, full: f32) -> char {
    let share = (value / full).clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 8")]
    let at = (share * 8.0).ceil() as usize;
    LEVELS[at.min(8)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(second: i64, current: u32, to: u32, kv: f32) -> ChangeView {
        let at = Timestamp::from_second(second).unwrap();
        ChangeView {
            at,
            until: at,
            from: None,
            to,
            current,
            kv_usage: Some(kv),
            queue_length: Some(kv * 10.0),
            cost_per_hour: 1.0,
            class: "steady".to_owned(),
            reason: String::new(),
        }
    }

    fn drawn(changes: &[ChangeView], seconds: i64, width: usize) -> Vec<String> {
        let extent = Extent { from: Timestamp::UNIX_EPOCH, to: Timestamp::from_second(seconds).unwrap(), width };
        let strip = |line: String| anstream::adapter::strip_str(&line).to_string();
        chart(changes, extent, &TimeZone::UTC).into_iter().map(strip).collect()
    }

    #[test]
    fn what_is_missing_and_what_is_to_go_are_told_apart() {
        let changes = [change(0, 1, 1, 0.2), change(10, 1, 2, 1.0), change(20, 2, 2, 0.5), change(30, 2, 1, 0.0)];
        let lines = drawn(&changes, 40, 44);
        assert_eq!(lines[1], " 2 ┤          ░░░░░░░░░░██████████▒▒▒▒▒▒▒▒▒▒");
        assert_eq!(lines[2], format!(" 1 ┤{}", "█".repeat(40)));
        assert!(lines[4].trim_start().starts_with("00:00:00") && lines[4].ends_with("now"), "{}", lines[4]);
        let kv = lines.iter().find(|line| line.starts_with("kv")).unwrap();
        assert_eq!(*kv, format!("kv ┤{}{}{}", "▂".repeat(10), "█".repeat(10), "▄".repeat(10)));
    }

    #[test]
    fn many_replicas_share_lines_and_no_line_is_wider_than_the_terminal() {
        let changes = [change(0, 100, 250, 0.9), change(1_800, 250, 250, 0.7)];
        for width in [24, 80, 200] {
            let lines = drawn(&changes, 3_600, width);
            assert!(lines[1].starts_with("250 ┤"), "{}", lines[1]);
            let replicas = lines.iter().filter(|line| line.contains('┤') && !line.starts_with(" kv")).count();
            assert!(replicas <= 10, "{lines:?}");
            let drawn = lines.iter().filter(|line| !line.contains("there") && !line.contains("load"));
            assert!(drawn.clone().all(|line| line.chars().count() <= width.max(26)), "{lines:?}");
        }
    }

    #[test]
    fn a_change_shorter_than_a_column_is_seen() {
        let changes = [change(0, 1, 1, 0.2), change(1_800, 1, 5, 0.9), change(1_801, 1, 1, 0.2)];
        assert!(drawn(&changes, 3_600, 44)[1].contains('░'));
    }
}
