//! The answers of `POST /v1/chat/completions`, whole and in chunks.
//!
//! Field order is OpenAI's own, and what is absent there as a real `null` is a real `null` here.

use std::collections::BTreeMap;

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::moderation::Moderation;
use super::tools::{Call, CallDelta};
use crate::engine::{FinishReason, TokenLogprob, TokenText};

/// What OpenAI puts in place of a log probability that has no finite value.
const UNLIKELY: f32 = -9999.0;

/// A whole answer.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[oai(rename = "CreateChatCompletionResponse")]
pub struct ChatCompletion {
    /// `chatcmpl-` and what makes it unique.
    pub id: String,
    pub object: CompletionObject,
    /// Unix seconds.
    pub created: i64,
    /// The model that answered.
    pub model: String,
    /// The answers, as many as `n` asked for.
    pub choices: Vec<Choice>,
    pub usage: Usage,
    /// Of a stored one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// When it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moderation: Option<Box<Moderation>>,
    /// Changes whenever the same request might be answered differently.
    pub system_fingerprint: String,
}

/// The `object` of a whole answer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Enum)]
pub enum CompletionObject {
    #[serde(rename = "chat.completion")]
    #[oai(rename = "chat.completion")]
    Completion,
}

/// One answer.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[oai(rename = "ChatCompletionChoice")]
pub struct Choice {
    /// Counts from 0.
    pub index: u32,
    pub message: AnswerMessage,
    /// Null unless asked for.
    pub logprobs: Option<Logprobs>,
    pub finish_reason: Finish,
}

/// What the model said.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[oai(rename = "ChatCompletionResponseMessage")]
pub struct AnswerMessage {
    pub role: AnswerRole,
    pub content: Option<String>,
    /// Set, to the same as `content`, when the guardrails stopped the answer.
    pub refusal: Option<String>,
    /// What the model thought aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// What the model asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<Call>>,
}

/// The role of whatever a model says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename = "ChatCompletionResponseRole", rename_all = "lowercase")]
pub enum AnswerRole {
    Assistant,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "ChatCompletionFinishReason", rename_all = "snake_case")]
pub enum Finish {
    /// The model ended, or a stop string was met.
    Stop,
    /// The bound on the answer's length, or the model's context, was reached.
    Length,
    /// The model asks for calls.
    ToolCalls,
    /// The guardrails stopped the answer.
    ContentFilter,
}

impl Finish {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::ToolCalls => "tool_calls",
            Finish::ContentFilter => "content_filter",
        }
    }
}

impl From<FinishReason> for Finish {
    fn from(reason: FinishReason) -> Self {
        match reason {
            FinishReason::Stop => Finish::Stop,
            FinishReason::Length => Finish::Length,
        }
    }
}

/// The log probabilities of an answer's tokens.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Object)]
#[oai(rename = "ChatCompletionLogprobs")]
pub struct Logprobs {
    pub content: Option<Vec<Logprob>>,
    /// Always null.
    pub refusal: Option<Vec<Logprob>>,
}

impl Logprobs {
    /// The engine's report in OpenAI's words.
    pub fn of(tokens: Vec<TokenLogprob>) -> Self {
        Self {
            content: Some(tokens.into_iter().map(Logprob::from).collect()),
            refusal: None,
        }
    }
}

/// One token of the answer, how likely it was, and what else was likely.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[oai(rename = "ChatCompletionTokenLogprob")]
pub struct Logprob {
    pub token: String,
    /// Natural logarithm of the probability.
    pub logprob: f32,
    /// The token's bytes: one token may be a part of a character.
    pub bytes: Option<Vec<u8>>,
    pub top_logprobs: Vec<TopLogprob>,
}

impl From<TokenLogprob> for Logprob {
    fn from(token: TokenLogprob) -> Self {
        let top_logprobs = token.top.into_iter().map(TopLogprob::from).collect();
        let chosen = TopLogprob::from(token.token);
        Self {
            token: chosen.token,
            logprob: chosen.logprob,
            bytes: chosen.bytes,
            top_logprobs,
        }
    }
}

/// A token that was likely at a place.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[oai(rename = "ChatCompletionTopLogprob")]
pub struct TopLogprob {
    pub token: String,
    /// Natural logarithm of the probability.
    pub logprob: f32,
    pub bytes: Option<Vec<u8>>,
}

impl From<TokenText> for TopLogprob {
    fn from(token: TokenText) -> Self {
        Self {
            token: token.text,
            // JSON has no infinity; a null here would break typed clients.
            logprob: if token.logprob.is_finite() {
                token.logprob
            } else {
                UNLIKELY
            },
            bytes: Some(token.bytes),
        }
    }
}

/// Tokens of the whole request, all choices together; the prompt counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename = "CompletionUsage")]
pub struct Usage {
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
    pub total_tokens: u32,
    pub prompt_tokens_details: PromptTokensDetails,
    pub completion_tokens_details: CompletionTokensDetails,
}

impl Usage {
    /// The same, a part of the completion being thoughts.
    #[must_use]
    pub fn with_reasoning(mut self, tokens: u32) -> Self {
        self.completion_tokens_details.reasoning_tokens = tokens.min(self.completion_tokens);
        self
    }

    pub fn new(prompt_tokens: u32, cached_tokens: u32, completion_tokens: u32) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            prompt_tokens_details: PromptTokensDetails {
                cached_tokens,
                audio_tokens: 0,
            },
            completion_tokens_details: CompletionTokensDetails::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct PromptTokensDetails {
    /// Prompt tokens whose work was reused from earlier requests.
    pub cached_tokens: u32,
    pub audio_tokens: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct CompletionTokensDetails {
    pub reasoning_tokens: u32,
    pub audio_tokens: u32,
    pub accepted_prediction_tokens: u32,
    pub rejected_prediction_tokens: u32,
}

/// A piece of a streamed answer.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "CreateChatCompletionStreamResponse")]
pub struct ChatChunk {
    /// The same in all chunks of an answer.
    pub id: String,
    pub object: ChunkObject,
    /// Unix seconds; the same in all chunks of an answer.
    pub created: i64,
    pub model: String,
    pub system_fingerprint: String,
    /// One choice; none in the chunk that carries the usage.
    pub choices: Vec<ChunkChoice>,
    /// When it was asked for, in a chunk of its own after the last choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moderation: Option<Box<Moderation>>,
    /// Only with `include_usage`: null in all chunks but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
}

/// The `object` of a chunk.
#[derive(Debug, Clone, Copy, Serialize, Enum)]
pub enum ChunkObject {
    #[serde(rename = "chat.completion.chunk")]
    #[oai(rename = "chat.completion.chunk")]
    Chunk,
}

/// What a chunk adds to one of the answers.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "ChatCompletionChunkChoice")]
pub struct ChunkChoice {
    /// Counts from 0.
    pub index: u32,
    pub delta: Delta,
    pub logprobs: Option<Logprobs>,
    /// Set in an answer's last chunk.
    pub finish_reason: Option<Finish>,
}

/// What is new. The first chunk of an answer carries the role, the last carries nothing.
#[derive(Debug, Clone, Default, Serialize, Object)]
#[oai(rename = "ChatCompletionChunkDelta")]
pub struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<AnswerRole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Null beside the role, as in a whole answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Option<String>>,
    /// What the model thinks aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// What the model asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<CallDelta>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_probability_without_a_finite_value_stays_a_number() {
        let token = TokenText {
            text: "x".into(),
            bytes: vec![120],
            logprob: f32::NEG_INFINITY,
        };
        assert_eq!(TopLogprob::from(token).logprob, -9999.0);
    }
}
