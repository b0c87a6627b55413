use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::json::{from_json, optional_json, to_json};
use super::{Store, StoreError};
use crate::auth::{ModelMode, ModelPermissions};
use crate::limits::{CallerLimits, LimitSet};
use crate::records::{Actor, AuditEvent};

/// What a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum KeyKind {
    /// Models, on behalf of one project.
    Project,
    /// The organization: projects, keys, usage. No models.
    Admin,
}

/// A stored key. `Serialize` leaves out what helps to forge one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    /// `key_…`
    pub id: String,
    pub kind: KeyKind,
    pub name: String,
    /// Of a project key.
    pub project_id: Option<String>,
    /// Owner; always of an admin key.
    pub user_id: Option<String>,
    /// Owner of a project key, instead of a person.
    pub service_account_id: Option<String>,
    #[serde(skip)]
    pub pepper_id: String,
    /// HMAC-SHA-256 of the key under that pepper.
    #[serde(skip)]
    pub digest: Vec<u8>,
    /// The key's last four characters, for people to tell keys apart.
    pub last4: String,
    /// None: all that its kind has.
    pub scopes: Option<Vec<String>>,
    /// None: all that its project has.
    pub models: Option<Vec<String>>,
    pub limits: LimitSet,
    pub guardrail_policy: Option<String>,
    /// Unix seconds, as all that follow.
    pub created_at: i64,
    /// To the minute.
    pub last_used_at: Option<i64>,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

/// What is needed of a key, and of whom it belongs to, to decide about a request.
#[derive(Debug, Clone)]
pub struct LiveKey {
    pub id: String,
    pub kind: KeyKind,
    pub project_id: Option<String>,
    pub user_id: Option<String>,
    /// The digest that was asked for: the key's, or that of the value which it replaced.
    pub digest: Vec<u8>,
    /// Until when a value works that was replaced, in unix seconds.
    pub replaced_until: Option<i64>,
    pub scopes: Option<Arc<[String]>>,
    pub models: Option<Arc<[String]>>,
    pub guardrail_policy: Option<String>,
    pub permissions: Option<ModelPermissions>,
    pub limits: Arc<CallerLimits>,
    pub last_used_at: Option<i64>,
    pub expires_at: Option<i64>,
    /// Revoked, its project archived, its owner disabled, no longer in the project, or,
    /// of an admin key, no longer an owner.
    pub is_ended: bool,
}

impl Store {
    /// The key of this digest, live or not; also the one whose value has replaced it.
    ///
    /// What this says changes only together with [`Store::access_version`].
    ///
    /// # Errors
    /// When the database cannot be read, or holds what this program does not write.
    pub async fn key_by_digest(&self, digest: &[u8]) -> Result<Option<LiveKey>, StoreError> {
        let found = sqlx::query!(
            r#"SELECT k.id, k.kind AS "kind: KeyKind", k.project_id, k.user_id, k.digest,
                      k.previous_digest, k.previous_expires_at, k.scopes, k.models, k.limits,
                      coalesce(k.guardrail_policy, p.guardrail_policy) AS guardrail_policy,
                      k.last_used_at, k.expires_at,
                      m.mode AS "mode?: ModelMode", m.model_ids AS "model_ids?",
                      p.limits AS "project_limits?", u.limits AS "user_limits?",
                      o.limits AS organization_limits,
                      (SELECT json_group_object(r.model, json_object(
                                  'requests_per_minute', r.requests_per_minute,
                                  'tokens_per_minute', r.tokens_per_minute,
                                  'requests_per_day', r.requests_per_day))
                       FROM rate_limits r WHERE r.project_id = k.project_id)
                          AS "model_limits!: String",
                      k.revoked_at IS NOT NULL OR p.archived_at IS NOT NULL
                          OR u.disabled_at IS NOT NULL OR u.erased_at IS NOT NULL
                          OR s.deleted_at IS NOT NULL
                          OR (k.kind = 'admin' AND u.role <> 'owner')
                          OR (k.kind = 'project' AND k.user_id IS NOT NULL
                              AND b.user_id IS NULL) AS "is_ended!: bool"
               FROM api_keys k
               JOIN organization o
               LEFT JOIN projects p ON p.id = k.project_id
               LEFT JOIN users u ON u.id = k.user_id
               LEFT JOIN project_members b
                   ON b.project_id = k.project_id AND b.user_id = k.user_id
               LEFT JOIN service_accounts s ON s.id = k.service_account_id
               LEFT JOIN model_permissions m ON m.project_id = k.project_id
               WHERE k.digest = ?1 OR k.previous_digest = ?1"#,
            digest
        )
        .fetch_optional(&self.reader)
        .await?;
        let Some(key) = found else {
            return Ok(None);
        };
        let permissions = match (key.mode, key.model_ids) {
            (Some(mode), Some(ids)) => Some(ModelPermissions {
                mode,
                model_ids: from_json(&ids, "model_permissions")?,
            }),
            _ => None,
        };
        let set = |text: Option<&str>| match text {
            None | Some("{}") => Ok(LimitSet::default()),
            Some(text) => from_json(text, "limits"),
        };
        let is_current = key.digest == digest;
        Ok(Some(LiveKey {
            id: key.id,
            kind: key.kind,
            project_id: key.project_id,
            user_id: key.user_id,
            digest: match key.previous_digest {
                Some(previous) if !is_current => previous,
                _ => key.digest,
            },
            replaced_until: if is_current {
                None
            } else {
                key.previous_expires_at
            },
            scopes: optional_json(key.scopes.as_deref(), "scopes")?,
            models: optional_json(key.models.as_deref(), "models")?,
            guardrail_policy: key.guardrail_policy,
            permissions,
            limits: Arc::new(CallerLimits {
                key: set(Some(&key.limits))?,
                project: set(key.project_limits.as_deref())?,
                user: set(key.user_limits.as_deref())?,
                organization: set(Some(&key.organization_limits))?,
                models: from_json(&key.model_limits, "rate_limits")?,
            }),
            last_used_at: key.last_used_at,
            expires_at: key.expires_at,
            is_ended: key.is_ended,
        }))
    }

