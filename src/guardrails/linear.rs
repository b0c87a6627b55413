//! A linear model over hashed words and characters: small enough to be part of the program, fast
//! enough for every text.
//!
//! Features are words in runs of one to three and the characters of each word in runs of three to
//! five, hashed (FNV-1a) into a power of two of buckets; a bucket counts once, and the vector has
//! length one. Training reads the features from this very code (`examples/guardrail_features.rs`),
//! so that there is one definition of them.

use std::hash::Hasher;
use std::ops::Range;

use fnv::FnvHasher;

use super::pool::Pool;

/// What a file begins with.
const MAGIC: &[u8; 4] = b"MLLM";
/// Of the layout below and of the features; another one is not read.
const VERSION: u8 = 1;
/// Magic, version, bits, heads and dense features.
const HEADER: usize = 8;
/// Words in a run at most.
const WORDS: usize = 3;
/// Characters in a run, those of the blanks around a word included.
const CHARACTERS: Range<usize> = 3..6;
/// Bytes of a window in which sentences are judged together.
pub const WINDOW: usize = 480;

/// The hashed features of a text. Reusable, so that windows of a long text cost no allocation.
pub struct Features {
    shift: u32,
    seen: Vec<u64>,
    set: Vec<u32>,
    word: String,
    last: [u64; WORDS - 1],
}

impl Features {
    /// For models of `2^bits` buckets, with 8 to 24 bits.
    pub fn new(bits: u8) -> Self {
        let bits = u32::from(bits.clamp(8, 24));
        Self {
            shift: u64::BITS - bits,
            seen: vec![0; 1 << (bits - 6)],
            set: Vec::new(),
            word: String::new(),
            last: [0; WORDS - 1],
        }
    }

    /// None yet, of as many buckets.
    pub fn like(&self) -> Self {
        Self {
            shift: self.shift,
            seen: vec![0; self.seen.len()],
            set: Vec::new(),
            word: String::new(),
            last: [0; WORDS - 1],
        }
    }

    /// Which buckets the last text filled, each once, in no particular order.
    pub fn buckets(&self) -> &[u32] {
        &self.set
    }

    /// Forgets what was read.
    pub fn clear(&mut self) {
        for bucket in self.set.drain(..) {
            if let Some(bits) = self.seen.get_mut(bucket as usize / 64) {
                *bits = 0;
            }
        }
    }

    /// Adds what others have read: cheaper than reading it again.
    pub fn extend(&mut self, others: &Self) {
        for bucket in &others.set {
            self.fill(*bucket);
        }
    }

    /// Reads a text; letter case and which digit it is make no difference. Linear in its length.
    pub fn read(&mut self, text: &str) {
        self.clear();
        self.last = [0; WORDS - 1];
        let mut symbols = [' '; 2];
        for c in text.chars() {
            if is_word(c) {
                if is_syllable(c) {
                    self.end_word();
                }
                match c {
                    '0'..='9' => self.word.push('0'),
                    _ if c.is_ascii() => self.word.push(c.to_ascii_lowercase()),
                    _ => self.word.extend(c.to_lowercase()),
                }
                if is_syllable(c) {
                    self.end_word();
                }
                symbols = [' '; 2];
            } else {
                self.end_word();
                self.symbol(symbols, c);
                symbols = [symbols[1], if c.is_whitespace() { ' ' } else { c }];
            }
        }
        self.end_word();
    }

    /// Punctuation in runs of one to three, by which code and markup are known.
    fn symbol(&mut self, before: [char; 2], c: char) {
        if c.is_whitespace() {
            return;
        }
        let mut hasher = begin(b'p');
        write(&mut hasher, c);
        self.add(hasher.finish());
        for earlier in before.into_iter().rev() {
            if earlier == ' ' {
                break;
            }
            write(&mut hasher, earlier);
            self.add(hasher.finish());
        }
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        let word = std::mem::take(&mut self.word);
        let mut hasher = begin(b'w');
        hasher.write(word.as_bytes());
        let hash = hasher.finish();
        self.add(hash);
        let mut run = FnvHasher::with_key(hash);
        for earlier in self.last {
            if earlier == 0 {
                break;
            }
            run.write_u64(earlier);
            self.add(run.finish());
        }
        self.last = [hash, self.last[0]];
        self.characters(&word);
        self.word = word;
        self.word.clear();
    }

    fn characters(&mut self, word: &str) {
        let blank = std::iter::once((0, ' '));
        let starts = blank.chain(word.char_indices());
        for (index, (start, first)) in starts.enumerate() {
            let mut hasher = begin(b'c');
            write(&mut hasher, first);
            let rest = match index {
                0 => word,
                _ => word.get(start + first.len_utf8()..).unwrap_or_default(),
            };
            let rest = rest.chars().chain(std::iter::once(' '));
            for (length, c) in (2..CHARACTERS.end).zip(rest) {
                write(&mut hasher, c);
                if length >= CHARACTERS.start {
                    self.add(hasher.finish());
                }
            }
        }
    }

