//! `/v1/organization`: the administration, in OpenAI's shapes.
//!
//! - [`admin_keys`], [`users`], [`invites`], [`roles`], [`settings`], [`usage`]: of the organization
//! - [`cache`]: answers that are kept
//! - [`audit_logs`]: what was done, listed and exported
//! - [`projects`]: projects and all that belongs to them

mod admin_keys;
mod audit_logs;
mod cache;
mod invites;
mod projects;
mod roles;
mod settings;
mod usage;
mod usage_export;
mod users;

use std::cmp::Ordering;

use super::error::ApiError;
use crate::auth::names::{self, LONGEST_NAME};
use crate::auth::{KeyScope, Permission};
use crate::limits::LimitSet;
use crate::openai::page::{DEFAULT_LIMIT, MOST};
use crate::store::Cursor;

/// All routes of the administration.
pub type OrganizationApi = (
    admin_keys::AdminKeysApi,
    users::UsersApi,
    invites::InvitesApi,
    roles::RolesApi,
    settings::SettingsApi,
    usage::UsageApi,
    audit_logs::AuditLogsApi,
    usage_export::UsageExportApi,
    cache::CacheApi,
    projects::Api,
);

pub fn api() -> OrganizationApi {
    (
        admin_keys::AdminKeysApi,
        users::UsersApi,
        invites::InvitesApi,
        roles::RolesApi,
        settings::SettingsApi,
        usage::UsageApi,
        audit_logs::AuditLogsApi,
        usage_export::UsageExportApi,
        cache::CacheApi,
        projects::api(),
    )
}

/// Names on a list, of models for example.
const LONGEST_LIST: usize = 1000;
/// As at OpenAI: a year.
const LONGEST_LIFE: i64 = 365 * 24 * 60 * 60;
/// SQLite's integers have a sign.
const LARGEST_LIMIT: u64 = 1 << 53;

/// A page's query parameters, checked.
pub fn paging(
    after: Option<String>,
    limit: Option<i64>,
    order: Option<&str>,
) -> Result<Cursor, ApiError> {
    let limit = limit.unwrap_or(i64::from(DEFAULT_LIMIT));
    if !(1..=i64::from(MOST)).contains(&limit) {
        let message = format!("Invalid 'limit': expected 1 to {MOST}, but got {limit} instead.");
        return Err(ApiError::param("limit", Some("invalid_value"), message));
    }
    let descending = match order {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => {
            let message = "Invalid 'order': supported values are 'asc' and 'desc'.";
            return Err(ApiError::param("order", Some("invalid_value"), message));
        }
    };
    Ok(Cursor {
        after: after.map(|id| bounded(id, LONGEST_NAME)),
        descending,
        // One more tells whether there are more.
        limit: u32::try_from(limit).unwrap_or(MOST) + 1,
    })
}

fn bounded(text: String, most: usize) -> String {
    text.chars().take(most).collect()
}

/// The page of a list that is short enough to be read whole: what comes after the cursor, and, with
/// `before`, the last of what comes before that.
fn part<T>(
    mut all: Vec<T>,
    cursor: &Cursor,
    before: Option<&str>,
    id: impl Fn(&T) -> &str,
) -> Vec<T> {
    all.sort_by(|a, b| id(a).cmp(id(b)));
    if cursor.descending {
        all.reverse();
    }
    // By order, not by place: the entry itself may be gone by now.
    let is_after = |entry: &T, other: &str| match id(entry).cmp(other) {
        Ordering::Equal => false,
        order => order.is_lt() == cursor.descending,
    };
    if let Some(after) = &cursor.after {
        all.retain(|entry| is_after(entry, after));
    }
    let limit = usize::try_from(cursor.limit).unwrap_or(usize::MAX);
    if let Some(before) = before {
        all.retain(|entry| id(entry) != before && !is_after(entry, before));
        // One less than is read otherwise to see whether there is more: that would be on the far side.
        let surplus = all.len().saturating_sub(limit.saturating_sub(1));
        all.drain(..surplus);
    }
    all.truncate(limit);
    all
}

/// A name that people give to things.
fn name(param: &str, given: &str) -> Result<String, ApiError> {
    names::name(given).map_err(|why| misnamed(param, &why))
}

