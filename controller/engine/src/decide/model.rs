//! One model: from its readings to a target for each of its variants.

use jiff::Timestamp;

use super::limit::Pools;
use super::rates::Allowance;
use super::readings::Readings;
use super::sizing::{Extent, Measured};
use super::stabilize::stabilize;
use super::view::{Choices, View};
use super::{Decided, idle, rates, sizing, tokens, wake};
use crate::plan::{Evidence, ModelOutcome, Note, Reason, Unsettled};
use crate::proactive::{Forecast, Rates};
use crate::settings::{Analyzer, Lookup, ScaleUpPolicy, ZeroPolicy};
use crate::snapshot::{Model, Source};
use crate::threshold::{self, Analysis, Choice, analyze};
use crate::{Memory, Settings, saturation};

/// What the models of a decision share.
pub(super) struct Shared<'a> {
    /// Free GPUs.
    pub(super) pools: Pools,
    /// Profiles and promises, when the rate of requests has its say.
    pub(super) proactive: Option<Lookup<'a>>,
    /// Rates that were computed already.
    pub(super) rates: Rates,
    /// Whether loads are those of this moment.
    pub(super) momentary: bool,
}

/// Decides for one model.
pub(super) fn decide<'a>(
    model: &'a Model,
    memory: &mut Memory,
    settings: &Settings,
    shared: &mut Shared<'_>,
    now: Timestamp,
) -> (ModelOutcome, Vec<Decided<'a>>) {
    let Shared { pools, proactive, rates: known_rates, momentary } = shared;
    let momentary = *momentary;
    let Model { key, source, demand, variants: _ } = model;
    let mut views = View::all(model, memory, settings, pools, now);
    let active: Vec<_> = views.iter().filter(|view| view.is_active()).collect();
    let quiet_for = idle::watch(model, !active.is_empty(), memory, settings, now);

    let together = active.iter().fold(Readings::default(), |all, view| all.merge(&view.readings));
    let evidence = together.evidence().with(source);
    let analysis = (evidence == Evidence::Complete).then(|| analyze(&together.replicas, settings.thresholds_of(key)));

    // Readings that ought to be there and are not: whatever is done now could be wrong.
    let blind = matches!(source, Source::Failed { .. }) || !together.silent.is_empty();
    let by_tokens = match settings.analyzer.of(key) {
        Analyzer::Saturation(tokens) if analysis.is_some() && !blind => Some(tokens),
        Analyzer::Saturation(_) | Analyzer::Threshold => None,
    };
    let tokens = by_tokens.and_then(|by| {
        tokens::count(&active, demand, memory.capacities(key), settings.thresholds_of(key), by, settings, now)
    });
    let found = Found::of(tokens.as_ref(), analysis.as_ref());
    let uncounted = by_tokens.is_some() && tokens.is_none();
    let by_demand = *settings.scale_up.of(key) == ScaleUpPolicy::Demand;
    let (forecast, missing) = match (proactive, found) {
        // Rates look back, beyond the moment that counts.
        (Some(proactive), Some(_)) if settings.enabled && !blind && !momentary => {
            let (flow, learnt) = memory.flow_and_learnt(key);
            let demand = if by_demand { flow.without_backlog(*demand, now) } else { *demand };
            rates::learn(key, &active, Some(proactive), learnt, settings);
            rates::look(key, &active, &demand, proactive, learnt, known_rates, settings)
                .map_or_else(|why| (None, Some(why)), |it| (Some(it), None))
        }
        _ => (None, None),
    };

    let sizes = settings.enabled && !blind && !momentary && settings.sizes_by_load(key);
    let measured = (found.is_some() && sizes).then(|| {
        let (thresholds, (flow, learnt)) = (settings.thresholds_of(key), memory.flow_and_learnt(key));
        if forecast.is_none() {
            rates::learn(key, &active, None, learnt, settings);
        }
        sizing::measure(&active, demand, (forecast.as_ref(), learnt), thresholds, flow, settings, now)
    });
    let measured = measured.flatten();
    let is_telling = measured.as_ref().is_some_and(Measured::is_telling);
    let again_after = measured.as_ref().filter(|_| by_demand).and_then(Measured::again_after);
    let unmeasured = by_demand && found.is_some() && !is_telling && !momentary;
    let known = measured.as_ref().filter(|_| by_demand);
    let short = reason_to_grow(found, forecast.as_ref()).is_some() || known.is_some_and(Measured::is_short);
    if short {
        views.iter_mut().filter(|view| view.is_active()).for_each(View::while_short);
    }
    let active: Vec<_> = views.iter().filter(|view| view.is_active()).collect();

    let reason = |view: &View<'_>| match (settings.enabled, view.is_active()) {
        (false, _) => Reason::Paused,
        (true, true) => Reason::Held,
        (true, false) => Reason::AtZero,
    };
    let mut choices: Choices<'_> = views.iter().map(|view| view.choice(view.standing.held, reason(view))).collect();
    if settings.enabled && active.is_empty() {
        choices.extend(wake::wake(&views, demand, pools, settings));
    } else if settings.enabled && !blind {
        for view in active.iter().filter(|view| view.standing.dropped.is_some()) {
            memory.forget(&view.key);
        }
        let policy = settings.zero.of(key);
        choices.extend(match found.and_then(|_| idle::put_to_sleep(&active, quiet_for, policy, now)) {
            Some(asleep) => asleep,
            None => serve(&views, found, (forecast.as_ref(), measured.as_ref()), by_demand, momentary, policy, pools),
        });
        // Nobody serves, and nobody will: those that wait at the gateway need another variant.
        let is_hopeless = |view: &&View<'_>| view.readings.ready == 0 && view.standing.state.barred;
        if found.is_none() && active.iter().all(is_hopeless) {
            let woken = wake::waiting(demand, settings);
            choices.extend(woken.and_then(|queued| wake::reserve(&views, Reason::Woken { queued }, pools)));
        }
    }

    let stabilization = settings.stabilization.of(key);
    if stabilization.is_on() && settings.enabled && !blind && found.is_some() {
        for view in &active {
            if let Some(choice) = choices.get_mut(view.name()).filter(|choice| choice.replicas > 0) {
                let history = memory.history(&view.key);
                let replicas = stabilize(choice.replicas, view.standing.held, stabilization, history, now);
                let replicas = view.standing.state.bounds.clamp(replicas).max(1);
                if replicas != choice.replicas {
                    *choice = Choice { replicas, reason: Reason::Stabilized { wanted: choice.replicas } };
                }
            }
        }
    }

    let uneven = analysis.as_ref().and_then(threshold::uneven);
    let decided = views.iter().filter_map(|view| {
        let mut target = view.target(key, choices.remove(view.name())?, source);
        target.notes.extend(notes_of(view));
        target.notes.extend((uncounted && view.is_active()).then_some(Note::TokensNotCounted));
        target.notes.extend((unmeasured && view.is_active()).then_some(Note::LoadNotMeasured));
        let missing = missing.clone().filter(|_| view.is_active());
        target.notes.extend(missing.map(|missing| Note::NoForecast { missing }));
        target.notes.extend(uneven.clone().filter(|_| view.is_active()));
        let spare = found.map_or(0.0, |found| found.spare_of(view.name()));
        Some(Decided { target, variant: view.variant, spare, short })
    });
    let decided = decided.collect();
    (ModelOutcome { key: key.clone(), evidence, analysis, tokens, forecast, again_after }, decided)
}

