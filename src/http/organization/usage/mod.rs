//! `/v1/organization/usage` and `/v1/organization/costs`
//!
//! - [`range`]: which buckets are asked for, and which of them are on this page

mod range;

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use self::range::{Asked, Range};
use crate::app::App;
use crate::auth::{Administrator, AuthError, Permission};
use crate::http::auth::Admin;
use crate::http::error::ApiError;
use crate::http::payload::Json;
use crate::http::query::List;
use crate::http::spec::Tag;
use crate::openai::admin::usage::{
    Amount, BucketWidth, CompletionsGroup, CompletionsUsage, CompletionsUsageObject, Costs,
    CostsGroup, CostsObject, CostsWidth, EmbeddingsGroup, EmbeddingsUsage, EmbeddingsUsageObject,
    ModerationsGroup, ModerationsUsage, ModerationsUsageObject, NoUsage, UsagePage, UsageResult,
};
use crate::pipeline::{CHAT, COMPLETIONS, EMBEDDINGS, MODERATION_MODEL};
use crate::records::MODERATIONS;
use crate::store::{Store, StoreError, UsageGroups, UsageQuestion, UsageSum, Width};

/// Results on a page: then it ends, so that no answer takes all of the memory.
const MOST_RESULTS: u32 = 10_000;

/// The database sums up so many buckets before it is known whether the page is full.
const BUCKETS_AT_ONCE: i64 = 360;

/// Billionths of a US dollar in one.
const NANO: f64 = 1e9;

pub struct UsageApi;

