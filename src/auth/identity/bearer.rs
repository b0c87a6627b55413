use std::sync::Arc;

use super::{Identity, IdentityError};
use crate::auth::jwt::{self, TokenError};
use crate::auth::{Administrator, AuthError, Authority, ModelAccess, OrgRole, Principal, Scopes};
use crate::config::SecondFactorRule;
use crate::limits::{CallerLimits, LimitSet};
use crate::records::{Actor, ActorKind};
use crate::store::{LivePerson, StoreError};

/// Somebody whose access token counts.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub person: LivePerson,
    pub actor: Actor,
}

impl SignedIn {
    /// # Errors
    /// [`IdentityError::NotHere`] for somebody without a session of this server.
    pub fn session_id(&self) -> Result<&str, IdentityError> {
        let session = self.actor.id.as_deref();
        session.ok_or(IdentityError::NotHere)
    }
}

impl Identity {
    /// Whether this is for [`Identity::signed_in`] to look at, rather than an API key.
    pub fn is_token(presented: &str) -> bool {
        jwt::is_token(presented)
    }

    /// Whose access token this is. `from` is where the request comes from; its actor is replaced
    /// by the session's.
    ///
    /// # Errors
    /// [`AuthError::InvalidKey`], or for what was a token [`AuthError::Expired`] and, when its
    /// session is over, [`AuthError::Ended`].
    pub async fn signed_in(&self, presented: &str, from: Actor) -> Result<SignedIn, AuthError> {
        let now = self.clock.now_secs();
        let subject = match jwt::verify(&self.secrets, presented, now) {
            Ok(subject) => subject,
            Err(TokenError::Expired) => return Err(AuthError::Expired),
            Err(TokenError::Invalid) => return self.vouched_for(presented, from, now).await,
        };
        let live = self
            .store
            .live_session(&subject.session_id, &subject.user_id, now);
        let Some(person) = live.await.map_err(unavailable)? else {
            return Err(AuthError::Ended {
                id: subject.session_id,
                is_expired: false,
            });
        };
        Ok(SignedIn {
            person,
            actor: Actor {
                kind: ActorKind::Session,
                id: Some(subject.session_id),
                user_id: Some(subject.user_id),
                ..from
            },
        })
    }

    /// Somebody who acts in a project: the named one, else their own.
    ///
    /// # Errors
    /// As [`Identity::signed_in`], and [`AuthError::UnknownProject`].
    pub async fn principal(
        &self,
        presented: &str,
        project: Option<&str>,
        from: Actor,
    ) -> Result<Principal, AuthError> {
        let who = self.signed_in(presented, from).await?;
        let acting = self
            .store
            .acting_project(&who.person.user_id, project)
            .await;
        let acting = acting.map_err(unavailable)?.ok_or(match project {
            Some(_) => AuthError::UnknownProject,
            None => AuthError::Forbidden("You are not a member of any project."),
        })?;
        let key_id = match who.actor.id {
            Some(session) => session,
            // Who has no session here is still to be told from everybody else.
            None => format!("oidc_{}", who.person.user_id),
        };
        Ok(Principal {
            key_id,
            project_id: acting.id,
            user_id: Some(who.person.user_id),
            scopes: Scopes(None),
            models: ModelAccess {
                key: None,
                project: acting.permissions,
            },
            limits: Arc::new(CallerLimits {
                key: LimitSet::default(),
                project: acting.limits,
                user: who.person.limits,
                organization: who.person.organization_limits,
                models: acting.model_limits,
            }),
            guardrail_policy: acting.guardrail_policy,
        })
    }

    /// Somebody who manages what their roles allow.
    ///
    /// # Errors
    /// As [`Identity::signed_in`], and [`AuthError::SecondFactor`] where one is demanded.
    pub async fn administrator(
        &self,
        presented: &str,
        from: Actor,
    ) -> Result<Administrator, AuthError> {
        let SignedIn { person, actor } = self.signed_in(presented, from).await?;
        let is_demanded =
            self.config.second_factor == SecondFactorRule::Owners && person.role == OrgRole::Owner;
        if is_demanded && !person.second_factor {
            return Err(AuthError::SecondFactor);
        }
        let projects = self.store.project_roles(&person.user_id).await;
        Ok(Administrator {
            actor,
            user_id: person.user_id,
            authority: Authority::Session {
                role: person.role,
                projects: projects.map_err(unavailable)?.into_iter().collect(),
            },
        })
    }

    /// Somebody whom the outside issuer vouches for.
    async fn vouched_for(
        &self,
        presented: &str,
        from: Actor,
        now: i64,
    ) -> Result<SignedIn, AuthError> {
        let Some(oidc) = &self.oidc else {
            return Err(AuthError::InvalidKey);
        };
        let claims = oidc.verify(presented, now).await?;
        oidc.person(&self.store, &self.clock, claims, from, || {
            self.own_project()
        })
        .await
    }
}

fn unavailable(error: StoreError) -> AuthError {
    AuthError::Unavailable(error.to_string())
}