/// What the variants of a model that serves are to have.
fn serve<'a>(
    views: &[View<'a>],
    found: Option<Found<'_>>,
    (forecast, measured): (Option<&Forecast>, Option<&Measured>),
    by_demand: bool,
    momentary: bool,
    policy: &ZeroPolicy,
    pools: &Pools,
) -> Choices<'a> {
    let active: Vec<_> = views.iter().filter(|view| view.is_active()).collect();
    let mut analysed = found.map(|found| found.choose(&active)).unwrap_or_default();
    for view in &active {
        analysed.entry(view.name()).or_insert_with(|| unanalysed(view));
    }
    if let (Some(found), Some(forecast)) = (found, forecast) {
        analysed = rates::choose(forecast, analysed, found.allowance(), &active);
    }
    // A forecast without demand sizing has its say by itself.
    if let (Some(found), Some(measured)) = (found, measured.filter(|_| by_demand || forecast.is_none())) {
        let extent = if by_demand { Extent::Needed } else { Extent::AtMostNeeded };
        analysed = match found.reason_to_grow() {
            Some(_) => sizing::grow(measured, extent, analysed, &active),
            None if by_demand && measured.is_short() => sizing::grow(measured, extent, analysed, &active),
            None => sizing::shrink(measured, analysed, &active),
        };
    }
    for view in &active {
        if let Some(choice) = analysed.get_mut(view.name()) {
            if momentary {
                give_up_nothing(view, choice);
            }
            stay_published(view, choice);
        }
    }
    let conclude = |view: &&View<'a>| Some((view.name(), view.standing.conclude(analysed.remove(view.name())?)));
    let mut choices: Choices<'_> = active.iter().filter_map(conclude).collect();
    // With a policy, variants sleep because they were idle, not because a person wants them to.
    let settled = || active.iter().all(|view| view.unsettled().is_none());
    let exhausted = active.iter().all(|view| view.is_exhausted())
        && (choices.values().all(|choice| choice.reason == Reason::NoVariantCanGrow) || settled());
    let reason = if policy.enabled && exhausted { reason_to_grow(found, forecast) } else { None };
    if let Some((variant, woken)) = reason.and_then(|reason| wake::reserve(views, reason, pools)) {
        for choice in choices.values_mut() {
            choice.reason = Reason::OtherVariantScalesUp { variant: variant.to_owned() };
        }
        choices.insert(variant, woken);
    }
    choices
}

