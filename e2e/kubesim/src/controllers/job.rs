//! Jobs: pods that run to their end, as many as asked for, and again where they fail.
//!
//! Indexed completion, success and failure policies, and suspension of what already runs are left out: what they change
//! is written in the object, and nobody acts on it.

use std::sync::Arc;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobCondition, JobStatus, UncountedTerminatedPods},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{Api, ResourceExt, api::DeleteParams};

use super::{Context, members, pods};
use crate::machinery::{
    failed::Error,
    key::Key,
    owner, status,
    work_queue::{self, Next},
};

/// The source of its events.
const COMPONENT: &str = "job-controller";

/// Failures that a job survives unless it says otherwise.
const BACKOFF_LIMIT: i32 = 6;

/// Runs until dropped.
pub(super) async fn run(ctx: Arc<Context>) {
    let of_pods = ctx.pods.changes().flat_map(|change| stream::iter(owner::controller_keys(&change, "Job")));
    let triggers = vec![ctx.jobs.keys().boxed(), of_pods.boxed()];
    work_queue::run("job", triggers, |key| reconcile(Arc::clone(&ctx), key)).await;
}

/// How far a Job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tally {
    active: i32,
    succeeded: i32,
    failed: i32,
}

impl Tally {
    fn of(pods: &[Arc<Pod>]) -> Self {
        let count = |wanted: &dyn Fn(&Pod) -> bool| {
            i32::try_from(pods.iter().filter(|pod| wanted(pod)).count()).unwrap_or(i32::MAX)
        };
        Self {
            active: count(&|pod| pods::is_active(pod)),
            succeeded: count(&|pod| pods::phase(pod) == "Succeeded"),
            failed: count(&|pod| pods::phase(pod) == "Failed"),
        }
    }
}

/// What a Job needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// This many more pods.
    Run(i32),
    Complete,
    Failed(&'static str, &'static str),
}

fn verdict(job: &Job, tally: Tally, now: Timestamp) -> Verdict {
    let spec = job.spec.clone().unwrap_or_default();
    let parallelism = spec.parallelism.unwrap_or(1);
    if tally.failed > spec.backoff_limit.unwrap_or(BACKOFF_LIMIT) {
        return Verdict::Failed("BackoffLimitExceeded", "Job has reached the specified backoff limit");
    }
    let started = job.status.as_ref().and_then(|status| status.start_time.as_ref());
    let late = |limit: i64| started.is_some_and(|started| now.as_second() - started.0.as_second() >= limit);
    if spec.active_deadline_seconds.is_some_and(late) {
        return Verdict::Failed("DeadlineExceeded", "Job was active longer than specified deadline");
    }
    let wanted = match spec.completions {
        Some(completions) if tally.succeeded >= completions => return Verdict::Complete,
        Some(completions) => parallelism.min(completions - tally.succeeded),
        // One that succeeds says that the work is done; the others finish theirs.
        None if tally.succeeded > 0 && tally.active == 0 => return Verdict::Complete,
        None if tally.succeeded > 0 => 0,
        None => parallelism,
    };
    Verdict::Run(if spec.suspend == Some(true) { 0 } else { (wanted - tally.active).max(0) })
}

async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Next, Error> {
    let Some(job) = ctx.jobs.get(&key) else { return Ok(Next::OnChange) };
    let over = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let over = over.into_iter().any(|condition| condition.status == "True" && is_end(&condition.type_));
    if job.metadata.deletion_timestamp.is_some() || over {
        return Ok(Next::OnChange);
    }
    let mine = |pod: &Arc<Pod>| owner::is_controlled_by(&pod.metadata, job.uid().as_deref());
    let members: Vec<Arc<Pod>> = ctx.pods.in_namespace(&key.namespace).into_iter().filter(mine).collect();
    let mut tally = Tally::of(&members);
    let verdict = verdict(&job, tally, Timestamp::now());
    match &verdict {
        Verdict::Run(more) => {
            for _ in 0..*more {
                create_pod(&ctx, &key, &job).await?;
                tally.active += 1;
            }
        }
        Verdict::Complete | Verdict::Failed(..) => {
            for pod in members.iter().filter(|pod| pods::is_active(pod)) {
                delete_pod(&ctx, &key, pod).await?;
            }
            tally.active = 0;
        }
    }
    // What is suspended has not begun.
    if job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true)) && members.is_empty() {
        return Ok(Next::OnChange);
    }
    report(&ctx, &job, tally, &verdict).await?;
    Ok(Next::OnChange)
}

