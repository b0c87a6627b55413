//! `/v1/organization/audit_logs`: who changed what. Reading it is not an event, exporting it is.

use poem::Body;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Binary;
use poem_openapi::{ApiResponse, OpenApi, ResponseContent};

use super::paging;
use super::usage_export::streamed;
use crate::app::App;
use crate::auth::Permission;
use crate::auth::names::LONGEST_NAME;
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::query::List;
use crate::http::spec::Tag;
use crate::openai::admin::audit::{AuditLog, known_events, openai_name};
use crate::openai::page::Page;
use crate::records::{AuditFormat, export_audit};
use crate::store::{AuditFilter, AuditPosition, AuditStart};

/// Values of one filter.
const MOST_VALUES: usize = 100;

pub struct AuditLogsApi;

#[OpenApi(
    prefix_path = "/v1/organization/audit_logs",
    tag = "Tag::Administration"
)]
impl AuditLogsApi {
    /// List what happened, newest first.
    #[oai(path = "/", method = "get", operation_id = "list-audit-logs")]
    #[allow(clippy::too_many_arguments)]
    async fn list(
        &self,
        admin: Admin,
        app: Data<&App>,
        /// Unix seconds, as the three that follow.
        #[oai(name = "effective_at[gt]")]
        gt: Query<Option<i64>>,
        #[oai(name = "effective_at[gte]")] gte: Query<Option<i64>>,
        #[oai(name = "effective_at[lt]")] lt: Query<Option<i64>>,
        #[oai(name = "effective_at[lte]")] lte: Query<Option<i64>>,
        /// Only in these projects.
        #[oai(name = "project_ids[]", default)]
        project_ids: List<String>,
        /// Only events of these types.
        #[oai(name = "event_types[]", default)]
        event_types: List<String>,
        /// Only what these users, service accounts or keys did.
        #[oai(name = "actor_ids[]", default)]
        actor_ids: List<String>,
        /// Only what people with these addresses did.
        #[oai(name = "actor_emails[]", default)]
        actor_emails: List<String>,
        /// Only what was done to these.
        #[oai(name = "resource_ids[]", default)]
        resource_ids: List<String>,
        /// Only events whose type begins with `tenant.`.
        tenant_only: Query<Option<bool>>,
        /// Older than this entry.
        after: Query<Option<String>>,
        /// Newer than this entry.
        before: Query<Option<String>>,
        /// 1 to 100.
        limit: Query<Option<i64>>,
        /// Also events that OpenAI has no name for, all under this server's own names, each with
        /// all that is recorded as `details`. Ours.
        include_all: Query<Option<bool>>,
    ) -> Result<Json<Page<AuditLog>>, ApiError> {
        admin.0.may(Permission::AuditRead)?;
        let limit = paging(None, limit.0, None)?.limit;
        let all = include_all.0.unwrap_or(false);
        let asked = values("event_types", event_types.0)?;
        let kinds = kinds(asked, all, tenant_only.0.unwrap_or(false));
        let start = start(&app, after.0, before.0).await?;
        let filter = AuditFilter {
            from_ms: from_ms(gt.0, gte.0),
            until_ms: until_ms(lt.0, lte.0),
            within_kinds: (kinds.is_none() && !all)
                .then(|| known_events().map(str::to_owned).collect()),
            kinds,
            project_ids: values("project_ids", project_ids.0)?,
            actor_ids: values("actor_ids", actor_ids.0)?,
            actor_emails: values("actor_emails", actor_emails.0)?,
            subject_ids: values("resource_ids", resource_ids.0)?,
        };
        let mut rows = app.store.audit_log(&filter, start, limit).await?;
        let most = usize::try_from(limit - 1).unwrap_or(usize::MAX);
        if matches!(start, AuditStart::Before(_)) && rows.len() > most {
            // The one that only tells that there are more is the newest.
            rows.rotate_left(1);
        }
        let entries = rows.into_iter().map(|row| AuditLog::of(row, all));
        Ok(Json(Page::of(entries.collect(), limit - 1, |entry| {
            &entry.id
        })))
    }

