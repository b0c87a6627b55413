//! The way of a request, on one screen. Who is asking is known already, how the answer is written
//! is somebody else's business.
//!
//! limits → validate → model → cache → guards → [`Engine::prepare`](crate::engine::Engine::prepare) →
//! reserve → queue → generate → guards → cache → usage row → answer
//!
//! The cache comes before the guards: an answer is kept under the request as it was sent and under
//! the policy, and the guards would make the same of the same.
//!
//! Whatever enters [`chat`], [`complete`] or [`refuse`] leaves exactly one usage row, and the row is
//! durable before the last of the answer is handed out.

mod asking;
mod check;
mod embed;
mod flight;
mod guard;
mod invalid;
mod ledger;
mod look;
mod messages;
mod moderation;
mod produce;
mod prompts;
mod run;
mod step;
mod storing;
mod tools;
mod validate;
mod whole;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::Principal;
use crate::cache::{Controls, Key, Plan, Question, Recorded, Status, Turn};
use crate::config::Price;
use crate::engine::registry::ServedModel;
use crate::engine::{EngineError, Message, Prepared, Sampling};
use crate::http::error::ApiError;
use crate::limits::{LimitError, Permit, RateStatus};
use crate::openai::chat::ChatRequest;
use crate::openai::legacy::{CompletionRequest, Prompt};
use crate::records::{Actor, RecordError};
use asking::Asking;
use flight::{Entered, Lead, Seat};
use guard::Guarded;
use ledger::Ledger;
use produce::{Keep, Producer};
use storing::Storing;
use validate::Asked;

pub use check::look;
pub use embed::{EMBEDDINGS, Embedded, embed};
pub use flight::Flights;
pub use guard::GuardFailure;
pub use invalid::Invalid;
pub use moderation::MODERATION_MODEL;
pub(crate) use moderation::scores;
pub use run::{Run, Waited};
pub use step::Step;
pub use storing::{MOST_METADATA, checked_metadata};
pub use whole::{Title, Whole};

/// What records call a chat completion.
pub const CHAT: &str = "chat.completions";
/// What records call a completion of prompts.
pub const COMPLETIONS: &str = "completions";

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
    /// What the request's headers want of the cache.
    pub controls: Controls,
    /// Told what the cache does, and under which key.
    pub cache: Arc<OnceLock<(Status, Option<Key>)>>,
    /// Told how long the model was waited for.
    pub waited: Waited,
    /// Told when it has passed all checks, or waits for an answer that another server makes: it may take
    /// long from then on.
    pub admitted: Arc<Notify>,
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
    /// The key may not send it, or the body could not be read.
    #[error("{0}")]
    Refused(ApiError),
    /// The server stops and has waited long enough.
    #[error("The server is shutting down.")]
    Stopping,
}

/// Answers a conversation. What comes back has passed every check that needs no place at the
/// model; waiting for one, and generating, happens while the [`Run`] is read.
///
/// # Errors
/// Anything that keeps the model from being asked. It is recorded by then.
pub async fn chat(app: &App, caller: Caller, mut request: ChatRequest) -> Result<Run, Failure> {
    app.resolve(&caller.principal, &mut request.model);
    let stream = request.stream.unwrap_or(false);
    let mut ledger = Ledger::open(app, &caller, CHAT, &request.model, stream);
    let asking = Asking::Chat(Box::new(request));
    match answer(app, &caller, asking, &mut ledger).await {
        Ok(found) => {
            caller.admitted.notify_one();
            Ok(Run::new(app.clock.id("chatcmpl-"), found, &caller, ledger))
        }
        Err(failure) => Err(ledger.failed(failure).await),
    }
}

/// Continues prompts as they are, `n` times each; all that holds of [`chat`] holds here. The texts
/// are the prompts as they came.
///
/// # Errors
/// As [`chat`].
pub async fn complete(
    app: &App,
    caller: Caller,
    mut request: CompletionRequest,
) -> Result<(Run, Vec<String>), Failure> {
    app.resolve(&caller.principal, &mut request.model);
    let stream = request.stream.unwrap_or(false);
    let many = matches!(request.prompt, Some(Prompt::Texts(_) | Prompt::Lists(_)));
    let mut ledger = Ledger::open(app, &caller, COMPLETIONS, &request.model, stream);
    let asking = Asking::Completion(Box::new(request));
    match answer(app, &caller, asking, &mut ledger).await {
        Ok(mut found) => {
            caller.admitted.notify_one();
            let texts = std::mem::take(&mut found.texts);
            let run = Run::new(app.clock.id("cmpl-"), found, &caller, ledger);
            Ok((run, texts))
        }
        Err(failure) => Err(ledger.failed(prompts::renamed(failure, many)).await),
    }
}

/// Where an answer comes from.
struct Found {
    model: ServedModel,
    /// Choices, of all prompts together.
    n: u32,
    from: Source,
    /// Where it is to be stored.
    storing: Option<Storing>,
    /// Prompts as they came.
    texts: Vec<String>,
}

