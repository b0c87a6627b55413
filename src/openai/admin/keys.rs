use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::object;
use crate::auth::OrgRole;
use crate::limits::LimitSet;
use crate::store::ServiceRole;

object!(
    /// The `object` of an admin key.
    AdminKeyObject = "organization.admin_api_key"
);
object!(
    /// The `object` of a project's key.
    ProjectKeyObject = "organization.project.api_key"
);
object!(
    /// The `object` of a service account's fresh key.
    AccountKeyObject = "organization.project.service_account.api_key"
);

/// An admin key. `value` is there once, when it was made.
#[derive(Debug, Clone, Serialize, Object)]
pub struct AdminApiKey {
    pub object: AdminKeyObject,
    pub id: String,
    pub name: String,
    /// The key itself, the only time that it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub redacted_value: String,
    /// Unix seconds, as all that follow.
    pub created_at: i64,
    /// To the minute.
    pub last_used_at: Option<i64>,
    pub expires_at: Option<i64>,
    pub owner: AdminKeyOwner,
    /// What it may be used for; null: all of the administration. Ours.
    pub scopes: Option<Vec<String>>,
}

/// Whose an admin key is.
#[derive(Debug, Clone, Serialize, Object)]
pub struct AdminKeyOwner {
    /// `user`.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: String,
    /// `organization.user`.
    pub object: String,
    pub id: String,
    pub name: String,
    pub created_at: i64,
    pub role: String,
}

/// An admin key to be made.
#[derive(Debug, Clone, Deserialize, Object)]
pub struct CreateAdminApiKey {
    pub name: String,
    /// 1 to 31536000; never, when not given.
    pub expires_in_seconds: Option<i64>,
    /// What it may be used for; null: as much as its maker. Ours.
    pub scopes: Option<Vec<String>>,
}

/// A project's key.
#[derive(Debug, Clone, Serialize, Object)]
pub struct ProjectApiKey {
    pub object: ProjectKeyObject,
    pub id: String,
    pub name: String,
    /// The key itself, the only time that it can be read. Ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub redacted_value: String,
    /// Unix seconds, as all that follow.
    pub created_at: i64,
    /// To the minute.
    pub last_used_at: Option<i64>,
    pub expires_at: Option<i64>,
    pub owner: KeyOwnerInfo,
    pub owner_project_access: OwnerAccess,
    /// What it may be used for; null: all of the project. Ours, as all that follow.
    pub scopes: Option<Vec<String>>,
    /// Null: all of the project's.
    pub models: Option<Vec<String>>,
    pub limits: LimitSet,
    pub guardrail_policy: Option<String>,
}

/// Whose a project's key is; with none of the fields, nobody's in particular.
#[derive(Debug, Clone, Default, Serialize, Object)]
#[oai(rename = "ProjectApiKeyOwner")]
pub struct KeyOwnerInfo {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[oai(rename = "type")]
    pub kind: Option<OwnerKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<OwnerUser>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<OwnerAccount>,
}

#[derive(Debug, Clone, Copy, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "ProjectApiKeyOwnerKind", rename_all = "snake_case")]
pub enum OwnerKind {
    User,
    ServiceAccount,
}

/// A person who owns a key.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "ProjectApiKeyOwnerUser")]
pub struct OwnerUser {
    pub id: String,
    pub email: String,
    pub name: String,
    pub created_at: i64,
    pub role: String,
}

/// A service account that owns a key.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "ProjectApiKeyOwnerServiceAccount")]
pub struct OwnerAccount {
    pub id: String,
    pub name: String,
    pub created_at: i64,
    pub role: ServiceRole,
}

/// Whether the owner of a key still belongs to its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum OwnerAccess {
    Active,
    Inactive,
}

/// A project's key to be made. Ours: OpenAI makes them on its own pages only.
#[derive(Debug, Clone, Default, Deserialize, Object)]
#[serde(default)]
pub struct CreateProjectApiKey {
    pub name: Option<String>,
    /// Whose it is; null: the caller's who is signed in, else nobody's.
    pub user_id: Option<String>,
    /// 1 to 31536000; never, when not given.
    pub expires_in_seconds: Option<i64>,
    /// What it may be used for; an empty list: nothing; null or `["*"]`: all of the project.
    pub scopes: Option<Vec<String>>,
    /// An empty list: none; null or `["*"]`: all of the project's.
    pub models: Option<Vec<String>>,
    pub limits: Option<LimitSet>,
    pub guardrail_policy: Option<String>,
}

/// What is to be changed of a project's key; what is null stays.
#[derive(Debug, Clone, Default, Deserialize, Object)]
#[serde(default)]
pub struct UpdateProjectApiKey {
    /// From now; 1 to 31536000.
    pub expires_in_seconds: Option<i64>,
    /// An empty list: nothing; `["*"]`: all of the project.
    pub scopes: Option<Vec<String>>,
    /// Ours, as all that follow.
    pub name: Option<String>,
    /// An empty list: none; `["*"]`: all of the project's.
    pub models: Option<Vec<String>>,
    pub limits: Option<LimitSet>,
    pub guardrail_policy: Option<String>,
}

/// A key's value is to be replaced. Ours.
#[derive(Debug, Clone, Default, Deserialize, Object)]
#[serde(default)]
pub struct RotateKey {
    /// How long the old value goes on working; 0 to 604800. By default it ends at once.
    pub overlap_seconds: Option<i64>,
}

/// A fresh key of a service account.
#[derive(Debug, Clone, Serialize, Object)]
pub struct ServiceAccountApiKey {
    pub object: AccountKeyObject,
    pub id: String,
    pub name: String,
    /// The key itself, the only time that it can be read.
    pub value: String,
    pub created_at: i64,
    pub expires_at: Option<i64>,
}

/// The name of a role on the wire.
pub fn role_name(role: OrgRole) -> &'static str {
    match role {
        OrgRole::Owner => "owner",
        OrgRole::Reader => "reader",
    }
}
