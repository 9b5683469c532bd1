//! Two controllers on one variant: noticed by who writes its status, and settled without talking to each other. Pure.
//!
//! A conflict is a write of status by another instance since the variant is mine: what was written before it was
//! labelled for me, or before I first saw it, is a hand-over. Who is named by the variant's label (or is the controller
//! without an id, when there is none) is its rightful owner, says so in the status, publishes nothing for one lease
//! duration after it noticed such a write, and goes on then. Whoever only takes the variants of all instances gives way:
//! for one lease duration to an owner that may be gone, and for good, once the owner has written again while this
//! process looked on. So the owner always wins, and of the two never both publish for longer than it takes to notice.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use wva_api::{Claim, Instance, Scope};

use crate::cluster::index::{Index, ObjectKey, StatusWrite, Variant};

/// A variant that is left alone because of another instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The other instance.
    pub by: Instance,
    /// Whether the variant is rightfully mine.
    pub mine: bool,
}

/// Variants that are left alone.
pub type Refusals = BTreeMap<ObjectKey, Refusal>;

/// What is remembered of each variant.
#[derive(Clone, Debug)]
pub struct Conflicts {
    lease: SignedDuration,
    known: BTreeMap<ObjectKey, Known>,
    /// Whether there was a first look: what appears after it has just been handed over.
    begun: bool,
}

#[derive(Clone, Debug)]
struct Known {
    uid: String,
    owner: Instance,
    seen: Option<StatusWrite>,
    refusal: Option<(Refusal, Until)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Time(Timestamp),
    ForGood,
}

impl Conflicts {
    /// Nothing seen yet. `lease` is how long a conflict lasts after the other's last write.
    pub fn new(lease: SignedDuration) -> Self {
        Self { lease, known: BTreeMap::new(), begun: false }
    }

    /// Looks at every variant that is mine. Returns those that are left alone.
    pub fn review(&mut self, index: &Index, scope: &Scope, now: Timestamp) -> Refusals {
        let mut refused = BTreeMap::new();
        let mut known = BTreeMap::new();
        for (key, variant) in &index.variants {
            if index.claim(scope, key, variant) != Claim::Mine {
                continue;
            }
            let before = self.known.remove(key);
            let after = self.look(before, variant, &scope.instance, now);
            refused.extend(after.refusal.clone().map(|(refusal, _)| (key.clone(), refusal)));
            known.insert(key.clone(), after);
        }
        self.known = known;
        self.begun = true;
        refused
    }

