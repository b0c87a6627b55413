use super::sessions::Tokens;
use super::{Identity, IdentityError};
use crate::auth::{Redacted, second_factor};
use crate::records::Actor;
use crate::store::{AccountRow, SecondProof};

/// What somebody signs in with.
#[derive(Debug, Clone)]
pub struct SignIn {
    pub email: String,
    pub password: Redacted,
    /// Of the second factor: a code, or a recovery code.
    pub code: Option<Redacted>,
}

impl Identity {
    /// Signs somebody in.
    ///
    /// # Errors
    /// [`IdentityError::WrongCredentials`] for an unknown address, a disabled account and a wrong
    /// password alike, in the same time; [`IdentityError::SecondFactorNeeded`] only for who knows
    /// the password; [`IdentityError::TooManyAttempts`].
    pub async fn sign_in(&self, with: SignIn, from: &Actor) -> Result<Tokens, IdentityError> {
        let account = self.store.account(&with.email).await?;
        let account = account.filter(|account| !account.is_disabled);
        let user_id = account.as_ref().map(|account| account.user_id.as_str());
        let attempt = self.attempt(&with.email, user_id, from).await?;
        let hash = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        // Those who sign in elsewhere have no hash here; the time is to be the same for them too.
        let hash = hash.filter(|hash| hash.starts_with('$'));
        let is_right = self.passwords.verify(&with.password, hash).await;
        let is_right = match is_right {
            Ok(is_right) => is_right,
            Err(error) => {
                // Nothing was learnt.
                attempt.forgiven().await;
                return Err(error.into());
            }
        };
        let Some(account) = account.as_ref().filter(|_| is_right) else {
            self.failed(user_id, "wrong_credentials", from).await?;
            return Err(IdentityError::WrongCredentials);
        };
        let proof = if account.has_second_factor {
            let Some(code) = &with.code else {
                attempt.forgiven().await;
                return Err(IdentityError::SecondFactorNeeded);
            };
            let Some(proof) = self.proof(account, code) else {
                self.failed(user_id, "wrong_code", from).await?;
                return Err(IdentityError::WrongProof("code"));
            };
            Some(proof)
        } else {
            None
        };
        let new_hash = if self.passwords.is_outdated(&account.password_hash) {
            // If there is no room for it now, the next sign-in will do.
            self.passwords.hash(&with.password).await.ok()
        } else {
            None
        };
        let opened = self.open(account, proof.as_ref(), new_hash.as_deref(), from);
        let Some(tokens) = opened.await? else {
            // The code was used before, or the account was changed meanwhile.
            self.failed(Some(&account.user_id), "outdated", from)
                .await?;
            return Err(match proof {
                Some(_) => IdentityError::WrongProof("code"),
                None => IdentityError::WrongCredentials,
            });
        };
        attempt.forgiven().await;
        Ok(tokens)
    }

    /// What a code proves, if it is one that was not used before; only using it tells.
    pub(super) fn proof(&self, account: &AccountRow, code: &Redacted) -> Option<SecondProof> {
        let nonce = account.totp_nonce.as_deref()?;
        let now = self.clock.now_secs();
        match second_factor::step(&self.secrets, nonce, code, now) {
            Some(step) => Some(SecondProof::Step(step)),
            None => second_factor::recovery_digest(&self.secrets, &account.user_id, code)
                .map(SecondProof::RecoveryCode),
        }
    }
}
