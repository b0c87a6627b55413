//! `POST /v1/chat/completions`: one operation, answered as JSON or as a stream.

use std::sync::Arc;

use futures_util::TryStreamExt;
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
use crate::openai::completion::{
    AnswerMessage, AnswerRole, ChatChunk, ChatCompletion, Choice, CompletionObject, Logprobs, Usage,
};
use crate::openai::tools::Call;
use crate::pipeline::{self, CHAT, Failure, Run, Step};

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
        key.0.may(KeyScope::ModelRequest)?;
        let caller = trace.caller(key.0, &cut);
        let request = match request.0 {
            Ok(request) => request,
            Err(unread) => return Err(pipeline::refuse(&app, caller, CHAT, unread).await.into()),
        };
        let stream = request.stream.unwrap_or(false);
        let options = request.stream_options.as_ref();
        let include_usage = options.and_then(|o| o.include_usage).unwrap_or(false);
        let logprobs = request.logprobs.unwrap_or(false);
        let run = pipeline::chat(&app, caller, request).await?;
        let labels = Labels {
            id: app.clock.id("chatcmpl-"),
            created: app.clock.now_secs(),
            model: run.model().id.clone(),
            system_fingerprint: run.model().system_fingerprint.clone(),
            logprobs,
            include_usage,
        };
        let body = if stream {
            ChatBody::Stream(sse::start(run, labels, *keep_alive.0).await?)
        } else {
            ChatBody::Whole(Json(collect(run, labels).await?))
        };
        Ok(ChatResponse::Answer(body))
    }
}

/// The whole answer is the stream, collected.
async fn collect(run: Run, labels: Labels) -> Result<ChatCompletion, Failure> {
    let mut steps = Box::pin(run.steps());
    let mut choices = Vec::new();
    let mut usage = Usage::new(0, 0, 0);
    let mut moderation = None;
    let (mut message, mut tokens) = (said(String::new()), Vec::new());
    while let Some(step) = steps.try_next().await? {
        match step {
            Step::Begin { .. } => {}
            Step::Text { text, logprobs, .. } => {
                message.content.get_or_insert_default().push_str(&text);
                tokens.extend(logprobs);
            }
            Step::Call {
                id,
                name,
                is_custom,
                ..
            } => {
                let calls = message.tool_calls.get_or_insert_default();
                calls.push(Call::new(id, name, is_custom));
            }
            Step::Arguments { text, .. } => {
                let calls = message.tool_calls.iter_mut();
                if let Some(call) = calls.flat_map(|calls| calls.last_mut()).next() {
                    call.push(&text);
                }
            }
            Step::Reasoning { text, .. } => {
                let thoughts = message.reasoning_content.get_or_insert_default();
                thoughts.push_str(&text);
            }
            Step::Refused { text, .. } => {
                // Nothing of what was stopped, nor of what led there.
                message = AnswerMessage {
                    refusal: Some(text.clone()),
                    ..said(text)
                };
                tokens.clear();
            }
            Step::End { index, finish } => {
                if message.tool_calls.is_some() {
                    message.content = message.content.filter(|content| !content.is_empty());
                }
                let tokens = std::mem::take(&mut tokens);
                let logprobs = labels.logprobs.then(|| Logprobs::of(tokens));
                choices.push(Choice {
                    index,
                    message: std::mem::replace(&mut message, said(String::new())),
                    logprobs,
                    finish_reason: finish,
                });
            }
            Step::Moderated(scores) => moderation = Some(scores),
            Step::Total(total) => usage = total,
        }
    }
    Ok(ChatCompletion {
        id: labels.id,
        object: CompletionObject::Completion,
        created: labels.created,
        model: labels.model,
        choices,
        usage,
        moderation,
        system_fingerprint: labels.system_fingerprint,
    })
}

fn said(content: String) -> AnswerMessage {
    AnswerMessage {
        role: AnswerRole::Assistant,
        content: Some(content),
        refusal: None,
        reasoning_content: None,
        tool_calls: None,
    }
}
