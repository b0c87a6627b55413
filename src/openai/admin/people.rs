use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::keys::role_name;
use super::object;
use crate::auth::{OrgRole, ProjectRole};
use crate::limits::LimitSet;
use crate::openai::model::ListObject;
use crate::store::{Membership, PersonRow};

object!(
    /// The `object` of a person in the organization.
    OrganizationUserObject = "organization.user"
);
object!(
    /// The `object` of a person.
    UserObject = "user"
);
object!(
    /// The `object` of an invitation.
    InviteObject = "organization.invite"
);
object!(
    /// The `object` of a role.
    RoleObject = "role"
);
object!(
    /// The `object` of a role that somebody was given.
    UserRoleObject = "user.role"
);

/// A person in the organization.
#[derive(Debug, Clone, Serialize, Object)]
pub struct OrganizationUser {
    pub object: OrganizationUserObject,
    pub id: String,
    /// Unix seconds.
    pub added_at: i64,
    /// Unix seconds, to the minute.
    pub api_key_last_used_at: Option<i64>,
    pub created: i64,
    pub email: String,
    pub name: String,
    /// `owner` or `reader`.
    pub role: String,
    pub is_service_account: bool,
    pub user: UserInfo,
    /// Only where one person is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projects: Option<UserProjects>,
    /// Ours, as all that follow.
    pub limits: LimitSet,
    /// Whether they sign in with a second factor.
    pub second_factor: bool,
}

/// The person themselves.
#[derive(Debug, Clone, Serialize, Object)]
pub struct UserInfo {
    pub object: UserObject,
    pub id: String,
    pub email: String,
    pub name: String,
    /// Nothing of theirs works.
    pub banned: bool,
    /// Unix seconds.
    pub banned_at: Option<i64>,
    pub enabled: bool,
}

/// The projects of a person.
#[derive(Debug, Clone, Serialize, Object)]
pub struct UserProjects {
    pub object: ListObject,
    pub data: Vec<UserProject>,
}

/// A project of a person.
#[derive(Debug, Clone, Serialize, Object)]
pub struct UserProject {
    pub id: String,
    pub name: String,
    pub role: ProjectRoleName,
}

/// A role in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "ProjectRole", rename_all = "snake_case")]
pub enum ProjectRoleName {
    Owner,
    Member,
}

impl From<ProjectRole> for ProjectRoleName {
    fn from(role: ProjectRole) -> Self {
        match role {
            ProjectRole::Owner => Self::Owner,
            ProjectRole::Member => Self::Member,
        }
    }
}

impl From<ProjectRoleName> for ProjectRole {
    fn from(role: ProjectRoleName) -> Self {
        match role {
            ProjectRoleName::Owner => Self::Owner,
            ProjectRoleName::Member => Self::Member,
        }
    }
}

/// A role in the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "OrganizationRole", rename_all = "snake_case")]
pub enum OrgRoleName {
    Owner,
    Reader,
}

impl From<OrgRole> for OrgRoleName {
    fn from(role: OrgRole) -> Self {
        match role {
            OrgRole::Owner => Self::Owner,
            OrgRole::Reader => Self::Reader,
        }
    }
}

impl From<OrgRoleName> for OrgRole {
    fn from(role: OrgRoleName) -> Self {
        match role {
            OrgRoleName::Owner => Self::Owner,
            OrgRoleName::Reader => Self::Reader,
        }
    }
}

impl OrganizationUser {
    pub fn of(person: PersonRow, memberships: Option<Vec<Membership>>) -> Self {
        let projects = memberships.map(|memberships| UserProjects {
            object: ListObject::List,
            data: memberships
                .into_iter()
                .map(|m| UserProject {
                    id: m.project_id,
                    name: m.project_name,
                    role: m.role.into(),
                })
                .collect(),
        });
        Self {
            object: OrganizationUserObject::It,
            added_at: person.created_at,
            api_key_last_used_at: person.key_used_at,
            created: person.created_at,
            role: role_name(person.role).to_owned(),
            is_service_account: false,
            user: UserInfo {
                object: UserObject::It,
                id: person.id.clone(),
                email: person.email.clone(),
                name: person.name.clone(),
                banned: person.disabled_at.is_some(),
                banned_at: person.disabled_at,
                enabled: person.disabled_at.is_none(),
            },
            id: person.id,
            email: person.email,
            name: person.name,
            projects,
            limits: person.limits,
            second_factor: person.second_factor_at.is_some(),
        }
    }
}

/// What is to be changed of a person; what is null stays.
#[derive(Debug, Clone, Default, Deserialize, Object)]
#[serde(default)]
pub struct UpdateUser {
    pub role: Option<OrgRoleName>,
    /// Instead of `role`.
    pub role_id: Option<String>,
    /// Ours, as all that follow.
    pub name: Option<String>,
    pub limits: Option<LimitSet>,
    /// Signs them out and keeps all that is theirs from working.
    pub disabled: Option<bool>,
}

/// An invitation.
#[derive(Debug, Clone, Serialize, Object)]
pub struct Invite {
    pub object: InviteObject,
    pub id: String,
    pub email: String,
    pub role: OrgRoleName,
    pub status: InviteStatus,
    /// Unix seconds, as all that follow.
    pub created_at: i64,
    pub expires_at: i64,
    pub accepted_at: Option<i64>,
    pub projects: Vec<InviteProject>,
    /// What the invited person registers with, told once; nothing is sent by mail. Ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum InviteStatus {
    Accepted,
    Expired,
    Pending,
}

/// A project that an invitation brings along.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct InviteProject {
    pub id: String,
    pub role: ProjectRoleName,
}

/// An invitation to be made.
#[derive(Debug, Clone, Deserialize, Object)]
pub struct CreateInvite {
    pub email: String,
    pub role: OrgRoleName,
    pub projects: Option<Vec<InviteProject>>,
}

/// A role and what it allows. All are predefined.
#[derive(Debug, Clone, Serialize, Object)]
pub struct Role {
    pub object: RoleObject,
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub permissions: Vec<String>,
    pub predefined_role: bool,
    /// `api.organization` or `api.project`.
    pub resource_type: String,
}

/// A role is to be given to somebody.
#[derive(Debug, Clone, Deserialize, Object)]
pub struct AssignRole {
    pub role_id: String,
}

/// A role that was given to somebody.
#[derive(Debug, Clone, Serialize, Object)]
pub struct AssignedRole {
    pub object: UserRoleObject,
    pub role: Role,
    pub user: OrganizationUser,
}

/// A role was taken from somebody.
#[derive(Debug, Clone, Serialize, Object)]
pub struct UnassignedRole {
    /// `user.role.deleted`.
    pub object: String,
    pub deleted: bool,
}
