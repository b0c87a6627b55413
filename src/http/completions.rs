//! `POST /v1/completions`: prompts that are continued, as JSON or as a stream.

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
use super::sse::{self, DONE, KeepAlive, Writes, event};
use crate::app::App;
use crate::auth::KeyScope;
use crate::engine::TokenLogprob;
use crate::openai::completion::{Finish, Usage};
use crate::openai::legacy::{
    CompletionRequest, TextChoice, TextCompletion, TextLogprobs, TextObject,
};
use crate::pipeline::{self, COMPLETIONS, Failure, Run, Step, Title};

pub struct CompletionsApi;

#[derive(ApiResponse)]
enum CompletionResponse {
    /// The answers: whole, or with `stream` as server-sent events ending in `data: [DONE]`.
    #[oai(status = 200)]
    Answer(CompletionBody),
}

#[derive(ResponseContent)]
enum CompletionBody {
    Whole(Json<TextCompletion>),
    #[oai(actual_type = "EventStream<BoxStream<'static, TextCompletion>>")]
    Stream(sse::Events),
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Completions")]
impl CompletionsApi {
    /// Continue prompts.
    #[oai(
        path = "/completions",
        method = "post",
        operation_id = "createCompletion"
    )]
    async fn create(
        &self,
        key: ApiKey,
        app: Data<&App>,
        trace: Data<&Arc<Trace>>,
        cut: Data<&Cut>,
        keep_alive: Data<&KeepAlive>,
        request: MaybeJson<CompletionRequest>,
    ) -> Result<CompletionResponse, ApiError> {
        let allowed = key.0.may(KeyScope::ModelRequest).map_err(ApiError::from);
        let caller = trace.caller(key.0, &cut);
        let request = match allowed.and(request.0) {
            Ok(request) => request,
            Err(refused) => {
                let failure = pipeline::refuse(&app, caller, COMPLETIONS, refused);
                return Err(failure.await.into());
            }
        };
        let stream = request.stream.unwrap_or(false);
        let echo = request.echo.unwrap_or(false);
        let options = request.stream_options.as_ref();
        let include_usage = options.and_then(|o| o.include_usage).unwrap_or(false);
        // Both are checked before anything is made of them.
        let many = |number: Option<i64>| number.and_then(|number| usize::try_from(number).ok());
        let n = many(request.n).unwrap_or(1).max(1);
        let each = many(request.best_of).unwrap_or(n).max(n);
        let logprobs = request.logprobs;
        let app = app.clone();
        let admitted = caller.admitted.clone();
        let answer = async move {
            let (run, texts) = pipeline::complete(&app, caller, request).await?;
            let telling = Telling {
                title: run.title().clone(),
                echoes: if echo { texts } else { Vec::new() },
                n,
                each,
                alternatives: logprobs.map(|logprobs| logprobs > 0),
                include_usage,
                offset: 0,
            };
            Ok((run, telling))
        };
        let body = if stream {
            CompletionBody::Stream(sse::start(answer, &admitted, *keep_alive.0).await?)
        } else {
            let (run, telling) = answer.await?;
            CompletionBody::Whole(Json(collect(run, telling).await?))
        };
        Ok(CompletionResponse::Answer(body))
    }
}

/// How the answers are to be told.
struct Telling {
    title: Title,
    /// The prompts, when the answers are to begin with them.
    echoes: Vec<String>,
    /// Answers to each prompt.
    n: usize,
    /// Answers that are made to each prompt.
    each: usize,
    /// Whether log probabilities are told, and whether with alternatives.
    alternatives: Option<bool>,
    include_usage: bool,
    /// Of the text that is being told, in code points.
    offset: u64,
}

impl Telling {
    fn told(&self, choices: Vec<TextChoice>, usage: Option<Option<Usage>>) -> TextCompletion {
        TextCompletion {
            id: self.title.id.clone(),
            object: TextObject::TextCompletion,
            created: self.title.created,
            model: self.title.model.clone(),
            choices,
            system_fingerprint: self.title.system_fingerprint.clone(),
            usage,
        }
    }

    fn logprobs(&mut self, reported: Vec<TokenLogprob>) -> Option<TextLogprobs> {
        let alternatives = self.alternatives?;
        let mut offset = self.offset;
        let told = TextLogprobs::of(reported, alternatives, &mut offset);
        self.offset = offset;
        Some(told)
    }

