//! One JSON line in, one out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use wva_engine::Thresholds;
use wva_engine::snapshot::Bounds;
use wva_engine::threshold::{Replica, VariantState, analyze, targets};

/// Answers every line of `input` that holds a case; `false` when a line could not be read.
pub(crate) fn answer_all(mut input: impl BufRead, mut output: impl Write, mut errors: impl Write) -> io::Result<bool> {
    let mut clean = true;
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(case) => {
                serde_json::to_writer(&mut output, &answer(&case))?;
                output.write_all(b"\n")?;
            }
            Err(error) => {
                clean = false;
                writeln!(errors, "threshold: line {number}: {}", in_one_line(&error))?;
            }
        }
    }
    Ok(clean)
}

/// Every case is the first line of its own document; which line of the input it was is said already.
fn in_one_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column", " at column")
}

/// One model: thresholds, readings and where its variants stand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case<'a> {
    config: Thresholds,
    #[serde(borrow)]
    replicas: Vec<CaseReplica<'a>>,
    #[serde(borrow)]
    states: Vec<CaseState<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseReplica<'a> {
    #[serde(borrow)]
    pod: Cow<'a, str>,
    #[serde(borrow)]
    variant: Cow<'a, str>,
    kv: f64,
    queue: f64,
    cost: f64,
    #[serde(borrow)]
    accelerator: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseState<'a> {
    #[serde(borrow)]
    variant: Cow<'a, str>,
    current: u32,
    /// 0: nothing is published.
    desired: u32,
    /// A difference of two counts that are read one after the other: it may come out negative.
    pending: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    total: u32,
    non_saturated: u32,
    avg_spare_kv: f64,
    avg_spare_queue: f64,
    should_scale_up: bool,
    scale_down_safe: bool,
    targets: BTreeMap<String, u32>,
}

fn answer(case: &Case<'_>) -> Answer {
    let Case { config, replicas, states } = case;
    let replicas: Vec<_> = replicas.iter().map(replica).collect();
    let states: Vec<_> = states.iter().map(state).collect();
    let analysis = analyze(&replicas, config);
    let targets = targets(&analysis, &states).into_iter().map(|(name, choice)| (name, choice.replicas)).collect();
    Answer {
        total: analysis.total,
        non_saturated: analysis.non_saturated,
        avg_spare_kv: analysis.avg_spare_kv,
        avg_spare_queue: analysis.avg_spare_queue,
        should_scale_up: analysis.should_scale_up,
        scale_down_safe: analysis.scale_down_safe,
        targets,
    }
}

fn replica<'a>(replica: &'a CaseReplica<'_>) -> Replica<'a> {
    let CaseReplica { pod, variant, kv, queue, cost, accelerator } = replica;
    // As on collection, where the length of a queue is made a whole number.
    Replica { pod, variant, accelerator, cost: *cost, kv_usage: *kv, queue_length: queue.trunc() }
}

fn state<'a>(state: &'a CaseState<'_>) -> VariantState<'a> {
    let CaseState { variant, current, desired, pending } = state;
    VariantState {
        variant,
        current: *current,
        expected: *current,
        desired: Some(*desired).filter(|desired| *desired > 0),
        pending: u32::try_from((*pending).max(0)).unwrap_or(u32::MAX),
        bounds: Bounds::default(),
        refused: false,
        barred: false,
    }
}
