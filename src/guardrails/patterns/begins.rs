//! What can begin with which byte.

use std::sync::Arc;

use super::compiled::Compiled;

/// Which patterns a match of may begin with a byte: for each byte a bit for each pattern.
#[derive(Default)]
pub(super) struct Begins {
    words: usize,
    bits: Vec<u64>,
}

impl Begins {
    pub(super) fn of(all: &[Arc<Compiled>]) -> Self {
        let words = all.len().div_ceil(64);
        let mut bits = vec![0; 256 * words];
        for (which, one) in all.iter().enumerate() {
            let bytes = one.begins.iter().enumerate().filter(|(_, begins)| **begins);
            for (byte, _) in bytes {
                if let Some(word) = bits.get_mut(byte * words + which / 64) {
                    *word |= 1_u64 << (which % 64);
                }
            }
        }
        Self { words, bits }
    }

    /// The patterns a match of which may begin in this text, a bit for each.
    pub(super) fn within(&self, text: &str) -> Vec<u64> {
        let mut seen = [false; 256];
        for byte in text.bytes() {
            if let Some(seen) = seen.get_mut(usize::from(byte)) {
                *seen = true;
            }
        }
        let mut all = vec![0; self.words];
        let rows = self.bits.chunks_exact(self.words.max(1)).zip(seen);
        for (row, _) in rows.filter(|(_, is_seen)| *is_seen) {
            for (all, word) in all.iter_mut().zip(row) {
                *all |= word;
            }
        }
        all
    }
}
