//! The chart as a picture.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::record::{Move, Phase, Record};
use super::super::scene::MAX_REPLICAS;
use super::Series;

const WIDTH: f64 = 960.0;
/// Room for names and the axis of replicas.
const LEFT: f64 = 170.0;
const RIGHT: f64 = 20.0;
/// Room for the legend and the name of the load.
const TOP: f64 = 62.0;
/// Height of a variant's lane, and of the part of it that is drawn in.
const LANE: f64 = 92.0;
const DRAWN: f64 = 66.0;
/// Room for the axis of time.
const AXIS: f64 = 44.0;
/// Height of a reason.
const LINE: f64 = 18.0;
/// Characters of a reason; what is longer begins with what it says.
const REASON: usize = 140;

/// Where things are.
struct Frame {
    seconds: f64,
    lanes: f64,
}

impl Frame {
    fn x(&self, at: Duration) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (at.as_secs_f64() / self.seconds).min(1.0)
    }

    /// Height of so many replicas in a lane.
    fn y(lane: f64, replicas: i32) -> f64 {
        TOP + LANE * lane + LANE - 14.0 - DRAWN * f64::from(replicas) / f64::from(most())
    }

    fn bottom(&self) -> f64 {
        TOP + LANE * self.lanes
    }
}

fn most() -> i32 {
    i32::try_from(MAX_REPLICAS).unwrap_or(1).max(1)
}

/// Draws the picture.
pub(super) fn draw(record: &Record, series: &Series, end: Duration) -> String {
    let lanes = f64::from(u32::try_from(series.len()).unwrap_or(u32::MAX));
    let frame = Frame { seconds: end.as_secs_f64().max(1.0), lanes };
    let reasons = f64::from(u32::try_from(record.moves().len()).unwrap_or(u32::MAX));
    let height = frame.bottom() + AXIS + LINE * (reasons + 1.5);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    legend(&mut svg);
    load(&mut svg, record, &frame, end);
    for (lane, ((instance, variant), points)) in series.iter().enumerate() {
        let lane = f64::from(u32::try_from(lane).unwrap_or(u32::MAX));
        axis_of_replicas(&mut svg, lane, &format!("{instance} {variant}"));
        let there: Vec<(Duration, i32)> = record
            .looks()
            .iter()
            .flat_map(|look| look.rows.iter().map(move |row| (look.at, row)))
            .filter(|(_, row)| row.instance == *instance && row.variant == *variant)
            .map(|(at, row)| (at, row.ready))
            .collect();
        line(&mut svg, &steps(&there, lane, &frame), "#8a93a0", "5");
        line(&mut svg, &steps(points, lane, &frame), "#2a6fdb", "2");
        for (number, change) in (1..).zip(record.moves()) {
            if change.instance == *instance && change.variant == *variant {
                mark(&mut svg, number, change, lane, &frame);
            }
        }
    }
    axis_of_time(&mut svg, &frame);
    reasons_below(&mut svg, record.moves(), frame.bottom() + AXIS);
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String) {
    let _ = writeln!(
        svg,
        "<text x=\"10\" y=\"20\" font-weight=\"bold\">Replicas of each variant</text>\
         <path d=\"M{:.0} 16h26\" stroke=\"#2a6fdb\" stroke-width=\"2\"/><text x=\"{:.0}\" y=\"20\">decided</text>\
         <path d=\"M{:.0} 16h26\" stroke=\"#8a93a0\" stroke-width=\"5\"/><text x=\"{:.0}\" y=\"20\">ready</text>\
         <path d=\"M{:.0} 16h26\" stroke=\"#c0262d\" stroke-dasharray=\"3 4\"/><text x=\"{:.0}\" y=\"20\">at most</text>",
        LEFT + 40.0,
        LEFT + 72.0,
        LEFT + 150.0,
        LEFT + 182.0,
        LEFT + 245.0,
        LEFT + 277.0,
    );
}

fn load(svg: &mut String, record: &Record, frame: &Frame, end: Duration) {
    let ends = record.phases().iter().skip(1).map(|(_, at)| *at).chain([end]);
    for ((phase, from), to) in record.phases().iter().zip(ends) {
        if *phase == Phase::Load {
            let (from, to) = (frame.x(*from), frame.x(to));
            let _ = writeln!(
                svg,
                "<rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#fff3d6\"/>\
                 <text x=\"{from:.1}\" y=\"{:.0}\" fill=\"#8a5a00\">load</text>",
                to - from,
                frame.bottom() - TOP,
                TOP - 6.0,
            );
        }
    }
}

