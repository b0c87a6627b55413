use std::collections::HashSet;

use futures_util::stream::{self, Stream, TryStreamExt};
use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};

use super::json::to_json;
use super::{Store, StoreError};
use crate::records::{Actor, AuditEvent, Outcome, UsageRow};

/// Rows fetched at a time when all are read.
const PAGE: u32 = 1000;
/// For each number of rows up to this a statement is kept prepared.
const KEPT: usize = 32;

/// A usage row and its place in the order of recording.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredUsage {
    pub seq: i64,
    pub row: UsageRow,
}

/// Which usage rows are asked for. What is none or empty does not narrow it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// Arrived then or later, in unix milliseconds.
    pub from_ms: Option<i64>,
    /// Arrived before, in unix milliseconds.
    pub until_ms: Option<i64>,
    pub project_ids: Vec<String>,
    pub user_id: Option<String>,
}

impl Store {
    /// Writes rows in one transaction: all are durable when this returns, or none.
    ///
    /// Returns, for each row, whether it was written; a row whose `request_id` was recorded
    /// before is not written again.
    ///
    /// # Errors
    /// When the database cannot be written, a full disk included, and when there are more than 1,560
    /// rows: SQLite takes 32,766 values in a statement.
    pub async fn insert_usage(&self, rows: &[&UsageRow]) -> Result<Vec<bool>, StoreError> {
        match self.insert_new_usage(rows).await {
            Ok(()) => Ok(vec![true; rows.len()]),
            Err(error) if is_duplicate(&error) => {
                let ids: Vec<&str> = rows.iter().map(|row| &*row.request_id).collect();
                let mut known = self.recorded_requests(&ids).await?;
                let is_new = rows.iter().map(|row| known.insert(row.request_id.clone()));
                let is_new: Vec<bool> = is_new.collect();
                let new = rows.iter().zip(&is_new).filter(|(_, is_new)| **is_new);
                let new: Vec<&UsageRow> = new.map(|(row, _)| *row).collect();
                self.insert_new_usage(&new).await?;
                Ok(is_new)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes rows that were not recorded before: one message to the database's thread and one back,
    /// since each costs more than a row. One statement is a transaction by itself.
    async fn insert_new_usage(&self, rows: &[&UsageRow]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        // What depends on how many there are cannot be checked when this is compiled.
        let mut insert = insert(rows);
        let mut writing = self.writing().await?;
        let query = insert.build().persistent(rows.len() <= KEPT);
        query.execute(writing.connection()).await?;
        writing.done();
        Ok(())
    }

    /// Which of these requests have a row.
    async fn recorded_requests(&self, ids: &[&str]) -> Result<HashSet<String>, StoreError> {
        let ids = to_json(&ids);
        let known = sqlx::query_scalar!(
            "SELECT request_id FROM usage WHERE request_id IN (SELECT value FROM json_each(?))",
            ids
        );
        let known = known.fetch_all(&self.reader).await?;
        Ok(known.into_iter().collect())
    }

    /// Every usage row that is there when the first is read, in the order of recording.
    pub fn usage_rows(&self) -> impl Stream<Item = Result<UsageRow, StoreError>> + use<> {
        self.usage_pages(UsageFilter::default())
            .map_ok(|page| stream::iter(page.into_iter().map(Ok)))
            .try_flatten()
    }

    /// The usage rows of `filter` that are there when the first is read, in the order of
    /// recording.
    ///
    /// Read a page at a time: a long read would keep SQLite from tidying up its log.
    pub fn usage_pages(
        &self,
        filter: UsageFilter,
    ) -> impl Stream<Item = Result<Vec<UsageRow>, StoreError>> + Send + use<> {
        let start = (self.clone(), filter, None);
        stream::try_unfold(start, |(store, filter, position)| async move {
            let (after, last) = match position {
                Some(position) => position,
                None => store.usage_bounds(&filter).await?,
            };
            let page = store.usage_page(&filter, after, last, PAGE).await?;
            let Some(seq) = page.last().map(|stored| stored.seq) else {
                return Ok::<_, StoreError>(None);
            };
            let page = page.into_iter().map(|stored| stored.row).collect();
            Ok(Some((page, (store, filter, Some((seq, last))))))
        })
    }

    /// Up to `limit` rows of `filter` with `after < seq <= last`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn usage_page(
        &self,
        filter: &UsageFilter,
        after: i64,
        last: i64,
        limit: u32,
    ) -> Result<Vec<StoredUsage>, StoreError> {
        let projects = to_json(&filter.project_ids);
        let rows = sqlx::query!(
            r#"SELECT seq, request_id, created_at_ms, api_key_id, project_id, model, endpoint,
                      stream AS "stream: bool", status AS "status: u16",
                      outcome AS "outcome: Outcome", finish_reason, error,
                      input_tokens AS "input_tokens: u32", output_tokens AS "output_tokens: u32",
                      cached_tokens AS "cached_tokens: u32", queue_ms AS "queue_ms: u32",
                      first_token_ms AS "first_token_ms: u32", duration_ms AS "duration_ms: u32",
                      user_id, cost_nanousd, guardrails, cache
               FROM usage
               WHERE seq > ?1 AND seq <= ?2
                 AND (?3 IS NULL OR created_at_ms >= ?3) AND (?4 IS NULL OR created_at_ms < ?4)
                 AND (?5 = '[]' OR project_id IN (SELECT value FROM json_each(?5)))
                 AND (?6 IS NULL OR user_id = ?6)
               ORDER BY seq LIMIT ?7"#,
            after,
            last,
            filter.from_ms,
            filter.until_ms,
            projects,
            filter.user_id,
            limit
        )
        .fetch_all(&self.reader)
        .await?;
        let stored = rows.into_iter().map(|r| StoredUsage {
            seq: r.seq,
            row: UsageRow {
                request_id: r.request_id,
                created_at_ms: r.created_at_ms,
                api_key_id: r.api_key_id,
                project_id: r.project_id,
                model: r.model,
                endpoint: r.endpoint,
                stream: r.stream,
                status: r.status,
                outcome: r.outcome,
                finish_reason: r.finish_reason,
                error: r.error,
                input_tokens: r.input_tokens,
                output_tokens: r.output_tokens,
                cached_tokens: r.cached_tokens,
                queue_ms: r.queue_ms,
                first_token_ms: r.first_token_ms,
                duration_ms: r.duration_ms,
                user_id: r.user_id,
                cost_nanousd: r.cost_nanousd,
                guardrails: r.guardrails,
                cache: r.cache,
            },
        });
        Ok(stored.collect())
    }

    /// How many usage rows arrived before this time, in unix milliseconds.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn usage_before(&self, until_ms: i64) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar!(
            "SELECT count(*) FROM usage WHERE created_at_ms < ?",
            until_ms
        )
        .fetch_one(&self.reader)
        .await?)
    }

    /// Removes up to `limit` of the oldest usage rows that arrived before this time, in unix
    /// milliseconds, and tells how many that were. Sums stay. `event` is audited with it: the first
    /// batch's tells about all of them.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn prune_usage(
        &self,
        until_ms: i64,
        limit: u32,
        by: &Actor,
        event: Option<AuditEvent>,
    ) -> Result<u64, StoreError> {
        self.sum_up_usage().await?;
        match event {
            Some(event) => {
                let mut change = self.change_by(by).await?;
                let removed = prune(change.on(), until_ms, limit).await?;
                change.commit(by, &[event]).await?;
                Ok(removed)
            }
            None => {
                let mut writing = self.writing().await?;
                let mut transaction = writing.connection().begin_with("BEGIN IMMEDIATE").await?;
                let removed = prune(&mut transaction, until_ms, limit).await?;
                transaction.commit().await?;
                writing.done();
                Ok(removed)
            }
        }
    }

    /// Between which places the rows of a time are: after the first, up to the second.
    async fn usage_bounds(&self, filter: &UsageFilter) -> Result<(i64, i64), StoreError> {
        let (from, until) = (filter.from_ms, filter.until_ms);
        if from.is_none() && until.is_none() {
            let last =
                sqlx::query_scalar!(r#"SELECT coalesce(max(seq), 0) AS "seq!: i64" FROM usage"#);
            return Ok((0, last.fetch_one(&self.reader).await?));
        }
        let (from, until) = (from.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX));
        let row = sqlx::query!(
            r#"SELECT coalesce(min(seq), 1) AS "first!: i64", coalesce(max(seq), 0) AS "last!: i64"
               FROM usage WHERE created_at_ms >= ? AND created_at_ms < ?"#,
            from,
            until
        )
        .fetch_one(&self.reader)
        .await?;
        Ok((row.first - 1, row.last))
    }
}

