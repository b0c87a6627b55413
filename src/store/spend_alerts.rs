use serde::Serialize;
use serde_json::json;
use sqlx::SqliteConnection;

use super::edit::changed;
use super::json::{from_json, to_json};
use super::{Store, StoreError};
use crate::records::{Actor, AuditEvent};

/// Somebody wants to know when a month has cost this much. `Serialize` is what the audit says of
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpendAlertRow {
    /// `alert_…`
    #[serde(skip)]
    pub id: String,
    /// None: the whole organization.
    #[serde(skip)]
    pub project_id: Option<String>,
    /// US cents.
    pub threshold: i64,
    #[serde(skip)]
    pub recipients: Vec<String>,
    #[serde(skip)]
    pub subject_prefix: Option<String>,
    #[serde(skip)]
    pub created_at: i64,
}

/// A calendar month (UTC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Month {
    /// Year * 12 + month - 1.
    pub number: i64,
    /// Its first second, in unix seconds.
    pub start: i64,
    /// The first second after it.
    pub end: i64,
}

/// An alert whose threshold was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachedAlert {
    pub id: String,
    pub project_id: Option<String>,
    /// US cents.
    pub threshold: i64,
}

impl Store {
    /// The spend alerts of a project, or of the organization.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn spend_alerts(
        &self,
        project_id: Option<&str>,
    ) -> Result<Vec<SpendAlertRow>, StoreError> {
        let mut connection = self.reader.acquire().await?;
        spend_alerts(&mut connection, project_id).await
    }

    /// Stores a new spend alert, unless there are `most` already. Returns whether it did.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn insert_spend_alert(
        &self,
        alert: &SpendAlertRow,
        most: usize,
        by: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        let project_id = alert.project_id.as_deref();
        if spend_alerts(change.on(), project_id).await?.len() >= most {
            change.abandon().await?;
            return Ok(false);
        }
        let recipients = to_json(&alert.recipients);
        sqlx::query!(
            "INSERT INTO spend_alerts (id, project_id, threshold, recipients, subject_prefix,
                                       created_at)
             VALUES (?, ?, ?, ?, ?, ?)",
            alert.id,
            alert.project_id,
            alert.threshold,
            recipients,
            alert.subject_prefix,
            alert.created_at
        )
        .execute(change.on())
        .await?;
        let event = event("spend_alert.created", project_id, &alert.id);
        change
            .commit(by, &[event.with("data", json!(alert))])
            .await?;
        Ok(true)
    }

    /// Changes a spend alert's threshold, recipients or prefix; none when there is no such alert.
    /// With another threshold it may be reached once more this month.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn edit_spend_alert(
        &self,
        project_id: Option<&str>,
        id: &str,
        by: &Actor,
        edit: impl FnOnce(&mut SpendAlertRow),
    ) -> Result<Option<SpendAlertRow>, StoreError> {
        let mut change = self.change_by(by).await?;
        let alerts = spend_alerts(change.on(), project_id).await?;
        let Some(before) = alerts.into_iter().find(|alert| alert.id == id) else {
            change.abandon().await?;
            return Ok(None);
        };
        let mut after = before.clone();
        edit(&mut after);
        let recipients = to_json(&after.recipients);
        sqlx::query!(
            "UPDATE spend_alerts
             SET fired_month = CASE WHEN threshold = ?1 THEN fired_month END, threshold = ?1,
                 recipients = ?2, subject_prefix = ?3
             WHERE id = ?4",
            after.threshold,
            recipients,
            after.subject_prefix,
            id
        )
        .execute(change.on())
        .await?;
        match edited(&before, &after) {
            Some(event) => change.commit(by, &[event]).await?,
            None => change.abandon().await?,
        }
        Ok(Some(after))
    }

    /// Removes a spend alert. Returns whether there was one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_spend_alert(
        &self,
        project_id: Option<&str>,
        id: &str,
        by: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        let done = sqlx::query!(
            "DELETE FROM spend_alerts WHERE id = ? AND project_id IS ?",
            id,
            project_id
        )
        .execute(change.on())
        .await?;
        if done.rows_affected() == 0 {
            change.abandon().await?;
            return Ok(false);
        }
        change
            .commit(by, &[event("spend_alert.deleted", project_id, id)])
            .await?;
        Ok(true)
    }

    /// The alerts whose threshold the month's cost has reached, unless they were told of before.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn reached_spend_alerts(
        &self,
        month: &Month,
    ) -> Result<Vec<ReachedAlert>, StoreError> {
        let waiting = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM spend_alerts WHERE coalesce(fired_month, -1) < ?)
               AS "exists: bool""#,
            month.number
        );
        if !waiting.fetch_one(&self.reader).await? {
            // Nothing to sum up for, which is the rule.
            return Ok(Vec::new());
        }
        // A cent is ten million billionths of a dollar.
        Ok(sqlx::query_as!(
            ReachedAlert,
            "WITH cost AS MATERIALIZED (
                 SELECT project_id, sum(cost_nanousd) AS nanousd FROM usage_by_day
                 WHERE start >= ?1 AND start < ?2 GROUP BY project_id
             )
             SELECT id, project_id, threshold FROM spend_alerts s
             WHERE coalesce(fired_month, -1) < ?3 AND created_at < ?2
               AND (SELECT coalesce(sum(nanousd), 0) FROM cost c
                    WHERE s.project_id IS NULL OR c.project_id = s.project_id)
                   >= max(threshold * 10000000, 1)
             ORDER BY id",
            month.start,
            month.end,
            month.number
        )
        .fetch_all(&self.reader)
        .await?)
    }

    /// Notes that an alert was reached in this month. Returns false when that was noted before,
    /// or the alert is no more.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn fire_spend_alert(
        &self,
        alert: &ReachedAlert,
        month: &Month,
        by: &Actor,
    ) -> Result<bool, StoreError> {
        let mut change = self.change_by(by).await?;
        let done = sqlx::query!(
            "UPDATE spend_alerts SET fired_month = ?1
             WHERE id = ?2 AND threshold = ?3 AND coalesce(fired_month, -1) < ?1",
            month.number,
            alert.id,
            alert.threshold
        )
        .execute(change.on())
        .await?;
        if done.rows_affected() == 0 {
            change.abandon().await?;
            return Ok(false);
        }
        let project_id = alert.project_id.as_deref();
        let event = event("spend_alert.triggered", project_id, &alert.id)
            .with("threshold", alert.threshold)
            .with("month", month.name());
        change.commit(by, &[event]).await?;
        Ok(true)
    }
}

