use subtle::ConstantTimeEq;

use super::{Identity, IdentityError, SignedIn, address};
use crate::auth::jwt::{self, Subject};
use crate::auth::{AuthError, Purpose, Redacted};
use crate::records::{Actor, ActorKind};
use crate::store::{AccountRow, Refreshed, SecondProof, SessionRow};

const DAY: i64 = 24 * 60 * 60;
/// What refresh tokens begin with.
const PREFIX: &str = "rt";

/// What somebody who is signed in holds.
#[derive(Debug, Clone)]
pub struct Tokens {
    pub access: Redacted,
    /// Seconds that the access token lives.
    pub expires_in: i64,
    /// Good for one use.
    pub refresh: Redacted,
    pub session: SessionRow,
}

impl Identity {
    /// Begins a session of somebody whose password is right. None when the proof was used before, or
    /// the account is not what it was.
    pub(super) async fn open(
        &self,
        account: &AccountRow,
        proof: Option<&SecondProof>,
        new_hash: Option<&str>,
        from: &Actor,
    ) -> Result<Option<Tokens>, IdentityError> {
        let now = self.clock.now_secs();
        let session = SessionRow {
            id: self.clock.id("sess_"),
            user_id: account.user_id.clone(),
            generation: 0,
            second_factor: proof.is_some(),
            ip: address(from.ip),
            user_agent: from.user_agent.clone(),
            created_at: now,
            refreshed_at: now,
            expires_at: self.idle_end(now),
        };
        let by = Actor {
            kind: ActorKind::Session,
            id: Some(session.id.clone()),
            user_id: Some(account.user_id.clone()),
            ..from.clone()
        };
        let opened =
            self.store
                .open_session(&session, &account.password_hash, proof, new_hash, &by);
        if !opened.await? {
            return Ok(None);
        }
        self.tokens(session).map(Some)
    }

    /// Gives a session's next tokens for its present refresh token. One that was used before ends
    /// the session: somebody else has it too.
    ///
    /// # Errors
    /// [`IdentityError::InvalidRefreshToken`].
    pub async fn refresh(
        &self,
        presented: &Redacted,
        from: &Actor,
    ) -> Result<Tokens, IdentityError> {
        let (id, generation) = self
            .read_refresh_token(presented)
            .ok_or(IdentityError::InvalidRefreshToken)?;
        let now = self.clock.now_secs();
        let by = Actor {
            kind: ActorKind::Session,
            id: Some(id.clone()),
            at_ms: self.clock.now_ms(),
            ..from.clone()
        };
        let longest = i64::from(self.config.session_days) * DAY;
        let refreshed =
            self.store
                .refresh_session(&id, generation, self.idle_end(now), longest, &by);
        match refreshed.await? {
            Refreshed::Renewed(session) => self.tokens(session),
            Refreshed::Reused | Refreshed::Gone => Err(IdentityError::InvalidRefreshToken),
        }
    }

    /// Signs somebody out of the session that they speak in.
    ///
    /// # Errors
    /// [`IdentityError::NotHere`] for somebody without a session.
    pub async fn sign_out(&self, who: &SignedIn) -> Result<(), IdentityError> {
        let id = who.session_id()?;
        let ended = self
            .store
            .end_session(id, &who.person.user_id, "logout.succeeded", &who.actor);
        ended.await?;
        Ok(())
    }

    /// The live sessions of somebody, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sessions(&self, who: &SignedIn) -> Result<Vec<SessionRow>, IdentityError> {
        let now = self.clock.now_secs();
        Ok(self.store.sessions(&who.person.user_id, now).await?)
    }

    /// Ends one of somebody's own sessions. Returns whether there was one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_session(&self, who: &SignedIn, id: &str) -> Result<bool, IdentityError> {
        let ended = self
            .store
            .end_session(id, &who.person.user_id, "session.ended", &who.actor);
        Ok(ended.await?)
    }

    /// Ends all of somebody's sessions but the one that they speak in. Returns how many.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_other_sessions(&self, who: &SignedIn) -> Result<u64, IdentityError> {
        let stay = who.session_id().ok();
        let user_id = &who.person.user_id;
        Ok(self
            .store
            .end_other_sessions(user_id, stay, &who.actor)
            .await?)
    }

    fn tokens(&self, session: SessionRow) -> Result<Tokens, IdentityError> {
        let now = self.clock.now_secs();
        let subject = Subject {
            user_id: session.user_id.clone(),
            session_id: session.id.clone(),
        };
        let seconds = i64::from(self.config.access_token_seconds);
        let expires_in = seconds.min(session.expires_at.saturating_sub(now));
        let access = jwt::sign(&self.secrets, subject, now, expires_in)
            .map_err(|_| AuthError::Unavailable("no token can be signed".to_owned()))?;
        Ok(Tokens {
            access,
            expires_in,
            refresh: self.refresh_token(&session.id, session.generation),
            session,
        })
    }

    /// When a session ends that is not used from now on.
    fn idle_end(&self, now: i64) -> i64 {
        let days = self.config.session_idle_days.min(self.config.session_days);
        now.saturating_add(i64::from(days) * DAY)
    }

    /// `rt.SESSION.NUMBER.MAC`: the database need not hold any part of it, and every token that
    /// was ever valid is recognized.
    fn refresh_token(&self, session_id: &str, generation: i64) -> Redacted {
        let mac = self.refresh_mac(session_id, generation);
        Redacted::new(format!(
            "{PREFIX}.{session_id}.{generation}.{}",
            hex::encode(mac)
        ))
    }

    fn read_refresh_token(&self, presented: &Redacted) -> Option<(String, i64)> {
        let mut parts = presented.expose().split('.');
        let (prefix, id, generation, mac) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if prefix != PREFIX || parts.next().is_some() {
            return None;
        }
        let generation: i64 = generation.parse().ok()?;
        let expected = self.refresh_mac(id, generation);
        let is_ours: bool = hex::decode(mac).ok()?.ct_eq(&expected).into();
        is_ours.then(|| (id.to_owned(), generation))
    }

    fn refresh_mac(&self, session_id: &str, generation: i64) -> Vec<u8> {
        let data = format!("refresh:{session_id}:{generation}");
        self.secrets.derive(Purpose::Tokens, data.as_bytes())
    }
}
