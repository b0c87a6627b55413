//! Programs that use a project.

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use super::super::{expiry, key_models, key_scopes, limits, name, optional_name, paging};
use super::{may_set_policy, open, open_to_change, policy};
use crate::app::App;
use crate::auth::{IssuedKey, KeyOwner, KeyRules, NewKey, OnBehalfOf, Permission};
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::spec::Tag;
use crate::openai::admin::Deleted;
use crate::openai::admin::keys::{AccountKeyObject, CreateProjectApiKey, ServiceAccountApiKey};
use crate::openai::admin::projects::{
    CreateServiceAccount, ServiceAccount, ServiceAccountObject, UpdateServiceAccount,
};
use crate::openai::page::Page;
use crate::store::{ServiceAccountRow, ServiceRole};

pub struct ServiceAccountsApi;

#[OpenApi(prefix_path = "/v1/organization/projects", tag = "Tag::Projects")]
impl ServiceAccountsApi {
    /// List the service accounts of a project.
    #[oai(
        path = "/:project_id/service_accounts",
        method = "get",
        operation_id = "list-project-service-accounts"
    )]
    async fn list(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<ServiceAccount>>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::ProjectsRead).await?;
        let cursor = paging(after.0, limit.0, None)?;
        let rows = app.store.service_accounts(&project_id, &cursor).await?;
        let accounts = rows.into_iter().map(|row| shown(row, None)).collect();
        Ok(Json(Page::of(accounts, cursor.limit - 1, |account| {
            &account.id
        })))
    }

    /// Make a service account, and its first key, which is in this answer and nowhere else.
    #[oai(
        path = "/:project_id/service_accounts",
        method = "post",
        operation_id = "create-project-service-account"
    )]
    async fn create(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        request: Json<CreateServiceAccount>,
    ) -> Result<Json<ServiceAccount>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::ProjectsWrite).await?;
        let request = request.0;
        may_set_policy(&admin.0, &project_id, request.guardrail_policy.as_ref())?;
        let only = request.create_service_account_only.unwrap_or(false);
        let row = ServiceAccountRow {
            id: app.clock.id("svc_acct_"),
            project_id: project_id.0.clone(),
            name: name("name", request.name.as_deref().unwrap_or_default())?,
            role: if only {
                ServiceRole::None
            } else {
                ServiceRole::Member
            },
            created_at: admin.0.actor.at(),
        };
        let key = CreateProjectApiKey {
            name: Some("Secret Key".to_owned()),
            user_id: None,
            expires_in_seconds: request.expires_in_seconds,
            scopes: request.scopes,
            models: request.models,
            limits: request.limits,
            guardrail_policy: request.guardrail_policy,
        };
        let key = new_key(&app, key, &row, admin.0.actor.at())?;
        let key = if only {
            None
        } else {
            Some(app.keys.prepare(key)?)
        };
        let key_row = key.as_ref().map(|key| &key.row);
        app.store
            .insert_service_account(&row, key_row, &admin.0.actor)
            .await?;
        Ok(Json(shown(row, key)))
    }

    /// Tell about a service account.
    #[oai(
        path = "/:project_id/service_accounts/:service_account_id",
        method = "get",
        operation_id = "retrieve-project-service-account"
    )]
    async fn retrieve(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        service_account_id: Path<String>,
    ) -> Result<Json<ServiceAccount>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::ProjectsRead).await?;
        let row = app
            .store
            .service_account(&project_id, &service_account_id)
            .await?;
        Ok(Json(shown(
            row.ok_or_else(|| ApiError::missing("service account"))?,
            None,
        )))
    }

    /// Change a service account's name or role.
    #[oai(
        path = "/:project_id/service_accounts/:service_account_id",
        method = "post",
        operation_id = "modify-project-service-account"
    )]
    async fn update(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        service_account_id: Path<String>,
        request: Json<UpdateServiceAccount>,
    ) -> Result<Json<ServiceAccount>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::ProjectsWrite).await?;
        let name = optional_name("name", request.0.name.as_deref())?;
        let role = request.0.role;
        let (store, id) = (&app.store, &service_account_id);
        let edited = store.edit_service_account(&project_id, id, &admin.0.actor, |account| {
            if let Some(name) = name {
                account.name = name;
            }
            account.role = role.unwrap_or(account.role);
        });
        let row = edited
            .await?
            .ok_or_else(|| ApiError::missing("service account"))?;
        Ok(Json(shown(row, None)))
    }

    /// End a service account and its keys.
    #[oai(
        path = "/:project_id/service_accounts/:service_account_id",
        method = "delete",
        operation_id = "delete-project-service-account"
    )]
    async fn delete(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        service_account_id: Path<String>,
    ) -> Result<Json<Deleted>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::ProjectsWrite).await?;
        let (store, id) = (&app.store, &service_account_id);
        if !store
            .delete_service_account(&project_id, id, &admin.0.actor)
            .await?
        {
            return Err(ApiError::missing("service account"));
        }
        let object = "organization.project.service_account";
        Ok(Json(Deleted::new(object, &service_account_id)))
    }

    /// Make another key of a service account. Its value is in this answer and nowhere else.
    #[oai(
        path = "/:project_id/service_accounts/:service_account_id/api_keys",
        method = "post",
        operation_id = "create-project-service-account-api-key"
    )]
    async fn create_key(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        service_account_id: Path<String>,
        request: Json<CreateProjectApiKey>,
    ) -> Result<Json<ServiceAccountApiKey>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::ProjectsWrite).await?;
        let row = app
            .store
            .service_account(&project_id, &service_account_id)
            .await?;
        let row = row.ok_or_else(|| ApiError::missing("service account"))?;
        may_set_policy(&admin.0, &project_id, request.0.guardrail_policy.as_ref())?;
        let key = new_key(&app, request.0, &row, admin.0.actor.at())?;
        let issued = app.keys.issue(key, &admin.0.actor).await?;
        Ok(Json(fresh(issued)))
    }
}

