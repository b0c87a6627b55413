//! Answers that are given again instead of being generated again.
//!
//! - [`key`]: what has to be the same for an answer to be the same
//! - [`controls`]: what a request says about it
//! - [`recorded`]: an answer as it is kept
//! - [`memory`]: answers kept in this process
//!
//! Only whole answers are kept, as the guards have left them. Whoever reads one has asked for the
//! same under the same policy, in the same project unless configured otherwise.

mod controls;
mod key;
mod memory;
mod recorded;

pub use controls::{CacheParam, Controls, ControlsError, LONGEST_LIFE};
pub use key::{Key, Question};
pub use memory::Held;
pub use recorded::Recorded;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::{CacheConfig, CacheScope, CachedAnswers};
use crate::engine::Sampling;
use crate::store::Flush;
use memory::Memory;

/// What the cache did for a request; a header and the usage row say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The answer was there, or was being generated for somebody else.
    Hit,
    Miss,
    /// The request asked for a new answer.
    Refresh,
    /// The cache had no part in it.
    Bypass,
}

impl Status {
    /// As headers and records have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "HIT",
            Self::Miss => "MISS",
            Self::Refresh => "REFRESH",
            Self::Bypass => "BYPASS",
        }
    }
}

/// What is to be done for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Whether an answer that is there will do.
    pub looks: bool,
    /// Only one that is at most so old.
    pub max_age: Option<Duration>,
    /// For how long the answer is kept; not at all, when none.
    pub life: Option<Duration>,
}

/// Answers by what was asked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cache {
    config: CacheConfig,
    clock: Clock,
    memory: Memory,
}

impl Cache {
    pub fn new(config: CacheConfig, clock: Clock) -> Self {
        Self {
            memory: Memory::new(config.memory_mib.saturating_mul(1 << 20)),
            config,
            clock,
        }
    }

    /// What is to be done for a request; none when the cache has no part in it.
    pub fn plan(&self, sampling: &Sampling, controls: &Controls) -> Option<Plan> {
        let is_kept = match self.config.answers {
            CachedAnswers::Off => false,
            CachedAnswers::Deterministic => {
                controls.uses || sampling.temperature == 0.0 || sampling.seed.is_some()
            }
            CachedAnswers::All => true,
        };
        let plan = Plan {
            looks: !controls.no_cache,
            max_age: controls.max_age,
            life: (!controls.no_store)
                .then(|| controls.ttl.unwrap_or(self.config.ttl()))
                .filter(|life| !life.is_zero()),
        };
        Some(plan).filter(|plan| is_kept && (plan.looks || plan.life.is_some()))
    }

    /// Who shares answers with somebody.
    pub fn tenant(&self, project_id: &str, key_id: &str) -> String {
        match self.config.scope {
            CacheScope::Key => format!("key:{key_id}"),
            CacheScope::Project => format!("project:{project_id}"),
            CacheScope::Organization => "organization".to_owned(),
        }
    }

    /// The answer that is kept for this question, unless it is older than that.
    pub fn get(&self, key: &Key, max_age: Option<Duration>) -> Option<Arc<Recorded>> {
        let recorded = self.memory.get(key)?;
        let age = self.clock.now_ms().saturating_sub(recorded.at_ms);
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        let is_fresh = max_age.is_none_or(|most| age <= most) && age < recorded.life();
        is_fresh.then_some(recorded)
    }

    /// Keeps an answer.
    pub fn put(&self, key: Key, recorded: Recorded) {
        self.memory.put(key, Arc::new(recorded));
    }

    /// In unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The most that an answer may weigh to be kept, in bytes.
    pub fn largest(&self) -> usize {
        usize::try_from(self.config.largest_kib.saturating_mul(1024)).unwrap_or(usize::MAX)
    }

    /// Forgets what was kept until then.
    pub fn forget(&self, flush: &Flush) {
        self.memory.forget(flush);
    }

    /// How much is kept in this process.
    pub fn held(&self) -> Held {
        self.memory.held()
    }
}
