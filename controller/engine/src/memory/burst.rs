//! At what rate requests arrive since a load has jumped, before any rate over a window shows it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::number::sum;

/// When a gateway was looked at, and how many requests waited there.
pub(crate) type Looked = (Timestamp, f64);

/// Least seconds between two moments for what came between them to say anything.
const LEAST_APART: f64 = 2.0;
/// How long rates of what is completed look back.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);
/// How long looks at the gateway are compared with later ones.
const COMPARED: SignedDuration = SignedDuration::from_secs(20);
/// How long looks at the gateway are kept.
const KEPT: SignedDuration = SignedDuration::from_mins(3);
/// Fewest requests by which a pod must have more for its load to have grown, and how many standard deviations of a number that
/// varies by chance as Poisson's does.
const GROWN: (f64, f64) = (5.0, 3.0);
/// How many times the rate that every pod shows by itself may be concluded from all together.
const MOST: f64 = 3.0;

/// What was seen of the requests that are in pods and at the gateway, scrape by scrape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Burst {
    /// What was seen of each pod.
    pods: BTreeMap<String, Pod>,
    /// Requests that waited at the gateway, oldest first.
    gateway: Vec<Looked>,
}

/// What was seen of one pod.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pod {
    /// The scrape before.
    before: Scraped,
    /// The last one.
    last: Scraped,
    /// Whether the requests in it had grown before that already.
    had_grown: bool,
    /// When it completed least in the window of rates, and how many requests per second.
    least: (Timestamp, f64),
}

impl Pod {
    fn new(seen: Scraped) -> Self {
        Self { before: seen, last: seen, had_grown: false, least: (seen.at, seen.completed) }
    }

    fn see(&mut self, seen: Scraped) {
        let had_grown = has_grown(self.before.requests, self.last.requests - self.before.requests);
        let is_least = seen.completed <= self.least.1 || seen.at.duration_since(self.least.0) > WINDOW;
        let least = if is_least { (seen.at, seen.completed) } else { self.least };
        *self = Self { before: self.last, last: seen, had_grown, least };
    }

    /// Requests per second that it completed between its last two scrapes. By how much a rate over a window has risen, so many more
    /// have come into the window than have left it; and what has left it came before the load grew.
    fn completes(&self) -> f64 {
        let seconds = self.last.at.duration_since(self.before.at).as_secs_f64();
        let risen = self.last.completed - self.before.completed;
        if seconds < LEAST_APART || risen <= 0.0 {
            return self.last.completed;
        }
        (self.least.1 + risen * WINDOW.as_secs_f64() / seconds).max(self.last.completed)
    }
}

/// What one scrape of a pod showed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scraped {
    at: Timestamp,
    /// Requests in it.
    requests: f64,
    /// Requests per second that it completed, in a window of rates.
    completed: f64,
}

/// Requests in one pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present<'a> {
    /// The pod.
    pub(crate) pod: &'a str,
    /// When it was scraped.
    pub(crate) scraped: Timestamp,
    /// Requests in it, those that wait among them.
    pub(crate) requests: f64,
    /// Requests per second that it completes, in a window of rates.
    pub(crate) completes: f64,
}

/// Requests per second that have arrived since a load has jumped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rising {
    /// As many as were counted.
    pub(crate) likely: f64,
    /// One standard error of the count less, which is 1/√n of n requests.
    pub(crate) certain: f64,
}

/// What came to one pod between two scrapes.
#[derive(Clone, Copy, Debug)]
struct Came {
    from: f64,
    to: f64,
    /// By how many the requests in it have become more.
    more: f64,
    before: f64,
    /// Whether it had become more between the scrapes before, too: its load had jumped before.
    again: bool,
}

impl Came {
    fn has_grown(&self) -> bool {
        has_grown(self.before, self.more)
    }
}

/// Whether requests in a pod have become more than chance makes of as many as there were before.
fn has_grown(before: f64, more: f64) -> bool {
    more > GROWN.0.max(GROWN.1 * before.max(0.0).sqrt())
}