    /// Stores a new key.
    ///
    /// # Errors
    /// When the project or the owner is unknown, or the database cannot be written.
    pub async fn insert_key(&self, key: &KeyRow, by: &Actor) -> Result<(), StoreError> {
        let mut change = self.change_by(by).await?;
        insert_key(change.on(), key).await?;
        change
            .commit(by, &[key_event("api_key.created", key)])
            .await
    }

    /// Every key, newest first, without paging: an organization has tens.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let rows = sqlx::query_as!(
            StoredKey,
            r#"SELECT id, kind AS "kind: KeyKind", name, project_id, user_id, service_account_id,
                      pepper_id, digest, last4, scopes, models, limits, guardrail_policy,
                      created_at, last_used_at, expires_at, revoked_at
               FROM api_keys ORDER BY id DESC"#
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(KeyRow::try_from).collect()
    }

    /// Ends a key. Returns whether there was a live key of this id.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn revoke_key(&self, id: &str, by: &Actor) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        let now = by.at();
        let revoked = sqlx::query!(
            "UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL
             RETURNING project_id",
            now,
            id
        )
        .fetch_optional(change.on())
        .await?;
        let Some(revoked) = revoked else {
            change.abandon().await?;
            return Ok(false);
        };
        let mut event = AuditEvent::about("api_key.deleted", id);
        event.project_id = revoked.project_id;
        change.commit(by, &[event]).await?;
        Ok(true)
    }

    /// Notes that a key was used; never moves back.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn touch_key(&self, id: &str, now: i64) -> Result<(), StoreError> {
        let mut writing = self.writing().await?;
        sqlx::query!(
            "UPDATE api_keys SET last_used_at = ?1 WHERE id = ?2 AND coalesce(last_used_at, 0) < ?1",
            now,
            id
        )
        .execute(writing.connection())
        .await?;
        writing.done();
        Ok(())
    }

    /// The peppers that stored keys were digested with.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn peppers_in_use(&self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"SELECT pepper_id AS "id!: String" FROM api_keys WHERE revoked_at IS NULL
                 UNION SELECT previous_pepper_id FROM api_keys
                 WHERE revoked_at IS NULL AND previous_pepper_id IS NOT NULL"#
        )
        .fetch_all(&self.reader)
        .await?)
    }
}

/// A key as its columns hold it.
pub(super) struct StoredKey {
    pub id: String,
    pub kind: KeyKind,
    pub name: String,
    pub project_id: Option<String>,
    pub user_id: Option<String>,
    pub service_account_id: Option<String>,
    pub pepper_id: String,
    pub digest: Vec<u8>,
    pub last4: String,
    pub scopes: Option<String>,
    pub models: Option<String>,
    pub limits: String,
    pub guardrail_policy: Option<String>,
    pub created_at: i64,
    pub last_used_at: Option<i64>,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

impl TryFrom<StoredKey> for KeyRow {
    type Error = StoreError;

    fn try_from(key: StoredKey) -> Result<Self, StoreError> {
        Ok(Self {
            id: key.id,
            kind: key.kind,
            name: key.name,
            project_id: key.project_id,
            user_id: key.user_id,
            service_account_id: key.service_account_id,
            pepper_id: key.pepper_id,
            digest: key.digest,
            last4: key.last4,
            scopes: optional_json(key.scopes.as_deref(), "scopes")?,
            models: optional_json(key.models.as_deref(), "models")?,
            limits: from_json(&key.limits, "limits")?,
            guardrail_policy: key.guardrail_policy,
            created_at: key.created_at,
            last_used_at: key.last_used_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
        })
    }
}

/// What the audit says of a key.
pub(super) fn key_event(kind: &'static str, key: &KeyRow) -> AuditEvent {
    let mut event = AuditEvent::about(kind, &key.id);
    event.project_id.clone_from(&key.project_id);
    event.with(
        "data",
        json!({
            "kind": key.kind,
            // A person's key may be named after them, and what is in the audit cannot be erased.
            "name": key.user_id.is_none().then_some(&key.name),
            "scopes": key.scopes,
            "models": key.models,
            "limits": key.limits,
            "guardrail_policy": key.guardrail_policy,
            "expires_at": key.expires_at,
            "user_id": key.user_id,
            "service_account_id": key.service_account_id,
        }),
    )
}

pub(super) async fn insert_key(
    connection: &mut sqlx::SqliteConnection,
    key: &KeyRow,
) -> Result<(), StoreError> {
    let scopes = key.scopes.as_ref().map(to_json);
    let models = key.models.as_ref().map(to_json);
    let limits = to_json(&key.limits);
    sqlx::query!(
        "INSERT INTO api_keys (id, kind, name, project_id, user_id, service_account_id, pepper_id,
                               digest, last4, scopes, models, limits, guardrail_policy, created_at,
                               last_used_at, expires_at, revoked_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        key.id,
        key.kind,
        key.name,
        key.project_id,
        key.user_id,
        key.service_account_id,
        key.pepper_id,
        key.digest,
        key.last4,
        scopes,
        models,
        limits,
        key.guardrail_policy,
        key.created_at,
        key.last_used_at,
        key.expires_at,
        key.revoked_at
    )
    .execute(connection)
    .await?;
    Ok(())
}
