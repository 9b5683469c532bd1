//! Requests that were completed within a time: one query, however many models and retentions there are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;
use wva_api::metrics::{VLLM_REQUEST_SUCCESS_TOTAL, VLLM_REQUESTS_RUNNING};
use wva_engine::settings::ZeroPolicies;

use super::response::Sample;
use super::selector::Selector;
use super::series::{OfPods, by, of_reasons, on_pod, sum_of_reasons};
use crate::observe::members::Member;

/// Most look-backs in one query. Each makes Prometheus read its own stretch of every counter.
const MOST: usize = 8;
/// Label that tells the results of different look-backs apart.
const LABEL: &str = "wva_lookback_seconds";
/// Label that tells how counters that appeared within the look-back were counted.
const COUNTED: &str = "wva_counted";
/// Its value where only what was seen to be added counts.
const SEEN: &str = "seen";

/// Retentions that the metric source must be asked for: of models that may go to zero.
pub fn retentions(policies: &ZeroPolicies) -> Vec<SignedDuration> {
    let all = [&policies.default].into_iter().chain(policies.namespaces.values()).chain(policies.models.values());
    all.filter(|policy| policy.enabled).map(|policy| policy.retention).collect()
}

/// Look-backs to ask for, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookbacks(BTreeSet<u64>);

/// Completed requests by look-back and pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completed(BTreeMap<u64, Counts>);

/// The two ways of counting.
#[derive(Clone, Debug, Default, PartialEq)]
struct Counts {
    /// A counter that appeared within the look-back counts from 0.
    whole: OfPods,
    /// It counts from what it had when it appeared; only of pods that were not scraped at the start of the look-back.
    seen: OfPods,
}

impl Lookbacks {
    /// Those for some retentions, none shorter than `least`: in a stretch with a single scrape nothing increases.
    ///
    /// When there are too many, some retentions get a longer look-back than they asked for, and a model of theirs is
    /// put to sleep later than it might be; never earlier.
    pub fn new(retentions: impl IntoIterator<Item = SignedDuration>, least: Duration) -> Self {
        let least = least.as_secs().max(1);
        let all: Vec<u64> = retentions
            .into_iter()
            .map(|retention| u64::try_from(retention.as_secs()).unwrap_or(0).max(least))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        // The longest always stays; the others are spread evenly over what was asked for. 17 of them at 8 places:
        // the 2nd, 4th, 6th, …, 14th and 17th.
        let places = MOST.min(all.len());
        Self((1..=places).map(|place| all[place * all.len() / places - 1]).collect())
    }

    /// The look-back that stands for a retention: the shortest that covers it.
    pub fn of(&self, retention: SignedDuration) -> Option<u64> {
        let seconds = u64::try_from(retention.as_secs()).unwrap_or(0);
        self.0.range(seconds..).next().copied()
    }

    /// The query; `None` when there is nothing to ask.
    ///
    /// `increase` knows nothing of what a counter had when it appeared. When its pod was there all the time, it appeared
    /// with its first request, and when the pod is younger than the look-back, the pod has completed all that it says.
    /// A pod that was not scraped at the start may be young, or have come back after a gap; which of the two is not for
    /// Prometheus to know, so both counts are returned of it.
    pub fn query(&self, selector: &Selector) -> Option<String> {
        let (series, running) = (selector.of(VLLM_REQUEST_SUCCESS_TOTAL), selector.of(VLLM_REQUESTS_RUNNING));
        let one = |seconds: &u64| {
            let grown = of_reasons(&format!("increase({series}[{seconds}s])"));
            let latest = of_reasons(&format!("max_over_time({series}[{seconds}s])"));
            let before = format!("{series} offset {seconds}s");
            let whole = format!("({latest} unless {}) or {grown}", of_reasons(&before));
            let there = format!("max {pod} ({before}) or max {pod} ({running} offset {seconds}s)", pod = by(&[]));
            let seen = format!("{} unless {} ({there})", sum_of_reasons(&format!("{grown} or 0 * {latest}")), on_pod());
            let labelled = |query: String, label: &str, value: &str| {
                format!(r#"label_replace({query}, "{label}", "{value}", "", "")"#)
            };
            let both = format!("{} or {}", sum_of_reasons(&whole), labelled(seen, COUNTED, SEEN));
            labelled(both, LABEL, &seconds.to_string())
        };
        let parts: Vec<String> = self.0.iter().map(one).collect();
        (!parts.is_empty()).then(|| parts.join(" or "))
    }
}

impl Completed {
    /// Reads the answer. What is not a number stays missing.
    pub fn read(samples: &[Sample]) -> Self {
        let lookbacks: BTreeSet<u64> = samples.iter().filter_map(lookback).collect();
        let counts = |seconds| {
            let of = |counted: Option<&str>| {
                let usable = |sample: &&Sample| {
                    lookback(sample) == Some(seconds) && sample.label(COUNTED) == counted && sample.value >= 0.0
                };
                OfPods::read(samples.iter().filter(usable))
            };
            (seconds, Counts { whole: of(None), seen: of(Some(SEEN)) })
        };
        Self(lookbacks.into_iter().map(counts).collect())
    }

