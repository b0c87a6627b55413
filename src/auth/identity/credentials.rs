use super::{Identity, IdentityError, SignedIn};
use crate::auth::{Redacted, second_factor};
use crate::records::Actor;
use crate::store::{AccountRow, SecondProof};

/// What an authenticator app needs.
#[derive(Debug, Clone)]
pub struct NewSecondFactor {
    /// In base 32, to be typed.
    pub secret: Redacted,
    /// `otpauth://…`, to be shown as a QR code.
    pub url: Redacted,
}

impl Identity {
    /// Replaces somebody's password; their other sessions end.
    ///
    /// # Errors
    /// [`IdentityError::WrongProof`] naming `current_password`, [`IdentityError::Weak`] naming
    /// `new_password`, [`IdentityError::TooManyAttempts`].
    pub async fn change_password(
        &self,
        who: &SignedIn,
        current: &Redacted,
        new: &Redacted,
    ) -> Result<(), IdentityError> {
        let account = self.account(who).await?;
        self.knows_password(&account, "current_password", current, &who.actor)
            .await?;
        let known = [
            account.email.as_str(),
            account.name.as_str(),
            current.expose(),
        ];
        self.strong("new_password", new, &known).await?;
        let hash = self.passwords.hash(new).await?;
        let stay = Some(who.session_id()?);
        let (id, old) = (&account.user_id, Some(account.password_hash.as_str()));
        let changed = self
            .store
            .set_password(id, old, &hash, stay, false, &who.actor);
        if !changed.await? {
            return Err(IdentityError::WrongProof("current_password"));
        }
        Ok(())
    }

