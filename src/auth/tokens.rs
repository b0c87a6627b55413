//! Secrets that are handed to people and stored as digests only: refresh tokens, invitations,
//! recovery codes.

use super::token::random;
use super::{IssueError, Redacted};

/// A fresh token: the prefix, `_`, and 32 random bytes in hex.
///
/// # Errors
/// When the operating system has no random bytes to give.
pub fn generate(prefix: &str) -> Result<Redacted, IssueError> {
    let secret = hex::encode(random::<32>()?);
    Ok(Redacted::new(format!("{prefix}_{secret}")))
}
