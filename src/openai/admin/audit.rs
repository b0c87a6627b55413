//! Entries of the audit log, as far as OpenAI has words for them.

use std::collections::BTreeMap;

use poem_openapi::types::Any;
use poem_openapi::{Enum, Object};
use serde::Serialize;
use serde_json::Value;

use crate::records::ActorKind;
use crate::store::AuditEntry;

/// OpenAI's names of events that happen here. They are stored under these names.
const SAME: [&str; 24] = [
    "api_key.created",
    "api_key.deleted",
    "api_key.updated",
    "invite.accepted",
    "invite.deleted",
    "invite.sent",
    "login.failed",
    "login.succeeded",
    "logout.failed",
    "logout.succeeded",
    "organization.updated",
    "project.archived",
    "project.created",
    "project.updated",
    "rate_limit.deleted",
    "rate_limit.updated",
    "role.assignment.created",
    "role.assignment.deleted",
    "service_account.created",
    "service_account.deleted",
    "service_account.updated",
    "user.added",
    "user.deleted",
    "user.updated",
];

/// Events that OpenAI has under one name, ours first.
const RENAMED: [(&str, &str); 3] = [
    ("spend_alert.created", "tenant.billing.alerts.updated"),
    ("spend_alert.deleted", "tenant.billing.alerts.updated"),
    ("spend_alert.updated", "tenant.billing.alerts.updated"),
];

/// Stored names of the events that OpenAI has a name for.
pub fn known_events() -> impl Iterator<Item = &'static str> {
    let renamed = RENAMED.iter().map(|(ours, _)| *ours);
    SAME.into_iter().chain(renamed)
}

/// OpenAI's name of a stored event, if it has one.
pub fn openai_name(stored: &str) -> Option<&'static str> {
    let same = SAME.into_iter().find(|name| *name == stored);
    let renamed = || RENAMED.iter().find(|(ours, _)| *ours == stored);
    same.or_else(|| renamed().map(|(_, theirs)| *theirs))
}

/// Something that happened. Beside these fields there is one of the event's name with what OpenAI
/// tells about such an event.
#[derive(Debug, Clone, Serialize, Object)]
pub struct AuditLog {
    pub id: String,
    /// OpenAI's name of the event; with `include_all` this server's, which OpenAI may not know.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: String,
    /// Unix seconds.
    pub effective_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<AuditProject>,
    pub actor: AuditActor,
    /// All that is recorded about the event, with `include_all`. Ours.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "any")]
    pub details: Option<Any<Value>>,
    /// By the event's name.
    #[serde(flatten)]
    #[oai(flatten)]
    pub payload: BTreeMap<String, AuditPayload>,
}

fn any<S: serde::Serializer>(value: &Option<Any<Value>>, to: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(|value| &value.0).serialize(to)
}

/// Where it happened.
#[derive(Debug, Clone, Serialize, Object)]
pub struct AuditProject {
    pub id: String,
    pub name: Option<String>,
}

