//! Usage rows and stored completions end as data retention says.

use tokio_util::sync::CancellationToken;

use super::{Actor, AuditEvent};
use crate::clock::Clock;
use crate::store::{Store, StoreError};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// Rows in one transaction: answers wait for the same lock, milliseconds here.
const BATCH: u32 = 500;
/// The same of stored completions, each of which may hold a whole conversation.
const STORED_BATCH: u32 = 100;

/// Removes the usage rows that are older than the retention's days, to the hour, and tells how many
/// that were. Their sums stay. Ends early, between batches, when `stop` is cancelled.
///
/// That so many rows until then are removed is audited with the first of them: nothing goes
/// unaudited, even if the process dies in between, and the next pass tells about the rest.
///
/// # Errors
/// When the database cannot be read or written.
pub async fn prune_usage(
    store: &Store,
    clock: &Clock,
    stop: &CancellationToken,
) -> Result<u64, StoreError> {
    let Some(days) = store.organization().await?.usage_days else {
        return Ok(0);
    };
    let oldest = clock.now_secs().saturating_sub(days.saturating_mul(DAY));
    // By the hour, so that the audit is not told each minute.
    let until = oldest - oldest.rem_euclid(HOUR);
    let until_ms = until.saturating_mul(1000);
    let rows = store.usage_before(until_ms).await?;
    if rows == 0 {
        return Ok(0);
    }
    let by = Actor::server(clock);
    let event = AuditEvent::about("usage.pruned", "usage")
        .with("rows", rows)
        .with("until", until);
    let (mut event, mut removed) = (Some(event), 0);
    while !stop.is_cancelled() {
        let batch = store
            .prune_usage(until_ms, BATCH, &by, event.take())
            .await?;
        removed += batch;
        if batch < u64::from(BATCH) {
            break;
        }
        tokio::task::yield_now().await;
    }
    tracing::info!(
        rows = removed,
        until,
        "usage rows were removed as data retention says"
    );
    Ok(removed)
}

/// Removes the stored completions that are older than the retention's days, to the hour, and those
/// of projects that are to keep no text or are archived, and tells how many that were. Audited as
/// [`prune_usage`] is.
///
/// # Errors
/// When the database cannot be read or written.
pub async fn prune_stored(
    store: &Store,
    clock: &Clock,
    stop: &CancellationToken,
) -> Result<u64, StoreError> {
    let days = store.organization().await?.stored_days;
    let until = days.map(|days| {
        let oldest = clock.now_secs().saturating_sub(days.saturating_mul(DAY));
        oldest - oldest.rem_euclid(HOUR)
    });
    let rows = store.stored_to_go(until).await?;
    if rows == 0 {
        return Ok(0);
    }
    let by = Actor::server(clock);
    let event = AuditEvent::about("stored_completions.pruned", "stored_completions")
        .with("rows", rows)
        .with("until", until);
    let (mut event, mut removed) = (Some(event), 0);
    while !stop.is_cancelled() {
        let batch = store
            .prune_stored(until, STORED_BATCH, &by, event.take())
            .await?;
        removed += batch;
        if batch < u64::from(STORED_BATCH) {
            break;
        }
        tokio::task::yield_now().await;
    }
    tracing::info!(
        rows = removed,
        "stored completions were removed as data retention says"
    );
    Ok(removed)
}
