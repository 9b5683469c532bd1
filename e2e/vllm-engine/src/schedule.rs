//! One iteration: who takes part, and what its end brings.

use std::time::Duration;

use super::event::Event;
use super::{Engine, Step, count};

impl Engine {
    /// Plans the iteration that starts at `now`; leaves the engine idle when there is nothing to do.
    pub(super) fn schedule(&mut self, now: Duration) {
        let mut budget = self.settings.max_num_batched_tokens.max(1);
        let preempted = self.continue_running(&mut budget);
        // What a preemption freed belongs to the running sequences, or the two would chase each other.
        if !preempted {
            self.admit_waiting(&mut budget, now);
        }
        self.step = self.step_from(now);
        self.stretch = if preempted || self.tells_tokens { None } else { self.stretch_from(now) };
    }

    /// Gives every running sequence its next tokens, oldest first; preempts from the youngest end while blocks are
    /// short. Returns whether it had to.
    fn continue_running(&mut self, budget: &mut u32) -> bool {
        let mut preempted = false;
        let mut index = 0;
        while index < self.running.len() && *budget > 0 {
            let sequence = &mut self.running[index];
            let tokens = sequence.remaining_tokens().min(*budget);
            if self.blocks.try_grow(&mut sequence.blocks, sequence.computed + tokens) {
                sequence.in_step = tokens;
                *budget -= tokens;
                index += 1;
            } else {
                self.preempt_youngest();
                preempted = true;
            }
        }
        preempted
    }

    fn preempt_youngest(&mut self) {
        let Some(mut sequence) = self.running.pop() else { return };
        self.blocks.release(sequence.blocks);
        sequence.reset();
        self.events.push(Event::Preempted { id: sequence.id });
        self.waiting.push_front(sequence);
    }

    /// Admits from the head of the queue while slots, budget and blocks last. The first that does not fit holds up
    /// those behind it: the queue is first in, first out.
    fn admit_waiting(&mut self, budget: &mut u32, now: Duration) {
        while *budget > 0 && count(self.running.len()) < self.settings.max_num_seqs {
            let Some(mut sequence) = self.waiting.pop_front() else { return };
            let cached = self.cached_tokens(&sequence);
            let tokens = (sequence.remaining_tokens() - cached).min(*budget);
            if !self.blocks.try_grow(&mut sequence.blocks, cached + tokens) {
                self.waiting.push_front(sequence);
                return;
            }
            sequence.computed = cached;
            sequence.in_step = tokens;
            *budget -= tokens;
            if sequence.admitted.is_none() {
                sequence.admitted = Some(now);
                self.events.push(Event::Admitted {
                    id: sequence.id,
                    prompt_tokens: sequence.request.prompt_tokens,
                    cached_tokens: cached,
                });
            }
            if self.settings.prefix_caching {
                self.prefixes.insert(&sequence.request.block_hashes);
            }
            self.running.push(sequence);
        }
    }

    /// Leading tokens of the prompt that are in the cache already. The last token is always computed, for only that
    /// gives the next one.
    fn cached_tokens(&mut self, sequence: &super::Sequence) -> u32 {
        if !self.settings.prefix_caching {
            return 0;
        }
        let blocks = self.prefixes.leading_hits(&sequence.request.block_hashes);
        (blocks * self.settings.block_size).min(sequence.request.prompt_tokens.saturating_sub(1))
    }

    fn step_from(&self, now: Duration) -> Option<Step> {
        let taking_part = || self.running.iter().filter(|s| s.in_step > 0);
        let computed_tokens = taking_part().map(|s| s.in_step).sum();
        if computed_tokens == 0 {
            return None;
        }
        let resident_tokens = taking_part().map(|s| s.computed + s.in_step).sum();
        Some(self.step_of(computed_tokens, resident_tokens, now))
    }

    /// The iteration that starts at `now` and takes what its tokens cost.
    pub(super) fn step_of(&self, computed_tokens: u32, resident_tokens: u32, now: Duration) -> Step {
        let factor = self.settings.load_factor.at(count(self.running.len()), self.settings.max_num_seqs);
        let duration = self.settings.iteration_time.of(computed_tokens, resident_tokens).mul_f64(factor);
        // Even a free iteration moves time, so that `advance` ends.
        let ends = now + duration.max(Duration::from_micros(1));
        Step { started: now, ends, computed_tokens }
    }

    /// Applies the iteration that has ended: computed tokens are in the cache, and each sequence without anything
    /// left to compute has one more token.
    pub(super) fn finish_step(&mut self, step: Step) {
        let tells_tokens = self.tells_tokens;
        if tells_tokens {
            self.events.push(Event::Step { computed_tokens: step.computed_tokens });
        }
        let (events, blocks, gaps) = (&mut self.events, &mut self.blocks, &mut self.gaps);
        self.running.retain_mut(|sequence| {
            if sequence.in_step == 0 {
                return true;
            }
            sequence.computed += std::mem::take(&mut sequence.in_step);
            if sequence.remaining_tokens() > 0 {
                return true;
            }
            sequence.generated += 1;
            let previous = sequence.last_token.replace(step.ends).unwrap_or(sequence.arrived);
            let completes_prompt = sequence.first_token.is_none().then_some(sequence.request.prompt_tokens);
            sequence.first_token.get_or_insert(step.ends);
            let last = sequence.generated >= sequence.request.output_tokens;
            let since_previous = step.ends.saturating_sub(previous);
            if completes_prompt.is_none() {
                gaps.count += 1;
                gaps.time += since_previous;
            }
            if tells_tokens || completes_prompt.is_some() {
                events.push(Event::Token { id: sequence.id, completes_prompt, last, since_previous });
            }
            if !last {
                return true;
            }
            blocks.release(sequence.blocks);
            events.push(Event::Finished(sequence.finished(step.ends, sequence.request.finish_reason)));
            false
        });
        self.step = None;
    }
}
