//! The way of a request, on one screen. Who is asking is known already, how the answer is written
//! is somebody else's business.
//!
//! validate → model → [`Engine::prepare`](crate::engine::Engine::prepare) → queue → generate →
//! usage row → answer
//!
//! Whatever enters [`chat`] or [`refuse`] leaves exactly one usage row, and the row is durable before the last
//! of the answer is handed out.

mod invalid;
mod ledger;
mod messages;
mod run;
mod validate;

use std::future::Future;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::Principal;
use crate::engine::EngineError;
use crate::http::error::ApiError;
use crate::openai::chat::ChatRequest;
use crate::records::RecordError;
use ledger::Ledger;

pub use invalid::Invalid;
pub use run::{Run, Step};

/// An engine that has said nothing for this long will not say any more. Long prompts take minutes
/// on a slow machine; an engine that hangs notices that itself.
const LONGEST_SILENCE: Duration = Duration::from_secs(3600);

/// Who asks, and since when.
#[derive(Debug, Clone)]
pub struct Caller {
    pub principal: Principal,
    pub request_id: String,
    /// For durations.
    pub arrived: Instant,
    /// For the records, in unix milliseconds.
    pub arrived_ms: i64,
    /// Cancelled when the server cannot wait for the answer any longer.
    pub cut: CancellationToken,
}

/// Why there is no answer, or not all of it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("The model '{0}' does not exist.")]
    UnknownModel(String),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The body could not be read.
    #[error("{0}")]
    Unread(ApiError),
    /// The server stops and has waited long enough.
    #[error("The server is shutting down.")]
    Stopping,
}

/// Answers a conversation. What comes back has passed every check that needs no place at the
/// model; waiting for one, and generating, happens as the [`Run`] is read.
///
/// # Errors
/// Anything that keeps the model from being asked. It is recorded by then.
pub async fn chat(app: &App, caller: Caller, request: ChatRequest) -> Result<Run, Failure> {
    let cut = caller.cut.clone();
    let tenant = caller.principal.project_id.clone();
    let stream = request.stream.unwrap_or(false);
    let mut ledger = Ledger::open(app.usage.clone(), caller, &request.model, stream);
    let ready = async {
        let mut asked = validate::check(request, &tenant)?;
        let longest = app.config.engine.default_max_tokens;
        if longest > 0 {
            asked.generate.sampling.max_tokens.get_or_insert(longest);
        }
        let model = app.models.get(&asked.model)?;
        let model = model.ok_or(Failure::UnknownModel(asked.model))?.clone();
        let late = EngineError::Failed("the prompt was not ready in time".to_owned());
        let prepared = model.engine.prepare(asked.generate);
        let prepared = bounded(&cut, LONGEST_SILENCE, late, prepared).await?;
        Ok((model, prepared, asked.n))
    }
    .await;
    match ready {
        Ok((model, prepared, n)) => Ok(Run::new(model, prepared, n, ledger, cut)),
        Err(failure) => Err(ledger.failed(failure).await),
    }
}

/// Records a request whose body could not be read. Returns what to tell the client.
pub async fn refuse(app: &App, caller: Caller, unread: ApiError) -> Failure {
    let mut ledger = Ledger::open(app.usage.clone(), caller, "", false);
    ledger.failed(Failure::Unread(unread)).await
}

/// Waits for the engine, but not for ever, and not beyond the end of the server.
async fn bounded<T>(
    cut: &CancellationToken,
    limit: Duration,
    late: EngineError,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        () = cut.cancelled() => Err(Failure::Stopping),
        done = tokio::time::timeout(limit, work) => Ok(done.unwrap_or(Err(late))?),
    }
}
