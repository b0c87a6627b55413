//! How much may be asked: rates, budgets, and how much at once.
//!
//! - `window`: what was used within a sliding span
//! - `meter`: what one key, person, project or organization has used
//! - `queue`: who waits for one of them, and whose turn it is
//! - `claim`: what is asked of them, and why it is refused
//! - `source`: what time it is, and what was used before
//! - `limiter`: all of them
//! - `permit`: what a request that was let in may use
//! - `shared`: the same for several processes, through Redis

mod claim;
mod limiter;
mod meter;
mod permit;
mod queue;
mod shared;
mod source;
mod window;

pub use limiter::Limits;
pub use meter::{Scope, Used};
pub use permit::{Permit, Reservation};

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of a key, a project, a person or the organization, as they are stored (JSON) and as the
/// administration reads and writes them. None: no limit of this kind here; 0: nothing at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, poem_openapi::Object)]
#[serde(default, deny_unknown_fields)]
#[oai(rename = "Limits")]
pub struct LimitSet {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_day: Option<u64>,
    /// Requests in progress at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_requests: Option<u64>,
    /// Days and months of budgets are UTC's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_month: Option<u64>,
    /// US cents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cents_per_day: Option<u64>,
    /// US cents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cents_per_month: Option<u64>,
}

impl LimitSet {
    /// The fields that are set in another one.
    #[must_use]
    pub fn only_where(self, other: &Self) -> Self {
        fn both(a: Option<u64>, b: Option<u64>) -> Option<u64> {
            b.and(a)
        }
        Self {
            requests_per_minute: both(self.requests_per_minute, other.requests_per_minute),
            tokens_per_minute: both(self.tokens_per_minute, other.tokens_per_minute),
            requests_per_day: both(self.requests_per_day, other.requests_per_day),
            concurrent_requests: both(self.concurrent_requests, other.concurrent_requests),
            tokens_per_day: both(self.tokens_per_day, other.tokens_per_day),
            tokens_per_month: both(self.tokens_per_month, other.tokens_per_month),
            cents_per_day: both(self.cents_per_day, other.cents_per_day),
            cents_per_month: both(self.cents_per_month, other.cents_per_month),
        }
    }
}

/// All limits that bind a caller; the tightest wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallerLimits {
    pub key: LimitSet,
    pub project: LimitSet,
    /// Of the key's or session's person; what they use in any project counts.
    pub user: LimitSet,
    pub organization: LimitSet,
    /// Of the project's use of each model, by name, where they differ from the configured ones.
    pub models: HashMap<String, LimitSet>,
}

/// How full the tightest limits are, for the headers of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateStatus {
    pub requests: Option<Rate>,
    pub tokens: Option<Rate>,
}

/// One limit and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub limit: u64,
    pub remaining: u64,
    /// Until all of it is there again.
    pub reset: Duration,
}

/// A request is over a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Another time it will pass.
    #[error("Rate limit reached on {kind}: Limit {limit}, Used {used}, Requested {requested}.")]
    Rate {
        kind: &'static str,
        limit: u64,
        used: u64,
        requested: u64,
        retry_after: Duration,
    },
    /// It is above the whole limit.
    #[error(
        "Request too large on tokens per min (TPM): Limit {limit}, Requested {requested}. The \
         input or output tokens must be reduced in order to run successfully."
    )]
    TooLarge { limit: u64, requested: u64 },
    /// A budget is spent.
    #[error(
        "You exceeded your current quota ({kind}: limit {limit}), please check your plan with \
         whoever administers this server."
    )]
    Quota { kind: &'static str, limit: u64 },
    /// What was used until now cannot be read.
    #[error("The limits cannot be checked at the moment.")]
    Unavailable,
}

impl LimitError {
    /// After how long it may pass. None when waiting does not help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rate { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}
