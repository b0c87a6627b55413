//! What holds for everybody: limits, budgets, spend alerts, retention. Those of projects have the
//! same shapes and are here too.

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use super::{bounded, email, limits, optional_name, paging, part};
use crate::app::App;
use crate::auth::{Administrator, Permission};
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::spec::Tag;
use crate::limits::LimitSet;
use crate::openai::admin::Deleted;
use crate::openai::admin::projects::SettingDeleted;
use crate::openai::admin::settings::{
    ChannelKind, Currency, DataRetention, Interval, NotificationChannel, PutSpendAlert,
    RetentionKind, SpendAlert, SpendLimit, UpdateDataRetention, UpdateSpendLimit,
};
use crate::openai::page::Page;
use crate::store::{Cursor, OrganizationRow, SpendAlertRow};

const MOST_ALERTS: usize = 100;
/// A hundred years.
const MOST_DAYS: i64 = 36_500;
const MOST_RECIPIENTS: usize = 100;
const MOST_CENTS: u64 = 1 << 53;

pub struct SettingsApi;

#[OpenApi(prefix_path = "/v1/organization", tag = "Tag::Administration")]
impl SettingsApi {
    /// Tell the limits of the whole organization.
    #[oai(
        path = "/limits",
        method = "get",
        operation_id = "retrieve-organization-limits"
    )]
    async fn limits(&self, admin: Admin, app: Data<&App>) -> Result<Json<LimitSet>, ApiError> {
        admin.0.may(Permission::LimitsRead)?;
        Ok(Json(app.store.organization().await?.limits))
    }

    /// Replace the limits of the whole organization.
    #[oai(
        path = "/limits",
        method = "post",
        operation_id = "update-organization-limits"
    )]
    async fn set_limits(
        &self,
        admin: Admin,
        app: Data<&App>,
        request: Json<LimitSet>,
    ) -> Result<Json<LimitSet>, ApiError> {
        admin.0.may(Permission::LimitsWrite)?;
        let new = limits(request.0)?;
        let edited = app
            .store
            .edit_organization(&admin.0.actor, |row| row.limits = new);
        Ok(Json(edited.await?.limits))
    }

    /// Tell what is kept, and for how long.
    #[oai(
        path = "/data_retention",
        method = "get",
        operation_id = "retrieve-data-retention"
    )]
    async fn retention(
        &self,
        admin: Admin,
        app: Data<&App>,
    ) -> Result<Json<DataRetention>, ApiError> {
        admin.0.may(Permission::SettingsRead)?;
        let row = app.store.organization().await?;
        retention("organization", &row.data_retention, Some(&row))
    }

    /// Set what is kept, and for how long.
    #[oai(
        path = "/data_retention",
        method = "post",
        operation_id = "update-data-retention"
    )]
    async fn set_retention(
        &self,
        admin: Admin,
        app: Data<&App>,
        request: Json<UpdateDataRetention>,
    ) -> Result<Json<DataRetention>, ApiError> {
        admin.0.may(Permission::SettingsWrite)?;
        let UpdateDataRetention {
            retention_type,
            usage_days,
            stored_days,
        } = request.0;
        if matches!(
            retention_type,
            RetentionKind::OrganizationDefault | RetentionKind::None
        ) {
            let message = "Invalid 'retention_type': this kind is for projects.";
            return Err(ApiError::param(
                "retention_type",
                Some("invalid_value"),
                message,
            ));
        }
        for (param, days) in [("usage_days", usage_days), ("stored_days", stored_days)] {
            if days.is_some_and(|days| !(0..=MOST_DAYS).contains(&days)) {
                let message = format!("Invalid '{param}': expected 0 (for ever) to {MOST_DAYS}.");
                return Err(ApiError::param(param, Some("invalid_value"), message));
            }
        }
        let kind = retention_name(retention_type);
        let edited = app.store.edit_organization(&admin.0.actor, |row| {
            row.data_retention = kind;
            if let Some(days) = usage_days {
                row.usage_days = Some(days).filter(|days| *days > 0);
            }
            if let Some(days) = stored_days {
                row.stored_days = Some(days).filter(|days| *days > 0);
            }
        });
        let row = edited.await?;
        retention("organization", &row.data_retention, Some(&row))
    }

    /// Tell what a month may cost.
    #[oai(
        path = "/spend_limit",
        method = "get",
        operation_id = "retrieve-spend-limit"
    )]
    async fn spend_limit(
        &self,
        admin: Admin,
        app: Data<&App>,
    ) -> Result<Json<SpendLimit>, ApiError> {
        admin.0.may(Permission::LimitsRead)?;
        let cents = app.store.organization().await?.limits.cents_per_month;
        let cents = cents.ok_or_else(|| ApiError::missing("spend limit"))?;
        Ok(Json(SpendLimit::of("organization", cents)))
    }

    /// Set what a month may cost.
    #[oai(
        path = "/spend_limit",
        method = "post",
        operation_id = "update-spend-limit"
    )]
    async fn set_spend_limit(
        &self,
        admin: Admin,
        app: Data<&App>,
        request: Json<UpdateSpendLimit>,
    ) -> Result<Json<SpendLimit>, ApiError> {
        admin.0.may(Permission::LimitsWrite)?;
        let cents = cents(request.0.threshold_amount)?;
        let edited = app.store.edit_organization(&admin.0.actor, |row| {
            row.limits.cents_per_month = Some(cents);
        });
        edited.await?;
        Ok(Json(SpendLimit::of("organization", cents)))
    }

    /// A month may cost anything.
    #[oai(
        path = "/spend_limit",
        method = "delete",
        operation_id = "delete-spend-limit"
    )]
    async fn delete_spend_limit(
        &self,
        admin: Admin,
        app: Data<&App>,
    ) -> Result<Json<SettingDeleted>, ApiError> {
        admin.0.may(Permission::LimitsWrite)?;
        let edited = app.store.edit_organization(&admin.0.actor, |row| {
            row.limits.cents_per_month = None;
        });
        edited.await?;
        Ok(Json(deleted_setting("organization.spend_limit")))
    }

    /// List the spend alerts.
    #[oai(
        path = "/spend_alerts",
        method = "get",
        operation_id = "list-spend-alerts"
    )]
    async fn alerts(
        &self,
        admin: Admin,
        app: Data<&App>,
        after: Query<Option<String>>,
        before: Query<Option<String>>,
        limit: Query<Option<i64>>,
        order: Query<Option<String>>,
    ) -> Result<Json<Page<SpendAlert>>, ApiError> {
        admin.0.may(Permission::LimitsRead)?;
        let cursor = paging(after.0, limit.0, order.0.as_deref())?;
        alerts(&app, None, &cursor, before.0.as_deref()).await
    }

    /// Make a spend alert.
    #[oai(
        path = "/spend_alerts",
        method = "post",
        operation_id = "create-spend-alert"
    )]
    async fn create_alert(
        &self,
        admin: Admin,
        app: Data<&App>,
        request: Json<PutSpendAlert>,
    ) -> Result<Json<SpendAlert>, ApiError> {
        admin.0.may(Permission::LimitsWrite)?;
        create_alert(&app, &admin.0, None, request.0).await
    }

    /// Tell about a spend alert.
    #[oai(
        path = "/spend_alerts/:alert_id",
        method = "get",
        operation_id = "get-spend-alert"
    )]
    async fn alert(
        &self,
        admin: Admin,
        app: Data<&App>,
        alert_id: Path<String>,
    ) -> Result<Json<SpendAlert>, ApiError> {
        admin.0.may(Permission::LimitsRead)?;
        Ok(Json(shown(alert(&app, None, &alert_id).await?)))
    }

    /// Change a spend alert.
    #[oai(
        path = "/spend_alerts/:alert_id",
        method = "post",
        operation_id = "update-spend-alert"
    )]
    async fn update_alert(
        &self,
        admin: Admin,
        app: Data<&App>,
        alert_id: Path<String>,
        request: Json<PutSpendAlert>,
    ) -> Result<Json<SpendAlert>, ApiError> {
        admin.0.may(Permission::LimitsWrite)?;
        update_alert(&app, &admin.0, None, &alert_id, request.0).await
    }

    /// Remove a spend alert.
    #[oai(
        path = "/spend_alerts/:alert_id",
        method = "delete",
        operation_id = "delete-spend-alert"
    )]
    async fn delete_alert(
        &self,
        admin: Admin,
        app: Data<&App>,
        alert_id: Path<String>,
    ) -> Result<Json<Deleted>, ApiError> {
        admin.0.may(Permission::LimitsWrite)?;
        delete_alert(&app, &admin.0, None, &alert_id).await
    }
}