impl Burst {
    /// Notes what is there, and gives the requests per second that have arrived since the load began to grow; `None` where neither
    /// a pod nor the gateway was seen to have more than before.
    ///
    /// A pod alone does not say when within the time between two of its scrapes its load began to grow. Pods that share a load
    /// are scraped at different moments, and what they have more at each is one course: with 20 more in the one 2 s after
    /// the load has jumped and 70 more in the other after 7 s, 10 a second came to each. What waits at the gateway is counted
    /// at every look. Where it is not known when the load began to grow, it did so as early as can be.
    pub(crate) fn rate(&mut self, pods: &[Present<'_>], gateway: Option<Looked>, now: Timestamp) -> Option<Rising> {
        let at = |time: Timestamp| time.duration_since(now).as_secs_f64();
        self.pods.retain(|pod, _| pods.iter().any(|it| it.pod == pod));
        let mut came = Vec::with_capacity(pods.len());
        for it in pods {
            let seen = Scraped { at: it.scraped, requests: it.requests, completed: it.completes };
            let Some(pod) = self.pods.get_mut(it.pod) else {
                self.pods.insert(it.pod.to_owned(), Pod::new(seen));
                continue;
            };
            if it.scraped > pod.last.at {
                pod.see(seen);
            }
            let Pod { before, last, had_grown: again, least: _ } = *pod;
            if last.at > before.at {
                let (from, to, more) = (at(before.at), at(last.at), last.requests - before.requests);
                came.push(Came { from, to, more, before: before.requests, again });
            }
        }
        let completes = sum(self.pods.values().map(Pod::completes).collect());
        let queued = gateway.map(|(looked, waiting)| self.at_gateway(waiting, looked)).unwrap_or_default();
        // What pods get that waited at the gateway has arrived before.
        let begin = came.iter().map(|it| it.from).fold(f64::INFINITY, f64::min);
        let waited = self.gateway.iter().rfind(|(time, _)| at(*time) <= begin).is_some_and(|it| it.1 > 0.0);
        self.gateway.retain(|(at, _)| now.duration_since(*at) <= KEPT);
        let is_new = |(looked, _): &Looked| self.gateway.last().is_none_or(|(last, _)| looked > last);
        self.gateway.extend(gateway.filter(is_new));

        let rising = |(count, seconds): (f64, f64)| {
            let certain = count - count.max(0.0).sqrt();
            let per_second = |count: f64| count / seconds + completes;
            (seconds >= LEAST_APART && certain > 0.0)
                .then(|| Rising { likely: per_second(count), certain: per_second(certain) })
        };
        let (looked, waiting) = gateway.map_or((at(now), 0.0), |(looked, waiting)| (at(looked), waiting));
        let course = if waited { None } else { course(came, pods.len(), (looked, waiting)) };
        let found = queued.into_iter().chain(course).filter_map(rising);
        found.reduce(|a, b| if b.certain > a.certain { b } else { a })
    }

    /// Requests that waited at the gateway at a moment, between two looks in proportion; of a moment before the first look, those
    /// that waited then.
    pub(crate) fn queued_at(&self, moment: Timestamp) -> Option<f64> {
        let after = self.gateway.partition_point(|(at, _)| *at <= moment);
        let Some((begin, before)) = after.checked_sub(1).and_then(|it| self.gateway.get(it)) else {
            return self.gateway.first().map(|it| it.1);
        };
        let Some((end, then)) = self.gateway.get(after) else { return Some(*before) };
        let share = moment.duration_since(*begin).as_secs_f64() / end.duration_since(*begin).as_secs_f64();
        Some(before + share * (then - before))
    }

    /// What a look at the gateway counts.
    fn at_gateway(&self, waiting: f64, now: Timestamp) -> Vec<(f64, f64)> {
        let found = [self.queued(waiting, now), self.since_empty(waiting, now)];
        found.into_iter().flatten().collect()
    }

    /// Requests that wait at the gateway, and for how many seconds at most: since the look before, if none waited then.
    fn since_empty(&self, waiting: f64, now: Timestamp) -> Option<(f64, f64)> {
        let (at, _) = self.gateway.last().filter(|(_, before)| *before <= 0.0)?;
        Some((waiting, now.duration_since(*at).as_secs_f64()))
    }

    /// Requests by which the queue at the gateway has grown, and in how many seconds: since the first look at which any waited.
    fn queued(&self, waiting: f64, now: Timestamp) -> Option<(f64, f64)> {
        let begin = self.gateway.iter().rposition(|(_, waiting)| *waiting <= 0.0).map_or(0, |it| it + 1);
        let (at, before) = self.gateway.get(begin..)?.iter().find(|(at, _)| now.duration_since(*at) <= COMPARED)?;
        Some((waiting - before, now.duration_since(*at).as_secs_f64()))
    }
}

/// Requests that came to all pods beyond those they complete, and in how many seconds.
fn course(mut came: Vec<Came>, pods: usize, (now, gateway): (f64, f64)) -> Option<(f64, f64)> {
    came.sort_by(|a, b| a.to.total_cmp(&b.to).then(a.more.total_cmp(&b.more)).then(a.from.total_cmp(&b.from)));
    let grown: Vec<_> = came.iter().filter(|it| it.has_grown()).copied().collect();
    let first = grown.first()?;
    // It had not begun when those pods were scraped that had no more yet, nor when the others were scraped before.
    let calm = came.iter().filter(|it| !it.has_grown() && it.to < first.to).map(|it| it.to);
    let earliest = calm.chain(grown.iter().map(|it| it.from)).fold(f64::NEG_INFINITY, f64::max).min(first.to);
    let of = |values: fn(&Came) -> f64| sum(grown.iter().map(values).collect());
    let alone = of(|it| it.more / (it.to - it.from));
    if grown.iter().any(|it| it.again) {
        // It had begun before: what each shows by itself is of the whole time.
        let more = of(|it| it.more);
        return Some((more, more / alone));
    }
    let count = f64::from(u32::try_from(grown.len()).ok()?);
    let (middle, more) = (of(|it| it.to) / count, of(|it| it.more));
    // The straight line through what they have more, less steep by the standard error of numbers that vary as Poisson's do: two
    // pods that are scraped at almost the same moment say nothing of it.
    let spread = sum(grown.iter().map(|it| (it.to - middle).powi(2)).collect());
    let rise = sum(grown.iter().map(|it| (it.to - middle) * (it.more - more / count)).collect());
    let slope = if spread > 0.0 { rise / spread - (more / count / spread).sqrt() } else { 0.0 };
    let begun = if slope > 0.0 { middle - more / count / slope } else { f64::NEG_INFINITY };
    let begun = begun.clamp(earliest, first.to.max(earliest));
    let seconds = sum(grown.iter().map(|it| it.to - begun).collect());
    // Those that have not been seen to grow get as much as the others.
    let pods = f64::from(u32::try_from(pods).ok()?);
    let seconds = (seconds / pods).max(more / (MOST * alone)).max(LEAST_APART);
    let rate = more / seconds + gateway / (now - begun).max(LEAST_APART);
    let count = more + gateway;
    Some((count, count / rate))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    /// A scrape of a pod: its name, when, and the requests in it.
    type Scrape = (&'static str, f64, f64);

    fn at(seconds: f64) -> Timestamp {
        START + SignedDuration::try_from_secs_f64(seconds).unwrap()
    }

    /// What the look at a moment says, of pods that complete nothing.
    fn look(burst: &mut Burst, now: f64, gateway: f64, scrapes: &[Scrape]) -> Option<Rising> {
        let present = |(pod, scraped, requests): &Scrape| Present {
            pod,
            scraped: at(*scraped),
            requests: *requests,
            completes: 0.0,
        };
        burst.rate(&scrapes.iter().map(present).collect::<Vec<_>>(), Some((at(now), gateway)), at(now))
    }

    /// A count, and in how many seconds.
    type Counted = Option<(f64, f64)>;

    fn assert_counted(found: Option<Rising>, expected: Counted) {
        let expected = expected.map(|(count, seconds)| (count / seconds, (count - count.sqrt()) / seconds));
        let near = match (found, expected) {
            (Some(Rising { likely, certain }), Some(expected)) => {
                (likely - expected.0).abs() < 0.01 && (certain - expected.1).abs() < 0.01
            }
            (found, expected) => found.is_none() && expected.is_none(),
        };
        assert!(near, "{found:?}, not {expected:?}");
    }

    /// The load jumps at 0 s; what was scraped before shows nothing of it.
    #[rstest]
    #[case::nothing_was_seen_before(&[], &[("a", 5.0, 60.0)], None)]
    #[case::the_same_scrape_twice(&[("a", -5.0, 4.0)], &[("a", -5.0, 4.0)], None)]
    #[case::as_many_as_before(&[("a", -5.0, 40.0)], &[("a", 10.0, 41.0)], None)]
    #[case::fewer_than_before(&[("a", -5.0, 40.0)], &[("a", 10.0, 4.0)], None)]
    #[case::fewer_than_five_more(&[("a", -5.0, 0.0)], &[("a", 10.0, 5.0)], None)]
    #[case::no_more_than_chance_gives(&[("a", -5.0, 25.0)], &[("a", 10.0, 40.0)], None)]
    #[case::more_than_chance_gives(&[("a", -5.0, 25.0)], &[("a", 10.0, 41.0)], Some((16.0, 15.0)))]
    // Of one pod it is not known when between its scrapes the load jumped: as early as can be.
    #[case::one_pod(&[("a", -5.0, 0.0)], &[("a", 10.0, 100.0)], Some((100.0, 15.0)))]
    // 20 and 90 more after 2 and 9 s: a straight line that begins at 0 s, which rises by 10 ± 1.5 in a second.
    #[case::two_pods_of_one_course(
        &[("a", -13.0, 0.0), ("b", -6.0, 0.0)], &[("a", 2.0, 20.0), ("b", 9.0, 90.0)], Some((110.0, 6.4693))
    )]
    // Both at once say nothing of how steep it is.
    #[case::two_pods_that_were_scraped_at_the_same_moment(
        &[("a", -5.0, 0.0), ("b", -5.1, 0.0)], &[("a", 10.0, 50.0), ("b", 9.9, 49.0)], Some((99.0, 14.95))
    )]
    // However steep the course: three times what each pod shows by itself, and no more.
    #[case::no_more_than_three_times_what_pods_show_by_themselves(
        &[("a", -13.0, 0.0), ("b", -7.0, 0.0)], &[("a", 2.0, 20.0), ("b", 8.0, 200.0)], Some((220.0, 5.0))
    )]
    // It had not begun when the pod was scraped that has no more yet.
    #[case::a_calm_pod_says_when_it_had_not_begun(
        &[("a", 0.0, 0.0), ("b", -14.0, 0.0)], &[("a", 10.0, 100.0), ("b", 1.0, 0.0)], Some((100.0, 4.5))
    )]
    fn the_course_of_what_pods_have_more(
        #[case] before: &[Scrape],
        #[case] after: &[Scrape],
        #[case] expected: Counted,
        #[values(false, true)] reversed: bool,
    ) {
        let mut after = after.to_vec();
        if reversed {
            after.reverse();
        }
        let mut burst = Burst::default();
        look(&mut burst, 0.0, 0.0, before);
        assert_counted(look(&mut burst, 12.0, 0.0, &after), expected);
    }

    /// 10 a second to each pod from 0 s on, seen in the middle of its course.
    #[test]
    fn a_load_that_had_jumped_before_is_what_each_pod_shows_by_itself() {
        let mut burst = Burst::default();
        look(&mut burst, 0.0, 0.0, &[("a", -5.0, 0.0), ("b", -10.0, 0.0)]);
        look(&mut burst, 10.0, 0.0, &[("a", 10.0, 100.0), ("b", 5.0, 50.0)]);
        let third = look(&mut burst, 25.0, 0.0, &[("a", 25.0, 250.0), ("b", 20.0, 200.0)]);
        assert_counted(third, Some((300.0, 15.0)));
    }

    #[test]
    fn what_pods_complete_meanwhile_has_arrived_too() {
        let mut burst = Burst::default();
        let pod = |scraped, requests| Present { pod: "a", scraped: at(scraped), requests, completes: 2.5 };
        burst.rate(&[pod(0.0, 0.0)], None, at(0.0));
        let rising = burst.rate(&[pod(15.0, 100.0)], None, at(15.0));
        assert_eq!(rising, Some(Rising { likely: 100.0 / 15.0 + 2.5, certain: 90.0 / 15.0 + 2.5 }));
    }

    /// In the quarter of a minute since the scrape before, the rate over a minute has risen from 2 to 2.5: 2 a second have left the
    /// minute, so 2 + 4 · 0.5 have come in.
    #[rstest]
    #[case::as_many_as_before(2.0, 2.0)]
    #[case::fewer_than_before(1.5, 1.5)]
    #[case::more_than_before(2.5, 4.0)]
    fn what_pods_complete_is_counted_between_scrapes(#[case] completed: f64, #[case] between: f64) {
        let mut burst = Burst::default();
        let pod = |scraped, requests, completes| Present { pod: "a", scraped: at(scraped), requests, completes };
        burst.rate(&[pod(0.0, 0.0, 2.0)], None, at(0.0));
        let rising = burst.rate(&[pod(15.0, 100.0, completed)], None, at(15.0));
        let expected = Rising { likely: 100.0 / 15.0 + between, certain: 90.0 / 15.0 + between };
        assert_eq!(rising, Some(expected));
    }

    #[test]
    fn an_old_look_at_the_gateway_counts_at_its_time_and_once() {
        let mut burst = Burst::default();
        let mut look = |now, looked, waiting| burst.rate(&[], Some((at(looked), waiting)), at(now));
        assert_eq!(look(1.0, 0.0, 0.0), None);
        assert_eq!(look(9.0, 4.0, 40.0).map(|it| it.likely), Some(10.0));
        assert_eq!(look(10.0, 4.0, 40.0), None);
        assert_eq!(look(11.0, 10.0, 100.0).map(|it| it.likely), Some(10.0));
    }

    #[test]
    fn a_gateway_that_was_not_known_before_says_nothing_of_a_rate() {
        let mut burst = Burst::default();
        assert_eq!(burst.rate(&[], None, at(0.0)), None);
        assert_eq!(burst.rate(&[], Some((at(5.0), 50.0)), at(5.0)), None);
    }

    /// Looks at the gateway: when, and how many waited.
    #[rstest]
    #[case::never_any(&[(0.0, 0.0), (5.0, 0.0)], None)]
    #[case::since_the_first_look_at_which_any_waited(&[(0.0, 0.0), (1.0, 4.0), (5.0, 54.0)], Some((50.0, 4.0)))]
    #[case::since_the_look_at_which_none_waited_where_it_was_the_last(&[(0.0, 0.0), (5.0, 50.0)], Some((50.0, 5.0)))]
    #[case::the_first_look_says_nothing_of_a_rate(&[(0.0, 50.0)], None)]
    #[case::looks_in_short_succession_say_nothing(&[(0.0, 0.0), (1.0, 4.0), (2.0, 50.0)], None)]
    #[case::what_is_drained_is_no_load(&[(0.0, 0.0), (1.0, 90.0), (5.0, 40.0)], None)]
    #[case::only_the_last_twenty_seconds(
        &[(0.0, 0.0), (1.0, 10.0), (30.0, 300.0), (40.0, 400.0)], Some((100.0, 10.0))
    )]
    #[case::a_queue_that_was_empty_in_between_begins_anew(
        &[(0.0, 80.0), (5.0, 0.0), (6.0, 2.0), (10.0, 42.0)], Some((40.0, 4.0))
    )]
    fn the_queue_at_the_gateway(#[case] looks: &[(f64, f64)], #[case] expected: Counted) {
        let mut burst = Burst::default();
        let found = looks.iter().map(|(now, waiting)| look(&mut burst, *now, *waiting, &[])).last().flatten();
        assert_counted(found, expected);
    }

    /// 100 came from the gateway to the pod, and no more than 10 have arrived.
    #[test]
    fn what_pods_get_from_the_gateway_has_arrived_before() {
        let mut burst = Burst::default();
        look(&mut burst, 0.0, 100.0, &[("a", 0.0, 0.0)]);
        assert_counted(look(&mut burst, 10.0, 0.0, &[("a", 10.0, 110.0)]), None);
    }

    #[test]
    fn pods_that_are_gone_are_forgotten() {
        let mut burst = Burst::default();
        look(&mut burst, 0.0, 0.0, &[("a", 0.0, 0.0)]);
        look(&mut burst, 5.0, 0.0, &[]);
        assert_counted(look(&mut burst, 15.0, 0.0, &[("a", 15.0, 100.0)]), None);
    }

    #[rstest]
    #[case::before_the_first_look(-10.0, Some(0.0))]
    #[case::at_a_look(20.0, Some(40.0))]
    #[case::between_two_looks(5.0, Some(10.0))]
    #[case::after_the_last_look(90.0, Some(10.0))]
    fn how_many_waited_at_the_gateway_at_a_moment(#[case] moment: f64, #[case] expected: Option<f64>) {
        let mut burst = Burst::default();
        for (now, waiting) in [(0.0, 0.0), (20.0, 40.0), (80.0, 10.0)] {
            look(&mut burst, now, waiting, &[]);
        }
        assert_eq!(burst.queued_at(at(moment)), expected);
        assert_eq!(Burst::default().queued_at(at(moment)), None);
    }
}