fn new_key(
    app: &App,
    asked: CreateProjectApiKey,
    account: &ServiceAccountRow,
    now: i64,
) -> Result<NewKey, ApiError> {
    let owner = KeyOwner::Project {
        id: account.project_id.clone(),
        on_behalf_of: OnBehalfOf::ServiceAccount(account.id.clone()),
    };
    checked(app, asked, owner, now)
}

/// A key as it was asked for, checked.
pub fn checked(
    app: &App,
    asked: CreateProjectApiKey,
    owner: KeyOwner,
    now: i64,
) -> Result<NewKey, ApiError> {
    Ok(NewKey {
        name: name("name", asked.name.as_deref().unwrap_or("Secret Key"))?,
        owner,
        expires_at: expiry(asked.expires_in_seconds, now)?,
        rules: KeyRules {
            scopes: asked.scopes.map(key_scopes).transpose()?.flatten(),
            models: asked.models.map(key_models).transpose()?.flatten(),
            limits: limits(asked.limits.unwrap_or_default())?,
            guardrail_policy: policy(app, asked.guardrail_policy.as_deref())?,
        },
    })
}

fn fresh(issued: IssuedKey) -> ServiceAccountApiKey {
    ServiceAccountApiKey {
        object: AccountKeyObject::It,
        value: issued.key.expose().to_owned(),
        id: issued.row.id,
        name: issued.row.name,
        created_at: issued.row.created_at,
        expires_at: issued.row.expires_at,
    }
}

fn shown(row: ServiceAccountRow, key: Option<IssuedKey>) -> ServiceAccount {
    ServiceAccount {
        object: ServiceAccountObject::It,
        id: row.id,
        name: row.name,
        role: row.role,
        created_at: row.created_at,
        api_key: key.map(fresh),
    }
}
