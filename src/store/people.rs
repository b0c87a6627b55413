use serde::Serialize;

use super::edit::changed;
use super::json::{from_json, to_json};
use super::stored_completions::forget_person;
use super::{Cursor, Store, StoreError};
use crate::auth::{OrgRole, ProjectRole};
use crate::limits::LimitSet;
use crate::records::{Actor, AuditEvent};

/// A person, as the administration sees them. `Serialize` is what the audit may see: no person's
/// data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PersonRow {
    #[serde(skip)]
    pub id: String,
    #[serde(skip)]
    pub email: String,
    #[serde(skip)]
    pub name: String,
    pub role: OrgRole,
    pub limits: LimitSet,
    /// Unix seconds, as all that follow. Nothing of theirs works since.
    pub disabled_at: Option<i64>,
    #[serde(skip)]
    pub created_at: i64,
    #[serde(skip)]
    pub second_factor_at: Option<i64>,
    /// When a key of theirs was last used.
    #[serde(skip)]
    pub key_used_at: Option<i64>,
}

/// A project that somebody belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Membership {
    pub project_id: String,
    pub project_name: String,
    pub role: ProjectRole,
}

/// Why a person cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    #[error("there is no such user")]
    Unknown,
    /// Somebody has to be left to manage the server.
    #[error("this is the last active owner of the organization")]
    LastOwner,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for PersonError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

struct StoredPerson {
    id: String,
    email: String,
    name: String,
    role: OrgRole,
    limits: String,
    disabled_at: Option<i64>,
    created_at: i64,
    second_factor_at: Option<i64>,
    key_used_at: Option<i64>,
}

impl TryFrom<StoredPerson> for PersonRow {
    type Error = StoreError;

    fn try_from(person: StoredPerson) -> Result<Self, StoreError> {
        Ok(Self {
            id: person.id,
            email: person.email,
            name: person.name,
            role: person.role,
            limits: from_json(&person.limits, "limits")?,
            disabled_at: person.disabled_at,
            created_at: person.created_at,
            second_factor_at: person.second_factor_at,
            key_used_at: person.key_used_at,
        })
    }
}

