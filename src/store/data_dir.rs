use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Whatever lets others than the owner in.
const OTHERS: u32 = 0o077;
/// What this program puts into its directory, besides `microllm.*`.
const OURS: [&str; 5] = [
    "models",
    "secrets.toml",
    "first-credentials.json",
    "setup.lock",
    "lost+found",
];

/// The directory that holds everything the server keeps: only its owner may look inside.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

/// The data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("cannot use the data directory {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "the data directory {path} is open to other users (mode {mode:03o}) and already holds \
         other files; run `chmod 700` on it, or choose another directory"
    )]
    Shared { path: PathBuf, mode: u32 },
}

impl DataDir {
    /// Creates the directory (mode 0700) when it is missing, and closes it to others when it is
    /// empty or ours.
    ///
    /// # Errors
    /// [`DataDirError::Shared`] for a directory with somebody else's files that others may read:
    /// closing it might lock people out of their home.
    pub fn prepare(root: &Path) -> Result<Self, DataDirError> {
        let this = Self {
            root: root.to_owned(),
        };
        this.create_and_close()
            .map_err(|source| this.error(source))?;
        let mode = this.mode()?;
        if mode & OTHERS != 0 {
            return Err(DataDirError::Shared {
                path: this.root,
                mode,
            });
        }
        Ok(this)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The SQLite database.
    pub fn database(&self) -> PathBuf {
        self.root.join("microllm.db")
    }

    /// Peppers and other secrets, kept out of the database.
    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets.toml")
    }

    /// The first start's credentials, when there was no terminal to show them on.
    pub fn first_credentials(&self) -> PathBuf {
        self.root.join("first-credentials.json")
    }

    /// Waits for, and holds, the right to set the directory up; given back when dropped, also by
    /// a process that dies.
    ///
    /// # Errors
    /// When the lock file cannot be created.
    pub fn lock(&self) -> Result<File, DataDirError> {
        let lock = || {
            let file = self.private_file("setup.lock")?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|source| self.error(source))
    }

    /// Creates the database's file, so that SQLite's companions of it inherit mode 0600.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn touch_database(&self) -> Result<(), DataDirError> {
        self.private_file("microllm.db")
            .map(drop)
            .map_err(|source| self.error(source))
    }

    fn private_file(&self, name: &str) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.root.join(name))
    }

    fn create_and_close(&self) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)?;
        if fs::metadata(&self.root)?.mode() & OTHERS != 0 && self.is_ours()? {
            fs::set_permissions(&self.root, Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    /// Nothing in it but what this program puts there.
    fn is_ours(&self) -> io::Result<bool> {
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if !OURS.contains(&name.as_ref()) && !name.starts_with("microllm.") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn mode(&self) -> Result<u32, DataDirError> {
        let metadata = fs::metadata(&self.root).map_err(|source| self.error(source))?;
        Ok(metadata.mode() & 0o777)
    }

    fn error(&self, source: io::Error) -> DataDirError {
        DataDirError::Io {
            path: self.root.clone(),
            source,
        }
    }
}

/// Writes a file that only its owner may read: all of it or nothing, even when the power fails.
///
/// # Errors
/// When it cannot be written.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
