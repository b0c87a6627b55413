//! `POST /v1/embeddings`.
//!
//! As of conversations, parsing checks types only: ranges are the pipeline's to check.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use poem_openapi::{Enum, Object, Union};
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::model::ListObject;

/// Texts to be turned into vectors.
#[derive(Debug, Clone, Deserialize, Object)]
#[oai(rename = "CreateEmbeddingRequest")]
pub struct EmbeddingRequest {
    /// An embedding model that `GET /v1/models` lists.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub model: String,
    /// One text or up to 2,048, as strings or as token ids of the model's own vocabulary. Of each,
    /// the model reads as many tokens as it can and ignores the rest; above 8,192 it is refused.
    pub input: EmbeddingInput,
    /// The numbers of a vector as JSON, or as little-endian 32-bit floats in base64. Default
    /// `float`.
    pub encoding_format: Option<EncodingFormat>,
    /// Only so many of a vector's numbers, brought to length 1 again. Default and at most: as many
    /// as the model has.
    #[oai(validator(minimum(value = "1")))]
    pub dimensions: Option<i64>,
    /// Accepted and not used.
    pub user: Option<String>,
}

/// What is to be turned into vectors.
#[derive(Debug, Clone, PartialEq, Eq, Union)]
#[oai(rename = "EmbeddingInput")]
pub enum EmbeddingInput {
    /// A text.
    Text(String),
    /// Several.
    Texts(Vec<String>),
    /// A text's tokens.
    Tokens(Vec<u32>),
    /// Those of several.
    ManyTokens(Vec<Vec<u32>>),
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename = "EmbeddingEncodingFormat", rename_all = "lowercase")]
pub enum EncodingFormat {
    #[default]
    Float,
    Base64,
}

/// What they are answered with.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "CreateEmbeddingResponse")]
pub struct EmbeddingList {
    pub object: ListObject,
    /// One for each text, in the texts' order.
    pub data: Vec<Embedding>,
    pub model: String,
    pub usage: EmbeddingUsage,
}

/// A text's vector.
#[derive(Debug, Clone, Serialize, Object)]
pub struct Embedding {
    pub object: EmbeddingObject,
    /// Which text.
    pub index: u32,
    pub embedding: EmbeddingVector,
}

/// The `object` of a vector.
#[derive(Debug, Clone, Copy, Serialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename_all = "lowercase")]
pub enum EmbeddingObject {
    Embedding,
}

/// Of length 1.
#[derive(Debug, Clone, PartialEq, Serialize, Union)]
#[serde(untagged)]
#[oai(rename = "EmbeddingVector")]
pub enum EmbeddingVector {
    Float(Vec<f32>),
    Base64(String),
}

impl EmbeddingVector {
    pub fn new(vector: Vec<f32>, format: EncodingFormat) -> Self {
        match format {
            EncodingFormat::Float => Self::Float(vector),
            EncodingFormat::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                Self::Base64(BASE64_STANDARD.encode(bytes))
            }
        }
    }
}

/// What was read.
#[derive(Debug, Clone, Copy, Serialize, Object)]
pub struct EmbeddingUsage {
    /// Control tokens included, and without what was not read.
    pub prompt_tokens: u32,
    pub total_tokens: u32,
}

/// What the input's first element says that it is.
enum First {
    Text(String),
    Token(u32),
    Tokens(Vec<u32>),
}

impl<'de> Deserialize<'de> for EmbeddingInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputVisitor)
    }
}

/// Written by hand because an untagged enum would lose the place of an error.
struct InputVisitor;

impl<'de> Visitor<'de> for InputVisitor {
    type Value = EmbeddingInput;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or an array of strings, of token ids or of arrays of token ids")
    }

    fn visit_str<E>(self, text: &str) -> Result<EmbeddingInput, E> {
        Ok(EmbeddingInput::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<EmbeddingInput, E> {
        Ok(EmbeddingInput::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<EmbeddingInput, A::Error> {
        Ok(match array.next_element()? {
            None => EmbeddingInput::Texts(Vec::new()),
            Some(First::Text(text)) => EmbeddingInput::Texts(rest(array, text)?),
            Some(First::Token(token)) => EmbeddingInput::Tokens(rest(array, token)?),
            Some(First::Tokens(tokens)) => EmbeddingInput::ManyTokens(rest(array, tokens)?),
        })
    }
}

/// All others are like the first.
fn rest<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
    mut array: A,
    first: T,
) -> Result<Vec<T>, A::Error> {
    let mut all = vec![first];
    while let Some(next) = array.next_element()? {
        all.push(next);
    }
    Ok(all)
}

impl<'de> Deserialize<'de> for First {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FirstVisitor)
    }
}

struct FirstVisitor;

impl<'de> Visitor<'de> for FirstVisitor {
    type Value = First;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a token id or an array of token ids")
    }

    fn visit_str<E>(self, text: &str) -> Result<First, E> {
        Ok(First::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<First, E> {
        Ok(First::Text(text))
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<First, E> {
        let id = u32::try_from(id);
        id.map(First::Token)
            .map_err(|_| E::invalid_value(Unexpected::Other("a larger one"), &"u32"))
    }

    fn visit_i64<E: Error>(self, id: i64) -> Result<First, E> {
        match u64::try_from(id) {
            Ok(id) => self.visit_u64(id),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(id), &"u32")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<First, A::Error> {
        let mut tokens = Vec::new();
        while let Some(token) = array.next_element()? {
            tokens.push(token);
        }
        Ok(First::Tokens(tokens))
    }
}
