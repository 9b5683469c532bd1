//! Horizontal pod autoscalers (`autoscaling/v2`).
//!
//! One evaluation reads as: find the target, ask the metrics, let the behaviour rules limit what they want, scale,
//! report. What is said when something is missing is what a Kubernetes 1.36 says.

mod conditions;
mod metrics;
mod target;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, future::join_all};
use jiff::Timestamp;
use k8s_openapi::{
    api::autoscaling::v2::{
        HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus, MetricStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::ResourceExt;

use ::hpa::{Behavior, Bounds, Memory};

use self::{
    conditions::{Conditions, Kind},
    metrics::{Population, Proposal, Question},
    target::{Target, Targets},
};
use super::{Context, pods};
use crate::machinery::{
    events::Recorder,
    failed::Error,
    key::Key,
    status,
    work_queue::{self, Next},
};

/// The source of its events.
const COMPONENT: &str = "horizontal-pod-autoscaler";

/// All autoscalers and what they remember.
struct Autoscalers {
    ctx: Arc<Context>,
    period: Duration,
    recorder: Recorder,
    targets: Targets,
    memories: Mutex<HashMap<Key, (Option<String>, Memory)>>,
}

/// Runs until dropped; each autoscaler is evaluated every `period`, and at once when its spec changes.
pub(super) async fn run(ctx: Arc<Context>, period: Duration) {
    let changed_specs = ctx.hpas.changes().filter_map(|change| async move {
        let spec = |side: &Option<Arc<HorizontalPodAutoscaler>>| side.as_ref().map(|hpa| (hpa.uid(), hpa.spec.clone()));
        (spec(&change.old) != spec(&change.new)).then(|| change.sides().next().map(Key::of)).flatten()
    });
    let triggers = vec![changed_specs.boxed()];
    let recorder = ctx.recorder.named(COMPONENT);
    let all = Autoscalers { ctx, period, recorder, targets: Targets::default(), memories: Mutex::default() };
    work_queue::run("hpa", triggers, |key| all.reconcile(key)).await;
}

/// What one evaluation leads to.
struct Outcome {
    conditions: Conditions,
    current: i32,
    desired: i32,
    metrics: Metrics,
    scaled: bool,
}

/// What is to be said of the metrics.
enum Metrics {
    /// What was said before.
    AsBefore,
    /// Nothing: they were not asked.
    NotAsked,
    /// One for each, in the order of the spec; without anything for one that failed.
    Asked(Vec<MetricStatus>),
}

impl Autoscalers {
    async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(hpa) = self.ctx.hpas.get(&key) else {
            self.memories().remove(&key);
            return Ok(Next::OnChange);
        };
        let Some(spec) = hpa.spec.as_ref() else { return Ok(Next::OnChange) };
        let now = Timestamp::now();
        let outcome = self.evaluate(&key, &hpa, spec, now).await;
        self.report(&hpa, outcome, now).await?;
        Ok(Next::After(self.period))
    }

    fn memories(&self) -> std::sync::MutexGuard<'_, HashMap<Key, (Option<String>, Memory)>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on what is remembered of this very object; one of the same name before it does not count.
    fn with_memory<T>(&self, key: &Key, hpa: &HorizontalPodAutoscaler, work: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memories = self.memories();
        let (uid, memory) = memories.entry(key.clone()).or_default();
        if *uid != hpa.uid() {
            (*uid, *memory) = (hpa.uid(), Memory::default());
        }
        work(memory)
    }

    async fn evaluate(
        &self,
        key: &Key,
        hpa: &HorizontalPodAutoscaler,
        spec: &HorizontalPodAutoscalerSpec,
        now: Timestamp,
    ) -> Outcome {
        let known = hpa.status.as_ref();
        let mut conditions = Conditions::new(known.and_then(|status| status.conditions.as_ref()), now);
        let last_desired = known.map(|status| status.desired_replicas).unwrap_or_default();
        let target = match self.targets.find(&self.ctx.client, &key.namespace, &spec.scale_target_ref).await {
            Ok(target) => target,
            Err(error) => {
                self.recorder.warning(hpa, "FailedGetScale", error.to_string());
                let message = format!("the HPA controller was unable to get the target's current scale: {error}");
                conditions.set(Kind::AbleToScale, false, "FailedGetScale", message);
                let current = known.and_then(|status| status.current_replicas).unwrap_or_default();
                return Outcome {
                    conditions,
                    current,
                    desired: last_desired,
                    metrics: Metrics::AsBefore,
                    scaled: false,
                };
            }
        };
        conditions.set(
            Kind::AbleToScale,
            true,
            "SucceededGetScale",
            "the HPA controller was able to get the target's current scale",
        );
        let bounds = Bounds { min: spec.min_replicas.unwrap_or(1), max: spec.max_replicas };
        let current = target.replicas();
        if current == 0 && bounds.min != 0 {
            let message = "scaling is disabled since the replica count of the target is zero";
            conditions.set(Kind::ScalingActive, false, "ScalingDisabled", message);
            return Outcome { conditions, current, desired: 0, metrics: Metrics::NotAsked, scaled: false };
        }
        let mut metrics = Metrics::NotAsked;
        let (desired, reason) = if current > bounds.max {
            (bounds.max, "Current number of replicas above Spec.MaxReplicas".to_owned())
        } else if current < bounds.min {
            (bounds.min, "Current number of replicas below Spec.MinReplicas".to_owned())
        } else {
            if !target.has_selector() {
                conditions.set(
                    Kind::ScalingActive,
                    false,
                    "InvalidSelector",
                    "the HPA target's scale is missing a selector",
                );
                for reason in ["SelectorRequired", "FailedComputeMetricsReplicas"] {
                    self.recorder.warning(hpa, reason, "selector is required".to_owned());
                }
                return Outcome { conditions, current, desired: last_desired, metrics, scaled: false };
            }
            let answers = self.ask_metrics(hpa, spec, &target, key).await;
            let said = |answer: &Result<Proposal, _>| answer.as_ref().map(|it| it.status.clone()).unwrap_or_default();
            metrics = Metrics::Asked(answers.iter().map(said).collect());
            let (all, failed) = (answers.len(), answers.iter().filter(|answer| answer.is_err()).count());
            let mut failure = None;
            let mut proposals = Vec::new();
            for answer in answers {
                match answer {
                    Ok(proposal) => proposals.push(proposal),
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            let largest = proposals.into_iter().max_by_key(|proposal| proposal.replicas);
            // A metric that fails may want more replicas than those that answer: without it there is no way down.
            let best = largest.filter(|best| failure.is_none() || best.replicas >= current);
            let Some(best) = best else {
                if let Some(error) = failure {
                    let message = format!("the HPA was unable to compute the replica count: {error}");
                    conditions.set(Kind::ScalingActive, false, error.reason(), message);
                    self.recorder.warning(hpa, error.reason(), error.to_string());
                    let first = error.in_full();
                    let message = format!("invalid metrics ({failed} invalid out of {all}), first error is: {first}");
                    self.recorder.warning(hpa, "FailedComputeMetricsReplicas", message);
                }
                return Outcome { conditions, current, desired: last_desired, metrics, scaled: false };
            };
            let message = format!("the HPA was able to successfully calculate a replica count from {}", best.name);
            conditions.set(Kind::ScalingActive, true, "ValidMetricFound", message);
            let behavior = Behavior::of(spec.behavior.as_ref());
            let decision =
                self.with_memory(key, hpa, |memory| behavior.apply(memory, current, best.replicas, bounds, now));
            conditions.stability(decision.stability);
            conditions.limit(decision.limit);
            let reason = if decision.replicas > current {
                format!("{} above target", best.name)
            } else {
                "All metrics below target".to_owned()
            };
            (decision.replicas, reason)
        };
        if desired == current {
            return Outcome { conditions, current, desired, metrics, scaled: false };
        }
        let scaled = self.scale(hpa, &target, desired, &reason, &mut conditions).await;
        if scaled {
            self.with_memory(key, hpa, |memory| memory.scaled(current, desired, now));
        }
        Outcome { conditions, current, desired: if scaled { desired } else { current }, metrics, scaled }
    }

    /// What each of the metrics proposes.
    async fn ask_metrics(
        &self,
        hpa: &HorizontalPodAutoscaler,
        spec: &HorizontalPodAutoscalerSpec,
        target: &Target,
        key: &Key,
    ) -> Vec<Result<Proposal, metrics::Error>> {
        let mut pods = self.ctx.pods.in_namespace(&key.namespace);
        pods.retain(|pod| target.selects(pod));
        let ready = pods.iter().filter(|pod| pods::is_ready(pod)).count();
        let population = Population {
            spec: target.replicas(),
            status: target.reported(),
            ready: i32::try_from(ready).unwrap_or(i32::MAX),
        };
        let (client, targets) = (&self.ctx.client, &self.targets);
        let question = Question { client, targets, hpa, target, pods: &pods, population };
        let listed = spec.metrics.as_deref().unwrap_or_default();
        join_all(listed.iter().map(|metric| question.ask(metric))).await
    }

    async fn scale(
        &self,
        hpa: &HorizontalPodAutoscaler,
        target: &Target,
        desired: i32,
        reason: &str,
        conditions: &mut Conditions,
    ) -> bool {
        match target.set(desired).await {
            Ok(()) => {
                self.recorder.normal(hpa, "SuccessfulRescale", format!("New size: {desired}; reason: {reason}"));
                let message = format!("the HPA controller was able to update the target scale to {desired}");
                conditions.set(Kind::AbleToScale, true, "SucceededRescale", message);
                true
            }
            Err(error) => {
                self.recorder.warning(
                    hpa,
                    "FailedRescale",
                    format!("New size: {desired}; reason: {reason}; error: {error}"),
                );
                let message = format!("the HPA controller was unable to update the target scale: {error}");
                conditions.set(Kind::AbleToScale, false, "FailedUpdateScale", message);
                false
            }
        }
    }

    async fn report(&self, hpa: &HorizontalPodAutoscaler, outcome: Outcome, now: Timestamp) -> Result<(), Error> {
        let Outcome { conditions, current, desired, metrics, scaled } = outcome;
        let known = hpa.status.clone().unwrap_or_default();
        let status = HorizontalPodAutoscalerStatus {
            conditions: Some(conditions.into_list()),
            current_metrics: match metrics {
                Metrics::AsBefore => known.current_metrics,
                Metrics::NotAsked => None,
                Metrics::Asked(said) => Some(said),
            },
            current_replicas: Some(current),
            desired_replicas: desired,
            last_scale_time: if scaled { Some(Time(now)) } else { known.last_scale_time },
            observed_generation: hpa.metadata.generation,
        };
        if hpa.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let updated = HorizontalPodAutoscaler { status: Some(status), ..hpa.clone() };
        let kind = "HorizontalPodAutoscaler";
        status::write(&self.ctx.client, &self.ctx.hpas, kind, hpa, &updated).await.map(drop)
    }
}
