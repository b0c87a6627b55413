//! Handing stored prompt state to mistralrs.
//!
//! mistralrs has a prefix cache of its own, but on a processor it never forgets, cannot be told
//! what to keep, and reuses state of generated tokens, whose rounding differs from a prefill's.
//! So it is given a few entries ("slots") and no more, and they are used as doors: the state of
//! the real prompt is written over a slot's, and the request is sent with the slot's key in place
//! of the prompt's first tokens. mistralrs finds the slot, takes the state and the positions for
//! granted, and prefills the rest. The first tokens themselves it never looks at again.

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor};

use super::store::{LayerState, shared_length};

/// The last tokens of a prompt are always prefilled, at least this many: mistralrs computes
/// attention for one single token by another routine, which rounds differently.
pub const MIN_TAIL: usize = 2;
/// How far reuse is shortened to find a place where the slot's key and the prompt differ.
pub const MAX_SHORTENING: usize = 16;

/// One entry of mistralrs' prefix cache.
pub struct Slot {
    /// The tokens under which mistralrs knows it. The last one has no state.
    key: Vec<u32>,
    /// Views of the entry's own tensors, one position for each token of the key but the last.
    layers: Vec<LayerState>,
}

impl Slot {
    pub fn new(key: Vec<u32>, layers: Vec<LayerState>) -> Self {
        Self { key, layers }
    }

    /// How many tokens of state fit.
    pub fn capacity(&self) -> usize {
        self.key.len().saturating_sub(1)
    }

    /// Replaces the state of the first `tokens` positions.
    pub fn write(&self, layers: &[LayerState], tokens: usize) -> Result<()> {
        for ((to_k, to_v), (from_k, from_v)) in self.layers.iter().zip(layers) {
            for (to, from) in [(to_k, from_k), (to_v, from_v)] {
                let to = to.narrow(2, 0, tokens)?;
                let from = from.narrow(2, 0, tokens)?;
                to.inplace_op2(&from, &CopyRows)?;
            }
        }
        Ok(())
    }
}

/// How to send a prompt so that its first `reuse` tokens are not computed again.
#[derive(Debug, PartialEq)]
pub struct Plan {
    pub slot: usize,
    pub reuse: usize,
    /// What to send in place of the prompt.
    pub tokens: Vec<u32>,
}

/// The plan that reuses the most of `available` stored tokens, through the smallest slot that does.
pub fn plan(slots: &[Slot], available: usize, prompt: &[u32]) -> Option<Plan> {
    let available = available.min(prompt.len().saturating_sub(MIN_TAIL));
    (0..slots.len())
        .filter_map(|slot| plan_for(slots, slot, available, prompt))
        .min_by_key(|plan| (std::cmp::Reverse(plan.reuse), slots[plan.slot].capacity()))
}

fn plan_for(slots: &[Slot], slot: usize, available: usize, prompt: &[u32]) -> Option<Plan> {
    let longest = available.min(slots[slot].capacity());
    (longest.saturating_sub(MAX_SHORTENING)..=longest)
        .rev()
        .take_while(|&reuse| reuse > 0)
        .find_map(|reuse| {
            let mut tokens = slots[slot].key[..reuse].to_vec();
            tokens.extend_from_slice(&prompt[reuse..]);
            let found = found_by_mistralrs(slots, &tokens);
            (found == Some((slot, reuse))).then_some(Plan {
                slot,
                reuse,
                tokens,
            })
        })
}

/// What mistralrs takes for these tokens: the entry that shares the longest beginning, the oldest
/// of equals, and how much it shares; nothing if it shares all of them.
pub fn found_by_mistralrs(slots: &[Slot], tokens: &[u32]) -> Option<(usize, usize)> {
    let mut best = None;
    for (at, slot) in slots.iter().enumerate() {
        let shared = shared_length(&slot.key, tokens);
        if shared > best.map_or(0, |(_, most)| most) {
            best = Some((at, shared));
        }
    }
    best.filter(|&(_, shared)| shared < tokens.len())
}