/// Why a model is short by its analyzer or its forecast; `None` when it is not.
fn reason_to_grow(found: Option<Found<'_>>, forecast: Option<&Forecast>) -> Option<Reason> {
    found.and_then(Found::reason_to_grow).or_else(|| forecast.and_then(rates::reason_to_grow))
}

/// A moment without load may be one between two requests.
fn give_up_nothing(view: &View<'_>, choice: &mut Choice) {
    let state = &view.standing.state;
    let kept = state.desired.unwrap_or(state.current);
    if choice.replicas < kept {
        *choice = Choice { replicas: kept, reason: Reason::NotWatchedYet };
    } else if matches!(choice.reason, Reason::OtherVariantScalesDown { .. }) {
        choice.reason = Reason::NotWatchedYet;
    }
}

/// A growth that nobody carries out stays published: whoever follows may wait for it to last.
fn stay_published(view: &View<'_>, choice: &mut Choice) {
    let current = view.standing.state.current;
    if let Some(desired) = view.standing.unfollowed.filter(|desired| *desired >= choice.replicas) {
        let unsettled = Unsettled::Replicas { desired, current };
        *choice =
            Choice { replicas: desired, reason: Reason::InTransition { variant: view.name().to_owned(), unsettled } };
    }
}

/// What is worth knowing of a variant whatever is decided.
fn notes_of(view: &View<'_>) -> Vec<Note> {
    let Readings { stopped, .. } = &view.readings;
    let taken_back = view.standing.taken_back.map(|published| Note::TakenBack { published });
    let stopped = stopped.first_key_value().map(|(_, obstacle)| Note::PodsStopped {
        pods: u32::try_from(stopped.len()).unwrap_or(u32::MAX),
        obstacle: (*obstacle).clone(),
    });
    taken_back.into_iter().chain(stopped).collect()
}

/// What the analyzer that decides found.
#[derive(Clone, Copy)]
enum Found<'a> {
    Thresholds(&'a Analysis),
    Tokens(&'a saturation::Analysis),
}

impl<'f> Found<'f> {
    fn of(tokens: Option<&'f saturation::Analysis>, analysis: Option<&'f Analysis>) -> Option<Self> {
        tokens.map(Self::Tokens).or_else(|| analysis.map(Self::Thresholds))
    }

    fn choose<'b>(self, active: &[&View<'b>]) -> Choices<'b> {
        match self {
            Self::Thresholds(analysis) => choose(analysis, active),
            Self::Tokens(analysis) => tokens::choose(analysis, active),
        }
    }

    fn reason_to_grow(self) -> Option<Reason> {
        match self {
            Self::Thresholds(analysis) => threshold::reason_to_grow(analysis),
            Self::Tokens(analysis) => tokens::reason_to_grow(analysis),
        }
    }

    /// What may go when fewer requests arrive than the replicas could take.
    fn allowance(&self) -> Allowance<'_> {
        match self {
            Self::Thresholds(analysis) if analysis.scale_down_safe => Allowance::OneReplica,
            Self::Tokens(analysis) if analysis.spare > 0.0 => Allowance::Tokens(analysis),
            Self::Thresholds(_) | Self::Tokens(_) => Allowance::None,
        }
    }

    /// What a variant has to spare; one without readings has nothing.
    fn spare_of(self, variant: &str) -> f64 {
        match self {
            Self::Thresholds(analysis) => {
                analysis.variants.iter().find(|it| it.variant == variant).map_or(0.0, |it| it.avg_spare_kv)
            }
            Self::Tokens(analysis) => {
                analysis.variants.iter().find(|it| it.variant == variant).map_or(0.0, |it| 1.0 - it.utilization)
            }
        }
    }
}

/// Asks the threshold analyzer, unless a variant that it cannot see yet is about to report.
fn choose<'a>(analysis: &Analysis, active: &[&View<'a>]) -> Choices<'a> {
    let settling = active.iter().find(|view| view.readings.replicas.is_empty() && view.readings.settling > 0);
    if let Some(View { standing, .. }) = settling {
        let unsettled = Unsettled::Metrics { reporting: 0, current: standing.state.expected };
        let hold =
            |view: &&View<'a>| (view.name(), threshold::hold(&view.standing.state, standing.state.variant, unsettled));
        return active.iter().map(hold).collect();
    }
    let states: Vec<_> = active.iter().map(|view| view.standing.state).collect();
    let mut targets = threshold::targets(analysis, &states);
    active.iter().filter_map(|view| Some((view.name(), targets.remove(view.name())?))).collect()
}

/// A variant none of whose pods report: it waits for them, and its model does not wait for it.
fn unanalysed(view: &View<'_>) -> Choice {
    let state = &view.standing.state;
    match state.expected {
        0 if state.barred => {
            threshold::hold(state, state.variant, Unsettled::Metrics { reporting: 0, current: state.current })
        }
        0 => Choice { replicas: view.standing.held, reason: Reason::Held },
        current => threshold::hold(state, state.variant, Unsettled::Metrics { reporting: 0, current }),
    }
}
