//! What happened when: replicas, load and reasons over the seconds of a test, as text and as a picture.

use std::fmt::Write as _;

/// Columns of the text chart.
const COLUMNS: usize = 60;
/// One character per number of replicas in the text chart; more look alike.
const LEVELS: [char; 6] = ['·', '▁', '▂', '▃', '▅', '▇'];

/// Everything that is drawn. Times are seconds since the first sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Replicas, of each variant what was wanted and what there was.
    pub replicas: Vec<Line>,
    /// Requests in the servers, running and waiting, of each model.
    pub load: Vec<Line>,
    /// What was said about it.
    pub events: Vec<Event>,
}

/// A number over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// What it is, for a person.
    pub name: String,
    /// Second and value, in order. Between two samples the first one holds.
    pub points: Vec<(f64, f64)>,
}

/// Something that was told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// Second.
    pub at: f64,
    /// Whom it is about.
    pub about: String,
    /// A word, such as `ScaledUp`.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

impl Line {
    /// The value at a time; none before the first sample.
    fn at(&self, second: f64) -> Option<f64> {
        self.points.iter().take_while(|(at, _)| *at <= second).last().map(|(_, value)| *value)
    }

    /// The samples at which the value is another than before.
    fn changes(&self) -> Vec<(f64, f64)> {
        let mut changes: Vec<(f64, f64)> = Vec::new();
        for &(at, value) in &self.points {
            if changes.last().is_none_or(|(_, last)| (last - value).abs() > f64::EPSILON) {
                changes.push((at, value));
            }
        }
        changes
    }

    fn peak(&self) -> f64 {
        self.points.iter().map(|(_, value)| *value).fold(0.0, f64::max)
    }
}

impl Timeline {
    /// The last second of anything.
    fn end(&self) -> f64 {
        let samples = self.replicas.iter().chain(&self.load).filter_map(|line| line.points.last().map(|(at, _)| *at));
        samples.chain(self.events.iter().map(|event| event.at)).fold(1.0, f64::max)
    }

