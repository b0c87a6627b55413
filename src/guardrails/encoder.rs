//! What texts mean, as told by whoever can load a model for it (`engine::encoder`).

/// Texts to vectors: what the third layer of all-MiniLM-L6-v2 says of their tokens, on average.
pub trait Encoder: Send + Sync {
    /// For each text a vector of length 1. Takes some ten milliseconds for a window of the linear
    /// models: not for async threads.
    ///
    /// # Errors
    /// [`EncoderError`], after which nothing is known of any of them.
    fn vectors(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EncoderError>;
}

/// Texts cannot be read. Says nothing of them.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the sentence encoder: {0}")]
pub struct EncoderError(pub String);
