//! Keeping back what a published number changes by, as an autoscaler's `behavior` does.
//!
//! Of the numbers wanted within the window, the one nearest to what is published counts; what is within the tolerance of it is
//! not published; and what has changed within the period of a policy counts against it.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::memory::History;
use crate::settings::{Direction, Policy, Stabilization};

/// What is published of a variant that has `published`, when `wanted` is wanted.
pub(super) fn stabilize(
    wanted: u32,
    published: u32,
    settings: &Stabilization,
    history: &mut History,
    now: Timestamp,
) -> u32 {
    history.begin(published, now);
    history.want(wanted, settings.look_back(), now);
    history.publish(published, now);
    let lowest = history.wanted_within(settings.up.window, now).min().unwrap_or(wanted);
    let highest = history.wanted_within(settings.down.window, now).max().unwrap_or(wanted);
    // The present is in both windows, so that the lowest is not above the highest.
    let lasting = published.clamp(lowest, highest.max(lowest));
    let answer = match lasting.cmp(&published) {
        Ordering::Greater if !is_tolerated(lasting, published, &settings.up) => {
            let most = limits(&settings.up, published, history, now, u32::saturating_add);
            lasting.min(most.unwrap_or(u32::MAX).max(published))
        }
        Ordering::Less if !is_tolerated(lasting, published, &settings.down) => {
            let least = limits(&settings.down, published, history, now, |begin, change| {
                u32::MAX - begin.saturating_sub(change)
            });
            lasting.max(least.map_or(0, |it| u32::MAX - it).min(published))
        }
        _ => published,
    };
    history.publish(answer, now);
    answer
}

fn is_tolerated(wanted: u32, published: u32, direction: &Direction) -> bool {
    published > 0
        && (f64::from(wanted) / f64::from(published) - 1.0).abs() <= direction.tolerance
        && direction.tolerance > 0.0
}

/// How far the policies let the number go, as `far` orders numbers; `None` without policies. The one that allows most counts.
fn limits(
    direction: &Direction,
    published: u32,
    history: &History,
    now: Timestamp,
    far: impl Fn(u32, u32) -> u32,
) -> Option<u32> {
    let of = |policy: &Policy, change: fn(u32, u32) -> u32| {
        let begin = history.published_before(policy.period, published, now);
        far(begin, change(begin, policy.value))
    };
    let replicas = direction.replicas.map(|policy| of(&policy, |_, value| value));
    let percent = direction.percent.map(|policy| {
        of(&policy, |begin, value| {
            let share = u64::from(begin) * u64::from(value);
            u32::try_from(share.div_ceil(100)).unwrap_or(u32::MAX)
        })
    });
    [replicas, percent].into_iter().flatten().max()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use rstest::rstest;

    use super::*;
    use crate::fixtures::START;

    fn seconds(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn window(seconds_: i64) -> Direction {
        Direction { window: seconds(seconds_), ..Direction::default() }
    }

    fn by(value: u32, period: i64) -> Policy {
        Policy { value, period: seconds(period) }
    }

    /// What is published every 30 seconds when these numbers are wanted, and 4 was published before.
    fn published(settings: &Stabilization, wanted: &[u32]) -> Vec<u32> {
        let (mut history, mut last) = (History::default(), 4);
        let mut now = START;
        let mut each = |wanted: u32| {
            last = stabilize(wanted, last, settings, &mut history, now);
            now += seconds(30);
            last
        };
        wanted.iter().map(|wanted| each(*wanted)).collect()
    }

    #[rstest]
    #[case::off(Stabilization::default(), &[9, 2, 5], &[9, 2, 5])]
    #[case::down_takes_the_highest_of_its_window(
        Stabilization { down: window(90), ..Stabilization::default() }, &[2, 3, 2, 2, 2], &[4, 4, 4, 3, 2]
    )]
    #[case::up_takes_the_lowest_of_its_window(
        Stabilization { up: window(60), ..Stabilization::default() }, &[4, 9, 7, 8, 8], &[4, 4, 7, 7, 8]
    )]
    #[case::a_peak_is_no_growth(
        Stabilization { up: window(60), ..Stabilization::default() }, &[4, 9, 4, 9, 4], &[4, 4, 4, 4, 4]
    )]
    #[case::tolerance(
        Stabilization { up: Direction { tolerance: 0.25, ..Direction::default() }, ..Stabilization::default() },
        &[5, 6, 5], &[4, 6, 5]
    )]
    #[case::two_replicas_a_minute(
        Stabilization { up: Direction { replicas: Some(by(2, 60)), ..Direction::default() }, ..Stabilization::default() },
        &[12, 12, 12, 12, 12], &[6, 6, 8, 8, 10]
    )]
    #[case::half_a_minute_on_the_way_down(
        Stabilization { down: Direction { percent: Some(by(50, 60)), ..Direction::default() }, ..Stabilization::default() },
        &[0, 0, 0, 0, 0], &[2, 2, 1, 1, 0]
    )]
    #[case::of_two_policies_the_wider(
        Stabilization {
            up: Direction { replicas: Some(by(1, 30)), percent: Some(by(100, 30)), ..Direction::default() },
            ..Stabilization::default()
        },
        &[20, 20, 20], &[8, 16, 20]
    )]
    fn numbers_are_kept_back_as_an_autoscaler_does(
        #[case] settings: Stabilization,
        #[case] wanted: &[u32],
        #[case] expected: &[u32],
    ) {
        assert_eq!(published(&settings, wanted), expected);
    }
}
