//! `/v1/projects/{project_id}/roles`, and who has them

use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::{may_give, open, open_to_change};
use crate::app::App;
use crate::auth::{Permission, ProjectRole};
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::organization::roles::{page, predefined};
use crate::http::organization::users::user;
use crate::http::payload::Json;
use crate::http::spec::Tag;
use crate::openai::admin::people::{
    AssignRole, AssignedRole, Role, UnassignedRole, UserRoleObject,
};
use crate::openai::page::Page;
use crate::store::MemberRow;

const OWNER: &str = "role-project-owner";
const MEMBER: &str = "role-project-member";

pub struct RolesApi;

#[OpenApi(prefix_path = "/v1/projects", tag = "Tag::Projects")]
impl RolesApi {
    /// List the roles of a project. All are predefined.
    #[oai(
        path = "/:project_id/roles",
        method = "get",
        operation_id = "list-project-roles"
    )]
    async fn list(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
    ) -> Result<Json<Page<Role>>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::UsersRead).await?;
        page([ProjectRole::Owner, ProjectRole::Member].map(role).into())
    }

    /// Tell about a role of a project.
    #[oai(
        path = "/:project_id/roles/:role_id",
        method = "get",
        operation_id = "retrieve-project-role"
    )]
    async fn retrieve(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        role_id: Path<String>,
    ) -> Result<Json<Role>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::UsersRead).await?;
        let found = named(&role_id).ok_or_else(|| ApiError::missing("role"))?;
        Ok(Json(role(found)))
    }

    /// List the role of a person in a project.
    #[oai(
        path = "/:project_id/users/:user_id/roles",
        method = "get",
        operation_id = "list-project-user-role-assignments"
    )]
    async fn of_member(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        user_id: Path<String>,
    ) -> Result<Json<Page<Role>>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::UsersRead).await?;
        page(vec![role(member(&app, &project_id, &user_id).await?.role)])
    }

    /// Tell about the role of a person in a project.
    #[oai(
        path = "/:project_id/users/:user_id/roles/:role_id",
        method = "get",
        operation_id = "retrieve-project-user-role-assignment"
    )]
    async fn of_member_one(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        user_id: Path<String>,
        role_id: Path<String>,
    ) -> Result<Json<Role>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::UsersRead).await?;
        let member = member(&app, &project_id, &user_id).await?;
        let found = Some(role(member.role)).filter(|role| role.id == role_id.0);
        let found = found.ok_or_else(|| ApiError::missing("role of this user"))?;
        Ok(Json(found))
    }

    /// Give a person in a project a role, in place of the one they have.
    #[oai(
        path = "/:project_id/users/:user_id/roles",
        method = "post",
        operation_id = "assign-project-user-role"
    )]
    async fn assign(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        user_id: Path<String>,
        request: Json<AssignRole>,
    ) -> Result<Json<AssignedRole>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::UsersWrite).await?;
        let given = named(&request.0.role_id).ok_or_else(|| {
            let message = format!("Invalid 'role_id': supported are '{OWNER}' and '{MEMBER}'.");
            ApiError::param("role_id", Some("invalid_value"), message)
        })?;
        may_give(&admin.0, &project_id, given)?;
        member(&app, &project_id, &user_id).await?;
        app.store
            .set_member(&project_id, &user_id, given, &admin.0.actor)
            .await?;
        Ok(Json(AssignedRole {
            object: UserRoleObject::It,
            role: role(given),
            user: user(&app, &user_id, false).await?,
        }))
    }

    /// Take a role from a person in a project, who is a member then.
    #[oai(
        path = "/:project_id/users/:user_id/roles/:role_id",
        method = "delete",
        operation_id = "unassign-project-user-role"
    )]
    async fn unassign(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        user_id: Path<String>,
        role_id: Path<String>,
    ) -> Result<Json<UnassignedRole>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::UsersWrite).await?;
        let member = member(&app, &project_id, &user_id).await?;
        if role(member.role).id != role_id.0 {
            return Err(ApiError::missing("role of this user"));
        }
        if member.role == ProjectRole::Member {
            let message = "Everybody in a project is a member at least: take them out of it.";
            return Err(ApiError::request(StatusCode::BAD_REQUEST, None, message));
        }
        let role = ProjectRole::Member;
        app.store
            .set_member(&project_id, &user_id, role, &admin.0.actor)
            .await?;
        Ok(Json(UnassignedRole {
            object: "user.role.deleted".to_owned(),
            deleted: true,
        }))
    }
}

async fn member(app: &App, project_id: &str, user_id: &str) -> Result<MemberRow, ApiError> {
    let found = app.store.member(project_id, user_id).await?;
    found.ok_or_else(|| ApiError::missing("user in this project"))
}

fn named(role_id: &str) -> Option<ProjectRole> {
    match role_id {
        OWNER => Some(ProjectRole::Owner),
        MEMBER => Some(ProjectRole::Member),
        _ => None,
    }
}

fn role(role: ProjectRole) -> Role {
    let (id, name, description) = match role {
        ProjectRole::Owner => (OWNER, "owner", "Manages the project."),
        ProjectRole::Member => (MEMBER, "member", "Uses models in the project."),
    };
    let permissions: Vec<_> = Permission::ALL
        .into_iter()
        .filter(|permission| permission.is_of(role))
        .collect();
    predefined(id, name, description, &permissions, "api.project")
}
