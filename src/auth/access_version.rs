//! Whether what is remembered about callers still holds.

use tokio::sync::{mpsc, oneshot};

use crate::crowd::gather;
use crate::store::Store;

/// How many may have asked, beyond whom a read answers; the rest wait for room.
const QUEUE: usize = 1024;

/// Reads [`Store::access_version`] for everybody who has asked while the last read was under way:
/// under load one read answers many. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct AccessVersion {
    ask: mpsc::Sender<oneshot::Sender<Option<i64>>>,
}

impl AccessVersion {
    /// Starts the reading task; call within a tokio runtime.
    pub(super) fn start(store: Store) -> Self {
        let (ask, asked) = mpsc::channel(QUEUE);
        tokio::spawn(answer(store, asked));
        Self { ask }
    }

    /// The version, from a read that began after this was called: a change that was complete before
    /// shows in it. None when it cannot be read.
    pub(super) async fn now(&self) -> Option<i64> {
        let (asks, answer) = oneshot::channel();
        self.ask.send(asks).await.ok()?;
        answer.await.ok()?
    }
}

async fn answer(store: Store, mut asked: mpsc::Receiver<oneshot::Sender<Option<i64>>>) {
    let mut waiting = Vec::new();
    while gather(&mut asked, &mut waiting, QUEUE).await > 0 {
        // Whoever it was for will look for themselves, and tell of the error.
        let version = store.access_version().await.ok();
        for asks in waiting.drain(..) {
            // Somebody who has left does not want to know.
            let _ = asks.send(version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::records::Actor;
    use crate::store::AuditKey;
    use hmac::{Hmac, Mac};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_complete_shows_however_many_ask() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("microllm.db");
        // Another program: nothing in this one is told of what it does.
        let other = Store::open(&path).await.unwrap();
        let other = other.with_audit_key(AuditKey::new(Hmac::new_from_slice(b"key").unwrap()));
        let version = AccessVersion::start(Store::open(&path).await.unwrap());
        let crowd = (0..32).map(|_| {
            let version = version.clone();
            tokio::spawn(async move {
                loop {
                    version.now().await.unwrap();
                }
            })
        });
        let crowd: Vec<_> = crowd.collect();
        let mut last = version.now().await.unwrap();
        for i in 0..50 {
            let by = Actor::server(&Clock::system());
            let what = serde_json::json!({ "change": i });
            other.note_configuration(&what, &by).await.unwrap();
            let now = version.now().await.unwrap();
            assert!(now > last, "change {i} does not show");
            last = now;
        }
        crowd.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