fn axis_of_replicas(svg: &mut String, lane: f64, name: &str) {
    let (zero, limit) = (Frame::y(lane, 0), Frame::y(lane, most()));
    let right = WIDTH - RIGHT;
    let _ = writeln!(
        svg,
        "<text x=\"10\" y=\"{:.1}\">{}</text>\
         <path d=\"M{LEFT} {limit:.1}V{zero:.1}H{right}\" fill=\"none\" stroke=\"#5b6472\"/>\
         <path d=\"M{LEFT} {limit:.1}H{right}\" stroke=\"#c0262d\" stroke-dasharray=\"3 4\"/>",
        f64::midpoint(zero, limit),
        escaped(name),
    );
    for replicas in 0..=most() {
        let y = Frame::y(lane, replicas);
        let _ = writeln!(
            svg,
            "<path d=\"M{:.0} {y:.1}h4\" stroke=\"#5b6472\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"11\" fill=\"#5b6472\">{replicas}</text>",
            LEFT - 4.0,
            LEFT - 7.0,
            y + 4.0,
        );
    }
}

fn axis_of_time(svg: &mut String, frame: &Frame) {
    const STEPS: [u32; 8] = [1, 2, 5, 10, 20, 30, 60, 120];
    let step = STEPS.into_iter().find(|step| frame.seconds / f64::from(*step) <= 12.0).unwrap_or(300);
    let bottom = frame.bottom();
    let mut second = 0;
    while f64::from(second) <= frame.seconds {
        let x = frame.x(Duration::from_secs(second.into()));
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {bottom:.1}v4\" stroke=\"#5b6472\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#5b6472\">{second}</text>",
            bottom + 16.0,
        );
        second += step;
    }
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT} {bottom:.1}H{:.0}\" stroke=\"#5b6472\"/>\
         <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#5b6472\">seconds since the start</text>",
        WIDTH - RIGHT,
        WIDTH - RIGHT,
        bottom + 33.0,
    );
}

/// A path that holds each value until the next.
fn steps(points: &[(Duration, i32)], lane: f64, frame: &Frame) -> String {
    let mut path = String::new();
    for (at, replicas) in points {
        let (x, y) = (frame.x(*at), Frame::y(lane, *replicas));
        let _ = if path.is_empty() { write!(path, "M{x:.1} {y:.1}") } else { write!(path, "H{x:.1}V{y:.1}") };
    }
    path
}

fn line(svg: &mut String, path: &str, colour: &str, width: &str) {
    let _ = writeln!(
        svg,
        "<path class=\"series\" d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
    );
}

fn mark(svg: &mut String, number: usize, change: &Move, lane: f64, frame: &Frame) {
    let (x, y) = (frame.x(change.at), Frame::y(lane, change.to));
    let _ = writeln!(
        svg,
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"8\" fill=\"#2a6fdb\"/>\
         <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"10\" fill=\"white\">{number}</text>",
        y + 3.5,
    );
}

fn reasons_below(svg: &mut String, moves: &[Move], top: f64) {
    for (number, change) in (1_u32..).zip(moves) {
        let Move { at, instance, variant, from, to, reason, .. } = change;
        let said = format!("{instance} {variant} {from} → {to}: {reason}");
        let short: String = said.chars().take(REASON).collect();
        let more = if short.len() < said.len() { "…" } else { "" };
        let _ = writeln!(
            svg,
            "<text x=\"24\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#2a6fdb\">{number}</text>\
             <text x=\"74\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#5b6472\">{:.0} s</text>\
             <text x=\"84\" y=\"{:.1}\" font-size=\"12\">{}{more}</text>",
            top + LINE * f64::from(number),
            top + LINE * f64::from(number),
            at.as_secs_f64(),
            top + LINE * f64::from(number),
            escaped(&short),
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::script;
    use super::super::svg;
    use super::*;

    #[test]
    fn the_picture_has_axes_the_limit_the_load_and_a_reason_for_every_change() {
        let picture = svg(&script(&[
            (Phase::Load, 0, &[("team-a", "a100", 1), ("team-b", "a100", 1)]),
            (Phase::Load, 10, &[("team-a", "a100", 2), ("team-b", "a100", 1)]),
            (Phase::After, 20, &[("team-a", "a100", 1), ("team-b", "a100", 1)]),
        ]));
        assert_eq!(picture.matches("class=\"series\"").count(), 4, "decided and ready of two variants");
        assert_eq!(picture.matches("fill=\"#fff3d6\"").count(), 1);
        assert_eq!(picture.matches("<circle").count(), 2);
        for expect in
            ["team-a a100 1 → 2: ", "team-a a100 2 → 1: ", "seconds since the start", ">at most<", ">20</text>"]
        {
            assert!(picture.contains(expect), "no {expect} in {picture}");
        }
        assert!(!picture.contains("NaN"), "{picture}");
    }

    #[test]
    fn a_long_reason_is_cut_and_markup_in_it_is_text() {
        let mut picture = String::new();
        let change = Move {
            at: Duration::from_secs(3),
            phase: Phase::Load,
            instance: "a".to_owned(),
            variant: "b".to_owned(),
            from: 1,
            to: 2,
            reason: format!("1 < 2 {}", "x".repeat(REASON)),
        };
        reasons_below(&mut picture, &[change], 0.0);
        assert!(picture.contains("1 &lt; 2") && picture.contains('…'), "{picture}");
    }
}
