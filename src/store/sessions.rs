use std::collections::HashMap;

use serde_json::json;

use super::json::{from_json, optional_json};
use super::people::end_sessions;
use super::{Store, StoreError};
use crate::auth::{ModelMode, ModelPermissions, OrgRole, ProjectRole};
use crate::limits::LimitSet;
use crate::records::{Actor, AuditEvent};

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// `sess_…`
    pub id: String,
    pub user_id: String,
    /// Number of the refresh token that is valid now.
    pub generation: i64,
    /// Whether they signed in with a second factor.
    pub second_factor: bool,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    /// Unix seconds, as all that follow.
    pub created_at: i64,
    pub refreshed_at: i64,
    pub expires_at: i64,
}

/// Somebody who may act now, with what is needed to decide about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePerson {
    pub user_id: String,
    pub role: OrgRole,
    /// Whether they signed in with a second factor.
    pub second_factor: bool,
    pub limits: LimitSet,
    pub organization_limits: LimitSet,
}

/// A project that somebody acts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActingProject {
    pub id: String,
    pub limits: LimitSet,
    pub guardrail_policy: Option<String>,
    pub permissions: Option<ModelPermissions>,
    /// See [`CallerLimits::models`](crate::limits::CallerLimits).
    pub model_limits: HashMap<String, LimitSet>,
}

/// What somebody has proved besides knowing their password. Each proves it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecondProof {
    /// The number of a code's time step.
    Step(i64),
    /// A recovery code's digest.
    RecoveryCode(Vec<u8>),
}

/// What became of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// It is used up; this is the session.
    Renewed(SessionRow),
    /// It was used before. The session has ended.
    Reused,
    /// There is no such session, or no longer.
    Gone,
}

