//! Several policies on the same load, with several seeds.

use crate::load::{LoadError, Workload};
use crate::outcome::median;
use crate::{Outcome, Policy, Scenario, capacity, run};

/// A policy and what came of it with each seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// What it is called.
    pub name: String,
    /// What came of it, in the order of the seeds.
    pub outcomes: Vec<Outcome>,
}

/// Runs every policy with every seed; all policies see the same requests. `read` gives the text of a trace's file, and
/// `progress` is told of each run before it begins.
pub fn compare(
    scenario: &Scenario,
    policies: &[(String, Policy)],
    seeds: &[u64],
    read: impl Fn(&str) -> std::io::Result<String>,
    mut progress: impl FnMut(&str, u64),
) -> Result<(Vec<Compared>, Vec<f64>), LoadError> {
    let mut compared: Vec<_> =
        policies.iter().map(|(name, _)| Compared { name: name.clone(), outcomes: Vec::new() }).collect();
    // What a replica takes does not depend on the seed: the lengths are drawn from the same distribution.
    let mut capacities = None;
    for seed in seeds {
        let workload = Workload::of(scenario, *seed, &read)?;
        let capacity = capacities.get_or_insert_with(|| capacity::capacities(scenario, &workload));
        for (compared, (name, policy)) in compared.iter_mut().zip(policies) {
            progress(name, *seed);
            compared.outcomes.push(run(scenario, &workload, policy, *seed, capacity));
        }
    }
    Ok((compared, capacities.unwrap_or_default()))
}

impl Compared {
    /// The median over the seeds.
    pub fn median(&self, of: impl Fn(&Outcome) -> f64) -> f64 {
        median(self.outcomes.iter().map(of))
    }
}
