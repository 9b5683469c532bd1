//! The closing chart: published replicas of each variant over time, as text and as SVG.

mod svg;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::record::{Phase, Record};

/// Columns of the text chart: with name and number its lines fit a terminal of 80.
const COLUMNS: usize = 46;
/// One character per number of replicas; more replicas than that look alike.
const LEVELS: [char; 5] = [' ', '▁', '▃', '▅', '▇'];

type Series = BTreeMap<(String, String), Vec<(Duration, i32)>>;

/// A chart of text: one line per variant, time to the right.
pub fn text(record: &Record) -> String {
    let end = end(record);
    let mut text = String::new();
    for ((instance, variant), points) in series(record) {
        let line: String = (0..COLUMNS).map(|column| level(at(&points, moment(end, column)))).collect();
        let _ = writeln!(text, "  {instance} {variant:<11} {line} replicas {}", peak(&points));
    }
    let load: String = (0..COLUMNS)
        .map(|column| if phase_at(record, moment(end, column)) == Phase::Load { '─' } else { ' ' })
        .collect();
    let _ = write!(text, "  {:<18} {load} {:.0} s", "load", end.as_secs_f64());
    text
}

/// The same as a picture: a lane for each variant, with axes, the limit, and every change numbered; the reasons stand below.
pub fn svg(record: &Record) -> String {
    svg::draw(record, &series(record), end(record))
}

fn series(record: &Record) -> Series {
    let mut series = Series::new();
    for look in record.looks() {
        for row in &look.rows {
            if let Some(desired) = row.desired {
                series.entry((row.instance.clone(), row.variant.clone())).or_default().push((look.at, desired));
            }
        }
    }
    series
}

fn end(record: &Record) -> Duration {
    record.looks().last().map(|look| look.at).unwrap_or_default()
}

fn moment(end: Duration, column: usize) -> Duration {
    end.mul_f64(f64::from(u32::try_from(column).unwrap_or(0)) / f64::from(u32::try_from(COLUMNS - 1).unwrap_or(1)))
}

fn at(points: &[(Duration, i32)], moment: Duration) -> i32 {
    points.iter().take_while(|(at, _)| *at <= moment).last().or(points.first()).map_or(0, |(_, replicas)| *replicas)
}

fn peak(points: &[(Duration, i32)]) -> i32 {
    points.iter().map(|(_, replicas)| *replicas).max().unwrap_or(0)
}

fn level(replicas: i32) -> char {
    LEVELS[usize::try_from(replicas).unwrap_or(0).min(LEVELS.len() - 1)]
}

fn phase_at(record: &Record, moment: Duration) -> Phase {
    record.phases().iter().take_while(|(_, at)| *at <= moment).last().map(|(phase, _)| *phase).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::script;
    use super::*;

    fn record() -> Record {
        script(&[
            (Phase::Load, 0, &[("team-a", "a100", 1), ("team-b", "a100", 1)]),
            (Phase::Load, 10, &[("team-a", "a100", 2), ("team-b", "a100", 1)]),
            (Phase::After, 20, &[("team-a", "a100", 1), ("team-b", "a100", 1)]),
        ])
    }

    #[test]
    fn the_text_chart_shows_each_variant_rise_and_fall() {
        let text = text(&record());
        let lines: Vec<&str> = text.lines().collect();
        let drawn = |line: &str| line.chars().filter(|c| LEVELS.contains(c) && *c != ' ').collect::<String>();
        let [loaded, idle, load] = lines.as_slice() else { panic!("{text}") };
        assert_eq!(drawn(loaded), format!("{}{}▁", "▁".repeat(23), "▃".repeat(22)));
        assert_eq!(drawn(idle), "▁".repeat(COLUMNS));
        assert!(
            loaded.contains("team-a a100") && loaded.ends_with("replicas 2") && idle.ends_with("replicas 1"),
            "{text}"
        );
        assert_eq!(load.matches('─').count(), COLUMNS - 1);
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
    }
}
