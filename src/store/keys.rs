use serde::Serialize;

use super::{Store, StoreError};

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
    /// Owner of an admin key.
    pub user_id: Option<String>,
    #[serde(skip)]
    pub pepper_id: String,
    /// HMAC-SHA-256 of the key under that pepper.
    #[serde(skip)]
    pub digest: Vec<u8>,
    /// The key's last four characters, for people to tell keys apart.
    pub last4: String,
    /// Unix seconds, as all that follow.
    pub created_at: i64,
    /// To the minute.
    pub last_used_at: Option<i64>,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

/// What is needed of a key to decide about a request.
#[derive(Debug, Clone)]
pub struct LiveKey {
    pub id: String,
    pub kind: KeyKind,
    pub project_id: Option<String>,
    pub user_id: Option<String>,
    pub digest: Vec<u8>,
    pub last_used_at: Option<i64>,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
    /// When the key's project was archived.
    pub archived_at: Option<i64>,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectRow {
    /// `proj_…`
    pub id: String,
    pub name: String,
    /// Unix seconds.
    pub created_at: i64,
    pub archived_at: Option<i64>,
}

impl Store {
    /// The key of this digest, live or not.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn key_by_digest(&self, digest: &[u8]) -> Result<Option<LiveKey>, StoreError> {
        Ok(sqlx::query_as!(
            LiveKey,
            r#"SELECT k.id, k.kind AS "kind: KeyKind", k.project_id, k.user_id, k.digest,
                      k.last_used_at, k.expires_at, k.revoked_at, p.archived_at
               FROM api_keys k LEFT JOIN projects p ON p.id = k.project_id
               WHERE k.digest = ?"#,
            digest
        )
        .fetch_optional(&self.reader)
        .await?)
    }

    /// # Errors
    /// When the project or the owner is unknown, or the database cannot be written.
    pub async fn insert_key(&self, key: &KeyRow) -> Result<(), StoreError> {
        let mut connection = self.writer.acquire().await?;
        insert_key(&mut connection, key).await
    }

    /// Every key, newest first, without paging: an organization has tens.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        Ok(sqlx::query_as!(
            KeyRow,
            r#"SELECT id, kind AS "kind: KeyKind", name, project_id, user_id, pepper_id, digest,
                      last4, created_at, last_used_at, expires_at, revoked_at
               FROM api_keys ORDER BY created_at DESC, id DESC"#
        )
        .fetch_all(&self.reader)
        .await?)
    }

    /// Ends a key. Returns whether there was a live key of this id.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn revoke_key(&self, id: &str, now: i64) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
            now,
            id
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes that a key was used; never moves back.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn touch_key(&self, id: &str, now: i64) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE api_keys SET last_used_at = ?1 WHERE id = ?2 AND coalesce(last_used_at, 0) < ?1",
            now,
            id
        )
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// The peppers that stored keys were digested with.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn peppers_in_use(&self) -> Result<Vec<String>, StoreError> {
        Ok(
            sqlx::query_scalar!("SELECT DISTINCT pepper_id FROM api_keys WHERE revoked_at IS NULL")
                .fetch_all(&self.reader)
                .await?,
        )
    }

    /// Every project, oldest first; the first is the default one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn projects(&self) -> Result<Vec<ProjectRow>, StoreError> {
        Ok(sqlx::query_as!(
            ProjectRow,
            "SELECT id, name, created_at, archived_at FROM projects ORDER BY created_at, id"
        )
        .fetch_all(&self.reader)
        .await?)
    }
}

pub(super) async fn insert_key(
    connection: &mut sqlx::SqliteConnection,
    key: &KeyRow,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO api_keys (id, kind, name, project_id, user_id, pepper_id, digest, last4,
                               created_at, last_used_at, expires_at, revoked_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        key.id,
        key.kind,
        key.name,
        key.project_id,
        key.user_id,
        key.pepper_id,
        key.digest,
        key.last4,
        key.created_at,
        key.last_used_at,
        key.expires_at,
        key.revoked_at
    )
    .execute(connection)
    .await?;
    Ok(())
}
