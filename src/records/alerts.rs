//! Spend alerts: a month has cost as much as somebody wanted to be told about.

use std::time::Duration;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use reqwest::Url;
use serde_json::json;

use super::Actor;
use crate::clock::Clock;
use crate::config::AlertsConfig;
use crate::store::{Month, ReachedAlert, Store, StoreError};

/// For one attempt to reach the webhook.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Before each attempt.
const WAITS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(4),
];

/// Where alerts are posted to. Nothing but the configured address is ever asked: no redirects.
#[derive(Debug, Clone)]
pub struct Webhook {
    url: Url,
    client: reqwest::Client,
}

impl Webhook {
    /// None without one in the configuration, or where no client can be made, which is logged.
    pub fn of(config: &AlertsConfig) -> Option<Self> {
        let url = config.webhook_url().ok()??;
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        let client = match url.scheme() {
            // A proxy would take it off this machine.
            "http" => client.no_proxy(),
            _ => client,
        };
        match client.build() {
            Ok(client) => Some(Self { url, client }),
            Err(error) => {
                tracing::error!(%error, "no webhook can be reached");
                None
            }
        }
    }

    async fn post(&self, alert: &ReachedAlert, month: &Month) {
        let body = json!({
            "object": "spend_alert.triggered",
            "id": alert.id,
            "project_id": alert.project_id,
            "threshold_amount": alert.threshold,
            "currency": "USD",
            "month": month.name(),
        });
        let mut failure = String::new();
        for wait in WAITS {
            tokio::time::sleep(wait).await;
            let sent = self.client.post(self.url.clone()).json(&body).send().await;
            match sent {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => failure = format!("it answered {}", answer.status()),
                // The address may hold a secret.
                Err(error) => failure = error.without_url().to_string(),
            }
        }
        tracing::error!(
            alert = alert.id,
            failure,
            "the webhook was not told of a spend alert"
        );
    }
}

/// How long after a month its costs are still looked at, in seconds: longer than a server is down.
const GRACE: i64 = 24 * 60 * 60;

/// Tells about every alert whose threshold the month's cost has reached: once a month each, to the
/// audit, the log, and the webhook if there is one. The webhook is told at most once; what it missed
/// is in the audit.
///
/// # Errors
/// When the database cannot be read or written.
pub async fn check_spend_alerts(
    store: &Store,
    clock: &Clock,
    webhook: Option<&Webhook>,
) -> Result<(), StoreError> {
    let now = clock.now_secs();
    // The month that has just ended too: its last answers may have come since the last look.
    let months = [now.saturating_sub(GRACE), now].map(month_of);
    for month in months.into_iter().flatten() {
        check_month(store, clock, webhook, &month).await?;
    }
    Ok(())
}

async fn check_month(
    store: &Store,
    clock: &Clock,
    webhook: Option<&Webhook>,
    month: &Month,
) -> Result<(), StoreError> {
    for alert in store.reached_spend_alerts(month).await? {
        if !store
            .fire_spend_alert(&alert, month, &Actor::server(clock))
            .await?
        {
            continue;
        }
        tracing::warn!(
            alert = alert.id,
            project = alert.project_id.as_deref().unwrap_or("all"),
            cents = alert.threshold,
            month = month.name(),
            "a spend alert's threshold is reached"
        );
        if let Some(webhook) = webhook {
            // On its own: a webhook that does not answer must not hold anything else up. There are
            // at most as many as alerts, and each ends.
            let (webhook, month) = (webhook.clone(), month.clone());
            tokio::spawn(async move { webhook.post(&alert, &month).await });
        }
    }
    Ok(())
}

/// None beyond the calendar.
fn month_of(seconds: i64) -> Option<Month> {
    let date = DateTime::<Utc>::from_timestamp(seconds, 0)?.date_naive();
    let first = date.with_day(1)?;
    let start = |first: NaiveDate| first.and_time(NaiveTime::MIN).and_utc().timestamp();
    Some(Month {
        number: i64::from(date.year()) * 12 + i64::from(date.month0()),
        start: start(first),
        end: start(first.checked_add_months(Months::new(1))?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        let december = month_of(1_798_761_599).unwrap();
        assert_eq!(december.name(), "2026-12");
        assert_eq!(
            (december.start, december.end),
            (1_796_083_200, 1_798_761_600)
        );
        assert_eq!(month_of(1_798_761_600).unwrap().name(), "2027-01");
    }
}
