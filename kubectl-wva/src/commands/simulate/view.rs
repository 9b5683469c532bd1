//! What a simulation came to, as JSON and as text.

use std::collections::BTreeMap;

use serde::Serialize;
use wva_engine::ModelKey;
use wva_simulator::compare::Compared;
use wva_simulator::{Outcome, Scenario};

use crate::Error;
use crate::output::Format;
use crate::output::console::Console;
use crate::output::table::{self, Cell, Column};

/// What a simulation came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SimulateView {
    /// Namespace of the model.
    pub namespace: String,
    /// The model.
    pub model: String,
    /// The load, in words.
    pub load: String,
    /// Seconds for which requests arrive.
    pub seconds: f64,
    /// Requests per second that one replica takes within the promises, by variant.
    pub per_replica: BTreeMap<String, f64>,
    /// What was not known and is taken to be so.
    pub assumed: Vec<String>,
    /// The policies.
    pub policies: Vec<PolicyView>,
}

/// What one policy came to: medians of its runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyView {
    /// Its name.
    pub name: String,
    /// Share of requests whose promises were kept.
    pub attainment: f64,
    /// What its pods cost while they held GPUs, in the currency of `variantCost`.
    pub cost: f64,
    /// GPUs times hours.
    pub gpu_hours: f64,
    /// 99th percentile of the time to the first token, in seconds.
    pub ttft_p99: f64,
    /// Requests whose clients gave up, that were refused or cut off.
    pub lost: f64,
    /// Most replicas wanted.
    pub most: f64,
    /// Changes of the number of replicas.
    pub changes: f64,
    /// Seconds in which the ready replicas took less than arrived.
    pub short_seconds: f64,
}

impl PolicyView {
    fn of(compared: &Compared) -> Self {
        let median = |of: fn(&Outcome) -> f64| compared.median(of);
        let lost = |it: &Outcome| f64::from(it.requests.gave_up + it.requests.refused + it.requests.killed);
        Self {
            name: compared.name.clone(),
            attainment: median(|it| it.attainment),
            cost: median(|it| it.used.cost),
            gpu_hours: median(|it| it.used.gpu_hours),
            ttft_p99: median(|it| it.ttft.p99),
            lost: median(lost),
            most: median(|it| f64::from(it.scaling.most_wanted)),
            changes: median(|it| f64::from(it.scaling.events)),
            short_seconds: median(|it| it.scaling.under_seconds),
        }
    }
}

impl SimulateView {
    pub(super) fn build(
        key: &ModelKey,
        scenario: &Scenario,
        compared: &[Compared],
        capacities: &[f64],
        assumed: Vec<String>,
    ) -> Self {
        let names = scenario.variants.iter().map(|it| it.name.clone());
        Self {
            namespace: key.namespace.clone(),
            model: key.model_id.clone(),
            load: scenario.description.clone(),
            seconds: scenario.duration_seconds,
            per_replica: names.zip(capacities.iter().copied()).collect(),
            assumed,
            policies: compared.iter().map(PolicyView::of).collect(),
        }
    }
}

/// Prints it.
///
/// # Errors
/// When the answer cannot be written.
pub fn print(view: &SimulateView, console: &mut Console<'_>) -> Result<(), Error> {
    match console.format {
        Format::Json => return console.json(view),
        Format::Yaml => return console.yaml(view),
        Format::Name => return console.lines(view.policies.iter().map(|it| it.name.clone())),
        Format::Table | Format::Wide => {}
    }
    let takes: Vec<_> = view.per_replica.iter().map(|(name, rate)| format!("{name} {rate:.2}")).collect();
    let minutes = view.seconds / 60.0;
    console.prose([
        format!("{} in {}: a {}, {minutes:.0} minutes", view.model, view.namespace, view.load),
        format!("one replica takes within what is promised, in requests a second: {}", takes.join(", ")),
    ])?;
    let columns = [
        Column::new("POLICY", 0),
        Column::new("KEPT %", 0),
        Column::new("COST", 0),
        Column::new("GPU H", 1),
        Column::new("TTFT P99", 1),
        Column::new("LOST", 0),
        Column::new("MOST", 0),
        Column::new("CHANGES", 1),
        Column::new("SHORT", 1),
    ];
    let rows = view.policies.iter().map(|it| {
        vec![
            Cell::new(&it.name),
            Cell::new(format!("{:.1}", 100.0 * it.attainment)),
            Cell::new(format!("{:.1}", it.cost)),
            Cell::new(format!("{:.2}", it.gpu_hours)),
            Cell::new(format!("{:.1}s", it.ttft_p99)),
            Cell::new(format!("{:.0}", it.lost)),
            Cell::new(format!("{:.0}", it.most)),
            Cell::new(format!("{:.0}", it.changes)),
            Cell::new(format!("{:.0}s", it.short_seconds)),
        ]
    });
    let text = table::render(&columns, rows.collect(), console.headers, console.width);
    console.data(&text)?;
    console.prose(view.assumed.iter().map(|it| format!("assumed: {it}")))
}