impl Store {
    /// Signs somebody in whose password belonged to `hash`, if that still is theirs and nothing
    /// more is asked of them than they have shown. With `proof`, only if that was not used before;
    /// `new_hash` replaces the password's hash. Returns whether it was done.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn open_session(
        &self,
        session: &SessionRow,
        hash: &str,
        proof: Option<&SecondProof>,
        new_hash: Option<&str>,
        by: &Actor,
    ) -> Result<bool, StoreError> {
        // The session that speaks does not exist yet.
        let mut change = self.change().await?;
        let is_current = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                 SELECT 1 FROM users WHERE id = ? AND password_hash = ? AND disabled_at IS NULL
                   AND erased_at IS NULL AND (totp_enabled_at IS NULL OR ?)) AS "exists: bool""#,
            session.user_id,
            hash,
            session.second_factor
        )
        .fetch_one(change.on())
        .await?;
        let is_proved = match proof {
            Some(proof) => use_proof(change.on(), &session.user_id, proof, by.at()).await?,
            None => true,
        };
        if !is_current || !is_proved {
            change.abandon().await?;
            return Ok(false);
        }
        if let Some(hash) = new_hash {
            sqlx::query!(
                "UPDATE users SET password_hash = ? WHERE id = ?",
                hash,
                session.user_id
            )
            .execute(change.on())
            .await?;
        }
        sqlx::query!(
            "INSERT INTO sessions (id, user_id, generation, second_factor, ip, user_agent,
                                   created_at, refreshed_at, expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            session.id,
            session.user_id,
            session.generation,
            session.second_factor,
            session.ip,
            session.user_agent,
            session.created_at,
            session.refreshed_at,
            session.expires_at
        )
        .execute(change.on())
        .await?;
        let event = AuditEvent::about("login.succeeded", &session.id)
            .with("second_factor", session.second_factor);
        change.commit(by, &[event]).await?;
        Ok(true)
    }

    /// Uses up the refresh token of this number, and lets the session live until `expires_at`, but
    /// not more than `longest` seconds in all. A token that was used before ends the session.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn refresh_session(
        &self,
        id: &str,
        generation: i64,
        expires_at: i64,
        longest: i64,
        by: &Actor,
    ) -> Result<Refreshed, StoreError> {
        let now = by.at();
        // Nothing changes that the audit is to tell of: the session was there and still is.
        let mut writing = self.writing().await?;
        let renewed = sqlx::query_as!(
            SessionRow,
            r#"UPDATE sessions SET generation = generation + 1, refreshed_at = ?1,
                                   expires_at = min(?2, created_at + ?3)
               WHERE id = ?4 AND generation = ?5 AND ended_at IS NULL AND expires_at > ?1
                 AND EXISTS (SELECT 1 FROM users WHERE id = user_id AND disabled_at IS NULL)
               RETURNING id, user_id, generation, second_factor AS "second_factor: bool", ip,
                         user_agent, created_at, refreshed_at, expires_at"#,
            now,
            expires_at,
            longest,
            id,
            generation
        )
        .fetch_all(writing.connection())
        .await?
        .pop();
        writing.done();
        if let Some(session) = renewed {
            return Ok(Refreshed::Renewed(session));
        }
        // Whoever it is, they hold a token of it.
        let mut change = self.change().await?;
        let ended = sqlx::query_scalar!(
            "UPDATE sessions SET ended_at = ?1
             WHERE id = ?2 AND generation > ?3 AND ended_at IS NULL AND expires_at > ?1
             RETURNING user_id",
            now,
            id,
            generation
        )
        .fetch_optional(change.on())
        .await?;
        let Some(user_id) = ended else {
            change.abandon().await?;
            return Ok(Refreshed::Gone);
        };
        let by = Actor {
            user_id: Some(user_id),
            ..by.clone()
        };
        let event = AuditEvent::about("session.ended", id).with("reason", "refresh_token_reused");
        change.commit(&by, &[event]).await?;
        Ok(Refreshed::Reused)
    }

    /// The person of a session, if the session is theirs and both may still act.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn live_session(
        &self,
        id: &str,
        user_id: &str,
        now: i64,
    ) -> Result<Option<LivePerson>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT u.role AS "role: OrgRole", s.second_factor AS "second_factor: bool",
                      u.limits, o.limits AS organization_limits
               FROM sessions s JOIN users u ON u.id = s.user_id JOIN organization o
               WHERE s.id = ? AND s.user_id = ? AND s.ended_at IS NULL AND s.expires_at > ?
                 AND u.disabled_at IS NULL AND u.erased_at IS NULL"#,
            id,
            user_id,
            now
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| {
            Ok(LivePerson {
                user_id: user_id.to_owned(),
                role: row.role,
                second_factor: row.second_factor,
                limits: from_json(&row.limits, "limits")?,
                organization_limits: from_json(&row.organization_limits, "limits")?,
            })
        })
        .transpose()
    }

    /// Somebody whom another server vouches for, unless disabled.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn live_person(
        &self,
        user_id: &str,
        second_factor: bool,
    ) -> Result<Option<LivePerson>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT u.role AS "role: OrgRole", u.limits, o.limits AS organization_limits
               FROM users u JOIN organization o
               WHERE u.id = ? AND u.disabled_at IS NULL AND u.erased_at IS NULL"#,
            user_id
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| {
            Ok(LivePerson {
                user_id: user_id.to_owned(),
                role: row.role,
                second_factor,
                limits: from_json(&row.limits, "limits")?,
                organization_limits: from_json(&row.organization_limits, "limits")?,
            })
        })
        .transpose()
    }

    /// The project that somebody acts in: the named one, else their own, else their oldest. None
    /// when they are not a member.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn acting_project(
        &self,
        user_id: &str,
        named: Option<&str>,
    ) -> Result<Option<ActingProject>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT p.id, p.limits, p.guardrail_policy, m.mode AS "mode?: ModelMode",
                      m.model_ids AS "model_ids?",
                      (SELECT json_group_object(r.model, json_object(
                                  'requests_per_minute', r.requests_per_minute,
                                  'tokens_per_minute', r.tokens_per_minute,
                                  'requests_per_day', r.requests_per_day))
                       FROM rate_limits r WHERE r.project_id = p.id) AS "model_limits!: String"
               FROM project_members b
               JOIN projects p ON p.id = b.project_id
               JOIN users u ON u.id = b.user_id
               LEFT JOIN model_permissions m ON m.project_id = p.id
               WHERE b.user_id = ?1 AND p.archived_at IS NULL AND (?2 IS NULL OR p.id = ?2)
               ORDER BY p.id IS u.default_project_id DESC, b.added_at, p.id LIMIT 1"#,
            user_id,
            named
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| {
            let model_ids = optional_json(row.model_ids.as_deref(), "model_permissions")?;
            Ok(ActingProject {
                id: row.id,
                limits: from_json(&row.limits, "limits")?,
                guardrail_policy: row.guardrail_policy,
                model_limits: from_json(&row.model_limits, "rate_limits")?,
                permissions: row
                    .mode
                    .zip(model_ids)
                    .map(|(mode, model_ids)| ModelPermissions { mode, model_ids }),
            })
        })
        .transpose()
    }

    /// The roles of somebody in their unarchived projects.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn project_roles(
        &self,
        user_id: &str,
    ) -> Result<Vec<(String, ProjectRole)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT m.project_id, m.role AS "role: ProjectRole"
               FROM project_members m JOIN projects p ON p.id = m.project_id
               WHERE m.user_id = ? AND p.archived_at IS NULL"#,
            user_id
        )
        .fetch_all(&self.reader)
        .await?;
        Ok(rows.into_iter().map(|r| (r.project_id, r.role)).collect())
    }

    /// Where somebody has signed in from, latest first, as far as it matters.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn addresses_of(&self, user_id: &str) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"SELECT ip AS "ip!" FROM sessions WHERE user_id = ? AND ip IS NOT NULL
               GROUP BY ip ORDER BY max(created_at) DESC LIMIT 100"#,
            user_id
        )
        .fetch_all(&self.reader)
        .await?)
    }

    /// The live sessions of somebody, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sessions(&self, user_id: &str, now: i64) -> Result<Vec<SessionRow>, StoreError> {
        Ok(sqlx::query_as!(
            SessionRow,
            r#"SELECT id, user_id, generation, second_factor AS "second_factor: bool", ip,
                      user_agent, created_at, refreshed_at, expires_at
               FROM sessions WHERE user_id = ? AND ended_at IS NULL AND expires_at > ?
               ORDER BY id DESC"#,
            user_id,
            now
        )
        .fetch_all(&self.reader)
        .await?)
    }

    /// Signs somebody out of one session of theirs. Returns whether there was one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_session(
        &self,
        id: &str,
        user_id: &str,
        event: &'static str,
        by: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        let now = by.at();
        let done = sqlx::query!(
            "UPDATE sessions SET ended_at = ?1
             WHERE id = ?2 AND user_id = ?3 AND ended_at IS NULL AND expires_at > ?1",
            now,
            id,
            user_id
        )
        .execute(change.on())
        .await?;
        if done.rows_affected() == 0 {
            change.abandon().await?;
            return Ok(false);
        }
        change.commit(by, &[AuditEvent::about(event, id)]).await?;
        Ok(true)
    }

    /// Signs somebody out everywhere but in the session that is named. Returns of how many.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_other_sessions(
        &self,
        user_id: &str,
        but: Option<&str>,
        by: &Actor,
    ) -> Result<u64, StoreError> {
        let mut change = self.change_by(by).await?;
        let ended = end_sessions(change.on(), user_id, but, by.at()).await?;
        if ended == 0 {
            change.abandon().await?;
            return Ok(0);
        }
        let event = AuditEvent::about("session.ended", user_id).with(
            "data",
            json!({ "reason": "signed_out_elsewhere", "sessions": ended }),
        );
        change.commit(by, &[event]).await?;
        Ok(ended)
    }
}

/// Uses a proof up. Returns whether it still was one.
pub(super) async fn use_proof(
    connection: &mut sqlx::SqliteConnection,
    user_id: &str,
    proof: &SecondProof,
    now: i64,
) -> Result<bool, StoreError> {
    let done = match proof {
        SecondProof::Step(step) => {
            sqlx::query!(
                "UPDATE users SET totp_last_step = ?1
             WHERE id = ?2 AND totp_nonce IS NOT NULL AND coalesce(totp_last_step, -1) < ?1",
                step,
                user_id
            )
            .execute(connection)
            .await?
        }
        SecondProof::RecoveryCode(digest) => {
            sqlx::query!(
                "UPDATE recovery_codes SET used_at = ?
             WHERE user_id = ? AND digest = ? AND used_at IS NULL",
                now,
                user_id,
                digest
            )
            .execute(connection)
            .await?
        }
    };
    Ok(done.rows_affected() == 1)
}