/// Who did it.
#[derive(Debug, Clone, Serialize, Object)]
pub struct AuditActor {
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: AuditActorKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<AuditSession>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<AuditApiKey>,
    /// Of what OpenAI has no word for, and calls a session of nobody here. Ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<AuditOrigin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum AuditActorKind {
    Session,
    ApiKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum AuditOrigin {
    /// Whoever may run `microllm` on the server's data.
    CommandLine,
    /// The server by itself.
    Server,
    /// Not, or not yet, signed in.
    Anonymous,
}

#[derive(Debug, Clone, Serialize, Object)]
pub struct AuditSession {
    pub user: Option<AuditUser>,
    pub ip_address: Option<String>,
    /// Ours.
    pub user_agent: Option<String>,
}

#[derive(Debug, Clone, Serialize, Object)]
pub struct AuditUser {
    pub id: String,
    /// Null for somebody who was erased.
    pub email: Option<String>,
}

#[derive(Debug, Clone, Serialize, Object)]
pub struct AuditApiKey {
    pub id: Option<String>,
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: AuditKeyOwner,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<AuditUser>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<AuditServiceAccount>,
    /// Ours.
    pub ip_address: Option<String>,
    /// Ours.
    pub user_agent: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum AuditKeyOwner {
    User,
    ServiceAccount,
}

#[derive(Debug, Clone, Serialize, Object)]
pub struct AuditServiceAccount {
    pub id: String,
}

/// What OpenAI tells about an event; each has some of these.
#[derive(Debug, Clone, Default, Serialize, Object)]
pub struct AuditPayload {
    /// Of what it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<AuditData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes_requested: Option<AuditChanges>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Who got a role, or lost it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Object)]
pub struct AuditData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Object)]
pub struct AuditChanges {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests_per_1_day: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests_per_1_minute: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens_per_1_minute: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

impl AuditLog {
    /// With `all`, under this server's own names and with all that is recorded.
    pub fn of(entry: AuditEntry, all: bool) -> Self {
        let details: Value = serde_json::from_str(&entry.details).unwrap_or_default();
        let kind = match openai_name(&entry.kind) {
            Some(name) if !all => name.to_owned(),
            _ => entry.kind.clone(),
        };
        let payload = AuditPayload::of(&entry, &details);
        Self {
            payload: BTreeMap::from([(kind.clone(), payload)]),
            kind,
            effective_at: entry.at_ms.div_euclid(1000),
            details: all.then_some(Any(details)),
            project: entry.project_id.clone().map(|id| AuditProject {
                id,
                name: entry.project_name.clone(),
            }),
            id: entry.id.clone(),
            actor: AuditActor::of(entry),
        }
    }
}

impl AuditActor {
    fn of(entry: AuditEntry) -> Self {
        let user = entry.user_id.map(|id| AuditUser {
            id,
            email: entry.user_email,
        });
        let (ip_address, user_agent) = (entry.ip, entry.user_agent);
        let origin = match entry.actor_kind {
            ActorKind::ApiKey => {
                let service_account = entry
                    .service_account_id
                    .map(|id| AuditServiceAccount { id });
                let kind = match service_account {
                    Some(_) => AuditKeyOwner::ServiceAccount,
                    None => AuditKeyOwner::User,
                };
                return Self {
                    kind: AuditActorKind::ApiKey,
                    session: None,
                    api_key: Some(AuditApiKey {
                        id: entry.actor_id,
                        kind,
                        user,
                        service_account,
                        ip_address,
                        user_agent,
                    }),
                    origin: None,
                };
            }
            ActorKind::Session => None,
            ActorKind::CommandLine => Some(AuditOrigin::CommandLine),
            ActorKind::Server => Some(AuditOrigin::Server),
            ActorKind::Anonymous => Some(AuditOrigin::Anonymous),
        };
        Self {
            kind: AuditActorKind::Session,
            session: Some(AuditSession {
                // Who somebody says to be is not who did it.
                user: user.filter(|_| origin.is_none()),
                ip_address,
                user_agent,
            }),
            api_key: None,
            origin,
        }
    }
}

impl AuditPayload {
    /// What OpenAI's model of the event has, no more.
    fn of(entry: &AuditEntry, details: &Value) -> Self {
        let id = text(details, "/id");
        let data = |data| Self {
            id: id.clone(),
            data: Some(data),
            ..Self::default()
        };
        let changed = |changes| Self {
            id: id.clone(),
            changes_requested: Some(changes),
            ..Self::default()
        };
        match entry.kind.as_str() {
            "api_key.created" => data(AuditData {
                scopes: texts(details, "/data/scopes"),
                ..AuditData::default()
            }),
            "api_key.updated" => changed(AuditChanges {
                scopes: texts(details, "/changes_requested/scopes"),
                expires_in_seconds: number(details, "/changes_requested/expires_at")
                    .map(|at| at - entry.at_ms.div_euclid(1000)),
                ..AuditChanges::default()
            }),
            "invite.sent" => data(AuditData {
                email: entry.invited_email.clone(),
                role: text(details, "/data/role"),
                ..AuditData::default()
            }),
            "project.created" => data(AuditData {
                name: text(details, "/data/name"),
                title: text(details, "/data/title"),
                ..AuditData::default()
            }),
            "project.updated" => changed(AuditChanges {
                title: text(details, "/changes_requested/name"),
                ..AuditChanges::default()
            }),
            "rate_limit.updated" => changed(AuditChanges {
                max_requests_per_1_minute: number(
                    details,
                    "/changes_requested/requests_per_minute",
                ),
                max_tokens_per_1_minute: number(details, "/changes_requested/tokens_per_minute"),
                max_requests_per_1_day: number(details, "/changes_requested/requests_per_day"),
                ..AuditChanges::default()
            }),
            "service_account.created" | "user.added" => data(AuditData {
                role: text(details, "/data/role"),
                ..AuditData::default()
            }),
            "service_account.updated" | "user.updated" => changed(AuditChanges {
                role: text(details, "/changes_requested/role"),
                ..AuditChanges::default()
            }),
            "organization.updated" => changed(AuditChanges::default()),
            "role.assignment.created" | "role.assignment.deleted" => Self {
                principal_id: id.clone(),
                principal_type: Some("user".to_owned()),
                resource_id: entry.project_id.clone(),
                resource_type: Some("project".to_owned()),
                id,
                ..Self::default()
            },
            "login.failed" | "logout.failed" => Self {
                error_code: text(details, "/error_code"),
                error_message: text(details, "/error_message"),
                ..Self::default()
            },
            "login.succeeded" | "logout.succeeded" => Self::default(),
            _ => Self {
                id,
                ..Self::default()
            },
        }
    }
}

fn text(details: &Value, at: &str) -> Option<String> {
    Some(details.pointer(at)?.as_str()?.to_owned())
}

fn number(details: &Value, at: &str) -> Option<i64> {
    details.pointer(at)?.as_i64()
}

fn texts(details: &Value, at: &str) -> Option<Vec<String>> {
    let all = details.pointer(at)?.as_array()?.iter();
    all.map(|text| Some(text.as_str()?.to_owned())).collect()
}
