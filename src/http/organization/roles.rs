//! The roles that there are, and who has them.

use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::users::{may_change, org_role, user};
use super::{paging, part};
use crate::app::App;
use crate::auth::{OrgRole, Permission};
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::spec::Tag;
use crate::openai::admin::people::{
    AssignRole, AssignedRole, Role, RoleObject, UnassignedRole, UserRoleObject,
};
use crate::openai::page::Page;

pub const OWNER: &str = "role-organization-owner";
pub const READER: &str = "role-organization-reader";

pub struct RolesApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Administration")]
impl RolesApi {
    /// List the roles of the organization. All are predefined.
    #[oai(
        path = "/organization/roles",
        method = "get",
        operation_id = "list-roles"
    )]
    async fn list(&self, admin: Admin) -> Result<Json<Page<Role>>, ApiError> {
        admin.0.may(Permission::UsersRead)?;
        page([OrgRole::Owner, OrgRole::Reader].map(role).into())
    }

    /// Tell about a role of the organization.
    #[oai(
        path = "/organization/roles/:role_id",
        method = "get",
        operation_id = "retrieve-role"
    )]
    async fn retrieve(&self, admin: Admin, role_id: Path<String>) -> Result<Json<Role>, ApiError> {
        admin.0.may(Permission::UsersRead)?;
        let mut roles = [OrgRole::Owner, OrgRole::Reader].map(role).into_iter();
        let found = roles.find(|role| role.id == role_id.0);
        Ok(Json(found.ok_or_else(|| ApiError::missing("role"))?))
    }

    /// List the role of a person.
    #[oai(
        path = "/organization/users/:user_id/roles",
        method = "get",
        operation_id = "list-user-role-assignments"
    )]
    async fn of_user(
        &self,
        admin: Admin,
        app: Data<&App>,
        user_id: Path<String>,
    ) -> Result<Json<Page<Role>>, ApiError> {
        admin.0.may(Permission::UsersRead)?;
        let person = app.store.person(&user_id).await?;
        page(vec![role(
            person.ok_or_else(|| ApiError::missing("user"))?.role,
        )])
    }

    /// Tell about a person's role.
    #[oai(
        path = "/organization/users/:user_id/roles/:role_id",
        method = "get",
        operation_id = "retrieve-user-role-assignment"
    )]
    async fn of_user_one(
        &self,
        admin: Admin,
        app: Data<&App>,
        user_id: Path<String>,
        role_id: Path<String>,
    ) -> Result<Json<Role>, ApiError> {
        admin.0.may(Permission::UsersRead)?;
        let person = app.store.person(&user_id).await?;
        let role = role(person.ok_or_else(|| ApiError::missing("user"))?.role);
        if role.id != role_id.0 {
            return Err(ApiError::missing("role of this user"));
        }
        Ok(Json(role))
    }

    /// Give a person a role, in place of the one they have.
    #[oai(
        path = "/organization/users/:user_id/roles",
        method = "post",
        operation_id = "assign-user-role"
    )]
    async fn assign(
        &self,
        admin: Admin,
        app: Data<&App>,
        user_id: Path<String>,
        request: Json<AssignRole>,
    ) -> Result<Json<AssignedRole>, ApiError> {
        admin.0.may(Permission::UsersWrite)?;
        let given = org_role(&request.0.role_id)?;
        if given == OrgRole::Owner {
            admin.0.may_make_owners()?;
        }
        may_change(&app, &admin.0, &user_id).await?;
        let edited = app
            .store
            .edit_person(&user_id, &admin.0.actor, |person| person.role = given);
        edited.await?;
        Ok(Json(AssignedRole {
            object: UserRoleObject::It,
            role: role(given),
            user: user(&app, &user_id, true).await?,
        }))
    }

    /// Take a role from a person, who is a reader then.
    #[oai(
        path = "/organization/users/:user_id/roles/:role_id",
        method = "delete",
        operation_id = "unassign-user-role"
    )]
    async fn unassign(
        &self,
        admin: Admin,
        app: Data<&App>,
        user_id: Path<String>,
        role_id: Path<String>,
    ) -> Result<Json<UnassignedRole>, ApiError> {
        admin.0.may(Permission::UsersWrite)?;
        may_change(&app, &admin.0, &user_id).await?;
        let person = app.store.person(&user_id).await?;
        let person = person.ok_or_else(|| ApiError::missing("user"))?;
        if role(person.role).id != role_id.0 {
            return Err(ApiError::missing("role of this user"));
        }
        if person.role == OrgRole::Reader {
            let message = "Everybody in the organization is a reader at least.";
            return Err(ApiError::request(StatusCode::BAD_REQUEST, None, message));
        }
        let edited = app.store.edit_person(&user_id, &admin.0.actor, |person| {
            person.role = OrgRole::Reader;
        });
        edited.await?;
        Ok(Json(UnassignedRole {
            object: "user.role.deleted".to_owned(),
            deleted: true,
        }))
    }
}

pub fn page(roles: Vec<Role>) -> Result<Json<Page<Role>>, ApiError> {
    let cursor = paging(None, None, None)?;
    let roles = part(roles, &cursor, None, |role| &role.id);
    Ok(Json(Page::of(roles, cursor.limit - 1, |role| &role.id)))
}

fn role(role: OrgRole) -> Role {
    let (id, name, description, permissions) = match role {
        OrgRole::Owner => (
            OWNER,
            "owner",
            "Manages everything.",
            Permission::ALL.to_vec(),
        ),
        OrgRole::Reader => (
            READER,
            "reader",
            "Works in the projects that they belong to.",
            vec![],
        ),
    };
    predefined(id, name, description, &permissions, "api.organization")
}

pub fn predefined(
    id: &str,
    name: &str,
    description: &str,
    permissions: &[Permission],
    resource_type: &str,
) -> Role {
    Role {
        object: RoleObject::It,
        id: id.to_owned(),
        name: name.to_owned(),
        description: Some(description.to_owned()),
        permissions: permissions.iter().map(|p| p.as_str().to_owned()).collect(),
        predefined_role: true,
        resource_type: resource_type.to_owned(),
    }
}
