//! Chat completions that were stored.

use std::collections::HashMap;

use poem_openapi::Object;
use poem_openapi::types::Any;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::tools::Call;

/// What is to be different about a stored completion.
#[derive(Debug, Clone, Deserialize, Object)]
#[oai(rename = "UpdateChatCompletionRequest")]
pub struct UpdateStoredCompletion {
    /// Up to 16 pairs, in place of those that are there; null removes all. Keys have up to 64
    /// characters, values up to 512.
    #[serde(deserialize_with = "present")]
    pub metadata: Option<HashMap<String, String>>,
}

/// May be null, but not left out.
fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<HashMap<String, String>>, D::Error> {
    Option::deserialize(deserializer)
}

/// A message of the question that a stored completion answers.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "ChatCompletionStoreMessage")]
pub struct StoreMessage {
    /// The completion's id and the message's place.
    pub id: String,
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// As the guards let it through; the texts of several parts are joined by line breaks.
    pub content: Option<String>,
    pub name: Option<String>,
    /// What the model has asked for in this turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<Call>>,
    /// Which call this is the answer to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Always null: parts are stored as one text.
    pub content_parts: Option<Vec<Any<Value>>>,
}
