//! The keys of a project.

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use super::super::{expiry, key_models, key_scopes, limits, optional_name, paging, redacted};
use super::service_accounts::checked;
use super::{may_set_policy, open, open_to_change, policy};
use crate::app::App;
use crate::auth::{Administrator, KeyOwner, OnBehalfOf, Permission, ProjectRole};
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::spec::Tag;
use crate::openai::admin::Deleted;
use crate::openai::admin::keys::{
    CreateProjectApiKey, KeyOwnerInfo, OwnerAccess, OwnerAccount, OwnerKind, OwnerUser,
    ProjectApiKey, ProjectKeyObject, RotateKey, UpdateProjectApiKey,
};
use crate::openai::page::Page;
use crate::records::ActorKind;
use crate::store::{KeyRing, KeyRow};

/// Seconds that two values of a key may work at the same time: a week.
const LONGEST_OVERLAP: i64 = 7 * 24 * 60 * 60;

pub struct KeysApi;

#[OpenApi(prefix_path = "/v1/organization/projects", tag = "Tag::Projects")]
impl KeysApi {
    /// List the keys of a project.
    #[oai(
        path = "/:project_id/api_keys",
        method = "get",
        operation_id = "list-project-api-keys"
    )]
    async fn list(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
        /// `active`, `inactive` or `any`: whether the owner may use it at the moment.
        owner_project_access: Query<Option<String>>,
    ) -> Result<Json<Page<ProjectApiKey>>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::ProjectsRead).await?;
        let active = match owner_project_access.0.as_deref() {
            None | Some("any") => None,
            Some("active") => Some(true),
            Some("inactive") => Some(false),
            Some(_) => {
                let param = "owner_project_access";
                let message = format!("Invalid '{param}': expected 'active', 'inactive' or 'any'.");
                return Err(ApiError::param(param, Some("invalid_value"), message));
            }
        };
        let cursor = paging(after.0, limit.0, None)?;
        let mut keys = Vec::new();
        for row in app
            .store
            .ring(KeyRing::Project(&project_id), &cursor, active)
            .await?
        {
            keys.push(shown(&app, row, None).await?);
        }
        Ok(Json(Page::of(keys, cursor.limit - 1, |key| &key.id)))
    }

    /// Make a key. Its value is in this answer and nowhere else.
    #[oai(
        path = "/:project_id/api_keys",
        method = "post",
        operation_id = "create-project-api-key"
    )]
    async fn create(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        request: Json<CreateProjectApiKey>,
    ) -> Result<Json<ProjectApiKey>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::ProjectsWrite).await?;
        may_set_policy(&admin.0, &project_id, request.0.guardrail_policy.as_ref())?;
        may_act_for(&admin.0, request.0.user_id.as_ref())?;
        let on_behalf_of = owner_of_new_key(&app, &admin.0, &project_id, &request.0).await?;
        let owner = KeyOwner::Project {
            id: project_id.0,
            on_behalf_of,
        };
        let key = checked(&app, request.0, owner, admin.0.actor.at())?;
        let issued = app.keys.issue(key, &admin.0.actor).await?;
        let value = issued.key.expose().to_owned();
        Ok(Json(shown(&app, issued.row, Some(value)).await?))
    }

    /// Tell about a key.
    #[oai(
        path = "/:project_id/api_keys/:api_key_id",
        method = "get",
        operation_id = "retrieve-project-api-key"
    )]
    async fn retrieve(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        api_key_id: Path<String>,
    ) -> Result<Json<ProjectApiKey>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::ProjectsRead).await?;
        let row = app
            .store
            .key(KeyRing::Project(&project_id), &api_key_id)
            .await?;
        Ok(Json(
            shown(&app, row.ok_or_else(|| ApiError::missing("API key"))?, None).await?,
        ))
    }

    /// Change what a key is confined to. It holds from the next request on.
    #[oai(
        path = "/:project_id/api_keys/:api_key_id",
        method = "post",
        operation_id = "update-project-api-key"
    )]
    async fn update(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        api_key_id: Path<String>,
        request: Json<UpdateProjectApiKey>,
    ) -> Result<Json<ProjectApiKey>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::ProjectsWrite).await?;
        let asked = request.0;
        may_set_policy(&admin.0, &project_id, asked.guardrail_policy.as_ref())?;
        let name = optional_name("name", asked.name.as_deref())?;
        let expires_at = expiry(asked.expires_in_seconds, admin.0.actor.at())?;
        let scopes = asked.scopes.map(key_scopes).transpose()?;
        let models = asked.models.map(key_models).transpose()?;
        let limits = asked.limits.map(limits).transpose()?;
        let policy = policy(&app, asked.guardrail_policy.as_deref())?;
        let ring = KeyRing::Project(&project_id);
        let edited = app
            .store
            .edit_key(ring, &api_key_id, &admin.0.actor, |key| {
                if let Some(name) = name {
                    key.name = name;
                }
                if let Some(limits) = limits {
                    key.limits = limits;
                }
                key.expires_at = expires_at.or(key.expires_at);
                if let Some(scopes) = scopes {
                    key.scopes = scopes;
                }
                if let Some(models) = models {
                    key.models = models;
                }
                key.guardrail_policy = policy.or(key.guardrail_policy.take());
            });
        let row = edited.await?.ok_or_else(|| ApiError::missing("API key"))?;
        Ok(Json(shown(&app, row, None).await?))
    }

    /// End a key: it is refused from now on.
    #[oai(
        path = "/:project_id/api_keys/:api_key_id",
        method = "delete",
        operation_id = "delete-project-api-key"
    )]
    async fn delete(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        api_key_id: Path<String>,
    ) -> Result<Json<Deleted>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::ProjectsWrite).await?;
        let ring = KeyRing::Project(&project_id);
        if !app
            .store
            .delete_key(ring, &api_key_id, &admin.0.actor)
            .await?
        {
            return Err(ApiError::missing("API key"));
        }
        Ok(Json(Deleted::new(
            "organization.project.api_key",
            &api_key_id,
        )))
    }

    /// Replace a key's value; id, name and rules stay. The old value goes on working for
    /// `overlap_seconds`.
    #[oai(
        path = "/:project_id/api_keys/:api_key_id/rotate",
        method = "post",
        operation_id = "rotate-project-api-key"
    )]
    async fn rotate(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        api_key_id: Path<String>,
        request: Json<RotateKey>,
    ) -> Result<Json<ProjectApiKey>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::ProjectsWrite).await?;
        let overlap = request.0.overlap_seconds.unwrap_or(0);
        if !(0..=LONGEST_OVERLAP).contains(&overlap) {
            let param = "overlap_seconds";
            let message = format!("Invalid '{param}': expected 0 to {LONGEST_OVERLAP}.");
            return Err(ApiError::param(param, Some("invalid_value"), message));
        }
        let ring = KeyRing::Project(&project_id);
        let row = app.store.key(ring, &api_key_id).await?;
        let owner = row.and_then(|row| row.user_id);
        may_act_for(&admin.0, owner.as_ref())?;
        let rotated = app
            .keys
            .rotate(ring, &api_key_id, overlap, &admin.0.actor)
            .await?;
        let issued = rotated.ok_or_else(|| ApiError::missing("API key"))?;
        let value = issued.key.expose().to_owned();
        Ok(Json(shown(&app, issued.row, Some(value)).await?))
    }
}

