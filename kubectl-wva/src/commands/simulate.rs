//! `simulate`: what policies and thresholds would make of a load, on the models, costs and limits of a cluster, in virtual time.

mod source;
mod view;

use std::path::PathBuf;

use clap::Args;
use wva_engine::ModelKey;
use wva_simulator::compare::compare;
use wva_simulator::observed::{Asked, Observed, Shape, observed};
use wva_simulator::{Policy, report};

pub use view::{PolicyView, SimulateView, print};

use crate::commands::replay::ThresholdArgs;
use crate::connection::Connection;
use crate::output::console::Console;
use crate::readers::debug_state::LastCycle;
use crate::{Error, Verdict};

/// Most runs of a policy.
const MOST_SEEDS: u64 = 100;

/// Flags of `simulate`.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// Model to simulate; needed where there are several.
    #[arg(value_name = "MODEL")]
    pub model: Option<String>,
    /// What /debug/state of a controller answered, as `explain --save` writes it, the zip of `report`, or - for standard
    /// input, instead of the cluster's controllers.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// How the load goes on from what arrives now.
    #[arg(long, value_enum, default_value_t)]
    pub load: Shape,
    /// Requests per second at first, instead of what arrives now.
    #[arg(long, value_name = "RATE", value_parser = positive)]
    pub rate: Option<f64>,
    /// How many times as many arrive at the peak.
    #[arg(long, value_name = "FACTOR", default_value_t = 3.0, value_parser = positive)]
    pub times: f64,
    /// From the creation of a pod to its first answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 110.0, value_parser = positive)]
    pub start_up: f64,
    /// Policies to compare the controller's own with, by name.
    #[arg(long = "policy", value_name = "NAME", value_delimiter = ',', default_value = "threshold,demand,static")]
    pub policies: Vec<String>,
    /// Runs of each policy, each with other requests; medians are shown.
    #[arg(long, value_name = "RUNS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=MOST_SEEDS))]
    pub seeds: u64,
    /// Thresholds to simulate the controller's own policy with besides: what if they were these.
    #[command(flatten)]
    pub thresholds: ThresholdArgs,
    /// Also write one self-contained page with charts to this file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Reads a number above 0.
fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("it has to be a number above 0".to_owned()),
    }
}

/// Nothing is simulated.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No controller has decided on any model.
    #[error("no controller tells of a model {place}{}", because(reasons))]
    NoModel {
        /// Where we looked, e.g. `in namespace models`.
        place: String,
        /// What controllers said instead.
        reasons: Vec<String>,
    },
    /// There are several models, or none of this name.
    #[error("say which model to simulate; there are {}", known.join(", "))]
    Which {
        /// Their names.
        known: Vec<String>,
    },
    /// There is no such policy.
    #[error(transparent)]
    Policy(#[from] wva_simulator::policy::UnknownPolicy),
    /// What was observed cannot be simulated.
    #[error(transparent)]
    Scenario(#[from] wva_simulator::scenario::InvalidScenario),
    /// The load cannot be made.
    #[error(transparent)]
    Load(#[from] wva_simulator::load::LoadError),
}

fn because(reasons: &[String]) -> String {
    if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) }
}

impl Refusal {
    /// What to do next.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoModel { .. } => "look at kubectl wva status, or give a file with --file".to_owned(),
            Self::Which { known } => format!("kubectl wva simulate {}", known.first().map_or("MODEL", String::as_str)),
            Self::Policy(_) => "docs/policies.md says how each decides".to_owned(),
            Self::Scenario(_) | Self::Load(_) => "give other numbers with --rate, --times and --start-up".to_owned(),
        }
    }
}

/// Carries out `simulate`.
///
/// # Errors
/// When the model cannot be found or simulated, or the page cannot be written.
pub async fn run(flags: &Connection, args: &SimulateArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let (model, cycle) = source::find(flags, args.file.as_deref(), args.model.as_deref()).await?;
    let view = simulate(&model, &cycle, args)?;
    print(&view, console)?;
    Ok(Verdict::Fine)
}

/// Simulates a model of a decision.
fn simulate(key: &ModelKey, cycle: &LastCycle, args: &SimulateArgs) -> Result<SimulateView, Error> {
    let asked = Asked { shape: args.load, rate: args.rate, times: args.times, start_up_seconds: args.start_up };
    let none = || Refusal::NoModel { place: format!("named {}", key.model_id), reasons: Vec::new() };
    let model = cycle.snapshot.models.iter().find(|it| it.key == *key).ok_or_else(none)?;
    let Observed { scenario, policy, assumed } = observed(model, &cycle.settings, &cycle.before, asked);
    scenario.check().map_err(Refusal::from)?;
    let mut policies = vec![("as it is".to_owned(), policy)];
    if args.thresholds != ThresholdArgs::default() {
        let settings = args.thresholds.over(&cycle.settings);
        policies.push(("what if".to_owned(), observed(model, &settings, &cycle.before, asked).policy));
    }
    for name in &args.policies {
        policies.push((name.clone(), Policy::named(name).map_err(Refusal::from)?));
    }
    let seeds: Vec<u64> = (1..=args.seeds).collect();
    let no_files = |_: &str| Err(std::io::Error::other("a load that was observed has no file"));
    let (compared, capacities) = compare(&scenario, &policies, &seeds, no_files, |_, _| {}).map_err(Refusal::from)?;
    if let Some(path) = &args.html {
        let page = report::page(&scenario, &compared, &capacities);
        std::fs::write(path, page).map_err(|source| Error::File { path: path.clone(), source })?;
    }
    Ok(SimulateView::build(key, &scenario, &compared, &capacities, assumed))
}
