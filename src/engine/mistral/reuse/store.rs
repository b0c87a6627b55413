//! Attention state of prompts seen before, kept within a bound, least recently used out first.

use std::sync::Arc;

use candle_core::Tensor;

/// One layer's keys and values, each `[1, heads, tokens, head size]`.
pub type LayerState = (Tensor, Tensor);

/// A prompt and the state that its prefill left, one position a token.
struct Entry {
    scope: Arc<str>,
    tokens: Vec<u32>,
    layers: Arc<Vec<LayerState>>,
    bytes: usize,
    last_used: u64,
}

/// Bounded store of prompt states.
pub struct PromptStore {
    entries: Vec<Entry>,
    bytes: usize,
    max_bytes: usize,
    uses: u64,
}

/// The best that the store has for a prompt: the first `tokens` positions of `layers`.
#[derive(Clone)]
pub struct Match {
    pub tokens: usize,
    pub layers: Arc<Vec<LayerState>>,
}

impl PromptStore {
    /// `max_bytes` bounds the tensors held.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            entries: Vec::new(),
            bytes: 0,
            max_bytes,
            uses: 0,
        }
    }

    /// Bytes of tensors held now; never above the bound.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lowers or raises the bound, evicting as needed.
    pub fn set_max_bytes(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
        self.evict();
    }

    /// The longest beginning of `prompt` that is held for this scope. Scopes keep tenants apart:
    /// one must not learn from timing or from `cached_tokens` what another has asked.
    pub fn longest_match(&mut self, scope: &str, prompt: &[u32]) -> Option<Match> {
        self.uses += 1;
        let (length, entry) = self
            .entries
            .iter_mut()
            .filter(|entry| &*entry.scope == scope)
            .map(|entry| (shared_length(&entry.tokens, prompt), entry))
            .max_by_key(|(length, _)| *length)?;
        if length == 0 {
            return None;
        }
        entry.last_used = self.uses;
        Some(Match {
            tokens: length,
            layers: entry.layers.clone(),
        })
    }

    /// Keeps a prompt's state. What it continues is dropped: the longer one serves both.
    pub fn insert(&mut self, scope: &Arc<str>, tokens: &[u32], layers: Vec<LayerState>) {
        let bytes: usize = layers.iter().map(|(k, v)| size_of(k) + size_of(v)).sum();
        if bytes > self.max_bytes {
            return;
        }
        self.uses += 1;
        let held = self
            .entries
            .iter_mut()
            .find(|e| e.scope == *scope && e.tokens.starts_with(tokens));
        if let Some(longer) = held {
            longer.last_used = self.uses;
            return;
        }
        let mut freed = 0;
        self.entries.retain(|e| {
            let continued = e.scope == *scope && tokens.starts_with(&e.tokens);
            freed += if continued { e.bytes } else { 0 };
            !continued
        });
        self.bytes = self.bytes - freed + bytes;
        self.entries.push(Entry {
            scope: scope.clone(),
            tokens: tokens.to_vec(),
            layers: Arc::new(layers),
            bytes,
            last_used: self.uses,
        });
        self.evict();
    }

    fn evict(&mut self) {
        while self.bytes > self.max_bytes {
            let oldest = self
                .entries
                .iter()
                .enumerate()
                .min_by_key(|(_, entry)| entry.last_used)
                .map(|(at, _)| at);
            let Some(oldest) = oldest else { return };
            self.bytes -= self.entries.swap_remove(oldest).bytes;
        }
    }
}

/// How many tokens two sequences begin with in common.
pub fn shared_length(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// What one token's state takes; 0 without any.
pub fn bytes_per_token(layers: &[LayerState]) -> usize {
    let tokens = layers.first().and_then(|(k, _)| k.dim(2).ok()).unwrap_or(0);
    let bytes: usize = layers.iter().map(|(k, v)| size_of(k) + size_of(v)).sum();
    bytes.checked_div(tokens).unwrap_or(0)
}

fn size_of(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn state(tokens: usize) -> Vec<LayerState> {
        let t = Tensor::zeros((1, 1, tokens, 4), DType::F32, &Device::Cpu).expect("small");
        vec![(t.clone(), t)]
    }

    const PER_TOKEN: usize = 2 * 4 * 4;

    #[test]
    fn the_longest_shared_beginning_is_found_within_the_scope() {
        let mut store = PromptStore::new(1 << 20);
        let scope: Arc<str> = "a".into();
        store.insert(&scope, &[1, 2, 3, 4], state(4));
        store.insert(&scope, &[1, 2, 9], state(3));
        let found = |store: &mut PromptStore, scope: &str, prompt: &[u32]| {
            store.longest_match(scope, prompt).map(|m| m.tokens)
        };
        assert_eq!(found(&mut store, "a", &[1, 2, 3, 7]), Some(3));
        assert_eq!(found(&mut store, "a", &[1, 2, 9, 7]), Some(3));
        assert_eq!(found(&mut store, "a", &[5]), None);
        assert_eq!(found(&mut store, "b", &[1, 2, 3]), None);
    }

    #[test]
    fn memory_stays_within_the_bound_and_the_oldest_goes_first() {
        let mut store = PromptStore::new(10 * PER_TOKEN);
        let scope: Arc<str> = "a".into();
        store.insert(&scope, &[1; 4], state(4));
        store.insert(&scope, &[2; 4], state(4));
        assert!(store.longest_match("a", &[1; 4]).is_some());
        store.insert(&scope, &[3; 4], state(4));
        assert!(store.bytes() <= 10 * PER_TOKEN);
        assert!(store.longest_match("a", &[2; 4]).is_none());
        assert!(store.longest_match("a", &[1; 4]).is_some());
        store.insert(&scope, &[4; 11], state(11));
        assert!(store.longest_match("a", &[4; 11]).is_none());
    }

    #[test]
    fn a_continuation_replaces_what_it_continues() {
        let mut store = PromptStore::new(1 << 20);
        let scope: Arc<str> = "a".into();
        store.insert(&scope, &[1, 2], state(2));
        store.insert(&scope, &[1, 2, 3], state(3));
        store.insert(&scope, &[1, 2], state(2));
        assert_eq!(store.bytes(), 3 * PER_TOKEN);
    }
}
