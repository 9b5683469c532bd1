//! WVA: the real engine, woken by its interval and by its early trigger.

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscalerBehavior};
use wva_engine::snapshot::{self, Autoscaler as Observed, Change, ScalingPolicy, ScalingRules};
use wva_engine::{Memory, QuietLimits, Settings, decide};

use super::early::{self, Early};
use super::follower::{Follower, Hpas, date};
use super::{Act, Autoscaler, View, observe};
use crate::number::seconds;

/// Pause between two looks at the queue of the gateway.
const GATEWAY_EVERY: Duration = Duration::from_secs(2);

/// The controller and whoever follows it.
#[derive(Debug)]
pub(super) struct Wva {
    settings: Settings,
    memory: Memory,
    interval: Duration,
    next_cycle: Duration,
    /// The early trigger and its next look, unless it is off.
    early: Option<(Early, Duration)>,
    follower: Option<Hpas>,
    /// The last look at the queue of the gateway.
    looked: observe::Looked,
    /// What the follower's objects say of it.
    observed: Option<Observed>,
    /// What was published when.
    published: Vec<(Duration, Vec<u32>)>,
}

impl Wva {
    pub(super) fn new(settings: Settings, early: bool, follower: &Follower, view: &View<'_>) -> Self {
        let variants = view.scenario.variants.len();
        let (follower, observed) = match follower {
            Follower::AtOnce => (None, None),
            Follower::Hpa { behavior, sync_seconds } => {
                let behavior = behavior.as_deref();
                (Some(Hpas::new(behavior, *sync_seconds, variants)), Some(observed(behavior)))
            }
        };
        let interval = view.scenario.interval_seconds;
        let settings = Settings {
            interval: SignedDuration::try_from_secs_f64(interval).unwrap_or(SignedDuration::from_mins(1)),
            ..settings
        };
        Self {
            settings,
            memory: Memory::default(),
            interval: seconds(interval),
            next_cycle: Duration::ZERO,
            early: early.then(|| (Early::default(), early::PAUSE)),
            follower,
            looked: (Duration::ZERO, 0),
            observed,
            published: Vec::new(),
        }
    }

    fn cycle(&mut self, view: &View<'_>) -> Act {
        self.next_cycle = view.now + self.interval;
        let last = self.published.last().map(|(_, replicas)| replicas.as_slice());
        let last: Vec<_> = match last {
            Some(replicas) => replicas.iter().copied().map(Some).collect(),
            None => vec![None; view.scenario.variants.len()],
        };
        let snapshot = observe::snapshot(view, &last, self.looked, self.observed.as_ref());
        let plan = decide(&snapshot, &mut self.memory, &self.settings, date(view.now));
        if let Some(again) = plan.again_after().and_then(|again| Duration::try_from(again).ok()) {
            self.next_cycle = self.next_cycle.min(view.now + again);
        }
        let target = |name: &str| plan.targets.iter().find(|target| target.variant.name == name);
        let targets: Vec<_> = view.scenario.variants.iter().map(|variant| target(&variant.name)).collect();
        let wanted: Vec<u32> = targets.iter().map(|target| target.map_or(0, |target| target.replicas)).collect();
        let reasons = targets.iter().map(|it| it.map(wva_engine::Target::explanation).unwrap_or_default()).collect();
        let scale = match self.follower {
            None => wanted.iter().copied().enumerate().collect(),
            Some(_) => Vec::new(),
        };
        self.published.push((view.now, wanted.clone()));
        Act { scale, wanted: Some(wanted), reasons }
    }

    /// What was published of a variant at a moment.
    fn published_at(published: &[(Duration, Vec<u32>)], moment: Duration, variant: usize) -> Option<u32> {
        let (_, replicas) = published.iter().rev().find(|(at, _)| *at <= moment)?;
        replicas.get(variant).copied()
    }
}

impl Autoscaler for Wva {
    fn next(&self) -> Option<Duration> {
        let follower = self.follower.as_ref().map(|hpas| hpas.next);
        let early = self.early.as_ref().map(|(_, next)| *next);
        [Some(self.next_cycle), follower, early].into_iter().flatten().min()
    }

    fn act(&mut self, view: &View<'_>) -> Act {
        if view.now >= self.looked.0 + GATEWAY_EVERY {
            self.looked = (view.now, view.fleet.at_gateway());
        }
        let mut is_early = false;
        if let Some((early, next)) = self.early.as_mut().filter(|(_, next)| *next <= view.now) {
            *next = view.now + early::PAUSE;
            is_early = !self.published.is_empty() && early.look(view, &QuietLimits::of(&self.settings, &self.memory));
        }
        let mut act = if is_early || self.next_cycle <= view.now { self.cycle(view) } else { Act::default() };
        if let Some(hpas) = self.follower.as_mut().filter(|hpas| hpas.next <= view.now) {
            let published = &self.published;
            act.scale = hpas.evaluate(view, |at, variant| Self::published_at(published, at, variant));
        }
        act
    }
}

/// What an HPA's object says to the engine.
fn observed(behavior: Option<&HorizontalPodAutoscalerBehavior>) -> Observed {
    let rules = |of: Option<&HPAScalingRules>, default: ScalingRules| {
        let Some(of) = of else { return default };
        let policies = of.policies.as_ref().filter(|policies| !policies.is_empty());
        let policies = policies.map(|policies| {
            let policy = |it: &k8s_openapi::api::autoscaling::v2::HPAScalingPolicy| {
                let value = u32::try_from(it.value).unwrap_or(0);
                let change = if it.type_ == "Percent" { Change::Percent(value) } else { Change::Pods(value) };
                ScalingPolicy { change, period_seconds: u32::try_from(it.period_seconds).unwrap_or(0) }
            };
            policies.iter().map(policy).collect()
        });
        let window = of.stabilization_window_seconds.and_then(|window| u32::try_from(window).ok());
        let tolerance = of.tolerance.as_ref().and_then(|it| hpa::quantity::milli(it).ok());
        #[expect(clippy::cast_precision_loss, reason = "tolerances are small numbers")]
        let tolerance = tolerance.map(|milli| milli as f64 / 1000.0);
        ScalingRules {
            window_seconds: window.unwrap_or(default.window_seconds),
            tolerance: tolerance.unwrap_or(default.tolerance),
            disabled: of.select_policy.as_deref() == Some("Disabled"),
            smallest: of.select_policy.as_deref() == Some("Min"),
            policies: policies.unwrap_or(default.policies),
        }
    };
    Observed {
        kind: "HorizontalPodAutoscaler".to_owned(),
        name: "follower".to_owned(),
        follows: true,
        up: rules(behavior.and_then(|it| it.scale_up.as_ref()), ScalingRules::up()),
        down: rules(behavior.and_then(|it| it.scale_down.as_ref()), ScalingRules::down()),
        ..snapshot::Autoscaler::default()
    }
}

/// That of a chart of the Go version: windows of four minutes both ways, ten pods in two and a half.
pub(super) fn four_minutes() -> HorizontalPodAutoscalerBehavior {
    use k8s_openapi::api::autoscaling::v2::HPAScalingPolicy;
    let rules = || HPAScalingRules {
        stabilization_window_seconds: Some(240),
        policies: Some(vec![HPAScalingPolicy { type_: "Pods".to_owned(), value: 10, period_seconds: 150 }]),
        ..HPAScalingRules::default()
    };
    HorizontalPodAutoscalerBehavior { scale_up: Some(rules()), scale_down: Some(rules()) }
}
