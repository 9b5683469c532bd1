//! The frame around the `saturation` analyzer: what it may see, and how far it may go at once.
//!
//! It counts replicas on their way as capacity, so a model that is short may grow while an earlier change is under way;
//! it shrinks only when it is settled. In one cycle a variant at most doubles and at most halves, and keeps a replica.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::readings::fresh;
use super::view::{Choices, View};
use crate::number::{float, truncate};
use crate::plan::Reason;
use crate::saturation::{
    Analysis, AtGateway, Candidate, Capacities, Guards, ReplicaLoad, VariantLoad, analyze, optimize,
};
use crate::settings::{Settings, Thresholds, TokenThresholds};
use crate::snapshot::{Demand, Gateway, Tokens};
use crate::threshold::{self, Choice, Replica};

/// Counts the tokens of a model all of whose ready pods report. `None` when a pod does not say what its KV cache holds, and
/// nothing else does: a load that cannot be measured is not none.
pub(super) fn count(
    active: &[&View<'_>],
    demand: &Demand,
    capacities: &mut Capacities,
    thresholds: &Thresholds,
    tokens: &TokenThresholds,
    settings: &Settings,
    now: Timestamp,
) -> Option<Analysis> {
    let usable = |reading| fresh(reading, settings).map_or(0.0, |it| it.value);
    let inputs = active.iter().flat_map(|view| &view.readings.tokens).map(|it| usable(it.avg_input));
    let usual_input = mean(inputs.filter(|it| *it > 0.0).collect());

    let mut uncounted = false;
    let mut loads = Vec::with_capacity(active.len());
    for view in active {
        let usual_cache = usual_cache(view, capacities);
        let mut replicas = Vec::with_capacity(view.readings.replicas.len());
        for (replica, tokens) in view.readings.replicas.iter().zip(&view.readings.tokens) {
            let Replica { pod, kv_usage, queue_length, .. } = *replica;
            let kv_tokens = cache(tokens).or(usual_cache)?;
            // Of a pod with several engines, the replica shows the fullest.
            let in_use = tokens.kv_in_use.filter(|it| it.is_finite()).unwrap_or(kv_usage * float(kv_tokens));
            let queue_length = tokens.queued.filter(|it| it.is_finite() && *it >= queue_length).unwrap_or(queue_length);
            let own_input = usable(tokens.avg_input);
            let avg_input = if own_input == 0.0 && queue_length > 0.0 { usual_input } else { own_input };
            uncounted |= avg_input == 0.0 && queue_length > 0.0;
            replicas.push(ReplicaLoad {
                pod,
                engines: tokens.engines,
                kv_tokens,
                tokens_in_use: truncate(in_use.round()).clamp(0, kv_tokens),
                queue_length: truncate(queue_length),
                avg_input,
                avg_output: usable(tokens.avg_output),
            });
        }
        loads.push(VariantLoad { replicas, ..load_of(view) });
    }
    let settled = active.iter().all(|view| view.unsettled().is_none());
    let guards = if settled { Guards::SETTLED } else { Guards::UNSETTLED };
    let requests = match demand.gateway {
        Gateway::Queued(queued) => usable(Some(queued)),
        Gateway::None | Gateway::Unknown => 0.0,
    };
    let gateway = AtGateway { requests, ..AtGateway::default() };
    let mut analysis = analyze(&loads, capacities, thresholds, tokens, gateway, guards, now);
    if uncounted {
        // Requests wait, and nobody knows how long their prompts are.
        analysis.spare = 0.0;
    }
    Some(analysis)
}

/// 0 of none. Summed in order of size, so that the order of the readings does not matter.
pub(super) fn mean(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match u32::try_from(values.len()) {
        Ok(0) | Err(_) => 0.0,
        Ok(count) => values.iter().sum::<f64>() / f64::from(count),
    }
}

fn load_of<'a>(view: &View<'a>) -> VariantLoad<'a> {
    let ready = view.readings.ready;
    VariantLoad {
        variant: view.name(),
        accelerator: &view.variant.accelerator,
        gpus_per_replica: view.variant.gpus_per_replica.max(1),
        server: view.variant.server.as_ref(),
        ready: ready.min(view.standing.state.current),
        pending: view.standing.state.pending,
        replicas: Vec::new(),
    }
}