    /// Export the audit with its hashes, in the order of recording. The export itself is its last
    /// row. Ours.
    #[oai(path = "/export", method = "get", operation_id = "export-audit-logs")]
    async fn export(
        &self,
        admin: Admin,
        app: Data<&App>,
        /// Only rows after this one: the highest `seq` of the export before.
        after_seq: Query<Option<i64>>,
    ) -> Result<AuditExport, ApiError> {
        admin.0.may(Permission::AuditRead)?;
        let after = after_seq.0.unwrap_or(0);
        if after < 0 {
            let message = "Invalid 'after_seq': expected 0 or more.";
            return Err(ApiError::param("after_seq", Some("invalid_value"), message));
        }
        let export = export_audit(&app.store, &admin.0.actor, after, AuditFormat::Jsonl).await?;
        Ok(AuditExport::Rows(AuditExportBody::Jsonl(streamed(export))))
    }
}

#[derive(ApiResponse)]
enum AuditExport {
    /// One JSON object a line, as `microllm audit export` writes it.
    #[oai(status = 200)]
    Rows(AuditExportBody),
}

#[derive(ResponseContent)]
enum AuditExportBody {
    #[oai(content_type = "application/jsonl")]
    Jsonl(Binary<Body>),
}

/// The stored names of what is asked for; none: not narrowed by type.
fn kinds(asked: Vec<String>, all: bool, tenant_only: bool) -> Option<Vec<String>> {
    let is_tenants = |name: &str| name.starts_with("tenant.");
    if asked.is_empty() && !tenant_only {
        return None;
    }
    let known = known_events().filter(|stored| {
        openai_name(stored).is_some_and(|name| {
            (asked.is_empty() || asked.iter().any(|asked| asked == name))
                && (!tenant_only || is_tenants(name))
        })
    });
    let mut kinds: Vec<String> = known.map(str::to_owned).collect();
    if all && !tenant_only {
        kinds.extend(asked);
    }
    Some(kinds)
}

async fn start(
    app: &App,
    after: Option<String>,
    before: Option<String>,
) -> Result<AuditStart, ApiError> {
    match (after, before) {
        (None, None) => Ok(AuditStart::Newest),
        (Some(id), None) => Ok(AuditStart::After(position(app, "after", &id).await?)),
        (None, Some(id)) => Ok(AuditStart::Before(position(app, "before", &id).await?)),
        (Some(_), Some(_)) => {
            let message = "Invalid 'before': it cannot be combined with 'after'.";
            Err(ApiError::param("before", Some("invalid_value"), message))
        }
    }
}

async fn position(app: &App, param: &str, id: &str) -> Result<AuditPosition, ApiError> {
    let found = app.store.audit_position(id).await?;
    found.ok_or_else(|| {
        let message = format!("Invalid '{param}': there is no such entry.");
        ApiError::param(param, Some("invalid_value"), message)
    })
}

/// Values of a filter, in bounds.
fn values(param: &str, given: Vec<String>) -> Result<Vec<String>, ApiError> {
    let too_long = |value: &String| value.chars().count() > LONGEST_NAME;
    if given.len() > MOST_VALUES || given.iter().any(too_long) {
        let message = format!(
            "Invalid '{param}': at most {MOST_VALUES} entries of {LONGEST_NAME} characters."
        );
        return Err(ApiError::param(
            param,
            Some("array_above_max_length"),
            message,
        ));
    }
    Ok(given)
}

/// The first millisecond of what is asked for in whole seconds.
fn from_ms(gt: Option<i64>, gte: Option<i64>) -> Option<i64> {
    let gt = gt.map(|second| second.saturating_add(1));
    Some(gt.max(gte)?.saturating_mul(1000))
}

/// The first millisecond that is not asked for.
fn until_ms(lt: Option<i64>, lte: Option<i64>) -> Option<i64> {
    let lte = lte.map(|second| second.saturating_add(1));
    let second = [lt, lte].into_iter().flatten().min()?;
    Some(second.saturating_mul(1000))
}