/// Copies the rows of `[1, heads, tokens, size]` into another tensor of that shape, in place.
struct CopyRows;

impl InplaceOp2 for CopyRows {
    fn name(&self) -> &'static str {
        "copy-rows"
    }

    fn cpu_fwd(
        &self,
        to: &mut CpuStorage,
        to_layout: &Layout,
        from: &CpuStorage,
        from_layout: &Layout,
    ) -> Result<()> {
        let (CpuStorage::F32(to), CpuStorage::F32(from)) = (to, from) else {
            candle_core::bail!("prompt state is not in f32");
        };
        let (_, heads, tokens, size) = to_layout.shape().dims4()?;
        if from_layout.dims() != to_layout.dims() {
            candle_core::bail!("prompt state has another shape");
        }
        let start = |layout: &Layout, head: usize| {
            layout.start_offset() + head * layout.stride().get(1).copied().unwrap_or(0)
        };
        for head in 0..heads {
            let (t, f) = (start(to_layout, head), start(from_layout, head));
            let (Some(to), Some(from)) = (
                to.get_mut(t..t + tokens * size),
                from.get(f..f + tokens * size),
            ) else {
                candle_core::bail!("prompt state is out of bounds");
            };
            to.copy_from_slice(from);
        }
        Ok(())
    }
}

/// A copy of the first `tokens` positions that shares nothing with the original.
pub fn copy_of(layers: &[LayerState], tokens: usize) -> Result<Vec<LayerState>> {
    let copy = |t: &Tensor| t.narrow(2, 0, tokens)?.force_contiguous();
    layers
        .iter()
        .map(|(k, v)| Ok((copy(k)?, copy(v)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn slot(key: &[u32]) -> Slot {
        Slot::new(key.to_vec(), Vec::new())
    }

    #[test]
    fn the_smallest_slot_that_reuses_the_most_is_taken() {
        let slots = [slot(&[1, 2, 3, 4, 0]), slot(&[9; 12]), slot(&[1, 2, 0])];
        let prompt = [7, 7, 7, 7, 5, 6];
        let plan = plan(&slots, 4, &prompt).expect("a plan");
        assert_eq!((plan.slot, plan.reuse), (0, 4));
        assert_eq!(plan.tokens, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn reuse_is_shortened_where_the_key_goes_on_like_the_prompt() {
        let slots = [slot(&[1, 2, 3, 5, 6, 0])];
        // The prompt goes on with 5 where the key has 5: mistralrs would take too much.
        let prompt = [8, 8, 8, 5, 7, 7];
        let plan = plan(&slots, 3, &prompt).expect("a plan");
        assert_eq!(plan.reuse, 2);
        assert_eq!(found_by_mistralrs(&slots, &plan.tokens), Some((0, 2)));
    }

    #[test]
    fn the_tail_is_always_left_to_prefill_and_nothing_means_no_plan() {
        let slots = [slot(&[1; 10])];
        assert_eq!(plan(&slots, 5, &[2; 5]).expect("a plan").reuse, 3);
        assert_eq!(plan(&slots, 5, &[2; 2]), None);
        assert_eq!(plan(&[], 5, &[2; 5]), None);
        assert_eq!(plan(&slots, 0, &[2; 5]), None);
    }

    #[test]
    fn writing_reaches_the_tensors_behind_a_view() -> Result<()> {
        let whole = Tensor::zeros((1, 2, 8, 3), DType::F32, &Device::Cpu)?;
        let view = whole.narrow(2, 0, 4)?;
        let slot = Slot::new(vec![1, 2, 3, 4, 0], vec![(view.clone(), view)]);
        let state = Tensor::ones((1, 2, 5, 3), DType::F32, &Device::Cpu)?;
        slot.write(&[(state.clone(), state)], 2)?;
        assert_eq!(whole.sum_all()?.to_scalar::<f32>()?, 12.0);
        assert_eq!(whole.narrow(2, 0, 2)?.sum_all()?.to_scalar::<f32>()?, 12.0);
        Ok(())
    }
}