    fn chunk(
        &self,
        index: u32,
        text: String,
        logprobs: Option<TextLogprobs>,
        finish_reason: Option<Finish>,
    ) -> String {
        let choice = TextChoice {
            text,
            index,
            logprobs,
            finish_reason,
        };
        event(&self.told(vec![choice], self.include_usage.then_some(None)))
    }

    /// What an answer begins with.
    fn echo(&self, prompt: usize) -> Option<&String> {
        self.echoes.get(prompt)
    }
}

impl Writes for Telling {
    fn events(&mut self, step: Step) -> String {
        match step {
            Step::Begin { index } => {
                self.offset = 0;
                let prompt = usize::try_from(index).unwrap_or(usize::MAX) / self.n;
                match self.echo(prompt) {
                    Some(text) => self.chunk(index, text.clone(), None, None),
                    None => String::new(),
                }
            }
            Step::Text {
                index,
                text,
                logprobs,
            } => {
                let logprobs = self.logprobs(logprobs);
                self.chunk(index, text, logprobs, None)
            }
            // Of a text that is continued nothing is told apart as thought.
            Step::Reasoning { index, text } => self.chunk(index, text, None, None),
            Step::Refused {
                index,
                text,
                follows,
            } => {
                let gap = if follows { "\n\n" } else { "" };
                self.chunk(index, format!("{gap}{text}"), None, None)
            }
            Step::End { index, finish } => self.chunk(index, String::new(), None, Some(finish)),
            // Nothing can be called here, nor are scores asked for.
            Step::Call { .. } | Step::Arguments { .. } | Step::Moderated(_) => String::new(),
            Step::Total(usage) if self.include_usage => {
                event(&self.told(Vec::new(), Some(Some(usage)))) + DONE
            }
            Step::Total(_) => DONE.to_owned(),
        }
    }
}

/// An answer that may be given.
#[derive(Default)]
struct Candidate {
    text: String,
    tokens: Vec<TokenLogprob>,
    finish: Option<Finish>,
}

impl Candidate {
    /// The mean log probability of its tokens. What was stopped, or says nothing, comes last.
    fn likelihood(&self) -> f64 {
        if self.tokens.is_empty() {
            return f64::NEG_INFINITY;
        }
        let sum: f64 = self.tokens.iter().map(|t| f64::from(t.token.logprob)).sum();
        sum / self.tokens.len() as f64
    }
}

/// All answers; of each prompt the likeliest, where more are made than are wanted.
async fn collect(run: Run, mut telling: Telling) -> Result<TextCompletion, Failure> {
    let mut steps = Box::pin(run.steps());
    let (mut all, mut one) = (Vec::new(), Candidate::default());
    let mut usage = Usage::new(0, 0, 0);
    while let Some(step) = steps.try_next().await? {
        match step {
            Step::Begin { .. }
            | Step::Call { .. }
            | Step::Arguments { .. }
            | Step::Moderated(_) => {}
            Step::Text { text, logprobs, .. } => {
                one.text.push_str(&text);
                one.tokens.extend(logprobs);
            }
            Step::Reasoning { text, .. } => one.text.push_str(&text),
            Step::Refused { text, .. } => {
                // Nothing of what was stopped, nor of what led there.
                one = Candidate {
                    text,
                    ..Candidate::default()
                };
            }
            Step::End { finish, .. } => {
                one.finish = Some(finish);
                all.push(std::mem::take(&mut one));
            }
            Step::Total(total) => usage = total,
        }
    }
    let mut choices = Vec::new();
    let mut prompt = 0;
    let mut all = all.into_iter().peekable();
    while all.peek().is_some() {
        let mut made: Vec<Candidate> = all.by_ref().take(telling.each).collect();
        if telling.each > telling.n {
            made.sort_by(|a, b| b.likelihood().total_cmp(&a.likelihood()));
            made.truncate(telling.n);
        }
        for candidate in made {
            telling.offset = 0;
            let echo = telling.echo(prompt).cloned().unwrap_or_default();
            choices.push(TextChoice {
                text: echo + &candidate.text,
                index: u32::try_from(choices.len()).unwrap_or(u32::MAX),
                logprobs: telling.logprobs(candidate.tokens),
                finish_reason: candidate.finish,
            });
        }
        prompt += 1;
    }
    Ok(telling.told(choices, Some(Some(usage))))
}
