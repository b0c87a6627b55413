use super::{AuditKey, Store, StoreError};
use crate::records::{Actor, AuditEvent};

impl Store {
    /// Records something that changes nothing else.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn audit(&self, by: &Actor, event: &AuditEvent) -> Result<(), StoreError> {
        // What happened is told whoever it was.
        let mut change = self.change().await?;
        let mut by = by.clone();
        if let Some(user_id) = &by.user_id {
            let is_erased = sqlx::query_scalar!(
                r#"SELECT EXISTS (SELECT 1 FROM users WHERE id = ? AND erased_at IS NOT NULL)
                   AS "exists: bool""#,
                user_id
            );
            if is_erased.fetch_one(change.on()).await? {
                // Nothing of theirs is to come back.
                (by.ip, by.user_agent) = (None, None);
            }
        }
        change.commit(&by, std::slice::from_ref(event)).await
    }
}

/// An audit row with what is told of it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct AuditRow {
    /// 1, 2, 3… without gaps.
    pub seq: i64,
    pub id: String,
    /// Unix milliseconds.
    pub at_ms: i64,
    #[serde(rename = "type")]
    pub kind: String,
    pub actor_kind: String,
    pub actor_id: Option<String>,
    pub user_id: Option<String>,
    pub project_id: Option<String>,
    /// JSON.
    #[serde(serialize_with = "raw")]
    pub details: String,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    #[serde(skip)]
    pub personal_user_id: Option<String>,
    #[serde(skip)]
    pub salt: Option<Vec<u8>>,
    #[serde(skip)]
    pub is_erased: bool,
    #[serde(skip)]
    pub personal_digest: Option<Vec<u8>>,
    #[serde(serialize_with = "in_hex")]
    pub previous: Vec<u8>,
    #[serde(serialize_with = "in_hex")]
    pub hash: Vec<u8>,
}

fn in_hex<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

/// The details as the JSON that they are.
fn raw<S: serde::Serializer>(details: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let value: serde_json::Value = serde_json::from_str(details).unwrap_or_default();
    serde::Serialize::serialize(&value, serializer)
}

impl Store {
    /// The key that audit rows are hashed with, if this handle has it.
    pub fn audit_key(&self) -> Option<&AuditKey> {
        self.audit_key.as_ref()
    }

    /// The number of the last audit row; 0 when there is none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn last_audit_seq(&self) -> Result<i64, StoreError> {
        let last = sqlx::query_scalar!(r#"SELECT coalesce(max(seq), 0) AS "seq!: i64" FROM audit"#)
            .fetch_one(&self.reader)
            .await?;
        Ok(last)
    }

    /// Up to `limit` audit rows after this one, in their order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn audit_page(&self, after: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        Ok(sqlx::query_as!(
            AuditRow,
            r#"SELECT a.seq, a.id, a.at_ms, a.type AS kind, a.actor_kind, a.actor_id, a.user_id,
                      a.project_id, a.details, p.ip, p.user_agent,
                      p.user_id AS personal_user_id, p.salt AS "salt?: Vec<u8>",
                      u.erased_at IS NOT NULL AS "is_erased!: bool",
                      a.personal_digest, a.previous, a.hash
               FROM audit a
               LEFT JOIN audit_personal p ON p.seq = a.seq
               LEFT JOIN users u ON u.id = a.user_id
               WHERE a.seq > ? ORDER BY a.seq LIMIT ?"#,
            after,
            limit
        )
        .fetch_all(&self.reader)
        .await?)
    }
}
