//! What a metric source knows of the pods: the samples of its scrapes, and what queries make of them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::fleet::{Counters, Pod};
use crate::number::{float64, seconds};

/// How long samples are kept: as long as any query looks back, and a scrape more.
const KEPT: Duration = Duration::from_mins(6);

/// What one scrape of one pod found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scrape {
    /// When.
    pub at: Duration,
    /// Used share of the KV cache.
    pub kv_usage: f64,
    /// Requests in the batch.
    pub running: u32,
    /// Requests that wait.
    pub waiting: u32,
    /// Counters.
    pub counters: Counters,
}

/// The samples of one pod, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Place of its variant.
    pub variant: usize,
    scrapes: VecDeque<Scrape>,
}

/// The samples of all pods that are there, or were until a while ago.
#[derive(Debug, Default)]
pub struct Monitoring {
    histories: BTreeMap<u32, History>,
}

impl Monitoring {
    /// Scrapes a pod that has worked until `now`. One that is not ready has no open port.
    pub(crate) fn scrape(&mut self, pod: &Pod, now: Duration) {
        let load = pod.load();
        let history = self.histories.entry(pod.serial).or_default();
        history.variant = pod.variant;
        history.scrapes.push_back(Scrape {
            at: now,
            kv_usage: load.kv_usage,
            running: load.running,
            waiting: load.waiting,
            counters: pod.counters,
        });
        while history.scrapes.front().is_some_and(|oldest| oldest.at + KEPT < now) {
            history.scrapes.pop_front();
        }
    }

    /// Forgets pods that were last scraped long ago.
    pub(crate) fn forget(&mut self, now: Duration) {
        self.histories.retain(|_, history| history.last().is_some_and(|last| last.at + KEPT >= now));
    }

    /// What is known of a pod.
    pub fn of(&self, serial: u32) -> Option<&History> {
        self.histories.get(&serial)
    }

    /// What is known of all pods, by serial number.
    pub fn all(&self) -> impl Iterator<Item = (u32, &History)> {
        self.histories.iter().map(|(serial, history)| (*serial, history))
    }
}

impl History {
    /// The last sample.
    pub fn last(&self) -> Option<&Scrape> {
        self.scrapes.back()
    }

    /// The samples of the last `window`, oldest first.
    pub fn within(&self, window: Duration, now: Duration) -> impl Iterator<Item = &Scrape> + Clone {
        let begin = now.saturating_sub(window);
        self.scrapes.iter().filter(move |scrape| scrape.at > begin || (begin.is_zero() && scrape.at.is_zero()))
    }

    /// The sample that counted at a moment, if it was not older than five minutes then.
    pub fn at(&self, moment: Duration) -> Option<&Scrape> {
        let last = self.scrapes.iter().rev().find(|scrape| scrape.at <= moment)?;
        (last.at + Duration::from_mins(5) >= moment).then_some(last)
    }

    /// `max_over_time`, or what counts now where nothing was scraped in the window.
    pub fn peak(&self, of: impl Fn(&Scrape) -> f64, window: Duration, now: Duration) -> Option<f64> {
        let peak = self.within(window, now).map(&of).reduce(f64::max);
        peak.or_else(|| self.at(now).map(of))
    }

    /// `avg_over_time`.
    pub fn mean(&self, of: impl Fn(&Scrape) -> f64, window: Duration, now: Duration) -> Option<f64> {
        let (sum, count) = self.within(window, now).fold((0.0, 0_u64), |(sum, count), it| (sum + of(it), count + 1));
        (count > 0).then(|| sum / float64(count))
    }

    /// How much a counter has grown in the window between its first and its last sample there.
    fn grown(&self, of: impl Fn(&Scrape) -> f64, window: Duration, now: Duration) -> Option<Grown> {
        let mut samples = self.within(window, now);
        let first = samples.next()?;
        let (mut last, mut count) = (None, 1_u64);
        for sample in samples {
            last = Some(sample);
            count += 1;
        }
        let last = last?;
        let since = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64();
        Some(Grown {
            by: of(last) - of(first),
            begin: of(first),
            seconds: since(first.at, last.at),
            before: since(now.saturating_sub(window), first.at),
            after: since(last.at, now),
            samples: count,
        })
    }

    /// Prometheus' `rate`: what a counter has grown by per second, with the ends of the window that no sample covers filled
    /// in, up to a little more than the usual distance of two samples, and not beyond where the counter was zero.
    pub fn rate(&self, of: impl Fn(&Scrape) -> f64, window: Duration, now: Duration) -> Option<f64> {
        let Grown { by, begin, seconds, mut before, mut after, samples } = self.grown(of, window, now)?;
        let apart = seconds / float64(samples - 1);
        if after >= apart * 1.1 {
            after = apart / 2.0;
        }
        if before >= apart * 1.1 {
            before = apart / 2.0;
        }
        if by > 0.0 && begin >= 0.0 {
            before = before.min(seconds * begin / by);
        }
        Some(by * (seconds + before + after) / seconds / window.as_secs_f64().max(1.0))
    }

    /// The quotient of two rates; `None` when nothing was counted.
    pub fn ratio(
        &self,
        sum: impl Fn(&Scrape) -> f64,
        count: impl Fn(&Scrape) -> f64,
        window: Duration,
        now: Duration,
    ) -> Option<f64> {
        // Prometheus fills in the ends of both alike, but for counters that are young.
        let (sum, count) = (self.rate(sum, window, now)?, self.rate(count, window, now)?);
        (count > 0.0).then(|| sum / count)
    }
}

/// What a counter did within a window.
struct Grown {
    by: f64,
    begin: f64,
    seconds: f64,
    before: f64,
    after: f64,
    samples: u64,
}

/// When something that is scraped every `interval`, at moments that `phase` (0 to 1) shifts, was scraped last.
pub(crate) fn last_scrape(now: Duration, interval: f64, phase: f64) -> Option<Duration> {
    let shift = interval * phase;
    let since = now.as_secs_f64() - shift;
    (since >= 0.0).then(|| seconds((since / interval).floor() * interval + shift))
}
