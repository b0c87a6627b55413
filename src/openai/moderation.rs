//! `POST /v1/moderations`, and the moderation that a chat completion may ask for.

use std::collections::BTreeMap;

use poem_openapi::{Enum, Object, Union};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// OpenAI's categories, and the kind of finding that scores each; none where nothing here does.
pub const CATEGORIES: [(&str, Option<&str>); 13] = [
    ("harassment", Some("harassment")),
    ("harassment/threatening", None),
    ("hate", Some("hate")),
    ("hate/threatening", None),
    ("illicit", None),
    ("illicit/violent", None),
    ("self-harm", Some("self_harm")),
    ("self-harm/instructions", None),
    ("self-harm/intent", None),
    ("sexual", Some("sexual")),
    ("sexual/minors", None),
    ("violence", Some("violence")),
    ("violence/graphic", None),
];

/// Texts to be judged.
#[derive(Debug, Clone, Deserialize, Object)]
#[oai(rename = "CreateModerationRequest")]
pub struct ModerationRequest {
    /// Text, several texts, or parts of the type `text`.
    pub input: ModerationInput,
    /// There is one: any name is taken for it.
    pub model: Option<String>,
}

/// What is to be judged.
#[derive(Debug, Clone, Union)]
#[oai(rename = "ModerationInput")]
pub enum ModerationInput {
    One(String),
    Many(Vec<String>),
    /// Together they are one input.
    Parts(Vec<ModerationPart>),
}

/// A part of an input.
#[derive(Debug, Clone, Deserialize, Object)]
pub struct ModerationPart {
    /// `text`; images cannot be judged here.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: String,
    pub text: Option<String>,
}

impl<'de> Deserialize<'de> for ModerationInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Value::deserialize(deserializer)?;
        let wrong = |error: serde_json::Error| D::Error::custom(error);
        match &given {
            Value::String(text) => Ok(Self::One(text.clone())),
            Value::Array(all) if all.iter().all(Value::is_string) => {
                serde_json::from_value(given).map(Self::Many).map_err(wrong)
            }
            Value::Array(_) => serde_json::from_value(given)
                .map(Self::Parts)
                .map_err(wrong),
            _ => Err(D::Error::custom("expected a string or an array")),
        }
    }
}

/// What a moderation is answered with.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "CreateModerationResponse")]
pub struct ModerationResponse {
    /// `modr-` and what makes it unique.
    pub id: String,
    pub model: String,
    /// One for each text.
    pub results: Vec<ModerationScores>,
}

/// What a text has come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Object)]
pub struct ModerationScores {
    /// Whether any category is.
    pub flagged: bool,
    pub categories: BTreeMap<String, bool>,
    /// How likely each is, in [0, 1]; 0 for those that are not scored.
    pub category_scores: BTreeMap<String, f32>,
    /// `["text"]` for the categories that are scored, and `[]` for those that are not.
    pub category_applied_input_types: BTreeMap<String, Vec<String>>,
}

/// What a chat completion may ask for. Other fields are refused, not ignored.
// A `mode` in the wrong place would block nothing.
#[derive(Debug, Clone, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ChatModeration")]
pub struct ModerationParam {
    /// There is one: any name is taken for it.
    pub model: Option<String>,
    /// Without it, input and output are scored.
    pub policy: Option<ModerationPolicy>,
}

#[derive(Debug, Clone, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub struct ModerationPolicy {
    pub input: Option<ModerationPolicyMode>,
    pub output: Option<ModerationPolicyMode>,
}

#[derive(Debug, Clone, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub struct ModerationPolicyMode {
    /// `score`: tell the scores. `block`: and refuse what is flagged.
    pub mode: ModerationMode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum ModerationMode {
    Score,
    Block,
}

/// What a moderated chat completion has come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Object)]
#[oai(rename = "ChatModerationResult")]
pub struct Moderation {
    /// One result: the request as a whole.
    pub input: ModerationResults,
    /// One for each choice.
    pub output: ModerationResults,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Object)]
pub struct ModerationResults {
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: ResultsType,
    pub model: String,
    pub results: Vec<ModerationResult>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Object)]
pub struct ModerationResult {
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: ResultType,
    pub model: String,
    #[serde(flatten)]
    #[oai(flatten)]
    pub scores: ModerationScores,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
pub enum ResultsType {
    #[serde(rename = "moderation_results")]
    #[oai(rename = "moderation_results")]
    It,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
pub enum ResultType {
    #[serde(rename = "moderation_result")]
    #[oai(rename = "moderation_result")]
    It,
}
