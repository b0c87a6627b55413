//! `/v1/organization/projects`: projects and all that belongs to them.

mod keys;
mod limits;
mod members;
mod roles;
mod service_accounts;

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use super::{name, optional_name, paging};
use crate::app::App;
use crate::auth::{Administrator, Authority, Permission, ProjectRole};
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::spec::Tag;
use crate::openai::admin::projects::{CreateProject, Project, UpdateProject};
use crate::openai::page::Page;
use crate::store::ProjectRow;

pub type Api = (
    ProjectsApi,
    members::MembersApi,
    roles::RolesApi,
    service_accounts::ServiceAccountsApi,
    keys::KeysApi,
    limits::LimitsApi,
);

pub fn api() -> Api {
    (
        ProjectsApi,
        members::MembersApi,
        roles::RolesApi,
        service_accounts::ServiceAccountsApi,
        keys::KeysApi,
        limits::LimitsApi,
    )
}

pub struct ProjectsApi;

#[OpenApi(prefix_path = "/v1/organization/projects", tag = "Tag::Projects")]
impl ProjectsApi {
    /// List the projects that the caller may see.
    #[oai(path = "/", method = "get", operation_id = "list-projects")]
    async fn list(
        &self,
        admin: Admin,
        app: Data<&App>,
        /// Begin after this id.
        after: Query<Option<String>>,
        /// 1 to 100.
        limit: Query<Option<i64>>,
        include_archived: Query<Option<bool>>,
    ) -> Result<Json<Page<Project>>, ApiError> {
        let visible = admin.0.visible_projects();
        if visible.is_none() {
            admin.0.may(Permission::ProjectsRead)?;
        }
        let cursor = paging(after.0, limit.0, None)?;
        let archived = include_archived.0.unwrap_or(false);
        let rows = app
            .store
            .projects(&cursor, archived, visible.as_deref())
            .await?;
        let projects = rows.into_iter().map(Project::from).collect();
        Ok(Json(Page::of(projects, cursor.limit - 1, |project| {
            &project.id
        })))
    }

    /// Make a project.
    #[oai(path = "/", method = "post", operation_id = "create-project")]
    async fn create(
        &self,
        admin: Admin,
        app: Data<&App>,
        request: Json<CreateProject>,
    ) -> Result<Json<Project>, ApiError> {
        admin.0.may(Permission::ProjectsWrite)?;
        let request = request.0;
        if request.limits.is_some() || request.guardrail_policy.is_some() {
            admin.0.may(Permission::LimitsWrite)?;
        }
        let row = ProjectRow {
            id: app.clock.id("proj_"),
            name: name("name", &request.name)?,
            limits: super::limits(request.limits.unwrap_or_default())?,
            guardrail_policy: policy(&app, request.guardrail_policy.as_deref())?,
            data_retention: "organization_default".to_owned(),
            created_at: admin.0.actor.at(),
            archived_at: None,
        };
        app.store.insert_project(&row, &admin.0.actor).await?;
        Ok(Json(row.into()))
    }

    /// Tell about a project.
    #[oai(
        path = "/:project_id",
        method = "get",
        operation_id = "retrieve-project"
    )]
    async fn retrieve(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
    ) -> Result<Json<Project>, ApiError> {
        let row = open(&app, &admin.0, &project_id, Permission::ProjectsRead).await?;
        Ok(Json(row.into()))
    }

    /// Change a project's name, limits or guardrail policy.
    #[oai(
        path = "/:project_id",
        method = "post",
        operation_id = "modify-project"
    )]
    async fn update(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        request: Json<UpdateProject>,
    ) -> Result<Json<Project>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::ProjectsWrite).await?;
        let request = request.0;
        if request.limits.is_some() || request.guardrail_policy.is_some() {
            // They protect the others, and the organization, from this project.
            admin.0.may_in(&project_id, Permission::LimitsWrite)?;
        }
        let name = optional_name("name", request.name.as_deref())?;
        let limits = request.limits.map(super::limits).transpose()?;
        let policy = policy(&app, request.guardrail_policy.as_deref())?;
        let edited = app
            .store
            .edit_project(&project_id, &admin.0.actor, |project| {
                if let Some(name) = name {
                    project.name = name;
                }
                if let Some(limits) = limits {
                    project.limits = limits;
                }
                if policy.is_some() {
                    project.guardrail_policy = policy;
                }
            });
        let row = edited.await?.ok_or_else(|| ApiError::missing("project"))?;
        Ok(Json(row.into()))
    }

    /// Archive a project: its keys stop working, and it cannot be changed any more.
    #[oai(
        path = "/:project_id/archive",
        method = "post",
        operation_id = "archive-project"
    )]
    async fn archive(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
    ) -> Result<Json<Project>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::ProjectsWrite).await?;
        admin.0.may(Permission::ProjectsWrite)?;
        let archived = app
            .store
            .archive_project(&project_id, &admin.0.actor)
            .await?;
        Ok(Json(
            archived.ok_or_else(|| ApiError::missing("project"))?.into(),
        ))
    }
}

/// The project, for a caller who may do this in it.
async fn open(
    app: &App,
    admin: &Administrator,
    id: &str,
    permission: Permission,
) -> Result<ProjectRow, ApiError> {
    admin.may_in(id, permission)?;
    app.store
        .project(id)
        .await?
        .ok_or_else(|| ApiError::missing("project"))
}

/// The same, for a project that can still be changed.
async fn open_to_change(
    app: &App,
    admin: &Administrator,
    id: &str,
    permission: Permission,
) -> Result<ProjectRow, ApiError> {
    let row = open(app, admin, id, permission).await?;
    // A body may have taken its time since the caller was let in.
    if let Authority::Session { role, .. } = &admin.authority {
        let projects = app.store.project_roles(&admin.user_id).await?;
        let now = Administrator {
            authority: Authority::Session {
                role: *role,
                projects: projects.into_iter().collect(),
            },
            ..admin.clone()
        };
        now.may_in(id, permission)?;
    }
    if row.archived_at.is_some() {
        return Err(ApiError::conflict("The project is archived."));
    }
    Ok(row)
}

/// A project's owner makes keys in it, so whoever names one must be allowed to do that too.
pub fn may_give(
    admin: &Administrator,
    project_id: &str,
    role: ProjectRole,
) -> Result<(), ApiError> {
    match role {
        ProjectRole::Owner => Ok(admin.may_in(project_id, Permission::ProjectsWrite)?),
        ProjectRole::Member => Ok(()),
    }
}

/// A policy takes the place of the project's, so whoever names one must be allowed to change that.
fn may_set_policy(
    admin: &Administrator,
    project_id: &str,
    policy: Option<&String>,
) -> Result<(), ApiError> {
    match policy {
        Some(_) => Ok(admin.may_in(project_id, Permission::LimitsWrite)?),
        None => Ok(()),
    }
}

/// The name of a guardrail policy that there is.
fn policy(app: &App, given: Option<&str>) -> Result<Option<String>, ApiError> {
    let name = optional_name("guardrail_policy", given)?;
    match &name {
        Some(name) if app.guardrails.policies().get(name).is_none() => {
            let message = "Invalid 'guardrail_policy': there is no such policy.";
            let code = Some("invalid_value");
            Err(ApiError::param("guardrail_policy", code, message))
        }
        _ => Ok(name),
    }
}
