//! Secrets that must not lie in the database: a copy of it alone opens nothing.
//!
//! - `file`: how they are kept
//! - `signing`: the keys of access tokens, which change while the server runs

mod file;
mod signing;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use file::{Entry, SecretsFile, key_bytes, read, write};
pub use file::{SecretsError, rotate_signing};
pub use signing::SigningKey;
use signing::SigningKeys;

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
    signing: SigningKeys,
    /// What the keys of single purposes are derived from.
    root: RedactedMac,
}

/// What a derived secret is for: secrets of different purposes have nothing in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The audit's hash chain.
    Audit,
    /// Digests of refresh tokens, invitations and recovery codes.
    Tokens,
    /// Secrets of second factors.
    Totp,
    /// Hashes in the place of personal data.
    Masks,
    /// The name of a database among others.
    Records,
    /// Seals of answers that are kept where others can write.
    Cache,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Audit => b"audit",
            Self::Tokens => b"tokens",
            Self::Totp => b"totp",
            Self::Masks => b"masks",
            Self::Records => b"records",
            Self::Cache => b"cache",
        }
    }
}

#[derive(Debug)]
struct Pepper {
    id: String,
    /// Keyed once: verification clones it instead of hashing the pepper again.
    mac: RedactedMac,
}

#[derive(Clone)]
struct RedactedMac(Hmac<Sha256>);

impl fmt::Debug for RedactedMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Secrets {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is missing, not valid, or open to other users.
    pub fn load(path: &Path) -> Result<Self, SecretsError> {
        let invalid = |reason| SecretsError::Invalid {
            path: path.to_owned(),
            reason,
        };
        let file = read(path)?;
        if file.pepper.is_empty() {
            return Err(invalid("it has no pepper"));
        }
        let mac = |value: &Redacted| {
            let bytes = key_bytes(value)?;
            Hmac::new_from_slice(&bytes).map(RedactedMac).ok()
        };
        let mut peppers = Vec::with_capacity(file.pepper.len());
        for Entry { id, value, .. } in &file.pepper {
            let mac = mac(value).ok_or_else(|| invalid("a pepper is not 32 bytes in hex"))?;
            peppers.push(Pepper {
                id: id.clone(),
                mac,
            });
        }
        let signing = SigningKeys::new(path, &file)?;
        let root = file.root.as_ref().and_then(mac);
        Ok(Self {
            peppers: Arc::new(peppers),
            signing,
            root: root.ok_or_else(|| invalid("its root is not 32 bytes in hex"))?,
        })
    }

    /// Reads the file; writes one (mode 0600) when there is none, and completes one of an older
    /// version.
    ///
    /// # Errors
    /// As [`Secrets::load`], and when it cannot be written.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretsError> {
        if !path.exists() {
            write(path, &SecretsFile::generate()?)?;
        }
        Self::load_and_complete(path)
    }

    /// Reads the file and adds what an older version of this program did not write.
    ///
    /// # Errors
    /// As [`Secrets::load`], and when it cannot be written.
    pub fn load_and_complete(path: &Path) -> Result<Self, SecretsError> {
        let mut file = read(path)?;
        if file.root.is_none() || file.signing.is_empty() {
            let fresh = SecretsFile::generate()?;
            file.root = file.root.or(fresh.root);
            if file.signing.is_empty() {
                file.signing = fresh.signing;
            }
            write(path, &file)?;
        }
        Self::load(path)
    }

    /// The keys of access tokens, as the file has them now; the first one signs.
    pub fn signing(&self) -> Arc<[SigningKey]> {
        self.signing.current()
    }

    /// The key of a purpose. Never the same for two purposes, and nothing tells what they are
    /// derived from.
    pub fn key(&self, purpose: Purpose) -> Hmac<Sha256> {
        let mut mac = self.root.0.clone();
        mac.update(purpose.label());
        let key = mac.finalize().into_bytes();
        // A MAC takes keys of any length.
        Hmac::new_from_slice(&key).unwrap_or_else(|_| self.root.0.clone())
    }

    /// HMAC-SHA-256 of the data under the purpose's key.
    pub fn derive(&self, purpose: Purpose, data: &[u8]) -> Vec<u8> {
        let mut mac = self.key(purpose);
        mac.update(data);
        mac.finalize().into_bytes().to_vec()
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

#[cfg(test)]
mod tests;
