use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use moka::sync::Cache;
use subtle::ConstantTimeEq;

use super::access_version::AccessVersion;
use super::{
    Administrator, AuthError, Authority, IssueError, ModelAccess, Principal, Redacted, Scopes,
    Secrets, token,
};
use crate::clock::Clock;
use crate::limits::LimitSet;
use crate::records::{Actor, ActorKind};
use crate::store::{KeyKind, KeyRing, KeyRow, LiveKey, Rotated, Store};

/// `last_used_at` is kept to the minute: exact times would cost a write for every request.
const TOUCH_SECONDS: i64 = 60;
/// Keys that are remembered. Each takes about a kilobyte.
const MOST_KNOWN: u64 = 10_000;

/// Issues, verifies and revokes API keys. Cheap to clone.
///
/// What the database says of a key is remembered for as long as the database's version of such
/// things is the same, and each request looks whether it may have changed: a revoked key is refused
/// from the moment that the revocation returns, whichever process it came from.
#[derive(Debug, Clone)]
pub struct Keys {
    store: Store,
    secrets: Secrets,
    clock: Clock,
    version: AccessVersion,
    /// By digest.
    known: Cache<Vec<u8>, Arc<Known>>,
}

/// A key, as the database had it at a version.
#[derive(Debug)]
struct Known {
    version: Option<i64>,
    key: LiveKey,
    /// The use that the database knows of, or will soon.
    noted_use: AtomicI64,
}

/// Whom a key is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOwner {
    /// A project: the key opens the models.
    Project {
        id: String,
        on_behalf_of: OnBehalfOf,
    },
    /// A user, by id: the key opens the organization's routes, and no model.
    Admin(String),
}

/// Who holds a project's key, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnBehalfOf {
    /// Nobody in particular.
    Project,
    User(String),
    ServiceAccount(String),
}

/// A key to be issued.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// For people to tell keys apart.
    pub name: String,
    pub owner: KeyOwner,
    /// Unix seconds; never, when none.
    pub expires_at: Option<i64>,
    pub rules: KeyRules,
}

/// What a key is confined to beyond its kind; by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRules {
    pub scopes: Option<Vec<String>>,
    pub models: Option<Vec<String>>,
    pub limits: LimitSet,
    pub guardrail_policy: Option<String>,
}

/// A fresh key: the only time that it can be read.
#[derive(Debug, Clone)]
pub struct IssuedKey {
    pub key: Redacted,
    pub row: KeyRow,
}

impl Keys {
    /// Call within a tokio runtime.
    pub fn new(store: Store, secrets: Secrets, clock: Clock) -> Self {
        Self {
            version: AccessVersion::start(store.clone()),
            known: Cache::new(MOST_KNOWN),
            store,
            secrets,
            clock,
        }
    }

    /// Who presents this key to an inference route. `presented` is the credential alone, without
    /// `Bearer`.
    ///
    /// # Errors
    /// [`AuthError::InvalidKey`] or [`AuthError::Ended`] for anything but a live key,
    /// [`AuthError::Forbidden`] for a live admin key, [`AuthError::Unavailable`] when the database
    /// cannot be read.
    pub async fn verify(&self, presented: &str) -> Result<Principal, AuthError> {
        let known = self.live(presented).await?;
        let key = &known.key;
        match (key.kind, &key.project_id) {
            (KeyKind::Project, Some(project_id)) => Ok(Principal {
                key_id: key.id.clone(),
                project_id: project_id.clone(),
                user_id: key.user_id.clone(),
                scopes: Scopes(key.scopes.clone()),
                models: ModelAccess {
                    key: key.models.clone(),
                    project: key.permissions.clone(),
                },
                limits: key.limits.clone(),
                guardrail_policy: key.guardrail_policy.clone(),
            }),
            (KeyKind::Admin, _) => Err(AuthError::Forbidden(
                "This is an admin API key. It manages the organization and cannot be used with \
                 models; use a project's API key.",
            )),
            (KeyKind::Project, None) => Err(AuthError::InvalidKey),
        }
    }

    /// Who presents this key to an organization route. `from` is where the request comes from; its
    /// actor is replaced by the key's.
    ///
    /// # Errors
    /// As [`Keys::verify`], with the kinds exchanged.
    pub async fn verify_admin(
        &self,
        presented: &str,
        from: Actor,
    ) -> Result<Administrator, AuthError> {
        let known = self.live(presented).await?;
        let key = &known.key;
        match (key.kind, &key.user_id) {
            (KeyKind::Admin, Some(user_id)) => Ok(Administrator {
                actor: Actor {
                    kind: ActorKind::ApiKey,
                    id: Some(key.id.clone()),
                    user_id: Some(user_id.clone()),
                    ..from
                },
                user_id: user_id.clone(),
                authority: Authority::Key(Scopes(key.scopes.clone())),
            }),
            (KeyKind::Project, _) => Err(AuthError::Forbidden(
                "This is a project's API key. Managing the organization takes an admin API key.",
            )),
            (KeyKind::Admin, None) => Err(AuthError::InvalidKey),
        }
    }

    /// Makes a key and stores its digest.
    ///
    /// # Errors
    /// When there are no random bytes, the owner is unknown, or the database cannot be written.
    pub async fn issue(&self, new: NewKey, by: &Actor) -> Result<IssuedKey, IssueError> {
        let issued = mint(&self.secrets, &self.clock, new)?;
        self.store.insert_key(&issued.row, by).await?;
        Ok(issued)
    }

