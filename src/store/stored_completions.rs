//! Chat completions that their callers wanted to be kept. They are a project's: every statement
//! names it, but for those that end them and those about one person.

use std::collections::BTreeMap;

use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};

use super::json::{from_json, to_json};
use super::{Cursor, Store, StoreError};
use crate::openai::completion::ChatCompletion;
use crate::openai::tools::Call;
use crate::records::{Actor, AuditEvent};

/// Rows fetched at a time when all are read: each may hold a whole conversation.
const PAGE: u32 = 50;

/// What is stored of a chat completion.
#[derive(Debug, Clone, Serialize)]
pub struct StoredCompletion {
    pub project_id: String,
    /// Whose key or session asked for it; none for a service account's.
    pub user_id: Option<String>,
    pub metadata: BTreeMap<String, String>,
    /// The answer as it went out, without log probabilities.
    pub completion: ChatCompletion,
    /// The question as the guards let it through.
    pub messages: Vec<StoredMessage>,
}

/// A message of a stored question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredMessage {
    pub role: String,
    pub content: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the model has asked for in this turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Call>,
    /// Which call this is the answer to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

/// Which stored completions of a project are asked for. What is none or empty does not narrow it.
#[derive(Debug, Clone, Default)]
pub struct StoredFilter {
    pub model: Option<String>,
    /// Pairs that all have to be there.
    pub metadata: BTreeMap<String, String>,
}

struct Row {
    completion: String,
    metadata: String,
}

impl TryFrom<Row> for ChatCompletion {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let completion: Self = from_json(&row.completion, "completion")?;
        Ok(Self {
            metadata: Some(from_json(&row.metadata, "metadata")?),
            ..completion
        })
    }
}

