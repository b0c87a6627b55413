//! The configuration: one file, overridable by the environment, every key typed.
//!
//! Defaults and meanings are in one place, `config/microllm.toml`, which is built in.

mod load;
mod redis;

pub use load::{ConfigError, Sources};
pub use redis::{RedisConfig, RedisMode, SecretUrl};

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::models::SamplingDefaults;

/// Everything that can be set. What each key means is said in `config/microllm.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: ServerConfig,
    pub auth: AuthConfig,
    pub data: DataConfig,
    pub engine: EngineConfig,
    pub embeddings: EmbeddingsConfig,
    /// How single models are served, by their ids.
    pub models: BTreeMap<String, ModelConfig>,
    /// Other names, and the models that they stand for.
    pub aliases: BTreeMap<String, String>,
    pub limits: LimitsConfig,
    /// By model.
    pub prices: BTreeMap<String, Price>,
    pub guardrails: GuardrailsConfig,
    pub cache: CacheConfig,
    pub alerts: AlertsConfig,
    pub redis: RedisConfig,
    pub log: LogConfig,
}

/// How the server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Host (name or address) and port.
    pub listen: String,
    /// Origins, or `*`.
    pub cors_allowed_origins: Vec<String>,
    pub max_body_bytes: usize,
    /// Addresses or networks.
    pub trusted_proxies: Vec<String>,
    pub drain_seconds: u64,
}

/// How people sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    pub registration: Registration,
    pub second_factor: SecondFactorRule,
    pub access_token_seconds: u32,
    pub session_idle_days: u32,
    pub session_days: u32,
    pub password_memory_kib: u32,
    pub password_passes: u32,
    pub password_lanes: u32,
    pub password_hashes_at_once: usize,
    pub oidc: OidcConfig,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    Off,
    Invite,
    Open,
}

/// Who must have a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactorRule {
    Optional,
    Owners,
}

/// An outside issuer of access tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// Empty: none.
    pub issuer: String,
    pub audience: String,
    /// A file or an address.
    pub jwks: String,
    pub subject_claim: String,
    pub email_claim: String,
    /// Empty: every address is believed.
    pub email_verified_claim: String,
    pub name_claim: String,
    /// Empty: not read.
    pub role_claim: String,
    /// Empty: not read.
    pub projects_claim: String,
    pub owner_roles: Vec<String>,
}

impl ServerConfig {
    /// The trusted proxies; a loaded configuration has no others.
    pub fn trusted_networks(&self) -> Vec<IpNet> {
        self.trusted_proxies
            .iter()
            .filter_map(|p| network(p))
            .collect()
    }
}

/// A network, or an address that stands for itself.
fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}

/// What is looked for in texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardrailsConfig {
    pub policy: String,
    /// Empty: only the policies that are built in.
    pub dir: PathBuf,
}

impl GuardrailsConfig {
    /// The directory, if there is one.
    pub fn dir(&self) -> Option<&Path> {
        Some(self.dir.as_path()).filter(|dir| !dir.as_os_str().is_empty())
    }
}

/// Which answers are given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    pub answers: CachedAnswers,
    pub scope: CacheScope,
    pub ttl_seconds: u64,
    pub memory_mib: u64,
    pub largest_kib: u64,
}

impl CacheConfig {
    /// For how long an answer is kept, unless the request says.
    pub fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl_seconds)
    }
}

/// Which answers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CachedAnswers {
    Off,
    Deterministic,
    All,
}

/// Who shares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheScope {
    Key,
    Project,
    Organization,
}

/// Where things are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Never empty: the default is filled in when the configuration is loaded.
    pub dir: PathBuf,
}

/// What answers, and how hard it may work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineConfig {
    pub model: String,
    /// 0: what the model allows.
    pub context_length: u32,
    pub max_queue: usize,
    /// 0: one for each core.
    pub threads: usize,
    /// 0: off.
    pub prefix_cache_mib: u64,
    /// 0: what the context leaves.
    pub default_max_tokens: u32,
    /// Of all loaded models; 0: no bound.
    pub memory_mib: u64,
    /// 0: never.
    pub unload_after_seconds: u64,
    pub load_wait_seconds: u64,
}

/// How a model is served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    pub load: LoadRule,
    pub sampling: SamplingDefaults,
    /// Instead of the model's own; empty: that.
    pub chat_template: PathBuf,
}

/// When a model is in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadRule {
    /// From when it is first asked for.
    #[default]
    OnDemand,
    /// From the start.
    Start,
    /// From the start, and never unloaded.
    Always,
}

/// What turns texts into vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingsConfig {
    /// Empty: nothing does.
    pub model: String,
    pub max_queue: usize,
}

/// What a project may ask of each model, unless its administrators say otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    pub requests_per_minute: u64,
    pub tokens_per_minute: u64,
    /// 0: none.
    pub requests_per_day: u64,
    /// 0: none.
    pub longest_wait_ms: u64,
}

/// What a model costs, in US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub input: f64,
    /// Tokens of the prompt that were reused; none: as the others.
    #[serde(default)]
    pub cached_input: Option<f64>,
    pub output: f64,
}

// A price is a number: the configuration refuses everything else.
impl Eq for Price {}

impl Price {
    /// In billionths of a US dollar.
    pub fn nanousd(&self, input: u32, cached: u32, output: u32) -> i64 {
        let cached_price = self.cached_input.unwrap_or(self.input);
        let fresh = f64::from(input.saturating_sub(cached)) * self.input;
        let rest = f64::from(cached) * cached_price + f64::from(output) * self.output;
        // A dollar for a million tokens is a thousand billionths for each.
        ((fresh + rest) * 1000.0).round() as i64
    }
}

/// Who is told of spend alerts, besides the audit and the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertsConfig {
    /// Empty: nobody. Its address may hold a secret, so it is not written out.
    #[serde(serialize_with = "redacted")]
    pub webhook: String,
}

fn redacted<S: serde::Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
    use sha2::{Digest, Sha256};
    if text.is_empty() {
        return to.serialize_str("");
    }
    // Enough to see that it has changed.
    let digest = hex::encode(Sha256::digest(text));
    let part = digest.get(..8).unwrap_or_default();
    to.serialize_str(&format!("[redacted, {part}]"))
}

impl AlertsConfig {
    /// The webhook's address, if there is one: HTTPS, or HTTP to this machine.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn webhook_url(&self) -> Result<Option<reqwest::Url>, &'static str> {
        if self.webhook.is_empty() {
            return Ok(None);
        }
        let why = "must be an https:// address, or http:// to a loopback address";
        let url = reqwest::Url::parse(&self.webhook).map_err(|_| why)?;
        let host = url.host_str().ok_or(why)?;
        let ip = host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback =
            host == "localhost" || ip.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        match url.scheme() {
            "https" => Ok(Some(url)),
            "http" if is_loopback => Ok(Some(url)),
            _ => Err(why),
        }
    }
}

/// What the program says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    pub level: LogLevel,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    Text,
    Json,
}
