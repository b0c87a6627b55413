//! An answer as server-sent events.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt, TryStreamExt};
use poem::{Body, IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Notify;

use super::error::ApiError;
use crate::openai::completion::{
    AnswerRole, ChatChunk, ChunkChoice, ChunkObject, Delta, Finish, Logprobs, Usage,
};
use crate::openai::tools::CallDelta;
use crate::pipeline::{Failure, Run, Step, Title};

pub const DONE: &str = "data: [DONE]\n\n";
/// A comment: clients skip it, proxies and sockets stay awake.
const COMMENT: &str = ": keep-alive\n\n";

/// How long the line may be silent.
#[derive(Debug, Clone, Copy)]
pub struct KeepAlive(pub Duration);

/// What all chunks of an answer say alike, and what they are to say.
#[derive(Debug, Clone)]
pub struct Labels {
    pub title: Title,
    pub logprobs: bool,
    pub include_usage: bool,
}

/// How the steps of an answer are told in events.
pub trait Writes {
    /// The events of a step; empty when it has none.
    fn events(&mut self, step: Step) -> String;
}

/// A running answer on its way out. Nothing is buffered: the model's next token is asked for when
/// the client has taken the one before.
pub struct Events(BoxStream<'static, String>);

/// Begins the answer with the model's first word, so that whatever goes wrong before is an error
/// with a status. Whoever is `admitted` and then waits for longer than `keep_alive`, for another server's
/// answer, in the queue or for a long prompt to be read, gets comments meanwhile, and a late error as an
/// event.
///
/// # Errors
/// What went wrong before the answer began.
pub async fn start<W: Writes + Send + 'static>(
    answer: impl Future<Output = Result<(Run, W), Failure>> + Send + 'static,
    admitted: &Notify,
    keep_alive: KeepAlive,
) -> Result<Events, Failure> {
    let mut events = events(answer).boxed().peekable();
    let silence = async {
        admitted.notified().await;
        tokio::time::sleep(keep_alive.0).await;
    };
    let first = tokio::select! {
        biased;
        first = std::pin::Pin::new(&mut events).peek() => Some(first),
        () = silence => None,
    };
    if let Some(Some(Err(failure))) = first {
        return Err(failure.clone());
    }
    let waited = first.is_none().then(|| COMMENT.to_owned());
    // After a failure there is no `[DONE]`.
    let told = events
        .map(|event| event.unwrap_or_else(|failure| self::event(&ApiError::from(&failure).body())));
    let events = kept_alive(told, keep_alive.0);
    Ok(Events(stream::iter(waited).chain(events).boxed()))
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        let bytes = self
            .0
            .map(|event| Ok::<_, std::io::Error>(Bytes::from(event)));
        Response::builder()
            .content_type("text/event-stream")
            .header("cache-control", "no-cache, no-store")
            .header("x-accel-buffering", "no")
            .body(Body::from_bytes_stream(bytes))
    }
}

/// The events that an answer is told with, up to the first failure.
fn events<W: Writes + Send + 'static>(
    answer: impl Future<Output = Result<(Run, W), Failure>> + Send,
) -> impl Stream<Item = Result<String, Failure>> + Send {
    stream::once(answer)
        .map_ok(|(run, mut writer)| run.steps().map_ok(move |step| writer.events(step)))
        .try_flatten()
        .try_filter(|event| std::future::ready(!event.is_empty()))
}

/// Adds comments wherever the line would be silent for too long.
fn kept_alive(
    events: impl Stream<Item = String> + Send,
    every: Duration,
) -> impl Stream<Item = String> + Send {
    stream::unfold(Box::pin(events), move |mut events| async move {
        match tokio::time::timeout(every, events.next()).await {
            Ok(event) => event.map(|event| (event, events)),
            Err(_) => Some((COMMENT.to_owned(), events)),
        }
    })
}

impl Writes for Labels {
    fn events(&mut self, step: Step) -> String {
        match step {
            Step::Begin { index } => {
                let delta = Delta {
                    role: Some(AnswerRole::Assistant),
                    content: Some(String::new()),
                    refusal: Some(None),
                    ..Delta::default()
                };
                self.choice(index, delta, None, None)
            }
            Step::Text {
                index,
                text,
                logprobs,
            } => {
                let delta = Delta {
                    content: Some(text),
                    ..Delta::default()
                };
                let logprobs = self.logprobs.then(|| Logprobs::of(logprobs));
                self.choice(index, delta, logprobs, None)
            }
            Step::Call {
                index,
                call,
                id,
                name,
                is_custom,
            } => {
                let call = CallDelta::begin(call, id, name, is_custom);
                self.choice(index, called(call), None, None)
            }
            Step::Arguments {
                index,
                call,
                text,
                is_custom,
            } => {
                let call = CallDelta::more(call, text, is_custom);
                self.choice(index, called(call), None, None)
            }
            Step::Reasoning { index, text } => {
                let delta = Delta {
                    reasoning_content: Some(text),
                    ..Delta::default()
                };
                self.choice(index, delta, None, None)
            }
            Step::Refused {
                index,
                text,
                follows,
            } => {
                let gap = if follows { "\n\n" } else { "" };
                let delta = Delta {
                    content: Some(format!("{gap}{text}")),
                    refusal: Some(Some(text)),
                    ..Delta::default()
                };
                self.choice(index, delta, None, None)
            }
            Step::End { index, finish } => self.choice(index, Delta::default(), None, Some(finish)),
            Step::Moderated(moderation) => event(&ChatChunk {
                moderation: Some(moderation),
                ..self.chunk(Vec::new(), self.include_usage.then_some(None))
            }),
            Step::Total(usage) if self.include_usage => {
                event(&self.chunk(Vec::new(), Some(Some(usage)))) + DONE
            }
            Step::Total(_) => DONE.to_owned(),
        }
    }
}

impl Labels {
    fn choice(
        &self,
        index: u32,
        delta: Delta,
        logprobs: Option<Logprobs>,
        finish_reason: Option<Finish>,
    ) -> String {
        let choice = ChunkChoice {
            index,
            delta,
            logprobs,
            finish_reason,
        };
        event(&self.chunk(vec![choice], self.include_usage.then_some(None)))
    }

    fn chunk(&self, choices: Vec<ChunkChoice>, usage: Option<Option<Usage>>) -> ChatChunk {
        ChatChunk {
            id: self.title.id.clone(),
            object: ChunkObject::Chunk,
            created: self.title.created,
            model: self.title.model.clone(),
            system_fingerprint: self.title.system_fingerprint.clone(),
            choices,
            moderation: None,
            usage,
        }
    }
}

fn called(call: CallDelta) -> Delta {
    Delta {
        tool_calls: Some(vec![call]),
        ..Delta::default()
    }
}

/// JSON has no line breaks of its own, so one line of data is enough.
pub fn event(data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("data: {data}\n\n")
}
