use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat};
use serde_json::Value;

use super::{AuthConfig, Config, RedisConfig, RedisMode, network};
use crate::cache::LONGEST_LIFE;

/// Every key, its default and its meaning.
pub(super) const DEFAULTS: &str = include_str!("../../config/microllm.toml");
const ENV_PREFIX: &str = "MICROLLM__";

/// Where settings come from besides the defaults, weakest first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Environment variables; those named `MICROLLM__SECTION__KEY` count.
    pub env: HashMap<String, String>,
    /// From the command line: `("server.listen", "…")`.
    pub overrides: Vec<(&'static str, String)>,
}

/// The configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {path}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Not TOML.
    #[error("{0}")]
    Parse(String),
    /// One key is unknown or has a wrong value; `key` is its full name.
    #[error("{key}: {reason}{origin}")]
    Key {
        key: String,
        reason: String,
        /// ` (from …)`, where that is known.
        origin: String,
    },
}

impl Sources {
    /// The process's environment and no file.
    ///
    /// # Errors
    /// For a `MICROLLM__…` variable that is not UTF-8.
    pub fn from_process() -> Result<Self, ConfigError> {
        let mut env = HashMap::new();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with(ENV_PREFIX)) else {
                continue;
            };
            let Ok(value) = value.into_string() else {
                let reason = "the value is not UTF-8";
                return Err(key_error(&key_of(name), reason.into(), origin(name)));
            };
            env.insert(name.to_owned(), value);
        }
        Ok(Self {
            env,
            ..Self::default()
        })
    }

    /// Lays the sources over the defaults and checks the result.
    ///
    /// # Errors
    /// [`ConfigError`] names the first key that is unknown or wrong.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let defaults = layer(None, DEFAULTS)?;
        let mut builder = config::Config::builder().add_source(defaults.clone());
        if let Some(path) = &self.file {
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
                path: path.clone(),
                source,
            })?;
            builder = builder.add_source(layer(Some(path), &text)?);
        }
        let environment = Environment::with_prefix("MICROLLM")
            .prefix_separator("__")
            .separator("__")
            .source(Some(self.env.clone()));
        builder = builder.add_source(environment);
        for (key, value) in &self.overrides {
            builder = builder
                .set_override(*key, value.as_str())
                .map_err(|error| ConfigError::Parse(error.to_string()))?;
        }
        let mut merged = build(builder)?;
        let defaults = build(config::Config::builder().add_source(defaults))?;
        convert_texts(&mut merged, &defaults);
        // The crate's own conversions round 1.5 to 2 and read "yes" as true; JSON's do not.
        let config: Config = serde_path_to_error::deserialize(merged).map_err(|error| {
            let key = error.path().to_string();
            let origin = self.origin(&key);
            key_error(&key, error.into_inner().to_string(), origin)
        })?;
        self.finish(config)
    }

    /// Fills in what depends on the machine, and checks what types cannot say.
    fn finish(&self, mut config: Config) -> Result<Config, ConfigError> {
        let refuse = |key: &str, reason: &str| Err(key_error(key, reason.into(), self.origin(key)));
        let engine = &config.engine;
        if (1..512).contains(&engine.context_length) {
            return refuse("engine.context_length", "must be 0 or from 512 up");
        }
        if engine.max_queue > 100_000 {
            return refuse("engine.max_queue", "must be 100000 at most");
        }
        if engine.threads > 1024 {
            return refuse("engine.threads", "must be 1024 at most");
        }
        if engine.model.trim().is_empty() {
            return refuse("engine.model", "must name a model");
        }
        let embeddings = &config.embeddings;
        if embeddings.max_queue > 100_000 {
            return refuse("embeddings.max_queue", "must be 100000 at most");
        }
        if embeddings.model == engine.model {
            return refuse("embeddings.model", "must not be the model of engine.model");
        }
        self.check_models(&config)?;
        let server = &config.server;
        if !is_host_and_port(&server.listen) {
            let reason = "must be HOST:PORT, such as \"127.0.0.1:8080\"";
            return refuse("server.listen", reason);
        }
        if !(1024..=1 << 30).contains(&server.max_body_bytes) {
            let reason = "must be from 1024 to 1073741824 (1 GiB)";
            return refuse("server.max_body_bytes", reason);
        }
        if let Some(bad) = server.trusted_proxies.iter().find(|p| network(p).is_none()) {
            let reason = format!("{bad:?} is not an address or a network such as \"10.0.0.0/8\"");
            return refuse("server.trusted_proxies", &reason);
        }
        if server.drain_seconds > 3600 {
            return refuse("server.drain_seconds", "must be 3600 at most");
        }
        if let Some(bad) = server.cors_allowed_origins.iter().find(|o| !is_origin(o)) {
            let reason = format!("{bad:?} is not an origin such as \"https://chat.example.org\"");
            return refuse("server.cors_allowed_origins", &reason);
        }
        self.check_auth(&config.auth)?;
        let cache = &config.cache;
        if cache.ttl_seconds > LONGEST_LIFE.as_secs() {
            return refuse("cache.ttl_seconds", "must be 2592000 (30 days) at most");
        }
        if cache.memory_mib > 1 << 20 {
            return refuse("cache.memory_mib", "must be 1048576 (1 TiB) at most");
        }
        if cache.largest_kib > 1 << 16 {
            return refuse("cache.largest_kib", "must be 65536 (64 MiB) at most");
        }
        let limits = &config.limits;
        if limits.longest_wait_ms > 600_000 {
            return refuse(
                "limits.longest_wait_ms",
                "must be 600000 (10 minutes) at most",
            );
        }
        let rates = [
            limits.requests_per_minute,
            limits.tokens_per_minute,
            limits.requests_per_day,
        ];
        if rates.iter().any(|rate| *rate > 1 << 53) {
            return refuse("limits", "must be 9007199254740992 at most, each");
        }
        for (model, price) in &config.prices {
            let all = [Some(price.input), price.cached_input, Some(price.output)];
            if !all
                .iter()
                .flatten()
                .all(|price| (0.0..=1e6).contains(price))
            {
                let reason = "must be from 0 to 1000000 US dollars for a million tokens";
                return refuse(&format!("prices.{model}"), reason);
            }
        }
        if let Err(reason) = config.alerts.webhook_url() {
            return refuse("alerts.webhook", reason);
        }
        self.check_redis(&config.redis)?;
        if config.data.dir.as_os_str().is_empty() {
            let Some(dir) = default_data_dir() else {
                let reason = "must be set, because neither XDG_DATA_HOME nor HOME is";
                return refuse("data.dir", reason);
            };
            config.data.dir = dir;
        }
        Ok(config)
    }

    fn check_models(&self, config: &Config) -> Result<(), ConfigError> {
        let refuse = |key: &str, reason: &str| Err(key_error(key, reason.into(), self.origin(key)));
        let engine = &config.engine;
        // A month, and ten minutes: clients do not wait longer.
        if engine.unload_after_seconds > 2_592_000 {
            return refuse("engine.unload_after_seconds", "must be 2592000 at most");
        }
        if engine.load_wait_seconds > 600 {
            return refuse("engine.load_wait_seconds", "must be 600 at most");
        }
        if engine.memory_mib > 1 << 24 {
            return refuse("engine.memory_mib", "must be 16777216 (16 TiB) at most");
        }
        for (id, model) in &config.models {
            if id == &config.embeddings.model {
                let reason = "must not be the model of embeddings.model";
                return refuse(&format!("models.{id}"), reason);
            }
            if let Err((name, range)) = model.sampling.check() {
                return refuse(&format!("models.{id}.sampling.{name}"), range);
            }
        }
        let is_served = |id: &String| {
            !id.is_empty()
                && ([&engine.model, &config.embeddings.model].contains(&id)
                    || config.models.contains_key(id))
        };
        for (alias, target) in &config.aliases {
            let key = format!("aliases.{alias}");
            if alias.is_empty() || is_served(alias) {
                return refuse(&key, "must be another name than those of the models");
            }
            if !is_served(target) {
                let reason = format!(
                    "'{target}' is not served: it is neither engine.model nor embeddings.model, \
                     and not in [models]"
                );
                return refuse(&key, &reason);
            }
        }
        Ok(())
    }

    fn check_auth(&self, auth: &AuthConfig) -> Result<(), ConfigError> {
        let refuse = |key: &str, reason: &str| Err(key_error(key, reason.into(), self.origin(key)));
        // OWASP's minimum; more than a GiB a hash would be a way to bring the server down.
        if !(19_456..=1 << 20).contains(&auth.password_memory_kib) {
            return refuse("auth.password_memory_kib", "must be from 19456 to 1048576");
        }
        if !(2..=16).contains(&auth.password_passes) {
            return refuse("auth.password_passes", "must be from 2 to 16");
        }
        if !(1..=16).contains(&auth.password_lanes) {
            return refuse("auth.password_lanes", "must be from 1 to 16");
        }
        if !(1..=64).contains(&auth.password_hashes_at_once) {
            return refuse("auth.password_hashes_at_once", "must be from 1 to 64");
        }
        if !(60..=3600).contains(&auth.access_token_seconds) {
            return refuse("auth.access_token_seconds", "must be from 60 to 3600");
        }
        for (key, days) in [
            ("auth.session_idle_days", auth.session_idle_days),
            ("auth.session_days", auth.session_days),
        ] {
            if !(1..=365).contains(&days) {
                return refuse(key, "must be from 1 to 365");
            }
        }
        let oidc = &auth.oidc;
        if oidc.issuer.is_empty() {
            return Ok(());
        }
        for (key, value) in [
            ("auth.oidc.audience", &oidc.audience),
            ("auth.oidc.jwks", &oidc.jwks),
            ("auth.oidc.subject_claim", &oidc.subject_claim),
            ("auth.oidc.email_claim", &oidc.email_claim),
        ] {
            if value.is_empty() {
                return refuse(key, "must be set together with auth.oidc.issuer");
            }
        }
        if oidc.jwks.starts_with("http://") {
            return refuse("auth.oidc.jwks", "must be a file or an https:// address");
        }
        if oidc.role_claim.is_empty() != oidc.owner_roles.is_empty() {
            let reason = "must be set together with auth.oidc.role_claim";
            return refuse("auth.oidc.owner_roles", reason);
        }
        Ok(())
    }

    fn check_redis(&self, redis: &RedisConfig) -> Result<(), ConfigError> {
        let refuse = |key: &str, reason: &str| Err(key_error(key, reason.into(), self.origin(key)));
        let schemes = ["redis:", "rediss:", "redis+unix:", "unix:"];
        let is_redis = |url: &str| {
            url::Url::parse(url).is_ok() && schemes.iter().any(|scheme| url.starts_with(scheme))
        };
        // The address is not in the message: it may hold a password.
        if redis.urls.iter().any(|url| !is_redis(url.expose())) {
            let reason = "must be addresses such as \"redis://127.0.0.1:6379\" or rediss://";
            return refuse("redis.urls", reason);
        }
        if redis.mode == RedisMode::Single && redis.urls.len() > 1 {
            let reason = "must be one address, unless redis.mode is \"sentinel\" or \"cluster\"";
            return refuse("redis.urls", reason);
        }
        if redis.mode == RedisMode::Sentinel && redis.sentinel_master.is_empty() {
            let reason = "must be set where redis.mode is \"sentinel\"";
            return refuse("redis.sentinel_master", reason);
        }
        if redis.mode != RedisMode::Single && !redis.ca_file.as_os_str().is_empty() {
            let reason = "is for redis.mode \"single\"; elsewhere the machine's certificates count";
            return refuse("redis.ca_file", reason);
        }
        if redis.key_prefix.contains(['{', '}']) {
            return refuse("redis.key_prefix", "must be without { and }");
        }
        if !(1..=10_000).contains(&redis.timeout_ms) {
            return refuse("redis.timeout_ms", "must be from 1 to 10000");
        }
        if !(1..=1024).contains(&redis.pool_size) {
            return refuse("redis.pool_size", "must be from 1 to 1024");
        }
        Ok(())
    }

    /// Which source a key's value is from, as an appendix to a message.
    fn origin(&self, key: &str) -> String {
        if self.overrides.iter().any(|(name, _)| *name == key) {
            return " (from the command line)".into();
        }
        // An unknown section is reported by the section's name alone.
        let names = |name: &&String| {
            let set = key_of(name);
            name.starts_with(ENV_PREFIX)
                && set
                    .strip_prefix(key)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if let Some(name) = self.env.keys().find(names) {
            return origin(name);
        }
        match &self.file {
            Some(path) => format!(" (from {})", path.display()),
            None => String::new(),
        }
    }
}

