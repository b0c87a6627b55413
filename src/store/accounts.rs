//! What people prove themselves with: passwords, second factors, and how they come to have them.

use serde_json::json;

use super::json::{from_json, to_json};
use super::people::end_sessions;
use super::projects::{ProjectRow, add_member, insert_project, project_event, take_member};
use super::sessions::use_proof;
use super::{InvitedProject, SecondProof, Store, StoreError, UserRow};
use crate::auth::{OrgRole, ProjectRole};
use crate::records::{Actor, AuditEvent};

/// What somebody signs in with.
#[derive(Debug, Clone)]
pub struct AccountRow {
    pub user_id: String,
    pub email: String,
    pub name: String,
    pub role: OrgRole,
    pub password_hash: String,
    /// What the second factor's secret is derived from.
    pub totp_nonce: Option<Vec<u8>>,
    /// Whether it is asked for; until then it is only being set up.
    pub has_second_factor: bool,
    pub is_disabled: bool,
}

/// How somebody comes to have an account.
#[derive(Debug, Clone)]
pub enum Admission {
    /// By an invitation of this digest.
    Invite(Vec<u8>),
    /// By themselves, or by somebody at the command line.
    Alone,
    /// By an outside issuer, with what it says of their projects.
    Issuer {
        subject: String,
        projects: Vec<String>,
    },
}

/// What became of a new account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    Done,
    /// There is an account with this address.
    Taken,
    /// The invitation is none, or no longer.
    NotInvited,
    /// Whom the issuer calls so was removed.
    Removed,
}