impl Store {
    /// Stores a completion and tells whether that was so: nothing is stored of a project that is
    /// to keep no text (OpenAI's zero data retention) or is archived, nor of a person who has been
    /// erased meanwhile. It is durable when this returns.
    ///
    /// # Errors
    /// When the database cannot be written, a full disk included.
    pub async fn store_completion(&self, row: &StoredCompletion) -> Result<bool, StoreError> {
        let metadata = to_json(&row.metadata);
        let completion = to_json(&row.completion);
        let messages = to_json(&row.messages);
        let mut writing = self.writing().await?;
        let done = sqlx::query!(
            "INSERT INTO stored_completions (id, project_id, user_id, created_at, model, metadata,
                                             completion, messages)
             SELECT ?1, p.id, ?3, ?4, ?5, ?6, ?7, ?8 FROM projects p, organization o
             WHERE p.id = ?2 AND p.archived_at IS NULL
               AND CASE p.data_retention WHEN 'organization_default' THEN o.data_retention
                                         ELSE p.data_retention END
                   NOT LIKE '%zero_data_retention'
               AND NOT EXISTS (SELECT 1 FROM users WHERE id = ?3 AND erased_at IS NOT NULL)",
            row.completion.id,
            row.project_id,
            row.user_id,
            row.completion.created,
            row.completion.model,
            metadata,
            completion,
            messages
        )
        .execute(writing.connection())
        .await?;
        writing.done();
        Ok(done.rows_affected() == 1)
    }

    /// Stored completions of a project, without their messages.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn stored_completions(
        &self,
        project_id: &str,
        filter: &StoredFilter,
        cursor: &Cursor,
    ) -> Result<Vec<ChatCompletion>, StoreError> {
        let metadata = to_json(&filter.metadata);
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT completion, metadata FROM stored_completions s
               WHERE project_id = ?1
                 AND (?2 IS NULL OR CASE WHEN ?3 THEN id < ?2 ELSE id > ?2 END)
                 AND (?4 IS NULL OR model = ?4)
                 AND NOT EXISTS (SELECT 1 FROM json_each(?5) wanted WHERE NOT EXISTS
                     (SELECT 1 FROM json_each(s.metadata) has
                      WHERE has.key = wanted.key AND has.value = wanted.value))
               ORDER BY CASE WHEN ?3 THEN id END DESC, id LIMIT ?6"#,
            project_id,
            cursor.after,
            cursor.descending,
            filter.model,
            metadata,
            cursor.limit
        )
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(ChatCompletion::try_from).collect()
    }

    /// A stored completion of a project.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn stored_completion(
        &self,
        project_id: &str,
        id: &str,
    ) -> Result<Option<ChatCompletion>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            "SELECT completion, metadata FROM stored_completions WHERE project_id = ? AND id = ?",
            project_id,
            id
        )
        .fetch_optional(&self.reader)
        .await?;
        row.map(ChatCompletion::try_from).transpose()
    }

    /// What a stored completion of a project answers.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn stored_messages(
        &self,
        project_id: &str,
        id: &str,
    ) -> Result<Option<Vec<StoredMessage>>, StoreError> {
        let messages = sqlx::query_scalar!(
            "SELECT messages FROM stored_completions WHERE project_id = ? AND id = ?",
            project_id,
            id
        )
        .fetch_optional(&self.reader)
        .await?;
        messages
            .map(|messages| from_json(&messages, "messages"))
            .transpose()
    }

    /// Gives a stored completion of a project other metadata; none when there is no such one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_stored_metadata(
        &self,
        project_id: &str,
        id: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Option<ChatCompletion>, StoreError> {
        let metadata = to_json(metadata);
        let mut writing = self.writing().await?;
        let row = sqlx::query_as!(
            Row,
            "UPDATE stored_completions SET metadata = ? WHERE project_id = ? AND id = ?
             RETURNING completion, metadata",
            metadata,
            project_id,
            id
        )
        .fetch_all(writing.connection())
        .await?
        .pop();
        writing.done();
        row.map(ChatCompletion::try_from).transpose()
    }

    /// Removes a stored completion of a project and tells whether there was such a one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_stored_completion(
        &self,
        project_id: &str,
        id: &str,
    ) -> Result<bool, StoreError> {
        let mut writing = self.writing().await?;
        let done = sqlx::query!(
            "DELETE FROM stored_completions WHERE project_id = ? AND id = ?",
            project_id,
            id
        )
        .execute(writing.connection())
        .await?;
        writing.done();
        Ok(done.rows_affected() > 0)
    }

    /// Every stored completion that a person asked for, in the order of creation, a page at a
    /// time.
    pub fn stored_of_person(
        &self,
        user_id: &str,
    ) -> impl Stream<Item = Result<Vec<StoredCompletion>, StoreError>> + Send + use<> {
        let start = (self.clone(), user_id.to_owned(), String::new());
        stream::try_unfold(start, |(store, user_id, after)| async move {
            let page = store.stored_page_of(&user_id, &after).await?;
            let last = page.last().map(|row| row.completion.id.clone());
            Ok(last.map(|last| (page, (store, user_id, last))))
        })
    }

    async fn stored_page_of(
        &self,
        user_id: &str,
        after: &str,
    ) -> Result<Vec<StoredCompletion>, StoreError> {
        let rows = sqlx::query!(
            "SELECT project_id, user_id, metadata, completion, messages FROM stored_completions
             WHERE user_id = ? AND id > ? ORDER BY id LIMIT ?",
            user_id,
            after,
            PAGE
        )
        .fetch_all(&self.reader)
        .await?;
        let rows = rows.into_iter().map(|row| {
            Ok(StoredCompletion {
                project_id: row.project_id,
                user_id: row.user_id,
                metadata: from_json(&row.metadata, "metadata")?,
                completion: from_json(&row.completion, "completion")?,
                messages: from_json(&row.messages, "messages")?,
            })
        });
        rows.collect()
    }

    /// How many stored completions are not to be kept any longer: from before this time (unix
    /// seconds), or of projects that are to keep no text or are archived.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn stored_to_go(&self, until: Option<i64>) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!: i64" FROM stored_completions
               WHERE created_at < ?1 OR project_id IN
                   (SELECT p.id FROM projects p, organization o
                    WHERE p.archived_at IS NOT NULL
                       OR CASE p.data_retention WHEN 'organization_default' THEN o.data_retention
                                                ELSE p.data_retention END
                          LIKE '%zero_data_retention')"#,
            until
        )
        .fetch_one(&self.reader)
        .await?)
    }

    /// Removes up to `limit` of them, and tells how many that were. `event` is audited with it: the
    /// first batch's tells about all of them.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn prune_stored(
        &self,
        until: Option<i64>,
        limit: u32,
        by: &Actor,
        event: Option<AuditEvent>,
    ) -> Result<u64, StoreError> {
        match event {
            Some(event) => {
                let mut change = self.change_by(by).await?;
                let removed = prune(change.on(), until, limit).await?;
                change.commit(by, &[event]).await?;
                Ok(removed)
            }
            None => {
                let mut writing = self.writing().await?;
                let removed = prune(writing.connection(), until, limit).await?;
                writing.done();
                Ok(removed)
            }
        }
    }
}

async fn prune(
    connection: &mut sqlx::SqliteConnection,
    until: Option<i64>,
    limit: u32,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM stored_completions WHERE id IN
             (SELECT id FROM stored_completions
              WHERE created_at < ?1 OR project_id IN
                  (SELECT p.id FROM projects p, organization o
                   WHERE p.archived_at IS NOT NULL
                      OR CASE p.data_retention WHEN 'organization_default' THEN o.data_retention
                                               ELSE p.data_retention END
                         LIKE '%zero_data_retention')
              LIMIT ?2)",
        until,
        limit
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Removes whatever a person asked for.
pub(super) async fn forget_person(
    connection: &mut sqlx::SqliteConnection,
    user_id: &str,
) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM stored_completions WHERE user_id = ?", user_id)
        .execute(connection)
        .await?;
    Ok(())
}
