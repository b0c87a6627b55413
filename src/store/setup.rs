use super::keys::{insert_key, key_event};
use super::projects::{insert_project, project_event};
use super::{KeyRow, ProjectRow, Store, StoreError};
use crate::auth::OrgRole;
use crate::records::{Actor, AuditEvent};

/// A person who manages the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// `user-…`
    pub id: String,
    /// Unique, whatever its case.
    pub email: String,
    /// Argon2id in PHC form.
    pub password_hash: String,
    pub role: OrgRole,
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
            r#"SELECT id, email, password_hash, role AS "role: OrgRole", created_at
               FROM users ORDER BY created_at, id LIMIT 1"#
        )
        .fetch_optional(&self.reader)
        .await?)
    }

    /// Writes the first rows, all or none. Returns `false`, and writes nothing, when somebody
    /// else was faster.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_up(&self, first: &FirstRows, by: &Actor) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        let exists =
            sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM users) AS "exists: bool""#)
                .fetch_one(change.on())
                .await?;
        if exists {
            change.abandon().await?;
            return Ok(false);
        }
        let (user, project) = (&first.administrator, &first.project);
        insert_project(change.on(), project).await?;
        sqlx::query!(
            "INSERT INTO users (id, email, password_hash, role, created_at, default_project_id)
             VALUES (?, ?, ?, ?, ?, ?)",
            user.id,
            user.email,
            user.password_hash,
            user.role,
            user.created_at,
            project.id
        )
        .execute(change.on())
        .await?;
        sqlx::query!(
            "INSERT INTO project_members (project_id, user_id, role, added_at)
             VALUES (?, ?, 'owner', ?)",
            project.id,
            user.id,
            user.created_at
        )
        .execute(change.on())
        .await?;
        let mut events = vec![
            project_event(project),
            AuditEvent::about("user.added", &user.id)
                .with("data", serde_json::json!({ "role": user.role })),
        ];
        for key in &first.keys {
            insert_key(change.on(), key).await?;
            events.push(key_event("api_key.created", key));
        }
        change.commit(by, &events).await?;
        Ok(true)
    }
}
