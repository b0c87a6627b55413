//! Secrets that must not lie in the database: a copy of it alone opens nothing.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::IssueError;
use super::token::random;
use crate::store::write_private;

/// Text that does not show itself in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Redacted(String);

impl Redacted {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself: for showing it once to its owner, and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The contents of `secrets.toml`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The first one serves new keys; the others are there until the keys made with them are gone.
    peppers: Arc<Vec<Pepper>>,
}

#[derive(Debug)]
struct Pepper {
    id: String,
    /// Keyed once: verification clones it instead of hashing the pepper again.
    mac: RedactedMac,
}

struct RedactedMac(Hmac<Sha256>);

impl fmt::Debug for RedactedMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretsFile {
    pepper: Vec<PepperEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PepperEntry {
    id: String,
    /// 32 bytes in hex.
    value: Redacted,
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

impl Secrets {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is missing, not valid, or open to other users.
    pub fn load(path: &Path) -> Result<Self, SecretsError> {
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
        let invalid = |reason| SecretsError::Invalid {
            path: path.to_owned(),
            reason,
        };
        let text = fs::read_to_string(path).map_err(io_error)?;
        // The parser's own message quotes the line, which holds the secret.
        let file: SecretsFile =
            toml::from_str(&text).map_err(|_| invalid("it is not the TOML that was written"))?;
        let mut peppers = Vec::with_capacity(file.pepper.len());
        for PepperEntry { id, value } in file.pepper {
            let bytes = hex::decode(value.expose()).unwrap_or_default();
            if bytes.len() != 32 {
                return Err(invalid("a pepper is not 32 bytes in hex"));
            }
            let mac = Hmac::new_from_slice(&bytes).map_err(|_| invalid("a pepper is unusable"))?;
            peppers.push(Pepper {
                id,
                mac: RedactedMac(mac),
            });
        }
        if peppers.is_empty() {
            return Err(invalid("it has no pepper"));
        }
        Ok(Self {
            peppers: Arc::new(peppers),
        })
    }

    /// Reads the file, or writes one with a fresh pepper (mode 0600) when there is none.
    ///
    /// # Errors
    /// As [`Secrets::load`], and when it cannot be written.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretsError> {
        if !path.exists() {
            let file = SecretsFile {
                pepper: vec![PepperEntry {
                    id: format!("pep_{}", hex::encode(random::<4>()?)),
                    value: Redacted::new(hex::encode(random::<32>()?)),
                }],
            };
            let text = toml::to_string(&file).map_err(|_| SecretsError::Invalid {
                path: path.to_owned(),
                reason: "it cannot be written as TOML",
            })?;
            write_private(path, &format!("{HEADER}{text}")).map_err(|source| SecretsError::Io {
                path: path.to_owned(),
                source,
            })?;
        }
        Self::load(path)
    }

    /// The digest of a new key, and the id of the pepper in it.
    pub(super) fn digest(&self, key: &Redacted) -> (String, Vec<u8>) {
        // `load` refuses a file without peppers.
        let pepper = &self.peppers[0];
        (pepper.id.clone(), pepper.digest(key.expose()))
    }

    /// The digests that a presented key may be stored under, likeliest first.
    pub(super) fn digests(&self, presented: &str) -> impl Iterator<Item = Vec<u8>> {
        self.peppers.iter().map(|pepper| pepper.digest(presented))
    }

    /// Checks that every pepper in use is there, to be told at start instead of by locked-out users.
    pub(crate) fn check_peppers(&self, path: &Path, in_use: &[String]) -> Result<(), SecretsError> {
        match in_use
            .iter()
            .find(|id| !self.peppers.iter().any(|p| &p.id == *id))
        {
            None => Ok(()),
            Some(id) => Err(SecretsError::MissingPepper {
                path: path.to_owned(),
                id: id.clone(),
            }),
        }
    }
}

impl Pepper {
    fn digest(&self, key: &str) -> Vec<u8> {
        let mut mac = self.mac.0.clone();
        mac.update(key.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

const HEADER: &str = "\
# Secrets of this server. Keep this file private (mode 0600) and back it up apart from the
# database: without it no API key is recognized, with both an attacker can test guesses.
# `pepper`: keys are stored as HMAC-SHA-256(pepper, key). The first one serves new keys.

";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secrets_file_is_private_and_stays_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.toml");
        let first = Secrets::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let again = Secrets::load_or_create(&path).unwrap();
        let key = Redacted::new("sk-x".into());
        assert_eq!(first.digest(&key), again.digest(&key));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.toml");
        let secrets = Secrets::load_or_create(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let value = text.split("value = \"").nth(1).unwrap();
        let value = value.trim_end().trim_end_matches('"');
        assert_eq!(value.len(), 64);
        let shown = format!("{secrets:?} {:?}", Redacted::new(value.into()));
        assert!(!shown.contains(value), "{shown}");
        assert!(shown.contains("[redacted]"), "{shown}");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.toml");
        Secrets::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Secrets::load(&path).unwrap_err().to_string();
        assert!(error.contains("mode 640"), "{error}");
    }

    #[test]
    fn a_broken_file_is_refused_without_quoting_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.toml");
        for text in [
            "pepper = 5551234",
            "[[pepper]]\nid='a'\nvalue='5551234'",
            "pepper = []",
            "",
        ] {
            let _ = fs::remove_file(&path);
            write_private(&path, text).unwrap();
            let error = format!("{0} {0:?}", Secrets::load_or_create(&path).unwrap_err());
            assert!(error.contains("secrets.toml"), "{error}");
            assert!(!error.contains("5551234"), "{error}");
        }
    }
}
