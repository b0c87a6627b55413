//! Changes and their audit rows, in one transaction.

use std::sync::Arc;

use hmac::{Hmac, Mac};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::Sha256;
use sqlx::SqliteConnection;

use super::stamp::Stamp;
use super::writing::Writing;
use super::{Store, StoreError};
use crate::records::{Actor, ActorKind, AuditEvent};

/// What comes before the first row.
const GENESIS: [u8; 32] = [0; 32];

/// Keeps the hashes of the audit out of reach of whoever can only write to the database.
#[derive(Clone)]
pub struct AuditKey(Arc<Hmac<Sha256>>);

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl AuditKey {
    pub fn new(mac: Hmac<Sha256>) -> Self {
        Self(Arc::new(mac))
    }

    /// The hash of an audit row.
    pub fn hash(&self, row: &ChainedRow<'_>) -> Vec<u8> {
        self.mac(row)
    }

    /// The hash of the personal part of an audit row.
    pub fn personal_hash(&self, row: &PersonalRow<'_>) -> Vec<u8> {
        self.mac(row)
    }

    /// What is kept of an erased person's name at an outside issuer: enough to know them by when they
    /// come back, and of no use without the key.
    pub fn tombstone(&self, subject: &str) -> String {
        // A field that no row has: it is no row's hash.
        let hash = self.mac(&serde_json::json!({ "erased_subject": subject }));
        format!("erased:{}", hex::encode(hash))
    }

    /// JSON, because it is unambiguous: no two rows have the same text.
    fn mac(&self, row: &impl serde::Serialize) -> Vec<u8> {
        let mut mac = (*self.0).clone();
        mac.update(serde_json::to_string(row).unwrap_or_default().as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

/// What an audit row's hash covers.
#[derive(Debug, serde::Serialize)]
pub struct ChainedRow<'a> {
    pub seq: i64,
    pub id: &'a str,
    pub at_ms: i64,
    pub kind: &'a str,
    pub actor_kind: &'a str,
    pub actor_id: Option<&'a str>,
    pub user_id: Option<&'a str>,
    pub project_id: Option<&'a str>,
    pub details: &'a str,
    pub personal_digest: Option<&'a [u8]>,
    pub previous: &'a [u8],
}

/// What its personal part's hash covers.
#[derive(Debug, serde::Serialize)]
pub struct PersonalRow<'a> {
    pub seq: i64,
    pub user_id: Option<&'a str>,
    pub ip: Option<&'a str>,
    pub user_agent: Option<&'a str>,
    pub salt: &'a [u8],
}

/// A transaction that is committed together with the audit of what it did, or not at all. Dropped
/// before that, it never was.
pub(super) struct Change {
    writing: Writing,
    key: AuditKey,
    stamp: Stamp,
}

impl Store {
    /// Begins a change, with the write lock in hand.
    ///
    /// # Errors
    /// When the database cannot be written, or this handle was opened without
    /// [`Store::with_audit_key`].
    pub(super) async fn change(&self) -> Result<Change, StoreError> {
        let key = self.audit_key.clone().ok_or(StoreError::NoAuditKey)?;
        let mut writing = self.writing().await?;
        // By hand: a transaction of sqlx's would borrow the connection that is to travel with it.
        sqlx::query("BEGIN IMMEDIATE")
            .execute(writing.connection())
            .await?;
        let stamp = self.stamp.clone();
        Ok(Change {
            writing,
            key,
            stamp,
        })
    }
}

impl Store {
    /// The same, for somebody who may still make changes: between being let in and this, a body may
    /// have taken its time.
    ///
    /// # Errors
    /// As [`Store::change`], and [`StoreError::ActorEnded`].
    pub(super) async fn change_by(&self, by: &Actor) -> Result<Change, StoreError> {
        let mut change = self.change().await?;
        if may_still_act(change.on(), by).await? {
            return Ok(change);
        }
        change.abandon().await?;
        Err(StoreError::ActorEnded)
    }
}

/// Whether the actor's session or key is live, and its person not disabled.
async fn may_still_act(connection: &mut SqliteConnection, by: &Actor) -> Result<bool, StoreError> {
    let now = by.at();
    Ok(match (by.kind, &by.id) {
        (ActorKind::Session, Some(id)) => {
            sqlx::query_scalar!(
                r#"SELECT EXISTS (
                     SELECT 1 FROM sessions s JOIN users u ON u.id = s.user_id
                     WHERE s.id = ? AND s.ended_at IS NULL AND s.expires_at > ?
                       AND u.disabled_at IS NULL) AS "exists: bool""#,
                id,
                now
            )
            .fetch_one(connection)
            .await?
        }
        (ActorKind::Session, None) => {
            sqlx::query_scalar!(
                r#"SELECT EXISTS (SELECT 1 FROM users WHERE id = ? AND disabled_at IS NULL)
                   AS "exists: bool""#,
                by.user_id
            )
            .fetch_one(connection)
            .await?
        }
        (ActorKind::ApiKey, id) => {
            sqlx::query_scalar!(
                r#"SELECT EXISTS (
                     SELECT 1 FROM api_keys k LEFT JOIN users u ON u.id = k.user_id
                     WHERE k.id = ? AND k.revoked_at IS NULL
                       AND (k.expires_at IS NULL OR k.expires_at > ?)
                       AND u.disabled_at IS NULL
                       AND (k.kind <> 'admin' OR u.role = 'owner')) AS "exists: bool""#,
                id,
                now
            )
            .fetch_one(connection)
            .await?
        }
        (ActorKind::CommandLine | ActorKind::Server | ActorKind::Anonymous, _) => true,
    })
}

