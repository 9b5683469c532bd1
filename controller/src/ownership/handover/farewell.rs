//! Who scrapes, and whether everybody has done so since the numbers were taken back.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lock::lock;

/// Longest wait for a scrape. The chart's grace period is longer.
const LONGEST: Duration = Duration::from_secs(20);
/// A scrape that is late by this is not waited for: the scraper no longer knows this pod.
const SLACK: Duration = Duration::from_secs(1);

/// Who asks for metrics.
#[derive(Debug, Default)]
pub struct Scrapers {
    known: Mutex<BTreeMap<IpAddr, Scraper>>,
    asked: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Scraper {
    last: Instant,
    /// Pause between the last two requests; `None` for who asked once, like a person.
    every: Option<Duration>,
    /// Whether the last answer had numbers that others scale by.
    numbers: bool,
}

impl Scrapers {
    /// Notes a request and whether its answer had numbers.
    pub fn note(&self, peer: IpAddr, numbers: bool) {
        let now = Instant::now();
        let mut known = lock(&self.known);
        let every = known.get(&peer).map(|scraper| now.duration_since(scraper.last));
        known.insert(peer, Scraper { last: now, every, numbers });
        drop(known);
        self.asked.notify_one();
    }

    /// Returns when all who were given numbers and ask regularly have asked again, or are late.
    pub async fn all_told(&self) {
        let deadline = Instant::now() + LONGEST;
        loop {
            let Some(due) = self.due(Instant::now()) else { return };
            let asked = self.asked.notified();
            if tokio::time::timeout_at(due.min(deadline), asked).await.is_err() && Instant::now() >= deadline {
                return;
            }
        }
    }

    /// When the last of those is late who still have numbers; `None` when there are none.
    fn due(&self, now: Instant) -> Option<Instant> {
        let known = lock(&self.known);
        let untold = known.values().filter(|scraper| scraper.numbers);
        let due = untold.filter_map(|scraper| Some(scraper.last + scraper.every? * 3 / 2 + SLACK));
        due.filter(|due| *due > now).max()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    /// Who asks at which second, and with what numbers; then how many seconds the farewell takes.
    async fn farewell(before: &[(u64, IpAddr)], after: &[(u64, IpAddr)]) -> u64 {
        let scrapers = Arc::new(Scrapers::default());
        let start = Instant::now();
        for (second, peer) in before {
            tokio::time::advance(start + Duration::from_secs(*second) - Instant::now()).await;
            scrapers.note(*peer, true);
        }
        let begun = Instant::now();
        let ending = tokio::spawn({
            let scrapers = Arc::clone(&scrapers);
            async move { scrapers.all_told().await }
        });
        for (second, peer) in after {
            tokio::time::sleep_until(begun + Duration::from_secs(*second)).await;
            scrapers.note(*peer, false);
        }
        ending.await.unwrap();
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_everybody_has_been_told() {
        assert_eq!(farewell(&[(0, A), (5, B), (15, A), (20, B)], &[(10, A), (14, B)]).await, 14);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_who_asked_once_or_never() {
        assert_eq!(farewell(&[], &[]).await, 0);
        assert_eq!(farewell(&[(0, A)], &[]).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_scraper_that_is_late_no_longer_knows_this_pod() {
        assert_eq!(farewell(&[(0, A), (2, A)], &[]).await, 4);
        assert_eq!(farewell(&[(0, A), (60, A)], &[]).await, 20, "and a seldom one is waited for in vain");
    }
}
