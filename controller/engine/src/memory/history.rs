//! What was wanted and published of one variant, for as long as its stabilisation looks back.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What was wanted and published of one variant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct History {
    /// Replicas that were wanted, oldest first.
    wanted: VecDeque<(Timestamp, u32)>,
    /// Replicas that were published, whenever that changed, oldest first.
    published: VecDeque<(Timestamp, u32)>,
}

impl History {
    /// Of a variant that is seen for the first time, what is published counts as wanted.
    pub(crate) fn begin(&mut self, published: u32, now: Timestamp) {
        if self.wanted.is_empty() {
            self.wanted.push_back((now, published));
        }
    }

    /// Notes what is wanted now, and forgets what is older than `look_back`, except what was published then.
    pub(crate) fn want(&mut self, replicas: u32, look_back: SignedDuration, now: Timestamp) {
        self.wanted.retain(|(at, _)| now.duration_since(*at) <= look_back);
        self.wanted.push_back((now, replicas));
        while self.published.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= look_back) {
            self.published.pop_front();
        }
    }

    /// Notes what is published now.
    pub(crate) fn publish(&mut self, replicas: u32, now: Timestamp) {
        if self.published.back().is_none_or(|(_, before)| *before != replicas) {
            self.published.push_back((now, replicas));
        }
    }

    /// What was wanted within a window, the present included.
    pub(crate) fn wanted_within(&self, window: SignedDuration, now: Timestamp) -> impl Iterator<Item = u32> {
        let within = self.wanted.iter().filter(move |(at, _)| now.duration_since(*at) < window);
        within.chain(self.wanted.back()).map(|it| it.1)
    }

    /// What was published when a period began; `current` where nothing is known of that.
    pub(crate) fn published_before(&self, period: SignedDuration, current: u32, now: Timestamp) -> u32 {
        let begun = self.published.iter().rev().find(|(at, _)| now.duration_since(*at) >= period);
        begun.or(self.published.front()).map_or(current, |it| it.1)
    }
}
