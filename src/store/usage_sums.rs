//! Sums of usage, by the minute, the hour and the day, written with the rows themselves.

use std::collections::HashMap;

use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite};

use super::json::to_json;
use super::{Store, StoreError};
use crate::cache::Status;
use crate::limits::{Scope, Used};
use crate::records::{MODERATIONS, UsageRow};

/// For how long usage is known by the minute, in seconds.
pub const MINUTES_KEPT: i64 = 8 * 86_400;

/// Columns of a sum, as the statement below reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
struct Group<'a>(
    /// A whole minute, in unix seconds.
    i64,
    /// Project, key, user, model, endpoint.
    [&'a str; 5],
);

#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Sums {
    requests: i64,
    input_tokens: i64,
    output_tokens: i64,
    cached_tokens: i64,
    cost_nanousd: i64,
    free_tokens: i64,
}

const TABLES: [(&str, i64); 3] = [
    ("usage_minutes", 60),
    ("usage_hours", 3600),
    ("usage_days", 86_400),
];

/// Adds rows to the sums, in what writes the rows. Also removes the oldest two minutes when their
/// time is over: what comes in by the minute leaves at least as fast, and no transaction has much
/// of it to do.
pub(super) fn add(script: &mut QueryBuilder<Sqlite>, rows: &[&UsageRow]) {
    let sums: Vec<(Group<'_>, Sums)> = grouped(rows).into_iter().collect();
    let sums = to_json(&sums);
    for (table, seconds) in TABLES {
        script
            .push("; INSERT INTO ")
            .push(table)
            .push(
                " (project_id, api_key_id, user_id, model, endpoint, requests, input_tokens,
                   output_tokens, cached_tokens, cost_nanousd, free_tokens, start)
                 SELECT value->>'$[0][1][0]', value->>'$[0][1][1]', value->>'$[0][1][2]',
                     value->>'$[0][1][3]', value->>'$[0][1][4]', value->>'$[1].requests',
                     value->>'$[1].input_tokens', value->>'$[1].output_tokens',
                     value->>'$[1].cached_tokens', value->>'$[1].cost_nanousd',
                     value->>'$[1].free_tokens', value->>'$[0][0]' / ",
            )
            .push(seconds)
            .push(" * ")
            .push(seconds)
            .push(" FROM json_each(")
            .push_bind(sums.as_str())
            .push(
                ") WHERE true
                 ON CONFLICT DO UPDATE SET requests = requests + excluded.requests,
                     input_tokens = input_tokens + excluded.input_tokens,
                     output_tokens = output_tokens + excluded.output_tokens,
                     cached_tokens = cached_tokens + excluded.cached_tokens,
                     cost_nanousd = cost_nanousd + excluded.cost_nanousd,
                     free_tokens = free_tokens + excluded.free_tokens",
            );
    }
    let newest = rows.iter().map(|row| row.created_at_ms).max();
    let newest = newest.unwrap_or_default().div_euclid(1000);
    script
        .push("; DELETE FROM usage_minutes WHERE start < ")
        .push_bind(newest - MINUTES_KEPT - 60)
        .push(" AND start <= (SELECT min(start) FROM usage_minutes) + 60");
}

fn grouped<'a>(rows: &[&'a UsageRow]) -> HashMap<Group<'a>, Sums> {
    let mut groups: HashMap<Group<'a>, Sums> = HashMap::new();
    for row in rows {
        let at = row.created_at_ms.div_euclid(1000);
        // A name that no model was reached by may be made up, and must not fill the sums.
        // Moderations have no tokens.
        let is_moderation = row.endpoint == MODERATIONS && row.status == 200;
        let is_unknown = row.input_tokens == 0 && !is_moderation;
        let group = Group(
            at - at.rem_euclid(60),
            [
                &row.project_id,
                &row.api_key_id,
                row.user_id.as_deref().unwrap_or_default(),
                if is_unknown { "" } else { &row.model },
                &row.endpoint,
            ],
        );
        let sums = groups.entry(group).or_default();
        // A request that a limit refused has used none of it.
        let is_refused = row.status == 429 && is_unknown;
        sums.requests += i64::from(!is_refused);
        sums.input_tokens += i64::from(row.input_tokens);
        sums.output_tokens += i64::from(row.output_tokens);
        sums.cached_tokens += i64::from(row.cached_tokens);
        sums.cost_nanousd += row.cost_nanousd;
        if row.cache.as_deref() == Some(Status::Hit.as_str()) {
            sums.free_tokens += i64::from(row.input_tokens) + i64::from(row.output_tokens);
        }
    }
    groups
}

impl Store {
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
               FROM usage_hours
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
               FROM usage_days
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
