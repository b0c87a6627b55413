use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Redacted;
use crate::auth::IssueError;
use crate::auth::token::random;
use crate::store::write_private;

/// A key that no longer signs stays this long, in seconds: longer than any token of its lives.
const RETIRED_SECONDS: i64 = 24 * 60 * 60;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretsFile {
    /// 32 bytes in hex. Files of older versions have none, and are completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Redacted>,
    pub pepper: Vec<Entry>,
    #[serde(default)]
    pub signing: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub id: String,
    /// 32 bytes in hex.
    pub value: Redacted,
    /// Unix seconds: since then another one signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<i64>,
}

/// The secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("cannot use the secrets file {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "the secrets file {path} is open to other users (mode {mode:03o}); run `chmod 600` on it, \
         and replace the keys if others may have read it"
    )]
    Shared { path: PathBuf, mode: u32 },
    /// Says what is wrong, never what is in the file.
    #[error("the secrets file {path} is not valid: {reason}")]
    Invalid { path: PathBuf, reason: &'static str },
    #[error(
        "the pepper {id} of existing API keys is not in {path}: restore that file from a backup; \
         without it those keys cannot be recognized"
    )]
    MissingPepper { path: PathBuf, id: String },
    #[error(transparent)]
    Random(#[from] IssueError),
}

impl SecretsFile {
    pub fn generate() -> Result<Self, SecretsError> {
        Ok(Self {
            root: Some(Redacted::new(hex::encode(random::<32>()?))),
            pepper: vec![Entry::generate("pep_")?],
            signing: vec![Entry::generate("sig_")?],
        })
    }
}

impl Entry {
    fn generate(prefix: &str) -> Result<Self, SecretsError> {
        Ok(Self {
            id: format!("{prefix}{}", hex::encode(random::<4>()?)),
            value: Redacted::new(hex::encode(random::<32>()?)),
            retired_at: None,
        })
    }
}

/// Lets a new key sign access tokens from now on. Those that were signed before stay valid until
/// they expire, unless `at_once`. A running server notices within a second. Returns the key's id.
///
/// # Errors
/// When the file cannot be read or written.
pub fn rotate_signing(path: &Path, now: i64, at_once: bool) -> Result<String, SecretsError> {
    let mut file = read(path)?;
    let fresh = Entry::generate("sig_")?;
    let id = fresh.id.clone();
    for key in &mut file.signing {
        key.retired_at.get_or_insert(now);
    }
    let is_kept = |retired_at: i64| !at_once && now - retired_at < RETIRED_SECONDS;
    file.signing
        .retain(|key| key.retired_at.is_none_or(is_kept));
    file.signing.insert(0, fresh);
    write(path, &file)?;
    Ok(id)
}

pub(super) fn key_bytes(value: &Redacted) -> Option<Vec<u8>> {
    hex::decode(value.expose()).ok().filter(|b| b.len() == 32)
}

pub(super) fn read(path: &Path) -> Result<SecretsFile, SecretsError> {
    let io_error = |source| SecretsError::Io {
        path: path.to_owned(),
        source,
    };
    let mode = fs::metadata(path).map_err(io_error)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretsError::Shared {
            path: path.to_owned(),
            mode,
        });
    }
    let text = fs::read_to_string(path).map_err(io_error)?;
    // The parser's own message quotes the line, which holds the secret.
    toml::from_str(&text).map_err(|_| SecretsError::Invalid {
        path: path.to_owned(),
        reason: "it is not the TOML that was written",
    })
}

pub(super) fn write(path: &Path, file: &SecretsFile) -> Result<(), SecretsError> {
    let text = toml::to_string(file).map_err(|_| SecretsError::Invalid {
        path: path.to_owned(),
        reason: "it cannot be written as TOML",
    })?;
    write_private(path, &format!("{HEADER}{text}")).map_err(|source| SecretsError::Io {
        path: path.to_owned(),
        source,
    })
}

const HEADER: &str = "\
# Secrets of this server. Keep this file private (mode 0600) and back it up apart from the
# database: without it no API key is recognized, with both an attacker can test guesses.
# `root`: keys for the audit's hash chain, for second factors and for the digests of tokens are
# derived from it. `pepper`: API keys are stored as HMAC-SHA-256(pepper, key); the first one serves
# new keys. `signing`: access tokens are signed with the first one.

";
