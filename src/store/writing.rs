use std::mem;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Error, SqliteConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use super::{ACQUIRE_TIMEOUT, Store, StoreError};

/// The one connection that writes, lent to one caller after the other in the order in which they ask.
///
/// Not a pool of sqlx's: that asks a connection that comes back whether it still answers, which takes
/// as long as writing a row, and with one connection the next caller waits for it.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    options: Arc<SqliteConnectOptions>,
    place: Arc<Mutex<Place>>,
}

#[derive(Debug)]
enum Place {
    Idle(SqliteConnection),
    /// Lent or thrown away: whoever finds this makes another.
    Empty,
    Closed,
}

impl Writer {
    /// Lends this connection, and after it others that are made with the same options.
    pub(super) fn new(options: SqliteConnectOptions, connection: SqliteConnection) -> Self {
        Self {
            options: Arc::new(options),
            place: Arc::new(Mutex::new(Place::Idle(connection))),
        }
    }

    async fn lend(&self) -> Result<Writing, Error> {
        let mut place = Arc::clone(&self.place).lock_owned().await;
        let connection = match mem::replace(&mut *place, Place::Empty) {
            Place::Idle(connection) => connection,
            Place::Empty => self.options.connect().await?,
            Place::Closed => {
                *place = Place::Closed;
                return Err(Error::PoolClosed);
            }
        };
        Ok(Writing { connection, place })
    }

    /// Waits for whoever writes, and lends no more.
    pub(super) async fn close(&self) {
        let place = mem::replace(&mut *self.place.lock().await, Place::Closed);
        if let Place::Idle(connection) = place
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "the writing connection did not close well");
        }
    }
}

/// The writing connection, lent for one transaction, and thrown away unless it is
/// [`Writing::done`].
///
/// A transaction may be open when whoever began it has left: closing rolls it back at once, so that
/// no other process waits for it. And on a full disk SQLite rolls back by itself; sqlx (0.9) then
/// fails to roll back once more, goes on believing that a transaction is open, and refuses every
/// later one on that connection: the server would not recover when the disk does. A fresh connection
/// costs a millisecond. What one that is thrown away was told last may still be carried out.
///
/// A statement that is a transaction by itself and returns rows is read to the end (`fetch_all`):
/// having the one row that `fetch_optional` wants, sqlx tells nobody whether the commit after it fails.
pub(super) struct Writing {
    connection: SqliteConnection,
    place: OwnedMutexGuard<Place>,
}

impl Store {
    /// Waits for the writing connection.
    pub(super) async fn writing(&self) -> Result<Writing, StoreError> {
        let lent = timeout(ACQUIRE_TIMEOUT, self.writer.lend()).await;
        Ok(lent.unwrap_or(Err(Error::PoolTimedOut))?)
    }
}

impl Writing {
    /// For statements of its own, `BEGIN IMMEDIATE` included: with the write lock in hand, so that no
    /// other process can come in between reading and writing.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// The transaction has ended well: the connection may be used again.
    pub(super) fn done(self) {
        let Self {
            connection,
            mut place,
        } = self;
        *place = Place::Idle(connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::records::Actor;
    use crate::store::usage_read::tests::row;

    #[tokio::test]
    async fn what_is_not_done_never_was_and_keeps_nobody_from_writing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("microllm.db")).await.unwrap();
        let mut given_up = store.writing().await.unwrap();
        let begun = "BEGIN IMMEDIATE; UPDATE usage_summed SET prunes = 7";
        let begun = sqlx::raw_sql(begun).execute(given_up.connection());
        begun.await.unwrap();
        drop(given_up);
        // Another process, while nobody writes here.
        let mut other = store.writer.options.connect().await.unwrap();
        let written = sqlx::query("UPDATE usage_summed SET seq = seq");
        written.execute(&mut other).await.unwrap();
        assert_eq!(store.insert_usage(&[&row(0, "m")]).await.unwrap(), [true]);
        let prunes = sqlx::query_scalar::<_, i64>("SELECT prunes FROM usage_summed");
        assert_eq!(prunes.fetch_one(&store.reader).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn whoever_writes_is_waited_for_at_the_end_and_who_comes_later_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("microllm.db")).await.unwrap();
        let mut writing = store.writing().await.unwrap();
        let closing = tokio::spawn({
            let store = store.clone();
            async move { store.close().await }
        });
        tokio::task::yield_now().await;
        let written = sqlx::query("UPDATE usage_summed SET prunes = 7");
        written.execute(writing.connection()).await.unwrap();
        assert!(!closing.is_finished());
        writing.done();
        closing.await.unwrap();
        let refused = store.insert_usage(&[&row(0, "m")]).await.unwrap_err();
        assert!(refused.to_string().contains("closed"), "{refused}");
        let store = Store::open(&dir.path().join("microllm.db")).await.unwrap();
        let prunes = sqlx::query_scalar::<_, i64>("SELECT prunes FROM usage_summed");
        assert_eq!(prunes.fetch_one(&store.reader).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_cannot_be_committed_is_not_told_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("microllm.db")).await.unwrap();
        let mut writing = store.writing().await.unwrap();
        let rows = "
            INSERT INTO users (id, email, password_hash, role, created_at) VALUES ('u', 'e', '', 'owner', 1);
            INSERT INTO projects (id, name, created_at) VALUES ('p', 'p', 1);
            INSERT INTO sessions (id, user_id, second_factor, created_at, refreshed_at, expires_at)
            VALUES ('s', 'u', 0, 1, 1, 10);
            INSERT INTO stored_completions VALUES ('c', 'p', 'u', 1, 'm', '{}', '{}', '[]')";
        let written = sqlx::raw_sql(rows).execute(writing.connection());
        written.await.unwrap();
        writing.done();
        let refuse_commit = async || {
            let mut writing = store.writing().await.unwrap();
            let mut handle = writing.connection().lock_handle().await.unwrap();
            handle.set_commit_hook(|| false);
            drop(handle);
            writing.done();
        };
        refuse_commit().await;
        let mut by = Actor::server(&Clock::system());
        by.at_ms = 5_000;
        let refreshed = store.refresh_session("s", 0, 20, 100, &by).await;
        assert!(
            matches!(refreshed, Err(StoreError::Query(_))),
            "{refreshed:?}"
        );
        refuse_commit().await;
        let stored = store
            .set_stored_metadata("p", "c", &[("a".into(), "b".into())].into())
            .await;
        assert!(matches!(stored, Err(StoreError::Query(_))), "{stored:?}");
        let generation = sqlx::query_scalar::<_, i64>("SELECT generation FROM sessions");
        assert_eq!(generation.fetch_one(&store.reader).await.unwrap(), 0);
    }
}
