//! Charts as SVG: axes with names and units, lines, points.

use std::fmt::Write as _;

/// Size of a chart in pixels, and of the room for its axes.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 36.0;

/// Colours of lines, in their order.
pub(super) const COLOURS: [&str; 6] = ["#2f6fb5", "#d9822b", "#3a8f5c", "#8a5fb0", "#b03a48", "#6b6b6b"];

/// A chart.
#[derive(Clone, Debug, Default)]
pub(super) struct Chart {
    /// What it shows.
    pub(super) title: String,
    /// Name and unit of the horizontal axis, and where it begins and ends.
    pub(super) x: Axis,
    /// The same of the vertical one.
    pub(super) y: Axis,
    /// What is drawn, the first at the bottom.
    pub(super) marks: Vec<Mark>,
}

/// An axis.
#[derive(Clone, Debug, Default)]
pub(super) struct Axis {
    /// What it measures, with the unit.
    pub(super) name: String,
    /// Where it begins.
    pub(super) from: f64,
    /// Where it ends.
    pub(super) to: f64,
}

/// Something that is drawn.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    /// A line through points; as steps, each value holds until the next.
    Line { name: String, colour: String, dashed: bool, steps: bool, points: Vec<(f64, f64)> },
    /// A point with a name beside it.
    Point { name: String, colour: String, at: (f64, f64) },
}

/// Where there is room for text.
struct Room {
    /// Where the next name of a line ends.
    legend: f64,
    /// Names of points: left end, base line, width.
    names: Vec<(f64, f64, f64)>,
}

impl Room {
    /// The base line for a name that is to begin here: the next one below on which it covers no other.
    fn place_for(&mut self, left: f64, wanted: f64, width: f64) -> f64 {
        const LINE: f64 = 11.0;
        let covers = |y: f64| {
            self.names.iter().any(|(x, other, w)| (y - other).abs() < LINE && left < x + w && *x < left + width)
        };
        let free = (0..12).map(|line| wanted + LINE * f64::from(line)).find(|y| !covers(*y)).unwrap_or(wanted);
        self.names.push((left, free, width));
        free
    }
}

impl Axis {
    /// From 0 to a round number that is not below the largest value.
    pub(super) fn up_to(name: &str, largest: f64) -> Self {
        let step = round_step(largest / 4.0);
        Self { name: name.to_owned(), from: 0.0, to: (largest / step).ceil().max(1.0) * step }
    }

    fn ticks(&self) -> Vec<f64> {
        let step = round_step((self.to - self.from) / 4.0);
        let first = (self.from / step).ceil();
        (0..12).map(|n| (first + f64::from(n)) * step).take_while(|tick| *tick <= self.to + step * 1e-6).collect()
    }
}

/// 1, 2 or 5 times a power of ten, not below `least`.
fn round_step(least: f64) -> f64 {
    if !(least.is_finite() && least > 0.0) {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= least * 0.999_999);
    factor.unwrap_or(10.0) * power
}

