//! At which rate requests arrive at each pod, and by that for each model.
//!
//! What arrives is either done or still there: the rate of requests that ended, those whose clients gave up among them, and the
//! growth of the number of those that are computed or wait, which is below 0 while a backlog is worked off. Growth is summed over the pods of a model before it counts, those that have just gone among
//! them: else a pod that goes would take its share of the requests out of the sum before the others show theirs.

use std::time::Duration;

use wva_api::metrics::{VLLM_REQUEST_SUCCESS_TOTAL, VLLM_REQUESTS_RUNNING, VLLM_REQUESTS_WAITING};

use super::response::Sample;
use super::selector::Selector;
use super::series::{OfPods, of_pods, of_reasons, sum_of_reasons};
use crate::cluster::index::ObjectKey;
use crate::observe::members::Member;

/// Label that tells the two moments apart at which requests are counted.
const MOMENT: &str = "wva_moment";

/// The queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrivalQueries {
    /// Requests that ended per second, by pod and model, and of these the ones whose clients gave up.
    pub completed: String,
    /// Requests in each pod, now and at the start of the window, and those that wait now.
    pub present: String,
}

impl ArrivalQueries {
    /// Queries over a look-back of `window`. A counter must have been scraped twice in it.
    pub fn new(selector: &Selector, window: Duration) -> Self {
        let seconds = window.as_secs();
        let (running, waiting) = (selector.of(VLLM_REQUESTS_RUNNING), selector.of(VLLM_REQUESTS_WAITING));
        let completed = selector.of(VLLM_REQUEST_SUCCESS_TOTAL);
        let named = |moment: &str, query: &str| format!(r#"label_replace({query}, "{MOMENT}", "{moment}", "", "")"#);
        let at = |moment: &str, offset: &str| {
            let both =
                format!("{} + {}", of_pods(&format!("{running}{offset}")), of_pods(&format!("{waiting}{offset}")));
            named(moment, &both)
        };
        let ended = |series: &str| sum_of_reasons(&of_reasons(&format!("rate({series}[{seconds}s])")));
        let aborted = selector.with(VLLM_REQUEST_SUCCESS_TOTAL, &[r#"finished_reason="abort""#]);
        let (now, before) = (at("now", ""), at("before", &format!(" offset {seconds}s")));
        Self {
            completed: format!("{} or {}", ended(&completed), named("aborted", &ended(&aborted))),
            present: format!("{now} or {before} or {}", named("waiting", &of_pods(&waiting))),
        }
    }
}

/// What arrives at pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrivals {
    ended: OfPods,
    aborted: OfPods,
    now: OfPods,
    before: OfPods,
    waiting: OfPods,
    seconds: f64,
}

impl Arrivals {
    /// Puts the answers together.
    pub fn read(completed: &[Sample], present: &[Sample], window: Duration) -> Self {
        let named = |samples: &[Sample], moment: &str| {
            OfPods::read(samples.iter().filter(|sample| sample.label(MOMENT).unwrap_or_default() == moment))
        };
        Self {
            ended: named(completed, ""),
            aborted: named(completed, "aborted"),
            now: named(present, "now"),
            before: named(present, "before"),
            waiting: named(present, "waiting"),
            seconds: window.as_secs_f64().max(1.0),
        }
    }

    /// Requests a pod completes per second, without those whose clients gave up: these say nothing of what it can take.
    pub fn completions(&self, pod: &ObjectKey, model: &str) -> Option<f64> {
        Some((self.ended.of(pod, model)? - self.aborted.of(pod, model).unwrap_or_default()).max(0.0))
    }

    /// Requests that wait in a pod now.
    pub fn waiting(&self, pod: &ObjectKey, model: &str) -> Option<f64> {
        self.waiting.of(pod, model)
    }

    /// Requests in a pod now: those that it computes and those that wait.
    pub fn present(&self, pod: &ObjectKey, model: &str) -> Option<f64> {
        self.now.of(pod, model)
    }

    /// Requests that arrive at a pod per second; `None` unless it is known how many it is done with.
    pub fn at(&self, member: Member<'_>, model: &str) -> Option<f64> {
        let ended = self.ended.of(member.pod, model)?;
        Some((ended + self.growth(member, model)).max(0.0))
    }

    /// Requests that arrive per second at the pods of a model. Without a rate of completed requests nothing is known.
    pub fn over<'a>(&self, members: impl Iterator<Item = Member<'a>>, model: &str) -> Option<f64> {
        let (mut ended, mut growth) = (None, 0.0);
        for member in members {
            growth += self.growth(member, model);
            if let Some(rate) = self.ended.of(member.pod, model) {
                ended = Some(ended.unwrap_or(0.0) + rate);
            }
        }
        Some(f64::max(ended? + growth, 0.0))
    }

    /// Requests per second by which those in a pod become more, or fewer. A pod had none before it was there, and has none
    /// any more when it is gone; one that was there and was not scraped may have had them all along.
    fn growth(&self, member: Member<'_>, model: &str) -> f64 {
        let (now, before) = (self.now.of(member.pod, model), self.before.of(member.pod, model));
        let growth = match (now, before) {
            (Some(now), Some(before)) => now - before,
            (Some(now), None) if member.is_younger_than(self.seconds) => now,
            (None, Some(before)) if member.gone => -before,
            _ => 0.0,
        };
        growth / self.seconds
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::observe::prometheus::series::by;

    #[test]
    fn the_texts_of_the_queries() {
        let ArrivalQueries { completed, present } = ArrivalQueries::new(&Selector::default(), Duration::from_mins(1));
        let pod = by(&[]).trim_start_matches("by (").trim_end_matches(')').to_owned();
        let shown = [completed, present].join("\n\n").replace(&pod, "POD");
        insta::assert_snapshot!(shown.replace(" sum", "\n  sum").replace("(sum", "(\n  sum").replace(" or ", "\nor "), @r#"
        sum by (POD, model_name) (max by (POD, model_name, engine, finished_reason) (rate(vllm:request_success_total[60s])))
        or label_replace(
          sum by (POD, model_name) (max by (POD, model_name, engine, finished_reason) (rate(vllm:request_success_total{finished_reason="abort"}[60s]))), "wva_moment", "aborted", "", "")

        label_replace(
          sum by (POD, model_name) (max by (POD, model_name, engine) (vllm:num_requests_running)) +
          sum by (POD, model_name) (max by (POD, model_name, engine) (vllm:num_requests_waiting)), "wva_moment", "now", "", "")
        or label_replace(
          sum by (POD, model_name) (max by (POD, model_name, engine) (vllm:num_requests_running offset 60s)) +
          sum by (POD, model_name) (max by (POD, model_name, engine) (vllm:num_requests_waiting offset 60s)), "wva_moment", "before", "", "")
        or label_replace(
          sum by (POD, model_name) (max by (POD, model_name, engine) (vllm:num_requests_waiting)), "wva_moment", "waiting", "", "")
        "#);
    }

    fn sample(pod: &str, moment: &str, value: f64) -> Sample {
        let labels = [("namespace", "ns"), ("pod", pod), ("model_name", "m"), (MOMENT, moment)];
        Sample { labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(), evaluated_at: 0.0, value }
    }

    /// What arrives at `pods`: name, age in seconds, whether it is gone; it completes 4 requests a second, if anything.
    fn arriving(pods: &[(&str, f64, bool)], completing: &[&str], present: &[Sample]) -> Option<f64> {
        let completed: Vec<_> = completing.iter().map(|pod| sample(pod, "", 4.0)).collect();
        let arrivals = Arrivals::read(&completed, present, Duration::from_mins(1));
        let keys: Vec<_> = pods.iter().map(|(name, age, gone)| (ObjectKey::new("ns", *name), *age, *gone)).collect();
        arrivals.over(keys.iter().map(|(pod, age, gone)| Member { pod, age: *age, gone: *gone }), "m")
    }

    #[rstest]
    #[case::grows(&[("a", 900.0, false)], &[("a", "now", 90.0), ("a", "before", 30.0)], Some(5.0))]
    #[case::shrinks(&[("a", 900.0, false)], &[("a", "now", 30.0), ("a", "before", 90.0)], Some(3.0))]
    #[case::young(&[("a", 50.0, false)], &[("a", "now", 60.0)], Some(5.0))]
    #[case::back_after_a_gap(&[("a", 900.0, false)], &[("a", "now", 60.0)], Some(4.0))]
    #[case::no_longer_scraped(&[("a", 900.0, false)], &[("a", "before", 60.0)], Some(4.0))]
    #[case::moved_from_one_that_has_gone(
        &[("a", 900.0, false), ("b", 900.0, true)],
        &[("a", "now", 120.0), ("a", "before", 60.0), ("b", "before", 60.0)],
        Some(4.0)
    )]
    #[case::of_nobody_we_know(&[("b", 900.0, false)], &[("a", "now", 90.0), ("a", "before", 30.0)], None)]
    fn what_arrives_is_completed_or_still_there(
        #[case] pods: &[(&str, f64, bool)],
        #[case] present: &[(&str, &str, f64)],
        #[case] expect: Option<f64>,
    ) {
        let present: Vec<_> = present.iter().map(|(pod, moment, value)| sample(pod, moment, *value)).collect();
        assert_eq!(arriving(pods, &["a"], &present), expect);
    }

    #[test]
    fn requests_whose_clients_gave_up_arrived_and_were_not_completed() {
        let ended = [sample("a", "", 4.0), sample("a", "aborted", 1.5)];
        let present = [sample("a", "waiting", 7.0), sample("b", "now", 12.0)];
        let arrivals = Arrivals::read(&ended, &present, Duration::from_mins(1));
        let pod = ObjectKey::new("ns", "a");
        let member = || Member { pod: &pod, age: 900.0, gone: false };
        assert_eq!((arrivals.over([member()].into_iter(), "m"), arrivals.at(member(), "m")), (Some(4.0), Some(4.0)));
        assert_eq!((arrivals.completions(&pod, "m"), arrivals.waiting(&pod, "m")), (Some(2.5), Some(7.0)));
        let of = |pod: &str| arrivals.present(&ObjectKey::new("ns", pod), "m");
        assert_eq!((of("a"), of("b")), (None, Some(12.0)));
    }

    #[test]
    fn without_a_rate_of_completed_requests_nothing_is_known() {
        assert_eq!(arriving(&[("a", 50.0, false)], &[], &[sample("a", "now", 60.0)]), None);
    }
}
