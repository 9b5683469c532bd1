//! The command line that its users share.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::compare::{Compared, compare};
use crate::outcome::Decision;
use crate::report::{front_drawing, page, replicas_drawing, table};
use crate::scenario::{NAMES, named};
use crate::{Policy, Scenario, matrix};

/// Simulate autoscaling policies on a load.
#[derive(Args, Clone, Debug)]
pub struct Simulate {
    /// Scenario to simulate, as YAML or JSON.
    #[arg(value_name = "FILE", required_unless_present = "scenario")]
    pub file: Option<PathBuf>,
    /// A scenario that comes with the simulator; several, separated by commas, with `--matrix`.
    #[arg(long, value_name = "NAME", conflicts_with = "file", value_delimiter = ',')]
    pub scenario: Vec<String>,
    /// Compare on every scenario with each of these start-up times, in seconds, and show who is on the front of requests
    /// within the SLO against cost.
    #[arg(long, value_name = "SECONDS", value_delimiter = ',', conflicts_with_all = ["start_up", "json", "html", "svg", "decisions"])]
    pub matrix: Vec<f64>,
    /// Policies to compare, by name.
    #[arg(
        long = "policy",
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "threshold,demand,static,clairvoyant"
    )]
    pub policies: Vec<String>,
    /// Runs of each policy, each with the next seed; medians are shown.
    #[arg(long, default_value_t = 7)]
    pub seeds: u64,
    /// Seed of the first run.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub first_seed: u64,
    /// From the creation of a pod to its first answer, in seconds, instead of the scenario's.
    #[arg(long, value_name = "SECONDS")]
    pub start_up: Option<f64>,
    /// Show what was decided when, and why, in the first run of each policy.
    #[arg(long)]
    pub decisions: bool,
    /// Print all outcomes as JSON.
    #[arg(long)]
    pub json: bool,
    /// Write one self-contained page with charts to this file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write drawings to this folder: SCENARIO-replicas.svg and SCENARIO-front.svg.
    #[arg(long, value_name = "FOLDER")]
    pub svg: Option<PathBuf>,
}

/// Why a simulation could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The scenario could not be read.
    #[error("reading the scenario {}: {source}", file.display())]
    Unreadable {
        /// Its file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The scenario is none.
    #[error("reading the scenario {}: {message}", file.display())]
    NoScenario {
        /// Its file.
        file: PathBuf,
        /// Why.
        message: String,
    },
    /// There is no such scenario.
    #[error("there is no scenario named {0}; there are {names}", names = NAMES.join(", "))]
    UnknownScenario(String),
    /// There are several scenarios, and no matrix.
    #[error("several scenarios are compared with --matrix and start-up times, for example --matrix 30,110")]
    SeveralScenarios,
    /// The scenario cannot be simulated.
    #[error(transparent)]
    Invalid(#[from] crate::scenario::InvalidScenario),
    /// There is no such policy.
    #[error(transparent)]
    Policy(#[from] crate::policy::UnknownPolicy),
    /// The load cannot be had.
    #[error(transparent)]
    Load(#[from] crate::load::LoadError),
    /// A report could not be written.
    #[error("writing {}: {source}", file.display())]
    Unwritable {
        /// Its file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The outcomes could not be written.
    #[error("writing the outcomes as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Simulate {
    /// The scenarios that were asked for.
    pub fn read(&self) -> Result<Vec<Scenario>, Error> {
        let of_names = self.scenario.iter().map(|name| named(name).ok_or_else(|| Error::UnknownScenario(name.clone())));
        let scenarios = self.file.iter().map(|file| read_file(file)).chain(of_names).map(|scenario| {
            let scenario = match (self.start_up, scenario?) {
                (Some(seconds), scenario) => scenario.starting_in(seconds),
                (None, scenario) => scenario,
            };
            let scenario = scenario.measure(|file| std::fs::read_to_string(file))?;
            scenario.check()?;
            Ok(scenario)
        });
        scenarios.collect()
    }

    /// Simulates; the text to print.
    pub fn run(&self) -> Result<String, Error> {
        let scenarios = self.read()?;
        let policies = self.policies.iter().map(|name| Ok((name.clone(), Policy::named(name)?)));
        let policies = policies.collect::<Result<Vec<_>, Error>>()?;
        let seeds: Vec<u64> = (self.first_seed..self.first_seed.saturating_add(self.seeds.max(1))).collect();
        let read = |file: &str| std::fs::read_to_string(file);
        if !self.matrix.is_empty() {
            let cells = matrix::matrix(&scenarios, &self.matrix, &policies, &seeds, read, |_| {})?;
            return Ok(matrix::table(&cells, &policies));
        }
        let [scenario] = scenarios.as_slice() else { return Err(Error::SeveralScenarios) };
        let (compared, capacities) = compare(scenario, &policies, &seeds, read, |_, _| {})?;
        if let Some(file) = &self.html {
            write(file, &page(scenario, &compared, &capacities))?;
        }
        if let Some(folder) = &self.svg {
            let file = |what: &str| folder.join(format!("{}-{what}.svg", scenario.name));
            write(&file("replicas"), &replicas_drawing(scenario, &compared))?;
            write(&file("front"), &front_drawing(&compared))?;
        }
        if self.json {
            let outcomes: Vec<_> = compared.iter().map(|it| (&it.name, &it.outcomes)).collect();
            return Ok(serde_json::to_string_pretty(&outcomes)?);
        }
        let takes = scenario.variants.iter().zip(&capacities);
        let takes: Vec<_> = takes.map(|(variant, rate)| format!("{} {rate:.2}", variant.name)).collect();
        let mut text = format!(
            "{}: {}\nRequests per second that one replica takes within the promises: {}.\nMedians of {} runs.\n\n{}",
            scenario.name,
            scenario.description,
            takes.join(", "),
            seeds.len(),
            table(&compared)
        );
        if self.decisions {
            text += &decisions(&compared);
        }
        Ok(text)
    }
}

/// What was decided in the first run of each policy.
fn decisions(compared: &[Compared]) -> String {
    let mut lines = Vec::new();
    for compared in compared {
        lines.push(format!("\n{}", compared.name));
        for Decision { at, wanted, saturated, reasons } in compared.outcomes.iter().take(1).flat_map(|it| &it.decisions)
        {
            let mark = if *saturated { " saturated" } else { "" };
            lines.push(format!("  {at:7.1} s{mark} {wanted:?}  {}", reasons.join(" | ")));
        }
    }
    lines.join("\n") + "\n"
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(file, text).map_err(|source| Error::Unwritable { file: file.to_owned(), source })
}

fn read_file(file: &Path) -> Result<Scenario, Error> {
    let text = std::fs::read_to_string(file).map_err(|source| Error::Unreadable { file: file.to_owned(), source })?;
    serde_saphyr::from_str(&text)
        .map_err(|error| Error::NoScenario { file: file.to_owned(), message: error.to_string() })
}
