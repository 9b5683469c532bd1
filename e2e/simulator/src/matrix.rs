//! Many loads, many start-up times, many policies: who is beaten by nobody where.

use crate::compare::compare;
use crate::load::LoadError;
use crate::report::{aligned, pareto};
use crate::{Policy, Scenario};

/// One load with one start-up time.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Name of the scenario.
    pub scenario: String,
    /// Seconds from the creation of a pod to its first answer.
    pub start_up_seconds: f64,
    /// What each policy came to, in their order.
    pub points: Vec<Point>,
}

/// What a policy came to, medians over the seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Share of requests whose promises were kept.
    pub attainment: f64,
    /// Cost.
    pub cost: f64,
    /// Whether no other autoscaler is better in both.
    pub on_front: bool,
}

/// Policies that no real autoscaler can be: they are shown, and beat nobody.
pub const LINES: [&str; 3] = ["static", "oracle", "clairvoyant"];

/// Compares the policies on every scenario with every start-up time.
pub fn matrix(
    scenarios: &[Scenario],
    start_ups: &[f64],
    policies: &[(String, Policy)],
    seeds: &[u64],
    read: impl Fn(&str) -> std::io::Result<String>,
    mut progress: impl FnMut(&Cell),
) -> Result<Vec<Cell>, LoadError> {
    let mut cells = Vec::new();
    for scenario in scenarios {
        for start_up in start_ups {
            let scenario = scenario.clone().starting_in(*start_up);
            let (compared, _) = compare(&scenario, policies, seeds, &read, |_, _| {})?;
            let of = |compared: &crate::compare::Compared| {
                (compared.median(|it| it.used.cost), compared.median(|it| it.attainment))
            };
            let points: Vec<(f64, f64)> = compared.iter().map(of).collect();
            let autoscalers: Vec<usize> =
                (0..points.len()).filter(|place| !LINES.contains(&policies[*place].0.as_str())).collect();
            let front: Vec<usize> = pareto(&autoscalers.iter().map(|place| points[*place]).collect::<Vec<_>>())
                .iter()
                .map(|it| autoscalers[*it])
                .collect();
            let point = |(place, (cost, attainment)): (usize, &(f64, f64))| Point {
                attainment: *attainment,
                cost: *cost,
                on_front: front.contains(&place),
            };
            let points = points.iter().enumerate().map(point).collect();
            let cell = Cell { scenario: scenario.name.clone(), start_up_seconds: *start_up, points };
            progress(&cell);
            cells.push(cell);
        }
    }
    Ok(cells)
}

/// A table for each scenario: policies down, start-up times across, requests within the SLO in percent and cost, a star on the
/// front.
pub fn table(cells: &[Cell], policies: &[(String, Policy)]) -> String {
    let mut text = String::new();
    for of_scenario in cells.chunk_by(|a, b| a.scenario == b.scenario) {
        let Some(first) = of_scenario.first() else { continue };
        let head = of_scenario.iter().map(|cell| format!("{} s", cell.start_up_seconds));
        let mut rows = vec![std::iter::once(first.scenario.clone()).chain(head).collect::<Vec<_>>()];
        for (place, (name, _)) in policies.iter().enumerate() {
            let cells = of_scenario.iter().map(|cell| {
                let Point { attainment, cost, on_front } = cell.points[place];
                format!("{:.1} {cost:.0}{}", 100.0 * attainment, if on_front { " *" } else { "  " })
            });
            rows.push(std::iter::once(name.clone()).chain(cells).collect());
        }
        text += &aligned(&rows);
        text.push('\n');
    }
    text
}