pub fn deleted_setting(object: &str) -> SettingDeleted {
    SettingDeleted {
        object: format!("{object}.deleted"),
        deleted: true,
    }
}

/// A month's budget that can be stored and counted with.
pub fn cents(given: u64) -> Result<u64, ApiError> {
    if given > MOST_CENTS {
        let param = "threshold_amount";
        let message = format!("Invalid '{param}': expected at most {MOST_CENTS}.");
        return Err(ApiError::param(
            param,
            Some("integer_above_max_value"),
            message,
        ));
    }
    Ok(given)
}

/// As it is stored.
pub fn retention_name(kind: RetentionKind) -> String {
    let name = serde_json::to_value(kind).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

/// What is kept of `organization` or `project`.
pub fn retention(
    whose: &str,
    kind: &str,
    organization: Option<&OrganizationRow>,
) -> Result<Json<DataRetention>, ApiError> {
    let kind = serde_json::from_value(kind.into());
    Ok(Json(DataRetention {
        object: format!("{whose}.data_retention"),
        kind: kind.map_err(|_| ApiError::internal())?,
        usage_days: organization.and_then(|row| row.usage_days),
        stored_days: organization.and_then(|row| row.stored_days),
    }))
}

pub async fn alerts(
    app: &App,
    project: Option<&str>,
    cursor: &Cursor,
    before: Option<&str>,
) -> Result<Json<Page<SpendAlert>>, ApiError> {
    let alerts = app.store.spend_alerts(project).await?;
    let alerts = alerts.into_iter().map(shown).collect();
    let alerts = part(alerts, cursor, before, |alert: &SpendAlert| &alert.id);
    Ok(Json(Page::of(alerts, cursor.limit - 1, |alert| &alert.id)))
}

pub async fn alert(app: &App, project: Option<&str>, id: &str) -> Result<SpendAlertRow, ApiError> {
    let alerts = app.store.spend_alerts(project).await?;
    let found = alerts.into_iter().find(|alert| alert.id == id);
    found.ok_or_else(|| ApiError::missing("spend alert"))
}

pub async fn create_alert(
    app: &App,
    admin: &Administrator,
    project: Option<&str>,
    asked: PutSpendAlert,
) -> Result<Json<SpendAlert>, ApiError> {
    let mut row = SpendAlertRow {
        id: app.clock.id("alert_"),
        project_id: project.map(str::to_owned),
        threshold: 0,
        recipients: Vec::new(),
        subject_prefix: None,
        created_at: admin.actor.at(),
    };
    checked(asked)?(&mut row);
    let store = &app.store;
    let made = store.insert_spend_alert(&row, MOST_ALERTS, &admin.actor);
    if !made.await? {
        let message = format!("There are {MOST_ALERTS} spend alerts already.");
        return Err(ApiError::conflict(&message));
    }
    Ok(Json(shown(row)))
}

pub async fn update_alert(
    app: &App,
    admin: &Administrator,
    project: Option<&str>,
    id: &str,
    asked: PutSpendAlert,
) -> Result<Json<SpendAlert>, ApiError> {
    let edit = checked(asked)?;
    let edited = app
        .store
        .edit_spend_alert(project, id, &admin.actor, edit)
        .await?;
    let row = edited.ok_or_else(|| ApiError::missing("spend alert"))?;
    Ok(Json(shown(row)))
}

/// What is asked of an alert, in bounds.
fn checked(asked: PutSpendAlert) -> Result<impl FnOnce(&mut SpendAlertRow), ApiError> {
    let amount = u64::try_from(asked.threshold_amount).unwrap_or(u64::MAX);
    let threshold = i64::try_from(cents(amount)?).unwrap_or(i64::MAX);
    let channel = asked.notification_channel;
    if channel.recipients.len() > MOST_RECIPIENTS {
        let param = "notification_channel.recipients";
        let message = format!("Invalid '{param}': at most {MOST_RECIPIENTS} entries.");
        return Err(ApiError::param(
            param,
            Some("array_above_max_length"),
            message,
        ));
    }
    let addresses = channel.recipients.iter().enumerate();
    let recipients = addresses
        .map(|(i, address)| email(&format!("notification_channel.recipients[{i}]"), address))
        .collect::<Result<_, _>>()?;
    let prefix = channel.subject_prefix.map(|prefix| bounded(prefix, 256));
    let prefix = optional_name("notification_channel.subject_prefix", prefix.as_deref())?;
    Ok(move |row: &mut SpendAlertRow| {
        row.threshold = threshold;
        row.recipients = recipients;
        row.subject_prefix = prefix;
    })
}

pub async fn delete_alert(
    app: &App,
    admin: &Administrator,
    project: Option<&str>,
    id: &str,
) -> Result<Json<Deleted>, ApiError> {
    if !app
        .store
        .delete_spend_alert(project, id, &admin.actor)
        .await?
    {
        return Err(ApiError::missing("spend alert"));
    }
    let whose = project.map_or("organization", |_| "project");
    Ok(Json(Deleted::new(&format!("{whose}.spend_alert"), id)))
}

pub fn shown(row: SpendAlertRow) -> SpendAlert {
    let whose = row.project_id.map_or("organization", |_| "project");
    SpendAlert {
        object: format!("{whose}.spend_alert"),
        id: row.id,
        currency: Currency::Usd,
        interval: Interval::Month,
        threshold_amount: row.threshold,
        notification_channel: NotificationChannel {
            kind: ChannelKind::Email,
            recipients: row.recipients,
            subject_prefix: row.subject_prefix,
        },
    }
}
