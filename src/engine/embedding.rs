//! Texts to vectors.

use std::sync::Arc;

use async_trait::async_trait;

use super::admission::Place;
use super::{EngineError, ModelInfo};

/// One loaded model that turns texts into vectors.
#[async_trait]
pub trait EmbeddingModel: Send + Sync {
    /// What this model is. Its `context_length` is how many tokens it reads of each text.
    fn info(&self) -> &ModelInfo;

    /// How long its vectors are.
    fn dimensions(&self) -> usize;

    /// What the model reads of each text: no more than its `context_length` tokens. Needs no place
    /// in the queue.
    ///
    /// # Errors
    /// [`EngineError`]. Every text can be read.
    async fn tokenize(&self, texts: Vec<Text>) -> Result<Vec<Tokenized>, EngineError>;

    /// What tokens of a text say, without the control tokens; none when the model knows no such
    /// token. Takes time: for a thread that may block.
    fn text(&self, tokens: &[u32]) -> Option<String>;

    /// One vector of length 1 for each text, whatever other texts there are. Dropping the future
    /// stops the model within a batch; it holds on to the place until then.
    ///
    /// # Errors
    /// [`EngineError::Failed`].
    async fn embed(
        &self,
        texts: Vec<Vec<u32>>,
        place: Arc<Place>,
    ) -> Result<Vec<Vec<f32>>, EngineError>;

    /// Whether a request could be answered now.
    fn is_ready(&self) -> bool;
}

/// Brings a vector to length 1.
///
/// # Errors
/// [`EngineError::Failed`]: it has no direction, or is not made of numbers.
pub fn normalize(vector: &mut [f32]) -> Result<(), EngineError> {
    let squares: f64 = vector.iter().map(|x| f64::from(*x).powi(2)).sum();
    let length = squares.sqrt();
    if !length.is_normal() {
        return Err(EngineError::Failed("a vector has no direction".to_owned()));
    }
    for x in vector {
        *x = (f64::from(*x) / length) as f32;
    }
    Ok(())
}

/// A text as somebody sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    Written(String),
    /// In the model's own vocabulary, with or without the control tokens around them.
    Tokens(Vec<u32>),
}

/// A text as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokenized {
    /// With the control tokens, and cut to what the model reads.
    pub tokens: Vec<u32>,
    /// How many there were before they were cut.
    pub whole: usize,
}
