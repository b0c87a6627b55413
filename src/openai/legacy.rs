//! `POST /v1/completions`: prompts that are continued, as OpenAI had it before there were
//! conversations. What holds of chat requests holds here: parsing checks types only, `null` means
//! absent, and unknown fields are ignored.

use std::collections::{BTreeMap, HashMap};

use poem_openapi::{Enum, Object, Union};
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::chat::{Stop, StreamOptions};
use super::completion::{Finish, TopLogprob, Usage};
use crate::cache::CacheParam;
use crate::engine::{TokenLogprob, TokenText};

/// Prompts to be continued by a model as they are, without a chat template.
#[derive(Debug, Clone, Deserialize, Object)]
#[oai(rename = "CreateCompletionRequest")]
pub struct CompletionRequest {
    /// One of the models that `GET /v1/models` lists.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub model: String,
    /// A text, several, or the same as token ids. Null begins a new document.
    pub prompt: Option<Prompt>,
    /// Generate so many answers to each prompt and give the `n` likeliest: those whose tokens have
    /// the highest mean log probability. At least `n`; not in streams. Default: `n`.
    #[oai(validator(minimum(value = "1"), maximum(value = "20")))]
    pub best_of: Option<i64>,
    /// Whether each text begins with its prompt. Not with `logprobs`.
    pub echo: Option<bool>,
    /// Makes tokens less likely for each time they have appeared.
    #[oai(validator(minimum(value = "-2"), maximum(value = "2")))]
    pub frequency_penalty: Option<f64>,
    /// Token ids and what is added to their logits, -100 to 100.
    pub logit_bias: Option<HashMap<String, f64>>,
    /// Report the log probability of every token, and this many likely alternatives with each.
    #[oai(validator(minimum(value = "0"), maximum(value = "5")))]
    pub logprobs: Option<i64>,
    /// An upper bound of each answer's length in tokens. Default 16.
    #[oai(validator(minimum(value = "1")))]
    pub max_tokens: Option<i64>,
    /// How many answers to give to each prompt. They are generated one after another. Default 1.
    #[oai(validator(minimum(value = "1"), maximum(value = "128")))]
    pub n: Option<i64>,
    /// Makes tokens that have appeared less likely.
    #[oai(validator(minimum(value = "-2"), maximum(value = "2")))]
    pub presence_penalty: Option<f64>,
    /// The same seed, request and `system_fingerprint` give the same answer.
    pub seed: Option<i64>,
    /// Up to four strings that end an answer and are not part of it.
    pub stop: Option<Stop>,
    /// Whether to send the answers as they are generated, as server-sent events.
    pub stream: Option<bool>,
    /// Allowed only with `stream`.
    pub stream_options: Option<StreamOptions>,
    /// Not supported, unless empty.
    pub suffix: Option<String>,
    /// 0 always takes the likeliest token; higher values are more varied. Default: the model's.
    #[oai(validator(minimum(value = "0"), maximum(value = "2")))]
    pub temperature: Option<f64>,
    /// Choose among the likeliest tokens whose probabilities reach this sum. Default: the
    /// model's.
    #[oai(validator(minimum(value = "0"), maximum(value = "1")))]
    pub top_p: Option<f64>,
    /// Choose among this many of the likeliest tokens. An extension; 0 or -1 turns it off.
    #[oai(validator(minimum(value = "-1")))]
    pub top_k: Option<i64>,
    /// Choose among tokens at least this likely relative to the likeliest. An extension.
    #[oai(validator(minimum(value = "0"), maximum(value = "1")))]
    pub min_p: Option<f64>,
    /// What is wanted of the cache of answers. An extension.
    pub cache: Option<CacheParam>,
    /// Accepted and not used.
    pub user: Option<String>,
}

/// What is to be continued.
#[derive(Debug, Clone, PartialEq, Eq, Union)]
#[oai(rename = "CompletionPrompt")]
pub enum Prompt {
    /// A text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// The token ids of one prompt.
    Tokens(Vec<u32>),
    /// The token ids of several.
    Lists(Vec<Vec<u32>>),
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str =
            "a string, an array of strings, an array of token ids, or an array of such arrays";
        let given = Value::deserialize(deserializer)?;
        let unexpected = match &given {
            Value::String(text) => return Ok(Self::Text(text.clone())),
            Value::Array(entries) => {
                let read = match entries.first() {
                    None | Some(Value::String(_)) => serde_json::from_value(given).map(Self::Texts),
                    Some(Value::Array(_)) => serde_json::from_value(given).map(Self::Lists),
                    Some(_) => serde_json::from_value(given).map(Self::Tokens),
                };
                let expected = |_| D::Error::invalid_value(Unexpected::Seq, &EXPECTED);
                return read.map_err(expected);
            }
            Value::Null => Unexpected::Unit,
            Value::Bool(given) => Unexpected::Bool(*given),
            Value::Number(_) => Unexpected::Other("integer"),
            Value::Object(_) => Unexpected::Map,
        };
        Err(D::Error::invalid_type(unexpected, &EXPECTED))
    }
}

