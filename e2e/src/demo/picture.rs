//! The closing chart: published replicas of each variant over time, as text and as SVG.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::record::{Phase, Record};

/// Columns of the text chart.
const COLUMNS: usize = 72;
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

/// The same as a picture.
pub fn svg(record: &Record) -> String {
    const WIDTH: f64 = 900.0;
    const LEFT: f64 = 190.0;
    const LANE: f64 = 70.0;
    let end = end(record).as_secs_f64().max(1.0);
    let x = |at: Duration| LEFT + (WIDTH - LEFT - 20.0) * at.as_secs_f64() / end;
    let series = series(record);
    let height = 50.0 + LANE * f64::from(u32::try_from(series.len()).unwrap_or(u32::MAX));
    let highest = series.values().map(|points| peak(points)).max().unwrap_or(1).max(1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let ends = record.phases().iter().skip(1).map(|(_, at)| *at).chain([Duration::from_secs_f64(end)]);
    for ((phase, from), to) in record.phases().iter().zip(ends) {
        if *phase == Phase::Load {
            let _ = writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"20\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#fff3d6\"/>\
                 <text x=\"{:.1}\" y=\"15\">load</text>",
                x(*from),
                x(to) - x(*from),
                height - 50.0,
                x(*from)
            );
        }
    }
    for (lane, ((instance, variant), points)) in series.iter().enumerate() {
        let base = 20.0 + LANE * f64::from(u32::try_from(lane).unwrap_or(u32::MAX) + 1);
        let y = |replicas: i32| base - (LANE - 20.0) * f64::from(replicas) / f64::from(highest);
        let mut path = String::new();
        let mut last = None;
        for (at, replicas) in points {
            let (x, y) = (x(*at), y(*replicas));
            let _ = match last {
                None => write!(path, "M{x:.1} {y:.1}"),
                Some(previous) => write!(path, "L{x:.1} {previous:.1}L{x:.1} {y:.1}"),
            };
            last = Some(y);
        }
        let _ = writeln!(
            svg,
            "<text x=\"10\" y=\"{:.1}\">{} {}</text><line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{base:.1}\" y2=\"{base:.1}\" \
             stroke=\"#ccc\"/><path d=\"{path}\" fill=\"none\" stroke=\"#2a6fdb\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#777\">max {}</text>",
            base - 15.0,
            escaped(instance),
            escaped(variant),
            LEFT - 55.0,
            base - 15.0,
            peak(points)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{:.1}\">published replicas over {end:.0} s</text>\n</svg>",
        height - 10.0
    );
    svg
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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
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
        assert_eq!(drawn(loaded), format!("{}{}▁", "▁".repeat(36), "▃".repeat(35)));
        assert_eq!(drawn(idle), "▁".repeat(COLUMNS));
        assert!(
            loaded.contains("team-a a100") && loaded.ends_with("replicas 2") && idle.ends_with("replicas 1"),
            "{text}"
        );
        assert_eq!(load.matches('─').count(), COLUMNS - 1);
    }

    #[test]
    fn the_picture_shades_the_load_and_has_one_line_per_variant() {
        let svg = svg(&record());
        assert_eq!(svg.matches("<path").count(), 2);
        assert_eq!(svg.matches("fill=\"#fff3d6\"").count(), 1);
        assert!(svg.contains("team-a a100"));
    }
}