fn number(value: f64) -> String {
    if value.abs() >= 1000.0 {
        format!("{:.1}k", value / 1000.0).replace(".0k", "k")
    } else {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Text that may stand in SVG and HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Chart {
    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let share = |axis: &Axis, value: f64| ((value - axis.from) / (axis.to - axis.from)).clamp(0.0, 1.0);
        let across = LEFT + share(&self.x, x) * (WIDTH - LEFT - RIGHT);
        (across, HEIGHT - BOTTOM - share(&self.y, y) * (HEIGHT - TOP - BOTTOM))
    }

    /// The chart as a group that stands at a place of a larger drawing.
    fn group(&self, left: f64, top: f64) -> String {
        let mut svg = format!("<g transform=\"translate({left} {top})\">");
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        let _ = write!(svg, "<text x=\"{LEFT}\" y=\"14\" class=\"t\">{}</text>", escaped(&self.title));
        for tick in self.y.ticks() {
            let (_, y) = self.place((self.x.from, tick));
            let _ = write!(svg, "<path d=\"M{LEFT} {y:.1}H{right}\" class=\"g\"/>");
            let _ = write!(svg, "<text x=\"{}\" y=\"{:.1}\" class=\"e\">{}</text>", LEFT - 5.0, y + 3.5, number(tick));
        }
        for tick in self.x.ticks() {
            let (x, _) = self.place((tick, self.y.from));
            let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{}\" class=\"m\">{}</text>", bottom + 13.0, number(tick));
        }
        let middle = f64::midpoint(LEFT, right);
        let _ = write!(svg, "<text x=\"{middle}\" y=\"{}\" class=\"m\">{}</text>", HEIGHT - 6.0, escaped(&self.x.name));
        let _ = write!(
            svg,
            "<text transform=\"translate(11 {:.1}) rotate(-90)\" class=\"m\">{}</text>",
            f64::midpoint(TOP, bottom),
            escaped(&self.y.name)
        );
        let _ = write!(svg, "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" class=\"a\"/>");
        let mut room = Room { legend: right, names: Vec::new() };
        for mark in self.marks.iter().rev() {
            svg += &self.mark(mark, &mut room);
        }
        svg + "</g>"
    }

    fn mark(&self, mark: &Mark, room: &mut Room) -> String {
        let legend = &mut room.legend;
        match mark {
            Mark::Line { name, colour, dashed, steps, points } => {
                let mut path = String::new();
                for (index, point) in points.iter().enumerate() {
                    let (x, y) = self.place(*point);
                    let _ = match (index, steps) {
                        (0, _) => write!(path, "M{x:.1} {y:.1}"),
                        (_, true) => write!(path, "H{x:.1}V{y:.1}"),
                        (_, false) => write!(path, "L{x:.1} {y:.1}"),
                    };
                }
                let dash = if *dashed { " stroke-dasharray=\"5 3\"" } else { "" };
                let mut svg =
                    format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"{dash}/>");
                if !name.is_empty() {
                    let _ = write!(
                        svg,
                        "<text x=\"{legend:.1}\" y=\"14\" class=\"e\" style=\"fill:{colour}\">{}</text>",
                        escaped(name)
                    );
                    *legend -= 6.2 * super::float(name.chars().count()) + 10.0;
                }
                svg
            }
            Mark::Point { name, colour, at } => {
                let (x, y) = self.place(*at);
                // Names at the right edge stand before their point.
                let (shift, class) = if x > WIDTH * 0.72 { (-6.0, "e") } else { (6.0, "s") };
                let width = 6.2 * super::float(name.chars().count());
                let left = if shift < 0.0 { x + shift - width } else { x + shift };
                let name_y = room.place_for(left, y + 3.5, width);
                format!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\" class=\"{class}\">{}</text>",
                    x + shift,
                    name_y,
                    escaped(name)
                )
            }
        }
    }
}

/// A drawing of charts in rows of `columns`, each of the usual size times `scale`.
pub(super) fn grid(charts: &[Chart], columns: usize, scale: f64) -> String {
    let columns = columns.max(1);
    let (width, height) = (super::float(columns) * WIDTH, super::float(charts.len().div_ceil(columns)) * HEIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{:.0}\" height=\"{:.0}\">\
         <style>text{{font:11px sans-serif;fill:#333}}.t{{font-weight:bold;font-size:12px}}.e{{text-anchor:end}}\
         .m{{text-anchor:middle}}.g{{stroke:#e3e3e3}}.a{{stroke:#555;fill:none}}</style>\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>",
        width * scale,
        height * scale
    );
    for (place, chart) in charts.iter().enumerate() {
        svg += &chart.group(super::float(place % columns) * WIDTH, super::float(place / columns) * HEIGHT);
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0.0, 1.0)]
    #[case(7.0, 8.0)]
    #[case(20.0, 20.0)]
    #[case(23.0, 30.0)]
    #[case(0.13, 0.15)]
    fn axes_end_at_round_numbers(#[case] largest: f64, #[case] end: f64) {
        let axis = Axis::up_to("x", largest);
        assert!((axis.to - end).abs() < 1e-9, "{largest} gave {}", axis.to);
        assert!(axis.ticks().len() >= 2);
    }
}