impl Store {
    /// The account of this address, unless removed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn account(&self, email: &str) -> Result<Option<AccountRow>, StoreError> {
        Ok(sqlx::query_as!(
            AccountRow,
            r#"SELECT id AS user_id, email, name, role AS "role: OrgRole", password_hash,
                      totp_nonce, totp_enabled_at IS NOT NULL AS "has_second_factor!: bool",
                      disabled_at IS NOT NULL AS "is_disabled!: bool"
               FROM users WHERE email = ? AND erased_at IS NULL"#,
            email
        )
        .fetch_optional(&self.reader)
        .await?)
    }

    /// The account of this person, unless removed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn account_of(&self, user_id: &str) -> Result<Option<AccountRow>, StoreError> {
        Ok(sqlx::query_as!(
            AccountRow,
            r#"SELECT id AS user_id, email, name, role AS "role: OrgRole", password_hash,
                      totp_nonce, totp_enabled_at IS NOT NULL AS "has_second_factor!: bool",
                      disabled_at IS NOT NULL AS "is_disabled!: bool"
               FROM users WHERE id = ? AND erased_at IS NULL"#,
            user_id
        )
        .fetch_optional(&self.reader)
        .await?)
    }

    /// The person whom an outside issuer calls so.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn person_of_subject(&self, subject: &str) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            "SELECT id FROM users WHERE oidc_subject = ? AND erased_at IS NULL",
            subject
        )
        .fetch_optional(&self.reader)
        .await?)
    }

    /// What an invitation that is open says: the address and the role.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_invite(
        &self,
        digest: &[u8],
        now: i64,
    ) -> Result<Option<(String, OrgRole)>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT email, role AS "role: OrgRole" FROM invites
               WHERE digest = ? AND accepted_at IS NULL AND deleted_at IS NULL AND expires_at > ?"#,
            digest,
            now
        )
        .fetch_optional(&self.reader)
        .await?;
        Ok(row.map(|row| (row.email, row.role)))
    }

    /// Adds somebody, with what their admission brings along. Whoever would have no project gets
    /// `own_project`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn join(
        &self,
        user: &UserRow,
        name: &str,
        admission: &Admission,
        own_project: Option<&ProjectRow>,
        by: &Actor,
    ) -> Result<Joined, StoreError> {
        let mut change = self.change_by(by).await?;
        let now = by.at();
        let taken = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM users WHERE email = ?) AS "exists: bool""#,
            user.email
        )
        .fetch_one(change.on())
        .await?;
        if taken {
            change.abandon().await?;
            return Ok(Joined::Taken);
        }
        let mut events = vec![
            AuditEvent::about("user.added", &user.id).with("data", json!({ "role": user.role })),
        ];
        let (mut subject, mut projects) = (None, Vec::new());
        match admission {
            Admission::Alone => {}
            Admission::Issuer {
                subject: named,
                projects: ids,
            } => {
                let tombstone = change.tombstone(named);
                let is_removed = sqlx::query_scalar!(
                    r#"SELECT EXISTS (SELECT 1 FROM users WHERE oidc_subject = ?) AS "exists: bool""#,
                    tombstone
                );
                if is_removed.fetch_one(change.on()).await? {
                    change.abandon().await?;
                    return Ok(Joined::Removed);
                }
                subject = Some(named);
                let member = |id: &String| InvitedProject {
                    id: id.clone(),
                    role: ProjectRole::Member,
                };
                projects = ids.iter().map(member).collect();
            }
            Admission::Invite(digest) => {
                let invite = sqlx::query!(
                    "UPDATE invites SET accepted_at = ?1
                     WHERE digest = ?2 AND email = ?3 AND role = ?4 AND accepted_at IS NULL
                       AND deleted_at IS NULL AND expires_at > ?1
                     RETURNING id, projects",
                    now,
                    digest,
                    user.email,
                    user.role
                )
                .fetch_optional(change.on())
                .await?;
                let Some(invite) = invite else {
                    change.abandon().await?;
                    return Ok(Joined::NotInvited);
                };
                projects = from_json(&invite.projects, "invites")?;
                events.push(AuditEvent::about("invite.accepted", &invite.id));
            }
        }
        sqlx::query!(
            "INSERT INTO users (id, email, name, password_hash, role, created_at, oidc_subject)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            user.id,
            user.email,
            name,
            user.password_hash,
            user.role,
            user.created_at,
            subject
        )
        .execute(change.on())
        .await?;
        let mut is_member = false;
        for project in projects {
            let is_there = sqlx::query_scalar!(
                r#"SELECT EXISTS (SELECT 1 FROM projects WHERE id = ? AND archived_at IS NULL)
                   AS "exists: bool""#,
                project.id
            )
            .fetch_one(change.on())
            .await?;
            if is_there {
                let added = add_member(change.on(), &project.id, &user.id, project.role, now);
                events.push(added.await?);
                is_member = true;
            }
        }
        if let Some(project) = own_project.filter(|_| !is_member) {
            insert_project(change.on(), project).await?;
            events.push(project_event(project));
            let owner = ProjectRole::Owner;
            events.push(add_member(change.on(), &project.id, &user.id, owner, now).await?);
        }
        change.commit(by, &events).await?;
        Ok(Joined::Done)
    }

    /// Gives somebody another password, in place of the one of `old` if that is told, and signs
    /// them out everywhere but in the session that is named; `without_second_factor` takes that
    /// away too. Returns whether the old one still was theirs.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_password(
        &self,
        user_id: &str,
        old: Option<&str>,
        hash: &str,
        stay: Option<&str>,
        without_second_factor: bool,
        by: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        let now = by.at();
        let done = sqlx::query!(
            "UPDATE users SET password_hash = ?1, password_changed_at = ?2
             WHERE id = ?3 AND erased_at IS NULL AND (?4 IS NULL OR password_hash = ?4)",
            hash,
            now,
            user_id,
            old
        )
        .execute(change.on())
        .await?;
        if done.rows_affected() == 0 {
            change.abandon().await?;
            return Ok(false);
        }
        let ended = end_sessions(change.on(), user_id, stay, now).await?;
        let changed = json!({ "changed": "password", "sessions_ended": ended });
        let mut events = vec![AuditEvent::about("user.updated", user_id).with("data", changed)];
        if without_second_factor && forget_second_factor(change.on(), user_id).await? {
            events.push(factor_event(user_id, "removed"));
        }
        change.commit(by, &events).await?;
        Ok(true)
    }

    /// Begins to set up a second factor. Returns whether there is none yet.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn begin_second_factor(
        &self,
        user_id: &str,
        nonce: &[u8],
        by: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        let done = sqlx::query!(
            "UPDATE users SET totp_nonce = ?, totp_last_step = NULL
             WHERE id = ? AND totp_enabled_at IS NULL",
            nonce,
            user_id
        )
        .execute(change.on())
        .await?;
        if done.rows_affected() == 0 {
            change.abandon().await?;
            return Ok(false);
        }
        let event = factor_event(user_id, "begun");
        change.commit(by, &[event]).await?;
        Ok(true)
    }

    /// Asks for the second factor from now on: the code of `step` was right. The session counts as
    /// signed in with it. Returns whether one was being set up.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn confirm_second_factor(
        &self,
        user_id: &str,
        session_id: &str,
        step: i64,
        recovery_digests: &[Vec<u8>],
        by: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        let now = by.at();
        let done = sqlx::query!(
            "UPDATE users SET totp_enabled_at = ?1, totp_last_step = ?2
             WHERE id = ?3 AND totp_enabled_at IS NULL AND totp_nonce IS NOT NULL",
            now,
            step,
            user_id
        )
        .execute(change.on())
        .await?;
        if done.rows_affected() == 0 {
            change.abandon().await?;
            return Ok(false);
        }
        // Whoever signed in before did not need it; the others are to show it.
        let ended = end_sessions(change.on(), user_id, Some(session_id), now).await?;
        sqlx::query!(
            "UPDATE sessions SET second_factor = 1 WHERE id = ?",
            session_id
        )
        .execute(change.on())
        .await?;
        replace_recovery_codes(change.on(), user_id, recovery_digests).await?;
        let event = factor_event(user_id, "enabled").with("sessions_ended", ended);
        change.commit(by, &[event]).await?;
        Ok(true)
    }

    /// Replaces the recovery codes, for somebody who has proved themselves. Returns whether they
    /// had.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn renew_recovery_codes(
        &self,
        user_id: &str,
        proof: &SecondProof,
        digests: &[Vec<u8>],
        by: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        if !use_proof(change.on(), user_id, proof, by.at()).await? {
            change.abandon().await?;
            return Ok(false);
        }
        replace_recovery_codes(change.on(), user_id, digests).await?;
        let event = factor_event(user_id, "recovery_codes_renewed");
        change.commit(by, &[event]).await?;
        Ok(true)
    }

    /// Takes the second factor away, for somebody who has proved themselves. Returns whether they
    /// had.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_second_factor(
        &self,
        user_id: &str,
        proof: &SecondProof,
        by: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        if !use_proof(change.on(), user_id, proof, by.at()).await?
            || !forget_second_factor(change.on(), user_id).await?
        {
            change.abandon().await?;
            return Ok(false);
        }
        let event = factor_event(user_id, "removed");
        change.commit(by, &[event]).await?;
        Ok(true)
    }

    /// Gives somebody the role and the projects that their issuer says in a token of `issued_at`
    /// (unix seconds), unless a later one has said otherwise. The last active owner stays one.
    /// Archived and unknown projects are left out.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn sync_person(
        &self,
        user_id: &str,
        issued_at: i64,
        role: Option<OrgRole>,
        projects: Option<&[String]>,
        by: &Actor,
    ) -> Result<(), StoreError> {
        let mut change = self.change_by(by).await?;
        let now = by.at();
        let done = sqlx::query!(
            "UPDATE users SET oidc_issued_at = ?1
             WHERE id = ?2 AND coalesce(oidc_issued_at, 0) <= ?1",
            issued_at,
            user_id
        )
        .execute(change.on())
        .await?;
        if done.rows_affected() == 0 {
            return change.abandon().await;
        }
        let mut events = Vec::new();
        if let Some(role) = role {
            let done = sqlx::query!(
                "UPDATE users SET role = ?1 WHERE id = ?2 AND role <> ?1
                 AND (?1 = 'owner' OR EXISTS (SELECT 1 FROM users WHERE role = 'owner'
                      AND disabled_at IS NULL AND id <> ?2))",
                role,
                user_id
            )
            .execute(change.on())
            .await?;
            if done.rows_affected() == 1 {
                let asked = json!({ "role": role });
                let event = AuditEvent::about("user.updated", user_id);
                events.push(event.with("changes_requested", asked));
            }
        }
        if let Some(projects) = projects {
            let wanted = to_json(&projects);
            let left = sqlx::query_scalar!(
                "SELECT project_id FROM project_members
                 WHERE user_id = ? AND project_id NOT IN (SELECT value FROM json_each(?))",
                user_id,
                wanted
            )
            .fetch_all(change.on())
            .await?;
            for project in left {
                events.extend(take_member(change.on(), &project, user_id, now).await?);
            }
            let missing = sqlx::query_scalar!(
                "SELECT id FROM projects
                 WHERE id IN (SELECT value FROM json_each(?)) AND archived_at IS NULL
                   AND id NOT IN (SELECT project_id FROM project_members WHERE user_id = ?)",
                wanted,
                user_id
            )
            .fetch_all(change.on())
            .await?;
            for project in missing {
                let member = ProjectRole::Member;
                events.push(add_member(change.on(), &project, user_id, member, now).await?);
            }
        }
        if events.is_empty() {
            return change.abandon().await;
        }
        change.commit(by, &events).await
    }
}

