//! All that is stored about a person.

use futures_util::stream::{self, Stream};
use serde::Serialize;
use serde_json::Value;

use super::json::from_json;
use super::keys::StoredKey;
use super::{AuditRow, KeyKind, KeyRow, Store, StoreError};
use crate::auth::{OrgRole, ProjectRole};
use crate::records::{Actor, AuditEvent};

const PAGE: u32 = 1000;

/// What is stored about a person, without secrets and their digests, but for usage and audit rows
/// and stored completions, of which there may be any number. Times are in unix seconds.
#[derive(Debug, Clone, Serialize)]
pub struct PersonRecord {
    pub user: ProfileRecord,
    pub projects: Vec<MembershipRecord>,
    pub api_keys: Vec<KeyRow>,
    pub sessions: Vec<SessionRecord>,
    pub invites: Vec<InviteRecord>,
    /// Ids of the alerts that name their address.
    pub spend_alerts: Vec<String>,
    /// Of all time.
    pub usage_totals: UsageTotals,
}

#[derive(Debug, Clone, Serialize)]
pub struct ProfileRecord {
    pub id: String,
    pub email: String,
    pub name: String,
    pub role: OrgRole,
    pub limits: Value,
    pub default_project_id: Option<String>,
    pub oidc_subject: Option<String>,
    pub created_at: i64,
    pub disabled_at: Option<i64>,
    pub password_changed_at: Option<i64>,
    pub second_factor_at: Option<i64>,
    pub recovery_codes_left: i64,
}

#[derive(Debug, Clone, Serialize)]
pub struct MembershipRecord {
    pub id: String,
    pub name: String,
    pub role: ProjectRole,
    pub added_at: i64,
}

