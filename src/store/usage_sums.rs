//! Sums of usage, by the minute, the hour and the day: made of many rows at once, since whoever waits
//! for a row should not wait for them too. Readers ask the views, which add the rows that are in no
//! sum yet.

use serde::Serialize;
use sqlx::Connection;

use super::json::to_json;
use super::{Store, StoreError};
use crate::limits::{Scope, Used};

/// For how long usage is known by the minute, in seconds.
pub const MINUTES_KEPT: i64 = 8 * 86_400;
/// Rows worth summing up: each reader goes through those that are in no sum yet, which takes some
/// milliseconds.
pub const WORTH_SUMMING: usize = 4096;
/// Rows that are summed up at once at most; there are more only after sums have failed for long.
const AT_ONCE: i64 = 16_384;
/// Rows that one query reads: a processor that is kept for milliseconds is kept from answers.
const PIECE: i64 = 512;

/// The rows of a minute that have everything else in common.
#[derive(Debug, Serialize)]
struct Sum {
    /// A whole minute, in unix seconds.
    start: i64,
    project_id: String,
    api_key_id: String,
    user_id: String,
    model: String,
    endpoint: String,
    requests: i64,
    input_tokens: i64,
    output_tokens: i64,
    cached_tokens: i64,
    cost_nanousd: i64,
    free_tokens: i64,
}

impl Sum {
    /// What its rows have in common.
    fn of(&self) -> (i64, [&str; 5]) {
        let ids = [&self.project_id, &self.api_key_id, &self.user_id];
        let [project, key, user] = ids.map(String::as_str);
        (
            self.start,
            [project, key, user, &self.model, &self.endpoint],
        )
    }

    fn add(&mut self, more: &Self) {
        self.requests += more.requests;
        self.input_tokens += more.input_tokens;
        self.output_tokens += more.output_tokens;
        self.cached_tokens += more.cached_tokens;
        self.cost_nanousd += more.cost_nanousd;
        self.free_tokens += more.free_tokens;
    }
}

/// Rows that are in no sum yet, as they were when they were read.
#[derive(Debug)]
struct Pending {
    /// Those after this one,
    first: i64,
    /// and this one is the last.
    last: i64,
    /// Their places are theirs for as long as this stays the same.
    prunes: i64,
    /// There are more.
    goes_on: bool,
    sums: Vec<Sum>,
}

/// Adds to the sums of one table; its name has to be in the query when that is checked.
macro_rules! add {
    ($table:literal, $seconds:literal, $sums:expr, $connection:expr) => {
        sqlx::query!(
            "INSERT INTO "
                + $table
                + " (start, project_id, api_key_id, user_id, model, endpoint, requests,
                     input_tokens, output_tokens, cached_tokens, cost_nanousd, free_tokens)
                SELECT value->>'start' / ?1 * ?1, value->>'project_id', value->>'api_key_id',
                    value->>'user_id', value->>'model', value->>'endpoint', value->>'requests',
                    value->>'input_tokens', value->>'output_tokens', value->>'cached_tokens',
                    value->>'cost_nanousd', value->>'free_tokens'
                FROM json_each(?2) WHERE true
                ON CONFLICT DO UPDATE SET requests = requests + excluded.requests,
                    input_tokens = input_tokens + excluded.input_tokens,
                    output_tokens = output_tokens + excluded.output_tokens,
                    cached_tokens = cached_tokens + excluded.cached_tokens,
                    cost_nanousd = cost_nanousd + excluded.cost_nanousd,
                    free_tokens = free_tokens + excluded.free_tokens",
            $seconds,
            $sums
        )
        .execute(&mut *$connection)
        .await?
    };
}

