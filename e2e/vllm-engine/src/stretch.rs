//! Iterations that are all alike: every running sequence gets its next token, nobody comes, nobody goes.
//!
//! As long as that holds, an iteration changes nothing but the time and the number of tokens in the cache, so the sequences
//! need not be touched until something else happens. Most iterations of a server that decodes are such.

use std::time::Duration;

use super::{Engine, Step, count};

/// Such iterations, from the one in flight on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    /// How many more iterations end in the same state but for their tokens.
    left: u32,
    /// How many have ended without the sequences being told.
    passed: u32,
    /// Tokens in the cache during the iteration in flight.
    resident_tokens: u32,
}

impl Engine {
    /// The stretch that begins with the iteration that was just planned for `now`; `None` when it would be none.
    pub(super) fn stretch_from(&self, now: Duration) -> Option<Stretch> {
        self.step?;
        let mut left = u32::MAX;
        for sequence in &self.running {
            let goes_on = sequence.in_step == 1 && sequence.remaining_tokens() == 1 && sequence.last_token == Some(now);
            if !goes_on {
                return None;
            }
            left = left.min((sequence.request.output_tokens - sequence.generated).saturating_sub(1));
        }
        while left > 0 && self.blocks_after(left) > self.blocks.free() {
            left /= 2;
        }
        let resident_tokens = self.running.iter().map(|sequence| sequence.computed + 1).sum();
        (left > 0).then_some(Stretch { left, passed: 0, resident_tokens })
    }

    /// Lets the iteration in flight end and the next one begin, if both are part of a stretch.
    pub(super) fn pass_step(&mut self, step: Step) -> bool {
        let Some(mut stretch) = self.stretch.filter(|stretch| stretch.left > 0) else {
            self.leave_stretch();
            return false;
        };
        let running = count(self.running.len());
        stretch.left -= 1;
        stretch.passed += 1;
        stretch.resident_tokens += running;
        self.gaps.count += u64::from(running);
        self.gaps.time += step.ends.saturating_sub(step.started) * running;
        self.step = Some(self.step_of(running, stretch.resident_tokens, step.ends));
        self.stretch = Some(stretch);
        true
    }

    /// Tells the sequences what they have got. The iteration in flight goes on.
    pub(super) fn leave_stretch(&mut self) {
        let Some(Stretch { passed: passed @ 1.., .. }) = self.stretch.take() else { return };
        let Some(step) = self.step else { return };
        for sequence in &mut self.running {
            sequence.generated += passed;
            sequence.computed += passed;
            sequence.last_token = Some(step.started);
            let grown = self.blocks.try_grow(&mut sequence.blocks, sequence.computed + sequence.in_step);
            debug_assert!(grown, "a stretch is no longer than the blocks last");
        }
    }

    /// Blocks that are in use and that no sequence has been told of.
    pub(super) fn unbooked_blocks(&self) -> u32 {
        match self.stretch {
            Some(Stretch { passed: passed @ 1.., .. }) => self.blocks_after(passed),
            _ => 0,
        }
    }

    /// Blocks that the running sequences take besides those they hold, so many iterations further on.
    fn blocks_after(&self, iterations: u32) -> u32 {
        let of = |sequence: &super::Sequence| {
            let tokens = sequence.computed + sequence.in_step + iterations;
            self.blocks.blocks_for(tokens).saturating_sub(sequence.blocks)
        };
        self.running.iter().map(of).sum()
    }
}
