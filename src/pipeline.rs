//! The way of a request, on one screen. Who is asking is known already, how the answer is written
//! is somebody else's business.
//!
//! limits → validate → model → guards → [`Engine::prepare`](crate::engine::Engine::prepare) →
//! reserve → queue → generate → guards → usage row → answer
//!
//! Whatever enters [`chat`] or [`refuse`] leaves exactly one usage row, and the row is durable before the last
//! of the answer is handed out.

mod check;
mod guard;
mod invalid;
mod ledger;
mod messages;
mod moderation;
mod run;
mod validate;

use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::Principal;
use crate::config::Price;
use crate::engine::registry::ServedModel;
use crate::engine::{EngineError, Prepared};
use crate::http::error::ApiError;
use crate::limits::{LimitError, RateStatus};
use crate::openai::chat::ChatRequest;
use crate::records::{Actor, RecordError};
use guard::Guarded;
use ledger::Ledger;

pub use check::look;
pub use guard::GuardFailure;
pub use invalid::Invalid;
pub use moderation::MODERATION_MODEL;
pub(crate) use moderation::scores;
pub use run::{Run, Step};

/// What records call a chat completion.
pub const CHAT: &str = "chat.completions";

/// An engine that has said nothing for this long will not say any more. Long prompts take minutes
/// on a slow machine; an engine that hangs notices that itself.
const LONGEST_SILENCE: Duration = Duration::from_secs(3600);

/// Who asks, and since when.
#[derive(Debug, Clone)]
pub struct Caller {
    pub principal: Principal,
    /// For the audit.
    pub actor: Actor,
    pub request_id: String,
    /// For durations.
    pub arrived: Instant,
    /// For the records, in unix milliseconds.
    pub arrived_ms: i64,
    /// Cancelled when the server cannot wait for the answer any longer.
    pub cut: CancellationToken,
    /// Told how full the caller's limits are.
    pub rates: Arc<Mutex<Option<RateStatus>>>,
    /// Told when an answer was cut because it was going nowhere.
    pub cut_loop: Arc<AtomicBool>,
}

impl Caller {
    fn tell(&self, status: RateStatus) {
        *self.rates.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }
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
    Limit(#[from] LimitError),
    #[error(transparent)]
    Guard(#[from] GuardFailure),
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
    let stream = request.stream.unwrap_or(false);
    let mut ledger = Ledger::open(app, &caller, CHAT, &request.model, stream);
    let mut notes = None;
    let ready = async {
        let model = served(app, &caller.principal, &request.model);
        // Before everything else: whoever sends nonsense is limited too.
        let name = model
            .as_ref()
            .ok()
            .map(|model| model.engine.info().id.as_str());
        let permit = ledger.hold(app.limits.begin(&caller.principal, name).await?);
        caller.tell(permit.status());
        let moderation = request.moderation.clone();
        let mut asked = validate::check(request, &caller.principal.project_id)?;
        let model = model?;
        let asks_for_length = asked.generate.sampling.max_tokens.is_some();
        let longest = app.config.engine.default_max_tokens;
        if longest > 0 {
            asked.generate.sampling.max_tokens.get_or_insert(longest);
        }
        let mut guarded = Guarded::of(app, &caller, moderation.as_ref())?;
        let seen = guarded.request(&mut asked.generate.messages).await;
        notes = Some(guarded.notes.clone());
        seen?;
        let late = EngineError::Failed("the prompt was not ready in time".to_owned());
        let prepared = model.engine.prepare(asked.generate);
        let mut prepared = bounded(&cut, LONGEST_SILENCE, late, prepared).await?;
        if !asks_for_length {
            fit(&mut prepared, asked.n, permit.most_tokens());
        }
        let (tokens, nanousd) = most(&prepared, asked.n, app.config.prices.get(&asked.model));
        permit.reserve(tokens, nanousd).await?;
        caller.tell(permit.status());
        Ok((model, prepared, asked.n, guarded))
    }
    .await;
    if let Some(notes) = notes {
        ledger.guarded(&notes);
    }
    match ready {
        Ok((model, prepared, n, guarded)) => {
            Ok(Run::new(model, prepared, n, &caller, guarded, ledger))
        }
        Err(failure) => Err(ledger.failed(failure).await),
    }
}

/// Records a request whose body could not be read. Returns what to tell the client.
pub async fn refuse(app: &App, caller: Caller, endpoint: &str, unread: ApiError) -> Failure {
    let mut ledger = Ledger::open(app, &caller, endpoint, "", false);
    let failure = match app.limits.begin(&caller.principal, None).await {
        Ok(permit) => {
            ledger.hold(permit);
            Failure::Unread(unread)
        }
        Err(limit) => limit.into(),
    };
    ledger.failed(failure).await
}

/// The model of this name, if the caller may use it: what they may not use does not exist for them.
fn served(app: &App, principal: &Principal, name: &str) -> Result<ServedModel, Failure> {
    let model = app
        .models
        .get(name)?
        .filter(|_| principal.models.allows(name));
    model
        .cloned()
        .ok_or_else(|| Failure::UnknownModel(name.to_owned()))
}

/// Whoever did not say how long the answer may be gets what their limits could ever allow.
fn fit(prepared: &mut Prepared, choices: u32, most: Option<u64>) {
    let Some(most) = most else {
        return;
    };
    let prompt = u64::try_from(prepared.prompt.len()).unwrap_or(u64::MAX);
    let each = most.saturating_sub(prompt) / u64::from(choices.max(1));
    let each = u32::try_from(each).unwrap_or(u32::MAX);
    prepared.max_tokens = prepared.max_tokens.min(each.max(1));
}

/// The most that a request may use, in tokens and in what they cost.
fn most(prepared: &Prepared, choices: u32, price: Option<&Price>) -> (u64, u64) {
    let prompt = u32::try_from(prepared.prompt.len()).unwrap_or(u32::MAX);
    let answers = prepared.max_tokens.saturating_mul(choices);
    let cost = price.map_or(0, |price| price.nanousd(prompt, 0, answers));
    let tokens = u64::from(prompt) + u64::from(answers);
    (tokens, u64::try_from(cost).unwrap_or(0))
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
