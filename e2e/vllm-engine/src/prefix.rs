//! Which prompt beginnings were computed before.

use std::collections::{BTreeMap, HashMap};

/// A least-recently-used set of block hashes. It decides how much of a prefill is saved; it does not share blocks
/// between sequences, so KV usage is that of prompts that share nothing.
#[derive(Debug)]
pub(super) struct PrefixCache {
    capacity: usize,
    clock: u64,
    used_at: HashMap<u64, u64>,
    by_age: BTreeMap<u64, u64>,
}

impl PrefixCache {
    /// A cache of as many hashes as the KV cache has blocks.
    pub(super) fn new(blocks: u32) -> Self {
        Self {
            capacity: usize::try_from(blocks).unwrap_or(usize::MAX),
            clock: 0,
            used_at: HashMap::new(),
            by_age: BTreeMap::new(),
        }
    }

    /// How many of the first hashes are known, up to the first unknown one.
    pub(super) fn leading_hits(&self, hashes: &[u64]) -> u32 {
        super::count(hashes.iter().take_while(|hash| self.used_at.contains_key(hash)).count())
    }

    /// Remembers the hashes, forgetting the oldest ones beyond the capacity.
    pub(super) fn insert(&mut self, hashes: &[u64]) {
        for hash in hashes {
            self.clock += 1;
            if let Some(old) = self.used_at.insert(*hash, self.clock) {
                self.by_age.remove(&old);
            }
            self.by_age.insert(self.clock, *hash);
        }
        while self.used_at.len() > self.capacity {
            let Some((_, oldest)) = self.by_age.pop_first() else { return };
            self.used_at.remove(&oldest);
        }
    }
}
