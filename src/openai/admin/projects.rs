use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::keys::ServiceAccountApiKey;
use super::object;
use super::people::ProjectRoleName;
use crate::auth::ModelMode;
use crate::limits::LimitSet;
use crate::store::{ProjectRow, ServiceRole};

object!(
    /// The `object` of a project.
    ProjectObject = "organization.project"
);
object!(
    /// The `object` of somebody in a project.
    ProjectUserObject = "organization.project.user"
);
object!(
    /// The `object` of a service account.
    ServiceAccountObject = "organization.project.service_account"
);
object!(
    /// The `object` of a rate limit.
    RateLimitObject = "project.rate_limit"
);
object!(
    /// The `object` of a project's list of models.
    ModelPermissionsObject = "project.model_permissions"
);

/// A project.
#[derive(Debug, Clone, Serialize, Object)]
pub struct Project {
    pub object: ProjectObject,
    pub id: String,
    pub name: String,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub archived_at: Option<i64>,
    pub status: ProjectStatus,
    /// Ours, as all that follow.
    pub limits: LimitSet,
    pub guardrail_policy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum ProjectStatus {
    Active,
    Archived,
}

impl From<ProjectRow> for Project {
    fn from(row: ProjectRow) -> Self {
        Self {
            object: ProjectObject::It,
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            archived_at: row.archived_at,
            status: match row.archived_at {
                Some(_) => ProjectStatus::Archived,
                None => ProjectStatus::Active,
            },
            limits: row.limits,
            guardrail_policy: row.guardrail_policy,
        }
    }
}

/// A project to be made.
#[derive(Debug, Clone, Deserialize, Object)]
pub struct CreateProject {
    pub name: String,
    /// Ours, as all that follow.
    pub limits: Option<LimitSet>,
    pub guardrail_policy: Option<String>,
}

/// What is to be changed of a project; what is null stays.
#[derive(Debug, Clone, Default, Deserialize, Object)]
#[serde(default)]
pub struct UpdateProject {
    pub name: Option<String>,
    /// Ours, as all that follow.
    pub limits: Option<LimitSet>,
    pub guardrail_policy: Option<String>,
}

/// Somebody in a project.
#[derive(Debug, Clone, Serialize, Object)]
pub struct ProjectUser {
    pub object: ProjectUserObject,
    pub id: String,
    pub email: String,
    pub name: String,
    pub role: ProjectRoleName,
    /// Unix seconds.
    pub added_at: i64,
}

/// Somebody is to belong to a project.
#[derive(Debug, Clone, Deserialize, Object)]
pub struct CreateProjectUser {
    pub role: ProjectRoleName,
    /// Or `email`.
    pub user_id: Option<String>,
    pub email: Option<String>,
}

/// A role is to be changed; what is null stays.
#[derive(Debug, Clone, Default, Deserialize, Object)]
#[serde(default)]
pub struct UpdateProjectUser {
    pub role: Option<ProjectRoleName>,
}

/// A service account; just made, with its key.
#[derive(Debug, Clone, Serialize, Object)]
pub struct ServiceAccount {
    pub object: ServiceAccountObject,
    pub id: String,
    pub name: String,
    pub role: ServiceRole,
    /// Unix seconds.
    pub created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ServiceAccountApiKey>,
}

/// A service account to be made, and what its first key is confined to.
#[derive(Debug, Clone, Default, Deserialize, Object)]
#[serde(default)]
pub struct CreateServiceAccount {
    #[serde(deserialize_with = "required")]
    pub name: Option<String>,
    /// Without a key.
    pub create_service_account_only: Option<bool>,
    /// Of the key: 1 to 31536000; never, when not given.
    pub expires_in_seconds: Option<i64>,
    /// Ours, as all that follow.
    pub scopes: Option<Vec<String>>,
    pub models: Option<Vec<String>>,
    pub limits: Option<LimitSet>,
    pub guardrail_policy: Option<String>,
}

fn required<'de, D: serde::Deserializer<'de>>(name: D) -> Result<Option<String>, D::Error> {
    String::deserialize(name).map(Some)
}

/// What is to be changed of a service account; what is null stays.
#[derive(Debug, Clone, Default, Deserialize, Object)]
#[serde(default)]
pub struct UpdateServiceAccount {
    pub name: Option<String>,
    pub role: Option<ServiceRole>,
}

/// A project's limits of one model.
#[derive(Debug, Clone, Serialize, Object)]
pub struct ProjectRateLimit {
    pub object: RateLimitObject,
    /// `rl-` and the model.
    pub id: String,
    pub model: String,
    pub max_requests_per_1_minute: i64,
    pub max_tokens_per_1_minute: i64,
    /// Null: none.
    pub max_requests_per_1_day: Option<i64>,
}

/// What is to be changed of a project's limits of a model; what is null stays.
#[derive(Debug, Clone, Default, Deserialize, Object)]
#[serde(default)]
pub struct UpdateRateLimit {
    pub max_requests_per_1_minute: Option<i64>,
    pub max_tokens_per_1_minute: Option<i64>,
    pub max_requests_per_1_day: Option<i64>,
}

/// Which models a project may use.
#[derive(Debug, Clone, Serialize, Object)]
pub struct ProjectModelPermissions {
    pub object: ModelPermissionsObject,
    pub mode: ModelModeName,
    pub model_ids: Vec<String>,
}

/// What being on the list means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "ModelPermissionsMode", rename_all = "snake_case")]
pub enum ModelModeName {
    AllowList,
    DenyList,
}

impl From<ModelMode> for ModelModeName {
    fn from(mode: ModelMode) -> Self {
        match mode {
            ModelMode::AllowList => Self::AllowList,
            ModelMode::DenyList => Self::DenyList,
        }
    }
}

impl From<ModelModeName> for ModelMode {
    fn from(mode: ModelModeName) -> Self {
        match mode {
            ModelModeName::AllowList => Self::AllowList,
            ModelModeName::DenyList => Self::DenyList,
        }
    }
}

/// Which models a project is to use.
#[derive(Debug, Clone, Deserialize, Object)]
pub struct UpdateModelPermissions {
    pub mode: ModelModeName,
    pub model_ids: Vec<String>,
}

/// All models are permitted again.
#[derive(Debug, Clone, Serialize, Object)]
pub struct SettingDeleted {
    /// What it was, and `.deleted`.
    pub object: String,
    pub deleted: bool,
}
