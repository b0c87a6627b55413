//! Who may do what. Everything that is not allowed here is forbidden.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::AuthError;
use crate::limits::CallerLimits;
use crate::records::Actor;

/// The authenticated caller of an inference route: a project's key, or somebody's session acting
/// in a project. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// What records call the caller: `key_…`, or `sess_…` for a session.
    pub key_id: String,
    pub project_id: String,
    /// Whose key or session it is; none for a service account.
    pub user_id: Option<String>,
    pub scopes: Scopes,
    pub models: ModelAccess,
    pub limits: Arc<CallerLimits>,
    /// Name of the policy that the key, else its project, asks for; none: the configured one.
    pub guardrail_policy: Option<String>,
}

impl Principal {
    /// # Errors
    /// [`AuthError::Forbidden`] when the key's scopes leave it out.
    pub fn may(&self, scope: KeyScope) -> Result<(), AuthError> {
        if self.scopes.contains(scope.as_str()) {
            return Ok(());
        }
        Err(AuthError::Forbidden(
            "You have insufficient permissions for this operation: the API key lacks the scope.",
        ))
    }
}

/// What a project's key may be confined to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyScope {
    /// List models.
    ModelRead,
    /// Ask models.
    ModelRequest,
    /// Read what was stored of chat completions in the project.
    StoredRead,
    /// Change and remove it. Storing itself is asking.
    StoredWrite,
}

impl KeyScope {
    pub const ALL: [Self; 4] = [
        Self::ModelRead,
        Self::ModelRequest,
        Self::StoredRead,
        Self::StoredWrite,
    ];

    /// As it is written in a key's `scopes`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ModelRead => "model.read",
            Self::ModelRequest => "model.request",
            Self::StoredRead => "stored_completions.read",
            Self::StoredWrite => "stored_completions.write",
        }
    }
}

/// The scopes of a key. None means all that its kind has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(pub Option<Arc<[String]>>);

impl Scopes {
    pub fn contains(&self, scope: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|all| all.iter().any(|s| s == scope))
    }
}

/// Which models a caller may use: those that the key lists (none: all) and the project permits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelAccess {
    pub key: Option<Arc<[String]>>,
    pub project: Option<ModelPermissions>,
}

impl ModelAccess {
    pub fn allows(&self, model: &str) -> bool {
        let lists = |list: &[String]| list.iter().any(|m| m == model);
        self.key.as_deref().is_none_or(lists)
            && self.project.as_ref().is_none_or(|p| match p.mode {
                ModelMode::AllowList => lists(&p.model_ids),
                ModelMode::DenyList => !lists(&p.model_ids),
            })
    }
}

/// A project's list of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPermissions {
    pub mode: ModelMode,
    pub model_ids: Arc<[String]>,
}

/// What being on the list means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum ModelMode {
    AllowList,
    DenyList,
}

/// A person's role in the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum OrgRole {
    /// Manages everything.
    Owner,
    /// Manages nothing; works in the projects that they are a member of.
    Reader,
}

/// A person's role in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum ProjectRole {
    /// Manages the project's people, service accounts, keys and models.
    Owner,
    /// Uses models in it and may look at its settings.
    Member,
}

/// What a route of the administration does. Also the scopes of admin keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// People and invitations of the organization, their roles, and who belongs to a project.
    UsersRead,
    UsersWrite,
    /// Projects, their service accounts and keys.
    ProjectsRead,
    ProjectsWrite,
    /// Rates, budgets, spend alerts, guardrail policies, and which models may be used.
    LimitsRead,
    LimitsWrite,
    /// Admin API keys.
    AdminKeysRead,
    AdminKeysWrite,
    /// Usage and costs, also as exports.
    UsageRead,
    /// The audit log, also as an export.
    AuditRead,
    /// What holds for the whole organization: data retention.
    SettingsRead,
    SettingsWrite,
}

impl Permission {
    pub const ALL: [Self; 12] = [
        Self::UsersRead,
        Self::UsersWrite,
        Self::ProjectsRead,
        Self::ProjectsWrite,
        Self::LimitsRead,
        Self::LimitsWrite,
        Self::AdminKeysRead,
        Self::AdminKeysWrite,
        Self::UsageRead,
        Self::AuditRead,
        Self::SettingsRead,
        Self::SettingsWrite,
    ];

