//! What a project may use: models, rates, budgets; and how long its things are kept.

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use super::super::settings::{
    self, cents, deleted_setting, retention, retention_name, shown as shown_alert,
};
use super::super::{models, paging, part};
use super::{open, open_to_change};
use crate::app::App;
use crate::auth::Permission;
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::spec::Tag;
use crate::openai::admin::Deleted;
use crate::openai::admin::projects::{
    ModelPermissionsObject, ProjectModelPermissions, ProjectRateLimit, RateLimitObject,
    SettingDeleted, UpdateModelPermissions, UpdateRateLimit,
};
use crate::openai::admin::settings::{
    DataRetention, PutSpendAlert, SpendAlert, SpendLimit, UpdateDataRetention, UpdateSpendLimit,
};
use crate::openai::page::Page;
use crate::store::{ModelPermissionsRow, RateLimitRow};

const LARGEST_RATE: i64 = 1 << 53;

pub struct LimitsApi;

#[OpenApi(prefix_path = "/v1/organization/projects", tag = "Tag::Projects")]
impl LimitsApi {
    /// List a project's limits, one entry for each model that is served.
    #[oai(
        path = "/:project_id/rate_limits",
        method = "get",
        operation_id = "list-project-rate-limits"
    )]
    async fn rate_limits(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        after: Query<Option<String>>,
        before: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<ProjectRateLimit>>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::LimitsRead).await?;
        let cursor = paging(after.0, limit.0, None)?;
        let rows = app.store.rate_limits(&project_id).await?;
        let served = app.models.all().map_err(|error| ApiError::from(&error))?;
        let limits = served.iter().map(|model| {
            let id = &model.id;
            let row = rows.iter().find(|row| &row.model == id).cloned();
            shown(&app, id, &row.unwrap_or_default())
        });
        let limits = part(
            limits.collect(),
            &cursor,
            before.0.as_deref(),
            |limit: &ProjectRateLimit| &limit.id,
        );
        Ok(Json(Page::of(limits, cursor.limit - 1, |limit| &limit.id)))
    }

    /// Set a project's limits of a model.
    #[oai(
        path = "/:project_id/rate_limits/:rate_limit_id",
        method = "post",
        operation_id = "update-project-rate-limits"
    )]
    async fn set_rate_limit(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        rate_limit_id: Path<String>,
        request: Json<UpdateRateLimit>,
    ) -> Result<Json<ProjectRateLimit>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::LimitsWrite).await?;
        let model = rate_limit_id.strip_prefix("rl-").unwrap_or_default();
        let served = app
            .models
            .info(model)
            .map_err(|error| ApiError::from(&error))?;
        served.ok_or_else(|| ApiError::missing("rate limit"))?;
        let asked = request.0;
        for (param, given) in [
            ("max_requests_per_1_minute", asked.max_requests_per_1_minute),
            ("max_tokens_per_1_minute", asked.max_tokens_per_1_minute),
            ("max_requests_per_1_day", asked.max_requests_per_1_day),
        ] {
            if given.is_some_and(|given| !(0..=LARGEST_RATE).contains(&given)) {
                let message = format!("Invalid '{param}': expected 0 to {LARGEST_RATE}.");
                return Err(ApiError::param(param, Some("invalid_value"), message));
            }
        }
        let old = app
            .store
            .rate_limit(&project_id, model)
            .await?
            .unwrap_or_default();
        let row = RateLimitRow {
            model: model.to_owned(),
            requests_per_minute: asked.max_requests_per_1_minute.or(old.requests_per_minute),
            tokens_per_minute: asked.max_tokens_per_1_minute.or(old.tokens_per_minute),
            requests_per_day: asked.max_requests_per_1_day.or(old.requests_per_day),
        };
        app.store
            .set_rate_limit(&project_id, &row, &admin.0.actor)
            .await?;
        Ok(Json(shown(&app, model, &row)))
    }

    /// Let a project have the configured limits of a model again. Ours.
    #[oai(
        path = "/:project_id/rate_limits/:rate_limit_id",
        method = "delete",
        operation_id = "delete-project-rate-limits"
    )]
    async fn delete_rate_limit(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        rate_limit_id: Path<String>,
    ) -> Result<Json<Deleted>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::LimitsWrite).await?;
        let model = rate_limit_id.strip_prefix("rl-").unwrap_or_default();
        let deleted = app
            .store
            .delete_rate_limit(&project_id, model, &admin.0.actor);
        if !deleted.await? {
            return Err(ApiError::missing("rate limit of this project's own"));
        }
        Ok(Json(Deleted::new("project.rate_limit", &rate_limit_id)))
    }

    /// Tell which models a project may use.
    #[oai(
        path = "/:project_id/model_permissions",
        method = "get",
        operation_id = "retrieve-project-model-permissions"
    )]
    async fn model_permissions(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
    ) -> Result<Json<ProjectModelPermissions>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::ProjectsRead).await?;
        let row = app.store.model_permissions(&project_id).await?;
        Ok(Json(permissions(
            row.ok_or_else(|| ApiError::missing("list of models"))?,
        )))
    }

    /// Set which models a project may use.
    #[oai(
        path = "/:project_id/model_permissions",
        method = "post",
        operation_id = "update-project-model-permissions"
    )]
    async fn set_model_permissions(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        request: Json<UpdateModelPermissions>,
    ) -> Result<Json<ProjectModelPermissions>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::LimitsWrite).await?;
        let row = ModelPermissionsRow {
            mode: request.0.mode.into(),
            model_ids: models("model_ids", request.0.model_ids)?,
        };
        let store = &app.store;
        store
            .set_model_permissions(&project_id, Some(&row), &admin.0.actor)
            .await?;
        Ok(Json(permissions(row)))
    }

    /// Permit a project all models.
    #[oai(
        path = "/:project_id/model_permissions",
        method = "delete",
        operation_id = "delete-project-model-permissions"
    )]
    async fn delete_model_permissions(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
    ) -> Result<Json<SettingDeleted>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::LimitsWrite).await?;
        app.store
            .set_model_permissions(&project_id, None, &admin.0.actor)
            .await?;
        Ok(Json(deleted_setting("project.model_permissions")))
    }

    /// Tell what a project may cost in a month.
    #[oai(
        path = "/:project_id/spend_limit",
        method = "get",
        operation_id = "retrieve-project-spend-limit"
    )]
    async fn spend_limit(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
    ) -> Result<Json<SpendLimit>, ApiError> {
        let row = open(&app, &admin.0, &project_id, Permission::LimitsRead).await?;
        let cents = row
            .limits
            .cents_per_month
            .ok_or_else(|| ApiError::missing("spend limit"))?;
        Ok(Json(SpendLimit::of("project", cents)))
    }

    /// Set what a project may cost in a month.
    #[oai(
        path = "/:project_id/spend_limit",
        method = "post",
        operation_id = "update-project-spend-limit"
    )]
    async fn set_spend_limit(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        request: Json<UpdateSpendLimit>,
    ) -> Result<Json<SpendLimit>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::LimitsWrite).await?;
        let cents = cents(request.0.threshold_amount)?;
        let edited = app
            .store
            .edit_project(&project_id, &admin.0.actor, |project| {
                project.limits.cents_per_month = Some(cents);
            });
        edited.await?.ok_or_else(|| ApiError::missing("project"))?;
        Ok(Json(SpendLimit::of("project", cents)))
    }

    /// A project may cost anything.
    #[oai(
        path = "/:project_id/spend_limit",
        method = "delete",
        operation_id = "delete-project-spend-limit"
    )]
    async fn delete_spend_limit(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
    ) -> Result<Json<SettingDeleted>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::LimitsWrite).await?;
        let edited = app
            .store
            .edit_project(&project_id, &admin.0.actor, |project| {
                project.limits.cents_per_month = None;
            });
        edited.await?.ok_or_else(|| ApiError::missing("project"))?;
        Ok(Json(deleted_setting("project.spend_limit")))
    }

    /// List the spend alerts of a project.
    #[oai(
        path = "/:project_id/spend_alerts",
        method = "get",
        operation_id = "list-project-spend-alerts"
    )]
    #[allow(clippy::too_many_arguments)]
    async fn alerts(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        after: Query<Option<String>>,
        before: Query<Option<String>>,
        limit: Query<Option<i64>>,
        order: Query<Option<String>>,
    ) -> Result<Json<Page<SpendAlert>>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::LimitsRead).await?;
        let cursor = paging(after.0, limit.0, order.0.as_deref())?;
        settings::alerts(&app, Some(&project_id), &cursor, before.0.as_deref()).await
    }

    /// Make a spend alert of a project.
    #[oai(
        path = "/:project_id/spend_alerts",
        method = "post",
        operation_id = "create-project-spend-alert"
    )]
    async fn create_alert(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        request: Json<PutSpendAlert>,
    ) -> Result<Json<SpendAlert>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::LimitsWrite).await?;
        settings::create_alert(&app, &admin.0, Some(&project_id), request.0).await
    }

    /// Tell about a spend alert of a project.
    #[oai(
        path = "/:project_id/spend_alerts/:alert_id",
        method = "get",
        operation_id = "get-project-spend-alert"
    )]
    async fn alert(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        alert_id: Path<String>,
    ) -> Result<Json<SpendAlert>, ApiError> {
        open(&app, &admin.0, &project_id, Permission::LimitsRead).await?;
        let row = settings::alert(&app, Some(&project_id), &alert_id).await?;
        Ok(Json(shown_alert(row)))
    }

    /// Change a spend alert of a project.
    #[oai(
        path = "/:project_id/spend_alerts/:alert_id",
        method = "post",
        operation_id = "update-project-spend-alert"
    )]
    async fn update_alert(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        alert_id: Path<String>,
        request: Json<PutSpendAlert>,
    ) -> Result<Json<SpendAlert>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::LimitsWrite).await?;
        settings::update_alert(&app, &admin.0, Some(&project_id), &alert_id, request.0).await
    }

    /// Remove a spend alert of a project.
    #[oai(
        path = "/:project_id/spend_alerts/:alert_id",
        method = "delete",
        operation_id = "delete-project-spend-alert"
    )]
    async fn delete_alert(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        alert_id: Path<String>,
    ) -> Result<Json<Deleted>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::LimitsWrite).await?;
        settings::delete_alert(&app, &admin.0, Some(&project_id), &alert_id).await
    }

    /// Tell what is kept of a project.
    #[oai(
        path = "/:project_id/data_retention",
        method = "get",
        operation_id = "retrieve-project-data-retention"
    )]
    async fn retention(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
    ) -> Result<Json<DataRetention>, ApiError> {
        let row = open(&app, &admin.0, &project_id, Permission::ProjectsRead).await?;
        retention("project", &row.data_retention, None)
    }

    /// Set what is kept of a project.
    #[oai(
        path = "/:project_id/data_retention",
        method = "post",
        operation_id = "update-project-data-retention"
    )]
    async fn set_retention(
        &self,
        admin: Admin,
        app: Data<&App>,
        project_id: Path<String>,
        request: Json<UpdateDataRetention>,
    ) -> Result<Json<DataRetention>, ApiError> {
        open_to_change(&app, &admin.0, &project_id, Permission::SettingsWrite).await?;
        let kind = retention_name(request.0.retention_type);
        let edited = app
            .store
            .edit_project(&project_id, &admin.0.actor, |project| {
                project.data_retention = kind;
            });
        let row = edited.await?.ok_or_else(|| ApiError::missing("project"))?;
        retention("project", &row.data_retention, None)
    }
}

fn shown(app: &App, model: &str, row: &RateLimitRow) -> ProjectRateLimit {
    let defaults = &app.config.limits;
    let default = |value: u64| i64::try_from(value).unwrap_or(LARGEST_RATE);
    let per_day = Some(default(defaults.requests_per_day)).filter(|limit| *limit > 0);
    ProjectRateLimit {
        object: RateLimitObject::It,
        id: format!("rl-{model}"),
        model: model.to_owned(),
        max_requests_per_1_minute: row
            .requests_per_minute
            .unwrap_or(default(defaults.requests_per_minute)),
        max_tokens_per_1_minute: row
            .tokens_per_minute
            .unwrap_or(default(defaults.tokens_per_minute)),
        max_requests_per_1_day: row.requests_per_day.or(per_day),
    }
}

fn permissions(row: ModelPermissionsRow) -> ProjectModelPermissions {
    ProjectModelPermissions {
        object: ModelPermissionsObject::It,
        mode: row.mode.into(),
        model_ids: row.model_ids,
    }
}
