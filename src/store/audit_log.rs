//! The audit as people ask for it: by time, kind, actor, subject, project.

use sqlx::{QueryBuilder, Sqlite};

use super::json::to_json;
use super::{Store, StoreError};
use crate::records::ActorKind;

/// What of the audit is asked for. What is none or empty does not narrow it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Unix milliseconds.
    pub from_ms: Option<i64>,
    /// Unix milliseconds; not included.
    pub until_ms: Option<i64>,
    /// A few of the kinds.
    pub kinds: Option<Vec<String>>,
    /// Most of the kinds: no index helps to find those.
    pub within_kinds: Option<Vec<String>>,
    pub project_ids: Vec<String>,
    /// Users, service accounts, keys or sessions that did it. Not who somebody said to be.
    pub actor_ids: Vec<String>,
    /// Addresses of people who did it and have not been erased.
    pub actor_emails: Vec<String>,
    /// What it was done to.
    pub subject_ids: Vec<String>,
}

/// Where a page of the audit begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditStart {
    Newest,
    /// Older than this row.
    After(AuditPosition),
    /// Newer than this row, and next to it.
    Before(AuditPosition),
}

/// A row's place in the audit, which is read by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct AuditPosition {
    pub at_ms: i64,
    pub seq: i64,
}

/// An audit row with the present names of what it mentions.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AuditEntry {
    pub id: String,
    /// Unix milliseconds.
    pub at_ms: i64,
    pub kind: String,
    pub actor_kind: ActorKind,
    pub actor_id: Option<String>,
    pub user_id: Option<String>,
    /// Of that user, unless erased.
    pub user_email: Option<String>,
    /// Whose key the actor is, when it is not a person's.
    pub service_account_id: Option<String>,
    pub project_id: Option<String>,
    pub project_name: Option<String>,
    /// JSON.
    pub details: String,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    /// Whom an invitation was for, unless erased.
    pub invited_email: Option<String>,
}

const SELECT: &str = "SELECT a.id, a.at_ms, a.type AS kind, a.actor_kind, a.actor_id, a.user_id,
       u.email AS user_email, k.service_account_id, a.project_id, r.name AS project_name,
       a.details, p.ip, p.user_agent, i.email AS invited_email
FROM audit a
LEFT JOIN audit_personal p ON p.seq = a.seq
LEFT JOIN users u ON u.id = a.user_id AND u.erased_at IS NULL
LEFT JOIN api_keys k ON k.id = a.actor_id
LEFT JOIN projects r ON r.id = a.project_id
LEFT JOIN invites i ON a.type = 'invite.sent' AND i.id = json_extract(a.details, '$.id')
                   AND i.email NOT LIKE 'erased-%@invalid'
WHERE a.seq IN (";

impl Store {
    /// Where an audit row is, by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn audit_position(&self, id: &str) -> Result<Option<AuditPosition>, StoreError> {
        Ok(sqlx::query_as!(
            AuditPosition,
            "SELECT at_ms, seq FROM audit WHERE id = ?",
            id
        )
        .fetch_optional(&self.reader)
        .await?)
    }

    /// Up to `limit` rows, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn audit_log(
        &self,
        filter: &AuditFilter,
        start: AuditStart,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut query = query(filter, start, limit);
        let mut rows: Vec<AuditEntry> = query.build_query_as().fetch_all(&self.reader).await?;
        if matches!(start, AuditStart::Before(_)) {
            rows.reverse();
        }
        Ok(rows)
    }
}

/// The rows are chosen first, so that only a page of them is joined with names.
fn query(filter: &AuditFilter, start: AuditStart, limit: u32) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(SELECT);
    choose(&mut query, filter, start, limit);
    query.push(format_args!(") {}", order(start)));
    query
}

fn order(start: AuditStart) -> &'static str {
    match start {
        AuditStart::Newest | AuditStart::After(_) => "ORDER BY a.at_ms DESC, a.seq DESC",
        AuditStart::Before(_) => "ORDER BY a.at_ms, a.seq",
    }
}

