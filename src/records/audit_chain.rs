//! Whether the audit is as it was written.

use crate::store::{AuditKey, AuditRow, ChainedRow, PersonalRow, Store, StoreError};

const PAGE: u32 = 1000;

/// The last row of a chain that holds. Kept elsewhere, it shows later whether rows are missing at
/// the end, which nothing in the database can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Rows in all; 0: none yet.
    pub seq: i64,
    /// In hex; empty without rows.
    pub hash: String,
}

/// What is wrong, and with which row first.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    #[error("audit row {seq} is missing")]
    Missing { seq: i64 },
    #[error(
        "audit row {seq} ({id}) does not follow the row before it: that one was removed, replaced or moved"
    )]
    Broken { seq: i64, id: String },
    #[error("audit row {seq} ({id}) was changed after it was written")]
    Changed { seq: i64, id: String },
    #[error("the address or user agent of audit row {seq} ({id}) was changed or removed")]
    Personal { seq: i64, id: String },
    #[error(
        "the audit ends before row {seq}, or that row is another one: rows are missing at the end"
    )]
    Shorter { seq: i64 },
    #[error("the database was opened without the audit's key")]
    NoKey,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads the whole audit and recomputes every hash. With `known`, a head noted earlier, also that
/// it is still there.
///
/// # Errors
/// [`ChainError`] names the first wrong row.
pub async fn verify_audit(store: &Store, known: Option<&Head>) -> Result<Head, ChainError> {
    let key = store.audit_key().ok_or(ChainError::NoKey)?;
    let (mut seq, mut previous) = (0, vec![0; 32]);
    let mut is_known = known.is_none();
    loop {
        let page = store.audit_page(seq, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for row in page {
            if row.seq != seq + 1 {
                return Err(ChainError::Missing { seq: seq + 1 });
            }
            check(key, &row, &previous)?;
            if let Some(known) = known
                && known.seq == row.seq
            {
                is_known = known.hash == hex::encode(&row.hash);
            }
            seq = row.seq;
            previous = row.hash;
        }
    }
    match known {
        Some(known) if !is_known && known.seq > 0 => Err(ChainError::Shorter { seq: known.seq }),
        _ => Ok(Head {
            seq,
            hash: if seq == 0 {
                String::new()
            } else {
                hex::encode(previous)
            },
        }),
    }
}

fn check(key: &AuditKey, row: &AuditRow, previous: &[u8]) -> Result<(), ChainError> {
    let (seq, id) = (row.seq, row.id.clone());
    let hash = key.hash(&ChainedRow {
        seq,
        id: &row.id,
        at_ms: row.at_ms,
        kind: &row.kind,
        actor_kind: &row.actor_kind,
        actor_id: row.actor_id.as_deref(),
        user_id: row.user_id.as_deref(),
        project_id: row.project_id.as_deref(),
        details: &row.details,
        personal_digest: row.personal_digest.as_deref(),
        previous: &row.previous,
    });
    if hash != row.hash {
        return Err(ChainError::Changed { seq, id });
    }
    if row.previous != previous {
        return Err(ChainError::Broken { seq, id });
    }
    let personal = row.salt.as_ref().map(|salt| {
        key.personal_hash(&PersonalRow {
            seq,
            user_id: row.personal_user_id.as_deref(),
            ip: row.ip.as_deref(),
            user_agent: row.user_agent.as_deref(),
            salt,
        })
    });
    // A person who was erased has left nothing but the hash.
    let is_gone = personal.is_none() && row.is_erased;
    if personal != row.personal_digest && !is_gone {
        return Err(ChainError::Personal { seq, id });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, SqliteConnection};

    use super::*;
    use crate::app::Data;
    use crate::clock::Clock;
    use crate::records::{Actor, ActorKind, AuditEvent};
    use crate::store::DataDir;

    /// A chain of ten rows, and what happens to it outside of the program.
    async fn tampered(statements: &[&str]) -> Result<Head, ChainError> {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::prepare(dir.path()).unwrap();
        let data = Data::open(&data).await.unwrap();
        for n in 0..10 {
            let from = Actor {
                kind: ActorKind::Session,
                user_id: Some("user-1".into()),
                ip: Some([10, 0, 0, 1].into()),
                ..Actor::server(&Clock::system())
            };
            let event = AuditEvent::about("project.created", &format!("proj_{n}"));
            data.store.audit(&from, &event).await.unwrap();
        }
        let head = verify_audit(&data.store, None).await.unwrap();
        assert_eq!(head.seq, 10);
        let url = format!("sqlite:{}", dir.path().join("microllm.db").display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        for statement in statements {
            let statement = sqlx::AssertSqlSafe((*statement).to_owned());
            sqlx::raw_sql(statement)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        verify_audit(&data.store, Some(&head)).await
    }

    const NO_TRIGGERS: &str = "DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete;
        DROP TRIGGER audit_personal_no_update; DROP TRIGGER audit_personal_no_delete;
        PRAGMA foreign_keys = OFF";

    #[tokio::test]
    async fn a_chain_that_nobody_touched_holds() {
        tampered(&[]).await.unwrap();
    }

    #[tokio::test]
    async fn the_first_wrong_row_is_named() {
        for (change, expected) in [
            (
                "UPDATE audit SET details = '{}' WHERE seq = 4",
                "row 4 (audit_log-",
            ),
            (
                "UPDATE audit SET user_id = 'user-2' WHERE seq = 4",
                "row 4 (audit_log-",
            ),
            (
                "UPDATE audit SET at_ms = at_ms + 1 WHERE seq = 1",
                "row 1 (audit_log-",
            ),
            ("DELETE FROM audit WHERE seq = 7", "row 7 is missing"),
            ("DELETE FROM audit WHERE seq = 1", "row 1 is missing"),
            ("DELETE FROM audit WHERE seq = 10", "missing at the end"),
            (
                "UPDATE audit SET seq = -1 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 4;
                 UPDATE audit SET seq = 4 WHERE seq = -1",
                "row 3 (audit_log-",
            ),
            (
                "DELETE FROM audit WHERE seq = 5; UPDATE audit SET seq = seq - 1 WHERE seq > 5",
                "row 5 (audit_log-",
            ),
            (
                "UPDATE audit_personal SET ip = '10.0.0.2' WHERE seq = 6",
                "address or user agent of audit row 6",
            ),
            (
                "DELETE FROM audit_personal WHERE seq = 6",
                "address or user agent of audit row 6",
            ),
        ] {
            let error = tampered(&[NO_TRIGGERS, change])
                .await
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{change}: {error}");
        }
    }

    #[tokio::test]
    async fn rows_can_neither_be_changed_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(&DataDir::prepare(dir.path()).unwrap())
            .await
            .unwrap();
        let actor = Actor {
            ip: Some("10.0.0.1".parse().unwrap()),
            ..Actor::server(&Clock::system())
        };
        let event = AuditEvent::about("project.created", "proj_1");
        data.store.audit(&actor, &event).await.unwrap();
        let url = format!("sqlite:{}", dir.path().join("microllm.db").display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        for statement in [
            "UPDATE audit SET details = ''",
            "DELETE FROM audit",
            "INSERT OR REPLACE INTO audit SELECT * FROM audit",
            "REPLACE INTO audit SELECT seq + 1, id, at_ms, type, actor_kind, actor_id, user_id,
                 project_id, details, personal_digest, previous, hash FROM audit",
            "UPDATE audit_personal SET ip = NULL",
            "REPLACE INTO audit_personal SELECT seq, NULL, NULL, NULL, salt FROM audit_personal",
        ] {
            let refused = sqlx::query(statement).execute(&mut connection).await;
            assert!(
                refused
                    .unwrap_err()
                    .to_string()
                    .contains("audit rows are never")
            );
        }
    }
}
