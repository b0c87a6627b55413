//! How a text is cut into words before byte-pair merging, by the name that a GGUF file gives in
//! `tokenizer.ggml.pre`.
//!
//! The names are llama.cpp's, and so is their meaning (its `llama-vocab.cpp`): a list of patterns,
//! each cutting further what the ones before have left, matches becoming words of their own.

use crate::models::error::{Part, Refusal};

/// GPT-2's words: contractions, letters, numbers or anything else with at most one space before,
/// and whitespace that leaves its last character to the word that follows.
const GPT2: &str = r"'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Llama 3's words: contractions in either case, letters with one other character before, numbers
/// of up to three digits, anything else with the line ends behind it.
const LLAMA3: &str = concat!(
    r"'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
/// Qwen 2's words: as Llama 3's, but every digit is its own.
const QWEN2: &str = concat!(
    r"'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// A pre-tokenizer that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreTokenizer {
    /// Patterns in order.
    pub patterns: &'static [&'static str],
    /// A word that is a token as it stands is not merged from its bytes.
    pub ignore_merges: bool,
    /// Whether prompts begin with the BOS token where the file does not say.
    pub add_bos: bool,
}

impl PreTokenizer {
    const fn plain(patterns: &'static [&'static str]) -> Self {
        Self {
            patterns,
            ignore_merges: false,
            add_bos: false,
        }
    }

    /// The pre-tokenizer of this name; files that give none mean `default`.
    ///
    /// # Errors
    /// A name that we do not know: guessing would give wrong tokens without a word.
    pub fn named(name: &str) -> Result<Self, Refusal> {
        Ok(match name {
            "gpt-2" | "phi-2" | "mellum" => Self::plain(&[GPT2]),
            "smollm" | "starcoder" | "refact" => Self::plain(&[r"\p{N}", GPT2]),
            "qwen2" | "deepseek-r1-qwen" => Self::plain(&[QWEN2]),
            "smaug-bpe" => Self::plain(&[LLAMA3]),
            "llama-bpe" | "llama3" | "llama-v3" | "falcon3" => Self {
                patterns: &[LLAMA3],
                ignore_merges: true,
                add_bos: true,
            },
            "deepseek-coder" => Self::plain(&[
                r"[\r\n]",
                r"\s?\p{L}+",
                r"\s?\p{P}+",
                "(?:(?!\\s)[\u{800}-\u{9fa5}\u{ac00}-\u{d7ff}])+",
                r"\p{N}",
            ]),
            "default" => Self::plain(&[r"[\p{P}$+<=>^~|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"]),
            other => {
                return Err(Refusal::new(
                    Part::PreTokenizer,
                    format!("'{other}' is not one that is known here"),
                ));
            }
        })
    }
}