impl Month {
    /// Such as `2026-01`.
    pub fn name(&self) -> String {
        let (year, month) = (self.number.div_euclid(12), self.number.rem_euclid(12) + 1);
        format!("{year:04}-{month:02}")
    }
}

fn event(kind: &'static str, project_id: Option<&str>, id: &str) -> AuditEvent {
    let mut event = AuditEvent::about(kind, id);
    event.project_id = project_id.map(str::to_owned);
    event
}

/// What an edit changed. Addresses are a person's data: only that they changed is told.
fn edited(before: &SpendAlertRow, after: &SpendAlertRow) -> Option<AuditEvent> {
    let mut unsaid = Vec::new();
    if before.recipients != after.recipients {
        unsaid.push("recipients");
    }
    if before.subject_prefix != after.subject_prefix {
        unsaid.push("subject_prefix");
    }
    let kind = "spend_alert.updated";
    let mut event = match changed(kind, &after.id, before, after) {
        None if unsaid.is_empty() => return None,
        None => AuditEvent::about(kind, &after.id),
        Some(event) => event,
    };
    event.project_id.clone_from(&after.project_id);
    Some(match unsaid.is_empty() {
        true => event,
        false => event.with("changed", unsaid),
    })
}

async fn spend_alerts(
    connection: &mut SqliteConnection,
    project_id: Option<&str>,
) -> Result<Vec<SpendAlertRow>, StoreError> {
    let rows = sqlx::query!(
        "SELECT id, project_id, threshold, recipients, subject_prefix, created_at
         FROM spend_alerts WHERE project_id IS ? ORDER BY id",
        project_id
    )
    .fetch_all(connection)
    .await?;
    let alerts = rows.into_iter().map(|row| {
        Ok(SpendAlertRow {
            id: row.id,
            project_id: row.project_id,
            threshold: row.threshold,
            recipients: from_json(&row.recipients, "recipients")?,
            subject_prefix: row.subject_prefix,
            created_at: row.created_at,
        })
    });
    alerts.collect()
}