fn is_end(condition: &str) -> bool {
    matches!(condition, "Complete" | "Failed")
}

async fn create_pod(ctx: &Context, key: &Key, job: &Job) -> Result<(), Error> {
    let template = job.spec.clone().unwrap_or_default().template;
    members::create_pod(ctx, COMPONENT, job, key, template).await.map_err(Error::doing("creating a pod of", "Job", key))
}

async fn delete_pod(ctx: &Context, key: &Key, pod: &Pod) -> Result<(), Error> {
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &key.namespace);
    match api.delete(&pod.name_any(), &DeleteParams::background()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(Error::doing("deleting a pod of", "Job", key)(error)),
    }
}

async fn report(ctx: &Context, job: &Job, tally: Tally, verdict: &Verdict) -> Result<(), Error> {
    let known = job.status.clone().unwrap_or_default();
    let second = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    let now = Time(second);
    let count = |number: i32| (number > 0).then_some(number);
    let condition = |kind: &str, reason: &str, message: &str| JobCondition {
        type_: kind.to_owned(),
        status: "True".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(now.clone()),
        last_transition_time: Some(now.clone()),
    };
    let mut status = JobStatus {
        active: count(tally.active),
        succeeded: count(tally.succeeded),
        failed: count(tally.failed),
        ready: Some(0),
        start_time: known.start_time.clone().or_else(|| Some(now.clone())),
        uncounted_terminated_pods: Some(UncountedTerminatedPods::default()),
        terminating: Some(0),
        ..known.clone()
    };
    match verdict {
        Verdict::Run(_) => {}
        Verdict::Complete => {
            let message = "Reached expected number of succeeded pods";
            status.completion_time = Some(now.clone());
            status.conditions.get_or_insert_default().push(condition("Complete", "CompletionsReached", message));
            ctx.recorder.named(COMPONENT).normal(job, "Completed", "Job completed");
        }
        Verdict::Failed(reason, message) => {
            status.conditions.get_or_insert_default().push(condition("Failed", reason, message));
            ctx.recorder.named(COMPONENT).warning(job, reason, *message);
        }
    }
    if status == known {
        return Ok(());
    }
    let updated = Job { status: Some(status), ..job.clone() };
    status::write(&ctx.client, &ctx.jobs, "Job", job, &updated).await.map(drop)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::first(json!({"completions": 1, "parallelism": 1}), (0, 0, 0), Verdict::Run(1))]
    #[case::running(json!({"completions": 1, "parallelism": 1}), (1, 0, 0), Verdict::Run(0))]
    #[case::again(json!({"completions": 1, "parallelism": 1}), (0, 0, 1), Verdict::Run(1))]
    #[case::done(json!({"completions": 1, "parallelism": 1}), (0, 1, 0), Verdict::Complete)]
    #[case::few_left(json!({"completions": 3, "parallelism": 2}), (0, 2, 0), Verdict::Run(1))]
    #[case::suspended(json!({"completions": 1, "suspend": true}), (0, 0, 0), Verdict::Run(0))]
    #[case::any_will_do(json!({"parallelism": 2}), (1, 1, 0), Verdict::Run(0))]
    #[case::hopeless(json!({"completions": 1, "backoffLimit": 0}), (0, 0, 1),
        Verdict::Failed("BackoffLimitExceeded", "Job has reached the specified backoff limit"))]
    fn a_job_runs_until_enough_succeeded(
        #[case] mut spec: Value,
        #[case] (active, succeeded, failed): (i32, i32, i32),
        #[case] expected: Verdict,
    ) {
        spec["template"] = json!({});
        let job: Job = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
        assert_eq!(verdict(&job, Tally { active, succeeded, failed }, Timestamp::UNIX_EPOCH), expected);
    }
}
