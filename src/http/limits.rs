//! `GET /v1/limits`: what the caller may use, and what is left of it.

use poem::web::Data;
use poem_openapi::{Enum, Object, OpenApi};
use serde::Serialize;

use super::auth::ApiKey;
use super::error::ApiError;
use super::payload::Json;
use super::spec::Tag;
use crate::app::App;
use crate::limits::{LimitSet, Scope};

pub struct LimitsApi;

/// What a caller may use.
#[derive(Debug, Clone, Serialize, Object)]
pub struct OwnLimits {
    /// `key_…`, or `sess_…` of a session.
    pub key_id: String,
    pub project_id: String,
    /// Null: all.
    pub scopes: Option<Vec<String>>,
    /// The models that may be asked.
    pub models: Vec<String>,
    /// All limits hold at the same time.
    pub limits: Vec<ScopeLimits>,
}

/// The limits of one scope, and what everybody in it has used.
#[derive(Debug, Clone, Serialize, Object)]
pub struct ScopeLimits {
    pub scope: ScopeKind,
    /// Of a project's limits for one model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    pub limits: LimitSet,
    /// Only what is limited.
    pub used: LimitSet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum ScopeKind {
    Key,
    User,
    Project,
    Organization,
    Model,
}

#[OpenApi(prefix_path = "/v1/limits", tag = "Tag::Limits")]
impl LimitsApi {
    /// Tell the limits of the key that is presented, and what is used of them.
    #[oai(path = "/", method = "get", operation_id = "retrieveOwnLimits")]
    async fn own(&self, key: ApiKey, app: Data<&App>) -> Result<Json<OwnLimits>, ApiError> {
        let principal = key.0;
        let models = app.models_of(&principal);
        let report = app.limits.report(&principal, &models).await?;
        let limits = report.into_iter().map(|(scope, limits, used)| {
            let (kind, model) = match scope {
                Scope::Key(_) => (ScopeKind::Key, None),
                Scope::User(_) => (ScopeKind::User, None),
                Scope::Project(_) => (ScopeKind::Project, None),
                Scope::Organization => (ScopeKind::Organization, None),
                Scope::Model(_, model) => (ScopeKind::Model, Some(model.to_string())),
            };
            let used = used.only_where(&limits);
            ScopeLimits {
                scope: kind,
                model,
                limits,
                used,
            }
        });
        Ok(Json(OwnLimits {
            limits: limits.collect(),
            key_id: principal.key_id,
            project_id: principal.project_id,
            scopes: principal.scopes.0.map(|scopes| scopes.to_vec()),
            models,
        }))
    }
}