// A query has as many parameters as OpenAI gave it.
#[allow(clippy::too_many_arguments)]
#[OpenApi(prefix_path = "/v1/organization", tag = "Tag::Administration")]
impl UsageApi {
    /// Tell how many completions were asked for, and their tokens. Buckets are whole minutes,
    /// hours or days (UTC): the first one has `start_time` in it.
    #[oai(
        path = "/usage/completions",
        method = "get",
        operation_id = "usage-completions"
    )]
    async fn completions(
        &self,
        admin: Admin,
        app: Data<&App>,
        /// Unix seconds.
        start_time: Query<i64>,
        /// Unix seconds, exclusive; without it: now.
        end_time: Query<Option<i64>>,
        /// `1d` unless asked for. By the minute only the last 8 days are known.
        bucket_width: Query<Option<BucketWidth>>,
        /// Buckets on a page: of `1d` 1 to 31 (7 unless asked for), of `1h` 1 to 168 (24), of `1m`
        /// 1 to 1440 (60). With very many groups a page may have fewer.
        limit: Query<Option<i64>>,
        /// `next_page` of the page before.
        page: Query<Option<String>>,
        #[oai(name = "group_by[]")] group_by: List<CompletionsGroup>,
        #[oai(name = "project_ids[]")] project_ids: List<String>,
        #[oai(name = "user_ids[]")] user_ids: List<String>,
        #[oai(name = "api_key_ids[]")] api_key_ids: List<String>,
        #[oai(name = "models[]")] models: List<String>,
        /// There are no batches: `true` finds nothing.
        batch: Query<Option<bool>>,
    ) -> Result<Json<UsagePage<CompletionsUsage>>, ApiError> {
        let projects = visible(&admin.0, project_ids.given())?;
        let asked = Asked {
            start_time: start_time.0,
            end_time: end_time.0,
            limit: limit.0,
            page: page.0,
        };
        let range = asked.usage(width(bucket_width.0), app.clock.now_secs())?;
        if batch.0 == Some(true) {
            return Ok(Json(range.page(Vec::new(), completions)));
        }
        let by = |group| group_by.0.contains(&group);
        let question = UsageQuestion {
            groups: UsageGroups {
                project: by(CompletionsGroup::ProjectId),
                user: by(CompletionsGroup::UserId),
                key: by(CompletionsGroup::ApiKeyId),
                model: by(CompletionsGroup::Model),
            },
            projects,
            users: user_ids.given(),
            keys: api_key_ids.given(),
            models: models.given(),
            endpoints: Some(&[CHAT, COMPLETIONS]),
            ..range.question()
        };
        let page = answer(&app.store, range, question, |sum| CompletionsUsage {
            batch: by(CompletionsGroup::Batch).then_some(false),
            service_tier: by(CompletionsGroup::ServiceTier).then(|| "default".to_owned()),
            api_source: by(CompletionsGroup::ApiSource).then(|| "unlabeled".to_owned()),
            ..completions(sum)
        });
        Ok(Json(page.await?))
    }

    /// Tell how many requests for embeddings there were, and the tokens that were read.
    #[oai(
        path = "/usage/embeddings",
        method = "get",
        operation_id = "usage-embeddings"
    )]
    async fn embeddings(
        &self,
        admin: Admin,
        app: Data<&App>,
        /// Unix seconds.
        start_time: Query<i64>,
        /// Unix seconds, exclusive; without it: now.
        end_time: Query<Option<i64>>,
        /// As of completions.
        bucket_width: Query<Option<BucketWidth>>,
        /// Buckets on a page, as of completions.
        limit: Query<Option<i64>>,
        /// `next_page` of the page before.
        page: Query<Option<String>>,
        #[oai(name = "group_by[]")] group_by: List<EmbeddingsGroup>,
        #[oai(name = "project_ids[]")] project_ids: List<String>,
        #[oai(name = "user_ids[]")] user_ids: List<String>,
        #[oai(name = "api_key_ids[]")] api_key_ids: List<String>,
        #[oai(name = "models[]")] models: List<String>,
    ) -> Result<Json<UsagePage<EmbeddingsUsage>>, ApiError> {
        let projects = visible(&admin.0, project_ids.given())?;
        let asked = Asked {
            start_time: start_time.0,
            end_time: end_time.0,
            limit: limit.0,
            page: page.0,
        };
        let range = asked.usage(width(bucket_width.0), app.clock.now_secs())?;
        let by = |group| group_by.0.contains(&group);
        let question = UsageQuestion {
            groups: UsageGroups {
                project: by(EmbeddingsGroup::ProjectId),
                user: by(EmbeddingsGroup::UserId),
                key: by(EmbeddingsGroup::ApiKeyId),
                model: by(EmbeddingsGroup::Model),
            },
            projects,
            users: user_ids.given(),
            keys: api_key_ids.given(),
            models: models.given(),
            endpoints: Some(&[EMBEDDINGS]),
            ..range.question()
        };
        let page = answer(&app.store, range, question, |sum| EmbeddingsUsage {
            object: EmbeddingsUsageObject::It,
            input_tokens: sum.input_tokens,
            num_model_requests: sum.requests,
            project_id: sum.project_id,
            user_id: sum.user_id,
            api_key_id: sum.api_key_id,
            model: sum.model,
        });
        Ok(Json(page.await?))
    }

    /// Tell how many moderations were asked for.
    #[oai(
        path = "/usage/moderations",
        method = "get",
        operation_id = "usage-moderations"
    )]
    async fn moderations(
        &self,
        admin: Admin,
        app: Data<&App>,
        /// Unix seconds.
        start_time: Query<i64>,
        /// Unix seconds, exclusive; without it: now.
        end_time: Query<Option<i64>>,
        /// As of completions.
        bucket_width: Query<Option<BucketWidth>>,
        /// Buckets on a page, as of completions.
        limit: Query<Option<i64>>,
        /// `next_page` of the page before.
        page: Query<Option<String>>,
        #[oai(name = "group_by[]")] group_by: List<ModerationsGroup>,
        #[oai(name = "project_ids[]")] project_ids: List<String>,
        #[oai(name = "user_ids[]")] user_ids: List<String>,
        #[oai(name = "api_key_ids[]")] api_key_ids: List<String>,
    ) -> Result<Json<UsagePage<ModerationsUsage>>, ApiError> {
        let projects = visible(&admin.0, project_ids.given())?;
        let asked = Asked {
            start_time: start_time.0,
            end_time: end_time.0,
            limit: limit.0,
            page: page.0,
        };
        let range = asked.usage(width(bucket_width.0), app.clock.now_secs())?;
        let by = |group| group_by.0.contains(&group);
        let question = UsageQuestion {
            groups: UsageGroups {
                project: by(ModerationsGroup::ProjectId),
                user: by(ModerationsGroup::UserId),
                key: by(ModerationsGroup::ApiKeyId),
                model: false,
            },
            projects,
            users: user_ids.given(),
            keys: api_key_ids.given(),
            endpoints: Some(&[MODERATIONS]),
            ..range.question()
        };
        let page = answer(&app.store, range, question, |sum| ModerationsUsage {
            object: ModerationsUsageObject::It,
            input_tokens: sum.input_tokens,
            num_model_requests: sum.requests,
            project_id: sum.project_id,
            user_id: sum.user_id,
            api_key_id: sum.api_key_id,
            model: by(ModerationsGroup::Model).then(|| MODERATION_MODEL.to_owned()),
        });
        Ok(Json(page.await?))
    }

    /// Tell what was used of a kind that this server does not do yet, which is nothing:
    /// `images`, `audio_speeches`, `audio_transcriptions`, `vector_stores`,
    /// `code_interpreter_sessions`, `file_search_calls`, `web_search_calls`, `decisions`. Filters are accepted and make no difference.
    #[oai(
        path = "/usage/:kind",
        method = "get",
        operation_id = "usage-of-a-kind"
    )]
    async fn nothing(
        &self,
        admin: Admin,
        app: Data<&App>,
        kind: Path<String>,
        /// Unix seconds.
        start_time: Query<i64>,
        /// Unix seconds, exclusive; without it: now.
        end_time: Query<Option<i64>>,
        /// `1d` unless asked for.
        bucket_width: Query<Option<BucketWidth>>,
        /// Buckets on a page, as of completions.
        limit: Query<Option<i64>>,
        /// `next_page` of the page before.
        page: Query<Option<String>>,
        #[oai(name = "group_by[]")] group_by: List<String>,
    ) -> Result<Json<UsagePage<NoUsage>>, ApiError> {
        visible(&admin.0, None)?;
        let known = groups(&kind).ok_or_else(|| ApiError::missing("kind of usage"))?;
        if group_by
            .0
            .iter()
            .any(|group| !known.contains(&group.as_str()))
        {
            let message = format!("Invalid 'group_by': supported are {}.", known.join(", "));
            return Err(ApiError::param("group_by", Some("invalid_value"), message));
        }
        let asked = Asked {
            start_time: start_time.0,
            end_time: end_time.0,
            limit: limit.0,
            page: page.0,
        };
        let range = asked.usage(width(bucket_width.0), app.clock.now_secs())?;
        Ok(Json(range.page(Vec::new(), |_| NoUsage {})))
    }

    /// Tell what was spent, by the prices of the time.
    #[oai(path = "/costs", method = "get", operation_id = "usage-costs")]
    async fn costs(
        &self,
        admin: Admin,
        app: Data<&App>,
        /// Unix seconds.
        start_time: Query<i64>,
        /// Unix seconds, exclusive; without it: now.
        end_time: Query<Option<i64>>,
        #[oai(name = "bucket_width")] _bucket_width: Query<Option<CostsWidth>>,
        /// Buckets on a page: 1 to 180, 7 unless asked for. With very many groups a page may have
        /// fewer.
        limit: Query<Option<i64>>,
        /// `next_page` of the page before.
        page: Query<Option<String>>,
        #[oai(name = "group_by[]")] group_by: List<CostsGroup>,
        #[oai(name = "project_ids[]")] project_ids: List<String>,
        #[oai(name = "api_key_ids[]")] api_key_ids: List<String>,
        /// Models.
        #[oai(name = "line_items[]")]
        line_items: List<String>,
    ) -> Result<Json<UsagePage<Costs>>, ApiError> {
        let projects = visible(&admin.0, project_ids.given())?;
        let asked = Asked {
            start_time: start_time.0,
            end_time: end_time.0,
            limit: limit.0,
            page: page.0,
        };
        let range = asked.costs(app.clock.now_secs())?;
        let by = |group| group_by.0.contains(&group);
        let question = UsageQuestion {
            groups: UsageGroups {
                project: by(CostsGroup::ProjectId),
                user: by(CostsGroup::UserId),
                key: by(CostsGroup::ApiKeyId),
                model: by(CostsGroup::LineItem),
            },
            projects,
            keys: api_key_ids.given(),
            models: line_items.given(),
            ..range.question()
        };
        let page = answer(&app.store, range, question, |sum| Costs {
            api_source: by(CostsGroup::ApiSource).then(|| "unlabeled".to_owned()),
            ..costs(sum)
        });
        Ok(Json(page.await?))
    }
}

