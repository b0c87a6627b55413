use super::keys::insert_key;
use super::{KeyRow, ProjectRow, Store, StoreError};

/// A person who manages the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// `user-…`
    pub id: String,
    /// Unique, whatever its case.
    pub email: String,
    /// Argon2id in PHC form.
    pub password_hash: String,
    /// OpenAI's `owner` or `reader`.
    pub role: String,
    /// Unix seconds.
    pub created_at: i64,
}

/// What a new server begins with.
#[derive(Debug, Clone)]
pub struct FirstRows {
    pub administrator: UserRow,
    pub project: ProjectRow,
    pub keys: Vec<KeyRow>,
}

impl Store {
    /// Whether the first start has happened: there is somebody to manage the server.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn is_set_up(&self) -> Result<bool, StoreError> {
        Ok(self.first_user().await?.is_some())
    }

    /// The oldest user, who is the administrator of the first start.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn first_user(&self) -> Result<Option<UserRow>, StoreError> {
        Ok(sqlx::query_as!(
            UserRow,
            "SELECT id, email, password_hash, role, created_at
             FROM users ORDER BY created_at, id LIMIT 1"
        )
        .fetch_optional(&self.reader)
        .await?)
    }

    /// Writes the first rows, all or none. Returns `false`, and writes nothing, when somebody
    /// else was faster.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_up(&self, first: &FirstRows) -> Result<bool, StoreError> {
        let mut writing = self.writing().await?;
        let mut tx = writing.begin().await?;
        let exists =
            sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM users) AS "exists: bool""#)
                .fetch_one(&mut *tx)
                .await?;
        if exists {
            return Ok(false);
        }
        let user = &first.administrator;
        sqlx::query!(
            "INSERT INTO users (id, email, password_hash, role, created_at) VALUES (?, ?, ?, ?, ?)",
            user.id,
            user.email,
            user.password_hash,
            user.role,
            user.created_at
        )
        .execute(&mut *tx)
        .await?;
        let project = &first.project;
        sqlx::query!(
            "INSERT INTO projects (id, name, created_at, archived_at) VALUES (?, ?, ?, ?)",
            project.id,
            project.name,
            project.created_at,
            project.archived_at
        )
        .execute(&mut *tx)
        .await?;
        for key in &first.keys {
            insert_key(&mut tx, key).await?;
        }
        tx.commit().await?;
        writing.done();
        Ok(true)
    }
}
