//! Who belongs to a project.

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use super::super::paging;
use super::{may_give, open, open_to_change};
use crate::app::App;
use crate::auth::{Administrator, Permission};
use crate::config::Registration;
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::spec::Tag;
use crate::openai::admin::Deleted;
use crate::openai::admin::projects::{
    CreateProjectUser, ProjectUser, ProjectUserObject, UpdateProjectUser,
};
use crate::openai::page::Page;
use crate::store::MemberRow;

pub struct MembersApi;

#[OpenApi(prefix_path = "/v1/organization/projects", tag = "Tag::Projects")]
impl MembersApi {
    /// List the people of a project.
    #[oai(
        path = "/:project_id/users",
        method = "get",
        operation_id = "list-project-users"
    )]
    async fn list(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<ProjectUser>>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::UsersRead).await?;
        let cursor = paging(after.0, limit.0, None)?;
        let members = app.store.members(&project_id, &cursor).await?;
        let members = members.into_iter().map(shown).collect();
        Ok(Json(Page::of(members, cursor.limit - 1, |member| {
            &member.id
        })))
    }

    /// Put somebody into a project, by id or address.
    #[oai(
        path = "/:project_id/users",
        method = "post",
        operation_id = "create-project-user"
    )]
    async fn create(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        request: Json<CreateProjectUser>,
    ) -> Result<Json<ProjectUser>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::UsersWrite).await?;
        let request = request.0;
        if app.config.auth.registration == Registration::Open {
            // Everybody owns a project then: nobody is to find out who else has an account.
            admin.0.may(Permission::UsersWrite)?;
        }
        may_give(&admin.0, &project_id, request.role.into())?;
        let found = match (&request.user_id, &request.email) {
            (Some(id), _) => app.store.person(id).await?.map(|person| person.id),
            (None, Some(email)) => app.store.person_id(email).await?,
            (None, None) => {
                let message = "Missing required parameter: 'user_id' or 'email'.";
                let code = Some("missing_required_parameter");
                return Err(ApiError::param("user_id", code, message));
            }
        };
        let missing = || ApiError::missing("user");
        let id = found.ok_or_else(missing)?;
        if !knows(&app, &admin.0, &id).await? {
            return Err(missing());
        }
        let (store, role) = (&app.store, request.role.into());
        store
            .set_member(&project_id, &id, role, &admin.0.actor)
            .await?;
        self.member(&app, &project_id, &id).await
    }

    /// Tell about somebody in a project.
    #[oai(
        path = "/:project_id/users/:user_id",
        method = "get",
        operation_id = "retrieve-project-user"
    )]
    async fn retrieve(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        user_id: Path<String>,
    ) -> Result<Json<ProjectUser>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::UsersRead).await?;
        self.member(&app, &project_id, &user_id).await
    }

    /// Change somebody's role in a project.
    #[oai(
        path = "/:project_id/users/:user_id",
        method = "post",
        operation_id = "modify-project-user"
    )]
    async fn update(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        user_id: Path<String>,
        request: Json<UpdateProjectUser>,
    ) -> Result<Json<ProjectUser>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::UsersWrite).await?;
        self.member(&app, &project_id, &user_id).await?;
        if let Some(role) = request.0.role {
            may_give(&admin.0, &project_id, role.into())?;
            let store = &app.store;
            store
                .set_member(&project_id, &user_id, role.into(), &admin.0.actor)
                .await?;
        }
        self.member(&app, &project_id, &user_id).await
    }

    /// Take somebody out of a project; their keys in it end.
    #[oai(
        path = "/:project_id/users/:user_id",
        method = "delete",
        operation_id = "delete-project-user"
    )]
    async fn delete(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        user_id: Path<String>,
    ) -> Result<Json<Deleted>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::UsersWrite).await?;
        if !app
            .store
            .remove_member(&project_id, &user_id, &admin.0.actor)
            .await?
        {
            return Err(ApiError::missing("user in this project"));
        }
        Ok(Json(Deleted::new("organization.project.user", &user_id)))
    }
}

impl MembersApi {
    async fn member(
        &self,
        app: &App,
        project_id: &str,
        user_id: &str,
    ) -> Result<Json<ProjectUser>, ApiError> {
        let member = app.store.member(project_id, user_id).await?;
        Ok(Json(shown(member.ok_or_else(|| {
            ApiError::missing("user in this project")
        })?)))
    }
}

/// Whether somebody manages all people, or shares a project with this one. Of all others they are
/// not to find out that they have an account.
async fn knows(app: &App, admin: &Administrator, user_id: &str) -> Result<bool, ApiError> {
    if admin.may(Permission::UsersWrite).is_ok() {
        return Ok(true);
    }
    let own = app.store.memberships(&admin.user_id).await?;
    let theirs = app.store.memberships(user_id).await?;
    let is_shared = |id: &String| own.iter().any(|own| own.project_id == *id);
    Ok(theirs.iter().any(|their| is_shared(&their.project_id)))
}

fn shown(row: MemberRow) -> ProjectUser {
    ProjectUser {
        object: ProjectUserObject::It,
        id: row.id,
        email: row.email,
        name: row.name,
        role: row.role.into(),
        added_at: row.added_at,
    }
}