    fn look(&self, before: Option<Known>, variant: &Variant, me: &Instance, now: Timestamp) -> Known {
        let owner = Instance::of_labels(&variant.labels);
        let mine = owner == *me;
        let since = variant.labelled_at.unwrap_or(Timestamp::MIN);
        let foreign = variant.status_writes.iter().filter(|write| write.by != *me && write.at > since);
        let seen = foreign.max_by_key(|write| write.at).cloned();
        let before = before.filter(|before| before.uid == variant.uid && before.owner == owner);
        let refused = |by: Instance, until| Some((Refusal { by, mine }, until));
        let refusal = match (&before, &seen) {
            (Some(before), Some(write)) if before.seen.as_ref() != Some(write) => {
                // By this process's clock from when it noticed: clocks of machines are not compared.
                let until = if mine { Until::Time(now + self.lease) } else { Until::ForGood };
                refused(write.by.clone(), until)
            }
            (Some(before), _) => before.refusal.clone(),
            // Somebody wrote a while ago, perhaps before this process started. How long ago is a guess across clocks,
            // but never more than one lease duration is waited.
            (None, Some(write)) if !self.begun => {
                let age = now.duration_since(write.at).clamp(SignedDuration::ZERO, self.lease);
                refused(write.by.clone(), Until::Time(now + (self.lease - age)))
            }
            (None, _) => None,
        };
        let refusal = refusal.filter(|(_, until)| match until {
            Until::Time(until) => now < *until,
            Until::ForGood => true,
        });
        Known { uid: variant.uid.clone(), owner, seen, refusal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::variant;

    const LEASE: SignedDuration = SignedDuration::from_secs(60);

    /// A variant on a clock that moves by hand, seen by a controller.
    struct Script {
        index: Index,
        conflicts: Conflicts,
        scope: Scope,
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn instance(id: &str) -> Instance {
        Instance::parse(id).unwrap()
    }

    /// A controller of instance `me` and a variant labelled for `owner`.
    fn script(me: &str, owner: &str, manage_all: bool) -> Script {
        let scope = Scope { instance: instance(me), manage_all, ..Scope::default() };
        let mut script = Script { index: Index::default(), conflicts: Conflicts::new(LEASE), scope };
        script.appear(owner);
        script
    }

    impl Script {
        fn appear(&mut self, owner: &str) {
            let _effect = self.index.apply_variant(&variant("a"));
            self.change(|variant| variant.labels = instance(owner).labels());
        }

        fn change(&mut self, change: impl FnOnce(&mut Variant)) {
            change(self.index.variants.values_mut().next().unwrap());
        }

        /// An instance writes the status at this second, by the clock of the API server.
        fn written(&mut self, by: &str, second: i64) {
            self.change(|variant| {
                variant.status_writes.retain(|write| write.by != instance(by));
                variant.status_writes.push(StatusWrite { by: instance(by), at: at(second) });
            });
        }

        /// Whom the controller gives way to at this second.
        fn gives_way(&mut self, second: i64) -> Option<String> {
            let refused = self.conflicts.review(&self.index, &self.scope, at(second));
            refused.values().next().map(|refusal| refusal.by.to_string())
        }
    }

    #[test]
    fn the_owner_pauses_for_one_lease_duration_after_a_foreign_write_and_goes_on() {
        let mut script = script("a", "a", false);
        assert_eq!(script.gives_way(0), None);
        script.written("a", 1);
        assert_eq!(script.gives_way(1), None, "its own write is none");
        script.written("b", 10);
        assert_eq!(script.gives_way(10).as_deref(), Some("b"));
        assert_eq!(script.gives_way(69).as_deref(), Some("b"));
        assert_eq!(script.gives_way(70), None);
        script.written("b", 80);
        assert_eq!(script.gives_way(80).as_deref(), Some("b"), "another write is another conflict");
    }

    #[test]
    fn who_takes_all_gives_way_for_good_to_an_owner_that_is_alive() {
        let mut script = script("", "b", true);
        assert_eq!(script.gives_way(0), None);
        script.written("b", 10);
        assert_eq!(script.gives_way(10).as_deref(), Some("b"));
        assert_eq!(script.gives_way(10_000).as_deref(), Some("b"));
        script.change(|variant| variant.labels.clear());
        assert_eq!(script.gives_way(10_001), None, "the label is gone, and with it the owner");
    }

    #[test]
    fn who_takes_all_takes_over_from_an_owner_that_has_been_quiet() {
        let mut script = script("", "b", true);
        script.written("b", -10);
        assert_eq!(script.gives_way(0).as_deref(), Some("b"));
        assert_eq!(script.gives_way(50), None);
    }

    #[test]
    fn what_was_written_before_the_label_is_a_hand_over() {
        let mut script = script("a", "a", false);
        script.written("b", -5);
        script.change(|variant| variant.labelled_at = Some(at(-5)));
        assert_eq!(script.gives_way(0), None);
        script.written("b", 1);
        assert_eq!(script.gives_way(1).as_deref(), Some("b"));
    }

    #[test]
    fn a_variant_that_appears_later_has_just_been_handed_over() {
        let mut script = script("", "", false);
        assert_eq!(script.gives_way(0), None);
        script.index = Index::default();
        assert_eq!(script.gives_way(5), None);
        script.appear("");
        script.written("b", 9);
        assert_eq!(script.gives_way(10), None);
        script.written("b", 11);
        assert_eq!(script.gives_way(12).as_deref(), Some("b"));
    }

    #[test]
    fn a_clock_ahead_or_behind_never_makes_it_longer_than_one_lease_duration() {
        for written in [-1_000_000, 1_000_000] {
            let mut script = script("a", "a", false);
            assert_eq!(script.gives_way(0), None);
            script.written("b", written);
            assert_eq!(script.gives_way(1).as_deref(), Some("b"));
            assert_eq!(script.gives_way(61), None);
        }
    }

    #[test]
    fn after_a_restart_a_recent_foreign_write_is_waited_out() {
        let mut script = script("a", "a", false);
        script.written("b", -20);
        assert_eq!(script.gives_way(0).as_deref(), Some("b"));
        assert_eq!(script.gives_way(39).as_deref(), Some("b"));
        assert_eq!(script.gives_way(40), None);
    }
}