#[derive(Debug, Clone, Serialize)]
pub struct SessionRecord {
    pub id: String,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub second_factor: bool,
    pub created_at: i64,
    pub refreshed_at: i64,
    pub expires_at: i64,
    pub ended_at: Option<i64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct InviteRecord {
    pub id: String,
    pub role: OrgRole,
    pub created_at: i64,
    pub expires_at: i64,
    pub accepted_at: Option<i64>,
    pub deleted_at: Option<i64>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct UsageTotals {
    pub requests: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cached_tokens: i64,
    pub cost_nanousd: i64,
}

impl Store {
    /// What is stored about a person, unless removed. That it is read is audited first.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn person_record(
        &self,
        id: &str,
        by: &Actor,
    ) -> Result<Option<PersonRecord>, StoreError> {
        let Some(person) = self.person(id).await? else {
            return Ok(None);
        };
        let event = AuditEvent::about("user.exported", id);
        self.audit(by, &event).await?;
        Ok(Some(PersonRecord {
            user: self.profile_record(id).await?,
            projects: self.membership_records(id).await?,
            api_keys: self.keys_of(id).await?,
            sessions: self.session_records(id).await?,
            invites: self.invite_records(&person.email).await?,
            spend_alerts: self.alerts_to(&person.email).await?,
            usage_totals: self.usage_totals(id).await?,
        }))
    }

    /// Audit rows about a person or by them, in the order of recording, a page at a time. Network
    /// addresses are theirs alone, not those of others who did something to them.
    pub fn audit_of_person(
        &self,
        id: &str,
    ) -> impl Stream<Item = Result<Vec<AuditRow>, StoreError>> + Send + use<> {
        let start = (self.clone(), id.to_owned(), 0);
        stream::try_unfold(start, |(store, id, after)| async move {
            let page = store.audit_page_of(&id, after).await?;
            let last = page.last().map(|row| row.seq);
            Ok(last.map(|seq| (page, (store, id, seq))))
        })
    }

    async fn audit_page_of(&self, id: &str, after: i64) -> Result<Vec<AuditRow>, StoreError> {
        Ok(sqlx::query_as!(
            AuditRow,
            r#"SELECT a.seq, a.id, a.at_ms, a.type AS kind, a.actor_kind, a.actor_id, a.user_id,
                      a.project_id, a.details, p.ip, p.user_agent,
                      p.user_id AS personal_user_id, p.salt AS "salt?: Vec<u8>",
                      FALSE AS "is_erased!: bool", a.personal_digest, a.previous, a.hash
               FROM audit a LEFT JOIN audit_personal p ON p.seq = a.seq AND p.user_id = ?1
               WHERE a.seq > ?2 AND (a.user_id = ?1 OR json_extract(a.details, '$.id') = ?1)
               ORDER BY a.seq LIMIT ?3"#,
            id,
            after,
            PAGE
        )
        .fetch_all(&self.reader)
        .await?)
    }

    async fn profile_record(&self, id: &str) -> Result<ProfileRecord, StoreError> {
        let row = sqlx::query!(
            r#"SELECT id, email, name, role AS "role: OrgRole", limits, default_project_id,
                      oidc_subject, created_at, disabled_at, password_changed_at,
                      totp_enabled_at AS second_factor_at,
                      (SELECT count(*) FROM recovery_codes r
                       WHERE r.user_id = users.id AND used_at IS NULL)
                          AS "recovery_codes_left!: i64"
               FROM users WHERE id = ?"#,
            id
        )
        .fetch_one(&self.reader)
        .await?;
        Ok(ProfileRecord {
            id: row.id,
            email: row.email,
            name: row.name,
            role: row.role,
            limits: from_json(&row.limits, "limits")?,
            default_project_id: row.default_project_id,
            oidc_subject: row.oidc_subject,
            created_at: row.created_at,
            disabled_at: row.disabled_at,
            password_changed_at: row.password_changed_at,
            second_factor_at: row.second_factor_at,
            recovery_codes_left: row.recovery_codes_left,
        })
    }

    async fn membership_records(&self, id: &str) -> Result<Vec<MembershipRecord>, StoreError> {
        Ok(sqlx::query_as!(
            MembershipRecord,
            r#"SELECT p.id, p.name, m.role AS "role: ProjectRole", m.added_at
               FROM project_members m JOIN projects p ON p.id = m.project_id
               WHERE m.user_id = ? ORDER BY p.id"#,
            id
        )
        .fetch_all(&self.reader)
        .await?)
    }

    async fn keys_of(&self, id: &str) -> Result<Vec<KeyRow>, StoreError> {
        let rows = sqlx::query_as!(
            StoredKey,
            r#"SELECT id, kind AS "kind: KeyKind", name, project_id, user_id, service_account_id,
                      pepper_id, digest, last4, scopes, models, limits, guardrail_policy,
                      created_at, last_used_at, expires_at, revoked_at
               FROM api_keys WHERE user_id = ? ORDER BY id"#,
            id
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(KeyRow::try_from).collect()
    }

    async fn session_records(&self, id: &str) -> Result<Vec<SessionRecord>, StoreError> {
        Ok(sqlx::query_as!(
            SessionRecord,
            r#"SELECT id, ip, user_agent, second_factor AS "second_factor: bool", created_at,
                      refreshed_at, expires_at, ended_at
               FROM sessions WHERE user_id = ? ORDER BY id"#,
            id
        )
        .fetch_all(&self.reader)
        .await?)
    }

    async fn invite_records(&self, email: &str) -> Result<Vec<InviteRecord>, StoreError> {
        Ok(sqlx::query_as!(
            InviteRecord,
            r#"SELECT id, role AS "role: OrgRole", created_at, expires_at, accepted_at, deleted_at
               FROM invites WHERE email = ? ORDER BY id"#,
            email
        )
        .fetch_all(&self.reader)
        .await?)
    }

    async fn alerts_to(&self, email: &str) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            "SELECT id FROM spend_alerts
             WHERE EXISTS (SELECT 1 FROM json_each(recipients) WHERE lower(value) = lower(?))
             ORDER BY id",
            email
        )
        .fetch_all(&self.reader)
        .await?)
    }

    async fn usage_totals(&self, id: &str) -> Result<UsageTotals, StoreError> {
        Ok(sqlx::query_as!(
            UsageTotals,
            r#"SELECT coalesce(sum(requests), 0) AS "requests!: i64",
                      coalesce(sum(input_tokens), 0) AS "input_tokens!: i64",
                      coalesce(sum(output_tokens), 0) AS "output_tokens!: i64",
                      coalesce(sum(cached_tokens), 0) AS "cached_tokens!: i64",
                      coalesce(sum(cost_nanousd), 0) AS "cost_nanousd!: i64"
               FROM usage_by_hour WHERE user_id = ?"#,
            id
        )
        .fetch_one(&self.reader)
        .await?)
    }
}
