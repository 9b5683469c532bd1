//! What is drawn of a comparison.

use super::svg::{Axis, COLOURS, Chart, Mark};
use super::{float, pareto};
use crate::Scenario;
use crate::compare::Compared;
use crate::matrix::LINES;
use crate::outcome::{Outcome, Second};

/// Points of a line at most: more cannot be seen.
const POINTS: usize = 220;

/// Names of the charts of one policy, in their order.
pub(super) const OF_POLICY: usize = 5;

/// The charts of each policy's first run, with the same axes for all: load and replicas needed, replicas of each variant,
/// requests that wait, time to the first token, cost.
pub(super) fn of_policies(scenario: &Scenario, compared: &[Compared]) -> Vec<[Chart; OF_POLICY]> {
    let firsts: Vec<(&str, &Outcome)> =
        compared.iter().filter_map(|it| Some((it.name.as_str(), it.outcomes.first()?))).collect();
    let most = |of: &dyn Fn(&Outcome) -> f64| firsts.iter().map(|(_, outcome)| of(outcome)).fold(0.0, f64::max);
    let of_seconds =
        |of: fn(&Second) -> f64| most(&|outcome: &Outcome| outcome.seconds.iter().map(of).fold(0.0, f64::max));
    let minutes = Axis { name: "time (min)".to_owned(), from: 0.0, to: scenario.duration_seconds / 60.0 };
    let rate = Axis::up_to("requests/s", of_seconds(|it| it.rate));
    let replicas = Axis::up_to(
        "ready (dashed: asked for)",
        of_seconds(|it| f64::from(it.spec.iter().sum::<u32>().max(it.needed))),
    );
    let waiting = Axis::up_to("requests", of_seconds(|it| f64::from(it.waiting)));
    let ttft =
        Axis::up_to("seconds", most(&|outcome| outcome.ttft_over_time.iter().map(|(_, p95)| *p95).fold(0.0, f64::max)));
    let cost = Axis::up_to("cost so far", of_seconds(|it| it.cost));
    let chart = |name: &str, title: &str, y: &Axis, marks| Chart {
        title: format!("{name}: {title}"),
        x: minutes.clone(),
        y: y.clone(),
        marks,
    };
    let of = |(name, outcome): &(&str, &Outcome)| {
        let line = |name: &str, colour: usize, steps, of: &dyn Fn(&Second) -> f64| {
            line(name, colour, steps, sampled(&outcome.seconds, of))
        };
        let variants = scenario.variants.iter().enumerate().flat_map(|(place, variant)| {
            let ready = |it: &Second| f64::from(it.ready.get(place).copied().unwrap_or(0));
            let spec = |it: &Second| f64::from(it.spec.get(place).copied().unwrap_or(0));
            [line(&variant.name, place + 1, true, &ready), dashed(line("", place + 1, true, &spec))]
        });
        let needed = dashed(line("needed", 5, true, &|it| f64::from(it.needed)));
        let in_minutes = outcome.ttft_over_time.iter().map(|(at, p95)| (at / 60.0, *p95)).collect();
        [
            chart(name, "load", &rate, vec![line("", 0, false, &|it| it.rate)]),
            chart(name, "replicas", &replicas, std::iter::once(needed).chain(variants).collect()),
            chart(name, "requests waiting", &waiting, vec![line("", 4, false, &|it| f64::from(it.waiting))]),
            chart(name, "time to first token, p95", &ttft, vec![self::line("", 3, false, in_minutes)]),
            chart(name, "cost", &cost, vec![line("", 2, false, &|it| it.cost)]),
        ]
    };
    firsts.iter().map(of).collect()
}

/// Load, and all replicas of each policy, one chart for each.
pub(super) fn replicas(scenario: &Scenario, compared: &[Compared]) -> Vec<Chart> {
    of_policies(scenario, compared).into_iter().map(|[_, replicas, ..]| replicas).collect()
}

/// Requests whose promises were kept against cost, medians over the seeds, and the front of the
/// autoscalers that no other one beats in both.
pub(super) fn attainment_and_cost(compared: &[Compared]) -> Chart {
    let points: Vec<(f64, f64)> =
        compared.iter().map(|it| (it.median(|o| o.used.cost), 100.0 * it.median(|o| o.attainment))).collect();
    // What no autoscaler can be beats nobody.
    let real: Vec<usize> = (0..points.len()).filter(|place| !LINES.contains(&compared[*place].name.as_str())).collect();
    let front: Vec<usize> =
        pareto(&real.iter().map(|place| points[*place]).collect::<Vec<_>>()).iter().map(|it| real[*it]).collect();
    let mut marks: Vec<Mark> = compared
        .iter()
        .zip(&points)
        .enumerate()
        .map(|(place, (it, at))| {
            let colour = if front.contains(&place) { COLOURS[4] } else { COLOURS[5] };
            Mark::Point { name: it.name.clone(), colour: colour.to_owned(), at: *at }
        })
        .collect();
    let mut on_front: Vec<(f64, f64)> = front.iter().map(|place| points[*place]).collect();
    on_front.sort_by(|a, b| a.0.total_cmp(&b.0));
    marks.insert(0, line("no autoscaler is better in both", 4, true, on_front));
    let least = points.iter().map(|(_, kept)| *kept).fold(100.0, f64::min);
    Chart {
        title: "SLO attainment against cost".to_owned(),
        x: Axis::up_to("cost (currency of the scenario)", points.iter().map(|(cost, _)| *cost).fold(0.0, f64::max)),
        y: Axis { name: "requests within SLO (%)".to_owned(), from: (least / 10.0).floor() * 10.0, to: 100.0 },
        marks,
    }
}

fn line(name: &str, colour: usize, steps: bool, points: Vec<(f64, f64)>) -> Mark {
    let colour = COLOURS[colour % COLOURS.len()].to_owned();
    Mark::Line { name: name.to_owned(), colour, dashed: false, steps, points }
}

fn dashed(mark: Mark) -> Mark {
    match mark {
        Mark::Line { name, colour, steps, points, .. } => Mark::Line { name, colour, dashed: true, steps, points },
        point @ Mark::Point { .. } => point,
    }
}

/// A value of each few seconds, the largest of them, against minutes.
fn sampled(seconds: &[Second], of: &dyn Fn(&Second) -> f64) -> Vec<(f64, f64)> {
    let size = seconds.len().div_ceil(POINTS).max(1);
    let point =
        |(place, chunk): (usize, &[Second])| (float(place * size) / 60.0, chunk.iter().map(of).fold(0.0, f64::max));
    seconds.chunks(size).enumerate().map(point).collect()
}