    /// Requests for a model that were completed within a look-back by some pods; `None` when no counter says.
    pub fn over<'a>(&self, members: impl Iterator<Item = Member<'a>>, model: &str, lookback: u64) -> Option<f64> {
        let Counts { whole, seen } = self.0.get(&lookback)?;
        #[expect(clippy::cast_precision_loss, reason = "a look-back of seconds")]
        let length = lookback as f64;
        let of = |member: Member<'a>| match seen.of(member.pod, model) {
            Some(seen) if !member.is_younger_than(length) => Some(seen),
            _ => whole.of(member.pod, model),
        };
        members.filter_map(of).reduce(|a, b| a + b)
    }
}

fn lookback(sample: &Sample) -> Option<u64> {
    sample.label(LABEL)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::cluster::index::ObjectKey;

    const MINUTE: Duration = Duration::from_mins(1);

    fn seconds(retention: i64) -> SignedDuration {
        SignedDuration::from_secs(retention)
    }

    #[test]
    fn the_text_of_the_query() {
        let query = Lookbacks::new([seconds(600)], MINUTE).query(&Selector::default()).unwrap();
        let pod = by(&[]).trim_start_matches("by (").trim_end_matches(')').to_owned();
        let shown =
            query.replace(&format!("{pod}, model_name, engine, finished_reason"), "SERIES").replace(&pod, "POD");
        insta::assert_snapshot!(shown.replace(" or ", "\n  or ").replace(" unless ", "\n  unless "), @r#"
        label_replace(sum by (POD, model_name) ((max by (SERIES) (max_over_time(vllm:request_success_total[600s]))
          unless max by (SERIES) (vllm:request_success_total offset 600s))
          or max by (SERIES) (increase(vllm:request_success_total[600s])))
          or label_replace(sum by (POD, model_name) (max by (SERIES) (increase(vllm:request_success_total[600s]))
          or 0 * max by (SERIES) (max_over_time(vllm:request_success_total[600s])))
          unless on (POD) (max by (POD) (vllm:request_success_total offset 600s)
          or max by (POD) (vllm:num_requests_running offset 600s)), "wva_counted", "seen", "", ""), "wva_lookback_seconds", "600", "", "")
        "#);
    }

    #[test]
    fn each_distinct_retention_is_asked_for_once_and_nothing_without_any() {
        let lookbacks = Lookbacks::new([600, 300, 600, 5].map(seconds), MINUTE);
        let query = lookbacks.query(&Selector::default()).unwrap();
        assert_eq!(query.matches(LABEL).count(), 3);
        assert_eq!([600, 300, 5].map(|retention| lookbacks.of(seconds(retention))), [Some(600), Some(300), Some(60)]);
        assert_eq!(Lookbacks::new([], MINUTE).query(&Selector::default()), None);
    }

    #[test]
    fn however_many_retentions_there_are_the_query_stays_bounded_and_no_look_back_is_too_short() {
        let retentions: Vec<_> = (1..=100).map(|minutes| seconds(minutes * 60)).collect();
        let lookbacks = Lookbacks::new(retentions.clone(), MINUTE);
        assert_eq!(lookbacks.query(&Selector::default()).unwrap().matches(LABEL).count(), MOST);
        for retention in retentions {
            let lookback = lookbacks.of(retention).unwrap();
            assert!(i64::try_from(lookback).unwrap() >= retention.as_secs(), "{lookback} s for {retention}");
        }
    }

    fn sample(pod: &str, counted: &str, value: f64) -> Sample {
        let labels = [("namespace", "ns"), ("pod", pod), ("model_name", "m"), (LABEL, "600"), (COUNTED, counted)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Sample { labels, evaluated_at: 0.0, value }
    }

    /// What was completed by pod `a`, which is so many seconds old.
    fn by_a(samples: &[Sample], age: f64) -> Option<f64> {
        let pod = ObjectKey::new("ns", "a");
        Completed::read(samples).over(std::iter::once(Member { pod: &pod, age, gone: false }), "m", 600)
    }

    #[rstest]
    #[case::it_was_there(&[("", 3.0)], 9000.0, Some(3.0))]
    #[case::young(&[("", 395.0), (SEEN, 2.0)], 100.0, Some(395.0))]
    #[case::back_after_a_gap(&[("", 395.0), (SEEN, 0.0)], 9000.0, Some(0.0))]
    #[case::back_after_a_gap_and_busy(&[("", 395.0), (SEEN, 2.0)], 9000.0, Some(2.0))]
    #[case::no_number(&[("", f64::NAN)], 9000.0, None)]
    #[case::nothing(&[], 9000.0, None)]
    fn a_counter_that_appears_counts_from_zero_only_where_its_pod_is_young(
        #[case] counts: &[(&str, f64)],
        #[case] age: f64,
        #[case] expect: Option<f64>,
    ) {
        let samples: Vec<_> = counts.iter().map(|(counted, value)| sample("a", counted, *value)).collect();
        assert_eq!(by_a(&samples, age), expect);
    }

    #[test]
    fn what_other_pods_completed_and_what_was_not_asked_for_does_not_count() {
        assert_eq!(by_a(&[sample("a", "", 1.0), sample("b", "", 7.0)], 9000.0), Some(1.0));
        let pod = ObjectKey::new("ns", "a");
        let member = Member { pod: &pod, age: 9000.0, gone: false };
        let completed = Completed::read(&[sample("a", "", 1.0)]);
        assert_eq!(completed.over(std::iter::once(member), "m", 300), None);
        assert_eq!(completed.over(std::iter::once(member), "other", 600), None);
    }
}
