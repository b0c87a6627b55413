//! `POST /v1/chat/completions`: one operation, answered as JSON or as a stream.

use std::sync::Arc;

use futures_util::stream::BoxStream;
use poem::web::Data;
use poem_openapi::payload::EventStream;
use poem_openapi::{ApiResponse, OpenApi, ResponseContent};

use super::Cut;
use super::auth::ApiKey;
use super::envelope::Trace;
use super::error::ApiError;
use super::payload::{Json, MaybeJson};
use super::spec::Tag;
use super::sse::{self, KeepAlive, Labels};
use crate::app::App;
use crate::auth::KeyScope;
use crate::openai::chat::ChatRequest;
use crate::openai::completion::{ChatChunk, ChatCompletion};
use crate::pipeline::{self, CHAT, Failure, Run, Whole};

pub struct ChatApi;

#[derive(ApiResponse)]
enum ChatResponse {
    /// The answer: whole, or with `stream` as server-sent events ending in `data: [DONE]`.
    #[oai(status = 200)]
    Answer(ChatBody),
}

#[derive(ResponseContent)]
enum ChatBody {
    Whole(Json<ChatCompletion>),
    #[oai(actual_type = "EventStream<BoxStream<'static, ChatChunk>>")]
    Stream(sse::Events),
}

#[OpenApi(prefix_path = "/v1/chat", tag = "Tag::Chat")]
impl ChatApi {
    /// Continue a conversation.
    #[oai(
        path = "/completions",
        method = "post",
        operation_id = "createChatCompletion"
    )]
    async fn create(
        &self,
        key: ApiKey,
        app: Data<&App>,
        trace: Data<&Arc<Trace>>,
        cut: Data<&Cut>,
        keep_alive: Data<&KeepAlive>,
        request: MaybeJson<ChatRequest>,
    ) -> Result<ChatResponse, ApiError> {
        let allowed = key.0.may(KeyScope::ModelRequest).map_err(ApiError::from);
        let caller = trace.caller(key.0, &cut);
        let request = match allowed.and(request.0) {
            Ok(request) => request,
            Err(refused) => return Err(pipeline::refuse(&app, caller, CHAT, refused).await.into()),
        };
        let stream = request.stream.unwrap_or(false);
        let options = request.stream_options.as_ref();
        let include_usage = options.and_then(|o| o.include_usage).unwrap_or(false);
        let logprobs = request.logprobs.unwrap_or(false);
        let body = if stream {
            let app = app.clone();
            let admitted = caller.admitted.clone();
            let answer = async move {
                let run = pipeline::chat(&app, caller, request).await?;
                let labels = Labels {
                    title: run.title().clone(),
                    logprobs,
                    include_usage,
                };
                Ok((run, labels))
            };
            ChatBody::Stream(sse::start(answer, &admitted, *keep_alive.0).await?)
        } else {
            let run = pipeline::chat(&app, caller, request).await?;
            ChatBody::Whole(Json(collect(run, logprobs).await?))
        };
        Ok(ChatResponse::Answer(body))
    }
}

/// The whole answer is the stream, collected.
async fn collect(mut run: Run, logprobs: bool) -> Result<ChatCompletion, Failure> {
    let title = run.title().clone();
    let mut whole = Whole::new(logprobs);
    while let Some(step) = run.next().await {
        whole.add(&step?);
    }
    Ok(whole.named(title))
}
