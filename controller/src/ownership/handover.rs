//! A change of leader, as others see it: nobody ever sees the numbers of two processes for one variant.
//!
//! Prometheus goes on showing the series of a process that is gone for up to two scrapes, and an HPA adds up whatever
//! matches its selector. So who begins to lead asks Prometheus first whether it still shows the numbers of another process
//! ([`Entrance`]) and publishes nothing until it does not; the last numbers are in force meanwhile. Where the scrape
//! configuration takes the labels of the pod away, as the chart's does, both are one series and there is nothing to wait
//! for. Who has led takes its numbers back and goes on answering until it has been scraped without them ([`farewell`]).

pub mod farewell;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::index::ObjectKey;
use crate::observe::prometheus::{QueryError, Sighting};

/// Pause between two looks.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long Prometheus may show a series that nobody exposes any longer: its look-back, and a little more.
const LONGEST: Duration = Duration::from_secs(310);
/// How long to be silent while Prometheus does not answer. Others hold what they have meanwhile.
const WITHOUT_ANSWER: Duration = Duration::from_mins(1);
/// A series that was scraped so many times since is exposed by a process that is alive: another cluster's, say.
const ALIVE: usize = 3;

/// The time from when a process leads to when it publishes.
#[derive(Debug)]
pub struct Entrance {
    me: String,
    begun: Instant,
    /// Times of scrapes seen of each series of another process.
    scrapes: BTreeMap<(ObjectKey, String), BTreeSet<u64>>,
    told: bool,
}

impl Entrance {
    /// Begins now, in the pod of that name.
    pub fn begin(me: &str) -> Self {
        Self { me: me.to_owned(), begun: Instant::now(), scrapes: BTreeMap::new(), told: false }
    }

    /// Whether it may publish, as Prometheus answers now. `mine` says which variants it publishes.
    pub fn may_publish(
        &mut self,
        answer: &Result<Vec<Sighting>, QueryError>,
        mine: impl Fn(&ObjectKey) -> bool,
    ) -> bool {
        let waited = self.begun.elapsed();
        let sightings = match answer {
            Ok(sightings) => sightings,
            Err(error) if waited >= WITHOUT_ANSWER => {
                tracing::warn!(%error, "Prometheus does not say whether it still shows numbers of an earlier leader; publishing");
                return true;
            }
            Err(error) => {
                self.tell(|| tracing::info!(%error, "Not publishing before Prometheus says that nobody else's numbers are shown"));
                return false;
            }
        };
        let others = sightings.iter().filter_map(|it| {
            let source = it.source.as_ref().filter(|source| **source != self.me)?;
            mine(&it.variant).then(|| ((it.variant.clone(), source.clone()), it.scraped_at.to_bits()))
        });
        let mut shown = BTreeMap::new();
        for (series, scrape) in others {
            let mut scrapes = self.scrapes.remove(&series).unwrap_or_default();
            scrapes.insert(scrape);
            shown.insert(series, scrapes);
        }
        self.scrapes = shown;
        let lingering = self.scrapes.iter().find(|(_, scrapes)| scrapes.len() < ALIVE);
        let Some(((variant, source), _)) = lingering else {
            if let Some((variant, source)) = self.scrapes.keys().next() {
                tracing::warn!(
                    variant = variant.name,
                    namespace = variant.namespace,
                    source,
                    "Publishing although another process exposes the same variant and is scraped; an HPA may add both up"
                );
            }
            return true;
        };
        if waited >= LONGEST {
            tracing::warn!(
                variant = variant.name,
                namespace = variant.namespace,
                source,
                "Prometheus still shows numbers of an earlier leader; publishing"
            );
            return true;
        }
        let (variant, source) = (variant.clone(), source.clone());
        self.tell(|| {
            tracing::info!(
                variant = variant.name,
                namespace = variant.namespace,
                source,
                "Not publishing while Prometheus shows the numbers of an earlier leader"
            );
        });
        false
    }

    fn tell(&mut self, say: impl FnOnce()) {
        if !std::mem::replace(&mut self.told, true) {
            say();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(source: Option<&str>, scraped_at: f64) -> Sighting {
        Sighting { variant: ObjectKey::new("ns", "llama"), source: source.map(str::to_owned), scraped_at }
    }

    fn failed() -> Result<Vec<Sighting>, QueryError> {
        Err(QueryError { query: "predecessor", why: "connection refused".to_owned() })
    }

    /// Looks once a second for so many seconds; returns after how many it may publish.
    async fn waits(seconds: u32, answer: impl Fn(u32) -> Result<Vec<Sighting>, QueryError>) -> Option<u32> {
        let mut entrance = Entrance::begin("new");
        for second in 0..=seconds {
            if entrance.may_publish(&answer(second), |variant| variant.namespace == "ns") {
                return Some(second);
            }
            tokio::time::advance(LOOK_AGAIN).await;
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_leader_publishes_at_once() {
        assert_eq!(waits(1, |_| Ok(Vec::new())).await, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_shares_the_series_of_all_leaders_publishes_at_once() {
        assert_eq!(waits(1, |_| Ok(vec![sighting(None, 1.0)])).await, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn its_own_numbers_of_an_earlier_term_are_nobody_elses() {
        assert_eq!(waits(1, |_| Ok(vec![sighting(Some("new"), 1.0)])).await, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn variants_of_others_are_not_waited_for() {
        let theirs = Sighting { variant: ObjectKey::new("theirs", "llama"), ..sighting(Some("old"), 1.0) };
        assert_eq!(waits(1, |_| Ok(vec![theirs.clone()])).await, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_published_while_the_numbers_of_a_dead_leader_are_shown() {
        let until_stale = |second| Ok(if second < 33 { vec![sighting(Some("old"), 1.0)] } else { Vec::new() });
        assert_eq!(waits(60, until_stale).await, Some(33));
    }

    #[tokio::test(start_paused = true)]
    async fn a_prometheus_that_never_forgets_is_waited_for_as_long_as_it_looks_back() {
        assert_eq!(waits(400, |_| Ok(vec![sighting(Some("old"), 1.0)])).await, Some(310));
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_goes_on_being_scraped_is_no_predecessor() {
        let alive = |second| Ok(vec![sighting(Some("elsewhere"), f64::from(second / 15))]);
        assert_eq!(waits(60, alive).await, Some(30), "at the third scrape");
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_answer_it_is_silent_for_a_minute_at_most() {
        assert_eq!(waits(100, |_| failed()).await, Some(60));
        let comes_back = |second| if second < 20 { failed() } else { Ok(Vec::new()) };
        assert_eq!(waits(100, comes_back).await, Some(20));
    }
}
