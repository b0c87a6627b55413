use serde::Serialize;
use serde_json::json;

use super::edit::changed;
use super::json::{from_json, to_json};
use super::{Store, StoreError};
use crate::auth::ModelMode;
use crate::limits::LimitSet;
use crate::records::{Actor, AuditEvent};

/// What holds for everybody. `Serialize` is what the audit says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrganizationRow {
    pub limits: LimitSet,
    /// OpenAI's name of the retention.
    pub data_retention: String,
    /// Days that usage rows are kept; none: for ever.
    pub usage_days: Option<i64>,
    /// Days that stored completions are kept; none: until they are deleted.
    pub stored_days: Option<i64>,
}

/// A project's limits of one model; none where the configured ones hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RateLimitRow {
    #[serde(skip)]
    pub model: String,
    pub requests_per_minute: Option<i64>,
    pub tokens_per_minute: Option<i64>,
    pub requests_per_day: Option<i64>,
}

/// A project's list of models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelPermissionsRow {
    pub mode: ModelMode,
    pub model_ids: Vec<String>,
}

impl Store {
    /// What holds for everybody.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn organization(&self) -> Result<OrganizationRow, StoreError> {
        let mut connection = self.reader.acquire().await?;
        organization(&mut connection).await
    }

    /// Changes what holds for everybody.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn edit_organization(
        &self,
        by: &Actor,
        edit: impl FnOnce(&mut OrganizationRow),
    ) -> Result<OrganizationRow, StoreError> {
        let mut change = self.change_by(by).await?;
        let before = organization(change.on()).await?;
        let mut after = before.clone();
        edit(&mut after);
        let limits = to_json(&after.limits);
        sqlx::query!(
            "UPDATE organization SET limits = ?, data_retention = ?, usage_days = ?, stored_days = ?",
            limits,
            after.data_retention,
            after.usage_days,
            after.stored_days
        )
        .execute(change.on())
        .await?;
        match changed("organization.updated", "org", &before, &after) {
            Some(event) => change.commit(by, &[event]).await?,
            None => change.abandon().await?,
        }
        Ok(after)
    }

    /// Notes what the server is configured to do, and tells the audit when that is not what it was
    /// at the last start.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn note_configuration(
        &self,
        configuration: &impl Serialize,
        by: &Actor,
    ) -> Result<(), StoreError> {
        let mut change = self.change_by(by).await?;
        let stored = sqlx::query_scalar!("SELECT configuration FROM organization")
            .fetch_one(change.on())
            .await?;
        let before: serde_json::Value = match &stored {
            Some(text) => from_json(text, "configuration")?,
            None => json!({}),
        };
        let after = json!(configuration);
        let Some(event) = changed("configuration.updated", "configuration", &before, &after) else {
            return change.abandon().await;
        };
        let text = after.to_string();
        sqlx::query!("UPDATE organization SET configuration = ?", text)
            .execute(change.on())
            .await?;
        change.commit(by, &[event]).await
    }

    /// The limits by model that differ from the configured ones.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn rate_limits(&self, project_id: &str) -> Result<Vec<RateLimitRow>, StoreError> {
        Ok(sqlx::query_as!(
            RateLimitRow,
            "SELECT model, requests_per_minute, tokens_per_minute, requests_per_day
             FROM rate_limits WHERE project_id = ? ORDER BY model",
            project_id
        )
        .fetch_all(&self.reader)
        .await?)
    }

    /// A project's limits of one model, where they differ from the configured ones.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn rate_limit(
        &self,
        project_id: &str,
        model: &str,
    ) -> Result<Option<RateLimitRow>, StoreError> {
        let mut connection = self.reader.acquire().await?;
        rate_limit(&mut connection, project_id, model).await
    }

    /// Sets a project's limits of one model.
    ///
    /// # Errors
    /// When the project is unknown or the database cannot be written.
    pub async fn set_rate_limit(
        &self,
        project_id: &str,
        row: &RateLimitRow,
        by: &Actor,
    ) -> Result<(), StoreError> {
        let mut change = self.change_by(by).await?;
        let before = rate_limit(change.on(), project_id, &row.model).await?;
        sqlx::query!(
            "INSERT INTO rate_limits (project_id, model, requests_per_minute, tokens_per_minute,
                                      requests_per_day)
             VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (project_id, model) DO UPDATE SET
                 requests_per_minute = excluded.requests_per_minute,
                 tokens_per_minute = excluded.tokens_per_minute,
                 requests_per_day = excluded.requests_per_day",
            project_id,
            row.model,
            row.requests_per_minute,
            row.tokens_per_minute,
            row.requests_per_day
        )
        .execute(change.on())
        .await?;
        let event = AuditEvent::about("rate_limit.updated", &format!("rl-{}", row.model))
            .in_project(project_id)
            .with("changes_requested", json!(row))
            .with("before", json!(before));
        change.commit(by, &[event]).await
    }

    /// Lets a project have the configured limits of a model again. Returns whether it had others.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_rate_limit(
        &self,
        project_id: &str,
        model: &str,
        by: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        let Some(before) = rate_limit(change.on(), project_id, model).await? else {
            change.abandon().await?;
            return Ok(false);
        };
        sqlx::query!(
            "DELETE FROM rate_limits WHERE project_id = ? AND model = ?",
            project_id,
            model
        )
        .execute(change.on())
        .await?;
        let event = AuditEvent::about("rate_limit.deleted", &format!("rl-{model}"))
            .in_project(project_id)
            .with("before", json!(before));
        change.commit(by, &[event]).await?;
        Ok(true)
    }

    /// A project's list of models, if it has one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn model_permissions(
        &self,
        project_id: &str,
    ) -> Result<Option<ModelPermissionsRow>, StoreError> {
        let mut connection = self.reader.acquire().await?;
        model_permissions(&mut connection, project_id).await
    }

    /// Sets a project's list of models, or with none removes it.
    ///
    /// # Errors
    /// When the project is unknown or the database cannot be written.
    pub async fn set_model_permissions(
        &self,
        project_id: &str,
        row: Option<&ModelPermissionsRow>,
        by: &Actor,
    ) -> Result<(), StoreError> {
        let mut change = self.change_by(by).await?;
        let before = model_permissions(change.on(), project_id).await?;
        sqlx::query!(
            "DELETE FROM model_permissions WHERE project_id = ?",
            project_id
        )
        .execute(change.on())
        .await?;
        if let Some(row) = row {
            let model_ids = to_json(&row.model_ids);
            sqlx::query!(
                "INSERT INTO model_permissions (project_id, mode, model_ids) VALUES (?, ?, ?)",
                project_id,
                row.mode,
                model_ids
            )
            .execute(change.on())
            .await?;
        }
        let event = AuditEvent::about("project.updated", project_id)
            .in_project(project_id)
            .with("changes_requested", json!({ "model_permissions": row }))
            .with("before", json!({ "model_permissions": before }));
        change.commit(by, &[event]).await
    }
}