    /// A key with its row, for whoever stores it together with something else.
    ///
    /// # Errors
    /// When there are no random bytes.
    pub fn prepare(&self, new: NewKey) -> Result<IssuedKey, IssueError> {
        mint(&self.secrets, &self.clock, new)
    }

    /// Gives a project's key another value. The one before goes on working for `overlap` seconds;
    /// one that it had replaced itself ends now. None when there is no such key.
    ///
    /// # Errors
    /// When there are no random bytes, or the database cannot be written.
    pub async fn rotate(
        &self,
        ring: KeyRing<'_>,
        id: &str,
        overlap: i64,
        by: &Actor,
    ) -> Result<Option<IssuedKey>, IssueError> {
        let key = token::generate(KeyKind::Project)?;
        let (pepper_id, digest) = self.secrets.digest(&key);
        let rotated = Rotated {
            pepper_id,
            digest,
            last4: last4(&key),
            overlap_until: by.at().saturating_add(overlap),
        };
        let row = self.store.rotate_key(ring, id, &rotated, by).await?;
        Ok(row.map(|row| IssuedKey { key, row }))
    }

    /// Ends a key: no request that is verified after this returns gets in. Returns whether there
    /// was a live key of this id.
    ///
    /// # Errors
    /// When the database cannot be written; the key still works then.
    pub async fn revoke(&self, id: &str, by: &Actor) -> Result<bool, IssueError> {
        Ok(self.store.revoke_key(id, by).await?)
    }

    async fn live(&self, presented: &str) -> Result<Arc<Known>, AuthError> {
        if !token::is_well_formed(presented) {
            return Err(AuthError::InvalidKey);
        }
        let version = self.version.now().await;
        let now = self.clock.now_secs();
        for digest in self.secrets.digests(presented) {
            let Some(known) = self.find(&digest, version).await? else {
                continue;
            };
            let key = &known.key;
            let is_same: bool = key.digest.ct_eq(&digest).into();
            if !is_same || key.replaced_until.is_some_and(|until| until <= now) {
                return Err(AuthError::InvalidKey);
            }
            if !is_live(key, now) {
                return Err(AuthError::Ended {
                    id: key.id.clone(),
                    is_expired: !key.is_ended,
                });
            }
            self.touch(&known, now);
            return Ok(known);
        }
        Err(AuthError::InvalidKey)
    }

    /// What the database says of a digest, at this version or a later one.
    async fn find(
        &self,
        digest: &[u8],
        version: Option<i64>,
    ) -> Result<Option<Arc<Known>>, AuthError> {
        if let Some(known) = self.known.get(digest)
            && version.is_some()
            && known.version == version
        {
            return Ok(Some(known));
        }
        let found = self.store.key_by_digest(digest).await;
        let found = found.map_err(|error| AuthError::Unavailable(error.to_string()))?;
        let Some(key) = found else {
            return Ok(None);
        };
        let known = Arc::new(Known {
            version,
            noted_use: AtomicI64::new(key.last_used_at.unwrap_or(i64::MIN)),
            key,
        });
        self.known.insert(digest.to_vec(), known.clone());
        Ok(Some(known))
    }

    /// Notes the use of a key, in the background and at most once a minute for each key.
    fn touch(&self, known: &Known, now: i64) {
        let noted = known.noted_use.load(Ordering::Relaxed);
        if now.saturating_sub(noted) < TOUCH_SECONDS {
            return;
        }
        let (order, other) = (Ordering::Relaxed, Ordering::Relaxed);
        if known
            .noted_use
            .compare_exchange(noted, now, order, other)
            .is_err()
        {
            // Another request has.
            return;
        }
        let (store, id) = (self.store.clone(), known.key.id.clone());
        tokio::spawn(async move {
            // The request does not depend on it: a full disk must not lock anybody out.
            if let Err(error) = store.touch_key(&id, now).await {
                tracing::debug!(key = id, %error, "the use of a key was not noted");
            }
        });
    }
}

/// A key with its row, not yet stored.
pub(super) fn mint(secrets: &Secrets, clock: &Clock, new: NewKey) -> Result<IssuedKey, IssueError> {
    let (mut project_id, mut user_id, mut service_account_id) = (None, None, None);
    let kind = match new.owner {
        KeyOwner::Project { id, on_behalf_of } => {
            project_id = Some(id);
            match on_behalf_of {
                OnBehalfOf::Project => {}
                OnBehalfOf::User(id) => user_id = Some(id),
                OnBehalfOf::ServiceAccount(id) => service_account_id = Some(id),
            }
            KeyKind::Project
        }
        KeyOwner::Admin(id) => {
            user_id = Some(id);
            KeyKind::Admin
        }
    };
    let key = token::generate(kind)?;
    let (pepper_id, digest) = secrets.digest(&key);
    let row = KeyRow {
        id: clock.id("key_"),
        kind,
        name: new.name,
        project_id,
        user_id,
        service_account_id,
        pepper_id,
        digest,
        last4: last4(&key),
        scopes: new.rules.scopes,
        models: new.rules.models,
        limits: new.rules.limits,
        guardrail_policy: new.rules.guardrail_policy,
        created_at: clock.now_secs(),
        last_used_at: None,
        expires_at: new.expires_at,
        revoked_at: None,
    };
    Ok(IssuedKey { key, row })
}

fn last4(key: &Redacted) -> String {
    let text = key.expose();
    let last4 = text.get(text.len().saturating_sub(4)..);
    last4.unwrap_or_default().to_owned()
}

fn is_live(key: &LiveKey, now: i64) -> bool {
    !key.is_ended && key.expires_at.is_none_or(|expires| now < expires)
}

#[cfg(test)]
mod tests;
