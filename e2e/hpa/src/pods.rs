//! Metrics of the target's own pods: which of them count, and what they ask for.
//!
//! After `replica_calculator.go` of Kubernetes 1.36.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::metric::{Tolerance, by_pods, ceil, ratio};

/// What an autoscaler has to know of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Name of the pod.
    pub name: String,
    /// Failed, or on its way out: it does not count at all.
    pub is_leaving: bool,
    /// Not started yet.
    pub is_pending: bool,
    /// Since when its status says so.
    pub started: Option<Timestamp>,
    /// Whether it is ready, and since when that holds.
    pub ready: Option<(bool, Timestamp)>,
    /// What its containers request of the resource, in thousandths; an error for one that does not say.
    pub request: Result<i64, String>,
}

/// A value measured of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// In thousandths.
    pub value: i64,
    /// When.
    pub at: Timestamp,
    /// Over which time.
    pub window: Duration,
}

/// How long pods that start are not to be believed: flags of kube-controller-manager.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// `--horizontal-pod-autoscaler-cpu-initialization-period`.
    pub initialization: Duration,
    /// `--horizontal-pod-autoscaler-initial-readiness-delay`.
    pub readiness: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { initialization: Duration::from_mins(5), readiness: Duration::from_secs(30) }
    }
}

/// Why pods ask for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The target has none.
    #[error("no pods returned by selector while calculating replica count")]
    NoPods,
    /// None of them can be believed.
    #[error("did not receive metrics for targeted pods (pods might be unready)")]
    NoMetrics,
    /// A share of what is requested cannot be told.
    #[error("{0}")]
    NoRequest(String),
}

/// The pods of a target, by how far their metrics count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Groups<'a> {
    /// Those that count, with their values in thousandths.
    pub ready: Vec<(&'a Pod, i64)>,
    /// Those that are not ready; on the way up they count as idle.
    pub unready: Vec<&'a Pod>,
    /// Those without a value.
    pub silent: Vec<&'a Pod>,
}

/// Sorts pods. `cpu` says that the metric is processor time, which starting pods use more of than they will.
pub fn group<'a>(
    pods: &'a [Pod],
    samples: &BTreeMap<String, Sample>,
    cpu: bool,
    patience: Patience,
    now: Timestamp,
) -> Groups<'a> {
    let mut groups = Groups::default();
    for pod in pods.iter().filter(|pod| !pod.is_leaving) {
        if pod.is_pending {
            groups.unready.push(pod);
            continue;
        }
        let Some(sample) = samples.get(&pod.name) else {
            groups.silent.push(pod);
            continue;
        };
        if cpu && is_unready(pod, sample, patience, now) {
            groups.unready.push(pod);
        } else {
            groups.ready.push((pod, sample.value));
        }
    }
    groups
}

fn is_unready(pod: &Pod, sample: &Sample, patience: Patience, now: Timestamp) -> bool {
    let (Some(started), Some((ready, since))) = (pod.started, pod.ready) else { return true };
    if started + patience.initialization > now {
        // Until a whole window lies behind the last change, the value tells of both sides of it.
        !ready || sample.at < since + sample.window
    } else {
        // One that never was ready.
        !ready && started + patience.readiness > since
    }
}

/// What a metric of pods asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Replicas.
    pub replicas: i32,
    /// Percent of what is requested, where that is the target.
    pub utilization: Option<i32>,
    /// The mean over the pods that count, in thousandths.
    pub average: i64,
}

/// A mean to reach.
///
/// # Errors
/// When there are no pods, or none counts.
pub fn by_mean(
    current: i32,
    pods: &[Pod],
    groups: &Groups<'_>,
    target_milli: i64,
    tolerance: Tolerance,
) -> Result<Answer, Problem> {
    check(pods, groups)?;
    let values: Vec<i64> = groups.ready.iter().map(|(_, value)| *value).collect();
    let (silent, unready) = (count(groups.silent.len()), count(groups.unready.len()));
    let replicas = by_pods(current, &values, silent, unready, target_milli, tolerance);
    Ok(Answer { replicas, utilization: None, average: mean(&values) })
}

