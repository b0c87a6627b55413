//! Questions about usage, answered from its sums.

use super::json::to_json;
use super::{Store, StoreError};

/// The width of a bucket of usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Known for [`super::MINUTES_KEPT`] seconds only.
    Minute,
    Hour,
    /// From midnight to midnight, UTC.
    Day,
}

impl Width {
    pub fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }
}

/// What is told apart; the rest is summed up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageGroups {
    pub project: bool,
    pub user: bool,
    pub key: bool,
    pub model: bool,
}

/// Which usage is asked for.
#[derive(Debug, Clone)]
pub struct UsageQuestion {
    pub width: Width,
    /// Unix seconds, the start of a bucket.
    pub from: i64,
    /// Unix seconds, the end of a bucket.
    pub to: i64,
    pub groups: UsageGroups,
    /// Of these alone; none: of all.
    pub projects: Option<Vec<String>>,
    pub users: Option<Vec<String>>,
    pub keys: Option<Vec<String>>,
    pub models: Option<Vec<String>>,
    /// Such as `chat.completions`; none: whatever it was.
    pub endpoints: Option<&'static [&'static str]>,
    /// Sums at most.
    pub most: u32,
}

/// The usage of one group in one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageSum {
    /// Of the bucket, in unix seconds.
    pub start: i64,
    /// None unless told apart.
    pub project_id: Option<String>,
    /// None unless told apart, and for what no person used.
    pub user_id: Option<String>,
    /// None unless told apart.
    pub api_key_id: Option<String>,
    /// None unless told apart.
    pub model: Option<String>,
    pub requests: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cached_tokens: i64,
    /// Billionths of a US dollar.
    pub cost_nanousd: i64,
}

/// Asks the sums of one width; the view's name has to be in the query when that is checked.
macro_rules! ask {
    ($table:literal, $question:expr, $connection:expr) => {{
        let question = $question;
        let groups = question.groups;
        let list = |ids: &Option<Vec<String>>| ids.as_ref().map(to_json);
        let (projects, users) = (list(&question.projects), list(&question.users));
        let (keys, models) = (list(&question.keys), list(&question.models));
        let endpoints = question.endpoints.map(|endpoints| to_json(&endpoints));
        sqlx::query_as!(
            UsageSum,
            r#"SELECT start AS "start!: i64",
                      CASE WHEN ?3 THEN project_id END AS "project_id: String",
                      nullif(CASE WHEN ?4 THEN user_id END, '') AS "user_id: String",
                      CASE WHEN ?5 THEN api_key_id END AS "api_key_id: String",
                      CASE WHEN ?6 THEN model END AS "model: String",
                      sum(requests) AS "requests!: i64",
                      sum(input_tokens) AS "input_tokens!: i64",
                      sum(output_tokens) AS "output_tokens!: i64",
                      sum(cached_tokens) AS "cached_tokens!: i64",
                      sum(cost_nanousd) AS "cost_nanousd!: i64"
               FROM "#
                + $table
                + r#"
               WHERE start >= ?1 AND start < ?2 AND model <> ''
                 AND (?7 IS NULL OR project_id IN (SELECT value FROM json_each(?7)))
                 AND (?8 IS NULL OR user_id IN (SELECT value FROM json_each(?8)))
                 AND (?9 IS NULL OR api_key_id IN (SELECT value FROM json_each(?9)))
                 AND (?10 IS NULL OR model IN (SELECT value FROM json_each(?10)))
                 AND (?11 IS NULL OR endpoint IN (SELECT value FROM json_each(?11)))
               GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5 LIMIT ?12"#,
            question.from,
            question.to,
            groups.project,
            groups.user,
            groups.key,
            groups.model,
            projects,
            users,
            keys,
            models,
            endpoints,
            question.most
        )
        .fetch_all($connection)
        .await?
    }};
}

impl Store {
    /// What was used by requests that reached a model, in the order of the buckets. Buckets
    /// without usage are left out.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn usage_sums(&self, question: &UsageQuestion) -> Result<Vec<UsageSum>, StoreError> {
        Ok(match question.width {
            Width::Minute => ask!("usage_by_minute", question, &self.reader),
            Width::Hour => ask!("usage_by_hour", question, &self.reader),
            Width::Day => ask!("usage_by_day", question, &self.reader),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::limits::Scope;
    use crate::records::{Actor, Outcome, UsageRow};
    use crate::store::MINUTES_KEPT;

    const DAY: i64 = 86_400;
    const TODAY: i64 = 20_000 * DAY;

    async fn store(dir: &std::path::Path) -> Store {
        Store::open(&dir.join("microllm.db")).await.unwrap()
    }

    pub(in crate::store) fn row(at: i64, model: &str) -> UsageRow {
        UsageRow {
            request_id: format!("req_{}", uuid::Uuid::new_v4()),
            created_at_ms: at * 1000 + 999,
            api_key_id: "key_1".into(),
            project_id: "proj_1".into(),
            user_id: None,
            model: model.into(),
            endpoint: "chat.completions".into(),
            stream: true,
            status: 200,
            outcome: Outcome::Completed,
            finish_reason: None,
            error: None,
            input_tokens: 10,
            output_tokens: 2,
            cached_tokens: 1,
            queue_ms: 0,
            first_token_ms: None,
            duration_ms: 12,
            cost_nanousd: 5,
            guardrails: None,
            cache: None,
        }
    }

    async fn used(store: &Store, at: i64) {
        store.insert_usage(&[&row(at, "m")]).await.unwrap();
    }

    pub(in crate::store) fn everything(width: Width) -> UsageQuestion {
        UsageQuestion {
            width,
            from: 0,
            to: i64::MAX,
            groups: UsageGroups::default(),
            projects: None,
            users: None,
            keys: None,
            models: None,
            endpoints: None,
            most: u32::MAX,
        }
    }

    /// `(start, requests)`
    async fn told(store: &Store, width: Width) -> Vec<(i64, i64)> {
        let sums = store.usage_sums(&everything(width)).await.unwrap();
        sums.iter().map(|sum| (sum.start, sum.requests)).collect()
    }

    #[tokio::test]
    async fn every_width_adds_up_to_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path()).await;
        for at in [TODAY, TODAY + 59, TODAY + 60, TODAY + 3600, TODAY + DAY] {
            used(&store, at).await;
        }
        let minutes = [(0, 2), (60, 1), (3600, 1), (DAY, 1)];
        let hours = [(0, 3), (3600, 1), (DAY, 1)];
        let days = [(0, 4), (DAY, 1)];
        let at = |told: &[(i64, i64)]| -> Vec<_> {
            told.iter().map(|(start, n)| (TODAY + start, *n)).collect()
        };
        assert_eq!(told(&store, Width::Minute).await, at(&minutes));
        assert_eq!(told(&store, Width::Hour).await, at(&hours));
        assert_eq!(told(&store, Width::Day).await, at(&days));
    }