/// What the kinds that this server does not do can be grouped by.
fn groups(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "audio_speeches" | "audio_transcriptions" => {
            &["project_id", "user_id", "api_key_id", "model"]
        }
        "images" => &[
            "project_id",
            "user_id",
            "api_key_id",
            "model",
            "size",
            "source",
        ],
        "vector_stores" | "code_interpreter_sessions" => &["project_id"],
        "file_search_calls" => &["project_id", "user_id", "api_key_id", "vector_store_id"],
        "web_search_calls" => &[
            "project_id",
            "user_id",
            "api_key_id",
            "model",
            "context_level",
            "api_source",
        ],
        "decisions" => &[
            "project_id",
            "user_id",
            "api_key_id",
            "model",
            "batch",
            "service_tier",
            "api_source",
        ],
        _ => return None,
    })
}

fn width(asked: Option<BucketWidth>) -> Width {
    match asked {
        Some(BucketWidth::Minute) => Width::Minute,
        Some(BucketWidth::Hour) => Width::Hour,
        None | Some(BucketWidth::Day) => Width::Day,
    }
}

/// The projects to tell about: of those asked for, the ones whose usage this caller may read.
/// None: all of them.
fn visible(
    admin: &Administrator,
    asked: Option<Vec<String>>,
) -> Result<Option<Vec<String>>, AuthError> {
    let Some(mut visible) = admin.visible_projects() else {
        admin.may(Permission::UsageRead)?;
        return Ok(asked);
    };
    visible.retain(|project| admin.may_in(project, Permission::UsageRead).is_ok());
    if visible.is_empty() {
        admin.may(Permission::UsageRead)?;
    }
    if let Some(asked) = asked {
        visible.retain(|project| asked.contains(project));
    }
    Ok(Some(visible))
}