    /// Gives an account another, generated password, and ends its sessions; on request also
    /// without its second factor. None when there is no such account.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn reset_password(
        &self,
        email: &str,
        without_second_factor: bool,
        by: &Actor,
    ) -> Result<Option<Redacted>, IdentityError> {
        let Some(account) = self.store.account(email).await? else {
            return Ok(None);
        };
        let password = crate::auth::Passwords::generate()?;
        let hash = self.passwords.hash(&password).await?;
        let id = &account.user_id;
        self.store
            .set_password(id, None, &hash, None, without_second_factor, by)
            .await?;
        Ok(Some(password))
    }

    /// Begins to set up a second factor. It is asked for once it is confirmed.
    ///
    /// # Errors
    /// [`IdentityError::WrongProof`] naming `password`, [`IdentityError::HasSecondFactor`].
    pub async fn begin_second_factor(
        &self,
        who: &SignedIn,
        password: &Redacted,
    ) -> Result<NewSecondFactor, IdentityError> {
        let account = self.account(who).await?;
        self.knows_password(&account, "password", password, &who.actor)
            .await?;
        let nonce = second_factor::nonce()?;
        let begun = self
            .store
            .begin_second_factor(&account.user_id, &nonce, &who.actor);
        if !begun.await? {
            return Err(IdentityError::HasSecondFactor);
        }
        let (secret, url) = second_factor::enrolment(&self.secrets, &nonce, &account.email)
            .ok_or(IdentityError::NoSecondFactor)?;
        Ok(NewSecondFactor { secret, url })
    }

    /// Asks for the second factor from now on. Returns the recovery codes, which are shown once.
    ///
    /// # Errors
    /// [`IdentityError::WrongProof`] naming `code`, [`IdentityError::NoSecondFactor`].
    pub async fn confirm_second_factor(
        &self,
        who: &SignedIn,
        code: &Redacted,
    ) -> Result<Vec<Redacted>, IdentityError> {
        let account = self.account(who).await?;
        let nonce = account.totp_nonce.as_deref();
        let nonce = nonce.filter(|_| !account.has_second_factor);
        let nonce = nonce.ok_or(IdentityError::NoSecondFactor)?;
        let attempt = self.attempt_of(&account, &who.actor).await?;
        let now = self.clock.now_secs();
        let Some(step) = second_factor::step(&self.secrets, nonce, code, now) else {
            return Err(self.wrong_code(&account, &who.actor).await?);
        };
        attempt.forgiven().await;
        let (codes, digests) = second_factor::recovery_codes(&self.secrets, &account.user_id)?;
        let session = who.session_id()?;
        let confirmed =
            self.store
                .confirm_second_factor(&account.user_id, session, step, &digests, &who.actor);
        if !confirmed.await? {
            return Err(IdentityError::NoSecondFactor);
        }
        Ok(codes)
    }

    /// Fresh recovery codes instead of those there are.
    ///
    /// # Errors
    /// [`IdentityError::WrongProof`] naming `code`, [`IdentityError::NoSecondFactor`].
    pub async fn renew_recovery_codes(
        &self,
        who: &SignedIn,
        code: &Redacted,
    ) -> Result<Vec<Redacted>, IdentityError> {
        let account = self.account(who).await?;
        let attempt = self.attempt_of(&account, &who.actor).await?;
        let proof = self.second_proof(&account, code, &who.actor).await?;
        let (codes, digests) = second_factor::recovery_codes(&self.secrets, &account.user_id)?;
        let renewed =
            self.store
                .renew_recovery_codes(&account.user_id, &proof, &digests, &who.actor);
        if !renewed.await? {
            return Err(self.wrong_code(&account, &who.actor).await?);
        }
        attempt.forgiven().await;
        Ok(codes)
    }

    /// Takes somebody's second factor away.
    ///
    /// # Errors
    /// [`IdentityError::WrongProof`] naming `password` or `code`,
    /// [`IdentityError::NoSecondFactor`].
    pub async fn remove_second_factor(
        &self,
        who: &SignedIn,
        password: &Redacted,
        code: &Redacted,
    ) -> Result<(), IdentityError> {
        let account = self.account(who).await?;
        self.knows_password(&account, "password", password, &who.actor)
            .await?;
        let attempt = self.attempt_of(&account, &who.actor).await?;
        let proof = self.second_proof(&account, code, &who.actor).await?;
        let removed = self
            .store
            .remove_second_factor(&account.user_id, &proof, &who.actor);
        if !removed.await? {
            return Err(self.wrong_code(&account, &who.actor).await?);
        }
        attempt.forgiven().await;
        Ok(())
    }

    async fn second_proof(
        &self,
        account: &AccountRow,
        code: &Redacted,
        from: &Actor,
    ) -> Result<SecondProof, IdentityError> {
        if !account.has_second_factor {
            return Err(IdentityError::NoSecondFactor);
        }
        match self.proof(account, code) {
            Some(proof) => Ok(proof),
            None => Err(self.wrong_code(account, from).await?),
        }
    }

    /// Tells the audit of a wrong code, and the caller.
    async fn wrong_code(
        &self,
        account: &AccountRow,
        from: &Actor,
    ) -> Result<IdentityError, IdentityError> {
        self.failed(Some(&account.user_id), "wrong_code", from)
            .await?;
        Ok(IdentityError::WrongProof("code"))
    }

    /// Whoever found a session open must not be able to guess on.
    async fn knows_password(
        &self,
        account: &AccountRow,
        param: &'static str,
        password: &Redacted,
        from: &Actor,
    ) -> Result<(), IdentityError> {
        let attempt = self.attempt_of(account, from).await?;
        let hash = Some(account.password_hash.clone()).filter(|hash| hash.starts_with('$'));
        match self.passwords.verify(password, hash).await {
            Ok(true) => {
                attempt.forgiven().await;
                Ok(())
            }
            Ok(false) => {
                self.failed(Some(&account.user_id), "wrong_password", from)
                    .await?;
                Err(IdentityError::WrongProof(param))
            }
            Err(error) => {
                attempt.forgiven().await;
                Err(error.into())
            }
        }
    }

    async fn attempt_of(
        &self,
        account: &AccountRow,
        from: &Actor,
    ) -> Result<crate::auth::throttle::SharedAttempt, IdentityError> {
        self.attempt(&account.email, Some(&account.user_id), from)
            .await
    }

    async fn account(&self, who: &SignedIn) -> Result<AccountRow, IdentityError> {
        who.session_id()?;
        let account = self.store.account_of(&who.person.user_id).await?;
        account.ok_or(IdentityError::WrongCredentials)
    }
}
