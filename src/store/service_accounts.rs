use serde::Serialize;
use serde_json::json;

use super::edit::changed;
use super::keys::{insert_key, key_event};
use super::{Cursor, KeyRow, Store, StoreError};
use crate::records::{Actor, AuditEvent};

/// A program that uses a project. `Serialize` is what the audit says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceAccountRow {
    /// `svc_acct_…`
    #[serde(skip)]
    pub id: String,
    #[serde(skip)]
    pub project_id: String,
    pub name: String,
    pub role: ServiceRole,
    /// Unix seconds.
    #[serde(skip)]
    pub created_at: i64,
}

/// OpenAI's roles of service accounts. All may use models and nothing else.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, sqlx::Type, poem_openapi::Enum,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
#[oai(rename = "ServiceAccountRole", rename_all = "snake_case")]
pub enum ServiceRole {
    Owner,
    Member,
    None,
}

impl Store {
    /// Stores a service account, with its first key if it gets one.
    ///
    /// # Errors
    /// When the project is unknown or the database cannot be written.
    pub async fn insert_service_account(
        &self,
        row: &ServiceAccountRow,
        key: Option<&KeyRow>,
        by: &Actor,
    ) -> Result<(), StoreError> {
        let mut change = self.change_by(by).await?;
        sqlx::query!(
            "INSERT INTO service_accounts (id, project_id, name, role, created_at)
             VALUES (?, ?, ?, ?, ?)",
            row.id,
            row.project_id,
            row.name,
            row.role,
            row.created_at
        )
        .execute(change.on())
        .await?;
        let mut events = vec![
            AuditEvent::about("service_account.created", &row.id)
                .in_project(&row.project_id)
                .with("data", json!(row)),
        ];
        if let Some(key) = key {
            insert_key(change.on(), key).await?;
            events.push(key_event("api_key.created", key));
        }
        change.commit(by, &events).await
    }

    /// The service accounts of a project.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn service_accounts(
        &self,
        project_id: &str,
        cursor: &Cursor,
    ) -> Result<Vec<ServiceAccountRow>, StoreError> {
        Ok(sqlx::query_as!(
            ServiceAccountRow,
            r#"SELECT id, project_id, name, role AS "role: ServiceRole", created_at
               FROM service_accounts
               WHERE project_id = ?1 AND deleted_at IS NULL
                 AND (?2 IS NULL OR CASE WHEN ?3 THEN id < ?2 ELSE id > ?2 END)
               ORDER BY CASE WHEN ?3 THEN id END DESC, id LIMIT ?4"#,
            project_id,
            cursor.after,
            cursor.descending,
            cursor.limit
        )
        .fetch_all(&self.reader)
        .await?)
    }

    /// A service account of a project.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn service_account(
        &self,
        project_id: &str,
        id: &str,
    ) -> Result<Option<ServiceAccountRow>, StoreError> {
        let mut connection = self.reader.acquire().await?;
        service_account(&mut connection, project_id, id).await
    }

    /// Changes a service account; none when there is no such one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn edit_service_account(
        &self,
        project_id: &str,
        id: &str,
        by: &Actor,
        edit: impl FnOnce(&mut ServiceAccountRow),
    ) -> Result<Option<ServiceAccountRow>, StoreError> {
        let mut change = self.change_by(by).await?;
        let Some(before) = service_account(change.on(), project_id, id).await? else {
            change.abandon().await?;
            return Ok(None);
        };
        let mut after = before.clone();
        edit(&mut after);
        sqlx::query!(
            "UPDATE service_accounts SET name = ?, role = ? WHERE id = ? AND project_id = ?",
            after.name,
            after.role,
            id,
            project_id
        )
        .execute(change.on())
        .await?;
        match changed("service_account.updated", id, &before, &after) {
            Some(event) => change.commit(by, &[event.in_project(project_id)]).await?,
            None => change.abandon().await?,
        }
        Ok(Some(after))
    }

    /// Ends a service account and its keys. Returns whether there was one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_service_account(
        &self,
        project_id: &str,
        id: &str,
        by: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        let now = by.at();
        let done = sqlx::query!(
            "UPDATE service_accounts SET deleted_at = ?
             WHERE id = ? AND project_id = ? AND deleted_at IS NULL",
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
        sqlx::query!(
            "UPDATE api_keys SET revoked_at = ?
             WHERE service_account_id = ? AND project_id = ? AND revoked_at IS NULL",
            now,
            id,
            project_id
        )
        .execute(change.on())
        .await?;
        let event = AuditEvent::about("service_account.deleted", id).in_project(project_id);
        change.commit(by, &[event]).await?;
        Ok(true)
    }
}

async fn service_account(
    connection: &mut sqlx::SqliteConnection,
    project_id: &str,
    id: &str,
) -> Result<Option<ServiceAccountRow>, StoreError> {
    Ok(sqlx::query_as!(
        ServiceAccountRow,
        r#"SELECT id, project_id, name, role AS "role: ServiceRole", created_at
           FROM service_accounts WHERE id = ? AND project_id = ? AND deleted_at IS NULL"#,
        id,
        project_id
    )
    .fetch_optional(connection)
    .await?)
}
