//! The KV cache as a pool of blocks.

/// Counts the blocks of the KV cache. Blocks have no identity here: only how many are taken matters.
#[derive(Debug, Clone)]
pub struct BlockPool {
    total: u32,
    used: u32,
    block_size: u32,
}

impl BlockPool {
    /// A pool of `total` free blocks of `block_size` tokens each.
    pub fn new(total: u32, block_size: u32) -> Self {
        Self { total, used: 0, block_size: block_size.max(1) }
    }

    /// Blocks that `tokens` tokens fill, the last one perhaps in part: 17 tokens take 2 blocks of 16.
    pub fn blocks_for(&self, tokens: u32) -> u32 {
        tokens.div_ceil(self.block_size)
    }

    /// Raises `held`, the blocks of one sequence, to what `tokens` tokens need. `false`, and nothing changed, when the
    /// pool is short.
    pub fn try_grow(&mut self, held: &mut u32, tokens: u32) -> bool {
        let needed = self.blocks_for(tokens).saturating_sub(*held);
        if needed > self.free() {
            return false;
        }
        self.used += needed;
        *held += needed;
        true
    }

    /// Gives `held` blocks back.
    pub fn release(&mut self, held: u32) {
        self.used = self.used.saturating_sub(held);
    }

    /// Blocks in use.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// Blocks free.
    pub fn free(&self) -> u32 {
        self.total - self.used
    }

    /// Tokens that the whole pool holds.
    pub fn capacity_tokens(&self) -> u32 {
        self.total.saturating_mul(self.block_size)
    }

    /// Used blocks as a fraction of all, 0 to 1.
    pub fn usage(&self) -> f64 {
        self.share(self.used)
    }

    /// So many blocks as a fraction of all.
    pub fn share(&self, blocks: u32) -> f64 {
        if self.total == 0 { 0.0 } else { f64::from(blocks) / f64::from(self.total) }
    }
}
