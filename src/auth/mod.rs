//! Who is asking: API keys become a [`Principal`] before a request's body is read.
//!
//! - `token`: what a key looks like; rejects what cannot be one without asking the database
//! - `secrets`: the peppers, in a file beside the database
//! - `keys`: issuing and verifying
//! - `password`: people's passwords
//! - `setup`: the first administrator, project and keys

mod keys;
mod password;
mod secrets;
mod setup;
mod token;

pub use keys::{IssuedKey, KeyOwner, Keys, NewKey};
pub use password::{PasswordError, Passwords};
pub use secrets::{Redacted, Secrets, SecretsError};
pub use setup::{FirstCredentials, SetupError, set_up};

use crate::store::StoreError;

/// The authenticated caller of an inference route: a project's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub key_id: String,
    pub project_id: String,
}

/// The authenticated caller of an organization route: an admin key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminPrincipal {
    pub key_id: String,
    /// The key's owner.
    pub user_id: String,
}

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Missing, malformed, unknown, revoked or expired: the caller is not told which.
    #[error("Incorrect API key provided.")]
    InvalidKey,
    /// A live key, for other doors: who holds it may know.
    #[error("{0}")]
    WrongKind(&'static str),
    /// The key store cannot be read.
    #[error("authentication is unavailable: {0}")]
    Unavailable(String),
}

/// A key could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("the operating system gave no random bytes: {0}")]
    Random(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}