fn factor_event(user_id: &str, what: &str) -> AuditEvent {
    AuditEvent::about("user.updated", user_id).with("data", json!({ "second_factor": what }))
}

async fn forget_second_factor(
    connection: &mut sqlx::SqliteConnection,
    user_id: &str,
) -> Result<bool, StoreError> {
    sqlx::query!("DELETE FROM recovery_codes WHERE user_id = ?", user_id)
        .execute(&mut *connection)
        .await?;
    // Who has none now is not signed in with one.
    sqlx::query!(
        "UPDATE sessions SET second_factor = 0 WHERE user_id = ?",
        user_id
    )
    .execute(&mut *connection)
    .await?;
    let done = sqlx::query!(
        "UPDATE users SET totp_nonce = NULL, totp_enabled_at = NULL, totp_last_step = NULL
         WHERE id = ? AND totp_nonce IS NOT NULL",
        user_id
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn replace_recovery_codes(
    connection: &mut sqlx::SqliteConnection,
    user_id: &str,
    digests: &[Vec<u8>],
) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM recovery_codes WHERE user_id = ?", user_id)
        .execute(&mut *connection)
        .await?;
    for digest in digests {
        sqlx::query!(
            "INSERT INTO recovery_codes (user_id, digest) VALUES (?, ?)",
            user_id,
            digest
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
