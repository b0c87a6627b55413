use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use super::redacted;

/// What several processes share their counts and answers through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// Empty: nothing is shared.
    pub urls: Vec<SecretUrl>,
    pub mode: RedisMode,
    pub sentinel_master: String,
    /// Empty: the machine's certificates.
    pub ca_file: PathBuf,
    pub key_prefix: String,
    pub timeout_ms: u64,
    pub pool_size: usize,
}

impl RedisConfig {
    /// Whether anything is to be shared.
    pub fn is_on(&self) -> bool {
        !self.urls.is_empty()
    }
}

/// What the addresses lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisMode {
    Single,
    Sentinel,
    Cluster,
}

impl RedisMode {
    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
        }
    }
}

/// An address that may hold a password, which is written out nowhere.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(String);

impl SecretUrl {
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// With its password.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Without its user, password and query. None: it is no address.
    fn place(&self) -> Option<(Url, bool)> {
        let mut url = Url::parse(&self.0).ok()?;
        let is_secret = url.password().is_some() || url.query().is_some();
        url.set_query(None);
        let cleared = url.set_password(None).and_then(|()| url.set_username(""));
        // What has no host has neither.
        (cleared.is_ok() || !is_secret).then_some((url, is_secret))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place() {
            Some((url, _)) => write!(f, "{url}"),
            None => write!(f, "[redacted]"),
        }
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.place() {
            Some((url, false)) => to.serialize_str(url.as_str()),
            // That the password has changed can be seen all the same.
            _ => redacted(&self.0, to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_written_out_nowhere() {
        for url in [
            "rediss://user:hunter2@cache.example.org:6380/1",
            "redis://:hunter2@cache.example.org",
            "redis+unix:///run/redis.sock?pass=hunter2",
            "no address: hunter2",
        ] {
            let secret = SecretUrl::new(url);
            let written = format!("{secret:?} {}", serde_json::to_string(&secret).unwrap());
            assert!(!written.contains("hunter2"), "{written}");
            assert_eq!(secret.expose(), url);
        }
        let open = SecretUrl::new("redis://cache.example.org:6380/1");
        let written = serde_json::to_string(&open).unwrap();
        assert_eq!(written, "\"redis://cache.example.org:6380/1\"");
    }
}
