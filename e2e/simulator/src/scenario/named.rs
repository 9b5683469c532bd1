//! Scenarios that come with the simulator.

use std::collections::BTreeMap;

use super::{Routing, Scenario, Slo, Variant};
use crate::load::{Lengths, Load};
use crate::server::Server;

/// Names of the scenarios that come with the simulator.
pub const NAMES: [&str; 6] = ["step", "noise", "ramp", "wave", "bursts", "go-benchmark"];

/// The scenario of this name.
pub fn named(name: &str) -> Option<Scenario> {
    let (description, duration_seconds, load, initial) = match name {
        "step" => (
            "from 2 to 20 requests per second at once; 8 to 9 replicas are needed",
            1800.0,
            Load::Step { from: 2.0, to: 20.0, at_seconds: 300.0 },
            1,
        ),
        "noise" => (
            "12 requests per second that swing by 17 %, and nothing that lasts",
            1800.0,
            Load::Noise { mean: 12.0, sd: 0.17, every_seconds: 10.0 },
            6,
        ),
        "ramp" => (
            "from 2 to 20 requests per second within half an hour",
            3000.0,
            Load::Ramp { from: 2.0, to: 20.0, begin_seconds: 600.0, end_seconds: 2400.0 },
            1,
        ),
        "wave" => (
            "two days of two hours each: from 2 to 18 requests per second and back",
            14_400.0,
            Load::Wave { mean: 10.0, amplitude: 8.0, period_seconds: 7200.0 },
            1,
        ),
        "bursts" => (
            "2 requests per second, and 12 for two minutes now and then",
            7200.0,
            Load::Bursts { quiet: 2.0, burst: 12.0, every_seconds: 600.0, length_seconds: 120.0 },
            1,
        ),
        "go-benchmark" => {
            let rates = [15.0, 2.0, 10.0, 15.0, 5.0, 2.0];
            let points = rates.into_iter().zip(0..).map(|(rate, step)| (150.0 * f64::from(step), rate)).collect();
            (
                "the rates of the Go version's published benchmark: 15, 2, 10, 15, 5 and 2 requests per second in 15 minutes",
                900.0,
                Load::Steps { points },
                1,
            )
        }
        _ => return None,
    };
    let variant = |name: &str, accelerator: &str, cost: f64, initial: u32| Variant {
        name: name.to_owned(),
        accelerator: accelerator.to_owned(),
        cost,
        gpus_per_replica: 1,
        min: 1,
        max: 12,
        initial,
        server: Server::default(),
        measured: None,
    };
    Some(Scenario {
        name: name.to_owned(),
        description: description.to_owned(),
        duration_seconds,
        load,
        requests: Lengths::default(),
        variants: vec![variant("reserved", "A100", 10.0, initial), variant("on-demand", "A100-spot", 25.0, 1)],
        start_up_seconds: 110.0,
        start_up_spread: 0.0,
        termination_grace_seconds: 30.0,
        scrape_seconds: 15.0,
        interval_seconds: 30.0,
        patience_seconds: Some(60.0),
        long_wait_seconds: 5.0,
        slo: Slo::default(),
        routing: Routing::default(),
        gpus: BTreeMap::new(),
    })
}
