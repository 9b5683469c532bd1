//! The composition: from a snapshot to a plan.
//!
//! The analyzer answers "how many replicas?" for readings that are complete and a model that is settled. The frame
//! here decides when it may be asked, and what holds otherwise:
//!
//! - a model of which a ready pod has no fresh readings keeps its numbers, and so does one whose metric source failed;
//! - an earlier change blocks its model while it is under way, but not for ever: a published number that nobody
//!   follows is given up after [`Settings::transition_timeout`], a pod that does not become ready is not waited for
//!   after [`Settings::pending_timeout`];
//! - what whoever follows the numbers cannot reach is never published;
//! - a model that is known to be idle is put to sleep if its [policy](Settings::zero) allows, and woken when requests
//!   wait for it;
//! - where a [forecast](Settings::proactive) is wanted, the rate of requests has its say before saturation shows;
//! - what a person has [paused](crate::snapshot::Pause) is held, and the rest of its model is decided around it;
//! - what grows is [limited](Settings::limiter) to the GPUs there are, over all models together.

mod held;
mod idle;
mod limit;
mod model;
mod pause;
mod rates;
mod readings;
mod sizing;
mod stabilize;
mod standing;
mod tokens;
mod view;
mod wake;

use jiff::Timestamp;

use self::limit::{Pools, limit};
use self::model::Shared;
use self::view::View;
use crate::plan::Reason;
use crate::proactive::Rates;
use crate::settings::Lookup;
use crate::snapshot::Variant;
use crate::{Memory, Plan, Settings, Snapshot, Target};

/// Decides replicas for every variant of the snapshot.
///
/// Deterministic: the same arguments give the same plan, in whatever order the snapshot lists its parts. Models influence
/// each other only where they compete for GPUs. `memory` is brought up to date; a fresh one decides the same, with its
/// time-outs started anew.
pub fn decide(snapshot: &Snapshot, memory: &mut Memory, settings: &Settings, now: Timestamp) -> Plan {
    let Snapshot { models, inventory: _, momentary } = snapshot;
    let models: Vec<_> = models.iter().map(|model| pause::fixed(model, now)).collect();
    let proactive = settings.proactive.as_ref().map(Lookup::new);
    let (pools, momentary) = (Pools::of(snapshot, settings), *momentary);
    let mut shared = Shared { pools, proactive, rates: Rates::default(), momentary };
    let (mut outcomes, decided): (Vec<_>, Vec<_>) =
        models.iter().map(|model| model::decide(model, memory, settings, &mut shared, now)).unzip();
    let mut decided: Vec<_> = decided.into_iter().flatten().collect();
    for it in &mut decided {
        pause::apply(it, now);
    }
    limit(&mut decided, shared.pools);
    for it in &mut decided {
        held::note(it, memory, now);
    }

    let mut targets: Vec<_> = decided.into_iter().map(|it| it.target).collect();
    outcomes.sort_by(|a, b| a.key.cmp(&b.key));
    targets.sort_by(|a, b| a.variant.cmp(&b.variant));
    memory.remember(&targets, outcomes.iter().map(|it| &it.key), now);
    Plan { targets, models: outcomes }
}

/// The targets of sleeping models for which requests wait at the gateway, as [`decide()`] gives them: for callers that look
/// at gateways more often than they decide. Only [`Demand::gateway`](crate::snapshot::Demand::gateway) needs to be up to
/// date. Nothing is remembered; the next decision finds what was published in its snapshot.
pub fn wake(snapshot: &Snapshot, memory: &Memory, settings: &Settings, now: Timestamp) -> Vec<Target> {
    if !settings.enabled {
        return Vec::new();
    }
    let pools = Pools::of(snapshot, settings);
    let models: Vec<_> = snapshot.models.iter().map(|model| pause::fixed(model, now)).collect();
    let mut decided = Vec::new();
    for model in &models {
        let views = View::all(model, memory, settings, &pools, now);
        if views.iter().any(View::is_active) {
            continue;
        }
        let mut choices = wake::wake(&views, &model.demand, &pools, settings);
        decided.extend(views.iter().filter_map(|view| {
            let target = view.target(&model.key, choices.remove(view.name())?, &model.source);
            Some(Decided { target, variant: view.variant, spare: 0.0, short: false })
        }));
    }
    limit(&mut decided, pools);
    let mut targets: Vec<_> = decided.into_iter().map(|it| it.target).collect();
    targets.retain(|target| matches!(target.reason, Reason::Woken { .. }));
    targets.sort_by(|a, b| a.variant.cmp(&b.variant));
    targets
}

/// A target that was decided for its model alone.
struct Decided<'a> {
    target: Target,
    variant: &'a Variant,
    /// What the variant has to spare: who has least is served first where GPUs are short.
    spare: f64,
    /// Whether its model is short.
    short: bool,
}
