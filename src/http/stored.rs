//! `/v1/chat/completions`: those that were stored. They are their project's: another's do not
//! exist.

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use super::auth::ApiKey;
use super::error::ApiError;
use super::organization::paging;
use super::payload::Json;
use super::query::Pairs;
use super::spec::Tag;
use crate::app::App;
use crate::auth::KeyScope;
use crate::openai::admin::Deleted;
use crate::openai::completion::ChatCompletion;
use crate::openai::page::Page;
use crate::openai::stored::{StoreMessage, UpdateStoredCompletion};
use crate::pipeline::{Failure, MOST_METADATA, checked_metadata};
use crate::store::StoredFilter;

pub struct StoredApi;

#[OpenApi(prefix_path = "/v1/chat/completions", tag = "Tag::Chat")]
impl StoredApi {
    /// List the completions that were stored, in the order of creation.
    #[allow(clippy::too_many_arguments)]
    #[oai(path = "/", method = "get", operation_id = "listChatCompletions")]
    async fn list(
        &self,
        key: ApiKey,
        app: Data<&App>,
        /// The last completion of the page before.
        after: Query<Option<String>>,
        /// 1 to 100.
        limit: Query<Option<i64>>,
        /// `asc` or `desc`.
        order: Query<Option<String>>,
        /// Only what this model said.
        model: Query<Option<String>>,
        /// Only completions with these pairs: `metadata[key]=value`.
        metadata: Pairs,
    ) -> Result<Json<Page<ChatCompletion>>, ApiError> {
        key.0.may(KeyScope::StoredRead)?;
        let cursor = paging(after.0, limit.0, order.0.as_deref())?;
        if metadata.0.len() > MOST_METADATA {
            let message = format!("Invalid 'metadata': at most {MOST_METADATA} pairs.");
            let code = Some("object_above_max_properties");
            return Err(ApiError::param("metadata", code, message));
        }
        let mut model = model.0;
        if let Some(model) = &mut model {
            app.resolve(&key.0, model);
        }
        let filter = StoredFilter {
            model,
            metadata: metadata.0,
        };
        let project = &key.0.project_id;
        let found = app.store.stored_completions(project, &filter, &cursor);
        Ok(Json(Page::of(found.await?, cursor.limit - 1, |one| {
            &one.id
        })))
    }

    /// Tell a stored completion again.
    #[oai(
        path = "/:completion_id",
        method = "get",
        operation_id = "getChatCompletion"
    )]
    async fn retrieve(
        &self,
        key: ApiKey,
        app: Data<&App>,
        completion_id: Path<String>,
    ) -> Result<Json<ChatCompletion>, ApiError> {
        key.0.may(KeyScope::StoredRead)?;
        let found = app
            .store
            .stored_completion(&key.0.project_id, &completion_id);
        found.await?.map(Json).ok_or_else(missing)
    }

    /// List the messages that a stored completion answers.
    #[oai(
        path = "/:completion_id/messages",
        method = "get",
        operation_id = "getChatCompletionMessages"
    )]
    async fn messages(
        &self,
        key: ApiKey,
        app: Data<&App>,
        completion_id: Path<String>,
        /// The last message of the page before.
        after: Query<Option<String>>,
        /// 1 to 100.
        limit: Query<Option<i64>>,
        /// `asc` or `desc`.
        order: Query<Option<String>>,
    ) -> Result<Json<Page<StoreMessage>>, ApiError> {
        key.0.may(KeyScope::StoredRead)?;
        let cursor = paging(after.0, limit.0, order.0.as_deref())?;
        let messages = app.store.stored_messages(&key.0.project_id, &completion_id);
        let messages = messages.await?.ok_or_else(missing)?;
        let messages = messages.into_iter().enumerate();
        let messages = messages.map(|(i, message)| StoreMessage {
            id: format!("{}-{i}", *completion_id),
            role: message.role,
            content: Some(message.content),
            name: message.name,
            tool_calls: Some(message.tool_calls).filter(|calls| !calls.is_empty()),
            tool_call_id: message.tool_call_id,
            content_parts: None,
        });
        let mut messages: Vec<_> = messages.collect();
        if cursor.descending {
            messages.reverse();
        }
        if let Some(after) = &cursor.after {
            let at = messages.iter().position(|one| &one.id == after);
            messages.drain(..at.map_or(messages.len(), |at| at + 1));
        }
        Ok(Json(Page::of(messages, cursor.limit - 1, |one| &one.id)))
    }

    /// Change a stored completion's metadata.
    #[oai(
        path = "/:completion_id",
        method = "post",
        operation_id = "updateChatCompletion"
    )]
    async fn update(
        &self,
        key: ApiKey,
        app: Data<&App>,
        completion_id: Path<String>,
        request: Json<UpdateStoredCompletion>,
    ) -> Result<Json<ChatCompletion>, ApiError> {
        key.0.may(KeyScope::StoredWrite)?;
        let metadata = request.0.metadata.unwrap_or_default();
        let metadata = checked_metadata(metadata).map_err(Failure::from)?;
        let project = &key.0.project_id;
        let changed = app
            .store
            .set_stored_metadata(project, &completion_id, &metadata);
        changed.await?.map(Json).ok_or_else(missing)
    }

    /// Remove a stored completion for good.
    #[oai(
        path = "/:completion_id",
        method = "delete",
        operation_id = "deleteChatCompletion"
    )]
    async fn delete(
        &self,
        key: ApiKey,
        app: Data<&App>,
        completion_id: Path<String>,
    ) -> Result<Json<Deleted>, ApiError> {
        key.0.may(KeyScope::StoredWrite)?;
        let project = &key.0.project_id;
        let deleted = app.store.delete_stored_completion(project, &completion_id);
        if !deleted.await? {
            return Err(missing());
        }
        Ok(Json(Deleted::new("chat.completion", &completion_id)))
    }
}

fn missing() -> ApiError {
    ApiError::missing("stored chat completion")
}
