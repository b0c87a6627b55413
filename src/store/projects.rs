use serde::Serialize;
use serde_json::json;

use super::edit::changed;
use super::json::{from_json, to_json};
use super::{Cursor, Store, StoreError};
use crate::auth::ProjectRole;
use crate::limits::LimitSet;
use crate::records::{Actor, AuditEvent};

/// A project. `Serialize` is what the audit says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectRow {
    /// `proj_…`
    #[serde(skip)]
    pub id: String,
    pub name: String,
    pub limits: LimitSet,
    pub guardrail_policy: Option<String>,
    /// OpenAI's name of the retention.
    pub data_retention: String,
    /// Unix seconds.
    #[serde(skip)]
    pub created_at: i64,
    #[serde(skip)]
    pub archived_at: Option<i64>,
}

/// Somebody in a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    pub id: String,
    pub email: String,
    pub name: String,
    pub role: ProjectRole,
    /// Unix seconds.
    pub added_at: i64,
}

struct StoredProject {
    id: String,
    name: String,
    limits: String,
    guardrail_policy: Option<String>,
    data_retention: String,
    created_at: i64,
    archived_at: Option<i64>,
}

impl TryFrom<StoredProject> for ProjectRow {
    type Error = StoreError;

    fn try_from(project: StoredProject) -> Result<Self, StoreError> {
        Ok(Self {
            id: project.id,
            name: project.name,
            limits: from_json(&project.limits, "limits")?,
            guardrail_policy: project.guardrail_policy,
            data_retention: project.data_retention,
            created_at: project.created_at,
            archived_at: project.archived_at,
        })
    }
}

impl Store {
    /// The projects; with `only`, no others than those.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn projects(
        &self,
        cursor: &Cursor,
        archived: bool,
        only: Option<&[String]>,
    ) -> Result<Vec<ProjectRow>, StoreError> {
        let only = only.map(|ids| to_json(&ids));
        let rows = sqlx::query_as!(
            StoredProject,
            r#"SELECT id, name, limits, guardrail_policy, data_retention, created_at, archived_at
               FROM projects
               WHERE (?1 OR archived_at IS NULL)
                 AND (?2 IS NULL OR CASE WHEN ?3 THEN id < ?2 ELSE id > ?2 END)
                 AND (?4 IS NULL OR id IN (SELECT value FROM json_each(?4)))
               ORDER BY CASE WHEN ?3 THEN id END DESC, id LIMIT ?5"#,
            archived,
            cursor.after,
            cursor.descending,
            only,
            cursor.limit
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(ProjectRow::try_from).collect()
    }

    /// The oldest project, which is the default one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn first_project(&self) -> Result<Option<ProjectRow>, StoreError> {
        let first = Cursor {
            limit: 1,
            ..Cursor::default()
        };
        Ok(self.projects(&first, false, None).await?.pop())
    }

    /// The project of this id, archived or not.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn project(&self, id: &str) -> Result<Option<ProjectRow>, StoreError> {
        let mut connection = self.reader.acquire().await?;
        project(&mut connection, id).await
    }

    /// Stores a new project.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn insert_project(&self, row: &ProjectRow, by: &Actor) -> Result<(), StoreError> {
        let mut change = self.change_by(by).await?;
        insert_project(change.on(), row).await?;
        change.commit(by, &[project_event(row)]).await
    }

    /// Changes a project that is not archived; none when there is no such project.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn edit_project(
        &self,
        id: &str,
        by: &Actor,
        edit: impl FnOnce(&mut ProjectRow),
    ) -> Result<Option<ProjectRow>, StoreError> {
        let mut change = self.change_by(by).await?;
        let before = project(change.on(), id).await?;
        let Some(before) = before.filter(|p| p.archived_at.is_none()) else {
            change.abandon().await?;
            return Ok(None);
        };
        let mut after = before.clone();
        edit(&mut after);
        let limits = to_json(&after.limits);
        sqlx::query!(
            "UPDATE projects SET name = ?, limits = ?, guardrail_policy = ?, data_retention = ?
             WHERE id = ?",
            after.name,
            limits,
            after.guardrail_policy,
            after.data_retention,
            id
        )
        .execute(change.on())
        .await?;
        match changed("project.updated", id, &before, &after) {
            Some(event) => change.commit(by, &[event.in_project(id)]).await?,
            None => change.abandon().await?,
        }
        Ok(Some(after))
    }

    /// Archives a project: nothing in it works any more. None when there is no such project; one
    /// that was archived before stays as it is.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn archive_project(
        &self,
        id: &str,
        by: &Actor,
    ) -> Result<Option<ProjectRow>, StoreError> {
        let mut change = self.change_by(by).await?;
        let Some(mut row) = project(change.on(), id).await? else {
            change.abandon().await?;
            return Ok(None);
        };
        if row.archived_at.is_some() {
            change.abandon().await?;
            return Ok(Some(row));
        }
        row.archived_at = Some(by.at());
        sqlx::query!(
            "UPDATE projects SET archived_at = ? WHERE id = ?",
            row.archived_at,
            id
        )
        .execute(change.on())
        .await?;
        let event = AuditEvent::about("project.archived", id).in_project(id);
        change.commit(by, &[event]).await?;
        Ok(Some(row))
    }

    /// Who belongs to a project.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn members(
        &self,
        project_id: &str,
        cursor: &Cursor,
    ) -> Result<Vec<MemberRow>, StoreError> {
        Ok(sqlx::query_as!(
            MemberRow,
            r#"SELECT u.id, u.email, u.name, m.role AS "role: ProjectRole", m.added_at
               FROM project_members m JOIN users u ON u.id = m.user_id
               WHERE m.project_id = ?1 AND u.erased_at IS NULL
                 AND (?2 IS NULL OR CASE WHEN ?3 THEN u.id < ?2 ELSE u.id > ?2 END)
               ORDER BY CASE WHEN ?3 THEN u.id END DESC, u.id LIMIT ?4"#,
            project_id,
            cursor.after,
            cursor.descending,
            cursor.limit
        )
        .fetch_all(&self.reader)
        .await?)
    }

    /// Somebody in a project.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn member(
        &self,
        project_id: &str,
        user_id: &str,
    ) -> Result<Option<MemberRow>, StoreError> {
        Ok(sqlx::query_as!(
            MemberRow,
            r#"SELECT u.id, u.email, u.name, m.role AS "role: ProjectRole", m.added_at
               FROM project_members m JOIN users u ON u.id = m.user_id
               WHERE m.project_id = ? AND u.id = ? AND u.erased_at IS NULL"#,
            project_id,
            user_id
        )
        .fetch_optional(&self.reader)
        .await?)
    }

    /// Puts somebody into a project, or changes their role there.
    ///
    /// # Errors
    /// When the person or the project is unknown, or the database cannot be written.
    pub async fn set_member(
        &self,
        project_id: &str,
        user_id: &str,
        role: ProjectRole,
        by: &Actor,
    ) -> Result<(), StoreError> {
        let mut change = self.change_by(by).await?;
        let event = add_member(change.on(), project_id, user_id, role, by.at()).await?;
        change.commit(by, &[event]).await
    }

    /// Takes somebody out of a project; their keys in it end. Returns whether they were in it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_member(
        &self,
        project_id: &str,
        user_id: &str,
        by: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        match take_member(change.on(), project_id, user_id, by.at()).await? {
            Some(event) => {
                change.commit(by, &[event]).await?;
                Ok(true)
            }
            None => {
                change.abandon().await?;
                Ok(false)
            }
        }
    }
}

