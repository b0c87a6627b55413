//! The database: every SQL statement of the program lives here.
//!
//! SQLite in WAL mode: one writer at a time and any number of readers, which never wait for each
//! other. So there is one connection that writes and a small pool that can only read. A second
//! writer would gain nothing: SQLite would make it wait, without a queue.

mod data_dir;
mod keys;
mod setup;
mod usage;
mod writing;

pub use data_dir::{DataDir, DataDirError, write_private};
pub use keys::{KeyKind, KeyRow, LiveKey, ProjectRow};
pub use setup::{FirstRows, UserRow};
pub use usage::StoredUsage;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// Readers are answered in microseconds; more connections would only cost memory.
const READERS: u32 = 4;
/// How long another process (`microllm keys`, a backup) may hold the write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection before it is told that the database is unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// What the write-ahead log is cut back to after a checkpoint, in bytes.
const WAL_LIMIT: &str = "67108864";

/// A handle to the SQLite database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    reader: SqlitePool,
}

/// The database refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the database {path}: {source}")]
    Open { path: PathBuf, source: sqlx::Error },
    /// Also when the database was written by a newer version of this program.
    #[error("cannot bring the database {path} up to date: {source}")]
    Migrate {
        path: PathBuf,
        source: sqlx::migrate::MigrateError,
    },
    #[error("the database failed: {0}")]
    Query(#[from] sqlx::Error),
}

impl Store {
    /// Opens the database, creates it when it is missing, and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Open`] and [`StoreError::Migrate`] name the file.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let open_error = |source| StoreError::Open {
            path: path.to_owned(),
            source,
        };
        let common = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY_TIMEOUT);
        let writing = common
            .clone()
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A committed row survives a power cut, not only the death of the process.
            .synchronous(SqliteSynchronous::Full)
            .pragma("fullfsync", "1")
            .pragma("journal_size_limit", WAL_LIMIT);
        let writer = pool(1).connect_with(writing).await.map_err(open_error)?;
        MIGRATIONS
            .run(&writer)
            .await
            .map_err(|source| StoreError::Migrate {
                path: path.to_owned(),
                source,
            })?;
        // After the writer, so that the file and its shared memory exist.
        let reader = pool(READERS)
            .connect_with(common.read_only(true))
            .await
            .map_err(open_error)?;
        Ok(Self { writer, reader })
    }

    /// Whether the database answers; for readiness.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query_scalar!("SELECT 1")
            .fetch_one(&self.reader)
            .await?;
        Ok(())
    }

    /// Keeps the writing connection from growing the database, as a full disk would.
    #[cfg(test)]
    pub(crate) async fn fill_disk(&self) {
        // SQLite takes the present size for a limit that is too low.
        let full = sqlx::query("PRAGMA max_page_count = 1").execute(&self.writer);
        full.await.expect("a pragma that exists");
    }

    /// Waits for what runs, then closes every connection.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // The connections are to a local file: they do not go stale, and asking them costs as
        // much as most queries.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}