impl Change {
    /// Where its queries run.
    pub(super) fn on(&mut self) -> &mut SqliteConnection {
        self.writing.connection()
    }

    /// [`AuditKey::tombstone`].
    pub(super) fn tombstone(&self, subject: &str) -> String {
        self.key.tombstone(subject)
    }

    /// Makes the change and its audit durable. At least one event: a change that nobody is told
    /// about does not happen.
    pub(super) async fn commit(
        mut self,
        actor: &Actor,
        events: &[AuditEvent],
    ) -> Result<(), StoreError> {
        if events.is_empty() {
            return Err(StoreError::Unaudited);
        }
        for event in events {
            self.append(actor, event).await?;
        }
        // Whoever has left by now has made the change all the same.
        let commit = async move {
            sqlx::query("COMMIT").execute(self.on()).await?;
            self.writing.done();
            if let Err(error) = self.stamp.renew() {
                tracing::error!(%error, "a change shows to other processes a second late");
            }
            Ok(())
        };
        let committed = tokio::spawn(commit).await;
        committed.unwrap_or(Err(StoreError::Query(sqlx::Error::WorkerCrashed)))
    }

    /// Takes it back, and keeps the connection.
    pub(super) async fn abandon(mut self) -> Result<(), StoreError> {
        sqlx::query("ROLLBACK").execute(self.on()).await?;
        self.writing.done();
        Ok(())
    }

    async fn append(&mut self, actor: &Actor, event: &AuditEvent) -> Result<(), StoreError> {
        let last = sqlx::query!("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
            .fetch_optional(self.on())
            .await?;
        let (seq, previous) = last.map_or((1, GENESIS.to_vec()), |last| (last.seq + 1, last.hash));
        let personal = Personal::of(seq, actor, &self.key)?;
        let personal_digest = personal.as_ref().map(|p| p.digest.clone());
        let id = format!("audit_log-{}", uuid::Uuid::now_v7().simple());
        let details = event.details.to_string();
        let hash = self.key.hash(&ChainedRow {
            seq,
            id: &id,
            at_ms: actor.at_ms,
            kind: event.kind,
            actor_kind: actor.kind.as_str(),
            actor_id: actor.id.as_deref(),
            user_id: actor.user_id.as_deref(),
            project_id: event.project_id.as_deref(),
            details: &details,
            personal_digest: personal_digest.as_deref(),
            previous: &previous,
        });
        sqlx::query!(
            "INSERT INTO audit (seq, id, at_ms, type, actor_kind, actor_id, user_id, project_id,
                                details, personal_digest, previous, hash)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            seq,
            id,
            actor.at_ms,
            event.kind,
            actor.kind,
            actor.id,
            actor.user_id,
            event.project_id,
            details,
            personal_digest,
            previous,
            hash
        )
        .execute(self.on())
        .await?;
        if let Some(Personal {
            ip,
            user_agent,
            salt,
            ..
        }) = personal
        {
            sqlx::query!(
                "INSERT INTO audit_personal (seq, user_id, ip, user_agent, salt)
                 VALUES (?, ?, ?, ?, ?)",
                seq,
                actor.user_id,
                ip,
                user_agent,
                salt
            )
            .execute(self.on())
            .await?;
        }
        Ok(())
    }
}

/// Where an actor was, which is a person's data.
struct Personal {
    ip: Option<String>,
    user_agent: Option<String>,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

impl Personal {
    fn of(seq: i64, actor: &Actor, key: &AuditKey) -> Result<Option<Self>, StoreError> {
        if actor.ip.is_none() && actor.user_agent.is_none() {
            return Ok(None);
        }
        let mut salt = vec![0; 16];
        OsRng
            .try_fill_bytes(&mut salt)
            .map_err(|error| StoreError::Random(error.to_string()))?;
        let ip = actor.ip.map(|ip| ip.to_string());
        let digest = key.personal_hash(&PersonalRow {
            seq,
            user_id: actor.user_id.as_deref(),
            ip: ip.as_deref(),
            user_agent: actor.user_agent.as_deref(),
            salt: &salt,
        });
        Ok(Some(Self {
            ip,
            user_agent: actor.user_agent.clone(),
            salt,
            digest,
        }))
    }
}