impl Store {
    /// Adds the rows that are in no sum yet to the sums, and forgets minutes whose time is over.
    /// Nobody who reads can tell, nor does whoever writes rows wait for more than the result.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn sum_up_usage(&self) -> Result<(), StoreError> {
        while let Some(pending) = self.pending().await? {
            self.add(&pending).await?;
            if !pending.goes_on {
                break;
            }
        }
        Ok(())
    }

    /// What is in no sum yet.
    async fn pending(&self) -> Result<Option<Pending>, StoreError> {
        let marks = sqlx::query!(
            r#"SELECT seq, prunes, (SELECT coalesce(max(seq), 0) FROM usage) AS "last!: i64"
               FROM usage_summed"#
        );
        let marks = marks.fetch_one(&self.reader).await?;
        let last = marks.last.min(marks.seq.saturating_add(AT_ONCE));
        if last <= marks.seq {
            return Ok(None);
        }
        let mut sums = Vec::new();
        let mut read = marks.seq;
        while read < last {
            let until = last.min(read.saturating_add(PIECE));
            sums.extend(self.unsummed(read.saturating_add(1), until).await?);
            read = until;
        }
        sums.sort_unstable_by(|a, b| a.of().cmp(&b.of()));
        sums.dedup_by(|next, sum| {
            let same = next.of() == sum.of();
            if same {
                sum.add(next);
            }
            same
        });
        Ok(Some(Pending {
            first: marks.seq,
            prunes: marks.prunes,
            last,
            goes_on: last < marks.last,
            sums,
        }))
    }

    /// Adds to the sums, unless another process has.
    async fn add(&self, pending: &Pending) -> Result<(), StoreError> {
        let starts = pending.sums.iter().map(|sum| sum.start);
        let newest = starts.max().unwrap_or_default();
        let sums = to_json(&pending.sums);
        let mut writing = self.writing().await?;
        let mut transaction = writing.connection().begin_with("BEGIN IMMEDIATE").await?;
        let moved = sqlx::query!(
            "UPDATE usage_summed SET seq = ?1 WHERE seq = ?2 AND prunes = ?3",
            pending.last,
            pending.first,
            pending.prunes
        );
        if moved.execute(&mut *transaction).await?.rows_affected() == 1 {
            add!("usage_minutes", 60, sums, transaction);
            add!("usage_hours", 3600, sums, transaction);
            add!("usage_days", 86_400, sums, transaction);
            // No transaction has more than this to do, and more go at a time than come.
            let (until, most) = (newest - MINUTES_KEPT, 2 * AT_ONCE);
            sqlx::query!(
                "DELETE FROM usage_minutes WHERE start < ?1 AND start <= coalesce(
                     (SELECT start FROM usage_minutes ORDER BY start LIMIT 1 OFFSET ?2), ?1)",
                until,
                most
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        writing.done();
        Ok(())
    }

    /// The rows from one to another that are in no sum yet, by the minute.
    async fn unsummed(&self, first: i64, last: i64) -> Result<Vec<Sum>, StoreError> {
        Ok(sqlx::query_as!(
            Sum,
            r#"SELECT at / 60 * 60 AS "start!: i64", project_id, api_key_id,
                      user_id AS "user_id!: String", model AS "model!: String", endpoint,
                      sum(requests) AS "requests!: i64", sum(input_tokens) AS "input_tokens!: i64",
                      sum(output_tokens) AS "output_tokens!: i64",
                      sum(cached_tokens) AS "cached_tokens!: i64",
                      sum(cost_nanousd) AS "cost_nanousd!: i64",
                      sum(free_tokens) AS "free_tokens!: i64"
               FROM usage_unsummed WHERE seq BETWEEN ?1 AND ?2 GROUP BY 1, 2, 3, 4, 5, 6"#,
            first,
            last
        )
        .fetch_all(&self.reader)
        .await?)
    }

    /// What a scope has used: requests since `day_ago` (to the hour), tokens and costs since the
    /// starts of the day and the month (UTC), all in unix seconds.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn used_before(
        &self,
        scope: &Scope,
        day_ago: i64,
        day: i64,
        month: i64,
    ) -> Result<Used, StoreError> {
        let (mut project, mut key, mut user, mut model) = (None, None, None, None);
        match scope {
            Scope::Key(id) => key = Some(&**id),
            Scope::User(id) => user = Some(&**id),
            Scope::Project(id) => project = Some(&**id),
            Scope::Organization => {}
            Scope::Model(id, name) => {
                project = Some(&**id);
                model = Some(&**name);
            }
        }
        let hours = sqlx::query!(
            r#"SELECT coalesce(sum(requests), 0) AS "requests!: i64"
               FROM usage_by_hour
               WHERE start > ?1 - 3600 AND (?2 IS NULL OR project_id = ?2)
                 AND (?3 IS NULL OR api_key_id = ?3) AND (?4 IS NULL OR user_id = ?4)
                 AND (?5 IS NULL OR model = ?5)"#,
            day_ago,
            project,
            key,
            user,
            model
        )
        .fetch_one(&self.reader)
        .await?;
        let days = sqlx::query!(
            r#"SELECT
                 coalesce(sum(CASE WHEN start >= ?1
                                   THEN input_tokens + output_tokens - free_tokens END), 0)
                     AS "tokens_day!: i64",
                 coalesce(sum(CASE WHEN start >= ?2
                                   THEN input_tokens + output_tokens - free_tokens END), 0)
                     AS "tokens_month!: i64",
                 coalesce(sum(CASE WHEN start >= ?1 THEN cost_nanousd END), 0)
                     AS "nanousd_day!: i64",
                 coalesce(sum(CASE WHEN start >= ?2 THEN cost_nanousd END), 0)
                     AS "nanousd_month!: i64"
               FROM usage_by_day
               WHERE start >= min(?1, ?2) AND (?3 IS NULL OR project_id = ?3)
                 AND (?4 IS NULL OR api_key_id = ?4) AND (?5 IS NULL OR user_id = ?5)
                 AND (?6 IS NULL OR model = ?6)"#,
            day,
            month,
            project,
            key,
            user,
            model
        )
        .fetch_one(&self.reader)
        .await?;
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok(Used {
            requests_day: count(hours.requests),
            tokens_day: count(days.tokens_day),
            tokens_month: count(days.tokens_month),
            nanousd_day: count(days.nanousd_day),
            nanousd_month: count(days.nanousd_month),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::records::{Actor, UsageRow};
    use crate::store::Width;
    use crate::store::usage_read::tests::{everything, row};

    const NOW: i64 = 20_000 * 86_400;

    #[tokio::test]
    async fn what_another_process_has_summed_up_and_removed_is_not_added_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("microllm.db")).await.unwrap();
        store.insert_usage(&[&row(NOW, "m")]).await.unwrap();
        let late = store.pending().await.unwrap().unwrap();

        let by = Actor::server(&Clock::system());
        let until = (NOW + 1) * 1000;
        assert_eq!(store.prune_usage(until, 10, &by, None).await.unwrap(), 1);
        // The place of the row that is gone.
        store.insert_usage(&[&row(NOW, "m")]).await.unwrap();
        store.add(&late).await.unwrap();
        store.sum_up_usage().await.unwrap();

        let used = store.used_before(&Scope::Organization, NOW, NOW, NOW);
        assert_eq!(used.await.unwrap().requests_day, 2);
    }

    #[tokio::test]
    async fn rows_of_several_pieces_are_each_added_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("microllm.db")).await.unwrap();
        // Of two minutes, and more than one query reads.
        let rows = (0..2 * PIECE + 100).map(|n| UsageRow {
            cache: (n % 3 == 0).then(|| "HIT".into()),
            ..row(NOW + n % 61, "m")
        });
        let rows: Vec<UsageRow> = rows.collect();
        let written = store.insert_usage(&rows.iter().collect::<Vec<_>>()).await;
        assert!(written.unwrap().into_iter().all(|written| written));
        let told = async || {
            let minutes = store.usage_sums(&everything(Width::Minute)).await;
            let used = store.used_before(&Scope::Organization, NOW, NOW, NOW);
            (minutes.unwrap(), used.await.unwrap())
        };
        let before = told().await;
        assert_eq!(before.1.requests_day, rows.len() as u64);
        assert_eq!(store.pending().await.unwrap().unwrap().sums.len(), 2);
        for _ in 0..2 {
            store.sum_up_usage().await.unwrap();
            assert_eq!(told().await, before);
        }
        assert!(store.pending().await.unwrap().is_none());
    }
}