enum Source {
    Kept(Arc<Recorded>),
    Made(Seat),
}

async fn answer(
    app: &App,
    caller: &Caller,
    mut request: Asking,
    ledger: &mut Ledger,
) -> Result<Found, Failure> {
    let principal = &caller.principal;
    let model = served(app, principal, request.model());
    // Before everything else: whoever sends nonsense is limited too.
    let name = model.as_ref().ok().map(|model| &*model.engine.info().id);
    let permit = ledger.hold(app.limits.begin(principal, name).await?);
    caller.tell(permit.status());
    let controls = caller
        .controls
        .clone()
        .with(request.cache())
        .map_err(Invalid::from)?;
    let moderation = request.moderation();
    let mut storing = request.storing(app, caller)?;
    let openai = Sampling::default();
    let defaults = model.as_ref().map_or(&openai, |model| &model.defaults);
    let mut asked = request.check(&principal.project_id, defaults)?;
    let model = model?;
    let waiting = caller.waited.begin();
    asked.read(&*model.engine).await?;
    drop(waiting);
    let n = asked
        .n
        .saturating_mul(u32::try_from(asked.raw.len().max(1)).unwrap_or(u32::MAX));
    let asks_for_length = asked.generate.sampling.max_tokens.is_some();
    let longest = app.config.engine.default_max_tokens;
    if longest > 0 {
        asked.generate.sampling.max_tokens.get_or_insert(longest);
    }
    let policy = Guarded::policy(app, caller, moderation.as_ref())?;
    let plan = app.cache.plan(&asked.generate.sampling, &controls);
    let kept = plan.map(|plan| {
        let info = model.engine.info();
        let question = Question {
            tenant: &app.cache.tenant(&principal.project_id, &principal.key_id),
            namespace: controls.namespace.as_deref(),
            model: &info.id,
            fingerprint: &info.system_fingerprint,
            context_length: info.context_length,
            policy: &app.guardrails.digest(&policy),
            messages: &asked.generate.messages,
            raw: &asked.raw,
            tools: &asked.generate.tools,
            form: &asked.generate.form,
            effort: asked.generate.effort,
            calls: asked.calls.as_deref(),
            sampling: &asked.generate.sampling,
            choices: n,
            moderation: moderation.as_ref().map(moderation::mode),
            day: (info.is_dated && asked.raw.is_empty()).then(|| app.clock.day()),
        };
        (plan, question.key())
    });
    let (lead, turn) = match kept {
        None => (Flights::alone(0), Turn::Mine(None)),
        Some((plan, key)) => match look_up(app, caller, held(ledger)?, plan, key).await? {
            Ok(leads) => leads,
            Err(from) => {
                ledger.cache(Status::Hit);
                let _ = caller.cache.set((Status::Hit, Some(key)));
                if storing.is_some() {
                    // Whoever stores it stores what the guards make of the question.
                    let mut guarded = Guarded::of(app, caller, policy, false);
                    guarded.request(&mut asked.generate).await?;
                    storing = noted(storing, &guarded, &asked.generate.messages);
                }
                return Ok(Found {
                    model,
                    n,
                    from,
                    storing,
                    texts: asked.texts,
                });
            }
        },
    };
    let status = match kept {
        None => Status::Bypass,
        Some((plan, _)) if !plan.looks => Status::Refresh,
        Some(_) => Status::Miss,
    };
    ledger.cache(status);
    let _ = caller.cache.set((status, kept.map(|(_, key)| key)));

    let mut guarded = Guarded::of(app, caller, policy, moderation.is_some());
    guarded.is_verbatim = !asked.raw.is_empty();
    let seen = guarded.request(&mut asked.generate).await;
    ledger.guarded(guarded.noted());
    seen?;
    let storing = noted(storing, &guarded, &asked.generate.messages);
    guarded.keep_instructions(&mut asked.generate.messages);
    let Asked {
        n: each,
        model: name,
        calls,
        texts,
        ..
    } = asked;
    let waiting = caller.waited.begin();
    let mut prompts = VecDeque::new();
    for request in Asked::requests(asked.generate, asked.raw, &texts) {
        let late = EngineError::Failed("the prompt was not ready in time".to_owned());
        let prepared = model.engine.prepare(request);
        prompts.push_back(bounded(&caller.cut, LONGEST_SILENCE, late, prepared).await?);
    }
    drop(waiting);
    let permit = held(ledger)?;
    if !asks_for_length {
        for prepared in &mut prompts {
            fit(prepared, n, permit.most_tokens());
        }
    }
    let (tokens, nanousd) = most(&prompts, each, app.config.prices.get(&name));
    permit.reserve(tokens, nanousd).await?;
    caller.tell(permit.status());
    let keep = kept.and_then(|(plan, key)| {
        Some(Keep {
            cache: app.cache.clone(),
            key,
            life: plan.life?,
            project_id: principal.project_id.clone(),
            asked_ms: caller.arrived_ms,
            turn,
            not_if_cut: !asks_for_length,
        })
    });
    let none = || EngineError::Failed("there is no prompt".to_owned());
    let producer = Producer::new(model.clone(), prompts, each, caller, guarded, calls, &lead);
    let producer = producer.ok_or_else(none)?;
    let gone = || EngineError::Failed("there is no seat".to_owned());
    let seat = producer.start(lead, keep).ok_or_else(gone)?;
    Ok(Found {
        model,
        n,
        from: Source::Made(seat),
        storing,
        texts,
    })
}

