use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

/// US dollars are all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
pub enum Currency {
    #[serde(rename = "USD")]
    #[oai(rename = "USD")]
    Usd,
}

/// Calendar months (UTC) are all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
pub enum Interval {
    #[serde(rename = "month")]
    #[oai(rename = "month")]
    Month,
}

/// What a month may cost.
#[derive(Debug, Clone, Serialize, Object)]
pub struct SpendLimit {
    /// `organization.spend_limit` or `project.spend_limit`.
    pub object: String,
    pub currency: Currency,
    pub interval: Interval,
    /// US cents.
    pub threshold_amount: u64,
    pub enforcement: Enforcement,
}

impl SpendLimit {
    /// Of `organization` or `project`.
    pub fn of(whose: &str, cents: u64) -> Self {
        Self {
            object: format!("{whose}.spend_limit"),
            currency: Currency::Usd,
            interval: Interval::Month,
            threshold_amount: cents,
            enforcement: Enforcement {
                status: EnforcementStatus::Enforcing,
            },
        }
    }
}

#[derive(Debug, Clone, Serialize, Object)]
pub struct Enforcement {
    pub status: EnforcementStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum EnforcementStatus {
    Enforcing,
}

/// What a month is to cost at most.
#[derive(Debug, Clone, Deserialize, Object)]
pub struct UpdateSpendLimit {
    pub currency: Currency,
    pub interval: Interval,
    /// US cents.
    pub threshold_amount: u64,
}

/// Somebody wants to know when a month has cost this much.
#[derive(Debug, Clone, Serialize, Object)]
pub struct SpendAlert {
    /// `organization.spend_alert` or `project.spend_alert`.
    pub object: String,
    pub id: String,
    pub currency: Currency,
    pub interval: Interval,
    /// US cents.
    pub threshold_amount: i64,
    pub notification_channel: NotificationChannel,
}

/// Whom it concerns. Kept as given; this server sends no mail.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct NotificationChannel {
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: ChannelKind,
    pub recipients: Vec<String>,
    pub subject_prefix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum ChannelKind {
    Email,
}

/// A spend alert to be made, or what one is to become.
#[derive(Debug, Clone, Deserialize, Object)]
pub struct PutSpendAlert {
    pub currency: Currency,
    pub interval: Interval,
    /// US cents.
    pub threshold_amount: i64,
    pub notification_channel: NotificationChannel,
}

/// What is kept, and for how long.
#[derive(Debug, Clone, Serialize, Object)]
pub struct DataRetention {
    /// `organization.data_retention` or `project.data_retention`.
    pub object: String,
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: RetentionKind,
    /// Days that usage records are kept; null: for ever. Of the organization only. Ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_days: Option<i64>,
    /// Days that stored completions are kept; null: until they are deleted. Of the organization
    /// only. Ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_days: Option<i64>,
}

/// OpenAI's kinds of retention. Whatever has `zero_data_retention` in it keeps no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum RetentionKind {
    /// Of a project: what holds for everybody.
    OrganizationDefault,
    /// Of a project.
    None,
    ZeroDataRetention,
    ModifiedAbuseMonitoring,
    EnhancedZeroDataRetention,
    EnhancedModifiedAbuseMonitoring,
}

/// What is to be kept, and for how long.
#[derive(Debug, Clone, Deserialize, Object)]
pub struct UpdateDataRetention {
    pub retention_type: RetentionKind,
    /// Days that usage records are kept, to the hour; 0: for ever. Of the organization only. Ours.
    pub usage_days: Option<i64>,
    /// Days that stored completions are kept, to the hour; 0: until they are deleted. Of the
    /// organization only. Ours.
    pub stored_days: Option<i64>,
}
