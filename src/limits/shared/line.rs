//! Who waits for a shared limit, in this process. Only whoever nobody is before asks Redis, and asks
//! again when it could have changed its mind.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::super::LimitError;
use super::super::claim::{Ask, Claim, Refusal, may_pass_within};
use super::super::queue::Queue;
use super::{Share, Shared};

/// Other processes may give something back at any time, and nobody tells.
const SOONEST: Duration = Duration::from_millis(20);
const LATEST: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: Mutex<Queue<Waiter>>,
    changed: Notify,
}

#[derive(Debug)]
struct Waiter {
    /// What it was refused; before it has asked, everything that it will ask for.
    refusal: Refusal,
}

/// Takes its request out of the line.
struct Spot<'a> {
    waiting: &'a Waiting,
    ticket: u64,
    /// It was its caller's turn.
    is_served: bool,
}

impl Drop for Spot<'_> {
    fn drop(&mut self) {
        let mut queue = self.waiting.queue();
        if self.is_served {
            queue.leave_served(self.ticket);
        } else {
            queue.leave(self.ticket);
        }
        drop(queue);
        self.waiting.changed();
    }
}

impl Waiting {
    fn queue(&self) -> MutexGuard<'_, Queue<Waiter>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changed(&self) {
        self.changed.notify_waiters();
    }

    /// Why it is not its turn.
    fn before(&self, ticket: u64, claims: &[Claim], ask: Ask) -> Option<LimitError> {
        let queue = self.queue();
        let mut ahead = queue.ahead_of(ticket);
        let ahead = ahead.find(|waiter| waiter.refusal.is_before(claims, ask));
        ahead.map(|waiter| waiter.refusal.error.clone())
    }
}

impl Shared {
    pub(in super::super) fn waiting(&self) -> usize {
        self.line.queue().len()
    }

    /// Asks for as long as `patience`, behind whoever waits already.
    pub(in super::super) async fn patiently(
        self: &Arc<Self>,
        caller: &str,
        claims: &Arc<[Claim]>,
        ask: Ask,
        patience: Duration,
    ) -> Result<Share, LimitError> {
        if patience.is_zero() {
            return self.ask(claims, ask).await.map_err(|why| why.error);
        }
        let line = &self.line;
        let mut refusal = Refusal {
            ask,
            scopes: claims.iter().map(|(scope, _)| scope.clone()).collect(),
            error: LimitError::Rate {
                kind: "requests that wait",
                limit: 0,
                used: 0,
                requested: 1,
                retry_after: LATEST,
            },
        };
        let waiter = Waiter {
            refusal: Refusal {
                ask,
                scopes: refusal.scopes.clone(),
                error: refusal.error.clone(),
            },
        };
        let ticket = line.queue().join(caller, waiter);
        let mut spot = Spot {
            waiting: line,
            ticket,
            is_served: false,
        };
        let is_over = line.queue().is_over(caller);
        let patience = if is_over { Duration::ZERO } else { patience };
        let until = Instant::now() + patience;
        loop {
            let changed = line.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let again = match line.before(ticket, claims, ask) {
                Some(error) => {
                    refusal.error = error;
                    LATEST
                }
                None => match self.ask(claims, ask).await {
                    Ok(share) => {
                        spot.is_served = true;
                        return Ok(share);
                    }
                    Err(refused) => {
                        let left = until.saturating_duration_since(Instant::now());
                        if !may_pass_within(&refused.error, left) {
                            return Err(refused.error);
                        }
                        refusal.error = refused.error.clone();
                        let wait = refused.error.retry_after().unwrap_or(LATEST);
                        if let Some(waiter) = line.queue().get_mut(ticket)
                            && waiter.refusal.scopes != refused.scopes
                        {
                            waiter.refusal = refused;
                            // Others have learnt that they need not wait for it.
                            line.changed();
                        }
                        wait.clamp(SOONEST, LATEST)
                    }
                },
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(refusal.error);
            }
            tokio::select! {
                () = &mut changed => {}
                () = tokio::time::sleep(again.min(left)) => {}
            }
        }
    }
}
