//! What is simulated: a load, the variants that serve it, and the delays between them.

mod named;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::named::{NAMES, named};
use crate::load::{Lengths, Load};
use crate::number::seconds;
use crate::server::{Server, Table};

/// A load, the variants that serve it, and the delays between them. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// What it is called in reports.
    pub name: String,
    /// What it shows, in a sentence.
    #[serde(default)]
    pub description: String,
    /// How long requests arrive.
    pub duration_seconds: f64,
    /// How many requests arrive when.
    pub load: Load,
    /// Lengths of prompts and answers, where the load does not say them.
    #[serde(default)]
    pub requests: Lengths,
    /// Ways of serving the model.
    pub variants: Vec<Variant>,
    /// From the creation of a pod to its first answer.
    #[serde(default = "default::start_up")]
    pub start_up_seconds: f64,
    /// By how much of it start-up times differ: 0.1 draws them between 90 % and 110 %.
    #[serde(default)]
    pub start_up_spread: f64,
    /// How long a pod that has to go may finish what it has begun.
    #[serde(default = "default::grace")]
    pub termination_grace_seconds: f64,
    /// Pause between two scrapes of a server.
    #[serde(default = "default::scrape")]
    pub scrape_seconds: f64,
    /// Pause between two decisions of WVA.
    #[serde(default = "default::interval")]
    pub interval_seconds: f64,
    /// How long a client waits for its first token before it gives up; for ever if not given.
    #[serde(default)]
    pub patience_seconds: Option<f64>,
    /// A request that waits longer than this for its turn is counted as one that waited.
    #[serde(default = "default::long_wait")]
    pub long_wait_seconds: f64,
    /// What was promised to each request.
    #[serde(default)]
    pub slo: Slo,
    /// Who brings requests to servers.
    #[serde(default)]
    pub routing: Routing,
    /// GPUs there are, by accelerator; as many as anybody wants of those that are not listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gpus: BTreeMap<String, u32>,
}

/// One way of serving the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variant {
    /// Name of its `VariantAutoscaling`.
    pub name: String,
    /// Accelerator.
    pub accelerator: String,
    /// Cost of a replica per hour, in any currency.
    pub cost: f64,
    /// GPUs of a replica.
    #[serde(default = "default::one")]
    pub gpus_per_replica: u32,
    /// Fewest replicas.
    #[serde(default = "default::one")]
    pub min: u32,
    /// Most replicas.
    pub max: u32,
    /// Replicas that serve when the simulation begins.
    #[serde(default = "default::one")]
    pub initial: u32,
    /// How fast a replica is and how much it holds.
    #[serde(default)]
    pub server: Server,
    /// Measurements that its service times are fitted to, instead of those of `server`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Table>,
}

/// What was promised to each request, in seconds. A request that is dropped, fails or is given up is a miss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Slo {
    /// From its arrival to its first token.
    pub ttft_seconds: f64,
    /// Between two of its tokens, on average.
    pub itl_seconds: f64,
}

impl Default for Slo {
    fn default() -> Self {
        Self { ttft_seconds: 2.0, itl_seconds: 0.1 }
    }
}

/// Who brings requests to servers. While no server is ready, requests wait.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Routing {
    /// At once to the server with the fewest requests.
    FewestRequests,
    /// At once to one after the other.
    RoundRobin,
    /// As the endpoint picker of an inference gateway with flow control does: to the server with the fewest requests among
    /// those that are not saturated; while all are, requests wait at the gateway.
    FlowControl {
        /// A server is saturated when more requests than this wait in it.
        queue: u32,
        /// It is saturated as well when this share of its KV cache is in use.
        kv: f64,
    },
}

impl Default for Routing {
    /// Flow control at 5 requests and 80 %.
    fn default() -> Self {
        Self::FlowControl { queue: 5, kv: 0.8 }
    }
}

mod default {
    pub(super) fn start_up() -> f64 {
        110.0
    }
    pub(super) fn grace() -> f64 {
        30.0
    }
    pub(super) fn scrape() -> f64 {
        15.0
    }
    pub(super) fn interval() -> f64 {
        30.0
    }
    pub(super) fn long_wait() -> f64 {
        5.0
    }
    pub(super) fn one() -> u32 {
        1
    }
}

/// What makes a scenario impossible to simulate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("scenario {scenario}: {problem}")]
pub struct InvalidScenario {
    scenario: String,
    problem: String,
}

impl Scenario {
    /// How long requests arrive.
    pub fn duration(&self) -> Duration {
        seconds(self.duration_seconds)
    }

    /// Refuses what cannot be simulated.
    pub fn check(&self) -> Result<(), InvalidScenario> {
        let problem = |problem: String| Err(InvalidScenario { scenario: self.name.clone(), problem });
        let times = [
            ("durationSeconds", self.duration_seconds, true),
            ("scrapeSeconds", self.scrape_seconds, true),
            ("intervalSeconds", self.interval_seconds, true),
            ("startUpSeconds", self.start_up_seconds, false),
            ("terminationGraceSeconds", self.termination_grace_seconds, false),
            ("longWaitSeconds", self.long_wait_seconds, false),
            ("patienceSeconds", self.patience_seconds.unwrap_or(1.0), true),
            ("slo.ttftSeconds", self.slo.ttft_seconds, true),
            ("slo.itlSeconds", self.slo.itl_seconds, true),
        ];
        for (field, value, positive) in times {
            if !value.is_finite() || value < 0.0 || (positive && value == 0.0) {
                return problem(format!("{field} is {value}; it has to be a number of seconds above 0"));
            }
        }
        if !(0.0..1.0).contains(&self.start_up_spread) {
            return problem(format!("startUpSpread is {}; it has to be at least 0 and below 1", self.start_up_spread));
        }
        if self.variants.is_empty() {
            return problem("it has no variants; give at least one".to_owned());
        }
        for (place, variant) in self.variants.iter().enumerate() {
            let Variant { name, min, max, initial, cost, .. } = variant;
            if self.variants.iter().take(place).any(|other| other.name == *name) {
                return problem(format!("two variants are named {name}"));
            }
            if min > max || initial > max {
                return problem(format!(
                    "variant {name}: min ({min}) and initial ({initial}) must not be above max ({max})"
                ));
            }
            if !cost.is_finite() || *cost < 0.0 {
                return problem(format!("variant {name}: cost is {cost}; it has to be 0 or more"));
            }
            if let Err(why) = variant.server.check() {
                return problem(format!("variant {name}: {why}"));
            }
        }
        if let Err(why) = self.load.check() {
            return problem(why);
        }
        Ok(())
    }

    /// Fits service times to measurements, where variants name some. `read` gives the text of a table's file.
    pub fn measure(mut self, read: impl Fn(&str) -> std::io::Result<String>) -> Result<Self, InvalidScenario> {
        let scenario = self.name.clone();
        for variant in &mut self.variants {
            let Some(table) = &variant.measured else { continue };
            let problem = |why: String| InvalidScenario {
                scenario: scenario.clone(),
                problem: format!("variant {}: measured: {}: {why}", variant.name, table.file),
            };
            let text = read(&table.file).map_err(|error| problem(error.to_string()))?;
            let fit = table.fit(&text).ok_or_else(|| {
                problem("fewer than three rows are of this model, hardware and tensorParallel".to_owned())
            })?;
            variant.server = variant.server.clone().with(fit);
        }
        Ok(self)
    }

    /// The same with another start-up time.
    #[must_use]
    pub fn starting_in(self, start_up_seconds: f64) -> Self {
        Self { start_up_seconds, ..self }
    }
}
