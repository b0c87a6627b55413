//! A request that is being answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::Stream;
use tokio_util::sync::CancellationToken;

use crate::engine::admission::Place;
use crate::engine::registry::ServedModel;
use crate::engine::{
    EngineError, Event, Generation, ModelInfo, Prepared, TokenLogprob, TokenUsage,
};
use crate::guardrails::{Answer, Cut, Direction, Piece};
use crate::openai::completion::{Finish, Usage};
use crate::openai::moderation::Moderation;
use crate::records::RecordError;

use super::guard::Guarded;
use super::ledger::Ledger;
use super::{Caller, Failure, LONGEST_SILENCE, bounded};

/// As long as OpenAI's SDKs wait for an answer: whoever still queues then has given up.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// What happens in an answer, in order: for each choice `Begin`, any number of `Reasoning` and
/// `Text`, perhaps `Refused`, `End`;
/// after the last choice perhaps `Moderated`, and one `Total`.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The model has begun to answer.
    Begin {
        index: u32,
    },
    /// What the model thinks aloud.
    Reasoning {
        index: u32,
        text: String,
    },
    Text {
        index: u32,
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    /// The guards stopped the answer; `text` is what is said instead.
    Refused {
        index: u32,
        text: String,
        /// Whether text of the answer went out before.
        follows: bool,
    },
    End {
        index: u32,
        finish: Finish,
    },
    /// The scores of the request and all choices, when they were asked for.
    Moderated(Box<Moderation>),
    Total(Usage),
}

/// An answer in the making. Nothing happens unless it is read; dropping it stops the model, frees
/// the place and leaves a `cancelled` usage row.
pub struct Run {
    model: ServedModel,
    prepared: Prepared,
    choices: u32,
    /// The choice that is being generated.
    index: u32,
    /// Before `place`, so that the model is stopped before the next request is let in.
    generation: Option<Generation>,
    place: Option<Arc<Place>>,
    /// Received, not yet looked at.
    pending: Option<Event>,
    guarded: Guarded,
    /// The choice on its way through the guards.
    answer: Answer<TokenLogprob>,
    /// To be handed out.
    ready: VecDeque<Step>,
    cut_loop: Arc<AtomicBool>,
    /// Whether any text of this choice went out.
    has_spoken: bool,
    /// Pieces of text of this choice so far.
    pieces: u32,
    /// All choices are generated and recorded.
    total: Option<Usage>,
    over: bool,
    ledger: Ledger,
    /// Whose turn it is.
    key_id: String,
    cut: CancellationToken,
}

impl Run {
    pub(super) fn new(
        model: ServedModel,
        prepared: Prepared,
        choices: u32,
        caller: &Caller,
        guarded: Guarded,
        ledger: Ledger,
    ) -> Self {
        let is_thinking = prepared.is_thinking;
        Self {
            model,
            prepared,
            choices,
            index: 0,
            generation: None,
            place: None,
            pending: None,
            answer: guarded.answer(is_thinking),
            guarded,
            ready: VecDeque::new(),
            cut_loop: caller.cut_loop.clone(),
            has_spoken: false,
            pieces: 0,
            total: None,
            over: false,
            ledger,
            key_id: caller.principal.key_id.clone(),
            cut: caller.cut.clone(),
        }
    }

    /// Who answers.
    pub fn model(&self) -> &ModelInfo {
        self.model.engine.info()
    }

