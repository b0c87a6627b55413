use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Error, SqliteConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use super::{ACQUIRE_TIMEOUT, Store, StoreError};

/// The one connection that writes, lent to one caller after the other in the order in which they ask.
///
/// Not a pool of sqlx's: that asks a connection that comes back whether it still answers, and with
/// one connection the next caller waits for it, as long as for a row.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    options: SqliteConnectOptions,
    place: Arc<Mutex<Place>>,
}

#[derive(Debug)]
enum Place {
    Idle(SqliteConnection),
    /// Thrown away; whoever comes next makes another.
    Empty,
    Closed,
}

impl Writer {
    /// Lends this connection, and after it others that are made with the same options.
    pub(super) fn new(options: SqliteConnectOptions, connection: SqliteConnection) -> Self {
        Self {
            options,
            place: Arc::new(Mutex::new(Place::Idle(connection))),
        }
    }

    async fn lend(&self) -> Result<Writing, Error> {
        let place = timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.place).lock_owned()).await;
        let mut place = place.map_err(|_| Error::PoolTimedOut)?;
        let connection = match std::mem::replace(&mut *place, Place::Empty) {
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
        let place = std::mem::replace(&mut *self.place.lock().await, Place::Closed);
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
/// On a full disk SQLite rolls back by itself. sqlx (0.9) then fails to roll back once more, goes
/// on believing that a transaction is open, and refuses every later one on that connection: the
/// server would not recover when the disk does. A fresh connection costs a millisecond.
pub(super) struct Writing {
    connection: SqliteConnection,
    place: OwnedMutexGuard<Place>,
}

impl Store {
    /// Waits for the writing connection.
    pub(super) async fn writing(&self) -> Result<Writing, StoreError> {
        Ok(self.writer.lend().await?)
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
    }
}
