use std::time::Duration;

use poem::http::{HeaderMap, header};
use poem_openapi::Object;
use serde::{Deserialize, Deserializer};

use crate::openai::chat::only_from_objects;

/// The longest that an answer may be kept: 30 days.
pub const LONGEST_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const LONGEST_NAMESPACE: usize = 256;

/// What one request wants of the cache. The names are LiteLLM's.
#[derive(Debug, Clone, Default, Deserialize, Object)]
#[oai(rename = "CacheControls")]
#[serde(default, remote = "Self", rename_all = "kebab-case")]
#[oai(rename_all = "kebab-case")]
pub struct CacheParam {
    /// Keep the answer for this many seconds.
    #[oai(validator(minimum(value = "0"), maximum(value = "2592000")))]
    pub ttl: Option<i64>,
    /// Take an answer only if it is at most this many seconds old.
    #[oai(validator(minimum(value = "0")))]
    pub s_maxage: Option<i64>,
    /// Generate a new answer.
    pub no_cache: Option<bool>,
    /// Do not keep the answer.
    pub no_store: Option<bool>,
    /// Keep and take the answer although it is not deterministic.
    pub use_cache: Option<bool>,
    /// A partition of its own within the project.
    #[oai(validator(max_length = 256))]
    pub namespace: Option<String>,
}

only_from_objects!(CacheParam);

/// The same, with what the `Cache-Control` header says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Controls {
    pub no_cache: bool,
    pub no_store: bool,
    pub uses: bool,
    pub max_age: Option<Duration>,
    pub ttl: Option<Duration>,
    pub namespace: Option<String>,
}

/// A value that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ControlsError {
    /// The field of the request.
    pub param: &'static str,
    pub message: String,
}

impl Controls {
    /// What `Cache-Control: no-cache`, `no-store` and `max-age` ask for. Whatever else is in there is
    /// for caches on the way.
    pub fn of_headers(headers: &HeaderMap) -> Self {
        let mut controls = Self::default();
        let values = headers.get_all(header::CACHE_CONTROL).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        // One by one: what one of them is about holds although another means nothing.
        for directive in values.flat_map(|value| value.split(',')) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match &*name.trim().to_ascii_lowercase() {
                "no-cache" => controls.no_cache = true,
                "no-store" => (controls.no_cache, controls.no_store) = (true, true),
                "max-age" => {
                    let seconds = value.trim().trim_matches('"').parse().ok();
                    controls.max_age = seconds.map(Duration::from_secs).or(controls.max_age);
                }
                _ => {}
            }
        }
        controls
    }

    /// Adds what the body says; where both say something, both hold.
    ///
    /// # Errors
    /// [`ControlsError`] for a value out of its range.
    pub fn with(mut self, body: Option<CacheParam>) -> Result<Self, ControlsError> {
        let Some(body) = body else {
            return Ok(self);
        };
        self.no_cache |= body.no_cache.unwrap_or(false);
        self.no_store |= body.no_store.unwrap_or(false);
        self.uses = body.use_cache.unwrap_or(false);
        let longest = LONGEST_LIFE.as_secs();
        self.ttl = seconds("cache.ttl", body.ttl, longest)?;
        let max_age = seconds("cache.s-maxage", body.s_maxage, u64::MAX)?;
        self.max_age = match (self.max_age, max_age) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if let Some(namespace) = body.namespace.filter(|name| !name.is_empty()) {
            if namespace.chars().count() > LONGEST_NAMESPACE {
                let message = format!(
                    "Invalid 'cache.namespace': string too long. Expected a string with maximum \
                     length {LONGEST_NAMESPACE}."
                );
                return Err(ControlsError {
                    param: "cache.namespace",
                    message,
                });
            }
            self.namespace = Some(namespace);
        }
        Ok(self)
    }
}

fn seconds(
    param: &'static str,
    value: Option<i64>,
    most: u64,
) -> Result<Option<Duration>, ControlsError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let seconds = u64::try_from(value).ok().filter(|value| *value <= most);
    match seconds {
        Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
        None => Err(ControlsError {
            param,
            message: format!(
                "Invalid '{param}': expected seconds, from 0 to {most}, but got {value}."
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> Controls {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, header.parse().unwrap());
        Controls::of_headers(&headers)
    }

    #[test]
    fn headers_say_what_they_say_elsewhere() {
        assert_eq!(of("max-age=0, no-transform").max_age, Some(Duration::ZERO));
        let control = of("no-cache");
        assert!(control.no_cache && !control.no_store);
        let control = of("No-Store");
        assert!(control.no_cache && control.no_store);
        assert_eq!(of("nonsense, =, max-age=x"), Controls::default());
        for header in [
            "no-store, max-age=-1",
            "max-age=99999999999999999999, no-store",
            "=, \"no-transform, NO-STORE",
        ] {
            let control = of(header);
            assert!(control.no_cache && control.no_store, "{header}");
        }
        assert!(of("no-cache=\"x\"").no_cache);
        assert_eq!(of("max-age=\"5\"").max_age, Some(Duration::from_secs(5)));
    }

    #[test]
    fn header_and_body_hold_together() {
        let body: CacheParam =
            serde_json::from_str(r#"{"s-maxage": 5, "no-store": true, "ttl": 9}"#).unwrap();
        let controls = of("max-age=60").with(Some(body)).unwrap();
        assert_eq!(controls.max_age, Some(Duration::from_secs(5)));
        assert_eq!(controls.ttl, Some(Duration::from_secs(9)));
        assert!(controls.no_store && !controls.no_cache);
        for (body, param) in [
            (r#"{"ttl": -1}"#, "cache.ttl"),
            (r#"{"ttl": 2592001}"#, "cache.ttl"),
            (r#"{"s-maxage": -1}"#, "cache.s-maxage"),
        ] {
            let body = serde_json::from_str(body).unwrap();
            assert_eq!(
                Controls::default().with(Some(body)).unwrap_err().param,
                param
            );
        }
    }
}
