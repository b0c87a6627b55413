//! The configuration: one file, overridable by the environment, every key typed.
//!
//! Defaults and meanings are in one place, `config/microllm.toml`, which is built in.

mod load;

pub use load::{ConfigError, Sources};

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything that can be set. What each key means is said in `config/microllm.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: ServerConfig,
    pub data: DataConfig,
    pub engine: EngineConfig,
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
    pub drain_seconds: u64,
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
    pub concurrency: usize,
    pub max_queue: usize,
    /// 0: one for each core.
    pub threads: usize,
    /// 0: off.
    pub prefix_cache_mib: u64,
    /// 0: what the context leaves.
    pub default_max_tokens: u32,
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
