use serde::{Deserialize, Serialize};
use serde_json::json;

use super::json::{from_json, to_json};
use super::{Cursor, Store, StoreError};
use crate::auth::{OrgRole, ProjectRole};
use crate::records::{Actor, AuditEvent};

/// A project that an invitation brings along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitedProject {
    pub id: String,
    pub role: ProjectRole,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRow {
    /// `invite-…`
    pub id: String,
    pub email: String,
    pub role: OrgRole,
    pub projects: Vec<InvitedProject>,
    /// Unix seconds, as all that follow.
    pub created_at: i64,
    pub expires_at: i64,
    pub accepted_at: Option<i64>,
}

pub(super) struct StoredInvite {
    pub id: String,
    pub email: String,
    pub role: OrgRole,
    pub projects: String,
    pub created_at: i64,
    pub expires_at: i64,
    pub accepted_at: Option<i64>,
}

impl TryFrom<StoredInvite> for InviteRow {
    type Error = StoreError;

    fn try_from(invite: StoredInvite) -> Result<Self, StoreError> {
        Ok(Self {
            id: invite.id,
            email: invite.email,
            role: invite.role,
            projects: from_json(&invite.projects, "invites")?,
            created_at: invite.created_at,
            expires_at: invite.expires_at,
            accepted_at: invite.accepted_at,
        })
    }
}

impl Store {
    /// Stores an invitation; `digest` is of the token that was handed out.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn insert_invite(
        &self,
        invite: &InviteRow,
        digest: &[u8],
        by: &Actor,
    ) -> Result<(), StoreError> {
        let mut change = self.change_by(by).await?;
        let projects = to_json(&invite.projects);
        sqlx::query!(
            "INSERT INTO invites (id, email, role, projects, digest, created_at, expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            invite.id,
            invite.email,
            invite.role,
            projects,
            digest,
            invite.created_at,
            invite.expires_at
        )
        .execute(change.on())
        .await?;
        let data = json!({ "role": invite.role, "projects": invite.projects });
        let event = AuditEvent::about("invite.sent", &invite.id).with("data", data);
        change.commit(by, &[event]).await
    }

    /// The invitations that were not taken back.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn invites(&self, cursor: &Cursor) -> Result<Vec<InviteRow>, StoreError> {
        let rows = sqlx::query_as!(
            StoredInvite,
            r#"SELECT id, email, role AS "role: OrgRole", projects, created_at, expires_at,
                      accepted_at
               FROM invites
               WHERE deleted_at IS NULL
                 AND (?1 IS NULL OR CASE WHEN ?2 THEN id < ?1 ELSE id > ?1 END)
               ORDER BY CASE WHEN ?2 THEN id END DESC, id LIMIT ?3"#,
            cursor.after,
            cursor.descending,
            cursor.limit
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(InviteRow::try_from).collect()
    }

    /// The invitation of this id, unless taken back.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn invite(&self, id: &str) -> Result<Option<InviteRow>, StoreError> {
        let row = sqlx::query_as!(
            StoredInvite,
            r#"SELECT id, email, role AS "role: OrgRole", projects, created_at, expires_at,
                      accepted_at
               FROM invites WHERE id = ? AND deleted_at IS NULL"#,
            id
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(InviteRow::try_from).transpose()
    }

    /// Takes an invitation back. Returns whether there was one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_invite(&self, id: &str, by: &Actor) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        let now = by.at();
        let done = sqlx::query!(
            "UPDATE invites SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL",
            now,
            id
        )
        .execute(change.on())
        .await?;
        if done.rows_affected() == 0 {
            change.abandon().await?;
            return Ok(false);
        }
        let event = AuditEvent::about("invite.deleted", id);
        change.commit(by, &[event]).await?;
        Ok(true)
    }
}
