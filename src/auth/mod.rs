//! Who is asking: API keys become a [`Principal`] before a request's body is read.

/// The authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub key_id: String,
    pub project_id: String,
}

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Missing, malformed, unknown, revoked or expired: the caller is not told which.
    #[error("Incorrect API key provided.")]
    InvalidKey,
    /// The key store cannot be read.
    #[error("authentication is unavailable: {0}")]
    Unavailable(String),
}

/// Verifies API keys.
#[derive(Clone)]
pub struct Keys {}

impl Keys {
    /// # Errors
    /// [`AuthError::InvalidKey`] for anything but a live key.
    pub async fn verify(&self, _presented: &str) -> Result<Principal, AuthError> {
        todo!()
    }
}
