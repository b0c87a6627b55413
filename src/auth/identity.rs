//! People: how they come in, stay in, and prove who they are.
//!
//! - `sign_in`: by a password and a second factor
//! - `sessions`: what a sign-in gives, until it ends
//! - `register`: new accounts
//! - `credentials`: changing a password, setting up a second factor
//! - `bearer`: from an access token to whoever may do something

mod bearer;
mod credentials;
mod register;
mod sessions;
mod sign_in;

pub use bearer::SignedIn;
pub use credentials::NewSecondFactor;
pub use register::NewAccount;
pub use sessions::Tokens;
pub use sign_in::SignIn;

use std::net::IpAddr;
use std::time::Duration;

use super::oidc::Oidc;
use super::throttle::{Attempts, SharedAttempt, network};
use super::{AuthError, IssueError, PasswordError, Passwords, Secrets, WeakPassword};
use crate::clock::Clock;
use crate::config::AuthConfig;
use crate::records::{Actor, AuditEvent};
use crate::shared::Redis;
use crate::store::{Store, StoreError};

/// Signs people in and out. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Identity {
    store: Store,
    secrets: Secrets,
    clock: Clock,
    config: AuthConfig,
    passwords: Passwords,
    attempts: Attempts,
    oidc: Option<Oidc>,
}

/// Why somebody is not let in, or not changed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The address, the password, or whether there is such an account: nobody is told which.
    #[error("The e-mail address or the password is wrong.")]
    WrongCredentials,
    #[error("Your account has a second factor: send its code as 'code'.")]
    SecondFactorNeeded,
    #[error("Too many attempts. Please try again later.")]
    TooManyAttempts { retry_after: Duration },
    #[error("The refresh token is not valid. Please sign in again.")]
    InvalidRefreshToken,
    #[error("This server takes no registrations{}.", if *.invited { " without an invitation" } else { "" })]
    Closed { invited: bool },
    #[error("Invalid 'invite_token': there is no such open invitation for this address.")]
    NotInvited,
    #[error("There is an account with this address.")]
    Taken,
    #[error("Invalid '{param}': {why}.")]
    Weak {
        param: &'static str,
        why: WeakPassword,
    },
    #[error("Invalid '{0}': it is wrong.")]
    WrongProof(&'static str),
    #[error("Your account has a second factor already: remove it first.")]
    HasSecondFactor,
    #[error("Your account has no second factor, or none that is being set up.")]
    NoSecondFactor,
    /// Somebody whom an outside issuer vouches for.
    #[error("You sign in elsewhere: this server keeps neither a session nor a password of yours.")]
    NotHere,
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Auth(#[from] AuthError),
}

impl Identity {
    pub fn new(
        store: Store,
        secrets: Secrets,
        clock: Clock,
        config: AuthConfig,
        passwords: Passwords,
    ) -> Self {
        Self {
            oidc: Oidc::new(&config.oidc),
            store,
            secrets,
            clock,
            config,
            passwords,
            attempts: Attempts::new(None),
        }
    }

    /// Counts attempts together with all processes that use the same Redis.
    #[must_use]
    pub fn counting_in(self, redis: Option<Redis>) -> Self {
        Self {
            attempts: Attempts::new(redis),
            ..self
        }
    }

    /// Counts an attempt to prove something for an account. What is refused is told to the audit
    /// now and then, not each time: otherwise guessing would fill the disk.
    async fn attempt(
        &self,
        account: &str,
        user_id: Option<&str>,
        from: &Actor,
    ) -> Result<SharedAttempt, IdentityError> {
        let is_known = match (user_id, from.ip) {
            (Some(user_id), Some(ip)) => {
                let known = self.store.addresses_of(user_id).await?;
                let is_near = |known: &String| {
                    let known = known.parse();
                    known.is_ok_and(|known: IpAddr| network(known) == network(ip))
                };
                known.iter().any(is_near)
            }
            _ => false,
        };
        match self.attempts.begin(account, from.ip, is_known).await {
            Ok(attempt) => Ok(attempt),
            Err(refusal) => {
                if refusal.is_news {
                    self.failed(user_id, "too_many_attempts", from).await?;
                }
                let retry_after = refusal.retry_after;
                Err(IdentityError::TooManyAttempts { retry_after })
            }
        }
    }

    async fn failed(
        &self,
        user_id: Option<&str>,
        reason: &str,
        from: &Actor,
    ) -> Result<(), StoreError> {
        let by = Actor {
            user_id: user_id.map(str::to_owned).or(from.user_id.clone()),
            ..from.clone()
        };
        // What was typed as an address may be a password: it is not repeated.
        let event = AuditEvent::about("login.failed", user_id.unwrap_or("unknown"));
        self.store
            .audit(&by, &event.with("error_code", reason))
            .await
    }
}

/// As it is stored with sessions.
fn address(ip: Option<IpAddr>) -> Option<String> {
    ip.map(|ip| ip.to_string())
}
