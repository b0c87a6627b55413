//! A bounded first-come-first-served queue in front of a model.
//!
//! A processor-bound engine gains nothing from answering many at once (each token of one delays
//! the others), so a few run, some wait in order, and the rest are told when to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::EngineError;

/// What a request is assumed to take before any has been measured.
const FIRST_ESTIMATE: Duration = Duration::from_secs(2);
/// OpenAI's SDKs ignore a `retry-after` above 60 seconds.
const LONGEST_ADVICE: Duration = Duration::from_secs(60);

/// The queue of one model.
#[derive(Debug, Clone)]
pub struct Admission {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    running: Arc<Semaphore>,
    concurrency: usize,
    max_waiting: usize,
    /// Everyone between `enter` and the drop of their place.
    inside: AtomicUsize,
    /// Moving average of how long a place is held, in milliseconds.
    typical_ms: AtomicU64,
}

/// The right to generate; given back when dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    _inside: Inside,
    admission: Arc<Inner>,
    since: Instant,
}

/// Counts its holder as waiting or running for as long as it lives.
#[derive(Debug)]
struct Inside(Arc<Inner>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let held = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let old = self.admission.typical_ms.load(Ordering::Relaxed);
        let new = old.saturating_mul(3).saturating_add(held) / 4;
        self.admission.typical_ms.store(new, Ordering::Relaxed);
    }
}

impl Admission {
    /// `concurrency` answers at once, `max_waiting` more in the queue.
    pub fn new(concurrency: usize, max_waiting: usize) -> Self {
        let concurrency = concurrency.max(1);
        Self {
            inner: Arc::new(Inner {
                running: Arc::new(Semaphore::new(concurrency)),
                concurrency,
                max_waiting,
                inside: AtomicUsize::new(0),
                typical_ms: AtomicU64::new(FIRST_ESTIMATE.as_millis() as u64),
            }),
        }
    }

    /// Waits for a place, in order of arrival. Leaving the wait (dropping the future) gives the
    /// spot in the queue away.
    ///
    /// # Errors
    /// [`EngineError::Busy`] at once when the queue is full.
    pub async fn enter(&self) -> Result<Place, EngineError> {
        let ahead = self.inner.inside.fetch_add(1, Ordering::AcqRel);
        let inside = Inside(self.inner.clone());
        if ahead >= self.inner.concurrency + self.inner.max_waiting {
            return Err(EngineError::Busy {
                retry_after: self.expected_wait(ahead),
            });
        }
        let permit = self
            .inner
            .running
            .clone()
            .acquire_owned()
            .await
            .map_err(|closed| EngineError::Failed(closed.to_string()))?;
        Ok(Place {
            _permit: permit,
            _inside: inside,
            admission: self.inner.clone(),
            since: Instant::now(),
        })
    }

    /// How many wait or run now.
    pub fn depth(&self) -> usize {
        self.inner.inside.load(Ordering::Acquire)
    }

    fn expected_wait(&self, ahead: usize) -> Duration {
        let typical = self.inner.typical_ms.load(Ordering::Relaxed);
        let rounds = (ahead / self.inner.concurrency).max(1) as u64;
        // Half the queue will have moved on by then; sooner costs a refusal, later costs time.
        Duration::from_millis((typical.saturating_mul(rounds) / 2).max(100)).min(LONGEST_ADVICE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_given_in_order_and_the_queue_is_bounded() {
        let admission = Admission::new(1, 1);
        let first = admission.enter().await.expect("a free place");
        let queue = admission.clone();
        let second = tokio::spawn(async move { queue.enter().await });
        while admission.depth() < 2 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(
            admission.enter().await,
            Err(EngineError::Busy { .. })
        ));
        drop(first);
        let second = second.await.expect("no panic").expect("the next place");
        drop(second);
        assert_eq!(admission.depth(), 0);
    }

    #[tokio::test]
    async fn leaving_the_queue_frees_the_spot() {
        let admission = Admission::new(1, 1);
        let _running = admission.enter().await.expect("a free place");
        let queue = admission.clone();
        let waiting = tokio::spawn(async move { queue.enter().await });
        while admission.depth() < 2 {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        let _ = waiting.await;
        assert_eq!(admission.depth(), 1);
    }
}