/// A page that ends early rather than have too many results.
async fn answer<T: UsageResult>(
    store: &Store,
    mut range: Range,
    mut question: UsageQuestion,
    result: impl Fn(UsageSum) -> T,
) -> Result<UsagePage<T>, StoreError> {
    let most = question.most;
    let mut sums = Vec::new();
    while question.from < range.to && question.most > 0 {
        question.to = (question.from + BUCKETS_AT_ONCE * range.width.seconds()).min(range.to);
        sums.extend(store.usage_sums(&question).await?);
        question.from = question.to;
        question.most = most.saturating_sub(u32::try_from(sums.len()).unwrap_or(u32::MAX));
    }
    if question.most == 0 {
        // The last bucket may not be whole.
        let last = sums.last().map_or(range.from, |sum| sum.start);
        range.shorten(last);
        if last > range.from {
            sums.retain(|sum| sum.start < last);
        } else {
            question.from = range.from;
            question.to = range.to;
            question.most = u32::MAX;
            sums = store.usage_sums(&question).await?;
        }
    }
    Ok(range.page(sums, result))
}

impl Range {
    /// For everything on this page.
    fn question(&self) -> UsageQuestion {
        UsageQuestion {
            width: self.width,
            from: self.from,
            to: self.to,
            groups: UsageGroups::default(),
            projects: None,
            users: None,
            keys: None,
            models: None,
            endpoints: None,
            most: MOST_RESULTS,
        }
    }
}

fn completions(sum: UsageSum) -> CompletionsUsage {
    let uncached = sum.input_tokens - sum.cached_tokens;
    CompletionsUsage {
        object: CompletionsUsageObject::It,
        input_tokens: sum.input_tokens,
        output_tokens: sum.output_tokens,
        input_cached_tokens: sum.cached_tokens,
        input_uncached_tokens: uncached,
        input_text_tokens: uncached,
        input_cached_text_tokens: sum.cached_tokens,
        output_text_tokens: sum.output_tokens,
        input_audio_tokens: 0,
        output_audio_tokens: 0,
        num_model_requests: sum.requests,
        project_id: sum.project_id,
        user_id: sum.user_id,
        api_key_id: sum.api_key_id,
        model: sum.model,
        batch: None,
        service_tier: None,
        api_source: None,
    }
}

#[allow(clippy::cast_precision_loss)] // Above nine million dollars, of a billionth.
fn costs(sum: UsageSum) -> Costs {
    let tokens = sum.input_tokens + sum.output_tokens;
    let quantity = sum.model.as_ref().map(|_| tokens as f64);
    Costs {
        object: CostsObject::It,
        amount: Amount {
            value: sum.cost_nanousd as f64 / NANO,
            currency: "usd".to_owned(),
        },
        quantity_unit: quantity.map(|_| "tokens".to_owned()),
        quantity,
        line_item: sum.model,
        project_id: sum.project_id,
        user_id: sum.user_id,
        api_key_id: sum.api_key_id,
        api_source: None,
    }
}

#[cfg(test)]
mod tests;
