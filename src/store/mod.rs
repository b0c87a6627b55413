//! The database: every SQL statement of the program lives here.
//!
//! SQLite in WAL mode: one writer at a time and any number of readers, which never wait for each
//! other. So there is one connection that writes and a small pool that can only read. A second
//! writer would gain nothing: SQLite would make it wait, without a queue.

mod access_version;
mod accounts;
mod audit;
mod audit_log;
mod cache;
mod change;
mod data_dir;
mod edit;
mod invites;
mod json;
mod keys;
mod managed_keys;
mod organization;
mod page;
mod people;
mod person_record;
mod projects;
mod service_accounts;
mod sessions;
mod setup;
mod spend_alerts;
mod stamp;
mod stored_completions;
mod usage;
mod usage_read;
mod usage_sums;
mod writing;

pub use accounts::{AccountRow, Admission, Joined};
pub use audit::AuditRow;
pub use audit_log::{AuditEntry, AuditFilter, AuditPosition, AuditStart};
pub use cache::{CacheUse, Flush};
pub use change::{AuditKey, ChainedRow, PersonalRow};
pub use data_dir::{DataDir, DataDirError, write_private};
pub use invites::{InviteRow, InvitedProject};
pub use keys::{KeyKind, KeyRow, LiveKey};
pub use managed_keys::{KeyRing, Rotated};
pub use organization::{ModelPermissionsRow, OrganizationRow, RateLimitRow};
pub use page::Cursor;
pub use people::{Membership, PersonError, PersonRow};
pub use person_record::{
    InviteRecord, MembershipRecord, PersonRecord, ProfileRecord, SessionRecord, UsageTotals,
};
pub use projects::{MemberRow, ProjectRow};
pub use service_accounts::{ServiceAccountRow, ServiceRole};
pub use sessions::{ActingProject, LivePerson, Refreshed, SecondProof, SessionRow};
pub use setup::{FirstRows, UserRow};
pub use spend_alerts::{Month, ReachedAlert, SpendAlertRow};
pub use stamp::Mark;
pub use stored_completions::{StoredCompletion, StoredFilter, StoredMessage};
pub use usage::{StoredUsage, UsageFilter};
pub use usage_read::{UsageGroups, UsageQuestion, UsageSum, Width};
pub use usage_sums::{MINUTES_KEPT, WORTH_SUMMING};

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use stamp::Stamp;
use writing::Writer;

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
    writer: Writer,
    reader: SqlitePool,
    stamp: Stamp,
    /// None: only for what needs no audit.
    audit_key: Option<AuditKey>,
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
    /// What a stored value says is not what this program writes.
    #[error("the database holds an invalid {0}")]
    Invalid(&'static str),
    #[error("the operating system gave no random bytes: {0}")]
    Random(String),
    /// Whoever asks for a change was let in, and has been shut out since.
    #[error("the session or key that asks for this has ended")]
    ActorEnded,
    /// A fault of this program: see [`Store::with_audit_key`].
    #[error("the database was opened without the audit's key")]
    NoAuditKey,
    /// A fault of this program.
    #[error("a change was to be made without an audit row")]
    Unaudited,
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
        let mut connection = writing.connect().await.map_err(open_error)?;
        MIGRATIONS
            .run(&mut connection)
            .await
            .map_err(|source| StoreError::Migrate {
                path: path.to_owned(),
                source,
            })?;
        // After the writer, so that the file and its shared memory exist.
        let reader = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // The connections are to a local file: they do not go stale, and asking them costs as
            // much as most queries.
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(common.read_only(true))
            .await
            .map_err(open_error)?;
        let stamp = Stamp::open(&path.with_extension("stamp"));
        let stamp = stamp.map_err(|error| open_error(error.into()))?;
        Ok(Self {
            writer: Writer::new(writing, connection),
            reader,
            stamp,
            audit_key: None,
        })
    }

    /// The same database, with what it takes to change what is audited.
    #[must_use]
    pub fn with_audit_key(self, key: AuditKey) -> Self {
        Self {
            audit_key: Some(key),
            ..self
        }
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
        let mut writing = self.writing().await.expect("an open database");
        let full = sqlx::query("PRAGMA max_page_count = 1").execute(writing.connection());
        full.await.expect("a pragma that exists");
        writing.done();
    }

    /// Waits for what runs, then closes every connection.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}