/// Put together of what is asked for: with all conditions in one statement, each switched off by a
/// parameter, SQLite could use no index. The text is ours alone, every value is bound.
fn choose(query: &mut QueryBuilder<Sqlite>, filter: &AuditFilter, start: AuditStart, limit: u32) {
    query.push("SELECT a.seq FROM audit a WHERE TRUE");
    if let Some(from) = filter.from_ms {
        query.push(" AND a.at_ms >= ").push_bind(from);
    }
    if let Some(until) = filter.until_ms {
        query.push(" AND a.at_ms < ").push_bind(until);
    }
    if let Some(kinds) = &filter.kinds {
        one_of(query, " AND a.type", kinds);
    }
    if let Some(kinds) = &filter.within_kinds {
        // The sign keeps SQLite from sorting all rows of all those kinds.
        one_of(query, " AND +a.type", kinds);
    }
    if !filter.project_ids.is_empty() {
        one_of(query, " AND a.project_id", &filter.project_ids);
    }
    let ids = &filter.actor_ids;
    if !ids.is_empty() {
        one_of(query, " AND (a.actor_id", ids);
        one_of(query, " OR (a.actor_kind <> 'anonymous' AND a.user_id", ids);
        query.push(") OR a.actor_id IN (SELECT id FROM api_keys WHERE ");
        one_of(query, "service_account_id", ids);
        query.push("))");
    }
    if !filter.actor_emails.is_empty() {
        query
            .push(" AND a.actor_kind <> 'anonymous' AND a.user_id IN (SELECT id FROM users WHERE ");
        one_of(query, "erased_at IS NULL AND email", &filter.actor_emails);
        query.push(")");
    }
    if !filter.subject_ids.is_empty() {
        one_of(
            query,
            " AND json_extract(a.details, '$.id')",
            &filter.subject_ids,
        );
    }
    match start {
        AuditStart::Newest => {}
        AuditStart::After(at) => beyond(query, "<", at),
        AuditStart::Before(at) => beyond(query, ">", at),
    }
    query.push(format_args!(" {} LIMIT ", order(start)));
    query.push_bind(limit);
}

fn one_of(query: &mut QueryBuilder<Sqlite>, column: &'static str, values: &[String]) {
    query.push(column);
    match values {
        // An index is then in the order of the answer.
        [value] => query.push(" = ").push_bind(value.clone()),
        _ => query
            .push(" IN (SELECT value FROM json_each(")
            .push_bind(to_json(&values))
            .push("))"),
    };
}

fn beyond(query: &mut QueryBuilder<Sqlite>, sign: &'static str, at: AuditPosition) {
    query.push(format_args!(" AND (a.at_ms, a.seq) {sign} ("));
    query.push_bind(at.at_ms).push(", ");
    query.push_bind(at.seq).push(")");
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;

    /// The steps that SQLite takes for a question.
    async fn plan(filter: AuditFilter, start: AuditStart) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("x.db")).await.unwrap();
        let mut builder = QueryBuilder::new("");
        choose(&mut builder, &filter, start, 21);
        let mut asked = builder.build();
        let arguments = sqlx::Execute::take_arguments(&mut asked).unwrap().unwrap();
        let sql = sqlx::Execute::sql(asked).as_str().to_owned();
        let explained = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query_with(explained, arguments)
            .fetch_all(&store.reader)
            .await
            .unwrap();
        rows.iter()
            .map(|row| row.get::<String, _>("detail"))
            .collect()
    }

    #[tokio::test]
    async fn the_usual_questions_use_an_index() {
        let some = || vec!["x".to_owned()];
        let newest = AuditStart::Newest;
        let after = AuditStart::After(AuditPosition { at_ms: 9, seq: 9 });
        let all = AuditFilter::default;
        // Without sorting: the index is in the order of the answer, so that only a page is read.
        for (start, filter) in [
            (newest, all()),
            (after, all()),
            (
                newest,
                AuditFilter {
                    within_kinds: Some(some()),
                    ..all()
                },
            ),
            (
                after,
                AuditFilter {
                    within_kinds: Some(some()),
                    ..all()
                },
            ),
            (
                newest,
                AuditFilter {
                    from_ms: Some(5),
                    until_ms: Some(9),
                    ..all()
                },
            ),
        ] {
            let steps = plan(filter.clone(), start).await;
            assert!(steps[0].contains("audit_at"), "{filter:?}: {steps:?}");
            assert!(
                !steps.iter().any(|step| step.contains("ORDER BY")),
                "{steps:?}"
            );
        }
        for (index, filter) in [
            (
                "audit_type",
                AuditFilter {
                    kinds: Some(some()),
                    ..all()
                },
            ),
            (
                "audit_project",
                AuditFilter {
                    project_ids: some(),
                    ..all()
                },
            ),
            (
                "audit_actor",
                AuditFilter {
                    actor_ids: some(),
                    ..all()
                },
            ),
            (
                "audit_user",
                AuditFilter {
                    actor_ids: some(),
                    ..all()
                },
            ),
            (
                "audit_user",
                AuditFilter {
                    actor_emails: some(),
                    ..all()
                },
            ),
            (
                "audit_subject",
                AuditFilter {
                    subject_ids: some(),
                    ..all()
                },
            ),
        ] {
            for start in [newest, after] {
                let steps = plan(filter.clone(), start).await;
                let uses = steps.iter().any(|step| step.contains(index));
                assert!(uses, "{filter:?}: {steps:#?}");
                assert!(!steps[0].starts_with("SCAN a"), "{steps:#?}");
                let sorts = steps.iter().any(|step| step.contains("ORDER BY"));
                assert!(
                    !sorts || index.ends_with("actor") || index.ends_with("user"),
                    "{steps:#?}"
                );
            }
        }
    }
}