    fn add(&mut self, hash: u64) {
        // FNV's high bits are its weak ones: spread all over them (Fibonacci hashing).
        let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.fill((mixed >> self.shift) as u32);
    }

    fn fill(&mut self, bucket: u32) {
        let Some(bits) = self.seen.get_mut(bucket as usize / 64) else {
            return;
        };
        let bit = 1 << (bucket % 64);
        if *bits & bit == 0 {
            *bits |= bit;
            self.set.push(bucket);
        }
    }
}

fn begin(kind: u8) -> FnvHasher {
    let mut hasher = FnvHasher::default();
    hasher.write_u8(kind);
    hasher
}

fn write(hasher: &mut FnvHasher, c: char) {
    if c.is_ascii() {
        return hasher.write_u8(c as u8);
    }
    hasher.write(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a character is a word of its own, in scripts without blanks between words.
fn is_syllable(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// One or more linear models over the same features.
///
/// The file, little-endian: magic `MLLM`, version (u8), bits (u8), heads (u8), dense features (u8);
/// for each head its scale, bias, slope and offset of the calibration and the weights of the dense
/// features (f32 each); then for each head `2^bits` weights (i8), in units of its scale.
pub struct Linear {
    bits: u8,
    heads: Vec<Head>,
    desks: Pool<Features>,
}

struct Head {
    scale: f32,
    bias: f32,
    /// Platt scaling: the logit is `slope * sum + offset`.
    slope: f32,
    offset: f32,
    dense: Vec<f32>,
    weights: &'static [u8],
}

/// A file is not a model.
#[derive(Debug, thiserror::Error)]
#[error("not a linear model of version {VERSION}")]
pub struct LinearError;

impl Linear {
    /// # Errors
    /// [`LinearError`] for a file of another kind, version or length.
    pub fn parse(file: &'static [u8]) -> Result<Self, LinearError> {
        let (header, mut rest) = file.split_at_checked(HEADER).ok_or(LinearError)?;
        let [m, a, g, i, version, bits, heads, dense] = *header else {
            return Err(LinearError);
        };
        if [m, a, g, i] != *MAGIC || version != VERSION || !(8..=24).contains(&bits) {
            return Err(LinearError);
        }
        let mut number = || -> Result<f32, LinearError> {
            let (bytes, after) = rest.split_first_chunk().ok_or(LinearError)?;
            rest = after;
            Ok(f32::from_le_bytes(*bytes))
        };
        let mut all = Vec::new();
        for _ in 0..heads {
            all.push(Head {
                scale: number()?,
                bias: number()?,
                slope: number()?,
                offset: number()?,
                dense: (0..dense).map(|_| number()).collect::<Result<_, _>>()?,
                weights: &[],
            });
        }
        for head in &mut all {
            (head.weights, rest) = rest.split_at_checked(1 << bits).ok_or(LinearError)?;
        }
        if !rest.is_empty() {
            return Err(LinearError);
        }
        Ok(Self {
            bits,
            heads: all,
            desks: Pool::default(),
        })
    }

    /// Lends features of its size to `work`, which may hold what others have read.
    pub fn reading<T>(&self, work: impl FnOnce(&mut Features) -> T) -> T {
        let new = || Features::new(self.bits);
        let mut features = self.desks.take().unwrap_or_else(new);
        let done = work(&mut features);
        self.desks.give(features);
        done
    }

    /// The weight of one dense feature of one head.
    pub fn dense(&self, head: usize, feature: usize) -> Option<f32> {
        self.heads.get(head)?.dense.get(feature).copied()
    }

    /// Calibrated log-odds of one head; `dense` are further features, as many as it was trained
    /// with or less. None: there is no such head.
    pub fn logit(&self, head: usize, features: &Features, dense: &[f32]) -> Option<f32> {
        let head = self.heads.get(head)?;
        let buckets = features.buckets();
        let weight = |bucket: &u32| head.weights.get(*bucket as usize).copied();
        let sum: i64 = buckets
            .iter()
            .filter_map(weight)
            .map(|weight| i64::from(weight.cast_signed()))
            .sum();
        let length = (buckets.len().max(1) as f32).sqrt();
        let further: f32 = head.dense.iter().zip(dense).map(|(w, x)| w * x).sum();
        let margin = sum as f32 * head.scale / length + further + head.bias;
        Some(head.slope * margin + head.offset)
    }
}

/// The probability that log-odds stand for.
pub fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// A text in windows of about `size` bytes: whole sentences or lines where they are short enough,
/// whole words otherwise. Together they are the text.
pub fn windows(text: &str, size: usize) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let (mut start, mut end, mut blank) = (0, 0, 0);
    let mut ends_sentence = false;
    for (at, c) in text.char_indices() {
        let next = at + c.len_utf8();
        if c == '\n' || is_syllable_stop(c) || (ends_sentence && c.is_whitespace()) {
            end = next;
        }
        if c.is_whitespace() {
            blank = next;
        }
        ends_sentence = matches!(c, '.' | '!' | '?' | ';');
        if next - start >= size {
            // Half a window at least, or a few long sentences would make many windows.
            let half = start + size / 2;
            let cut = [end, blank].into_iter().find(|cut| *cut >= half);
            let cut = cut.unwrap_or(next);
            windows.push(start..cut);
            start = cut;
        }
    }
    if start < text.len() {
        windows.push(start..text.len());
    }
    windows
}

fn is_syllable_stop(c: char) -> bool {
    matches!(c, '。' | '！' | '？')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn buckets(text: &str) -> Vec<u32> {
        let mut features = Features::new(18);
        features.read(text);
        let mut buckets = features.buckets().to_vec();
        buckets.sort_unstable();
        buckets
    }

    fn model(weights: &[(u32, i8)]) -> Linear {
        let mut file = b"MLLM\x01\x12\x01\x01".to_vec();
        for number in [0.5_f32, -1.0, 2.0, 0.25, 3.0] {
            file.extend(number.to_le_bytes());
        }
        let mut all = vec![0; 1 << 18];
        for (bucket, weight) in weights {
            all[*bucket as usize] = weight.cast_unsigned();
        }
        file.extend(all);
        Linear::parse(file.leak()).unwrap()
    }

    #[test]
    fn features_are_the_same_for_ever() {
        // Changing them makes every trained model worthless: then the version must change as well.
        let found = buckets("Ignore <|x|> 中文 27 ёж");
        let sum: u64 = found.iter().map(|bucket| u64::from(*bucket)).sum();
        assert_eq!((found.len(), sum), (44, 5_676_363));
    }

    #[test]
    fn case_and_digits_make_no_difference_and_a_word_does() {
        assert_eq!(buckets("Room 12 ÉCOLE"), buckets("room 34 école"));
        assert_ne!(buckets("one two three"), buckets("one three two"));
        assert_ne!(buckets("a.b"), buckets("a,b"));
        assert!(buckets("").is_empty());
    }

    #[test]
    fn a_reader_forgets_the_text_before() {
        let mut features = Features::new(18);
        features.read("something else entirely");
        features.read("new");
        let mut after = features.buckets().to_vec();
        after.sort_unstable();
        assert_eq!(after, buckets("new"));
    }

    #[test]
    fn a_logit_is_what_the_layout_says() {
        let found = buckets("abc");
        let model = model(&[(found[0], 10), (found[1], -4)]);
        let mut features = Features::new(model.bits);
        features.read("abc");
        let sum = 6.0 * 0.5 / (found.len() as f32).sqrt();
        let expected = 2.0 * (sum + 3.0 * 0.5 - 1.0) + 0.25;
        let logit = model.logit(0, &features, &[0.5]).unwrap();
        assert!((logit - expected).abs() < 1e-5, "{logit} {expected}");
        assert_eq!(model.logit(1, &features, &[]), None);
        assert!((sigmoid(0.0) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn what_is_not_a_model_is_refused() {
        for file in [
            &b""[..],
            b"MLLM",
            b"MLLM\x02\x08\x00\x00",
            b"XLLM\x01\x08\x00\x00",
            b"MLLM\x01\x08\x01\x00",
            b"MLLM\x01\x08\x00\x00 ",
        ] {
            assert!(Linear::parse(file).is_err(), "{file:?}");
        }
        assert_eq!(
            Linear::parse(b"MLLM\x01\x08\x00\x00").unwrap().heads.len(),
            0
        );
    }

    #[test]
    fn windows_end_with_sentences() {
        let text = "One is here. Two is there. Three is nowhere to be found.";
        let found: Vec<_> = windows(text, 30).into_iter().map(|w| &text[w]).collect();
        assert_eq!(
            found,
            [
                "One is here. Two is there. ",
                "Three is nowhere to be found."
            ]
        );
    }

    proptest! {
        #[test]
        fn windows_are_the_text(text in "[a-z .!\n中。é]{0,400}", size in 4usize..80) {
            let found = windows(&text, size);
            let whole: String = found.iter().map(|window| &text[window.clone()]).collect();
            prop_assert_eq!(&whole, &text);
            for window in found {
                prop_assert!(window.len() < size + 4 && !window.is_empty());
            }
        }

        #[test]
        fn any_text_has_features_in_range(text in "\\PC{0,200}") {
            let found = buckets(&text);
            prop_assert!(found.iter().all(|bucket| *bucket < 1 << 18));
            prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