/// Tokens that fit into the KV cache of a variant's replicas, for those that do not say so.
fn usual_cache(view: &View<'_>, capacities: &Capacities) -> Option<i64> {
    let of_sibling = view.readings.tokens.iter().filter_map(cache).min();
    let of_arguments = || view.variant.server.as_ref().and_then(crate::vllm::ServerArguments::fixed_kv_capacity);
    of_sibling.or_else(of_arguments).or_else(|| Some(capacities.of_variant_load(&load_of(view))?.kv_tokens))
}

pub(super) fn cache(tokens: &Tokens) -> Option<i64> {
    Some(i64::try_from(tokens.kv_capacity()?).unwrap_or(i64::MAX))
}

/// What the running variants are to have.
pub(super) fn choose<'a>(analysis: &Analysis, active: &[&View<'a>]) -> Choices<'a> {
    let unsettled = active.iter().find_map(|view| Some((view.name(), view.unsettled()?)));
    let spare = match unsettled {
        Some((blocker, unsettled)) if analysis.required <= 0.0 => {
            let hold = |view: &&View<'a>| {
                let (blocker, unsettled) = view.unsettled().map_or((blocker, unsettled), |own| (view.name(), own));
                (view.name(), threshold::hold(&view.standing.state, blocker, unsettled))
            };
            return active.iter().map(hold).collect();
        }
        Some(_) => 0.0,
        None => analysis.spare,
    };
    let per_replica = |variant: &str| {
        let of_variant = analysis.variants.iter().find(|it| it.variant == variant);
        of_variant.map_or(0, |it| it.per_replica)
    };
    // What is on its way has not been seen to be too little: only what serves is doubled.
    let serving = |view: &View<'_>| view.standing.state.current.min(view.readings.ready);
    let doubled = |view: &&View<'a>| {
        let candidate = candidate(view, float(per_replica(view.name())));
        let ceiling = serving(view).saturating_mul(2).max(candidate.current);
        Candidate { ceiling: candidate.ceiling.min(ceiling), ..candidate }
    };
    let candidates: Vec<_> = active.iter().map(doubled).collect();
    let targets = place(&candidates, active, analysis.required, spare);
    let mover = candidates.iter().find(|it| targets.get(it.variant).is_some_and(|target| *target != it.current));
    let otherwise = match mover.map(|it| it.variant.to_owned()) {
        Some(variant) if analysis.required > 0.0 => Reason::OtherVariantScalesUp { variant },
        Some(variant) => Reason::OtherVariantScalesDown { variant },
        None if analysis.required > 0.0 => Reason::NoVariantCanGrow,
        None => Reason::Steady,
    };
    let choice = |(view, candidate): (&&View<'a>, &Candidate<'_>)| {
        let target = targets.get(candidate.variant).copied().unwrap_or(candidate.current);
        let per_replica = per_replica(candidate.variant);
        let reason = match target.cmp(&candidate.current) {
            Ordering::Greater => reason_to_grow(analysis),
            Ordering::Less => {
                let Analysis { supply, demand, spare, .. } = *analysis;
                Some(Reason::TokensToSpare { demand, supply, spare, per_replica })
            }
            Ordering::Equal => None,
        };
        // What is on its way stays so while the model is short.
        let coming = view.standing.state.desired.unwrap_or(0);
        let replicas = if analysis.required > 0.0 { target.max(coming) } else { target };
        (view.name(), Choice { replicas, reason: reason.unwrap_or_else(|| otherwise.clone()) })
    };
    active.iter().zip(&candidates).map(choice).collect()
}

