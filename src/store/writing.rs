use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection};

use super::{Store, StoreError};

/// The writing connection, lent for one transaction, and thrown away unless it is
/// [`Writing::done`].
///
/// On a full disk SQLite rolls back by itself. sqlx (0.9) then fails to roll back once more, goes
/// on believing that a transaction is open, and refuses every later one on that connection: the
/// server would not recover when the disk does. A fresh connection costs a millisecond.
pub(super) struct Writing {
    connection: PoolConnection<Sqlite>,
    done: bool,
}

impl Store {
    /// Waits for the writing connection.
    pub(super) async fn writing(&self) -> Result<Writing, StoreError> {
        Ok(Writing {
            connection: self.writer.acquire().await?,
            done: false,
        })
    }
}

impl Writing {
    /// For statements of its own, `BEGIN IMMEDIATE` included: with the write lock in hand, so that no
    /// other process can come in between reading and writing.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// The transaction has ended well: the connection may be used again.
    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.done {
            self.connection.close_on_drop();
        }
    }
}
