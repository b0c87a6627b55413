//! The cache of answers. OpenAI has no such routes; the shapes are in its manner.

use poem_openapi::Object;
use serde::Serialize;

use crate::store;

/// What the cache holds, and what it was good for.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "OrganizationCache")]
pub struct CacheState {
    /// `organization.cache`
    pub object: String,
    /// In the memory of this process.
    pub answers: u64,
    /// What they take, about.
    pub bytes: u64,
    /// How far back `data` goes.
    pub hours: i64,
    pub data: Vec<CacheUse>,
}

/// What became of the requests of a project to a model.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "OrganizationCacheUse")]
pub struct CacheUse {
    pub project_id: String,
    pub model: String,
    pub hits: i64,
    pub misses: i64,
    /// Answers that were asked to be new.
    pub refreshes: i64,
    /// Requests that the cache had no part in.
    pub bypasses: i64,
}

impl From<store::CacheUse> for CacheUse {
    fn from(used: store::CacheUse) -> Self {
        Self {
            project_id: used.project_id,
            model: used.model,
            hits: used.hits,
            misses: used.misses,
            refreshes: used.refreshes,
            bypasses: used.bypasses,
        }
    }
}

/// Answers were forgotten.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "OrganizationCacheFlushed")]
pub struct CacheFlushed {
    /// `organization.cache.flushed`
    pub object: String,
    pub flushed: bool,
}
