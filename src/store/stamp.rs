use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

/// What a [`Stamp`] says; never the same again.
pub type Mark = [u8; 16];

/// A file of sixteen bytes beside the database that are others after every audited change, whoever
/// made it. Reading it takes less than a microsecond, where asking the database takes two switches of
/// threads. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    file: Arc<File>,
    /// The mark is one that should be another.
    is_stale: Arc<AtomicBool>,
}

impl Stamp {
    /// Creates the file when it is missing. The mark is a new one.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let stamp = Self {
            file: Arc::new(file),
            is_stale: Arc::default(),
        };
        stamp.renew()?;
        Ok(stamp)
    }

    /// The present mark; none when it cannot be read, or could not be renewed.
    pub(super) fn read(&self) -> Option<Mark> {
        let mut mark = Mark::default();
        self.file.read_exact_at(&mut mark, 0).ok()?;
        (!self.is_stale.load(Ordering::Acquire)).then_some(mark)
    }

    /// Makes it another one, for every process that has the file open.
    pub(super) fn renew(&self) -> io::Result<()> {
        let renewed = self.file.write_all_at(Uuid::new_v4().as_bytes(), 0);
        self.is_stale.store(renewed.is_err(), Ordering::Release);
        renewed
    }
}