/// A percentage of what the pods request.
///
/// # Errors
/// When there are no pods, none counts, or one does not say what it requests.
pub fn by_utilization(
    current: i32,
    pods: &[Pod],
    groups: &Groups<'_>,
    target_percent: i32,
    tolerance: Tolerance,
) -> Result<Answer, Problem> {
    check(pods, groups)?;
    let request = |pod: &Pod| pod.request.clone().map_err(Problem::NoRequest);
    for pod in pods.iter().filter(|pod| !pod.is_leaving) {
        request(pod)?;
    }
    let values: Vec<i64> = groups.ready.iter().map(|(_, value)| *value).collect();
    let mut used: i64 = values.iter().sum();
    let mut requested = groups.ready.iter().map(|(pod, _)| request(pod)).sum::<Result<i64, Problem>>()?;
    let (seen, utilization) = share(used, requested, target_percent);
    let average = mean(&values);
    let answer = |replicas| Ok(Answer { replicas, utilization: Some(utilization), average });
    let counts_unready = !groups.unready.is_empty() && seen > 1.0;
    if !counts_unready && groups.silent.is_empty() {
        return answer(if tolerance.covers(seen) { current } else { ceil(seen * f64::from(count(values.len()))) });
    }
    let mut number = values.len();
    if utilization != target_percent {
        for pod in &groups.silent {
            // On the way down they may need all they requested, on the way up nothing.
            let share = if seen < 1.0 { i64::from(target_percent.max(100)) } else { 0 };
            used += request(pod)? * share / 100;
            requested += request(pod)?;
            number += 1;
        }
    }
    if counts_unready {
        for pod in &groups.unready {
            requested += request(pod)?;
            number += 1;
        }
    }
    let (careful, _) = share(used, requested, target_percent);
    let turned = (seen < 1.0 && careful > 1.0) || (seen > 1.0 && careful < 1.0);
    if tolerance.covers(careful) || turned {
        return answer(current);
    }
    let wanted = ceil(careful * f64::from(count(number)));
    let backwards = (careful < 1.0 && wanted > current) || (careful > 1.0 && wanted < current);
    answer(if backwards { current } else { wanted })
}

fn check(pods: &[Pod], groups: &Groups<'_>) -> Result<(), Problem> {
    if pods.is_empty() {
        return Err(Problem::NoPods);
    }
    if groups.ready.is_empty() { Err(Problem::NoMetrics) } else { Ok(()) }
}

/// The share in whole percent, and how it stands to the target.
fn share(used: i64, requested: i64, target_percent: i32) -> (f64, i32) {
    let percent = i32::try_from((used * 100).checked_div(requested).unwrap_or_default()).unwrap_or(i32::MAX);
    (ratio(i64::from(percent), i64::from(target_percent)), percent)
}