async fn organization(
    connection: &mut sqlx::SqliteConnection,
) -> Result<OrganizationRow, StoreError> {
    let row =
        sqlx::query!("SELECT limits, data_retention, usage_days, stored_days FROM organization")
            .fetch_one(connection)
            .await?;
    Ok(OrganizationRow {
        limits: from_json(&row.limits, "limits")?,
        data_retention: row.data_retention,
        usage_days: row.usage_days,
        stored_days: row.stored_days,
    })
}

async fn rate_limit(
    connection: &mut sqlx::SqliteConnection,
    project_id: &str,
    model: &str,
) -> Result<Option<RateLimitRow>, StoreError> {
    Ok(sqlx::query_as!(
        RateLimitRow,
        "SELECT model, requests_per_minute, tokens_per_minute, requests_per_day
         FROM rate_limits WHERE project_id = ? AND model = ?",
        project_id,
        model
    )
    .fetch_optional(connection)
    .await?)
}

async fn model_permissions(
    connection: &mut sqlx::SqliteConnection,
    project_id: &str,
) -> Result<Option<ModelPermissionsRow>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT mode AS "mode: ModelMode", model_ids FROM model_permissions
           WHERE project_id = ?"#,
        project_id
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(ModelPermissionsRow {
            mode: row.mode,
            model_ids: from_json(&row.model_ids, "model_ids")?,
        })
    })
    .transpose()
}
