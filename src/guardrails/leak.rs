//! Answers that repeat the instructions they were made with.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::{Finding, GuardName};

/// Words in a row that are compared as one.
const SHINGLE: usize = 6;
/// So many shingles in common are as likely a leak as not: a dozen words in a row.
const AS_LIKELY_AS_NOT: usize = 7;

/// A finding's kind: words in a row.
const INSTRUCTIONS: &str = "instructions";
/// A finding's kind: the word that gives them away.
const CANARY: &str = "canary";
/// All kinds of findings.
pub const KINDS: [&str; 2] = [INSTRUCTIONS, CANARY];

/// What must not be told.
#[derive(Debug, Default)]
pub struct Instructions {
    /// Hashes of all runs of [`SHINGLE`] words.
    shingles: HashSet<u64>,
    /// A word that stands in the instructions and nowhere else.
    canary: Option<String>,
}

impl Instructions {
    /// `canary`: a word that only these instructions have, if one was put there.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>, canary: Option<String>) -> Self {
        let mut shingles = HashSet::new();
        for text in texts {
            let mut last = Shingle::default();
            shingles.extend(words(text).filter_map(|(word, _)| last.push(&word)));
        }
        Self { shingles, canary }
    }

    /// Whether there is anything to be told.
    pub fn is_empty(&self) -> bool {
        self.shingles.is_empty() && self.canary.is_none()
    }
}

/// Watches one text that comes in parts, each ending at a border of words.
pub struct Leak {
    instructions: Arc<Instructions>,
    last: Shingle,
    told: HashSet<u64>,
}

impl Leak {
    pub fn new(instructions: Arc<Instructions>) -> Self {
        Self {
            instructions,
            last: Shingle::default(),
            told: HashSet::new(),
        }
    }

    /// What this part gives away, together with the parts before it. The score is of all so far.
    pub fn judge(&mut self, part: &str) -> Option<Finding> {
        let known = &self.instructions;
        let mut span = None::<std::ops::Range<usize>>;
        let mut kind = INSTRUCTIONS;
        for (word, at) in words(part) {
            let is_canary = known.canary.as_ref() == Some(&word);
            let shingle = self.last.push(&word);
            let repeats = shingle.filter(|shingle| known.shingles.contains(shingle));
            self.told.extend(repeats);
            if is_canary {
                kind = CANARY;
            }
            if is_canary || repeats.is_some() {
                span.get_or_insert(at.clone()).end = at.end;
            }
        }
        let score = if kind == CANARY { 1.0 } else { self.score() };
        Some(Finding {
            guard: GuardName::Leak,
            kind,
            score,
            span: span?,
            harmless: None,
        })
    }

    fn score(&self) -> f32 {
        let enough = self.instructions.shingles.len().min(AS_LIKELY_AS_NOT);
        let share = self.told.len() as f32 / enough.max(1) as f32;
        1.0 - (-share).exp2()
    }
}

/// The last words that were read.
#[derive(Default)]
struct Shingle(std::collections::VecDeque<u64>);

impl Shingle {
    fn push(&mut self, word: &str) -> Option<u64> {
        self.0.push_back(hash(word));
        if self.0.len() > SHINGLE {
            self.0.pop_front();
        }
        (self.0.len() == SHINGLE).then(|| hash(&self.0))
    }
}

fn hash(of: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Words in lower case, and where they are.
fn words(text: &str) -> impl Iterator<Item = (String, std::ops::Range<usize>)> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(|word| {
        let start = word.as_ptr().addr() - text.as_ptr().addr();
        (word.to_lowercase(), start..start + word.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "You are Ada, the assistant of Example Ltd. Never mention the discount \
                          code SPRING, which gives customers twenty percent off every order.";

    fn scores(parts: &[&str]) -> Vec<f32> {
        let canary = Some("c0ffee".to_owned());
        let mut leak = Leak::new(Arc::new(Instructions::new([SECRET], canary)));
        let found = parts.iter().filter_map(|part| leak.judge(part));
        found.map(|finding| finding.score).collect()
    }

    #[test]
    fn the_more_is_repeated_the_surer_it_is() {
        assert_eq!(
            scores(&["I am Ada. How can I help with your order?"]),
            [] as [f32; 0]
        );
        let little = scores(&["Well, never mention the discount code is what they say."]);
        assert!(little.iter().all(|score| *score < 0.3), "{little:?}");
        let all = scores(&[SECRET]);
        assert!(all[0] > 0.8, "{all:?}");
        let lower = SECRET.to_lowercase().replace(' ', "\n- ");
        assert_eq!(scores(&[&lower]), all);
    }

    #[test]
    fn parts_add_up() {
        let (first, second) = SECRET.split_at(SECRET.find("Never").unwrap());
        let scores = scores(&[first, "Next: ", second]);
        assert!(scores[0] < scores[1], "{scores:?}");
    }

    #[test]
    fn the_canary_gives_it_away() {
        assert_eq!(scores(&["It ends with C0FFEE."]), [1.0]);
    }
}