/// Nothing is stored that no guard has seen.
fn noted(storing: Option<Storing>, guarded: &Guarded, messages: &[Message]) -> Option<Storing> {
    let mut storing = storing?;
    if guarded.is_unseen {
        tracing::warn!("a completion is not stored: no guard has seen its question");
        return None;
    }
    storing.question(messages, guarded.originals());
    Some(storing)
}

/// What the request may use.
fn held(ledger: &mut Ledger) -> Result<&mut Permit, LimitError> {
    ledger.permit().ok_or(LimitError::Unavailable)
}

/// The answer that is kept or being made, or else the right to make it.
async fn look_up(
    app: &App,
    caller: &Caller,
    permit: &mut Permit,
    plan: Plan,
    key: Key,
) -> Result<Result<(Lead, Turn), Source>, Failure> {
    if !plan.looks {
        let lead = Flights::alone(app.cache.largest());
        return Ok(Ok((lead, Turn::Mine(None))));
    }
    loop {
        if let Some(kept) = app.cache.find(&key, plan.max_age).await {
            return Ok(Err(Source::Kept(kept)));
        }
        let asked = (key, app.cache.flushed_ms());
        match app.flights.enter(asked, app.cache.largest()) {
            Entered::Leads(lead) => {
                // It may have been completed in between.
                if let Some(kept) = app.cache.get(&key, plan.max_age) {
                    return Ok(Err(Source::Kept(kept)));
                }
                if plan.life.is_none() {
                    return Ok(Ok((lead, Turn::Mine(None))));
                }
                match app.cache.turn(&key).await {
                    Turn::Mine(held) => return Ok(Ok((lead, Turn::Mine(held)))),
                    Turn::Theirs => {
                        caller.admitted.notify_one();
                        let other = async { Ok(app.cache.await_other(&key, plan.max_age).await) };
                        // Whoever has waited for nothing makes their own answer: in turns, each would
                        // wait for all before.
                        return Ok(match waiting(caller, other).await? {
                            Some(kept) => Err(Source::Kept(kept)),
                            None => Ok((lead, Turn::Mine(None))),
                        });
                    }
                }
            }
            Entered::Follows(mut seat) => {
                // Whoever reads along pays for the rest if the one for whom it is made leaves. What is
                // reserved to that end may be waited for, but not with a seat that others wait for.
                if !permit.has_reserved() {
                    drop(seat);
                    permit.reserve(0, 0).await?;
                    continue;
                }
                if waiting(caller, async { Ok(seat.begun().await) }).await? {
                    return Ok(Err(Source::Made(seat)));
                }
            }
        }
    }
}

/// Waits for what another request does.
async fn waiting<T>(
    caller: &Caller,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, Failure> {
    let _waiting = caller.waited.begin();
    let late = EngineError::Failed("the answer was not begun in time".to_owned());
    bounded(&caller.cut, LONGEST_SILENCE, late, work).await
}

/// Records a request that the key may not send, or whose body could not be read. Returns what to tell
/// the client.
pub async fn refuse(app: &App, caller: Caller, endpoint: &str, refused: ApiError) -> Failure {
    let mut ledger = Ledger::open(app, &caller, endpoint, "", false);
    let failure = match app.limits.begin(&caller.principal, None).await {
        Ok(permit) => {
            ledger.hold(permit);
            Failure::Refused(refused)
        }
        Err(limit) => limit.into(),
    };
    ledger.failed(failure).await
}

/// The model of this name, if the caller may use it: what they may not use does not exist for them.
fn served(app: &App, principal: &Principal, name: &str) -> Result<ServedModel, Failure> {
    if !principal.models.allows(name) {
        return Err(Failure::UnknownModel(name.to_owned()));
    }
    if let Some(model) = app.models.get(name)? {
        return Ok(model.clone());
    }
    Err(match app.models.embedder(name)? {
        Some(_) => embed::not_for_this("it turns texts into vectors, at /v1/embeddings").into(),
        None => Failure::UnknownModel(name.to_owned()),
    })
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
fn most(prompts: &VecDeque<Prepared>, each: u32, price: Option<&Price>) -> (u64, u64) {
    let (mut prompt, mut answers) = (0_u32, 0_u32);
    for prepared in prompts {
        let length = u32::try_from(prepared.prompt.len()).unwrap_or(u32::MAX);
        prompt = prompt.saturating_add(length);
        answers = answers.saturating_add(prepared.max_tokens.saturating_mul(each));
    }
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