    /// A chart of characters, then every change and every event with its second.
    pub fn text(&self) -> String {
        let end = self.end();
        let width = self.replicas.iter().chain(&self.load).map(|line| line.name.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for line in self.replicas.iter().chain(&self.load) {
            let peak = line.peak().max(1.0);
            let scale = |value: f64| if line.peak() > 5.0 { value / peak * 5.0 } else { value };
            let chart: String = (0..COLUMNS)
                .map(|column| line.at(moment(end, column)).map_or(' ', |value| level(scale(value))))
                .collect();
            let _ = writeln!(text, "{:width$}  {chart}  at most {:.0}", line.name, line.peak());
        }
        let last = format!("{end:.0} s");
        let _ = writeln!(text, "{:width$}  0 s{last:>rest$}\n", "", rest = COLUMNS - 3);
        let changes = self.replicas.iter().flat_map(|line| {
            let changes = line.changes().into_iter();
            changes.map(|(at, value)| (at, format!("{}: {value:.0}", line.name)))
        });
        let events =
            self.events.iter().map(|event| (event.at, format!("{}: {}: {}", event.about, event.reason, event.message)));
        let mut moments: Vec<(f64, String)> = changes.chain(events).collect();
        moments.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        for (at, what) in moments {
            let _ = writeln!(text, "{at:7.1} s  {what}");
        }
        text
    }

    /// The same as a picture: an axis in seconds, a lane for each line with its numbers, and the events below.
    pub fn svg(&self) -> String {
        const WIDTH: f64 = 1000.0;
        const LEFT: f64 = 250.0;
        const RIGHT: f64 = 30.0;
        const LANE: f64 = 64.0;
        const ROW: f64 = 18.0;
        let end = self.end();
        let x = |at: f64| LEFT + (WIDTH - LEFT - RIGHT) * at / end;
        let lines =
            self.replicas.iter().map(|line| (line, "#1f6feb")).chain(self.load.iter().map(|line| (line, "#d29922")));
        let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        let bottom = 30.0 + LANE * count(self.replicas.len() + self.load.len());
        let height = bottom + 40.0 + ROW * count(self.events.len());
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        for second in ticks(end) {
            let at = x(second);
            let _ = writeln!(
                svg,
                "<path d=\"M{at:.1} 20V{bottom:.1}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\" fill=\"#555\">{second:.0} s</text>",
                bottom + 16.0
            );
        }
        for (lane, (line, colour)) in lines.enumerate() {
            let base = 20.0 + LANE * (count(lane) + 1.0);
            let y = |value: f64| base - (LANE - 24.0) * value / line.peak().max(1.0);
            let _ = writeln!(
                svg,
                "<text x=\"8\" y=\"{:.1}\">{}</text><path d=\"M{LEFT} {base:.1}H{:.1}\" stroke=\"#bbb\"/>",
                base - 8.0,
                escaped(&line.name),
                WIDTH - RIGHT
            );
            let changes = line.changes();
            let mut path = String::new();
            for (index, (at, value)) in changes.iter().enumerate() {
                let _ =
                    write!(path, "{}{:.1} {:.1}", if index == 0 { 'M' } else { 'H' }, x(*at), Step(index, y(*value)));
            }
            let _ = writeln!(
                svg,
                "<path d=\"{path}H{:.1}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                x(end)
            );
            for (at, value) in numbers(&changes, end) {
                let _ = writeln!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{value:.0}</text>",
                    x(at) + 3.0,
                    y(value) - 4.0
                );
            }
        }
        for (row, event) in self.events.iter().enumerate() {
            let y = bottom + 40.0 + ROW * count(row);
            let _ = writeln!(
                svg,
                "<path d=\"M{0:.1} 20V{bottom:.1}\" stroke=\"#cf222e\" stroke-dasharray=\"2 4\"/>\
                 <text x=\"8\" y=\"{y:.1}\"><tspan fill=\"#cf222e\">{1:.1} s</tspan> {2}: {3}: {4}</text>",
                x(event.at),
                event.at,
                escaped(&event.about),
                escaped(&event.reason),
                escaped(&cut(&event.message, 110))
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// The first point of a path has both coordinates; every further one moves sideways, then up or down.
struct Step(usize, f64);

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let precision = f.precision().unwrap_or(1);
        if self.0 > 0 {
            f.write_str("V")?;
        }
        write!(f, "{:.precision$}", self.1)
    }
}

/// Full seconds for the axis: at most ten, at round numbers.
fn ticks(end: f64) -> Vec<f64> {
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];
    let step = steps.into_iter().find(|step| end / step <= 10.0).unwrap_or(1800.0);
    std::iter::successors(Some(0.0), |at| Some(at + step)).take_while(|at| *at <= end).collect()
}

/// The changes whose number fits: none within a fiftieth of the axis of the one before.
fn numbers(changes: &[(f64, f64)], end: f64) -> Vec<(f64, f64)> {
    let mut shown: Vec<(f64, f64)> = Vec::new();
    for change in changes {
        if shown.last().is_none_or(|(at, _)| change.0 - at >= end / 50.0) {
            shown.push(*change);
        }
    }
    shown
}

/// The second in the middle of a column.
fn moment(end: f64, column: usize) -> f64 {
    let part = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    end * (part(column) + 0.5) / part(COLUMNS)
}

fn level(value: f64) -> char {
    let whole = LEVELS
        .iter()
        .enumerate()
        .take_while(|(index, _)| f64::from(u32::try_from(*index).unwrap_or(0)) <= value.round());
    whole.last().map_or(' ', |(_, level)| *level)
}

fn cut(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        text.to_owned()
    } else {
        text.chars().take(length - 1).chain(['…']).collect()
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Timeline {
        let line = |name: &str, points: &[(f64, f64)]| Line { name: name.to_owned(), points: points.to_vec() };
        Timeline {
            replicas: vec![
                line("team-a/llama wanted", &[(0.0, 1.0), (5.0, 1.0), (10.0, 3.0), (20.0, 3.0)]),
                line("team-a/llama ready", &[(0.0, 1.0), (10.0, 1.0), (15.0, 3.0), (20.0, 3.0)]),
            ],
            load: vec![line("requests for llama", &[(0.0, 0.0), (4.0, 40.0), (20.0, 8.0)])],
            events: vec![Event {
                at: 9.8,
                about: "team-a/llama".to_owned(),
                reason: "ScaledUp".to_owned(),
                message: "From 1 to 3 replicas: 36 requests wait & <more>".to_owned(),
            }],
        }
    }

    #[test]
    fn the_text_has_lanes_and_every_change_with_its_second() {
        insta::assert_snapshot!(example().text(), @r"
        team-a/llama wanted  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃  at most 3
        team-a/llama ready   ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃  at most 3
        requests for llama   ············▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇  at most 40
                             0 s                                                     20 s

            0.0 s  team-a/llama wanted: 1
            0.0 s  team-a/llama ready: 1
            9.8 s  team-a/llama: ScaledUp: From 1 to 3 replicas: 36 requests wait & <more>
           10.0 s  team-a/llama wanted: 3
           15.0 s  team-a/llama ready: 3
        ");
    }

    #[test]
    fn the_picture_has_an_axis_in_seconds_numbers_and_reasons() {
        let svg = example().svg();
        for part in [">10 s<", ">3</text>", ">40</text>", "ScaledUp", "&amp; &lt;more&gt;", "requests for llama"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
    }

    #[test]
    fn nothing_seen_is_an_empty_picture_and_no_failure() {
        assert!(Timeline::default().svg().ends_with("</svg>\n"));
        assert!(Timeline::default().text().contains("0 s"));
    }

    #[test]
    fn the_axis_has_at_most_eleven_ticks() {
        assert_eq!(ticks(20.0).len(), 11);
        assert_eq!(ticks(95.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]);
    }
}