/// What writes these rows.
fn insert(rows: &[&UsageRow]) -> QueryBuilder<Sqlite> {
    let mut insert = QueryBuilder::new(
        "INSERT INTO usage (request_id, created_at_ms, api_key_id, project_id, model, endpoint,
                            stream, status, outcome, finish_reason, error, input_tokens,
                            output_tokens, cached_tokens, queue_ms, first_token_ms, duration_ms,
                            user_id, cost_nanousd, guardrails, cache) ",
    );
    insert.push_values(rows, |mut values, row| {
        values
            .push_bind(&*row.request_id)
            .push_bind(row.created_at_ms)
            .push_bind(&*row.api_key_id)
            .push_bind(&*row.project_id)
            .push_bind(&*row.model)
            .push_bind(&*row.endpoint)
            .push_bind(row.stream)
            .push_bind(row.status)
            .push_bind(row.outcome)
            .push_bind(row.finish_reason.as_deref())
            .push_bind(row.error.as_deref())
            .push_bind(row.input_tokens)
            .push_bind(row.output_tokens)
            .push_bind(row.cached_tokens)
            .push_bind(row.queue_ms)
            .push_bind(row.first_token_ms)
            .push_bind(row.duration_ms)
            .push_bind(row.user_id.as_deref())
            .push_bind(row.cost_nanousd)
            .push_bind(row.guardrails.as_deref())
            .push_bind(row.cache.as_deref());
    });
    insert
}

fn is_duplicate(error: &StoreError) -> bool {
    let StoreError::Query(sqlx::Error::Database(error)) = error else {
        return false;
    };
    error.is_unique_violation()
}

async fn prune(
    connection: &mut SqliteConnection,
    until_ms: i64,
    limit: u32,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM usage WHERE seq IN
             (SELECT seq FROM usage
              WHERE created_at_ms < ? AND seq <= (SELECT seq FROM usage_summed)
              ORDER BY created_at_ms LIMIT ?)",
        until_ms,
        limit
    )
    .execute(&mut *connection)
    .await?;
    // When the last row goes, its place is given again.
    sqlx::query!(
        "UPDATE usage_summed
         SET seq = min(seq, (SELECT coalesce(max(seq), 0) FROM usage)), prunes = prunes + 1"
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
