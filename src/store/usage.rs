use futures_util::stream::{self, Stream, TryStreamExt};

use super::{Store, StoreError};
use crate::records::{Outcome, UsageRow};

/// Rows fetched at a time when all are read.
const PAGE: u32 = 1000;

/// A usage row and its place in the order of recording.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredUsage {
    pub seq: i64,
    pub row: UsageRow,
}

impl Store {
    /// Writes rows in one transaction: all are durable when this returns, or none.
    ///
    /// Returns, for each row, whether it was written; a row whose `request_id` was recorded
    /// before is not written again.
    ///
    /// # Errors
    /// When the database cannot be written, a full disk included.
    pub async fn insert_usage(&self, rows: &[&UsageRow]) -> Result<Vec<bool>, StoreError> {
        let mut written = Vec::with_capacity(rows.len());
        let mut writing = self.writing().await?;
        let mut tx = writing.begin().await?;
        for row in rows {
            let done = sqlx::query!(
                "INSERT INTO usage (request_id, created_at_ms, api_key_id, project_id, model,
                                    endpoint, stream, status, outcome, finish_reason, error,
                                    input_tokens, output_tokens, cached_tokens, queue_ms,
                                    first_token_ms, duration_ms)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT (request_id) DO NOTHING",
                row.request_id,
                row.created_at_ms,
                row.api_key_id,
                row.project_id,
                row.model,
                row.endpoint,
                row.stream,
                row.status,
                row.outcome,
                row.finish_reason,
                row.error,
                row.input_tokens,
                row.output_tokens,
                row.cached_tokens,
                row.queue_ms,
                row.first_token_ms,
                row.duration_ms
            )
            .execute(&mut *tx)
            .await?;
            written.push(done.rows_affected() == 1);
        }
        tx.commit().await?;
        writing.done();
        Ok(written)
    }

    /// Every usage row that is there when the call is made, in the order of recording.
    ///
    /// Read a page at a time: a long read would keep SQLite from tidying up its log.
    pub fn usage_rows(&self) -> impl Stream<Item = Result<UsageRow, StoreError>> + '_ {
        stream::try_unfold(None, move |position| async move {
            let (after, last) = match position {
                Some(position) => position,
                None => (0, self.last_usage_seq().await?),
            };
            let page = self.usage_page(after, last, PAGE).await?;
            Ok::<_, StoreError>(
                page.last()
                    .map(|stored| stored.seq)
                    .map(|seq| (stream::iter(page.into_iter().map(Ok)), Some((seq, last)))),
            )
        })
        .try_flatten()
        .map_ok(|stored| stored.row)
    }

    /// Up to `limit` rows with `after < seq <= last`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn usage_page(
        &self,
        after: i64,
        last: i64,
        limit: u32,
    ) -> Result<Vec<StoredUsage>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT seq, request_id, created_at_ms, api_key_id, project_id, model, endpoint,
                      stream AS "stream: bool", status AS "status: u16",
                      outcome AS "outcome: Outcome", finish_reason, error,
                      input_tokens AS "input_tokens: u32", output_tokens AS "output_tokens: u32",
                      cached_tokens AS "cached_tokens: u32", queue_ms AS "queue_ms: u32",
                      first_token_ms AS "first_token_ms: u32", duration_ms AS "duration_ms: u32"
               FROM usage WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"#,
            after,
            last,
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
            },
        });
        Ok(stored.collect())
    }

    async fn last_usage_seq(&self) -> Result<i64, StoreError> {
        let last = sqlx::query_scalar!(r#"SELECT coalesce(max(seq), 0) AS "seq!: i64" FROM usage"#)
            .fetch_one(&self.reader)
            .await?;
        Ok(last)
    }
}
