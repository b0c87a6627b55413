//! Prompts that begin like earlier ones are not computed again.
//!
//! A chat sends its whole history with every turn. What a prefill computed is kept in
//! [`store::PromptStore`], within a bound, and given back to mistralrs through [`slots`].
//! Only state that a prefill computed is reused, and every token of it was computed by the same
//! routine whatever was reused before it, so an answer never depends on what happened to be held.

pub mod slots;
pub mod store;

use candle_core::Result;

use crate::engine::Prepared;
use slots::{MAX_SHORTENING, MIN_TAIL, Slot, copy_of, plan};
use store::{LayerState, PromptStore};

/// Longest piece of a prompt that is computed in one step. A client that leaves is noticed between
/// pieces.
const PIECE: usize = 512;
/// The fewest tokens of computation that a larger slot must spare.
const WORTH_A_SLOT: usize = 128;
/// The same for the first slot, without which nothing is reused at all.
const WORTH_A_FIRST_SLOT: usize = 32;
/// The longest computation begun while nobody waits; who comes then has to wait for it. A whole
/// step of mistralrs' allocation, less the token that ends it.
const IDLE_PIECE: usize = 511;
/// Room made for a chat's next turn: an answer and a question.
const NEXT_TURN: usize = 256;
/// mistralrs allocates a sequence's state in steps of this many tokens.
pub const STATE_STEP: usize = 512;

/// Everything kept between the requests of one model, within one bound.
pub struct Reuse {
    max_bytes: usize,
    store: PromptStore,
    slots: Vec<Slot>,
    slot_bytes: usize,
    /// How much fits into the largest slot made of filler.
    filler_capacity: usize,
    /// 0 before any state was seen.
    bytes_per_token: usize,
}

/// What to run next for a prompt.
#[derive(Debug, PartialEq)]
pub struct Step {
    /// What to send: the prompt up to `end`, its reused beginning replaced by a slot's key.
    pub tokens: Vec<u32>,
    /// Tokens of the prompt that are not computed again.
    pub reused: usize,
    /// Where in the prompt this step ends. Before the prompt's end, it only computes state.
    pub end: usize,
    /// mistralrs' prefix cache has to be asked, or to keep what this step leaves.
    pub through_cache: bool,
    /// What this step leaves becomes a slot.
    pub keep: bool,
}

impl Step {
    /// All of a prompt at once, reusing nothing.
    pub fn whole(prompt: &[u32]) -> Self {
        Self {
            tokens: prompt.to_vec(),
            reused: 0,
            end: prompt.len(),
            through_cache: false,
            keep: false,
        }
    }
}

