//! What the audit is made of. Rows are appended by `store::Change::commit`, in the transaction of
//! the change that they tell about: what cannot be audited does not happen.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::clock::Clock;

/// Who makes a change, from where, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub kind: ActorKind,
    /// `sess_…` or `key_…`.
    pub id: Option<String>,
    /// Who that is; for somebody who is not signed in, who they say to be.
    pub user_id: Option<String>,
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
    /// Unix milliseconds.
    pub at_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
pub enum ActorKind {
    Session,
    ApiKey,
    /// Whoever may run `microllm` on the server's data.
    CommandLine,
    /// The server by itself.
    Server,
    /// Not, or not yet, signed in.
    Anonymous,
}

impl ActorKind {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::ApiKey => "api_key",
            Self::CommandLine => "command_line",
            Self::Server => "server",
            Self::Anonymous => "anonymous",
        }
    }
}

impl Actor {
    /// The server itself, now.
    pub fn server(clock: &Clock) -> Self {
        Self::local(ActorKind::Server, clock)
    }

    /// Somebody at the server's command line, now.
    pub fn command_line(clock: &Clock) -> Self {
        Self::local(ActorKind::CommandLine, clock)
    }

    fn local(kind: ActorKind, clock: &Clock) -> Self {
        Self {
            kind,
            id: None,
            user_id: None,
            ip: None,
            user_agent: None,
            at_ms: clock.now_ms(),
        }
    }

    /// When, in unix seconds.
    pub fn at(&self) -> i64 {
        self.at_ms / 1000
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// OpenAI's name of the event where it has one, such as `api_key.created`.
    pub kind: &'static str,
    pub project_id: Option<String>,
    /// What OpenAI has under the event's name: the subject's `id`, and `data`, or
    /// `changes_requested` beside our `before`. Never a secret, a prompt, or a person's data.
    pub details: Value,
}

impl AuditEvent {
    /// An event about what has this id.
    pub fn about(kind: &'static str, id: &str) -> Self {
        Self {
            kind,
            project_id: None,
            details: json!({ "id": id }),
        }
    }

    /// In this project.
    #[must_use]
    pub fn in_project(mut self, id: &str) -> Self {
        self.project_id = Some(id.to_owned());
        self
    }

    /// With more details, under `name`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Some(details) = self.details.as_object_mut() {
            details.insert(name.to_owned(), value.into());
        }
        self
    }
}
