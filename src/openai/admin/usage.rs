use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use poem_openapi::{Enum, Object};
use serde::Serialize;

use super::object;

object! {
    /// What usage is answered with.
    UsagePageObject = "page"
}
object! {
    /// A part of the time that was asked for.
    BucketObject = "bucket"
}
object! {
    /// The usage of completions.
    CompletionsUsageObject = "organization.usage.completions.result"
}
object! {
    /// The usage of embeddings.
    EmbeddingsUsageObject = "organization.usage.embeddings.result"
}
object! {
    /// The usage of moderations.
    ModerationsUsageObject = "organization.usage.moderations.result"
}
object! {
    /// What it cost.
    CostsObject = "organization.costs.result"
}

/// The width of a bucket: a minute, an hour, or a day from midnight to midnight (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum BucketWidth {
    #[oai(rename = "1m")]
    Minute,
    #[oai(rename = "1h")]
    Hour,
    #[oai(rename = "1d")]
    Day,
}

/// Costs are told by the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum CostsWidth {
    #[oai(rename = "1d")]
    Day,
}

/// What completions are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum CompletionsGroup {
    ProjectId,
    UserId,
    ApiKeyId,
    Model,
    Batch,
    ServiceTier,
    ApiSource,
}

/// What costs are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum CostsGroup {
    ProjectId,
    UserId,
    ApiKeyId,
    /// The model.
    LineItem,
    ApiSource,
}

/// What a bucket can have as a result.
pub trait UsageResult: Type + ParseFromJSON + ToJSON + Send + Sync {}
impl<T: Type + ParseFromJSON + ToJSON + Send + Sync> UsageResult for T {}

/// A page of buckets. The next one is asked for with `page` = `next_page`.
#[derive(Debug, Clone, Serialize, Object)]
pub struct UsagePage<T: UsageResult> {
    pub object: UsagePageObject,
    pub data: Vec<Bucket<T>>,
    pub has_more: bool,
    /// Null on the last page.
    pub next_page: Option<String>,
}

/// What happened in one part of the time.
#[derive(Debug, Clone, Serialize, Object)]
pub struct Bucket<T: UsageResult> {
    pub object: BucketObject,
    /// Unix seconds.
    pub start_time: i64,
    /// Unix seconds, exclusive.
    pub end_time: i64,
    /// One for each group; none when nothing was used.
    pub results: Vec<T>,
}

/// The completions of a bucket, or of one group in it. What was not grouped by is null.
#[derive(Debug, Clone, Serialize, Object)]
pub struct CompletionsUsage {
    pub object: CompletionsUsageObject,
    /// Cached ones included.
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub input_cached_tokens: i64,
    pub input_uncached_tokens: i64,
    pub input_text_tokens: i64,
    pub input_cached_text_tokens: i64,
    pub output_text_tokens: i64,
    pub input_audio_tokens: i64,
    pub output_audio_tokens: i64,
    /// Requests that reached a model, whatever became of them.
    pub num_model_requests: i64,
    pub project_id: Option<String>,
    /// Null also for what no person used.
    pub user_id: Option<String>,
    pub api_key_id: Option<String>,
    pub model: Option<String>,
    /// False: this server has no batches.
    pub batch: Option<bool>,
    /// `default`: this server has no other.
    pub service_tier: Option<String>,
    /// `unlabeled`: this server knows no other.
    pub api_source: Option<String>,
}

/// What embeddings are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum EmbeddingsGroup {
    ProjectId,
    UserId,
    ApiKeyId,
    Model,
}

/// The embeddings of a bucket, or of one group in it. What was not grouped by is null.
#[derive(Debug, Clone, Serialize, Object)]
pub struct EmbeddingsUsage {
    pub object: EmbeddingsUsageObject,
    pub input_tokens: i64,
    /// Requests that reached a model, whatever became of them.
    pub num_model_requests: i64,
    pub project_id: Option<String>,
    /// Null also for what no person used.
    pub user_id: Option<String>,
    pub api_key_id: Option<String>,
    pub model: Option<String>,
}

/// What moderations are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ModerationsGroup {
    ProjectId,
    UserId,
    ApiKeyId,
    /// There is one.
    Model,
}

/// The moderations of a bucket, or of one group in it. What was not grouped by is null.
#[derive(Debug, Clone, Serialize, Object)]
pub struct ModerationsUsage {
    pub object: ModerationsUsageObject,
    /// 0: texts are judged by characters and words, not by tokens.
    pub input_tokens: i64,
    pub num_model_requests: i64,
    pub project_id: Option<String>,
    /// Null also for what no person used.
    pub user_id: Option<String>,
    pub api_key_id: Option<String>,
    pub model: Option<String>,
}

/// Of a kind that this server does not do, so that there never is one.
#[derive(Debug, Clone, Serialize, Object)]
pub struct NoUsage {}

/// What a bucket, or one group in it, cost. What was not grouped by is null.
#[derive(Debug, Clone, Serialize, Object)]
pub struct Costs {
    pub object: CostsObject,
    pub amount: Amount,
    /// The model.
    pub line_item: Option<String>,
    /// Tokens, in and out, when grouped by `line_item`.
    pub quantity: Option<f64>,
    /// `tokens`, when grouped by `line_item`.
    pub quantity_unit: Option<String>,
    pub project_id: Option<String>,
    /// Null also for what no person used.
    pub user_id: Option<String>,
    pub api_key_id: Option<String>,
    /// `unlabeled`: this server knows no other.
    pub api_source: Option<String>,
}

/// Money.
#[derive(Debug, Clone, Serialize, Object)]
pub struct Amount {
    pub value: f64,
    /// `usd`
    pub currency: String,
}