fn mean(values: &[i64]) -> i64 {
    let number = i64::try_from(values.len()).unwrap_or(i64::MAX);
    values.iter().sum::<i64>().checked_div(number).unwrap_or_default()
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NOW: i64 = 10_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A pod that requests a whole core and has been ready for long; `-` is not ready, `?` reports nothing, `p` is
    /// pending, `x` leaves. What stands before is its use in percent of a core.
    fn population(text: &str) -> (Vec<Pod>, BTreeMap<String, Sample>) {
        let (mut pods, mut samples) = (Vec::new(), BTreeMap::new());
        for (index, word) in text.split_whitespace().enumerate() {
            let name = format!("p{index}");
            let percent: i64 = word.trim_end_matches(['-', '?', 'p', 'x']).parse().unwrap_or_default();
            if !word.ends_with('?') {
                let sample = Sample { value: percent * 10, at: at(NOW - 1), window: Duration::from_secs(15) };
                samples.insert(name.clone(), sample);
            }
            pods.push(Pod {
                name,
                is_leaving: word.ends_with('x'),
                is_pending: word.ends_with('p'),
                started: Some(at(0)),
                ready: Some(if word.ends_with('-') { (false, at(1)) } else { (true, at(5)) }),
                request: Ok(1000),
            });
        }
        (pods, samples)
    }

    fn tolerance() -> Tolerance {
        Tolerance::of(None)
    }

    fn groups<'a>(pods: &'a [Pod], samples: &BTreeMap<String, Sample>) -> Groups<'a> {
        group(pods, samples, true, Patience::default(), at(NOW))
    }

    #[rstest]
    #[case::twice_the_target("60 60 60", 30, 6)]
    #[case::half_the_target("30 30 30 30", 60, 2)]
    #[case::within_the_tolerance("100 110 101", 100, 3)]
    #[case::a_pod_that_starts_is_idle_on_the_way_up("30- 50 70", 30, 3 + 1)]
    #[case::all_but_one_start("40- 50- 70-  90", 30, 4)]
    #[case::it_does_not_count_on_the_way_down("30 30 30 60-", 60, 2)]
    #[case::a_pending_pod_is_idle_too("40p 50 70", 30, 4)]
    #[case::silence_is_idle_on_the_way_up("100 ? ?", 50, 3)]
    #[case::silence_is_full_use_on_the_way_down("10 10 10 10 ?", 50, 3)]
    #[case::silence_may_hold_everything("10 ?", 50, 2)]
    #[case::those_that_leave_do_not_count("60 60 5x", 30, 4)]
    fn a_share_of_the_request_is_followed(#[case] pods: &str, #[case] target: i32, #[case] expected: i32) {
        let current = i32::try_from(pods.split_whitespace().filter(|word| !word.ends_with('x')).count()).unwrap();
        let (pods, samples) = population(pods);
        let answer = by_utilization(current, &pods, &groups(&pods, &samples), target, tolerance());
        assert_eq!(answer.unwrap().replicas, expected);
    }

    #[rstest]
    #[case::up("60 60", 300, 4)]
    #[case::down("20 20 20", 600, 1)]
    #[case::silent_on_target_on_the_way_down("10 10 ?", 400, 2)]
    #[case::silent_and_idle_on_the_way_up("100 ?", 200, 5)]
    fn a_mean_is_followed(#[case] pods: &str, #[case] target: i64, #[case] expected: i32) {
        let current = i32::try_from(pods.split_whitespace().count()).unwrap();
        let (pods, samples) = population(pods);
        let answer = by_mean(current, &pods, &groups(&pods, &samples), target, tolerance()).unwrap();
        assert_eq!(answer.replicas, expected);
        assert_eq!(answer.utilization, None);
    }

    #[test]
    fn what_is_reported_is_the_use_of_those_that_count() {
        let (pods, samples) = population("30 50 90-");
        let answer = by_utilization(3, &pods, &groups(&pods, &samples), 40, tolerance()).unwrap();
        assert_eq!(answer, Answer { replicas: 3, utilization: Some(40), average: 400 });
    }

    #[rstest]
    #[case::young_and_ready_for_a_window(100, (true, 40), true)]
    #[case::young_and_ready_since_a_moment(100, (true, 10), false)]
    #[case::young_and_not_ready(100, (false, 40), false)]
    #[case::old_and_not_ready_since_lately(1000, (false, 20), true)]
    #[case::old_and_never_ready(1000, (false, 990), false)]
    fn a_starting_pod_is_not_believed(#[case] age: i64, #[case] ready: (bool, i64), #[case] counts: bool) {
        let pod = Pod {
            name: "p".to_owned(),
            is_leaving: false,
            is_pending: false,
            started: Some(at(NOW - age)),
            ready: Some((ready.0, at(NOW - ready.1))),
            request: Ok(1000),
        };
        let sample = Sample { value: 1, at: at(NOW - 5), window: Duration::from_secs(15) };
        let samples = BTreeMap::from([("p".to_owned(), sample)]);
        let pods = [pod];
        assert_eq!(groups(&pods, &samples).ready.len() == 1, counts);
        // Memory is what it is from the start.
        assert_eq!(group(&pods, &samples, false, Patience::default(), at(NOW)).ready.len(), 1);
    }

    #[test]
    fn what_is_missing_is_named() {
        let none = Groups::default();
        assert_eq!(by_mean(1, &[], &none, 1, tolerance()), Err(Problem::NoPods));
        let (mut pods, samples) = population("50?");
        assert_eq!(by_mean(1, &pods, &groups(&pods, &samples), 1, tolerance()), Err(Problem::NoMetrics));
        let (more, samples) = population("50");
        pods = more;
        pods[0].request = Err("missing request for cpu in container c of Pod p".to_owned());
        let answer = by_utilization(1, &pods, &groups(&pods, &samples), 50, tolerance()).unwrap_err();
        assert_eq!(answer.to_string(), "missing request for cpu in container c of Pod p");
    }
}
