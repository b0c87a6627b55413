use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::alerts::{Webhook, check_spend_alerts};
use super::retention::{prune_stored, prune_usage};
use crate::clock::Clock;
use crate::config::AlertsConfig;
use crate::store::Store;

const PAUSE: Duration = Duration::from_secs(60);

/// What a server does without being asked: it tells about spend alerts and removes what is not to
/// be kept any longer. Time is that of its clock.
#[derive(Debug, Clone)]
pub struct Housekeeping {
    store: Store,
    clock: Clock,
    webhook: Option<Webhook>,
}

impl Housekeeping {
    pub fn new(store: Store, clock: Clock, alerts: &AlertsConfig) -> Self {
        let webhook = Webhook::of(alerts);
        Self {
            store,
            clock,
            webhook,
        }
    }

    /// Once a minute, until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.once(&stop).await;
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// All there is to do at the moment. What fails is logged, and due again the next time.
    pub async fn once(&self, stop: &CancellationToken) {
        let alerts = check_spend_alerts(&self.store, &self.clock, self.webhook.as_ref());
        let told = tokio::select! {
            told = alerts => told,
            // Not to wait for a webhook.
            () = stop.cancelled() => return,
        };
        if let Err(error) = told {
            tracing::error!(%error, "spend alerts cannot be checked");
        }
        if let Err(error) = prune_usage(&self.store, &self.clock, stop).await {
            tracing::error!(%error, "usage rows that are to go cannot be removed");
        }
        if let Err(error) = prune_stored(&self.store, &self.clock, stop).await {
            tracing::error!(%error, "stored completions that are to go cannot be removed");
        }
    }
}
