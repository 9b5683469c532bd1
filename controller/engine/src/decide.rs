//! The composition: from a snapshot to a plan.
//!
//! The analyzer answers "how many replicas?" for readings that are complete and a model that is settled. The frame
//! here decides when it may be asked, and what holds otherwise:
//!
//! - a model of which a ready pod has no fresh readings keeps its numbers, and so does one whose metric source failed;
//! - an earlier change blocks its model while it is under way, but not for ever: a published number that nobody
//!   follows is given up after [`Settings::transition_timeout`], a pod that does not become ready is not waited for
//!   after [`Settings::pending_timeout`];
//! - what whoever follows the numbers cannot reach is never published.

mod readings;
mod standing;

use std::collections::BTreeMap;

use jiff::Timestamp;

use self::readings::Readings;
use self::standing::Standing;
use crate::plan::{Evidence, ModelOutcome, Reason, Unsettled};
use crate::snapshot::{Model, ModelKey, Source, Variant, VariantKey};
use crate::threshold::{self, Choice, analyze};
use crate::{Memory, Plan, Settings, Snapshot, Target};

/// Decides replicas for every variant of the snapshot.
///
/// Deterministic: the same arguments give the same plan, in whatever order the snapshot lists its parts. Models do not
/// influence each other. `memory` is brought up to date; a fresh one decides the same, with its time-outs started anew.
pub fn decide(snapshot: &Snapshot, memory: &mut Memory, settings: &Settings, now: Timestamp) -> Plan {
    let Snapshot { models, inventory: _ } = snapshot;
    let (mut outcomes, targets): (Vec<_>, Vec<_>) =
        models.iter().map(|model| decide_model(model, memory, settings, now)).unzip();
    let mut targets: Vec<_> = targets.into_iter().flatten().collect();
    outcomes.sort_by(|a, b| a.key.cmp(&b.key));
    targets.sort_by(|a, b| a.variant.cmp(&b.variant));
    memory.remember(&targets, now);
    Plan { targets, models: outcomes, wake_after: settings.interval }
}

/// One variant with everything a decision needs to know of it.
struct View<'a> {
    variant: &'a Variant,
    key: VariantKey,
    readings: Readings<'a>,
    standing: Standing<'a>,
}

impl View<'_> {
    /// A workload that asks for no replicas takes no part in the decision.
    fn is_active(&self) -> bool {
        self.variant.spec_replicas > 0
    }
}

fn decide_model(
    model: &Model,
    memory: &mut Memory,
    settings: &Settings,
    now: Timestamp,
) -> (ModelOutcome, Vec<Target>) {
    let Model { key, source, demand: _, variants } = model;
    let views: Vec<_> = variants.iter().map(|variant| view(key, variant, memory, settings, now)).collect();
    let active: Vec<_> = views.iter().filter(|view| view.is_active()).collect();

    let together = active.iter().fold(Readings::default(), |all, view| all.merge(&view.readings));
    let evidence = match source {
        Source::Answered => together.evidence(),
        Source::Failed { message } => Evidence::SourceFailed { message: message.clone() },
    };
    let analysis = (evidence == Evidence::Complete).then(|| analyze(&together.replicas, settings.thresholds_of(key)));

    // Readings that ought to be there and are not: whatever is done now could be wrong.
    let blind = matches!(source, Source::Failed { .. }) || !together.silent.is_empty();
    let mut choices = match &analysis {
        Some(analysis) => choose(analysis, &active),
        None => BTreeMap::new(),
    };
    let mut targets = Vec::with_capacity(views.len());
    for view in &views {
        let held = |reason| Choice { replicas: view.standing.held, reason };
        let choice = if !settings.enabled {
            held(Reason::Paused)
        } else if !view.is_active() {
            held(Reason::AtZero)
        } else if blind {
            held(Reason::Held)
        } else {
            if view.standing.dropped.is_some() {
                memory.forget(&view.key);
            }
            let choice = choices.remove(&view.variant.name).unwrap_or_else(|| unanalysed(view));
            view.standing.conclude(choice)
        };
        targets.push(target(key, view, choice, source));
    }
    (ModelOutcome { key: key.clone(), evidence, analysis }, targets)
}

fn view<'a>(model: &ModelKey, variant: &'a Variant, memory: &Memory, settings: &Settings, now: Timestamp) -> View<'a> {
    let key = VariantKey { namespace: model.namespace.clone(), name: variant.name.clone() };
    let readings = Readings::of(variant, &model.model_id, settings, now);
    let unchanged_for = |target| memory.unchanged_for(&key, target, variant.current, now);
    let timed_out = |target| unchanged_for(target).is_some_and(|time| time >= settings.transition_timeout);
    let standing = Standing::of(variant, &readings, timed_out);
    View { variant, key, readings, standing }
}

/// Asks the analyzer, unless a variant that it cannot see yet is about to report.
fn choose(analysis: &threshold::Analysis, active: &[&View<'_>]) -> BTreeMap<String, Choice> {
    let settling = active.iter().find(|view| view.readings.replicas.is_empty() && view.readings.settling > 0);
    if let Some(View { standing, .. }) = settling {
        let unsettled = Unsettled::Metrics { reporting: 0, current: standing.state.expected };
        let hold = |view: &&View<'_>| {
            let choice = threshold::hold(&view.standing.state, standing.state.variant, unsettled);
            (view.variant.name.clone(), choice)
        };
        return active.iter().map(hold).collect();
    }
    let states: Vec<_> = active.iter().map(|view| view.standing.state).collect();
    threshold::targets(analysis, &states)
}

/// A variant none of whose pods report: it waits for them, and its model does not wait for it.
fn unanalysed(view: &View<'_>) -> Choice {
    let state = &view.standing.state;
    match state.expected {
        0 => Choice { replicas: view.standing.held, reason: Reason::Held },
        current => threshold::hold(state, state.variant, Unsettled::Metrics { reporting: 0, current }),
    }
}

fn target(model: &ModelKey, view: &View<'_>, choice: Choice, source: &Source) -> Target {
    Target {
        variant: view.key.clone(),
        model_id: model.model_id.clone(),
        accelerator: view.variant.accelerator.clone(),
        current: view.variant.current,
        replicas: choice.replicas,
        reason: choice.reason,
        notes: Vec::new(),
        evidence: match source {
            Source::Answered => view.readings.evidence(),
            Source::Failed { message } => Evidence::SourceFailed { message: message.clone() },
        },
    }
}
