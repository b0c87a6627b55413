use super::sessions::Tokens;
use super::{Identity, IdentityError};
use crate::auth::{OrgRole, Purpose, Redacted, WeakPassword};
use crate::config::Registration;
use crate::limits::LimitSet;
use crate::records::Actor;
use crate::store::{Admission, Joined, ProjectRow, UserRow};

/// Somebody who wants an account.
#[derive(Debug, Clone)]
pub struct NewAccount {
    pub email: String,
    pub name: String,
    pub password: Redacted,
    pub invite_token: Option<Redacted>,
}

impl Identity {
    /// Makes an account and signs its owner in.
    ///
    /// # Errors
    /// [`IdentityError::Closed`] where the configuration does not allow it,
    /// [`IdentityError::NotInvited`], [`IdentityError::Taken`], [`IdentityError::Weak`].
    pub async fn register(&self, new: NewAccount, from: &Actor) -> Result<Tokens, IdentityError> {
        let invited = match (self.config.registration, &new.invite_token) {
            (Registration::Off, _) => return Err(IdentityError::Closed { invited: false }),
            (Registration::Invite, None) => return Err(IdentityError::Closed { invited: true }),
            (_, token) => token.as_ref().map(|token| self.invite_digest(token)),
        };
        let attempt = self.attempt(&new.email, None, from).await?;
        let (role, admission) = match invited {
            None => (OrgRole::Reader, Admission::Alone),
            Some(digest) => {
                let invite = self.store.open_invite(&digest, from.at()).await?;
                let matches =
                    |(email, _): &(String, OrgRole)| email.eq_ignore_ascii_case(&new.email);
                let (_, role) = invite.filter(matches).ok_or(IdentityError::NotInvited)?;
                (role, Admission::Invite(digest))
            }
        };
        let known = [new.email.as_str(), new.name.as_str()];
        self.strong("password", &new.password, &known).await?;
        let user = UserRow {
            id: self.clock.id("user-"),
            email: new.email.clone(),
            password_hash: self.passwords.hash(&new.password).await?,
            role,
            created_at: self.clock.now_secs(),
        };
        let by = Actor {
            user_id: Some(user.id.clone()),
            ..from.clone()
        };
        let own = self.own_project();
        let joined = self
            .store
            .join(&user, &new.name, &admission, Some(&own), &by);
        match joined.await? {
            Joined::Done => {}
            Joined::Taken => return Err(IdentityError::Taken),
            Joined::NotInvited | Joined::Removed => return Err(IdentityError::NotInvited),
        }
        if matches!(admission, Admission::Invite(_)) {
            attempt.forgiven().await;
        }
        // Else it goes on counting: one address is not to make accounts without end.
        let account = self.store.account_of(&user.id).await?;
        let account = account.ok_or(IdentityError::WrongCredentials)?;
        let opened = self.open(&account, None, None, from).await?;
        opened.ok_or(IdentityError::WrongCredentials)
    }

    /// Makes an account for somebody, with a generated password, which is returned.
    ///
    /// # Errors
    /// [`IdentityError::Taken`].
    pub async fn create(
        &self,
        email: &str,
        name: &str,
        role: OrgRole,
        by: &Actor,
    ) -> Result<(String, Redacted), IdentityError> {
        let password = crate::auth::Passwords::generate()?;
        let user = UserRow {
            id: self.clock.id("user-"),
            email: email.to_owned(),
            password_hash: self.passwords.hash(&password).await?,
            role,
            created_at: self.clock.now_secs(),
        };
        let own = self.own_project();
        let joined = self
            .store
            .join(&user, name, &Admission::Alone, Some(&own), by);
        match joined.await? {
            Joined::Done => Ok((user.id, password)),
            _ => Err(IdentityError::Taken),
        }
    }

    /// Refuses a password that is easy to guess.
    pub(super) async fn strong(
        &self,
        param: &'static str,
        password: &Redacted,
        known: &[&str],
    ) -> Result<(), IdentityError> {
        let checked: Result<(), WeakPassword> = self.passwords.check(password, known).await?;
        checked.map_err(|why| IdentityError::Weak { param, why })
    }

    /// For somebody who comes without any.
    pub(super) fn own_project(&self) -> ProjectRow {
        ProjectRow {
            id: self.clock.id("proj_"),
            name: "Personal project".to_owned(),
            limits: LimitSet::default(),
            guardrail_policy: None,
            data_retention: "organization_default".to_owned(),
            created_at: self.clock.now_secs(),
            archived_at: None,
        }
    }

    fn invite_digest(&self, token: &Redacted) -> Vec<u8> {
        self.secrets
            .derive(Purpose::Tokens, token.expose().as_bytes())
    }
}