    /// The steps as they happen, ending with `Total` or the first failure.
    pub fn steps(self) -> impl Stream<Item = Result<Step, Failure>> + Send + 'static {
        futures_util::stream::unfold(self, |mut run| async move {
            let step = run.next().await?;
            Some((step, run))
        })
    }

    /// The next step; none after `Total` or a failure.
    async fn next(&mut self) -> Option<Result<Step, Failure>> {
        if self.over {
            return None;
        }
        let step = self.advance().await;
        if matches!(step, Ok(Step::Total(_)) | Err(_)) {
            self.over = true;
        }
        match step {
            Ok(step) => Some(Ok(step)),
            Err(failure) => {
                self.release();
                Some(Err(self.ledger.failed(failure).await))
            }
        }
    }

    async fn advance(&mut self) -> Result<Step, Failure> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Ok(step);
            }
            if let Some(usage) = self.total {
                return Ok(Step::Total(usage));
            }
            if self.generation.is_none() {
                self.begin().await?;
                self.pending = Some(self.event().await?);
                return Ok(Step::Begin { index: self.index });
            }
            let event = match self.pending.take() {
                Some(event) => event,
                None => self.event().await?,
            };
            self.look(event).await?;
        }
    }

    /// Passes what the model says through the guards.
    async fn look(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Text { text, logprobs } => {
                self.pieces = self.pieces.saturating_add(1);
                self.ledger.text();
                let pieces = self.answer.push(&text, logprobs);
                self.hand_out(pieces);
                if self.answer.cut().is_none() {
                    return Ok(());
                }
                // The engine's own count will not come: it is stopped.
                let usage = TokenUsage {
                    prompt_tokens: u32::try_from(self.prepared.prompt.len()).unwrap_or(u32::MAX),
                    completion_tokens: self.pieces,
                    cached_tokens: 0,
                };
                self.end(Finish::Stop, usage).await
            }
            Event::Done {
                finish_reason,
                usage,
            } => {
                let pieces = self.answer.finish();
                self.hand_out(pieces);
                self.end(Finish::from(finish_reason), usage).await
            }
        }
    }

    fn hand_out(&mut self, pieces: Vec<Piece<TokenLogprob>>) {
        let index = self.index;
        self.has_spoken |= pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Content { .. }));
        self.ready
            .extend(pieces.into_iter().map(|piece| match piece {
                Piece::Reasoning(text) => Step::Reasoning { index, text },
                Piece::Content { text, tokens } => Step::Text {
                    index,
                    text,
                    logprobs: tokens,
                },
            }));
    }

    /// Ends a choice, and with the last one the request.
    async fn end(&mut self, mut finish: Finish, usage: TokenUsage) -> Result<(), Failure> {
        self.generation = None;
        let index = self.index;
        let is_loop = self.answer.cut() == Some(Cut::Loop);
        if is_loop {
            self.cut_loop.store(true, Ordering::Relaxed);
        }
        if let Some(Cut::Blocked(blocked)) = self.answer.cut() {
            finish = Finish::ContentFilter;
            let text = self.guarded.refusal();
            let follows = self.has_spoken;
            self.ready.push_back(Step::Refused {
                index,
                text,
                follows,
            });
            let audited = self.guarded.audit(blocked, Direction::Output).await;
            audited.map_err(|error| RecordError(error.to_string()))?;
        }
        self.guarded.note(&self.answer, is_loop);
        self.ledger.guarded(&self.guarded.notes);
        self.ledger.choice(finish, usage, self.pieces);
        self.pieces = 0;
        self.has_spoken = false;
        self.index += 1;
        self.answer = self.guarded.answer(self.prepared.is_thinking);
        if self.index >= self.choices {
            // Whoever sees the end of the last choice may take the answer for complete.
            self.release();
            self.ledger.completed().await?;
            self.total = Some(self.ledger.usage());
        }
        self.ready.push_back(Step::End { index, finish });
        if self.total.is_some() {
            let moderation = self.guarded.moderation();
            self.ready
                .extend(moderation.map(Box::new).map(Step::Moderated));
        }
        Ok(())
    }

    /// Starts the choice `self.index`; the first one waits for a place, which the others share.
    async fn begin(&mut self) -> Result<(), Failure> {
        if self.place.is_none() {
            let since = Instant::now();
            let late = EngineError::Busy {
                retry_after: LONGEST_WAIT / 10,
            };
            let place = self.model.admission.enter(&self.key_id);
            let place = bounded(&self.cut, LONGEST_WAIT, late, place).await;
            self.ledger.queued(since);
            self.place = Some(Arc::new(place?));
            self.ledger.prompt(self.prepared.prompt.len());
        }
        let Some(place) = self.place.clone() else {
            return Err(EngineError::Failed("there is no place".to_owned()).into());
        };
        let mut prepared = self.prepared.clone();
        if let Some(seed) = &mut prepared.sampling.seed {
            // Each choice its own, and the first the one that was asked for.
            *seed = seed.wrapping_add(u64::from(self.index));
        }
        let started = self.model.engine.generate(prepared, place);
        self.generation = Some(bounded(&self.cut, LONGEST_SILENCE, silent(), started).await?);
        Ok(())
    }

    async fn event(&mut self) -> Result<Event, Failure> {
        let gone = || EngineError::Failed("the engine went away in mid-answer".to_owned());
        let Some(generation) = &mut self.generation else {
            return Err(gone().into());
        };
        let event = async {
            let event = generation.events.recv().await;
            event.unwrap_or_else(|| Err(gone()))
        };
        bounded(&self.cut, LONGEST_SILENCE, silent(), event).await
    }

    /// Stops the model and lets the next request in.
    fn release(&mut self) {
        self.generation = None;
        self.place = None;
    }
}

fn silent() -> EngineError {
    EngineError::Failed("the engine said nothing for too long".to_owned())
}
