use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::file::{SecretsError, SecretsFile, key_bytes, read};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A key for signing access tokens (HMAC-SHA-256).
#[derive(Debug, Clone)]
pub struct SigningKey {
    /// The tokens' `kid`.
    pub id: String,
    pub bytes: SigningBytes,
    /// Unix seconds: it signs nothing since then.
    pub retired_at: Option<i64>,
}

/// Key material that does not show itself.
#[derive(Clone)]
pub struct SigningBytes(pub Vec<u8>);

impl fmt::Debug for SigningBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The signing keys, read again when their file changes: `microllm secrets rotate` is another
/// process.
#[derive(Debug, Clone)]
pub(super) struct SigningKeys {
    path: PathBuf,
    state: Arc<RwLock<State>>,
}

#[derive(Debug)]
struct State {
    keys: Arc<[SigningKey]>,
    /// Inode and time of change of the file that they are from.
    version: Option<(u64, i64, i64)>,
    looked_at: Instant,
}

impl SigningKeys {
    pub fn new(path: &Path, file: &SecretsFile) -> Result<Self, SecretsError> {
        let state = State {
            keys: keys(path, file)?,
            version: version(path),
            looked_at: Instant::now(),
        };
        Ok(Self {
            path: path.to_owned(),
            state: Arc::new(RwLock::new(state)),
        })
    }

    /// The keys; looks at the file at most once a second, which takes microseconds.
    pub fn current(&self) -> Arc<[SigningKey]> {
        {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if state.looked_at.elapsed() < LOOK_EVERY {
                return state.keys.clone();
            }
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.looked_at.elapsed() >= LOOK_EVERY {
            state.looked_at = Instant::now();
            let version = version(&self.path);
            if version != state.version {
                match read(&self.path).and_then(|file| keys(&self.path, &file)) {
                    Ok(keys) => (state.keys, state.version) = (keys, version),
                    Err(error) => tracing::error!(%error, "the signing keys stay as they were"),
                }
            }
        }
        state.keys.clone()
    }
}

fn keys(path: &Path, file: &SecretsFile) -> Result<Arc<[SigningKey]>, SecretsError> {
    let invalid = |reason| SecretsError::Invalid {
        path: path.to_owned(),
        reason,
    };
    if file.signing.is_empty() {
        return Err(invalid("it has no signing key"));
    }
    let key = |entry: &super::Entry| {
        let bytes = key_bytes(&entry.value);
        Ok(SigningKey {
            id: entry.id.clone(),
            bytes: SigningBytes(
                bytes.ok_or_else(|| invalid("a signing key is not 32 bytes in hex"))?,
            ),
            retired_at: entry.retired_at,
        })
    };
    file.signing.iter().map(key).collect()
}

fn version(path: &Path) -> Option<(u64, i64, i64)> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec()))
}
