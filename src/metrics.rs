//! What is counted and measured, for Prometheus. Names of what OpenTelemetry has names for are its
//! own (GenAI semantic conventions), written as Prometheus writes them.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::records::UsageRow;

/// The format that [`Metrics::text`] is in.
pub const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Parts>);

struct Parts {
    registry: Registry,
    guard_time: Family<GuardLabels, Histogram>,
    guard_findings: Family<FindingLabels, Counter>,
    requests: Family<RequestLabels, Histogram>,
    first_token: Family<ModelLabels, Histogram>,
    tokens: Family<TokenLabels, Counter>,
    cache: Family<CacheLabels, Counter>,
    redis_up: Family<RedisLabels, Gauge>,
    redis_time: Family<OutcomeLabels, Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GuardLabels {
    guard: &'static str,
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabels {
    guard: &'static str,
    kind: &'static str,
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: String,
    model: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabels {
    status: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    model: String,
    token_type: TokenType,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RedisLabels {
    mode: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum TokenType {
    #[allow(non_camel_case_types)]
    input,
    #[allow(non_camel_case_types)]
    output,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let micros = || Histogram::new(exponential_buckets(10e-6, 2.0, 16));
        let seconds = || Histogram::new(exponential_buckets(0.005, 2.0, 16));
        let guard_time = Family::new_with_constructor(micros as fn() -> Histogram);
        let requests = Family::new_with_constructor(seconds as fn() -> Histogram);
        let first_token = Family::new_with_constructor(seconds as fn() -> Histogram);
        let (guard_findings, tokens) = (Family::default(), Family::default());
        let cache = Family::default();
        let redis_up = Family::default();
        let redis_time = Family::new_with_constructor(micros as fn() -> Histogram);
        registry.register_with_unit(
            "microllm_guardrail_duration",
            "What a guard took for all texts of a request, or for one answer",
            Unit::Seconds,
            guard_time.clone(),
        );
        registry.register(
            "microllm_guardrail_findings",
            "What guards found that is likely enough to count",
            guard_findings.clone(),
        );
        registry.register_with_unit(
            "gen_ai_server_request_duration",
            "From the arrival of a request to the end of its answer",
            Unit::Seconds,
            requests.clone(),
        );
        registry.register_with_unit(
            "gen_ai_server_time_to_first_token",
            "From the arrival of a request to the first text of its answer",
            Unit::Seconds,
            first_token.clone(),
        );
        registry.register(
            "gen_ai_client_token_usage",
            "Tokens that models have read and written",
            tokens.clone(),
        );
        registry.register(
            "microllm_cache_requests",
            "What the cache of answers did for requests",
            cache.clone(),
        );
        registry.register(
            "microllm_redis_up",
            "Whether Redis answers; 0: limits and caches are this process's own",
            redis_up.clone(),
        );
        registry.register_with_unit(
            "microllm_redis_duration",
            "What Redis took to answer, or to be given up",
            Unit::Seconds,
            redis_time.clone(),
        );
        Self(Arc::new(Parts {
            registry,
            cache,
            guard_time,
            guard_findings,
            requests,
            first_token,
            tokens,
            redis_up,
            redis_time,
        }))
    }
}

impl Metrics {
    /// A guard has looked at a text.
    pub fn guard(&self, guard: &'static str, direction: &'static str, took: Duration) {
        let labels = GuardLabels { guard, direction };
        let times = self.0.guard_time.get_or_create(&labels);
        times.observe(took.as_secs_f64());
    }

    /// A guard has found something.
    pub fn found(&self, guard: &'static str, kind: &'static str, direction: &'static str) {
        let labels = FindingLabels {
            guard,
            kind,
            direction,
        };
        self.0.guard_findings.get_or_create(&labels).inc();
    }

    /// A request has ended. What no model was reached by has no model here: its name may be made up.
    pub fn request(&self, row: &UsageRow) {
        if let Some(status) = row.cache.clone() {
            self.0.cache.get_or_create(&CacheLabels { status }).inc();
        }
        let is_known = row.input_tokens > 0;
        let model = if is_known { &row.model } else { "" };
        let labels = RequestLabels {
            operation: row.endpoint.clone(),
            model: model.to_owned(),
            status: row.status,
        };
        let seconds = |millis: u32| f64::from(millis) / 1000.0;
        let times = self.0.requests.get_or_create(&labels);
        times.observe(seconds(row.duration_ms));
        if !is_known {
            return;
        }
        if let Some(millis) = row.first_token_ms {
            let model = model.to_owned();
            let times = self.0.first_token.get_or_create(&ModelLabels { model });
            times.observe(seconds(millis));
        }
        for (token_type, tokens) in [
            (TokenType::input, row.input_tokens),
            (TokenType::output, row.output_tokens),
        ] {
            let model = model.to_owned();
            let labels = TokenLabels { model, token_type };
            let counter = self.0.tokens.get_or_create(&labels);
            counter.inc_by(u64::from(tokens));
        }
    }

    /// Redis was asked; `outcome` is `ok`, `late`, `failed` or `not_asked`.
    pub fn redis(&self, outcome: &'static str, took: Duration) {
        let times = self.0.redis_time.get_or_create(&OutcomeLabels { outcome });
        times.observe(took.as_secs_f64());
    }

    /// Redis has begun to answer, or to fail.
    pub fn redis_up(&self, mode: &'static str, is_up: bool) {
        let gauge = self.0.redis_up.get_or_create(&RedisLabels { mode });
        gauge.set(i64::from(is_up));
    }

    /// All of them, as [`FORMAT`].
    ///
    /// # Errors
    /// None that is known: writing to a string does not fail.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}