    #[tokio::test]
    async fn a_row_that_was_recorded_before_is_not_counted_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path()).await;
        let row = row(TODAY, "m");
        store.insert_usage(&[&row]).await.unwrap();
        assert_eq!(store.insert_usage(&[&row]).await.unwrap(), [false]);
        assert_eq!(told(&store, Width::Day).await, [(TODAY, 1)]);
    }

    #[tokio::test]
    async fn sums_are_the_same_before_and_after_they_are_made_and_when_rows_go() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path()).await;
        let free = UsageRow {
            cache: Some("HIT".into()),
            ..row(TODAY + 60, "m")
        };
        let refused = UsageRow {
            status: 429,
            input_tokens: 0,
            ..row(TODAY + 60, "m")
        };
        let moderated = UsageRow {
            endpoint: "moderations".into(),
            input_tokens: 0,
            ..row(TODAY + 60, "m")
        };
        let rows = [row(TODAY, "m"), row(TODAY, "m"), free, refused, moderated];
        store.insert_usage(&rows.each_ref()).await.unwrap();
        let sums = async || {
            let told = store.usage_sums(&everything(Width::Minute)).await.unwrap();
            let used = store.used_before(&Scope::Organization, TODAY, TODAY, TODAY);
            (told, used.await.unwrap())
        };
        let before = sums().await;
        assert_eq!(before.0[1].requests, 2);
        assert_eq!((before.1.requests_day, before.1.tokens_day), (4, 28));
        store.sum_up_usage().await.unwrap();
        store.sum_up_usage().await.unwrap();
        assert_eq!(sums().await, before);

        let all = (TODAY + DAY) * 1000;
        let by = Actor::server(&crate::clock::Clock::system());
        let gone = store.prune_usage(all, 10, &by, None).await.unwrap();
        assert_eq!(gone, 5);
        assert_eq!(sums().await, before);
        // Places of rows that are gone are given again.
        used(&store, TODAY).await;
        store.sum_up_usage().await.unwrap();
        assert_eq!(sums().await.0[0].requests, 3);
    }

    #[tokio::test]
    async fn what_reached_no_model_is_not_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path()).await;
        let lost = UsageRow {
            input_tokens: 0,
            ..row(TODAY, "made up")
        };
        store.insert_usage(&[&lost]).await.unwrap();
        assert_eq!(told(&store, Width::Day).await, []);
        let used = store.used_before(&Scope::Organization, TODAY, TODAY, TODAY);
        assert_eq!(used.await.unwrap().requests_day, 1, "but it is limited");
    }

    #[tokio::test]
    async fn minutes_are_forgotten_and_hours_and_days_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path()).await;
        for minute in 0..5 {
            used(&store, TODAY + minute * 60).await;
        }
        let later = TODAY + MINUTES_KEPT;
        used(&store, later).await;
        assert_eq!(told(&store, Width::Minute).await.len(), 6, "all are kept");
        store.sum_up_usage().await.unwrap();
        assert_eq!(
            told(&store, Width::Minute).await.len(),
            6,
            "summed up or not"
        );
        used(&store, later + 3 * 60).await;
        store.sum_up_usage().await.unwrap();
        assert_eq!(told(&store, Width::Minute).await.len(), 4);
        assert_eq!(told(&store, Width::Hour).await, [(TODAY, 5), (later, 2)]);
        assert_eq!(told(&store, Width::Day).await, [(TODAY, 5), (later, 2)]);
    }

    #[tokio::test]
    async fn limits_begin_with_what_was_used_before() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path()).await;
        let month = TODAY - 9 * DAY;
        for at in [month - 1, month, TODAY - DAY, TODAY - 1, TODAY, TODAY + 60] {
            used(&store, at).await;
        }
        let now = TODAY + 2 * 3600;
        let scopes = [
            Scope::Key("key_1".into()),
            Scope::Project("proj_1".into()),
            Scope::Organization,
            Scope::Model("proj_1".into(), "m".into()),
        ];
        for scope in scopes {
            let used = store.used_before(&scope, now - DAY, TODAY, month).await;
            let used = used.unwrap();
            assert_eq!(used.requests_day, 3, "{scope:?}");
            assert_eq!((used.tokens_day, used.tokens_month), (24, 60), "{scope:?}");
            assert_eq!(
                (used.nanousd_day, used.nanousd_month),
                (10, 25),
                "{scope:?}"
            );
        }
        let other = Scope::Key("key_2".into());
        let used = store.used_before(&other, 0, 0, 0).await.unwrap();
        assert_eq!((used.requests_day, used.tokens_month), (0, 0));
    }
}