/// The answers: all of them, or in a stream what is new.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "CreateCompletionResponse")]
pub struct TextCompletion {
    /// `cmpl-` and what makes it unique; the same in all chunks of a stream.
    pub id: String,
    pub object: TextObject,
    /// Unix seconds.
    pub created: i64,
    /// The model that answered.
    pub model: String,
    /// Those of the first prompt, then those of the next; in a stream one, and none beside the
    /// usage.
    pub choices: Vec<TextChoice>,
    /// Changes whenever the same request might be answered differently.
    pub system_fingerprint: String,
    /// In a stream only with `include_usage`: null in all chunks but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
}

/// The `object` of all of it.
#[derive(Debug, Clone, Copy, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "TextCompletionObject", rename_all = "snake_case")]
pub enum TextObject {
    TextCompletion,
}

/// One answer, or in a stream what is new of it.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "CompletionChoice")]
pub struct TextChoice {
    /// What the model wrote.
    pub text: String,
    /// Counts from 0, through all prompts.
    pub index: u32,
    /// Null unless asked for.
    pub logprobs: Option<TextLogprobs>,
    /// Null until an answer's last chunk.
    pub finish_reason: Option<Finish>,
}

/// The log probabilities of an answer's tokens: four lists of the same length.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Object)]
#[oai(rename = "CompletionLogprobs")]
pub struct TextLogprobs {
    /// Where each token begins, in Unicode code points of the answer's whole text.
    pub text_offset: Vec<u64>,
    /// Natural logarithms of the probabilities.
    pub token_logprobs: Vec<f32>,
    /// `bytes:\x…` for a token that is a part of a character.
    pub tokens: Vec<String>,
    /// The likely tokens at each place, the chosen one included. Null when `logprobs` is 0.
    pub top_logprobs: Option<Vec<BTreeMap<String, f32>>>,
}

impl TextLogprobs {
    /// The engine's report in OpenAI's older words. `offset` is how long the text was before, in
    /// code points, and afterwards how long it is.
    pub fn of(reported: Vec<TokenLogprob>, alternatives: bool, offset: &mut u64) -> Self {
        let mut all = Self {
            top_logprobs: alternatives.then(Vec::new),
            ..Self::default()
        };
        for TokenLogprob { token, top } in reported {
            all.text_offset.push(*offset);
            // A character counts where it begins, for tokens may share one.
            let begins = token.bytes.iter().filter(|byte| **byte & 0xc0 != 0x80);
            *offset += u64::try_from(begins.count()).unwrap_or(0);
            let (name, logprob) = named(token);
            if let Some(places) = &mut all.top_logprobs {
                let chosen = (name.clone(), logprob);
                let place = top.into_iter().map(named).chain([chosen]);
                places.push(place.collect());
            }
            all.tokens.push(name);
            all.token_logprobs.push(logprob);
        }
        all
    }
}

fn named(token: TokenText) -> (String, f32) {
    let name = match std::str::from_utf8(&token.bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let bytes = token.bytes.iter().map(|byte| format!("\\x{byte:02x}"));
            format!("bytes:{}", bytes.collect::<String>())
        }
    };
    (name, TopLogprob::from(token).logprob)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(bytes: &[u8], logprob: f32) -> TokenText {
        TokenText {
            text: String::from_utf8_lossy(bytes).into_owned(),
            bytes: bytes.to_vec(),
            logprob,
        }
    }

    #[test]
    fn prompts_are_told_apart_by_their_form() {
        for (json, expected) in [
            (r#""a""#, Some(Prompt::Text("a".into()))),
            (
                r#"["a","b"]"#,
                Some(Prompt::Texts(vec!["a".into(), "b".into()])),
            ),
            ("[]", Some(Prompt::Texts(vec![]))),
            ("[1,2]", Some(Prompt::Tokens(vec![1, 2]))),
            (
                "[[1],[2,3]]",
                Some(Prompt::Lists(vec![vec![1], vec![2, 3]])),
            ),
            (r#"["a",1]"#, None),
            (r#"[1,"a"]"#, None),
            ("[-1]", None),
            ("[1.5]", None),
            ("[[1],2]", None),
            ("[[[1]]]", None),
            ("[null]", None),
            ("{}", None),
            ("5", None),
        ] {
            assert_eq!(serde_json::from_str(json).ok(), expected, "{json}");
        }
    }

    #[test]
    fn log_probabilities_have_their_places_in_the_text() {
        let reported = vec![
            TokenLogprob {
                token: token("é ".as_bytes(), -0.5),
                top: vec![token(b"e", -1.0)],
            },
            TokenLogprob {
                token: token(&[0xe2, 0x82], f32::NEG_INFINITY),
                top: vec![],
            },
            TokenLogprob {
                token: token(&[0xac], -0.25),
                top: vec![],
            },
        ];
        let mut offset = 3;
        let told = TextLogprobs::of(reported.clone(), true, &mut offset);
        assert_eq!(told.text_offset, [3, 5, 6]);
        assert_eq!(offset, 6);
        assert_eq!(told.tokens, ["é ", "bytes:\\xe2\\x82", "bytes:\\xac"]);
        assert_eq!(told.token_logprobs, [-0.5, -9999.0, -0.25]);
        let top = told.top_logprobs.expect("alternatives");
        assert_eq!(
            top[0],
            BTreeMap::from([("e".into(), -1.0), ("é ".into(), -0.5)])
        );
        assert_eq!(
            TextLogprobs::of(reported, false, &mut offset).top_logprobs,
            None
        );
    }
}