impl Reuse {
    /// `max_bytes` bounds what is held between requests; 0 turns reuse off.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            store: PromptStore::new(max_bytes),
            slots: Vec::new(),
            slot_bytes: 0,
            filler_capacity: 0,
            bytes_per_token: 0,
        }
    }

    /// Whether anything is kept at all.
    pub fn is_on(&self) -> bool {
        self.max_bytes > 0
    }

    /// Bytes of state held now, in the store and in the slots.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.store.bytes() + self.slot_bytes
    }

    /// The next step for a prompt of which the steps so far have computed `done` tokens. Writes the
    /// stored state that it reuses into its slot.
    pub fn next_step(&mut self, prepared: &Prepared, done: usize) -> Result<Step> {
        let prompt = &prepared.prompt;
        let found = self.store.longest_match(&prepared.scope, prompt);
        let stored = found.as_ref().map_or(0, |found| found.tokens);
        let plan = plan(&self.slots, stored, prompt).zip(found);
        let mut step = Step::whole(prompt);
        if let Some((plan, found)) = plan {
            if let Some(slot) = self.slots.get(plan.slot) {
                slot.write(&found.layers, plan.reuse)?;
            }
            step.reused = plan.reuse;
            step.tokens = plan.tokens;
            step.through_cache = true;
        }
        // A step that did not help the next one would be repeated for ever.
        let helped = step.reused + MAX_SHORTENING + MIN_TAIL >= done;
        if self.is_on() && helped {
            self.shorten(&mut step, prompt.len(), stored);
        }
        step.tokens.truncate(step.end);
        Ok(step)
    }

    /// Makes a long step a piece, and a step that would leave a worthwhile slot keep it.
    fn shorten(&self, step: &mut Step, length: usize, stored: usize) {
        let last = length.saturating_sub(MIN_TAIL);
        if last < step.reused + MIN_TAIL {
            return;
        }
        let capacity = self.slots.iter().map(Slot::capacity).max().unwrap_or(0);
        // No further than what a slot can hand to the next step.
        let piece = (step.reused + PIECE).min(last).min(capacity);
        let long = length - step.reused > PIECE;
        if long && piece > step.reused + MAX_SHORTENING {
            step.end = piece;
            return;
        }
        let worth = if self.slots.is_empty() {
            WORTH_A_FIRST_SLOT
        } else {
            WORTH_A_SLOT
        };
        if !long && (stored <= capacity || stored.min(last) < step.reused + worth) {
            return;
        }
        // Doubling keeps the slots together smaller than twice the largest.
        let end = (step.reused + step.reused.max(PIECE)).min(last);
        // Without a slot to go through, the prompt's own first tokens would find one by accident.
        let clean = self.slots.is_empty() || step.reused > 0;
        if clean && self.has_room(end) {
            step.end = end;
            step.keep = true;
            step.through_cache = true;
        }
    }

    /// Slots take three quarters of the memory at most; the rest holds what goes through them.
    fn has_room(&self, tokens: usize) -> bool {
        self.slot_bytes + self.bytes_of_slot(tokens) <= self.max_bytes / 4 * 3
    }

    fn bytes_of_slot(&self, tokens: usize) -> usize {
        tokens.next_multiple_of(STATE_STEP) * self.bytes_per_token
    }

    /// Takes the measure of the model from the state that a sequence left.
    pub fn measure(&mut self, computed: &[LayerState]) {
        self.bytes_per_token = store::bytes_per_token(computed);
    }

    /// Takes over what a step computed: the state of the prompt up to the step's end, as views of
    /// mistralrs' own tensors.
    pub fn keep(
        &mut self,
        prepared: &Prepared,
        step: &Step,
        computed: Vec<LayerState>,
        end_token: u32,
    ) -> Result<()> {
        if !self.is_on() {
            return Ok(());
        }
        self.measure(&computed);
        let copy = copy_of(&computed, step.end)?;
        self.store
            .insert(&prepared.scope, &prepared.prompt[..step.end], copy);
        if step.keep {
            self.keep_slot(step, computed, end_token);
        }
        Ok(())
    }

    /// Takes over the entry that a step made of filler left in mistralrs' cache.
    pub fn keep_filler(&mut self, step: &Step, computed: Vec<LayerState>, end_token: u32) {
        self.filler_capacity = step.end;
        self.keep_slot(step, computed, end_token);
    }

    fn keep_slot(&mut self, step: &Step, computed: Vec<LayerState>, end_token: u32) {
        let mut key = step.tokens.clone();
        key.push(end_token);
        self.slot_bytes += self.bytes_of_slot(step.end);
        self.slots.push(Slot::new(key, computed));
        self.store
            .set_max_bytes(self.max_bytes.saturating_sub(self.slot_bytes));
    }

    /// A step that makes room for the next turn of a chat of `length` tokens, made of `filler`.
    /// Nothing when there is room, or none could be made cheaply.
    ///
    /// A slot's state does not matter, but its key does: one made of a real prompt gets in the way
    /// of prompts that resemble it, one made of a token that hardly occurs serves all.
    pub fn growth(&self, length: usize, filler: u32) -> Option<Step> {
        let wanted = length + NEXT_TURN;
        let blocks = wanted.div_ceil(STATE_STEP).next_power_of_two();
        let end = (blocks * STATE_STEP - 1).min(self.filler_capacity + IDLE_PIECE);
        if !self.is_on() || self.filler_capacity >= wanted || !self.has_room(end) {
            return None;
        }
        let tokens = vec![filler; end];
        let found = slots::found_by_mistralrs(&self.slots, &tokens);
        Some(Step {
            reused: found.map_or(0, |(_, shared)| shared),
            tokens,
            end,
            through_cache: true,
            keep: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Sampling;
    use candle_core::{DType, Device, Tensor};

    const END: u32 = 0;

    fn prepared(prompt: Vec<u32>) -> Prepared {
        Prepared {
            prompt,
            sampling: Sampling::default(),
            max_tokens: 1,
            is_thinking: false,
            shows_calls: false,
            call_style: None,
            grammar: None,
            scope: "tenant".into(),
        }
    }

    fn state(tokens: usize) -> Vec<LayerState> {
        let t = Tensor::zeros((1, 1, tokens, 1), DType::F32, &Device::Cpu).expect("small");
        vec![(t.clone(), t)]
    }

    /// Runs a prompt as the runner does, and returns the ends and reuses of its steps.
    fn run(reuse: &mut Reuse, prompt: Vec<u32>) -> Vec<(usize, usize)> {
        let prepared = prepared(prompt);
        let mut steps = Vec::new();
        let mut done = 0;
        loop {
            let step = reuse.next_step(&prepared, done).expect("a step");
            assert!(steps.len() < 64, "no progress: {steps:?}");
            // What mistralrs would do must be what the step says.
            let found = slots::found_by_mistralrs(&reuse.slots, &step.tokens);
            if step.through_cache {
                assert_eq!(found.map_or(0, |(_, shared)| shared), step.reused);
            }
            steps.push((step.reused, step.end));
            reuse
                .keep(&prepared, &step, state(step.end), END)
                .expect("kept");
            assert!(reuse.bytes() <= reuse.max_bytes);
            if step.end == prepared.prompt.len() {
                return steps;
            }
            done = step.end;
        }
    }

    fn tokens(seed: u32, n: usize) -> Vec<u32> {
        (0..n as u32)
            .map(|i| 1 + (i * 7919 + seed * 104_729) % 997)
            .collect()
    }

    #[test]
    fn a_growing_chat_computes_little_more_than_what_is_new() {
        let mut reuse = Reuse::new(1 << 20);
        let chat = tokens(1, 900);
        let mut computed = 0;
        for turn in 1..=10 {
            let steps = run(&mut reuse, chat[..turn * 90].to_vec());
            computed = steps.iter().map(|(reused, end)| end - reused).sum();
        }
        assert!(
            computed <= 90 + 128 + MIN_TAIL,
            "{computed} tokens in the last turn"
        );
    }

    /// Does what the runner does in idle time.
    fn idle(reuse: &mut Reuse, length: usize) {
        reuse.measure(&state(8));
        if let Some(step) = reuse.growth(length, END) {
            let found = slots::found_by_mistralrs(&reuse.slots, &step.tokens);
            assert_eq!(found.map_or(0, |(_, shared)| shared), step.reused);
            reuse.keep_filler(&step, state(step.end), END);
        }
    }

    #[test]
    fn chats_that_resemble_each_other_do_not_get_in_each_others_way() {
        let mut reuse = Reuse::new(1 << 20);
        idle(&mut reuse, 1);
        for chat in 0..4 {
            let mut text = tokens(1, 450);
            text[5] = 2000 + chat;
            for turn in 2..=5 {
                let steps = run(&mut reuse, text[..turn * 90].to_vec());
                let reused = steps[0].0;
                assert!(
                    turn == 2 || reused + 120 > turn * 90,
                    "chat {chat}, turn {turn}: {reused} reused"
                );
            }
        }
    }

    #[test]
    fn a_long_prompt_goes_in_pieces_through_filler_too() {
        let mut reuse = Reuse::new(1 << 20);
        idle(&mut reuse, 1);
        let steps = run(&mut reuse, tokens(5, 4000));
        assert!(steps.len() >= 4, "{steps:?}");
        assert!(steps[0].1 <= PIECE, "{steps:?}");
        assert!(
            steps.iter().all(|(reused, end)| end - reused <= 2048),
            "{steps:?}"
        );
    }

    #[test]
    fn room_grows_in_idle_time_up_to_the_bound() {
        let mut reuse = Reuse::new(4096 * 8);
        for length in [1, 300, 700, 1500, 3000, 5000] {
            idle(&mut reuse, length);
            assert!(reuse.bytes() <= 4096 * 8 / 4 * 3);
        }
        assert!(reuse.filler_capacity >= 1000);
    }

    #[test]
    fn memory_stays_bounded_whatever_comes() {
        let mut reuse = Reuse::new(4096 * 8);
        for seed in 0..60 {
            let n = 20 + (seed as usize * 377) % 3000;
            run(&mut reuse, tokens(seed % 7, n));
        }
        assert!(reuse.bytes() <= 4096 * 8);
    }

    #[test]
    fn a_long_prompt_goes_in_pieces() {
        let mut reuse = Reuse::new(1 << 20);
        let steps = run(&mut reuse, tokens(3, 2000));
        assert_eq!(steps.first(), Some(&(0, PIECE)));
        assert!(steps.len() >= 3, "{steps:?}");
        let again = run(&mut reuse, tokens(4, 1500));
        assert!(again.iter().all(|(reused, end)| end - reused <= PIECE));
    }

    #[test]
    fn nothing_is_kept_when_it_is_off() {
        let mut reuse = Reuse::new(0);
        assert_eq!(run(&mut reuse, tokens(1, 2000)), [(0, 2000)]);
        assert_eq!(reuse.bytes(), 0);
    }
}
