//! People's passwords: argon2id with OWASP's parameters.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use super::{IssueError, Redacted};
use crate::auth::token::random;

/// 19 MiB, two passes, one lane: about 20 ms of one core.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes at the same time, so that a flood of logins costs neither all memory nor all cores.
const AT_ONCE: usize = 2;

/// A password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be processed: {0}")]
pub struct PasswordError(String);

/// Hashes and checks passwords away from the async threads, a few at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Passwords {
    permits: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Passwords {
    /// A password that nobody has to guess at: 128 random bits in hex.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn generate() -> Result<Redacted, IssueError> {
        Ok(Redacted::new(hex::encode(random::<16>()?)))
    }

    /// The argon2id hash in PHC form, with a fresh salt.
    ///
    /// # Errors
    /// When there are no random bytes or the hashing thread broke.
    pub async fn hash(&self, password: &Redacted) -> Result<String, PasswordError> {
        let password = password.clone();
        self.run(move || {
            let salt = random::<16>().map_err(|e| PasswordError(e.to_string()))?;
            let salt = SaltString::encode_b64(&salt).map_err(|e| PasswordError(e.to_string()))?;
            argon2()?
                .hash_password(password.expose().as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(|e| PasswordError(e.to_string()))
        })
        .await
    }

    /// Whether the password belongs to the hash. Without a hash (an unknown user) it takes as
    /// long and says no.
    ///
    /// # Errors
    /// When the stored hash is not one, or the hashing thread broke.
    pub async fn verify(
        &self,
        password: &Redacted,
        hash: Option<String>,
    ) -> Result<bool, PasswordError> {
        let password = password.clone();
        self.run(move || {
            let Some(hash) = hash else {
                let mut out = [0; 32];
                argon2()?
                    .hash_password_into(password.expose().as_bytes(), &[0; 16], &mut out)
                    .map_err(|e| PasswordError(e.to_string()))?;
                return Ok(false);
            };
            let hash = PasswordHash::new(&hash).map_err(|e| PasswordError(e.to_string()))?;
            match argon2()?.verify_password(password.expose().as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::Password) => Ok(false),
                Err(error) => Err(PasswordError(error.to_string())),
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|e| PasswordError(e.to_string()))?;
        let task = tokio::task::spawn_blocking(move || {
            // Held by the work itself: a caller that leaves does not make room for another.
            let _permit = permit;
            work()
        });
        task.await.map_err(|e| PasswordError(e.to_string()))?
    }
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| PasswordError(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hashes_have_the_promised_cost_and_accept_only_their_password() {
        let passwords = Passwords::default();
        let right = Passwords::generate().unwrap();
        let hash = passwords.hash(&right).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert_ne!(hash, passwords.hash(&right).await.unwrap(), "a fresh salt");
        assert!(passwords.verify(&right, Some(hash.clone())).await.unwrap());
        let wrong = Redacted::new("wrong".into());
        assert!(!passwords.verify(&wrong, Some(hash)).await.unwrap());
        assert!(!passwords.verify(&wrong, None).await.unwrap());
    }
}