/// Why a variant of the model grows; `None` unless the model needs capacity.
pub(super) fn reason_to_grow(analysis: &Analysis) -> Option<Reason> {
    let Analysis { anticipated, demand, required, .. } = *analysis;
    (required > 0.0).then_some(Reason::TokensShort { demand, anticipated, required })
}

/// Replicas for every candidate, the variants in the same order. They grow where there are GPUs for it first; what is needed
/// beyond these is asked for all the same, so that it is seen to be missing.
pub(super) fn place<'a>(
    candidates: &[Candidate<'a>],
    active: &[&View<'a>],
    required: f64,
    spare: f64,
) -> BTreeMap<&'a str, u32> {
    let within = |(it, view): (&Candidate<'a>, &&View<'a>)| Candidate {
        ceiling: it.ceiling.min(view.room().max(it.current)),
        ..*it
    };
    let fitting: Vec<_> = candidates.iter().zip(active).map(within).collect();
    let targets = optimize(&fitting, required, spare);
    let target = |it: &Candidate<'_>| targets.get(it.variant).copied().unwrap_or(it.current);
    let given: f64 =
        candidates.iter().map(|it| f64::from(target(it).saturating_sub(it.current)) * it.per_replica).sum();
    if required <= given {
        return targets;
    }
    let beyond: Vec<_> = candidates.iter().map(|it| Candidate { current: target(it), ..*it }).collect();
    optimize(&beyond, required - given, 0.0)
}

/// How far a variant may go in one cycle, one replica of which has room for so much.
pub(super) fn candidate<'a>(view: &View<'a>, per_replica: f64) -> Candidate<'a> {
    let state = &view.standing.state;
    let (current, bounds) = (state.current, state.bounds);
    let reporting = u32::try_from(view.readings.replicas.len()).unwrap_or(u32::MAX);
    // One replica stays to serve: what a workload counts besides may be pods that do not.
    let may_go = (current / 2).max(1).min(reporting.saturating_sub(1));
    let doubled = current.saturating_add(current.max(1));
    Candidate {
        floor: current.saturating_sub(may_go).max(bounds.min.unwrap_or(1)).max(1),
        ceiling: if state.barred { current } else { doubled.min(bounds.max.unwrap_or(u32::MAX)) },
        refused: state.refused,
        ..Candidate::new(view.name(), view.variant.cost, per_replica, current)
    }
}

/// Variants that do not move name one that does. The analyzer may have named another before the rate of requests had its say.
pub(super) fn name_movers<'a>(mut choices: Choices<'a>, candidates: &[Candidate<'_>]) -> Choices<'a> {
    let mover = |direction: Ordering| {
        let moves = |it: &&Candidate<'_>| {
            choices.get(it.variant).is_some_and(|choice| choice.replicas.cmp(&it.current) == direction)
        };
        candidates.iter().find(moves).map(|it| it.variant.to_owned())
    };
    let (up, down) = (mover(Ordering::Greater), mover(Ordering::Less));
    for it in candidates {
        let Some(choice) = choices.get_mut(it.variant).filter(|choice| choice.replicas == it.current) else { continue };
        choice.reason = match (&choice.reason, &up, &down) {
            (
                Reason::Steady
                | Reason::NoVariantCanGrow
                | Reason::OtherVariantScalesUp { .. }
                | Reason::OtherVariantScalesDown { .. },
                Some(variant),
                _,
            ) => Reason::OtherVariantScalesUp { variant: variant.clone() },
            (Reason::Steady | Reason::OtherVariantScalesDown { .. }, None, Some(variant)) => {
                Reason::OtherVariantScalesDown { variant: variant.clone() }
            }
            (Reason::OtherVariantScalesUp { .. } | Reason::OtherVariantScalesDown { .. }, None, _) => Reason::Steady,
            _ => continue,
        };
    }
    choices
}