async fn project(
    connection: &mut sqlx::SqliteConnection,
    id: &str,
) -> Result<Option<ProjectRow>, StoreError> {
    let row = sqlx::query_as!(
        StoredProject,
        r#"SELECT id, name, limits, guardrail_policy, data_retention, created_at, archived_at
           FROM projects WHERE id = ?"#,
        id
    )
    .fetch_optional(connection)
    .await?;
    row.map(ProjectRow::try_from).transpose()
}

/// What the audit says of a new project.
pub(super) fn project_event(row: &ProjectRow) -> AuditEvent {
    AuditEvent::about("project.created", &row.id)
        .in_project(&row.id)
        .with(
            "data",
            json!({ "name": row.name, "title": row.name, "limits": row.limits }),
        )
}

pub(super) async fn insert_project(
    connection: &mut sqlx::SqliteConnection,
    row: &ProjectRow,
) -> Result<(), StoreError> {
    let limits = to_json(&row.limits);
    sqlx::query!(
        "INSERT INTO projects (id, name, limits, guardrail_policy, data_retention, created_at,
                               archived_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        row.id,
        row.name,
        limits,
        row.guardrail_policy,
        row.data_retention,
        row.created_at,
        row.archived_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts somebody into a project, or changes their role there.
pub(super) async fn add_member(
    connection: &mut sqlx::SqliteConnection,
    project_id: &str,
    user_id: &str,
    role: ProjectRole,
    now: i64,
) -> Result<AuditEvent, StoreError> {
    let before = sqlx::query_scalar!(
        r#"SELECT role AS "role: ProjectRole" FROM project_members
           WHERE project_id = ? AND user_id = ?"#,
        project_id,
        user_id
    )
    .fetch_optional(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO project_members (project_id, user_id, role, added_at) VALUES (?, ?, ?, ?)
         ON CONFLICT (project_id, user_id) DO UPDATE SET role = excluded.role",
        project_id,
        user_id,
        role,
        now
    )
    .execute(connection)
    .await?;
    Ok(AuditEvent::about("role.assignment.created", user_id)
        .in_project(project_id)
        .with("data", json!({ "role": role }))
        .with("before", json!(before.map(|role| json!({ "role": role })))))
}

/// Takes somebody out of a project; their keys in it end. None when they were not in it.
pub(super) async fn take_member(
    connection: &mut sqlx::SqliteConnection,
    project_id: &str,
    user_id: &str,
    now: i64,
) -> Result<Option<AuditEvent>, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM project_members WHERE project_id = ? AND user_id = ?",
        project_id,
        user_id
    )
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    sqlx::query!(
        "UPDATE api_keys SET revoked_at = ?
         WHERE project_id = ? AND user_id = ? AND revoked_at IS NULL",
        now,
        project_id,
        user_id
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE users SET default_project_id = NULL WHERE id = ? AND default_project_id = ?",
        user_id,
        project_id
    )
    .execute(connection)
    .await?;
    let event = AuditEvent::about("role.assignment.deleted", user_id).in_project(project_id);
    Ok(Some(event))
}