impl Store {
    /// The people who were not removed; with `emails`, only those.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn people(
        &self,
        cursor: &Cursor,
        emails: &[String],
    ) -> Result<Vec<PersonRow>, StoreError> {
        let emails = to_json(&emails);
        let rows = sqlx::query_as!(
            StoredPerson,
            r#"SELECT id, email, name, role AS "role: OrgRole", limits, disabled_at, created_at,
                      totp_enabled_at AS second_factor_at,
                      (SELECT max(last_used_at) FROM api_keys k WHERE k.user_id = users.id)
                          AS "key_used_at: i64"
               FROM users
               WHERE erased_at IS NULL
                 AND (?1 IS NULL OR CASE WHEN ?2 THEN id < ?1 ELSE id > ?1 END)
                 AND (?3 = '[]' OR lower(email) IN (SELECT lower(value) FROM json_each(?3)))
               ORDER BY CASE WHEN ?2 THEN id END DESC, id LIMIT ?4"#,
            cursor.after,
            cursor.descending,
            emails,
            cursor.limit
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(PersonRow::try_from).collect()
    }

    /// The person of this id, unless removed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn person(&self, id: &str) -> Result<Option<PersonRow>, StoreError> {
        let mut connection = self.reader.acquire().await?;
        person(&mut connection, id).await
    }

    /// The id of the person with this address, unless removed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn person_id(&self, email: &str) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            "SELECT id FROM users WHERE email = ? AND erased_at IS NULL",
            email
        )
        .fetch_optional(&self.reader)
        .await?)
    }

    /// The unarchived projects of a person.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn memberships(&self, user_id: &str) -> Result<Vec<Membership>, StoreError> {
        Ok(sqlx::query_as!(
            Membership,
            r#"SELECT m.project_id, p.name AS project_name, m.role AS "role: ProjectRole"
               FROM project_members m JOIN projects p ON p.id = m.project_id
               WHERE m.user_id = ? AND p.archived_at IS NULL ORDER BY m.project_id"#,
            user_id
        )
        .fetch_all(&self.reader)
        .await?)
    }

    /// Changes a person's name, role, limits, or whether they are disabled; the rest is not
    /// theirs to edit here. Whoever is disabled is signed out.
    ///
    /// # Errors
    /// [`PersonError`].
    pub async fn edit_person(
        &self,
        id: &str,
        by: &Actor,
        edit: impl FnOnce(&mut PersonRow),
    ) -> Result<PersonRow, PersonError> {
        let mut change = self.change_by(by).await?;
        let Some(before) = person(change.on(), id).await? else {
            change.abandon().await?;
            return Err(PersonError::Unknown);
        };
        let mut after = before.clone();
        edit(&mut after);
        let limits = to_json(&after.limits);
        sqlx::query!(
            "UPDATE users SET name = ?, role = ?, limits = ?, disabled_at = ? WHERE id = ?",
            after.name,
            after.role,
            limits,
            after.disabled_at,
            id
        )
        .execute(change.on())
        .await?;
        let is_demoted = before.role == OrgRole::Owner && after.role != OrgRole::Owner;
        if after.disabled_at.is_some() || is_demoted {
            end_sessions(change.on(), id, None, by.at()).await?;
        }
        if !has_owner(change.on()).await? {
            change.abandon().await?;
            return Err(PersonError::LastOwner);
        }
        let mut event = changed("user.updated", id, &before, &after);
        if event.is_none() && before.name != after.name {
            // The names themselves are a person's data.
            event = Some(AuditEvent::about("user.updated", id).with("changed", "name"));
        }
        match event {
            Some(event) => change.commit(by, &[event]).await?,
            None => change.abandon().await?,
        }
        Ok(after)
    }

    /// Removes a person from the organization: they are signed out, their keys end, what is known
    /// of them goes: address, names, addresses of the network, stored completions. Records keep
    /// their id, and a keyed hash of what an outside issuer calls them keeps them from coming back.
    ///
    /// # Errors
    /// [`PersonError`].
    pub async fn erase_person(
        &self,
        id: &str,
        by: &Actor,
        kind: &'static str,
    ) -> Result<(), PersonError> {
        let mut change = self.change_by(by).await?;
        let Some(PersonRow { email, .. }) = person(change.on(), id).await? else {
            change.abandon().await?;
            return Err(PersonError::Unknown);
        };
        let now = by.at();
        let (gone, nobody) = (format!("erased-{id}@invalid"), "!");
        let subject = sqlx::query_scalar!("SELECT oidc_subject FROM users WHERE id = ?", id)
            .fetch_one(change.on())
            .await?;
        // Else the issuer's next token would let them in again, as somebody new.
        let tombstone = subject.map(|subject| change.tombstone(&subject));
        sqlx::query!(
            "UPDATE invites SET email = ?1, deleted_at = coalesce(deleted_at, ?2)
             WHERE email = ?3",
            gone,
            now,
            email
        )
        .execute(change.on())
        .await?;
        sqlx::query!(
            "UPDATE spend_alerts
             SET recipients = (SELECT json_group_array(value) FROM json_each(recipients)
                               WHERE lower(value) <> lower(?1))
             WHERE EXISTS (SELECT 1 FROM json_each(recipients) WHERE lower(value) = lower(?1))",
            email
        )
        .execute(change.on())
        .await?;
        sqlx::query!(
            "UPDATE users SET email = ?, name = '', password_hash = ?, role = 'reader',
                              totp_nonce = NULL, totp_enabled_at = NULL,
                              totp_last_step = NULL, oidc_subject = ?3,
                              default_project_id = NULL, disabled_at = ?4, erased_at = ?4
             WHERE id = ?5",
            gone,
            nobody,
            tombstone,
            now,
            id
        )
        .execute(change.on())
        .await?;
        if !has_owner(change.on()).await? {
            change.abandon().await?;
            return Err(PersonError::LastOwner);
        }
        end_sessions(change.on(), id, None, now).await?;
        sqlx::query!(
            "UPDATE sessions SET ip = NULL, user_agent = NULL WHERE user_id = ?",
            id
        )
        .execute(change.on())
        .await?;
        sqlx::query!(
            "UPDATE api_keys SET name = '', revoked_at = coalesce(revoked_at, ?) WHERE user_id = ?",
            now,
            id
        )
        .execute(change.on())
        .await?;
        sqlx::query!("DELETE FROM project_members WHERE user_id = ?", id)
            .execute(change.on())
            .await?;
        sqlx::query!("DELETE FROM recovery_codes WHERE user_id = ?", id)
            .execute(change.on())
            .await?;
        forget_person(change.on(), id).await?;
        sqlx::query!("DELETE FROM audit_personal WHERE user_id = ?", id)
            .execute(change.on())
            .await?;
        let mut by = by.clone();
        if by.user_id.as_deref() == Some(id) {
            // Nothing of theirs is to stay, this included.
            (by.ip, by.user_agent) = (None, None);
        }
        change.commit(&by, &[AuditEvent::about(kind, id)]).await?;
        Ok(())
    }
}

async fn person(
    connection: &mut sqlx::SqliteConnection,
    id: &str,
) -> Result<Option<PersonRow>, StoreError> {
    let row = sqlx::query_as!(
        StoredPerson,
        r#"SELECT id, email, name, role AS "role: OrgRole", limits, disabled_at, created_at,
                  totp_enabled_at AS second_factor_at,
                  (SELECT max(last_used_at) FROM api_keys k WHERE k.user_id = users.id)
                      AS "key_used_at: i64"
           FROM users WHERE id = ? AND erased_at IS NULL"#,
        id
    )
    .fetch_optional(connection)
    .await?;
    row.map(PersonRow::try_from).transpose()
}

/// Signs somebody out everywhere but in one session. Returns of how many.
pub(super) async fn end_sessions(
    connection: &mut sqlx::SqliteConnection,
    user_id: &str,
    but: Option<&str>,
    now: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "UPDATE sessions SET ended_at = ?1
         WHERE user_id = ?2 AND id IS NOT ?3 AND ended_at IS NULL AND expires_at > ?1",
        now,
        user_id,
        but
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Whether somebody is left who may manage the organization.
async fn has_owner(connection: &mut sqlx::SqliteConnection) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM users WHERE role = 'owner' AND disabled_at IS NULL)
           AS "exists: bool""#
    )
    .fetch_one(connection)
    .await?)
}
