//! Records that lose nothing: an answer is acknowledged only after its usage row is durable, a
//! change happens only together with its audit row.

mod alerts;
mod audit;
mod audit_chain;
mod audit_export;
mod export;
mod housekeeping;
mod retention;
mod syslog;
mod usage;

pub use audit::{Actor, ActorKind, AuditEvent};
pub use audit_chain::{ChainError, Head, verify_audit};
pub use audit_export::{AuditFormat, export_audit};
pub use export::{ExportError, ExportFormat, export_usage, write_export};
pub use housekeeping::Housekeeping;
pub use usage::UsageRecorder;

use serde::Serialize;

/// What [`UsageRow::endpoint`] calls a moderation.
pub const MODERATIONS: &str = "moderations";

/// What one answered request cost, whoever asked and however it ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UsageRow {
    /// The `x-request-id` that the answer carried.
    pub request_id: String,
    /// When the request arrived, in unix milliseconds.
    pub created_at_ms: i64,
    pub api_key_id: String,
    pub project_id: String,
    /// Whose key or session it was; none for a service account's.
    pub user_id: Option<String>,
    pub model: String,
    /// `chat.completions`, `completions`, `moderations` or `guardrails.check`.
    pub endpoint: String,
    pub stream: bool,
    /// HTTP status; 499 for a client that left.
    pub status: u16,
    pub outcome: Outcome,
    /// OpenAI's `finish_reason` of the first choice.
    pub finish_reason: Option<String>,
    /// OpenAI's error `code` or `type`.
    pub error: Option<String>,
    pub input_tokens: u32,
    pub output_tokens: u32,
    pub cached_tokens: u32,
    /// Waiting for a place at the model.
    pub queue_ms: u32,
    /// From arrival to the first text; none when there was no text.
    pub first_token_ms: Option<u32>,
    /// From arrival to this record.
    pub duration_ms: u32,
    /// Billionths of a US dollar, by the prices of the time.
    pub cost_nanousd: i64,
    /// The guardrails' verdict; none when they were not asked.
    pub guardrails: Option<String>,
    /// What the cache did; none when it was not asked.
    pub cache: Option<String>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum Outcome {
    Completed,
    Failed,
    /// The client left before the end.
    Cancelled,
}

/// The row could not be made durable; the answer must not be acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the usage record could not be stored: {0}")]
pub struct RecordError(pub String);