impl Default for Config {
    /// What is in `config/microllm.toml`.
    fn default() -> Self {
        match Sources::default().load() {
            Ok(config) => config,
            // A test loads them: they cannot be wrong in a program that was tested.
            Err(error) => unreachable!("the built-in defaults are not valid: {error}"),
        }
    }
}

fn layer(
    path: Option<&Path>,
    text: &str,
) -> Result<File<config::FileSourceString, FileFormat>, ConfigError> {
    // Parsed here first for a message that names the file and the place.
    if let Err(error) = text.parse::<toml::Table>() {
        let name = path.unwrap_or(Path::new("microllm.toml")).display();
        return Err(ConfigError::Parse(format!(
            "{name} is not valid TOML: {error}"
        )));
    }
    Ok(File::from_str(text, FileFormat::Toml))
}

fn build(
    builder: config::ConfigBuilder<config::builder::DefaultState>,
) -> Result<Value, ConfigError> {
    builder
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| ConfigError::Parse(error.to_string()))
}

/// The environment and the command line know only text: where the default is of another type,
/// text that reads as that type becomes it. What does not is refused later, with its name.
fn convert_texts(value: &mut Value, default: &Value) {
    match (&mut *value, default) {
        (Value::Object(value), Value::Object(default)) => {
            for (key, value) in value {
                if let Some(default) = default.get(key) {
                    convert_texts(value, default);
                }
            }
        }
        (Value::String(text), Value::Array(_)) => {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            *value = parts.map(Value::from).collect();
        }
        (Value::String(text), Value::Number(_) | Value::Bool(_)) => {
            if let Ok(parsed @ (Value::Number(_) | Value::Bool(_))) = text.trim().parse() {
                *value = parsed;
            }
        }
        _ => {}
    }
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn is_origin(text: &str) -> bool {
    let after_scheme = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    text == "*"
        || after_scheme.is_some_and(|host| {
            !host.is_empty() && !host.contains(|c: char| c == '/' || c == '*' || c.is_whitespace())
        })
}

/// `$XDG_DATA_HOME/microllm` or `~/.local/share/microllm`.
fn default_data_dir() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    set("XDG_DATA_HOME")
        // The XDG specification has relative paths ignored.
        .filter(|path| path.is_absolute())
        .or_else(|| {
            set("HOME")
                .filter(|home| home.is_absolute())
                .map(|home| home.join(".local/share"))
        })
        .map(|path| path.join("microllm"))
}

/// `MICROLLM__SERVER__LISTEN` -> `server.listen`
fn key_of(variable: &str) -> String {
    variable
        .strip_prefix(ENV_PREFIX)
        .unwrap_or(variable)
        .to_lowercase()
        .replace("__", ".")
}

fn origin(variable: &str) -> String {
    format!(" (from the environment variable {variable})")
}

fn key_error(key: &str, reason: String, origin: String) -> ConfigError {
    ConfigError::Key {
        key: key.to_owned(),
        reason,
        origin,
    }
}

#[cfg(test)]
mod tests;
