//! Who is asking: a credential becomes a [`Principal`] or an [`Administrator`] before a request's
//! body is read.
//!
//! - `access`: who may do what
//! - `access_version`: whether that is still so
//! - `token`: what a key looks like; rejects what cannot be one without asking the database
//! - `names`: what people, projects and keys may be called
//! - `secrets`: peppers and the keys that access tokens are signed with, in a file beside the database
//! - `keys`: issuing and verifying
//! - `identity`: people, their sessions and accounts
//! - `jwt`, `oidc`: access tokens, our own and those of an outside issuer
//! - `password`, `second_factor`: what people prove themselves with
//! - `throttle`: how often they may try
//! - `refusals`: credentials that opened nothing, for the audit
//! - `setup`: the first administrator, project and keys

mod access;
mod access_version;
mod identity;
mod jwt;
mod keys;
pub mod names;
mod oidc;
mod password;
mod refusals;
mod second_factor;
mod secrets;
mod setup;
mod throttle;
mod token;
pub mod tokens;

pub use access::{
    Administrator, Authority, KeyScope, ModelAccess, ModelMode, ModelPermissions, OrgRole,
    Permission, Principal, ProjectRole, Scopes,
};
pub use identity::{
    Identity, IdentityError, NewAccount, NewSecondFactor, SignIn, SignedIn, Tokens,
};
pub use keys::{IssuedKey, KeyOwner, KeyRules, Keys, NewKey, OnBehalfOf};
pub use password::{PasswordError, Passwords, WeakPassword};
pub use refusals::{Refusal, Refusals};
pub use secrets::{Purpose, Redacted, Secrets, SecretsError, SigningKey, rotate_signing};
pub use setup::{FirstCredentials, SetupError, set_up};

use crate::store::StoreError;

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Malformed or unknown.
    #[error("Incorrect API key provided.")]
    InvalidKey,
    /// The key or session of this id is over. The caller is told no more than of an unknown one.
    #[error("Incorrect API key provided.")]
    Ended {
        id: String,
        /// Its time was over, rather than that somebody ended it.
        is_expired: bool,
    },
    /// An API key, or anything else, where only people come in.
    #[error("This route takes an access token of somebody who has signed in, not an API key.")]
    NotAToken,
    /// Known, but not allowed to do this; who is known may know why.
    #[error("{0}")]
    Forbidden(&'static str),
    /// It was an access token until its time was over.
    #[error("Your access token has expired: refresh it, or sign in again.")]
    Expired,
    /// Managing the server takes more than a password.
    #[error("This takes a second factor: set one up, or sign in with it.")]
    SecondFactor,
    /// There is such a thing, but not for this caller.
    #[error("There is no such object.")]
    Hidden,
    /// The project that a request names is not theirs, or none.
    #[error(
        "The project that the 'OpenAI-Project' header names does not exist or you do not have \
         access to it."
    )]
    UnknownProject,
    /// The database cannot be read.
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