pub fn optional_name(param: &str, given: Option<&str>) -> Result<Option<String>, ApiError> {
    given.map(|given| name(param, given)).transpose()
}

pub fn email(param: &str, given: &str) -> Result<String, ApiError> {
    names::email(given).map_err(|why| misnamed(param, &why))
}

fn misnamed(param: &str, why: &str) -> ApiError {
    let message = format!("Invalid '{param}': {why}.");
    ApiError::param(param, Some("invalid_value"), message)
}

/// When something that is to live for so many seconds ends, in unix seconds.
fn expiry(seconds: Option<i64>, now: i64) -> Result<Option<i64>, ApiError> {
    match seconds {
        None => Ok(None),
        Some(seconds) if (1..=LONGEST_LIFE).contains(&seconds) => Ok(Some(now + seconds)),
        Some(seconds) => {
            let param = "expires_in_seconds";
            let message = format!(
                "Invalid '{param}': expected 1 to {LONGEST_LIFE}, but got {seconds} instead."
            );
            Err(ApiError::param(param, Some("invalid_value"), message))
        }
    }
}

/// Scopes of an admin key.
fn admin_scopes(given: Option<Vec<String>>) -> Result<Option<Vec<String>>, ApiError> {
    let known: Vec<_> = Permission::ALL.iter().map(|p| p.as_str()).collect();
    scopes(given, &known)
}

/// Scopes of a project's key. None: it is not confined.
fn key_scopes(given: Vec<String>) -> Result<Option<Vec<String>>, ApiError> {
    let known: Vec<_> = KeyScope::ALL.iter().map(|s| s.as_str()).collect();
    scopes(confined(given), &known)
}

/// Models of a project's key. None: it is not confined.
fn key_models(given: Vec<String>) -> Result<Option<Vec<String>>, ApiError> {
    confined(given)
        .map(|list| models("models", list))
        .transpose()
}

/// What a key is confined to: `["*"]` is everything, an empty list nothing at all.
fn confined(given: Vec<String>) -> Option<Vec<String>> {
    Some(given).filter(|given| given != &["*"])
}

fn scopes(given: Option<Vec<String>>, known: &[&str]) -> Result<Option<Vec<String>>, ApiError> {
    let Some(mut given) = given else {
        return Ok(None);
    };
    if given.iter().any(|scope| !known.contains(&scope.as_str())) {
        let message = format!("Invalid 'scopes': supported are {}.", known.join(", "));
        return Err(ApiError::param("scopes", Some("invalid_value"), message));
    }
    given.sort_unstable();
    given.dedup();
    Ok(Some(given))
}

/// Names of models; they need not be served at the moment.
fn models(param: &str, given: Vec<String>) -> Result<Vec<String>, ApiError> {
    if given.len() > LONGEST_LIST {
        let message = format!("Invalid '{param}': at most {LONGEST_LIST} entries.");
        return Err(ApiError::param(
            param,
            Some("array_above_max_length"),
            message,
        ));
    }
    given.iter().map(|model| name(param, model)).collect()
}

/// Limits whose numbers can be stored and counted with.
fn limits(given: LimitSet) -> Result<LimitSet, ApiError> {
    let all = [
        ("requests_per_minute", given.requests_per_minute),
        ("tokens_per_minute", given.tokens_per_minute),
        ("requests_per_day", given.requests_per_day),
        ("concurrent_requests", given.concurrent_requests),
        ("tokens_per_day", given.tokens_per_day),
        ("tokens_per_month", given.tokens_per_month),
        ("cents_per_day", given.cents_per_day),
        ("cents_per_month", given.cents_per_month),
    ];
    for (field, limit) in all {
        if limit.is_some_and(|limit| limit > LARGEST_LIMIT) {
            let param = format!("limits.{field}");
            let message = format!("Invalid '{param}': expected at most {LARGEST_LIMIT}.");
            return Err(ApiError::param(
                param,
                Some("integer_above_max_value"),
                message,
            ));
        }
    }
    Ok(given)
}

/// What a stored secret is shown as.
fn redacted(prefix: &str, last4: &str) -> String {
    format!("{prefix}…{last4}")
}
