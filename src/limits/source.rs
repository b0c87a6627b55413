//! What time it is, and what was used before anybody counted.

use std::time::Instant;

use chrono::{Datelike, TimeZone, Utc};

use super::LimitError;
use super::meter::{Now, Scope, Used};
use crate::clock::Clock;
use crate::store::{Store, StoreError};

const DAY_SECONDS: i64 = 24 * 60 * 60;

#[derive(Debug, Clone)]
pub(super) struct Source {
    store: Store,
    clock: Clock,
    since: Instant,
}

impl Source {
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            since: Instant::now(),
        }
    }

    /// Unix time in milliseconds.
    pub(super) fn wall_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(super) fn now(&self) -> Now {
        let wall = self.clock.now_secs();
        let date = Utc.timestamp_opt(wall, 0).single();
        let month = date.map_or(0, |date| {
            i64::from(date.year()) * 12 + i64::from(date.month0())
        });
        Now {
            ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            day: wall.div_euclid(DAY_SECONDS),
            month,
        }
    }

    /// What the records know.
    pub(super) async fn used_before(&self, scope: &Scope) -> Result<Used, LimitError> {
        let wall = self.clock.now_secs();
        let month = Utc.timestamp_opt(wall, 0).single();
        let month = month.and_then(|date| {
            let first = Utc.with_ymd_and_hms(date.year(), date.month(), 1, 0, 0, 0);
            first.single()
        });
        let month = month.map_or(0, |first| first.timestamp());
        let day = wall - wall.rem_euclid(DAY_SECONDS);
        // A model's limits have no month, and need not read one.
        let month = match scope {
            Scope::Model(..) => day,
            _ => month,
        };
        self.store
            .used_before(scope, wall - DAY_SECONDS, day, month)
            .await
            .map_err(unavailable)
    }
}

fn unavailable(error: StoreError) -> LimitError {
    tracing::error!(%error, "limits cannot be checked");
    LimitError::Unavailable
}
