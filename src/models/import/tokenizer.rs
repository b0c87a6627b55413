//! Turns the tokenizer inside a GGUF file into a `tokenizer.json`, the format of the `tokenizers`
//! crate. Byte-level BPE only (`tokenizer.ggml.model = gpt2`).

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::gguf::Gguf;
use super::pretokenizer::PreTokenizer;
use crate::models::error::{Part, Refusal};

/// Token types of `tokenizer.ggml.token_type`.
const UNKNOWN: u32 = 2;
const CONTROL: u32 = 3;
const USER_DEFINED: u32 = 4;

/// Tokens that end an answer wherever they are control tokens.
const ENDS: &[&str] = &[
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
];
/// Tokens that steer the model and that some files fail to mark as control tokens.
const STEERING: &[&str] = &[
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
];

/// The tokenizer of a GGUF file.
#[derive(Debug)]
pub struct GgufTokenizer {
    tokens: Vec<String>,
    types: Vec<u32>,
    merges: Vec<(String, String)>,
    pre: PreTokenizer,
    /// As the metadata gives it, wanted before a prompt or not.
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    eot: Option<u32>,
    /// Whether a prompt begins with `bos`.
    pub add_bos: bool,
}

impl GgufTokenizer {
    /// # Errors
    /// Which part of the tokenizer we cannot reproduce exactly.
    pub fn read(gguf: &Gguf) -> Result<Self, Refusal> {
        Self::read_as(gguf, gguf.text("tokenizer.ggml.pre").unwrap_or("default"))
    }

    /// Like [`Self::read`], with another pre-tokenizer than the file's.
    pub(super) fn read_as(gguf: &Gguf, pre: &str) -> Result<Self, Refusal> {
        let refuse = |reason: String| Refusal::new(Part::Tokenizer, reason);
        let missing = |key: &'static str| move || refuse(format!("the file has no '{key}'"));
        match gguf.text("tokenizer.ggml.model") {
            Some("gpt2") => {}
            Some("llama") => {
                return Err(refuse(
                    "it is a SentencePiece tokenizer ('llama'); byte-level BPE ('gpt2') is the \
                     only kind that is reproduced exactly"
                        .into(),
                ));
            }
            Some(other) => return Err(refuse(format!("its kind is '{other}', not 'gpt2'"))),
            None => return Err(missing("tokenizer.ggml.model")()),
        }
        let pre = PreTokenizer::named(pre)?;
        let tokens: Vec<String> = gguf
            .texts("tokenizer.ggml.tokens")
            .ok_or_else(missing("tokenizer.ggml.tokens"))?
            .iter()
            .enumerate()
            .map(|(id, text)| match *text {
                "" => format!("[EMPTY_{id}]"),
                text => text.to_owned(),
            })
            .collect();
        let mut types = gguf
            .numbers("tokenizer.ggml.token_type")
            .ok_or_else(missing("tokenizer.ggml.token_type"))?;
        if types.len() != tokens.len() {
            return Err(refuse(format!(
                "it has {} tokens but {} token types",
                tokens.len(),
                types.len()
            )));
        }
        for (token, kind) in tokens.iter().zip(&mut types) {
            if ENDS.contains(&token.as_str()) || STEERING.contains(&token.as_str()) {
                *kind = CONTROL;
            }
        }
        let merges = gguf
            .texts("tokenizer.ggml.merges")
            .ok_or_else(missing("tokenizer.ggml.merges"))?
            .into_iter()
            .map(|merge| {
                split_merge(merge).ok_or_else(|| refuse(format!("'{merge}' is not a merge")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let this = Self {
            merges,
            pre,
            bos: gguf.number("tokenizer.ggml.bos_token_id"),
            eos: gguf.number("tokenizer.ggml.eos_token_id"),
            eot: gguf.number("tokenizer.ggml.eot_token_id"),
            add_bos: gguf
                .flag("tokenizer.ggml.add_bos_token")
                .unwrap_or(pre.add_bos),
            tokens,
            types,
        };
        this.check()?;
        Ok(this)
    }

    fn check(&self) -> Result<(), Refusal> {
        let refuse = |reason: String| Err(Refusal::new(Part::Tokenizer, reason));
        let vocab: HashMap<&str, usize> =
            (self.tokens.iter().map(String::as_str)).zip(0..).collect();
        if vocab.len() != self.tokens.len() {
            return refuse("two of its tokens have the same text".into());
        }
        for (left, right) in &self.merges {
            for part in [left, right, &format!("{left}{right}")] {
                if !vocab.contains_key(part.as_str()) {
                    return refuse(format!("a merge uses '{part}', which is not a token"));
                }
            }
        }
        for id in [self.bos, self.eos, self.eot].into_iter().flatten() {
            if self.token(id).is_none() {
                return refuse(format!("its special token {id} does not exist"));
            }
        }
        if self.eos.is_none() {
            return refuse("the file does not say which token ends a text".into());
        }
        if self.add_bos && self.bos.is_none() {
            return refuse("it wants a BOS token but has none".into());
        }
        Ok(())
    }

    /// The text of a token.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(String::as_str)
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Every token that ends an answer, the file's own EOS first.
    pub fn ends(&self) -> Vec<u32> {
        let named = (0u32..).zip(self.tokens.iter().zip(&self.types));
        let named = named
            .filter(|(_, (text, kind))| **kind == CONTROL && ENDS.contains(&text.as_str()))
            .map(|(id, _)| id);
        let mut ids = Vec::new();
        for id in self.eos.into_iter().chain(self.eot).chain(named) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// The contents of `tokenizer.json`. It has no post-processor: nobody who encodes with it gets
    /// a BOS token that was not in the text.
    pub fn to_json(&self) -> Value {
        let split = |pattern: &&str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        let byte_level = json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false
        });
        let words: Vec<Value> = (self.pre.patterns.iter().map(split))
            .chain([byte_level.clone()])
            .collect();
        let vocab: Map<String, Value> = (self.tokens.iter().cloned())
            .zip((0u32..).map(Value::from))
            .collect();
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": self.added_tokens(),
            "normalizer": null,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": words},
            "post_processor": null,
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": null,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": false,
                "byte_fallback": false,
                "ignore_merges": self.pre.ignore_merges,
                "vocab": vocab,
                "merges": self.merges,
            },
        })
    }

    fn added_tokens(&self) -> Vec<Value> {
        (0u32..)
            .zip(self.tokens.iter().zip(&self.types))
            .filter(|(_, (_, kind))| matches!(**kind, UNKNOWN | CONTROL | USER_DEFINED))
            .map(|(id, (content, kind))| {
                json!({
                    "id": id, "content": content, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": *kind != USER_DEFINED,
                })
            })
            .collect()
    }

    /// The contents of `tokenizer_config.json`.
    pub fn to_config(&self, chat_template: &str) -> Value {
        let text = |id: Option<u32>| id.and_then(|id| self.token(id));
        json!({
            "add_bos_token": false,
            "add_eos_token": false,
            "bos_token": text(self.bos),
            "eos_token": text(self.eos),
            "chat_template": chat_template,
            "clean_up_tokenization_spaces": false,
            "tokenizer_class": "PreTrainedTokenizerFast",
        })
    }
}

/// The two halves are parted by the first space that is not the very first character: a half may
/// itself begin with a space in vocabularies that do not encode it.
fn split_merge(merge: &str) -> Option<(String, String)> {
    let first = merge.chars().next()?.len_utf8();
    let at = first + merge[first..].find(' ')?;
    Some((merge[..at].to_owned(), merge[at + 1..].to_owned()))
}