    /// As it is written in an admin key's `scopes`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UsersRead => "users.read",
            Self::UsersWrite => "users.write",
            Self::ProjectsRead => "projects.read",
            Self::ProjectsWrite => "projects.write",
            Self::LimitsRead => "limits.read",
            Self::LimitsWrite => "limits.write",
            Self::AdminKeysRead => "admin_keys.read",
            Self::AdminKeysWrite => "admin_keys.write",
            Self::UsageRead => "usage.read",
            Self::AuditRead => "audit.read",
            Self::SettingsRead => "settings.read",
            Self::SettingsWrite => "settings.write",
        }
    }

    /// What a person's role in a project allows there.
    pub fn is_of(self, role: ProjectRole) -> bool {
        use Permission::{
            LimitsRead, ProjectsRead, ProjectsWrite, UsageRead, UsersRead, UsersWrite,
        };
        match role {
            // Not its limits: they protect the others from this project.
            ProjectRole::Owner => matches!(
                self,
                UsersRead | UsersWrite | ProjectsRead | ProjectsWrite | LimitsRead | UsageRead
            ),
            ProjectRole::Member => matches!(self, ProjectsRead | UsersRead | LimitsRead),
        }
    }
}

/// The authenticated caller of an administration route: an admin key, or somebody's session.
#[derive(Debug, Clone)]
pub struct Administrator {
    /// For the audit.
    pub actor: Actor,
    /// Whose key or session it is.
    pub user_id: String,
    pub authority: Authority,
}

/// Where an administrator's rights come from.
#[derive(Debug, Clone)]
pub enum Authority {
    /// An admin key: the whole organization, as far as its scopes go.
    Key(Scopes),
    /// A session: its person's roles.
    Session {
        role: OrgRole,
        /// By project id.
        projects: HashMap<String, ProjectRole>,
    },
}

impl Administrator {
    /// For what concerns the whole organization.
    ///
    /// # Errors
    /// [`AuthError::Forbidden`].
    pub fn may(&self, permission: Permission) -> Result<(), AuthError> {
        match &self.authority {
            Authority::Key(scopes) if scopes.contains(permission.as_str()) => Ok(()),
            Authority::Key(_) => Err(AuthError::Forbidden(
                "You have insufficient permissions for this operation: the admin API key lacks \
                 the scope.",
            )),
            Authority::Session {
                role: OrgRole::Owner,
                ..
            } => Ok(()),
            Authority::Session { .. } => Err(AuthError::Forbidden(
                "You have insufficient permissions for this operation: it takes an owner of the \
                 organization.",
            )),
        }
    }

    /// For making somebody an owner, or changing one: nobody hands out, or takes away, more than
    /// they have.
    ///
    /// # Errors
    /// [`AuthError::Forbidden`].
    pub fn may_make_owners(&self) -> Result<(), AuthError> {
        match &self.authority {
            Authority::Key(Scopes(None))
            | Authority::Session {
                role: OrgRole::Owner,
                ..
            } => Ok(()),
            _ => Err(AuthError::Forbidden(
                "Only an owner, or an admin API key with all scopes, can make or change an owner.",
            )),
        }
    }

    /// For what concerns one project. Whether it exists is not checked here.
    ///
    /// # Errors
    /// [`AuthError::Hidden`] when the project is somebody else's: to this caller it does not
    /// exist; [`AuthError::Forbidden`] when it is theirs, but not to do this.
    pub fn may_in(&self, project_id: &str, permission: Permission) -> Result<(), AuthError> {
        let Authority::Session {
            role: OrgRole::Reader,
            projects,
        } = &self.authority
        else {
            return self.may(permission);
        };
        let role = projects.get(project_id).ok_or(AuthError::Hidden)?;
        if permission.is_of(*role) {
            return Ok(());
        }
        Err(AuthError::Forbidden(
            "You have insufficient permissions for this operation in this project.",
        ))
    }

    /// The projects that this caller may see; none: all of them.
    pub fn visible_projects(&self) -> Option<Vec<String>> {
        match &self.authority {
            Authority::Session {
                role: OrgRole::Reader,
                projects,
            } => Some(projects.keys().cloned().collect()),
            _ => None,
        }
    }
}
