//! Keys as the administration sees them: listed, edited, rotated, ended.

use serde_json::json;

use super::edit::changed;
use super::json::to_json;
use super::keys::StoredKey;
use super::{Cursor, KeyKind, KeyRow, Store, StoreError};
use crate::records::{Actor, AuditEvent};

/// Whose keys: admin keys, or those of a project.
#[derive(Debug, Clone, Copy)]
pub enum KeyRing<'a> {
    Admin,
    Project(&'a str),
}

impl<'a> KeyRing<'a> {
    fn project_id(self) -> Option<&'a str> {
        match self {
            Self::Admin => None,
            Self::Project(id) => Some(id),
        }
    }
}

/// A successor of a key's value.
#[derive(Debug, Clone)]
pub struct Rotated {
    pub pepper_id: String,
    pub digest: Vec<u8>,
    pub last4: String,
    /// Until when the old value works, in unix seconds.
    pub overlap_until: i64,
}

impl Store {
    /// The keys on a ring that were not ended; with `active`, only those whose owner may use them at
    /// the moment, or only the others.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn ring(
        &self,
        ring: KeyRing<'_>,
        cursor: &Cursor,
        active: Option<bool>,
    ) -> Result<Vec<KeyRow>, StoreError> {
        let project_id = ring.project_id();
        let rows = sqlx::query_as!(
            StoredKey,
            r#"SELECT id, kind AS "kind: KeyKind", name, project_id, user_id, service_account_id,
                      pepper_id, digest, last4, scopes, models, limits, guardrail_policy,
                      created_at, last_used_at, expires_at, revoked_at
               FROM api_keys
               WHERE project_id IS ?1 AND revoked_at IS NULL
                 AND (?2 IS NULL OR CASE WHEN ?3 THEN id < ?2 ELSE id > ?2 END)
                 AND (?5 IS NULL OR ?5 = (user_id IS NULL OR EXISTS (
                       SELECT 1 FROM project_members m JOIN users u ON u.id = m.user_id
                       WHERE m.project_id IS ?1 AND m.user_id = api_keys.user_id
                         AND u.disabled_at IS NULL)))
               ORDER BY CASE WHEN ?3 THEN id END DESC, id LIMIT ?4"#,
            project_id,
            cursor.after,
            cursor.descending,
            cursor.limit,
            active
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(KeyRow::try_from).collect()
    }

    /// A key on a ring, unless ended.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn key(&self, ring: KeyRing<'_>, id: &str) -> Result<Option<KeyRow>, StoreError> {
        let mut connection = self.reader.acquire().await?;
        key(&mut connection, ring, id).await
    }

    /// Changes a key's name, scopes, models, limits, policy or end; none when there is no such
    /// key.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn edit_key(
        &self,
        ring: KeyRing<'_>,
        id: &str,
        by: &Actor,
        edit: impl FnOnce(&mut KeyRow),
    ) -> Result<Option<KeyRow>, StoreError> {
        let mut change = self.change_by(by).await?;
        let Some(before) = key(change.on(), ring, id).await? else {
            change.abandon().await?;
            return Ok(None);
        };
        let mut after = before.clone();
        edit(&mut after);
        let scopes = after.scopes.as_ref().map(to_json);
        let models = after.models.as_ref().map(to_json);
        let limits = to_json(&after.limits);
        let project_id = ring.project_id();
        sqlx::query!(
            "UPDATE api_keys SET name = ?, scopes = ?, models = ?, limits = ?,
                                 guardrail_policy = ?, expires_at = ?
             WHERE id = ? AND project_id IS ?",
            after.name,
            scopes,
            models,
            limits,
            after.guardrail_policy,
            after.expires_at,
            id,
            project_id
        )
        .execute(change.on())
        .await?;
        match key_changed(&before, &after) {
            Some(mut event) => {
                event.project_id = project_id.map(str::to_owned);
                change.commit(by, &[event]).await?;
            }
            None => change.abandon().await?,
        }
        Ok(Some(after))
    }

    /// Gives a key another value; the one before works until the overlap ends, an even older one
    /// no more. None when there is no such key.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn rotate_key(
        &self,
        ring: KeyRing<'_>,
        id: &str,
        new: &Rotated,
        by: &Actor,
    ) -> Result<Option<KeyRow>, StoreError> {
        let mut change = self.change_by(by).await?;
        let project_id = ring.project_id();
        let done = sqlx::query!(
            "UPDATE api_keys SET previous_digest = digest, previous_pepper_id = pepper_id,
                                 previous_expires_at = ?, digest = ?, pepper_id = ?, last4 = ?
             WHERE id = ? AND project_id IS ? AND revoked_at IS NULL",
            new.overlap_until,
            new.digest,
            new.pepper_id,
            new.last4,
            id,
            project_id
        )
        .execute(change.on())
        .await?;
        if done.rows_affected() == 0 {
            change.abandon().await?;
            return Ok(None);
        }
        let row = key(change.on(), ring, id).await?;
        let asked = json!({ "rotated": true, "overlap_until": new.overlap_until });
        let mut event = AuditEvent::about("api_key.updated", id).with("changes_requested", asked);
        event.project_id = project_id.map(str::to_owned);
        change.commit(by, &[event]).await?;
        Ok(row)
    }

    /// Ends a key on a ring. Returns whether there was one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_key(
        &self,
        ring: KeyRing<'_>,
        id: &str,
        by: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        let (now, project_id) = (by.at(), ring.project_id());
        let done = sqlx::query!(
            "UPDATE api_keys SET revoked_at = ?
             WHERE id = ? AND project_id IS ? AND revoked_at IS NULL",
            now,
            id,
            project_id
        )
        .execute(change.on())
        .await?;
        if done.rows_affected() == 0 {
            change.abandon().await?;
            return Ok(false);
        }
        let mut event = AuditEvent::about("api_key.deleted", id);
        event.project_id = project_id.map(str::to_owned);
        change.commit(by, &[event]).await?;
        Ok(true)
    }
}

/// What an edit changed. A person's key may be named after them: only that its name changed is told.
fn key_changed(before: &KeyRow, after: &KeyRow) -> Option<AuditEvent> {
    let kind = "api_key.updated";
    if after.user_id.is_none() || before.name == after.name {
        return changed(kind, &after.id, before, after);
    }
    let name = before.name.clone();
    let event = changed(
        kind,
        &after.id,
        before,
        &KeyRow {
            name,
            ..after.clone()
        },
    );
    let event = event.unwrap_or_else(|| AuditEvent::about(kind, &after.id));
    Some(event.with("changed", "name"))
}

async fn key(
    connection: &mut sqlx::SqliteConnection,
    ring: KeyRing<'_>,
    id: &str,
) -> Result<Option<KeyRow>, StoreError> {
    let project_id = ring.project_id();
    let row = sqlx::query_as!(
        StoredKey,
        r#"SELECT id, kind AS "kind: KeyKind", name, project_id, user_id, service_account_id,
                  pepper_id, digest, last4, scopes, models, limits, guardrail_policy,
                  created_at, last_used_at, expires_at, revoked_at
           FROM api_keys WHERE id = ? AND project_id IS ? AND revoked_at IS NULL"#,
        id,
        project_id
    )
    .fetch_optional(connection)
    .await?;
    row.map(KeyRow::try_from).transpose()
}