/// Of the member who is named; else of the member who asks; else of nobody but the project.
async fn owner_of_new_key(
    app: &App,
    admin: &Administrator,
    project_id: &str,
    asked: &CreateProjectApiKey,
) -> Result<OnBehalfOf, ApiError> {
    let is_person = admin.actor.kind == ActorKind::Session;
    let Some(id) = asked
        .user_id
        .as_ref()
        .or(is_person.then_some(&admin.user_id))
    else {
        return Ok(OnBehalfOf::Project);
    };
    match app.store.member(project_id, id).await? {
        Some(member) => Ok(OnBehalfOf::User(member.id)),
        None if asked.user_id.is_none() => Ok(OnBehalfOf::Project),
        None => {
            let message = "Invalid 'user_id': there is no such user in this project.";
            Err(ApiError::param("user_id", Some("invalid_value"), message))
        }
    }
}

/// What a personal key uses is recorded as that person's: nobody else gets its value but from an
/// administrator of the organization.
fn may_act_for(admin: &Administrator, owner: Option<&String>) -> Result<(), ApiError> {
    match owner {
        Some(id) if id != &admin.user_id => Ok(admin.may(Permission::ProjectsWrite)?),
        _ => Ok(()),
    }
}

async fn shown(app: &App, row: KeyRow, value: Option<String>) -> Result<ProjectApiKey, ApiError> {
    let project_id = row.project_id.clone().unwrap_or_default();
    let mut access = OwnerAccess::Active;
    let mut owner = KeyOwnerInfo::default();
    if let Some(id) = &row.user_id {
        let person = app.store.person(id).await?;
        let member = app.store.member(&project_id, id).await?;
        let is_enabled = person.as_ref().is_some_and(|p| p.disabled_at.is_none());
        if member.is_none() || !is_enabled {
            access = OwnerAccess::Inactive;
        }
        // Of the project, as at OpenAI; who has left it has none.
        let role = member.map_or("member", |member| match member.role {
            ProjectRole::Owner => "owner",
            ProjectRole::Member => "member",
        });
        owner.kind = Some(OwnerKind::User);
        owner.user = person.map(|person| OwnerUser {
            id: person.id,
            email: person.email,
            name: person.name,
            created_at: person.created_at,
            role: role.to_owned(),
        });
    } else if let Some(id) = &row.service_account_id {
        let account = app.store.service_account(&project_id, id).await?;
        owner.kind = Some(OwnerKind::ServiceAccount);
        owner.service_account = account.map(|account| OwnerAccount {
            id: account.id,
            name: account.name,
            created_at: account.created_at,
            role: account.role,
        });
    }
    Ok(ProjectApiKey {
        object: ProjectKeyObject::It,
        id: row.id,
        name: row.name,
        value,
        redacted_value: redacted("sk-mllm-", &row.last4),
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        expires_at: row.expires_at,
        owner,
        owner_project_access: access,
        scopes: row.scopes,
        models: row.models,
        limits: row.limits,
        guardrail_policy: row.guardrail_policy,
    })
}
