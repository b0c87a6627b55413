//! The request of `POST /v1/chat/completions`.
//!
//! Parsing here checks types only; ranges and combinations are the pipeline's to check. Numbers
//! are therefore wider than their ranges, so that a value just outside one gets a message about
//! the range. `null` means absent, and fields that are not listed are ignored, as OpenAI's own
//! fields that only concern its business are.

use std::collections::HashMap;
use std::fmt;

use poem_openapi::{Enum, Object, Union};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::moderation::ModerationParam;
use super::tools::{PastCall, ResponseFormat, Tool, ToolChoice};
use crate::cache::CacheParam;

/// A conversation to be continued by a model.
#[derive(Debug, Clone, Deserialize, Object)]
#[oai(rename = "CreateChatCompletionRequest")]
pub struct ChatRequest {
    /// One of the models that `GET /v1/models` lists.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub model: String,
    /// The conversation so far.
    #[oai(validator(min_items = 1))]
    pub messages: Vec<ChatMessage>,
    /// An upper bound of the answer's length in tokens. Wins over `max_tokens`.
    #[oai(validator(minimum(value = "1")))]
    pub max_completion_tokens: Option<i64>,
    /// The older name of `max_completion_tokens`.
    #[oai(validator(minimum(value = "1")))]
    pub max_tokens: Option<i64>,
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
    /// How many answers to give. They are generated one after another. Default 1.
    #[oai(validator(minimum(value = "1"), maximum(value = "128")))]
    pub n: Option<i64>,
    /// Up to four strings that end the answer and are not part of it.
    pub stop: Option<Stop>,
    /// The same seed, request and `system_fingerprint` give the same answer.
    pub seed: Option<i64>,
    /// Makes tokens that have appeared less likely.
    #[oai(validator(minimum(value = "-2"), maximum(value = "2")))]
    pub presence_penalty: Option<f64>,
    /// Makes tokens less likely for each time they have appeared.
    #[oai(validator(minimum(value = "-2"), maximum(value = "2")))]
    pub frequency_penalty: Option<f64>,
    /// Token ids and what is added to their logits, -100 to 100.
    pub logit_bias: Option<HashMap<String, f64>>,
    /// Whether to report the log probability of every token of the answer.
    pub logprobs: Option<bool>,
    /// How many likely alternatives to report with each token. Needs `logprobs`.
    #[oai(validator(minimum(value = "0"), maximum(value = "20")))]
    pub top_logprobs: Option<i64>,
    /// Whether to send the answer as it is generated, as server-sent events.
    pub stream: Option<bool>,
    /// Allowed only with `stream`.
    pub stream_options: Option<StreamOptions>,
    /// What the answer has to look like. The model can say nothing else.
    pub response_format: Option<ResponseFormat>,
    /// What the model may ask for, up to 128.
    #[oai(validator(max_items = 128))]
    pub tools: Option<Vec<Tool>>,
    /// Whether the model calls, and what. `required` and named tools are enforced. Default `auto`.
    pub tool_choice: Option<ToolChoice>,
    /// Whether the model may ask for several calls at once. Default true.
    pub parallel_tool_calls: Option<bool>,
    /// Not supported; replaced by `tools`.
    pub functions: Option<Vec<Value>>,
    /// Only `none` and `auto`; replaced by `tool_choice`.
    pub function_call: Option<Value>,
    /// Only `["text"]`.
    pub modalities: Option<Vec<String>>,
    /// Not supported.
    pub audio: Option<Value>,
    /// Not supported.
    pub web_search_options: Option<Value>,
    /// Scores the conversation and the answer, or refuses them.
    pub moderation: Option<ModerationParam>,
    /// What is wanted of the cache of answers. An extension.
    pub cache: Option<CacheParam>,
    /// Accepted and not used.
    pub user: Option<String>,
    /// Up to 16 pairs that a stored answer can be found by. Keys have up to 64 characters, values
    /// up to 512.
    pub metadata: Option<HashMap<String, String>>,
    /// Whether to store the answer, to be read again at this route.
    pub store: Option<bool>,
    /// Accepted and not used.
    pub service_tier: Option<String>,
    /// How much the model is to think: `none`, `minimal`, `low`, `medium`, `high` or `xhigh`, as far
    /// as its template lets one choose.
    pub reasoning_effort: Option<String>,
}

/// One turn of the conversation.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
#[oai(rename = "ChatCompletionRequestMessage")]
pub struct ChatMessage {
    /// Who said it.
    pub role: ChatRole,
    /// What was said. May be null only where an assistant said nothing.
    pub content: Option<Content>,
    /// Tells apart speakers of the same role.
    pub name: Option<String>,
    /// What a tool's answer belongs to.
    pub tool_call_id: Option<String>,
    /// What the assistant has asked for.
    pub tool_calls: Option<Vec<PastCall>>,
    /// Not supported; replaced by `tool_calls`.
    pub function_call: Option<Value>,
}

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename = "ChatCompletionRole", rename_all = "lowercase")]
pub enum ChatRole {
    /// Instructions; newer models' name for `system`.
    Developer,
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's answer.
    Tool,
    /// The older name of `tool`.
    Function,
}

/// Text, whole or in parts.
#[derive(Debug, Clone, Union)]
#[oai(rename = "ChatCompletionMessageContent")]
pub enum Content {
    /// All of it.
    Text(String),
    /// Parts, joined by line breaks.
    Parts(Vec<ContentPart>),
}

/// A part of a message. Only text parts (and refusals, which are text) are understood.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
#[oai(rename = "ChatCompletionMessageContentPart")]
pub struct ContentPart {
    /// `text` or `refusal`.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: String,
    /// The text of a `text` part.
    pub text: Option<String>,
    /// The text of a `refusal` part.
    pub refusal: Option<String>,
}

/// One string or several that end an answer.
#[derive(Debug, Clone, Union)]
#[oai(rename = "StopConfiguration")]
pub enum Stop {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// How to stream.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(remote = "Self")]
#[oai(rename = "ChatCompletionStreamOptions")]
pub struct StreamOptions {
    /// Send a last chunk that carries the usage of the whole request.
    pub include_usage: Option<bool>,
}

/// Reads a string or an array. Written by hand because an untagged enum would lose the place of
/// an error, and `param` has to name it.
struct StringOr<T, I> {
    expected: &'static str,
    string: fn(String) -> T,
    array: fn(Vec<I>) -> T,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StringOr {
            expected: "a string or an array of content parts",
            string: Content::Text,
            array: Content::Parts,
        })
    }
}

impl<'de> Deserialize<'de> for Stop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StringOr {
            expected: "a string or an array of strings",
            string: Stop::One,
            array: Stop::Many,
        })
    }
}

impl<'de, T, I: Deserialize<'de>> Visitor<'de> for StringOr<T, I> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok((self.string)(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<T, E> {
        Ok((self.string)(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<T, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(array)).map(self.array)
    }
}

/// Reads these from objects only: what serde derives takes an array of the fields as well.
macro_rules! only_from_objects {
    ($($object:ident),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $object {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $object;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        map: A,
                    ) -> Result<$object, A::Error> {
                        // The derived function, which `remote` made one of the type's own.
                        $object::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    }
                }

                deserializer.deserialize_map(Fields)
            }
        }
    )*};
}

pub(crate) use only_from_objects;

only_from_objects!(ChatMessage, ContentPart, StreamOptions);
